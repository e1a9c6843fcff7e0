// What a run's folder holds, read for a report: configuration, metrics, samples, counts.
#ifndef XR_REPORT_RUN_DATA_H
#define XR_REPORT_RUN_DATA_H

#include "shared/base/json.h"

// One metric over the steps at which it was logged.
typedef struct XrSeries {
    char *name;
    double *step, *value; // [count], finite, in order of steps
    int64_t count;
} XrSeries;

typedef struct XrRunData {
    char *folder, *name; // the name is the folder's last part
    XrJson config;       // config.json; root NULL without it
    XrJson summary;      // summary.json; root NULL without it
    XrSeries *series;
    int series_count;
    int64_t metric_rows, odd_rows; // lines of metrics; those that were none
    char **samples; // [sample_count] lines of samples.jsonl, at most as many as asked for
    int sample_count;
    int64_t sample_rows; // lines of samples.jsonl
} XrRunData;

// Reads a run's folder. Metrics are those of metrics.jsonl, and of curve.jsonl, which who watches a
// run may write in the same form (shared/demo/train.h). Of samples.jsonl, the last `most_samples`
// lines are kept; -1: 2,000 of an evaluation, 100 of another run. A folder that holds neither
// metrics.jsonl nor samples.jsonl is an error; lines that cannot be read are counted (a running or
// killed program may have written half of the last one).
bool xr_run_data_read(XrRunData *out, const char *folder, int most_samples, XrError *err);
void xr_run_data_free(XrRunData *data);

// Whether the folder is that of an evaluation.
bool xr_run_is_eval(const XrRunData *run);

// The series of a name, or NULL.
const XrSeries *xr_run_series(const XrRunData *data, const char *name);

#endif
