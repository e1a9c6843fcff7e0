// Vectors of weights of f32, bf16 or f16 as they lie in memory, for ref/*_kernels.c. Static, so
// that each object has the copy of its own instruction set (ref/isa.h).
#ifndef XR_REF_WEIGHTS_H
#define XR_REF_WEIGHTS_H

#include "ref/vector.h"
#include "shared/tensor/tensor.h" // defines: XrDType

// XR_LANES weights at element k of a row.
XR_INLINE Vec weights(const char *w, int64_t k, XrDType type) {
    if (type == XR_F32) return vec_load((const float *)(const void *)(w + 4 * k));
    VecHalf half;
    memcpy(&half, w + 2 * k, sizeof half);
    return type == XR_BF16 ? vec_from_bf16(half) : vec_from_f16(half);
}

// The same for the last `count` < XR_LANES of a row, zeros after them.
static inline Vec last_weights(const char *w, int64_t k, int64_t count, XrDType type) {
    char padded[sizeof(Vec)] = {0};
    size_t size = type == XR_F32 ? 4 : 2;
    memcpy(padded, w + (size_t)k * size, (size_t)count * size);
    return weights(padded, 0, type);
}

#endif
