// Element types on the GPU and access to memory. Kernels are templates on the element type alone:
// float, XrBf16 or XrHalf; they compute in float.
#ifndef XR_CUDA_TYPES_H
#define XR_CUDA_TYPES_H

#include "cuda/intrinsics.h"

struct XrBf16 {
    uint16_t bits;
};
struct XrHalf {
    uint16_t bits;
};

XR_DEVICE float xr_to_float(float x) {
    return x;
}

XR_DEVICE float xr_to_float(XrBf16 x) {
    return __uint_as_float((uint32_t)x.bits << 16);
}

XR_DEVICE float xr_to_float(XrHalf x) {
    return xr_device_half_to_float(x.bits);
}

// Rounds to nearest even.
XR_DEVICE void xr_assign(float &to, float x) {
    to = x;
}

XR_DEVICE void xr_assign(XrBf16 &to, float x) {
    to.bits = xr_device_float_to_bf16(x);
}

XR_DEVICE void xr_assign(XrHalf &to, float x) {
    to.bits = xr_device_float_to_half(x);
}

// Elements of one 16-byte access.
template <typename T> struct XrChunk { static constexpr int count = 16 / (int)sizeof(T); };

template <typename T> struct alignas(16) XrPack { T element[XrChunk<T>::count]; };

// Loads up to one chunk of elements from `from` on, `left` of which exist; the others become 0.
// `wide` says that the chunk is whole and aligned to 16 bytes; it is the same for all threads, so
// that the branch costs nothing, and the elements that a thread gets are the same either way.
template <typename T>
XR_DEVICE void xr_load_chunk(float out[XrChunk<T>::count], const T *from, int64_t left, bool wide) {
    if (wide) {
        XrPack<T> pack = *(const XrPack<T> *)from;
#pragma unroll
        for (int i = 0; i < XrChunk<T>::count; i++) out[i] = xr_to_float(pack.element[i]);
    } else {
#pragma unroll
        for (int i = 0; i < XrChunk<T>::count; i++) out[i] = i < left ? xr_to_float(from[i]) : 0.0f;
    }
}

template <typename T>
XR_DEVICE void xr_store_chunk(T *to, const float in[XrChunk<T>::count], int64_t left, bool wide) {
    if (wide) {
        XrPack<T> pack;
#pragma unroll
        for (int i = 0; i < XrChunk<T>::count; i++) xr_assign(pack.element[i], in[i]);
        *(XrPack<T> *)to = pack;
    } else {
#pragma unroll
        for (int i = 0; i < XrChunk<T>::count; i++) {
            if (i < left) xr_assign(to[i], in[i]);
        }
    }
}

#endif
