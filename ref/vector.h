// Vectors of floats for ref/*_kernels.c, as wide as the instruction set that the including file is
// compiled for. Everything is static, so that each object keeps its own copy (ref/isa.h).
#ifndef XR_REF_VECTOR_H
#define XR_REF_VECTOR_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(__x86_64__)
#include <immintrin.h> // defines: _mm512_fmadd_ps and its like
#elif defined(__aarch64__)
#include <arm_neon.h> // defines: vfmaq_f32
#endif

#if defined(__AVX512F__)
#define XR_LANES 16
#elif defined(__AVX2__)
#define XR_LANES 8
#else
#define XR_LANES 4
#endif

// In front of a loop of a constant, small number of rounds: unroll it whole, so that arrays of
// vectors indexed by its counter live in registers.
#if defined(__clang__)
#define XR_UNROLL _Pragma("clang loop unroll(full)")
#else
#define XR_UNROLL _Pragma("GCC unroll 16")
#endif
#define XR_INLINE static inline __attribute__((always_inline))

typedef float Vec __attribute__((vector_size(4 * XR_LANES)));
typedef int32_t VecI __attribute__((vector_size(4 * XR_LANES)));
typedef uint32_t VecU __attribute__((vector_size(4 * XR_LANES)));
typedef uint16_t VecHalf __attribute__((vector_size(2 * XR_LANES)));

static inline Vec vec_load(const float *p) {
    Vec v;
    memcpy(&v, p, sizeof v);
    return v;
}

static inline void vec_store(float *p, Vec v) {
    memcpy(p, &v, sizeof v);
}

// The first `count` floats at p, all where there are enough for a vector; other lanes are `fill`.
static inline Vec vec_load_some(const float *p, int64_t count, float fill) {
    if (count >= XR_LANES) return vec_load(p);
    float lanes[XR_LANES];
    for (int i = 0; i < XR_LANES; i++) lanes[i] = i < count ? p[i] : fill;
    return vec_load(lanes);
}

// Stores the first `count` lanes, all where there is room.
static inline void vec_store_some(float *p, int64_t count, Vec v) {
    memcpy(p, &v, count >= XR_LANES ? sizeof v : (size_t)count * sizeof *p);
}

static inline Vec vec_set(float x) {
    return x - (Vec){0};
}

// a b + c, rounded once where the instruction set can.
static inline Vec vec_fma(Vec a, Vec b, Vec c) {
#if defined(__AVX512F__)
    return (Vec)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
#elif defined(__AVX2__)
    return (Vec)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
#elif defined(__aarch64__)
    return (Vec)vfmaq_f32((float32x4_t)c, (float32x4_t)a, (float32x4_t)b);
#else
    return a * b + c;
#endif
}

// *sum += a b, in the place of *sum and in the order of the program. Compilers, where they choose,
// use the register of a factor for the sum, and in unrolled loops run out of registers.
#if defined(__AVX2__) && !defined(__AVX512F__)
#define XR_SUMS_STAY
#endif
static inline void vec_add_product(Vec *sum, Vec a, Vec b) {
#if defined(XR_SUMS_STAY)
    __asm__ volatile("vfmadd231ps %2, %1, %0" : "+x"(*sum) : "x"(a), "x"(b));
#else
    *sum = vec_fma(a, b, *sum);
#endif
}

// a where `mask` is set (all bits of a lane or none), otherwise b.
static inline Vec vec_choose(VecI mask, Vec a, Vec b) {
    return (Vec)((mask & (VecI)a) | (~mask & (VecI)b));
}

// The greater of two; b where they are not ordered.
static inline Vec vec_max(Vec a, Vec b) {
#if defined(__AVX512F__)
    return (Vec)_mm512_max_ps((__m512)a, (__m512)b);
#elif defined(__AVX2__)
    return (Vec)_mm256_max_ps((__m256)a, (__m256)b);
#else
    return vec_choose((VecI)(a > b), a, b);
#endif
}

// 0, 1, 2, ...
static inline VecI vec_lane_numbers(void) {
#if XR_LANES == 16
    return (VecI){0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
#elif XR_LANES == 8
    return (VecI){0, 1, 2, 3, 4, 5, 6, 7};
#else
    return (VecI){0, 1, 2, 3};
#endif
}

// With intrinsics where gcc 12 would convert by halves and put these together.
static inline Vec vec_from_bf16(VecHalf half) {
#if defined(__AVX512F__)
    return (Vec)_mm512_slli_epi32(_mm512_cvtepu16_epi32((__m256i)half), 16);
#elif defined(__AVX2__)
    return (Vec)_mm256_slli_epi32(_mm256_cvtepu16_epi32((__m128i)half), 16);
#else
    return (Vec)(__builtin_convertvector(half, VecU) << 16);
#endif
}

// Exact, subnormal halves too, whatever the setting for denormal floats.
static inline Vec vec_from_f16(VecHalf half) {
#if defined(__AVX512F__)
    return (Vec)_mm512_cvtph_ps((__m256i)half);
#elif defined(__F16C__)
    return (Vec)_mm256_cvtph_ps((__m128i)half);
#else
    VecU bits = __builtin_convertvector(half, VecU);
    VecU magnitude = bits & 0x7fff, sign = (bits & 0x8000) << 16;
    VecU large = (VecU)(magnitude >= 0x7c00), small = (VecU)(magnitude < 0x400);
    VecU normal = (magnitude << 13) + (112u << 23) + (large & (112u << 23));
    VecU tiny = (VecU)(__builtin_convertvector((VecI)magnitude, Vec) * 0x1p-24f);
    return (Vec)((small & tiny) | (~small & normal) | sign);
#endif
}

// Lanes are paired at distance XR_LANES/2, then half of that, down to 1: one order for all sums.
static inline float vec_sum(Vec v) {
    float lanes[XR_LANES];
    vec_store(lanes, v);
    for (int half = XR_LANES / 2; half > 0; half /= 2) {
        for (int i = 0; i < half; i++) lanes[i] += lanes[i + half];
    }
    return lanes[0];
}

// The greatest lane; which of NaN and numbers is not defined.
static inline float vec_greatest(Vec v) {
#if defined(__AVX512F__)
    return _mm512_reduce_max_ps((__m512)v);
#elif defined(__AVX2__)
    __m128 half =
        _mm_max_ps(_mm256_castps256_ps128((__m256)v), _mm256_extractf128_ps((__m256)v, 1));
    half = _mm_max_ps(half, _mm_movehl_ps(half, half));
    return _mm_cvtss_f32(_mm_max_ss(half, _mm_movehdup_ps(half)));
#else
    float lanes[XR_LANES];
    vec_store(lanes, v);
    for (int half = XR_LANES / 2; half > 0; half /= 2) {
        for (int i = 0; i < half; i++) {
            lanes[i] = lanes[i] > lanes[i + half] ? lanes[i] : lanes[i + half];
        }
    }
    return lanes[0];
#endif
}

// exp(x) for x <= 88, within 1 ulp; 0 below -87.3, where results would be denormal, and for
// -infinity. NaN stays NaN. x = n ln 2 + r with |r| <= ln 2 / 2; exp(r) is the Taylor polynomial
// to the seventh power with Cephes' coefficients (expf.c); 2^n goes into the exponent's bits.
static inline Vec vec_exp(Vec x) {
    const float round = 0x1.8p23f; // adding it leaves the nearest whole number in the low bits
    Vec shifted = vec_fma(x, vec_set(0x1.715476p0f), vec_set(round));
    Vec n = shifted - round;
    Vec r = vec_fma(n, vec_set(-0x1.62e4p-1f), x);
    r = vec_fma(n, vec_set(-0x1.7f7d1cp-20f), r);
    Vec p = vec_set(1.9875691500e-4f);
    p = vec_fma(p, r, vec_set(1.3981999507e-3f));
    p = vec_fma(p, r, vec_set(8.3334519073e-3f));
    p = vec_fma(p, r, vec_set(4.1665795894e-2f));
    p = vec_fma(p, r, vec_set(1.6666665459e-1f));
    p = vec_fma(p, r, vec_set(5.0000001201e-1f));
    p = vec_fma(p, r * r, r) + 1.0f;
    VecU exponent = (VecU)shifted << 23;
    VecI keep = ~(VecI)(x < -87.3f);
    return (Vec)((VecI)((VecU)p + exponent) & keep);
}

#endif
