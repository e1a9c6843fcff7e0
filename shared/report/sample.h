// The samples of a run as part of a page.
#ifndef XR_REPORT_SAMPLE_H
#define XR_REPORT_SAMPLE_H

#include "shared/report/run_data.h"
#include "shared/text/tokenizer.h"

// Appends a section with every kept sample: what was asked, answered, judged; injected tokens
// marked.
void xr_report_samples(XrBuffer *out, const XrRunData *run);

// Appends a sample's response as HTML, injected tokens marked where the tokenizer (may be NULL) has
// its ids, and otherwise as the run stored its text.
void xr_report_response(XrBuffer *out, const XrTokenizer *tokenizer, const cJSON *sample);

#endif
