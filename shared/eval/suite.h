// What a run evaluates: the benchmarks of its configuration, the items that were chosen, and what
// their number is divided by.
#ifndef XR_EVAL_SUITE_H
#define XR_EVAL_SUITE_H

#include "shared/eval/benchmark.h"
#include "shared/train/run_config.h"

typedef struct XrSuiteSet {
    const XrBenchmark *benchmark;
    XrBenchmarkItems items;
    bool *chosen; // [items.count] by skip, limit, max_items and the file of items to keep
    // What accuracies are divided by: the published number of items, or, where only some were asked
    // for, their number; duplicates left out, unusable ones not.
    int64_t denominator;
    bool whole; // nothing was chosen: the denominator is the published one
} XrSuiteSet;

typedef struct XrSuiteRef {
    int set;
    int64_t item;
} XrSuiteRef;

typedef struct XrSuite {
    XrSuiteSet *sets; // [count], in the order of the configuration
    int count;
    XrSuiteRef *by_id; // [total] sorted by benchmark and id
    int64_t total;
} XrSuite;

// Loads the benchmarks under eval_dataset, whose formats are benchmarks' names. Free with
// xr_suite_close, also after failure.
bool xr_suite_open(XrSuite *out, const XrRunConfig *config, XrError *err);
void xr_suite_close(XrSuite *suite);

static inline const XrItem *xr_suite_item(const XrSuite *suite, XrSuiteRef at) {
    return &suite->sets[at.set].items.items[at.item];
}

// Finds a chosen item that is no duplicate. With `benchmark` NULL, by its id alone where only one
// benchmark is loaded.
bool xr_suite_find(const XrSuite *suite, const char *benchmark, const char *id, XrSuiteRef *out);

#endif
