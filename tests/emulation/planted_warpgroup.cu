#include "tests/emulation/planted_warpgroup.h"

#include "cuda/types.h"
#include "cuda/warpgroup.h"

// Copies `bytes` bytes to shared memory, for products to read.
XR_DEVICE void bring(unsigned char *shared, const unsigned char *from, int bytes, XrPlanted fault) {
    for (int i = (int)threadIdx.x * 16; i < bytes; i += 128 * 16) {
        xr_copy_async(shared + i, from + i, 16);
    }
    xr_copy_commit();
    xr_copy_wait<0>();
    if (fault != XR_PLANTED_NOT_SHOWN) xr_show_to_products();
    __syncthreads();
}

template <int N> XR_DEVICE void store(float *d, const float (&sum)[N][4]) {
    const int lane = (int)threadIdx.x % 32, row = (int)threadIdx.x / 32 * 16 + lane / 4;
    for (int n = 0; n < N; n++) {
        for (int i = 0; i < 4; i++) {
            d[(row + i / 2 * 8) * 8 * N + 8 * n + lane % 4 * 2 + i % 2] = sum[n][i];
        }
    }
}

template <int BYTES>
XR_KERNEL(128)
scores(float *d, const unsigned char *a, const unsigned char *b, XrPlanted fault) {
    XR_DYNAMIC_SHARED(unsigned char, left);
    unsigned char *const right = left + 64 * BYTES;
    bring(left, a, 64 * BYTES, fault);
    bring(right, b, 128 * BYTES, fault);
    const XrSwizzle swizzle = BYTES == 128 ? XR_SWIZZLE_128 : XR_SWIZZLE_64;
    const unsigned char *const begin = fault == XR_PLANTED_ODD_PATTERN ? left + BYTES * 4 : left;
    const uint64_t left_operand = xr_wgmma_operand(begin, 16, 8 * BYTES, swizzle);
    const uint64_t right_operand = xr_wgmma_operand(right, 16, 8 * BYTES, swizzle);
    float s[16][4] = {}, other[16][4] = {};
    if (fault != XR_PLANTED_NO_FENCE) xr_wgmma_fence(s);
    if (fault == XR_PLANTED_OLD_FENCE) s[3][1] = 1;
    for (int k = 0; k < BYTES / 32; k++) {
        const bool alone = threadIdx.x / 32 == 2 && k == BYTES / 32 - 1;
        if (fault == XR_PLANTED_MISSING_WARP && alone) continue;
        const int other_k = fault == XR_PLANTED_OTHER_PRODUCT && alone ? 0 : k;
        xr_wgmma(s, left_operand + 2 * (uint64_t)k, right_operand + 2 * (uint64_t)other_k, k > 0);
    }
    xr_wgmma_commit();
    if (fault == XR_PLANTED_EARLY_READ) store(d, s);
    if (fault == XR_PLANTED_OVERWRITTEN) {
        __syncthreads();
        if (threadIdx.x == 0) right[7 * BYTES] ^= 1;
    }
    if (fault == XR_PLANTED_COPIED_OVER) {
        __syncthreads();
        if (threadIdx.x == 0) xr_copy_async(right, b, 16);
        xr_copy_commit();
    }
    if (fault == XR_PLANTED_OTHER_REGISTERS) {
        xr_wgmma_wait<0>(other);
    } else if (fault != XR_PLANTED_NO_WAIT) {
        xr_wgmma_wait<0>(s);
    }
    xr_copy_wait<0>();
    if (fault != XR_PLANTED_EARLY_READ) store(d, s);
}

extern "C" void xr_planted_scores(float *d, const void *a, const void *b, int bytes,
                                  XrPlanted fault) {
    auto kernel = bytes == 128 ? scores<128> : scores<64>;
    XR_LAUNCH(kernel, 1, 128, 192 * (size_t)bytes, NULL, d, (const unsigned char *)a,
              (const unsigned char *)b, fault);
}

template <int N, int BYTES>
XR_KERNEL(128)
values(float *d, const uint16_t *a, const unsigned char *b, XrPlanted fault) {
    XR_DYNAMIC_SHARED(unsigned char, right);
    bring(right, b, 32 * N * 16, fault);
    const uint64_t operand = xr_wgmma_operand(right, 32 * BYTES, 8 * BYTES,
                                              BYTES == 128 ? XR_SWIZZLE_128 : XR_SWIZZLE_64);
    const int lane = (int)threadIdx.x % 32, row = (int)threadIdx.x / 32 * 16 + lane / 4;
    float value[N][4] = {};
    uint32_t p[2][4];
    for (int i = 0; i < 8; i++) {
        const int at = (row + i % 2 * 8) * 32 + i / 4 * 16 + lane % 4 * 2 + i % 4 / 2 * 8;
        p[i / 4][i % 4] = *(const uint32_t *)(a + at);
    }
    xr_wgmma_fence(value, p);
    if (fault == XR_PLANTED_NEW_FACTORS) p[1][2] ^= 1;
    for (int k = 0; k < 2; k++) xr_wgmma(value, p[k], operand + (uint64_t)(k * BYTES));
    xr_wgmma_commit();
    if (fault == XR_PLANTED_EARLY_FACTORS) p[1][2] ^= 1;
    xr_wgmma_wait<0>(value);
    store(d, value);
}

extern "C" void xr_planted_values(float *d, const uint16_t *a, const void *b, int columns,
                                  XrPlanted fault) {
    auto kernel = columns == 64 ? values<8, 128> : columns == 96 ? values<12, 64> : values<16, 128>;
    XR_LAUNCH(kernel, 1, 128, 64 * (size_t)columns, NULL, d, a, (const unsigned char *)b, fault);
}
