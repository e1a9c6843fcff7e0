#include "ref/sampler_kernels.h"

#include "ref/vector.h"

#include <float.h>

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
    Vec best = vec_set(-INFINITY);
    int64_t i = 0;
    for (; i + XR_LANES <= n; i += XR_LANES) best = vec_max(vec_load(z + i), best);
    float top = vec_greatest(best);
    for (; i < n; i++) top = z[i] > top ? z[i] : top;
    return top;
}

static void exponentials(float *e, double *blocks, const float *z, int64_t n, float top) {
    for (int64_t begin = 0; begin < n; begin += XR_SAMPLER_BLOCK) {
        int64_t end = begin + XR_SAMPLER_BLOCK < n ? begin + XR_SAMPLER_BLOCK : n;
        Vec sum = {0};
        for (int64_t i = begin; i < end; i += XR_LANES) {
            Vec value = vec_exp(vec_load_some(z + i, end - i, -INFINITY) - top);
            sum += value;
            vec_store(e + i, value); // e has room for whole vectors
        }
        blocks[begin / XR_SAMPLER_BLOCK] = (double)vec_sum(sum);
    }
}

static double mass_from(const float *e, const float *z, int64_t n, float least) {
    double total = 0;
    for (int64_t begin = 0; begin < n; begin += XR_SAMPLER_BLOCK) {
        int64_t end = begin + XR_SAMPLER_BLOCK < n ? begin + XR_SAMPLER_BLOCK : n;
        Vec sum = {0};
        for (int64_t i = begin; i < end; i += XR_LANES) {
            VecI counts = (VecI)(vec_load_some(z + i, end - i, -INFINITY) >= least);
            sum += (Vec)(counts & (VecI)vec_load_some(e + i, end - i, 0));
        }
        total += (double)vec_sum(sum);
    }
    return total;
}

const XrSamplerKernels XR_KERNEL(xr_sampler_kernels) = {scale, max, exponentials, mass_from};
