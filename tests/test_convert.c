// Conversions between floating-point types against the definitions, in double: a half is (-1)^s
// 2^(e-25) (1024 + f), or f 2^-24 where e is 0; bfloat16 is the upper half of a float; ties go to
// even.
#include "tests/support/test.h"

#include "shared/base/memory.h"
#include "shared/tensor/convert.h"

#include <math.h>
#include <stdlib.h>

static uint32_t bits_of(float value) {
    uint32_t bits;
    memcpy(&bits, &value, 4);
    return bits;
}

static float float_of(uint32_t bits) {
    float value;
    memcpy(&value, &bits, 4);
    return value;
}

static double half_value(uint32_t h) {
    int exponent = (int)(h >> 10 & 31), fraction = (int)(h & 1023);
    double size = exponent ? ldexp(1024 + fraction, exponent - 25) : ldexp(fraction, -24);
    return h & 0x8000 ? -size : size;
}

static void f16_to_f32_all(void **state) {
    for (uint32_t h = 0; h < 65536; h++) {
        float got = xr_f16_to_f32((uint16_t)h);
        if ((h & 0x7C00) == 0x7C00) {
            assert_true(h & 0x3FF ? isnan(got) : isinf(got));
            assert_int_equal(bits_of(got) >> 31, h >> 15);
        } else {
            assert_int_equal(bits_of(got), bits_of((float)half_value(h)));
        }
    }
}

// The nearest half of a finite float, by its spacing there; rounding to even is nearbyint's.
static uint32_t nearest_half(float value) {
    double size = fabs((double)value), spacing = ldexp(1, -24);
    if (size >= ldexp(1, -14)) spacing = ldexp(1, ilogb(size) - 10);
    double rounded = nearbyint(size / spacing) * spacing;
    uint32_t sign = bits_of(value) >> 16 & 0x8000;
    if (rounded > 65504) return sign | 0x7C00;
    if (rounded < ldexp(1, -14)) return sign | (uint32_t)(rounded * 0x1p24);
    int exponent = ilogb(rounded);
    return sign | (uint32_t)(exponent + 15) << 10 |
           ((uint32_t)ldexp(rounded, 10 - exponent) & 1023);
}

static void check_to_f16(uint32_t bits) {
    float value = float_of(bits);
    uint16_t got = xr_f32_to_f16(value);
    if (isnan(value))
        assert_true((got & 0x7C00) == 0x7C00 && (got & 0x3FF));
    else if (isinf(value))
        assert_int_equal(got, (bits >> 16 & 0x8000) | 0x7C00);
    else
        assert_int_equal(got, nearest_half(value));
}

// Every 8,192nd float, and the neighbourhood of every border between two halves.
static void f32_to_f16_many(void **state) {
    for (uint64_t u = 0; u < 1ull << 32; u += 65537 / 8) check_to_f16((uint32_t)u);
    for (uint32_t h = 0; h < 0x7C00; h++) {
        float a = xr_f16_to_f32((uint16_t)h), b = xr_f16_to_f32((uint16_t)(h + 1));
        uint32_t middle = bits_of(isinf(b) ? 65520.0f : 0.5f * (a + b));
        for (uint32_t d = 0; d < 3; d++) {
            check_to_f16(middle - 1 + d);
            check_to_f16((middle - 1 + d) | 0x80000000u);
        }
    }
}

static void f32_to_bf16_rounds_to_even(void **state) {
    for (uint64_t u = 0; u < 1ull << 32; u += 4093) {
        uint32_t bits = (uint32_t)u;
        float value = float_of(bits);
        uint16_t got = xr_f32_to_bf16(value);
        if (isnan(value)) {
            assert_true(isnan(xr_bf16_to_f32(got)));
            continue;
        }
        uint32_t low = bits & 0xFFFF, up = bits >> 16;
        uint32_t expected = low > 0x8000 || (low == 0x8000 && (up & 1)) ? up + 1 : up;
        assert_int_equal(got, expected);
    }
}

static void parallel_equals_serial(void **state) {
    enum { N = 3000001 };
    float *from = xr_malloc(sizeof *from * N);
    uint16_t *serial = xr_malloc(2 * N), *parallel = xr_malloc(2 * N);
    for (int i = 0; i < N; i++) from[i] = sinf((float)i) * 100;
    xr_convert(serial, XR_BF16, from, XR_F32, N);
    XrThreads *threads = xr_threads_create(3);
    xr_convert_parallel(threads, parallel, XR_BF16, from, XR_F32, N);
    assert_memory_equal(serial, parallel, 2 * N);
    xr_threads_free(threads);
    free(from);
    free(serial);
    free(parallel);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(f16_to_f32_all),
        cmocka_unit_test(f32_to_f16_many),
        cmocka_unit_test(f32_to_bf16_rounds_to_even),
        cmocka_unit_test(parallel_equals_serial),
    };
    xr_test_filter(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
