#include "shared/tensor/convert.h"

#include "shared/base/error.h"
#include "shared/base/memory.h"

#include <string.h>

uint16_t xr_f32_to_bf16(float value) {
    uint32_t u;
    memcpy(&u, &value, 4);
    if ((u & 0x7FFFFFFF) > 0x7F800000) return (uint16_t)(u >> 16 | 0x40); // quiet NaN
    return (uint16_t)((u + 0x7FFF + (u >> 16 & 1)) >> 16);
}

float xr_f16_to_f32(uint16_t h) {
    uint32_t sign = (uint32_t)(h & 0x8000) << 16, exponent = h >> 10 & 31, fraction = h & 0x3FF, u;
    float value;
    if (exponent == 0) { // zero and subnormal numbers: fraction * 2^-24
        value = (float)fraction * 0x1p-24f;
        return sign ? -value : value;
    }
    if (exponent == 31)
        u = sign | 0x7F800000 | fraction << 13;
    else
        u = sign | (exponent + 112) << 23 | fraction << 13;
    memcpy(&value, &u, 4);
    return value;
}

uint16_t xr_f32_to_f16(float value) {
    uint32_t u;
    memcpy(&u, &value, 4);
    uint32_t sign = u >> 16 & 0x8000, magnitude = u & 0x7FFFFFFF;
    if (magnitude > 0x7F800000) return (uint16_t)(sign | 0x7E00);
    if (magnitude >= 0x477FF000) return (uint16_t)(sign | 0x7C00); // rounds beyond 65504
    if (magnitude < 0x38800000) {                                  // below 2^-14: subnormal
        float scaled;
        memcpy(&scaled, &magnitude, 4);
        // Adding 2^23 * 2^-24 leaves the rounded multiple of 2^-24 in the low bits.
        scaled += 0.5f;
        uint32_t bits;
        memcpy(&bits, &scaled, 4);
        return (uint16_t)(sign | (bits - 0x3F000000));
    }
    uint32_t rounded = magnitude + 0xFFF + (magnitude >> 13 & 1);
    return (uint16_t)(sign | ((rounded >> 13) - (112u << 10)));
}

static float load(const char *from, XrDType type) {
    uint16_t half;
    float value;
    if (type == XR_F32) {
        memcpy(&value, from, 4);
        return value;
    }
    memcpy(&half, from, 2);
    return type == XR_BF16 ? xr_bf16_to_f32(half) : xr_f16_to_f32(half);
}

void xr_convert(void *to, XrDType to_type, const void *from, XrDType from_type, int64_t count) {
    XR_REQUIRE(to_type <= XR_F16 && from_type <= XR_F16, "convert from %s to %s",
               xr_dtype_name(from_type), xr_dtype_name(to_type));
    size_t step = xr_dtype_size(from_type);
    if (to_type == from_type) {
        memcpy(to, from, (size_t)count * step);
        return;
    }
    const char *source = from;
    for (int64_t i = 0; i < count; i++, source += step) {
        float value = load(source, from_type);
        if (to_type == XR_F32)
            ((float *)to)[i] = value;
        else
            ((uint16_t *)to)[i] = to_type == XR_BF16 ? xr_f32_to_bf16(value) : xr_f32_to_f16(value);
    }
}

typedef struct Conversion {
    char *to;
    const char *from;
    XrDType to_type, from_type;
} Conversion;

static void convert_piece(void *context, int64_t begin, int64_t end, int thread) {
    const Conversion *c = context;
    xr_convert(c->to + (size_t)begin * xr_dtype_size(c->to_type), c->to_type,
               c->from + (size_t)begin * xr_dtype_size(c->from_type), c->from_type, end - begin);
}

void xr_convert_parallel(XrThreads *threads, void *to, XrDType to_type, const void *from,
                         XrDType from_type, int64_t count) {
    Conversion conversion = {to, from, to_type, from_type};
    xr_parallel(threads, count, 1 << 20, convert_piece, &conversion);
}
