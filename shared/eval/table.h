// What a run's answers amount to: one table a benchmark and mode (with or without forced exit).
#ifndef XR_EVAL_TABLE_H
#define XR_EVAL_TABLE_H

#include "shared/eval/answer.h"
#include "shared/eval/statistics.h"

enum { XR_VERDICTS = XR_VERDICT_EMPTY + 1 };

// Accuracy of the items of one subject. Items without an answer count as wrong.
typedef struct XrSubjectRow {
    const char *subject; // borrowed from an item
    int64_t answered;
    XrMean accuracy; // count: the items that it is divided by
} XrSubjectRow;

typedef struct XrLengths {
    double mean, median;
    int64_t count; // answers whose length is known
} XrLengths;

typedef struct XrTable {
    int set;
    XrAnswerMode mode; // XR_MODE_FREE or XR_MODE_BUDGET
    int samples;       // n: the most that any item has
    int64_t items;     // that accuracies are divided by
    int64_t answered;  // with an answer
    int64_t answers;
    int64_t missing_samples; // of answered items, up to n each; they count as wrong
    XrMean average;          // average@n
    XrMean *pass;            // [samples] pass[k - 1]: unbiased pass@k
    XrMean majority;         // majority@n, where n > 1
    int64_t ties, no_votes;  // items decided by the tie rule, and without anything to vote for
    bool has_official;
    XrMean official; // by the authors' rule; undecided answers count as wrong
    int64_t official_undecided, official_random;
    int64_t official_differs; // answers that it judges otherwise than we do
    int64_t verdicts[XR_VERDICTS];
    int64_t truncated, endless, forced; // answers
    XrLengths tokens, words;
    XrSubjectRow *subjects; // [subject_count] in order of appearance
    int subject_count;
} XrTable;

typedef struct XrTables {
    XrTable *items;
    int count;
} XrTables;

// Computes the tables. `answers` are sorted in place (by item and sample). With `answered_only`
// accuracies are divided by the items that have an answer. Majorities vote by `judge`'s equivalence
// of extracted answers; empty and unparsed ones do not vote.
void xr_tables(XrTables *out, const XrSuite *suite, XrAnswers *answers, bool answered_only,
               XrJudge *judge);
void xr_tables_free(XrTables *tables);

// An item that has no answer, and why.
typedef struct XrLeftOut {
    XrSuiteRef at;
    char *reason; // owned
} XrLeftOut;

typedef struct XrLeftOuts {
    XrLeftOut *items;
    int64_t count;
} XrLeftOuts;

void xr_left_out_add(XrLeftOuts *list, XrSuiteRef at, const char *reason);
void xr_left_out_free(XrLeftOuts *list);

// Appends the tables as a JSON list, with what each left out.
void xr_tables_json(XrBuffer *out, const XrTables *tables, const XrSuite *suite,
                    const XrLeftOuts *left_out);
// The same for people.
void xr_tables_text(XrBuffer *out, const XrTables *tables, const XrSuite *suite,
                    const XrLeftOuts *left_out);

#endif
