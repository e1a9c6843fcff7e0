#include "ref/yardstick_kernels.h"

#include "ref/vector.h"

enum { CHAINS = 12, STREAMS = 4, AHEAD = 4096 };

static float read_all(const float *numbers, int64_t count) {
    Vec sum[STREAMS] = {{0}};
    for (int64_t i = 0; i + (int64_t)STREAMS * XR_LANES <= count;
         i += (int64_t)STREAMS * XR_LANES) {
        XR_UNROLL for (int s = 0; s < STREAMS; s++) {
            const float *p = numbers + i + (ptrdiff_t)s * XR_LANES;
            __builtin_prefetch(p + AHEAD, 0, 2);
            sum[s] += vec_load(p);
        }
    }
    return vec_sum(sum[0] + sum[1] + sum[2] + sum[3]);
}

static float multiply(int64_t rounds) {
    Vec chain[CHAINS], factor = vec_set(0.5f), addend = vec_set(1);
    XR_UNROLL for (int i = 0; i < CHAINS; i++) chain[i] = vec_set((float)i);
    for (int64_t r = 0; r < rounds; r++) {
        XR_UNROLL for (int i = 0; i < CHAINS; i++) chain[i] = vec_fma(chain[i], factor, addend);
    }
    Vec sum = {0};
    XR_UNROLL for (int i = 0; i < CHAINS; i++) sum += chain[i];
    return vec_sum(sum);
}

const XrYardstickKernels XR_KERNEL(xr_yardstick_kernels) = {(int64_t)2 * CHAINS * XR_LANES,
                                                            read_all, multiply};
