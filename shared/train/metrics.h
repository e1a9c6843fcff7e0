// One line of metrics.jsonl: {"step": N, "loss": 1.5, ...}. Names are TRL's where it has one; times
// and rates have names that begin with "time/" or are "tokens_per_second", and are the only values
// that differ between two runs of the same configuration.
#ifndef XR_TRAIN_METRICS_H
#define XR_TRAIN_METRICS_H

#include "shared/train/run_folder.h"

// Zero-initialise, begin, add, write; begin again for the next line; free.
typedef struct XrMetrics {
    XrBuffer text;
} XrMetrics;

void xr_metrics_begin(XrMetrics *metrics, int64_t step);
// Nine significant digits, enough to tell all f32 apart; NaN and infinities become null.
void xr_metrics_real(XrMetrics *metrics, const char *name, double value);
void xr_metrics_whole(XrMetrics *metrics, const char *name, int64_t value);
bool xr_metrics_write(XrMetrics *metrics, XrLineFile *file, XrError *err);
void xr_metrics_free(XrMetrics *metrics);

#endif
