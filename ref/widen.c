#include "ref/widen.h"

#include "shared/base/error.h"

#include <string.h>

static float from_bits(uint32_t bits) {
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

// Sign, then: a subnormal is its mantissa times 2^-24; otherwise the exponent is rebiased, once
// more for infinity and NaN. Integer arithmetic and an exact product, so that flushing denormals
// does not matter.
static float from_f16(uint16_t half) {
    uint32_t magnitude = half & 0x7fffu, sign = (uint32_t)(half & 0x8000u) << 16;
    uint32_t bits = (magnitude << 13) + (112u << 23);
    if (magnitude >= 0x7c00u) bits += 112u << 23;
    float value = magnitude < 0x400u ? (float)magnitude * 0x1p-24f : from_bits(bits);
    uint32_t result;
    memcpy(&result, &value, sizeof result);
    return from_bits(result | sign);
}

void xr_cpu_widen(float *out, const XrTensor *from, int64_t first, int64_t count) {
    size_t size = xr_dtype_size(from->dtype);
    const char *bytes = (const char *)from->data + (size_t)first * size;
    if (from->dtype == XR_F32) {
        if (count) memcpy(out, bytes, (size_t)count * size);
        return;
    }
    XR_REQUIRE(from->dtype == XR_BF16 || from->dtype == XR_F16, "weights of type %s",
               xr_dtype_name(from->dtype));
    for (int64_t i = 0; i < count; i++) {
        uint16_t half;
        memcpy(&half, bytes + 2 * i, sizeof half);
        out[i] = from->dtype == XR_BF16 ? from_bits((uint32_t)half << 16) : from_f16(half);
    }
}

void xr_cpu_require_f32(const XrTensor *t, const char *operation) {
    XR_REQUIRE(!t || t->dtype == XR_F32, "%s: activations %s; the CPU takes f32", operation,
               xr_shape_text(t));
}
