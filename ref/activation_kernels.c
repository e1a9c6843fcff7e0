#include "ref/activation_kernels.h"

#include "ref/vector.h"

// 1 / (1 + exp(-x)); below -88 the exponential would overflow, and the result is flushed to zero.
static Vec sigmoid(Vec x) {
    Vec minus = -x;
    VecI large = (VecI)(minus > 88.0f);
    minus = (Vec)((large & (VecI)vec_set(88.0f)) | (~large & (VecI)minus));
    return 1.0f / (1.0f + vec_exp(minus));
}

static void swiglu(float *h, const float *gate, const float *up, int64_t n) {
    for (int64_t i = 0; i < n; i += XR_LANES) {
        Vec g = vec_load_some(gate + i, n - i, 0), u = vec_load_some(up + i, n - i, 0);
        vec_store_some(h + i, n - i, g * sigmoid(g) * u);
    }
}

static void swiglu_backward(float *dgate, float *dup, const float *dh, const float *gate,
                            const float *up, int64_t n) {
    for (int64_t i = 0; i < n; i += XR_LANES) {
        Vec g = vec_load_some(gate + i, n - i, 0), u = vec_load_some(up + i, n - i, 0);
        Vec d = vec_load_some(dh + i, n - i, 0), s = sigmoid(g);
        vec_store_some(dgate + i, n - i, d * u * s * (1.0f + g * (1.0f - s)));
        vec_store_some(dup + i, n - i, d * g * s);
    }
}

const XrActivationKernels XR_KERNEL(xr_activation_kernels) = {swiglu, swiglu_backward};
