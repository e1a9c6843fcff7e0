// Pairs of gold answer and response for timing the verifier: made ones, and real ones from the
// folder of data that tests use, where there is one.
#ifndef XR_BENCH_VERIFY_DATA_H
#define XR_BENCH_VERIFY_DATA_H

#include "shared/base/error.h"
#include "shared/verify/verify.h"

#include <stdint.h>

typedef struct XrBenchPairs {
    XrVerifyRequest *requests;
    int64_t count;
    char **texts; // what the requests point into
    int64_t text_count;
    XrSpan *options; // XR_VERIFY_MOST_OPTIONS for each request
} XrBenchPairs;

// Answers of every kind, right and wrong, each boxed at the end of a response of about `bytes`
// bytes.
void xr_bench_pairs_make(XrBenchPairs *pairs, size_t bytes);

// Real responses: "mmlu-pro", "gsm8k" or "mathvision", below `folder`.
bool xr_bench_pairs_read(XrBenchPairs *pairs, const char *folder, const char *set, XrError *err);

void xr_bench_pairs_free(XrBenchPairs *pairs);

#endif
