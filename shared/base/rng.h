// Counter-based random numbers: Philox4x32-10 (Salmon, Moraes, Dror, Shaw: "Parallel random
// numbers: as easy as 1, 2, 3", SC11). A draw is a pure function of its coordinates, so that what
// is sampled does not depend on batch, schedule, thread or rank, and the CPU and CUDA draw the same
// numbers.
#ifndef XR_BASE_RNG_H
#define XR_BASE_RNG_H

#include "shared/base/host_device.h"

#include <stdint.h>

// out[0..3] = Philox4x32-10 with key = seed and counter = (position low, position high, stream low,
// stream high). `stream` names who draws (a request, a sample), `position` which draw it is.
static inline XR_HOST_DEVICE void xr_philox(uint64_t seed, uint64_t stream, uint64_t position,
                                            uint32_t out[4]) {
    uint32_t c0 = (uint32_t)position, c1 = (uint32_t)(position >> 32);
    uint32_t c2 = (uint32_t)stream, c3 = (uint32_t)(stream >> 32);
    uint32_t k0 = (uint32_t)seed, k1 = (uint32_t)(seed >> 32);
    for (int round = 0; round < 10; round++) {
        uint64_t p0 = 0xD2511F53ull * c0, p1 = 0xCD9E8D57ull * c2;
        uint32_t n0 = (uint32_t)(p1 >> 32) ^ c1 ^ k0, n2 = (uint32_t)(p0 >> 32) ^ c3 ^ k1;
        c1 = (uint32_t)p1;
        c3 = (uint32_t)p0;
        c0 = n0;
        c2 = n2;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    out[0] = c0;
    out[1] = c1;
    out[2] = c2;
    out[3] = c3;
}

// A float in [0, 1) of 24 random bits.
static inline XR_HOST_DEVICE float xr_uniform(uint32_t bits) {
    return (float)(bits >> 8) * 0x1p-24f;
}

#endif
