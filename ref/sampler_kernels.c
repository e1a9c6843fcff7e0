#include "ref/sampler_kernels.h"

#include <float.h>
#include <math.h>

static int64_t scale(float *z, const float *logits, int64_t n, float temperature) {
    int64_t bad = 0;
    for (int64_t i = 0; i < n; i++) {
        float value = logits[i] / temperature;
        bad += value != value;
        value = value > FLT_MAX ? FLT_MAX : value;
        z[i] = value == value ? value : -INFINITY;
    }
    return bad;
}

static float max(const float *z, int64_t n) {
    float best = -INFINITY;
    for (int64_t i = 0; i < n; i++) best = z[i] > best ? z[i] : best;
    return best;
}

static void exponentials(float *e, double *blocks, const float *z, int64_t n, float top) {
    for (int64_t begin = 0; begin < n; begin += XR_SAMPLER_BLOCK) {
        int64_t end = begin + XR_SAMPLER_BLOCK < n ? begin + XR_SAMPLER_BLOCK : n;
        double sum = 0;
        for (int64_t i = begin; i < end; i++) {
            e[i] = expf(z[i] - top);
            sum += e[i];
        }
        blocks[begin / XR_SAMPLER_BLOCK] = sum;
    }
}

const XrSamplerKernels XR_KERNEL(xr_sampler_kernels) = {scale, max, exponentials};
