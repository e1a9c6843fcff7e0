// Squares of floats transposed through registers, for ref/*_kernels.c. Static, so that each object
// has the copy of its own instruction set (ref/isa.h).
#ifndef XR_REF_TRANSPOSE_H
#define XR_REF_TRANSPOSE_H

#include "ref/vector.h"

#if defined(__AVX2__)
enum { SQUARE = 8 };

// to[i * to_stride + j] = from[j * from_stride + i] for i, j < SQUARE, in the order of i.
XR_INLINE void transpose_square(float *to, int64_t to_stride, const float *from,
                                int64_t from_stride) {
    __m256 r[8], s[8]; // rows, and pairs of rows merged
    XR_UNROLL for (int i = 0; i < 8; i++) r[i] = _mm256_loadu_ps(from + i * from_stride);
    XR_UNROLL for (int i = 0; i < 8; i += 2) { // pairs of rows, then pairs of pairs
        s[i] = _mm256_unpacklo_ps(r[i], r[i + 1]);
        s[i + 1] = _mm256_unpackhi_ps(r[i], r[i + 1]);
    }
    XR_UNROLL for (int i = 0; i < 8; i += 4) {
        r[i] = _mm256_shuffle_ps(s[i], s[i + 2], 0x44);
        r[i + 1] = _mm256_shuffle_ps(s[i], s[i + 2], 0xEE);
        r[i + 2] = _mm256_shuffle_ps(s[i + 1], s[i + 3], 0x44);
        r[i + 3] = _mm256_shuffle_ps(s[i + 1], s[i + 3], 0xEE);
    }
    XR_UNROLL for (int i = 0; i < 4; i++) {
        _mm256_storeu_ps(to + i * to_stride, _mm256_permute2f128_ps(r[i], r[i + 4], 0x20));
    }
    XR_UNROLL for (int i = 0; i < 4; i++) {
        _mm256_storeu_ps(to + (i + 4) * to_stride, _mm256_permute2f128_ps(r[i], r[i + 4], 0x31));
    }
}
#elif defined(__x86_64__)
enum { SQUARE = 4 };

XR_INLINE void transpose_square(float *to, int64_t to_stride, const float *from,
                                int64_t from_stride) {
    __m128 r[4];
    for (int i = 0; i < 4; i++) r[i] = _mm_loadu_ps(from + i * from_stride);
    _MM_TRANSPOSE4_PS(r[0], r[1], r[2], r[3]);
    for (int i = 0; i < 4; i++) _mm_storeu_ps(to + i * to_stride, r[i]);
}
#else
enum { SQUARE = 1 };

XR_INLINE void transpose_square(float *to, int64_t to_stride, const float *from,
                                int64_t from_stride) {
    *to = *from;
}
#endif

#endif
