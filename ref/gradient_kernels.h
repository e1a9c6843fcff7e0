// The inner part of the gradients of xr_cpu_linear, compiled for each instruction set (ref/isa.h).
#ifndef XR_REF_GRADIENT_KERNELS_H
#define XR_REF_GRADIENT_KERNELS_H

#include "ref/isa.h"

#include <stdint.h>

// Columns of a block; of a panel's row.
enum { XR_GRADIENT_COLUMNS = 64 };

// sum[rows, columns] += a b, a's element (r, i) being a[r * a_row + i * a_step], b the panel
// [depth, XR_GRADIENT_COLUMNS]. Each element is summed in the order of the depth.
typedef struct XrGradientBlock {
    float *sum;
    const float *a, *panel;
    int64_t sum_stride, a_row, a_step;
    int64_t rows, columns, depth;
} XrGradientBlock;

typedef struct XrGradientKernels {
    void (*block)(const XrGradientBlock *block);
} XrGradientKernels;

XR_DECLARE_KERNELS(XrGradientKernels, xr_gradient_kernels);

#endif
