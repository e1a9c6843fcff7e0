// Instructions whose operands are spread over the lanes of a warp (PTX ISA, "Warp level matrix
// instructions"), and number formats.
#include "cuda/emulation/block.h"
#include "cuda/emulation/memory.h"

// Sign, then: a subnormal is its mantissa times 2^-24; infinity and NaN keep their exponent.
float xr_device_half_to_float(uint16_t bits) {
    uint32_t sign = (uint32_t)(bits & 0x8000u) << 16, magnitude = bits & 0x7fffu;
    if (magnitude < 0x400u) {
        float value = (float)magnitude * 0x1p-24f;
        return sign ? -value : value;
    }
    uint32_t exponent = magnitude >= 0x7c00u ? 224u : 112u;
    return __uint_as_float(sign | ((magnitude << 13) + (exponent << 23)));
}

uint16_t xr_device_float_to_half(float x) {
    uint16_t sign = (uint16_t)(__float_as_uint(x) >> 16 & 0x8000u);
    float size = fabsf(x);
    if (x != x) return 0x7fff;
    if (size >= 65520.0f) return (uint16_t)(sign | 0x7c00u);
    if (size < 0x1p-14f) return (uint16_t)(sign | (uint16_t)nearbyintf(size * 0x1p24f));
    uint32_t bits = __float_as_uint(size);
    bits += 0xfffu + (bits >> 13 & 1);
    return (uint16_t)(sign | (uint16_t)((bits >> 13) - (112u << 10)));
}

void xr_combine_ballot(const void *const in[32], void *const out[32]) {
    uint32_t bits = 0;
    for (int lane = 0; lane < 32; lane++) bits |= (uint32_t) * (const bool *)in[lane] << lane;
    for (int lane = 0; lane < 32; lane++) *(uint32_t *)out[lane] = bits;
}

// Element `half` (0: low) of a register of two bf16.
static float bf16_of(uint32_t pair, int half) {
    return __uint_as_float(half ? pair & 0xffff0000u : pair << 16);
}

// Products of bf16 are exact in f32; they are added in double and rounded once. (A tensor core adds
// in an order and precision of its own, not documented.)
void xr_combine_mma(const void *const in[32], void *const out[32]) {
    float a[16][16], b[16][8], d[16][8];
    for (int lane = 0; lane < 32; lane++) {
        const XrMma *m = (const XrMma *)in[lane];
        int g = lane / 4, t = lane % 4;
        for (int i = 0; i < 4; i++) {
            for (int h = 0; h < 2; h++) {
                a[g + i % 2 * 8][2 * t + i / 2 * 8 + h] = bf16_of(m->a[i], h);
                if (i < 2) b[2 * t + i * 8 + h][g] = bf16_of(m->b[i], h);
            }
            d[g + i / 2 * 8][2 * t + i % 2] = m->d[i];
        }
    }
    for (int row = 0; row < 16; row++) {
        for (int column = 0; column < 8; column++) {
            double sum = (double)d[row][column];
            for (int k = 0; k < 16; k++) sum += (double)a[row][k] * (double)b[k][column];
            d[row][column] = (float)sum;
        }
    }
    for (int lane = 0; lane < 32; lane++) {
        int g = lane / 4, t = lane % 4;
        for (int i = 0; i < 4; i++) ((float *)out[lane])[i] = d[g + i / 2 * 8][2 * t + i % 2];
    }
}

static void combine_matrices(const void *const in[32], void *const out[32], bool transposed) {
    for (int lane = 0; lane < 32; lane++) {
        for (int m = 0; m < 4; m++) {
            uint16_t pair[2];
            for (int h = 0; h < 2; h++) {
                int row = transposed ? 2 * (lane % 4) + h : lane / 4;
                int column = transposed ? lane / 4 : 2 * (lane % 4) + h;
                const char *from = *(const char *const *)in[8 * m + row];
                memcpy(&pair[h], from + 2 * column, 2);
            }
            ((uint32_t *)out[lane])[m] = pair[0] | (uint32_t)pair[1] << 16;
        }
    }
}

static void combine_straight(const void *const in[32], void *const out[32]) {
    combine_matrices(in, out, false);
}

static void combine_transposed(const void *const in[32], void *const out[32]) {
    combine_matrices(in, out, true);
}

void xr_emulation_load_matrices(uint32_t out[4], const void *row, bool transposed, XrSite site) {
    if ((uintptr_t)row % 16) {
        xr_emulation_error("%s at %s:%d: a row is not aligned to 16 bytes", site.operation,
                           site.file, site.line);
    }
    xr_emulation_access(row, 16, false);
    xr_emulation_collective(site, &row, out, transposed ? combine_transposed : combine_straight);
}
