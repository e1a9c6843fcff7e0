// Conversions between floating-point types against the compiler's own _Float16 and against the
// definition of bfloat16 (the upper half of a float, ties to even).
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

static void f16_to_f32_all(void **state) {
    for (uint32_t h = 0; h < 65536; h++) {
        uint16_t half = (uint16_t)h;
        _Float16 reference;
        memcpy(&reference, &half, 2);
        float expected = (float)reference, got = xr_f16_to_f32(half);
        if (isnan(expected))
            assert_true(isnan(got));
        else
            assert_int_equal(bits_of(got), bits_of(expected));
    }
}

// Every 257th float, and the neighbourhood of every half and of every border between two halves.
static void check_to_f16(uint32_t bits) {
    float value = float_of(bits);
    _Float16 reference = (_Float16)value;
    uint16_t expected, got = xr_f32_to_f16(value);
    memcpy(&expected, &reference, 2);
    if (isnan(value))
        assert_true((got & 0x7C00) == 0x7C00 && (got & 0x3FF));
    else
        assert_int_equal(got, expected);
}

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
