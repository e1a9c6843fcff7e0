// Timing of operations and whole jobs.
//
// A case is set up, run until it has been timed often and long enough, and torn down. What one run
// does is given as operations, bytes read and units of work (tokens); the result holds times, rates
// and how near they come to what the hardware can do, measured in the same process.
//
// To add cases: a function xr_bench_NAME(list) in shared/bench/NAME.c, declared below and called in
// shared/cli/bench.c. docs/speed.md keeps the results.
#ifndef XR_BENCH_BENCH_H
#define XR_BENCH_BENCH_H

#include "shared/base/error.h"
#include "shared/tensor/backend.h"

#include <stdio.h>

// What one run does. 0: does not apply.
typedef struct XrBenchWork {
    double operations; // floating-point
    double bytes;      // that must come from memory
    double units;      // pieces of work as a user counts them
    const char *unit;  // "tokens"; NULL without
} XrBenchWork;

typedef struct XrBenchCase XrBenchCase;
struct XrBenchCase {
    char name[96];    // "linear/bf16/1x768x768"
    int64_t n[8];     // the case's own parameters
    XrDType dtype;    // of weights
    const char *path; // of a model's folder, for jobs
    // Returns the state that run and finish get; NULL with an error. Fills `work`.
    void *(*start)(const XrBenchCase *self, XrBackend *b, XrBenchWork *work, XrError *err);
    void (*run)(void *state);
    void (*finish)(void *state);
};

typedef struct XrBenchList {
    XrBenchCase *items;
    int count;
} XrBenchList;

void xr_bench_add(XrBenchList *list, const XrBenchCase *item);
// Adds cases that have `path` and `finish` in common, and the start and run of `usual` where they
// have none of their own.
void xr_bench_add_all(XrBenchList *list, const XrBenchCase *items, size_t count,
                      const XrBenchCase *usual);
void xr_bench_list_free(XrBenchList *list);

typedef struct XrBenchResult {
    int runs;
    double median, least; // seconds
    double peak_bytes; // of the process at its most, or of a GPU what the case held; 0: not known
    XrBenchWork work;
} XrBenchResult;

// The hardware at its best: the backend's threads, or a GPU, which copies (bytes read and written)
// and multiplies matrices of 8,192 x 8,192 in its type of activations.
typedef struct XrBenchYardstick {
    double bytes, operations; // a second
} XrBenchYardstick;

XrBenchYardstick xr_bench_yardstick(XrBackend *b);

bool xr_bench_run(const XrBenchCase *item, XrBackend *b, XrBenchResult *result, XrError *err);

// One line of a table for people, or a JSON object a line. Rates are of the median.
void xr_bench_print_head(FILE *out, bool json, const XrBenchYardstick *yardstick,
                         const XrBackend *b);
void xr_bench_print(FILE *out, bool json, const XrBenchCase *item, const XrBenchResult *result,
                    const XrBenchYardstick *yardstick);

// ---- the families of cases ----
// `gpu`: with the sizes of a training step of the 7B model.
void xr_bench_linear(XrBenchList *list, bool gpu);
void xr_bench_attention(XrBenchList *list, bool gpu);
void xr_bench_logprob(XrBenchList *list, bool gpu);
void xr_bench_memory(XrBenchList *list);
void xr_bench_verify(XrBenchList *list);
// Byte pairs, pictures and expressions on the GPU beside one core (cuda/batches.c); none in builds
// without CUDA. `tiny`: small ones, for tests.
void xr_bench_batches(XrBenchList *list, bool tiny);
// The tokenizer on the texts of the data folder (XR_DATA_DIR).
void xr_bench_text(XrBenchList *list, const char *data);
// Evaluation without a model, on the benchmarks of the data folder.
void xr_bench_benchmark(XrBenchList *list, const char *data);
void xr_bench_image(XrBenchList *list, const char *data); // its pictures
// Whole jobs on a model's folder.
void xr_bench_model(XrBenchList *list, const char *folder);
void xr_bench_startup(XrBenchList *list, const char *folder);
void xr_bench_eval(XrBenchList *list, const char *folder);
void xr_bench_train(XrBenchList *list, const char *folder);
// Whole jobs of the 7B model, whose weights are made up; `tiny`: the same jobs of a tiny one, for
// tests.
void xr_bench_train_step(XrBenchList *list, bool tiny); // of some of its layers
void xr_bench_vision(XrBenchList *list, bool tiny);
void xr_bench_decode(XrBenchList *list, bool tiny);

#endif
