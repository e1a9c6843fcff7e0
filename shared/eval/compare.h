// Two runs on the same items: differences with intervals, as a whole and by subject. What a run
// scored comes from its samples.jsonl. docs/evaluation.md says what is computed.
#ifndef XR_EVAL_COMPARE_H
#define XR_EVAL_COMPARE_H

#include "shared/base/buffer.h"
#include "shared/base/error.h"
#include "shared/eval/statistics.h"

#include <stdbool.h>

// What one run scored on one item in one mode.
typedef struct XrItemScore {
    char *name;    // "DATASET\nMODE\nID", MODE "free" or "budget"
    char *subject; // NULL: none
    int samples, right;
} XrItemScore;

typedef struct XrScores {
    XrItemScore *items; // [count] by name
    int64_t count, capacity;
    int64_t unreadable; // lines that are no judged answers
} XrScores;

// Reads all of the samples.jsonl in `folder`; without one there are no scores.
void xr_scores_read(XrScores *out, const char *folder);
void xr_scores_free(XrScores *scores);

// Two runs (or modes) on one benchmark, or on one of its subjects.
typedef struct XrComparison {
    const char *subject;             // borrowed from the first run's scores; NULL: all items
    int64_t items;                   // that both answered
    XrPaired paired;                 // first minus second, of the items' means over samples
    bool one_sample;                 // of each item in both: McNemar's test applies
    int64_t only_first, only_second; // items on which one has a right sample and the other none
    double mcnemar;                  // p; 1 where it does not apply
} XrComparison;

typedef struct XrComparisons {
    XrComparison all;
    XrComparison *subjects; // [subject_count] by name; of the first run where subjects disagree
    int subject_count;
} XrComparisons;

// Compares the items that both answered; false where there are none. Items are drawn in the order
// of their ids (as bytes), 10,000 times with seed 42, for each subject anew. The scores are
// borrowed. Free with xr_comparisons_free after success.
bool xr_compare(XrComparisons *out, const XrScores *first, const char *first_mode,
                const XrScores *second, const char *second_mode, const char *dataset);
void xr_comparisons_free(XrComparisons *comparisons);

// Appends for people, of every benchmark: each run and mode against each before it. False with an
// error where a folder holds no answers, or no two hold answers to the same items.
bool xr_comparisons_text(XrBuffer *out, const char *const *folders, int count, XrError *err);

#endif
