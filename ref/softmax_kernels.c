#include "ref/softmax_kernels.h"

#include "ref/vector.h"

#include <stdbool.h>

enum { BLOCK = 16 * XR_LANES };

// The vector at z[i], its lanes past n filled with `fill`.
static inline Vec load_some(const float *z, int64_t i, int64_t n, float fill) {
    if (n - i >= XR_LANES) return vec_load(z + i);
    float lanes[XR_LANES];
    for (int k = 0; k < XR_LANES; k++) lanes[k] = i + k < n ? z[i + k] : fill;
    return vec_load(lanes);
}

static inline void store_some(float *z, int64_t i, int64_t n, Vec v) {
    if (n - i >= XR_LANES) {
        vec_store(z + i, v);
    } else {
        memcpy(z + i, &v, (size_t)(n - i) * sizeof *z);
    }
}

static float greatest(const float *z, int64_t n) {
    Vec best = vec_set(-INFINITY);
    VecI bad = {0};
    for (int64_t i = 0; i < n; i += XR_LANES) {
        Vec v = load_some(z, i, n, -INFINITY);
        bad |= (VecI)(v != v); // NaN alone differs from itself NOLINT(misc-redundant-expression)
        best = vec_max(v, best);
    }
    for (int k = 0; k < XR_LANES; k++) {
        if (bad[k]) return NAN;
    }
    return vec_greatest(best);
}

static inline double sums(const float *z, int64_t n, float top, double *weighted) {
    double total = 0, total_weighted = 0;
    for (int64_t begin = 0; begin < n; begin += BLOCK) {
        int64_t end = begin + BLOCK < n ? begin + BLOCK : n;
        Vec sum = {0}, product = {0};
        for (int64_t i = begin; i < end; i += XR_LANES) {
            Vec x = load_some(z, i, end, -INFINITY) - top;
            Vec e = vec_exp(x);
            sum += e;
            if (weighted) product = vec_fma(e, vec_max(x, vec_set(-1e4f)), product);
        }
        total += (double)vec_sum(sum);
        if (weighted) total_weighted += (double)vec_sum(product);
    }
    if (weighted) *weighted = total_weighted;
    return total;
}

static double sum_exp(const float *z, int64_t n, float top) {
    return sums(z, n, top, NULL);
}

static double sum_exp_weighted(const float *z, int64_t n, float top, double *weighted) {
    return sums(z, n, top, weighted);
}

static void divide(float *z, int64_t n, float divisor) {
    for (int64_t i = 0; i < n; i++) z[i] /= divisor;
}

static void scaled_softmax(float *z, int64_t n, float divisor, float lse, float factor) {
    for (int64_t i = 0; i < n; i += XR_LANES) {
        Vec x = load_some(z, i, n, 0) / divisor - lse;
        store_some(z, i, n, vec_exp(x) * factor);
    }
}

const XrSoftmaxKernels XR_KERNEL(xr_softmax_kernels) = {greatest, sum_exp, sum_exp_weighted, divide,
                                                        scaled_softmax};
