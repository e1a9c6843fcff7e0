// The inner part of xr_cpu_linear, compiled for each instruction set (ref/isa.h).
#ifndef XR_REF_LINEAR_KERNELS_H
#define XR_REF_LINEAR_KERNELS_H

#include "ref/isa.h"
#include "shared/tensor/tensor.h"

#include <stdbool.h>
#include <stdint.h>

// Elements of K that are summed before the sum is added to y: a tile's rows of x and w of this
// length fit the first-level cache.
enum { XR_LINEAR_CHUNK = 1024 };

// y[rows, columns] = or += x[rows, depth] w[columns, depth]^T (+ bias). Strides are in elements.
typedef struct XrLinearBlock {
    float *y;
    const float *x;
    const void *w;     // elements of w_type, not necessarily aligned
    const float *bias; // [columns], or NULL
    int64_t y_stride, x_stride, w_stride;
    int64_t rows, columns;
    int64_t depth; // at most XR_LINEAR_CHUNK
    int64_t ahead; // few_rows: elements of w from one that is read to the one to fetch into a cache
    bool first;    // y is written, not added to
} XrLinearBlock;

// Every element of y is summed in the same order, whatever function, rows, columns and type of
// weights: element k of the sum goes to lane k % lanes, the lanes are added by halves.
typedef struct XrLinearKernels {
    // For weights of f32, bf16 and f16 (indexed by XrDType) as they lie in memory.
    void (*few_rows[3])(const XrLinearBlock *block);
    // For weights that were expanded.
    void (*many_rows)(const XrLinearBlock *block);
    // to[rows, depth] = from[rows, depth] of that type, as f32; `to` has row stride `stride`.
    void (*expand[3])(float *to, int64_t stride, const void *from, int64_t from_stride,
                      int64_t rows, int64_t depth);
} XrLinearKernels;

XR_DECLARE_KERNELS(XrLinearKernels, xr_linear_kernels);

#endif
