// Evaluation runs as part of a page: tables beside the paper's numbers, paired comparisons, and the
// answers, to be filtered and paged through.
#ifndef XR_REPORT_EVAL_PAGE_H
#define XR_REPORT_EVAL_PAGE_H

#include "shared/report/run_data.h"

// Appends the sections about those of the runs that are evaluations; nothing when none is.
void xr_report_evaluations(XrBuffer *out, const XrRunData *runs, int run_count);
// Appends the section with the kept answers of all evaluations, and its script.
void xr_report_answers(XrBuffer *out, const XrRunData *runs, int run_count);

#endif
