// The report: one HTML page about one run or several, self-contained, for light and dark screens.
#ifndef XR_REPORT_PAGE_H
#define XR_REPORT_PAGE_H

#include "shared/report/run_data.h"

// Appends the beginning of a page in the report's style, up to the inside of <body>.
void xr_report_begin(XrBuffer *out, const char *title);

// Appends the page: what the runs have in common and where they differ, last values, counts,
// curves, samples with injected tokens marked. Sampled tokens are shown by the tokenizer of the
// run's model folder; where that cannot be read, by the text that the run stored, without marks,
// and the page says so.
void xr_report_page(XrBuffer *out, const XrRunData *runs, int run_count);

// Writes the page for the folders to `path`.
bool xr_report_write(const char *path, const char *const *folders, int count, int most_samples,
                     XrError *err);

#endif
