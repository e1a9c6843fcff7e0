// A line chart as inline SVG: one line a run, axes with round numbers.
#ifndef XR_REPORT_CHART_H
#define XR_REPORT_CHART_H

#include "shared/report/run_data.h"

enum { XR_CHART_COLOURS = 8 }; // the page's style defines classes c0 to c7

// Text for HTML: the five special characters become entities; bytes that are not UTF-8, U+FFFD.
void xr_html_text(XrBuffer *out, const char *text, size_t bytes);

// Appends a <figure> with the metric `name` of all runs that have it, run i in colour i % 8. Long
// series are drawn as means of neighbouring points, over a band from the least to the largest.
void xr_chart(XrBuffer *out, const char *name, const XrRunData *runs, int run_count);

// At most `most` + 2 round numbers that cover [low, high]: first, step between, how many.
int xr_chart_ticks(double low, double high, int most, double *first, double *step);

#endif
