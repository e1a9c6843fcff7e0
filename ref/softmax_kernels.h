#ifndef XR_REF_SOFTMAX_KERNELS_H
#define XR_REF_SOFTMAX_KERNELS_H

#include "ref/isa.h"

#include <stdint.h>

typedef struct XrSoftmaxKernels {
    // The largest of n > 0 numbers; NaN where one is NaN.
    float (*greatest)(const float *z, int64_t n);
    // sum exp(z[i] - top), top finite; *weighted = sum exp(z[i] - top) (z[i] - top).
    double (*sum_exp)(const float *z, int64_t n, float top);
    double (*sum_exp_weighted)(const float *z, int64_t n, float top, double *weighted);
    // z[i] = z[i] / divisor.
    void (*divide)(float *z, int64_t n, float divisor);
    // z[i] = factor exp(z[i] / divisor - lse).
    void (*scaled_softmax)(float *z, int64_t n, float divisor, float lse, float factor);
} XrSoftmaxKernels;

XR_DECLARE_KERNELS(XrSoftmaxKernels, xr_softmax_kernels);

#endif
