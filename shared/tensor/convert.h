// Between floating-point types, on the host.
#ifndef XR_TENSOR_CONVERT_H
#define XR_TENSOR_CONVERT_H

#include "shared/base/thread.h"
#include "shared/tensor/tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

// to[i] = from[i], rounded to nearest even where `to_type` is narrower. Types are f32, bf16, f16;
// `from` need not be aligned.
void xr_convert(void *to, XrDType to_type, const void *from, XrDType from_type, int64_t count);
// The same, split over threads.
void xr_convert_parallel(XrThreads *threads, void *to, XrDType to_type, const void *from,
                         XrDType from_type, int64_t count);

static inline float xr_bf16_to_f32(uint16_t bits) {
    union {
        uint32_t u;
        float f;
    } value = {.u = (uint32_t)bits << 16};
    return value.f;
}

uint16_t xr_f32_to_bf16(float value);
float xr_f16_to_f32(uint16_t bits);
uint16_t xr_f32_to_f16(float value);

#ifdef __cplusplus
}
#endif

#endif
