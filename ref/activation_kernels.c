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

// Phi(x), the normal distribution function, given exp(-x^2 / 2). With a = |x| and s = 1 / (1 + 0.3
// a), Phi(-a) exp(a^2 / 2) is a polynomial in s without constant term, fitted by least squares of
// the relative error over a <= 13.5 (largest 4e-9): relative accuracy is kept where Phi is small.
static Vec normal_cdf(Vec x, Vec bell) {
    static const float Q[] = {
        -2.088185027e-02f, 1.138260663e-01f, -2.314463705e-01f, 1.960357875e-01f, -8.289885521e-02f,
        9.798325598e-02f,  7.777433842e-02f, 1.103632301e-01f,  1.195570007e-01f, 1.196874157e-01f};
    VecI negative = (VecI)(x < 0.0f);
    Vec a = (Vec)((VecI)x & 0x7fffffff);
    Vec s = 1.0f / (1.0f + 0.3f * a);
    Vec q = vec_set(Q[0]);
    for (int i = 1; i < 10; i++) q = vec_fma(q, s, vec_set(Q[i]));
    Vec tail = q * s * bell;
    return vec_choose(negative, tail, 1.0f - tail);
}

static void gelu(float *y, const float *x, int64_t n) {
    for (int64_t i = 0; i < n; i += XR_LANES) {
        Vec v = vec_load_some(x + i, n - i, 0);
        vec_store_some(y + i, n - i, v * normal_cdf(v, vec_exp(-0.5f * v * v)));
    }
}

static void gelu_backward(float *dx, const float *dy, const float *x, int64_t n) {
    for (int64_t i = 0; i < n; i += XR_LANES) {
        Vec v = vec_load_some(x + i, n - i, 0), d = vec_load_some(dy + i, n - i, 0);
        Vec bell = vec_exp(-0.5f * v * v);
        Vec slope = normal_cdf(v, bell) + v * (bell * 0.39894228f);
        vec_store_some(dx + i, n - i, d * slope);
    }
}

const XrActivationKernels XR_KERNEL(xr_activation_kernels) = {swiglu, swiglu_backward, gelu,
                                                              gelu_backward};
