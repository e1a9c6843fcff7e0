// The reduction of a row of logits that sampling and training share, so that a token has the same
// log-probability in both, bit for bit: chunks of XR_SOFTMAX_CHUNK logits, a warp each, joined in
// the order of ids.
#ifndef XR_CUDA_SOFTMAX_H
#define XR_CUDA_SOFTMAX_H

#include "cuda/reduce.h"

#include <math.h>

enum { XR_SOFTMAX_CHUNK = 2048 };

// Of some logits z: the largest, the sum of e = exp(z - top), and the sum of e (z - top).
struct XrSoftmax {
    float top; // -infinity before the first; NaN where one is
    double sum, weighted;
};

XR_DEVICE XrSoftmax xr_softmax_none() {
    return XrSoftmax{-INFINITY, 0, 0};
}

// Of z[0..count) / divisor, by the 32 lanes of a warp, all of which get it.
XR_DEVICE XrSoftmax xr_softmax_chunk(const float *z, int64_t count, float divisor) {
    const int lane = (int)threadIdx.x % 32;
    float top = -INFINITY;
    for (int64_t i = lane; i < count; i += 32) {
        const float x = z[i] / divisor;
        top = x > top || x != x ? x : top;
        if (top != top) break; // NaN stays
    }
    top = xr_warp_max(top);
    XrSoftmax result = {top, 0, 0};
    if (!isfinite(top)) return result;
    for (int64_t i = lane; i < count; i += 32) {
        const float x = z[i] / divisor - top;
        const float e = expf(x);
        result.sum += (double)e;
        // What is less likely than exp(-1e4) counts nothing, -infinity included.
        result.weighted += (double)(e * fmaxf(x, -1e4f));
    }
    result.sum = xr_warp_sum(result.sum);
    result.weighted = xr_warp_sum(result.weighted);
    return result;
}

// `a` seen as relative to a larger top.
XR_DEVICE XrSoftmax xr_softmax_lower(XrSoftmax a, float top) {
    if (a.top == top || a.sum == 0) return XrSoftmax{top, a.sum, a.weighted};
    const double distance = (double)(a.top - top), factor = exp(distance);
    return XrSoftmax{top, a.sum * factor, (a.weighted + a.sum * distance) * factor};
}

// Of the logits of `a` followed by those of `b`.
XR_DEVICE XrSoftmax xr_softmax_join(XrSoftmax a, XrSoftmax b) {
    const float top = a.top > b.top || a.top != a.top ? a.top : b.top;
    if (!isfinite(top)) return XrSoftmax{top, 0, 0};
    a = xr_softmax_lower(a, top);
    b = xr_softmax_lower(b, top);
    return XrSoftmax{top, a.sum + b.sum, a.weighted + b.weighted};
}

// log sum exp(z).
XR_DEVICE float xr_softmax_lse(XrSoftmax s) {
    return isfinite(s.top) ? s.top + (float)log(s.sum) : s.top;
}

// The mean of z under the softmax.
XR_DEVICE float xr_softmax_mean(XrSoftmax s) {
    return isfinite(s.top) ? s.top + (float)(s.weighted / s.sum) : s.top;
}

#endif
