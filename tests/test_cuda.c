// What the GPU computes outside of the table of operations (cuda/bpe.cu, image.cu, verify.cu): the
// same bits as the CPU, which tests/test_bpe.c, test_image.c and test_verify_points.c check against
// definitions.
#include "tests/support/test.h"

#ifdef XR_TEST_CUDA
#include "cuda/bpe.h"
#include "cuda/image.h"
#include "cuda/verify.h"
#include "shared/base/memory.h"
#include "shared/base/rng.h"

#include <math.h>
#include <stdlib.h>

static XrBackend *gpu;
static XrError err;

// The backend; skips the calling test, with the reason, where there is none.
static XrBackend *require_gpu(void) {
    if (!gpu && !err.message[0]) gpu = xr_cuda_create(0, XR_F32, 1, &err);
    if (!gpu) {
        print_message("no GPU: %s\n", err.message);
        skip();
    }
    return gpu;
}

static uint64_t drawn;

static uint32_t draw(uint32_t below) {
    uint32_t bits[4];
    xr_philox(5, 0, drawn++, bits);
    return bits[0] % below;
}

static void *on_gpu(const void *host, size_t bytes) {
    void *memory = gpu->alloc(gpu, bytes, "a test", &err);
    assert_non_null(memory);
    if (host) gpu->upload(gpu, memory, host, bytes);
    return memory;
}

// ---- byte-pair merging ----

static void random_rules(XrBpeTable *table, int letters, int count) {
    int32_t symbols = letters;
    xr_bpe_table_create(table, count);
    for (int i = 0; i < count; i++) {
        XrBpeMerge rule = {(int32_t)draw((uint32_t)symbols), (int32_t)draw((uint32_t)symbols),
                           (int32_t)draw(1000000), symbols};
        xr_bpe_table_add(table, rule);
        symbols++;
    }
}

static void check_merging(int letters, int rules) {
    static const int64_t LENGTHS[] = {0,   1, 2,   3,   31,  32,  33, 64, 127, 0,
                                      200, 1, 511, 512, 513, 900, 5,  17, 300, 40};
    enum { PIECES = XR_COUNT(LENGTHS) };
    XrBpeTable table;
    int64_t offsets[PIECES + 1] = {0};
    int32_t counts[PIECES], gpu_counts[PIECES];
    XrBpeScratch scratch = {0};
    random_rules(&table, letters, rules);
    for (int i = 0; i < PIECES; i++) offsets[i + 1] = offsets[i] + LENGTHS[i];
    size_t bytes = (size_t)offsets[PIECES] * sizeof(int32_t);
    int32_t *symbols = xr_malloc(bytes), *gpu_symbols = xr_malloc(bytes);
    for (int64_t i = 0; i < offsets[PIECES]; i++) symbols[i] = (int32_t)draw((uint32_t)letters);
    memcpy(gpu_symbols, symbols, bytes);
    XrCudaBpe *bpe = xr_cuda_bpe_create(gpu, &table, &err);
    assert_non_null(bpe);
    xr_cuda_bpe_merge(gpu, bpe, PIECES, offsets, gpu_symbols, gpu_counts);
    xr_cpu_bpe_merge(&table, PIECES, offsets, symbols, counts, &scratch);
    int merged = 0;
    for (int i = 0; i < PIECES; i++) {
        assert_int_equal(gpu_counts[i], counts[i]);
        assert_memory_equal(gpu_symbols + offsets[i], symbols + offsets[i],
                            (size_t)counts[i] * sizeof *symbols);
        merged += counts[i] < LENGTHS[i];
    }
    if (rules) assert_true(merged > 0);
    xr_cuda_bpe_free(gpu, bpe);
    xr_bpe_scratch_free(&scratch);
    xr_bpe_table_free(&table);
    free(symbols);
    free(gpu_symbols);
}

static void merges_as_the_cpu_does(void **state) {
    require_gpu();
    check_merging(4, 60);
    check_merging(3, 200);
    check_merging(1, 20); // many equal ranks
    check_merging(2, 0);
}

// ---- pictures ----

static void check_resampling(int in_width, int in_height, int width, int height,
                             XrResamplePrecision precision) {
    XrResampleAxis x, y;
    assert_true(xr_resample_axis(&x, in_width, width, precision, &err));
    assert_true(xr_resample_axis(&y, in_height, height, precision, &err));
    size_t in_bytes = (size_t)in_width * (size_t)in_height * 3;
    size_t mid_bytes = (size_t)width * (size_t)in_height * 3;
    size_t out_bytes = (size_t)width * (size_t)height * 3;
    uint8_t *in = xr_malloc(in_bytes), *mid = xr_malloc(mid_bytes), *out = xr_malloc(out_bytes);
    uint8_t *got = xr_malloc(out_bytes);
    for (size_t i = 0; i < in_bytes; i++) in[i] = (uint8_t)draw(256);
    assert_true(xr_cpu_resample_rows(mid, in, in_height, &x, NULL, &err));
    xr_cpu_resample_columns(out, mid, (int64_t)width * 3, &y, NULL);
    void *gpu_in = on_gpu(in, in_bytes), *gpu_mid = on_gpu(NULL, mid_bytes);
    void *gpu_out = on_gpu(NULL, out_bytes);
    xr_cuda_resample_rows(gpu, gpu_mid, gpu_in, in_height, &x);
    xr_cuda_resample_columns(gpu, gpu_out, gpu_mid, (int64_t)width * 3, &y);
    gpu->download(gpu, got, gpu_out, out_bytes);
    assert_memory_equal(got, out, out_bytes);
    void *device[] = {gpu_in, gpu_mid, gpu_out}, *host[] = {in, mid, out, got};
    for (size_t i = 0; i < XR_COUNT(device); i++) gpu->free(gpu, device[i]);
    for (size_t i = 0; i < XR_COUNT(host); i++) free(host[i]);
    xr_resample_axis_free(&x);
    xr_resample_axis_free(&y);
}

static void resizes_to_the_same_bytes(void **state) {
    require_gpu();
    check_resampling(61, 37, 28, 56, XR_RESAMPLE_PILLOW);
    check_resampling(30, 200, 84, 28, XR_RESAMPLE_TORCHVISION);
    check_resampling(1, 1, 28, 28, XR_RESAMPLE_PILLOW);
}

static void cuts_the_same_patches(void **state) {
    require_gpu();
    const XrPatchLayout layout = {.h = 4, .w = 6, .patch = 14, .merge = 2, .temporal = 2};
    enum { PIXELS = 4 * 14 * 6 * 14, VALUES = 4 * 6 * 3 * 2 * 14 * 14 };
    uint8_t *rgb = xr_malloc(PIXELS * 3);
    float table[768], *want = xr_malloc(VALUES * sizeof *want);
    float *got = xr_malloc(VALUES * sizeof *got);
    for (int i = 0; i < PIXELS * 3; i++) rgb[i] = (uint8_t)draw(256);
    for (int i = 0; i < 768; i++) table[i] = (float)i * 0.37f - 50;
    void *gpu_rgb = on_gpu(rgb, PIXELS * 3), *gpu_out = on_gpu(NULL, VALUES * sizeof *got);
    xr_cpu_patchify(want, rgb, table, &layout, NULL);
    xr_cuda_patchify(gpu, gpu_out, gpu_rgb, table, &layout);
    gpu->download(gpu, got, gpu_out, VALUES * sizeof *got);
    assert_memory_equal(got, want, VALUES * sizeof *got);
    gpu->free(gpu, gpu_rgb);
    gpu->free(gpu, gpu_out);
    free(rgb);
    free(want);
    free(got);
}

// ---- the verifier's programs ----

enum { POINTS = 75, PROGRAMS = 12, VARIABLES = 2 };

// f(x), (f(x) + c) / y, ... for each function, and x^y.
static int make_programs(XrVerifyStep *steps, int32_t *begins, bool real) {
    static const XrVerifyStep FUNCTIONS[] = {
        {XR_V_POWER, 7}, {XR_V_POWER, -3}, {XR_V_NEGATE, 0}, {XR_V_EXP, 0},
        {XR_V_LN, 0},    {XR_V_SIN, 0},    {XR_V_COS, 0},    {XR_V_ATAN, 0},
        {XR_V_ASIN, 0},  {XR_V_ROOT, 2},   {XR_V_ROOT, 3},
    };
    int count = real ? (int)XR_COUNT(FUNCTIONS) : 3, n = 0;
    for (int p = 0; p < count; p++) {
        begins[p] = n;
        steps[n++] = (XrVerifyStep){XR_V_VARIABLE, 0};
        steps[n++] = FUNCTIONS[p];
        steps[n++] = (XrVerifyStep){XR_V_CONSTANT, p % 2};
        steps[n++] = (XrVerifyStep){XR_V_ADD, 0};
        steps[n++] = (XrVerifyStep){XR_V_VARIABLE, 1};
        steps[n++] = (XrVerifyStep){XR_V_DIVIDE, 0};
    }
    if (real) {
        begins[count++] = n;
        steps[n++] = (XrVerifyStep){XR_V_VARIABLE, 0};
        steps[n++] = (XrVerifyStep){XR_V_VARIABLE, 1};
        steps[n++] = (XrVerifyStep){XR_V_RAISE, 0};
    }
    begins[count] = n;
    return count;
}

static void values_have_the_same_bits(void **state) {
    require_gpu();
    XrVerifyStep steps[PROGRAMS * 6];
    int32_t begins[PROGRAMS + 1];
    const double constants[] = {2, 0.1};
    static double at[POINTS * VARIABLES], value[2][PROGRAMS * POINTS], error[2][PROGRAMS * POINTS];
    int programs = make_programs(steps, begins, true);
    XrVerifyBatch batch = {steps, begins, programs, VARIABLES, POINTS, constants, NULL};
    for (int i = 0; i < POINTS * VARIABLES; i++) {
        at[i] = ldexp((double)draw(2000001) * 1e-6 - 1, (int)draw(20) - 10);
    }
    at[1] = 0; // a division by zero
    at[2] = -1;
    at[3] = 3;
    xr_verify_real(&batch, at, value[0], error[0]);
    xr_cuda_verify_real(gpu, &batch, at, value[1], error[1]);
    for (int i = 0; i < programs * POINTS; i++) { // NaNs may differ in their bits
        assert_true(isnan(value[0][i]) == isnan(value[1][i]));
        if (isnan(value[0][i])) continue;
        assert_memory_equal(&value[0][i], &value[1][i], sizeof(double));
        assert_memory_equal(&error[0][i], &error[1][i], sizeof(double));
    }
}

static void residues_are_the_same(void **state) {
    require_gpu();
    XrVerifyStep steps[PROGRAMS * 6];
    int32_t begins[PROGRAMS + 1];
    const uint64_t residues[] = {2, 1234567};
    static uint64_t at[POINTS * VARIABLES], value[2][PROGRAMS * POINTS];
    int programs = make_programs(steps, begins, false);
    XrVerifyBatch batch = {steps, begins, programs, VARIABLES, POINTS, NULL, residues};
    for (int bits = 31; bits <= 61; bits += 30) {
        uint64_t p = (UINT64_C(1) << bits) - 1;
        for (int i = 0; i < POINTS * VARIABLES; i++) {
            at[i] = ((uint64_t)draw(UINT32_MAX) << 32 | draw(UINT32_MAX)) % p;
        }
        at[1] = 0;
        at[2] = p - 1;
        xr_verify_modular(&batch, bits, at, value[0]);
        xr_cuda_verify_modular(gpu, &batch, bits, at, value[1]);
        assert_true(value[0][0] == XR_VERIFY_UNDEFINED);
        assert_memory_equal(value[0], value[1], (size_t)(programs * POINTS) * sizeof value[0][0]);
    }
}

static int free_gpu(void **state) {
    xr_backend_free(gpu);
    return 0;
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(merges_as_the_cpu_does), cmocka_unit_test(resizes_to_the_same_bytes),
        cmocka_unit_test(cuts_the_same_patches),  cmocka_unit_test(values_have_the_same_bits),
        cmocka_unit_test(residues_are_the_same),
    };
    xr_test_filter(argc, argv);
    return cmocka_run_group_tests(tests, NULL, free_gpu);
}

#else

static void needs_cuda(void **state) {
    print_message("built without XR_CUDA and XR_CUDA_EMULATION\n");
    skip();
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(needs_cuda)};
    xr_test_filter(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
#endif
