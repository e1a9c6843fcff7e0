#include "tests/support/op_values.h"

#include "shared/base/memory.h"
#include "shared/base/error.h"
#include "shared/base/rng.h"

#include <math.h>
#include <string.h>

// Keeps `bits` bits of the significand; numbers below the smallest normal one, 2^lowest, have the
// spacing of that one; numbers from 4 * 2^-lowest on are infinite.
static double round_significand(double value, int bits, int lowest) {
    if (value == 0 || !isfinite(value)) return value;
    int exponent;
    frexp(value, &exponent); // |value| in [2^(exponent-1), 2^exponent)
    if (exponent - 1 < lowest) exponent = lowest + 1;
    double unit = ldexp(1.0, exponent - bits);
    double rounded = nearbyint(value / unit) * unit;
    return fabs(rounded) < ldexp(4, -lowest) ? rounded : copysign(INFINITY, value);
}

double xr_round_to(XrDType dtype, double value) {
    switch (dtype) {
    case XR_F32:
        return (double)(float)value;
    case XR_BF16:
        return round_significand(value, 8, -126);
    case XR_F16:
        return round_significand(value, 11, -14);
    case XR_F64:
        return value;
    default:
        return nearbyint(value);
    }
}

// The bits of a number that f16 represents, from the definition of binary16.
static uint16_t f16_bits(double value) {
    uint16_t sign = signbit(value) ? 0x8000 : 0;
    value = fabs(value);
    if (isnan(value)) return sign | 0x7e00;
    if (value >= 65520) return sign | 0x7c00;
    if (value < 0x1p-14) return (uint16_t)(sign | (uint16_t)(value * 0x1p24));
    int exponent;
    double fraction = frexp(value, &exponent); // in [1/2, 1)
    return (uint16_t)(sign | ((exponent + 14) << 10) | (int)((fraction * 2 - 1) * 1024));
}

static double f16_value(uint16_t bits) {
    int exponent = bits >> 10 & 31, mantissa = bits & 1023;
    double value = exponent == 0    ? mantissa * 0x1p-24
                   : exponent == 31 ? (mantissa ? NAN : INFINITY)
                                    : ldexp(1024 + mantissa, exponent - 25);
    return bits & 0x8000 ? -value : value;
}

void xr_store(XrDType dtype, void *bytes, double value) {
    union {
        float f32;
        double f64;
        int32_t i32;
        int64_t i64;
        uint8_t u8;
        uint16_t u16;
        uint32_t u32;
    } out = {0};
    value = xr_round_to(dtype, value);
    switch (dtype) {
    case XR_F32:
        out.f32 = (float)value;
        break;
    case XR_BF16:
        out.f32 = (float)value;
        out.u16 = (uint16_t)(out.u32 >> 16);
        break;
    case XR_F16:
        out.u16 = f16_bits(value);
        break;
    case XR_F64:
        out.f64 = value;
        break;
    case XR_I32:
        out.i32 = (int32_t)value;
        break;
    case XR_I64:
        out.i64 = (int64_t)value;
        break;
    case XR_U8:
        out.u8 = (uint8_t)value;
        break;
    }
    memcpy(bytes, &out, xr_dtype_size(dtype));
}

double xr_load(XrDType dtype, const void *bytes) {
    union {
        float f32;
        double f64;
        int32_t i32;
        int64_t i64;
        uint8_t u8;
        uint16_t u16;
        uint32_t u32;
    } in = {0};
    memcpy(&in, bytes, xr_dtype_size(dtype));
    switch (dtype) {
    case XR_F32:
        return (double)in.f32;
    case XR_BF16:
        in.u32 = (uint32_t)in.u16 << 16;
        return (double)in.f32;
    case XR_F16:
        return f16_value(in.u16);
    case XR_F64:
        return in.f64;
    case XR_I32:
        return in.i32;
    case XR_I64:
        return (double)in.i64;
    case XR_U8:
        return in.u8;
    }
    XR_BUG("element type %d", (int)dtype);
}

double xr_noise(const char *name, int64_t i) {
    uint64_t stream = 0;
    for (const char *c = name; *c; c++) stream = stream * 131 + (unsigned char)*c;
    uint32_t bits[4];
    xr_philox(1, stream, (uint64_t)i, bits);
    return (double)bits[0] * 0x1p-32;
}

float *xr_test_numbers(int64_t count) {
    float *x = xr_alloc_aligned((size_t)count * sizeof *x);
    for (int64_t i = 0; i < count; i++) x[i] = (float)(2 * xr_noise("numbers", i + count) - 1);
    return x;
}
