#include "ref/softmax.h"

#include "ref/softmax_kernels.h"

#include <math.h>
#include <stddef.h>

static float lse(const float *z, int64_t n, float *mean) {
    const XrSoftmaxKernels *k = XR_CHOOSE_KERNELS(xr_softmax_kernels);
    float top = k->greatest(z, n);
    if (!isfinite(top)) {
        if (mean) *mean = top;
        return top;
    }
    double weighted = 0;
    double sum = mean ? k->sum_exp_weighted(z, n, top, &weighted) : k->sum_exp(z, n, top);
    if (mean) *mean = top + (float)(weighted / sum);
    return top + (float)log(sum);
}

float xr_cpu_row_lse(const float *z, int64_t n) {
    return lse(z, n, NULL);
}

float xr_cpu_row_lse_mean(const float *z, int64_t n, float *mean) {
    return lse(z, n, mean);
}

int32_t xr_cpu_row_best(const float *z, int64_t n) {
    float top = XR_CHOOSE_KERNELS(xr_softmax_kernels)->greatest(z, n);
    for (int64_t i = 0; i < n; i++) {
        if (z[i] == top) return (int32_t)i;
    }
    return -1; // NaN equals nothing
}
