// The scores of an evaluation run, item by item, for comparing runs.
#ifndef XR_REPORT_EVAL_DATA_H
#define XR_REPORT_EVAL_DATA_H

#include "shared/eval/statistics.h"
#include "shared/report/run_data.h"

// What one run scored on one item in one mode.
typedef struct XrItemScore {
    char *name; // "DATASET\nMODE\nID", MODE "free" or "budget"
    int samples, right;
} XrItemScore;

typedef struct XrEvalScores {
    XrItemScore *items; // [count] by name
    int64_t count, capacity;
} XrEvalScores;

// Reads all of the run's samples.jsonl; lines that cannot be read are left aside.
void xr_eval_scores_read(XrEvalScores *out, const XrRunData *run);
void xr_eval_scores_free(XrEvalScores *scores);

// Two runs (or modes) on one benchmark.
typedef struct XrEvalPair {
    int64_t items; // that both answered
    XrPaired paired;
    bool one_sample; // of each item in both: McNemar's test applies
    int64_t only_first, only_second;
    double mcnemar;
} XrEvalPair;

// Compares the items that both answered; false where there are none.
bool xr_eval_compare(XrEvalPair *out, const XrEvalScores *first, const char *first_mode,
                     const XrEvalScores *second, const char *second_mode, const char *dataset);

#endif
