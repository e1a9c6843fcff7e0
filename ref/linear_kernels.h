// The inner part of xr_cpu_linear for few rows, compiled for each instruction set (ref/isa.h).
#ifndef XR_REF_LINEAR_KERNELS_H
#define XR_REF_LINEAR_KERNELS_H

#include "ref/isa.h"
#include "shared/tensor/tensor.h"

#include <stdbool.h>
#include <stdint.h>

// y[rows, columns] = x[rows, depth] w[columns, depth]^T (+ bias). Strides are in elements.
typedef struct XrLinearBlock {
    float *y;
    const float *x;
    const void *w;     // elements of w_type, not necessarily aligned, row behind row
    const float *bias; // [columns], or NULL
    int64_t y_stride, x_stride;
    int64_t rows, columns, depth;
} XrLinearBlock;

// Every element of y is summed in the same order, whatever rows, columns and type of weights, and
// in that of ref/product_kernels.h: element k of a chunk goes to lane k % lanes, the lanes are
// added by halves, chunks of XR_PRODUCT_CHUNK are added in order.
typedef struct XrLinearKernels {
    // For weights of f32, bf16 and f16 (indexed by XrDType) as they lie in memory.
    void (*few_rows[3])(const XrLinearBlock *block);
} XrLinearKernels;

XR_DECLARE_KERNELS(XrLinearKernels, xr_linear_kernels);

#endif
