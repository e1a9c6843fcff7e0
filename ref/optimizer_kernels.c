#include "ref/optimizer_kernels.h"

#include <math.h>

static void adamw(float *restrict p, float *restrict m, float *restrict v,
                  const float *restrict grad, int64_t n, XrAdamWFactors f) {
    for (int64_t i = 0; i < n; i++) {
        float g = grad[i] * f.grad_scale;
        float first = m[i] + f.take1 * (g - m[i]);
        float second = f.beta2 * v[i] + f.take2 * (g * g);
        m[i] = first;
        v[i] = second;
        p[i] = f.keep * p[i] - f.rate * (first / (sqrtf(second) * f.root + f.eps));
    }
}

const XrOptimizerKernels XR_KERNEL(xr_optimizer_kernels) = {adamw};
