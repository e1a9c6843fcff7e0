// Rows of normalisation, compiled for each instruction set (ref/isa.h).
#ifndef XR_REF_NORM_KERNELS_H
#define XR_REF_NORM_KERNELS_H

#include "ref/isa.h"

#include <stdint.h>

typedef struct XrNormKernels {
    // sum_i x[i]^2.
    double (*square_sum)(const float *x, int64_t n);
    // sum[i] = x[i] + delta[i]; sum may be x.
    void (*add)(float *sum, const float *x, const float *delta, int64_t n);
    // y[i] = w[i] (x[i] rstd).
    void (*scale)(float *y, const float *x, const float *w, float rstd, int64_t n);
    // sum_i dy[i] w[i] x[i].
    double (*projection)(const float *dy, const float *w, const float *x, int64_t n);
    // dx[i] = rstd (dy[i] w[i] - x[i] pull) + dsum[i]; dsum may be dx.
    void (*backward)(float *dx, const float *dy, const float *dsum, const float *x, const float *w,
                     float rstd, float pull, int64_t n);
    // total[i] += dy[i] (x[i] rstd).
    void (*accumulate)(double *total, const float *dy, const float *x, float rstd, int64_t n);
} XrNormKernels;

XR_DECLARE_KERNELS(XrNormKernels, xr_norm_kernels);

#endif
