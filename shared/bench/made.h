// Models for cases: of a folder, or made for the purpose, in the sizes of Qwen2.5-VL-7B.
#ifndef XR_BENCH_MADE_H
#define XR_BENCH_MADE_H

#include "shared/image/preprocess.h"
#include "shared/model/model.h"

typedef enum XrBenchSize {
    XR_BENCH_FOLDER, // as the case's folder has it
    XR_BENCH_TINY,   // for tests of the cases
    XR_BENCH_7B,
} XrBenchSize;

// A text model of `layers` layers, embedding and head (not tied), or (layers 0) a vision tower and
// merger with as little behind them as there can be. All parameters hold the same random numbers in
// bf16, which lie in memory once.
typedef struct XrBenchModel {
    XrModel *model;
    void *numbers; // NULL of a folder
} XrBenchModel;

// Without parameters in the backend's memory; xr_bench_model_place puts them there, of a vision
// tower those of tower and merger alone. Fails for want of memory.
bool xr_bench_model_make(XrBenchModel *out, XrBackend *b, XrBenchSize size, int64_t layers,
                         XrError *err);
bool xr_bench_model_place(XrBenchModel *model, XrError *err);
void xr_bench_model_free(XrBenchModel *model);

// As a case asks for it: of the folder `path` for XR_BENCH_FOLDER, else made; `placed`: with its
// parameters in the backend's memory. Free it after an error too.
bool xr_bench_model_open(XrBenchModel *out, XrBackend *b, XrBenchSize size, int64_t layers,
                         const char *path, bool placed, XrError *err);

// Elements of the layers' matrices, which every token is multiplied with, with_head those of the
// head too.
double xr_bench_matrix_elements(const XrModel *model, bool with_head);

#endif
