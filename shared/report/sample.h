// The samples of a run as part of a page.
#ifndef XR_REPORT_SAMPLE_H
#define XR_REPORT_SAMPLE_H

#include "shared/report/run_data.h"

// Appends a section with every kept sample: what was asked, answered, judged; injected tokens
// marked.
void xr_report_samples(XrBuffer *out, const XrRunData *run);

#endif
