// The reductions over a row of logits that sampling and training share, so that a token has the
// same log-probability in both, bit for bit.
#ifndef XR_REF_SOFTMAX_H
#define XR_REF_SOFTMAX_H

#include <stdint.h>

// log sum_i exp(z[i]) of n > 0 numbers. The order of the sum depends on n alone: exponentials of
// z[i] less the largest, sixteen vectors at a time in f32, those sums in f64. -infinity where all
// are; NaN where one is.
float xr_cpu_row_lse(const float *z, int64_t n);

// The same, and *mean = sum_i p_i z[i] with p = softmax(z) (lse less the mean is the entropy);
// elements with p_i = 0 count nothing.
float xr_cpu_row_lse_mean(const float *z, int64_t n, float *mean);

// The lowest index of the largest of n > 0 numbers; -1 where one is NaN.
int32_t xr_cpu_row_best(const float *z, int64_t n);

#endif
