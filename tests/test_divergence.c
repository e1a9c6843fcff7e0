// The CUDA backend's debug mode (cuda/divergence.cu): operations that are right pass, and one that
// is wrong is named, with where. The operations' own tests run under it as well
// (tests/CMakeLists.txt).
#include "tests/support/test.h"

#include "cuda/divergence.h"
#include "shared/base/memory.h"
#include "shared/tensor/convert.h"
#include "tests/support/faults.h"

#include <stdlib.h>

enum { ROWS = 3, WIDTH = 5 };

static XrBackend *gpu;
static const XrOps *right;
static XrOps wrong; // the table with one operation replaced

static int open_gpu(void **state) {
    XrError err;
    unsetenv("XR_CUDA_CHECK");
    gpu = xr_cuda_create(0, XR_F32, 1, &err);
    if (!gpu) return -1;
    right = gpu->ops;
    return 0;
}

static int close_gpu(void **state) {
    xr_backend_free(gpu);
    return 0;
}

static XrTensor numbers(int64_t rows, int64_t columns) {
    XrTensor t;
    XrError err;
    int64_t shape[] = {rows, columns};
    assert_true(xr_tensor_alloc(gpu, &t, XR_F32, columns ? 2 : 1, shape, "a test", &err));
    float *host = xr_malloc(xr_nbytes(&t));
    for (int64_t i = 0; i < xr_numel(&t); i++) host[i] = (float)(i * 7 % 11) - 4.5f;
    xr_upload(gpu, &t, host);
    free(host);
    return t;
}

// rmsnorm of [3,5] numbers, under the mode.
static void normalise(void) {
    XrTensor y = numbers(ROWS, WIDTH), x = numbers(ROWS, WIDTH), w = numbers(WIDTH, 0);
    xr_cuda_find_divergence(gpu, 1);
    xr_rmsnorm(gpu, &y, NULL, &x, &w, 1e-6f);
    xr_rmsnorm(gpu, &x, NULL, &x, &w, 1e-6f); // in place
    xr_cuda_end_divergence(gpu);
    xr_tensor_free(gpu, &y);
    xr_tensor_free(gpu, &x);
    xr_tensor_free(gpu, &w);
}

static void what_agrees_passes(void **state) {
    normalise();
    assert_ptr_equal(gpu->ops, right);
}

static void overwrite(const XrTensor *t, int64_t row, int64_t column, float value) {
    gpu->upload(gpu, (float *)t->data + row * t->row_stride + column, &value, sizeof value);
}

static void one_element(XrBackend *b, const XrTensor *y, const XrTensor *rstd, const XrTensor *x,
                        const XrTensor *w, float eps) {
    right->rmsnorm(b, y, rstd, x, w, eps);
    overwrite(y, 1, 3, 77);
}

static void nothing(XrBackend *b, const XrTensor *y, const XrTensor *rstd, const XrTensor *x,
                    const XrTensor *w, float eps) {
}

static void spoils_input(XrBackend *b, const XrTensor *y, const XrTensor *rstd, const XrTensor *x,
                         const XrTensor *w, float eps) {
    right->rmsnorm(b, y, rstd, x, w, eps);
    overwrite(x, 2, 0, -9);
}

static void run_wrong(void (*rmsnorm)(XrBackend *, const XrTensor *, const XrTensor *,
                                      const XrTensor *, const XrTensor *, float)) {
    wrong = *right;
    wrong.rmsnorm = rmsnorm;
    gpu->ops = &wrong;
    normalise();
}

static void fault_one_element(void) {
    run_wrong(one_element);
}
static void fault_nothing(void) {
    run_wrong(nothing);
}
static void fault_spoils_input(void) {
    run_wrong(spoils_input);
}

static void wrong_operations_are_named(void **state) {
    xr_test_finds(fault_one_element, "operation 1, rmsnorm, differs from the CPU's: y f32[3,5] at "
                                     "[1,3] is 77, on the CPU ");
    xr_test_finds(fault_one_element, "1 of 15 elements are beyond it; arguments: y f32[3,5], "
                                     "x f32[3,5], w f32[5]");
    xr_test_finds(fault_nothing, "of 15 elements are beyond it");
    xr_test_finds(fault_spoils_input, "x f32[3,5] at [2,0] is -9");
}

// Parts of one call have names of their own.
static void wrong_part(XrBackend *b, XrLinears parts, const XrTensor *x) {
    right->linears(b, parts, x);
    overwrite(parts.part[1].y, 2, 1, 50);
}

static void run_parts(void) {
    XrTensor x = numbers(ROWS, WIDTH), w = numbers(7, WIDTH), bias = numbers(2, 0);
    XrTensor first = numbers(ROWS, 7), second = numbers(ROWS, 2), narrow = xr_rows(&w, 3, 2);
    xr_cuda_find_divergence(gpu, 1);
    xr_linears(gpu, (XrLinears){2, {{&first, &w, NULL}, {&second, &narrow, &bias}}}, &x);
    xr_cuda_end_divergence(gpu);
    XrTensor *all[] = {&x, &w, &bias, &first, &second};
    for (size_t i = 0; i < XR_COUNT(all); i++) xr_tensor_free(gpu, all[i]);
}

static void fault_in_a_part(void) {
    wrong = *right;
    wrong.linears = wrong_part;
    gpu->ops = &wrong;
    run_parts();
}

static void wrong_parts_are_named(void **state) {
    run_parts();
    assert_ptr_equal(gpu->ops, right);
    xr_test_finds(fault_in_a_part, "linears, differs from the CPU's: y1 f32[3,2] at [2,1] is 50");
    xr_test_finds(fault_in_a_part, "arguments: y0 f32[3,7], w0 f32[7,5], y1 f32[3,2], "
                                   "w1 f32[2,5], bias1 f32[2], x f32[3,5]");
}

// Keys and values have another layout on each backend.
static void wrong_write(XrBackend *b, const XrKvCache *cache, const XrTensor *k, const XrTensor *v,
                        const XrTensor *slots) {
    right->kv_write(b, cache, v, k, slots); // exchanged
}

static void fault_in_the_cache(void) {
    XrError err;
    XrKvCache cache = {.pages = 2, .kv_heads = 1, .head_dim = WIDTH, .dtype = XR_F32};
    cache.data = gpu->alloc(gpu, 2 * gpu->kv_page_bytes(gpu, XR_F32, 1, WIDTH), "cache", &err);
    XrTensor k = numbers(ROWS, WIDTH), v = numbers(ROWS + 1, WIDTH), slots;
    XrTensor later = xr_rows(&v, 1, ROWS);
    int32_t places[] = {40, 0, 33};
    assert_true(xr_tensor_alloc(gpu, &slots, XR_I32, 1, (int64_t[]){ROWS}, "slots", &err));
    xr_upload(gpu, &slots, places);
    wrong = *right;
    wrong.kv_write = wrong_write;
    gpu->ops = &wrong;
    xr_cuda_find_divergence(gpu, 1);
    xr_kv_write(gpu, &cache, &k, &later, &slots);
}

static void wrong_caches_are_named(void **state) {
    xr_test_finds(fault_in_the_cache, "kv_write, differs from the CPU's: cached keys f32[3,5] at");
}

// Attention in bf16 whose values, +-100, all but cancel: rounded weights leave errors that are
// large beside what is left, and no larger than values of that size must have.
enum { TOKENS = 61, DIM = 16 };

static XrTensor rounded(float size, int period, int signs) {
    XrTensor t;
    XrError err;
    uint16_t host[TOKENS * DIM];
    assert_true(xr_tensor_alloc(gpu, &t, XR_BF16, 2, (int64_t[]){TOKENS, DIM}, "a test", &err));
    for (int i = 0; i < TOKENS * DIM; i++) {
        float value = size * (1 + (float)(i * 7 % period) / (float)(16 * period));
        host[i] = xr_f32_to_bf16(i / DIM * signs % 2 ? -value : value);
    }
    xr_upload(gpu, &t, host);
    return t;
}

static void attend(void) {
    XrError err;
    XrTensor q = rounded(1, 11, 1), k = rounded(1, 13, 0), v = rounded(100, 17, 1);
    XrTensor out = rounded(0, 1, 0), cu;
    assert_true(xr_tensor_alloc(gpu, &cu, XR_I32, 1, (int64_t[]){2}, "a test", &err));
    xr_upload(gpu, &cu, (int32_t[]){0, TOKENS});
    xr_cuda_find_divergence(gpu, 1);
    xr_attention(gpu, &out, NULL, &q, &k, &v, (XrSegments){&cu, TOKENS},
                 (XrHeads){1, 1, DIM, 0.25f, true});
    xr_cuda_end_divergence(gpu);
    XrTensor *all[] = {&q, &k, &v, &out, &cu};
    for (size_t i = 0; i < XR_COUNT(all); i++) xr_tensor_free(gpu, all[i]);
}

static void what_cancels_passes(void **state) {
    attend();
    assert_ptr_equal(gpu->ops, right);
}

static void one_value(XrBackend *b, const XrTensor *out, const XrTensor *lse, const XrTensor *q,
                      const XrTensor *k, const XrTensor *v, XrSegments segments, XrHeads heads) {
    right->attention(b, out, lse, q, k, v, segments, heads);
    uint16_t five;
    gpu->download(gpu, &five, (uint16_t *)out->data + 60 * DIM + 2, sizeof five);
    five = xr_f32_to_bf16(xr_bf16_to_f32(five) + 5);
    gpu->upload(gpu, (uint16_t *)out->data + 60 * DIM + 2, &five, sizeof five);
}

static void fault_in_attention(void) {
    wrong = *right;
    wrong.attention = one_value;
    gpu->ops = &wrong;
    attend();
}

static void wrong_sums_are_named(void **state) {
    xr_test_finds(fault_in_attention,
                  "attention, differs from the CPU's: out bf16[61,16] at [60,2]");
    xr_test_finds(fault_in_attention, "1 of 976 elements are beyond it");
}

static void the_environment_turns_it_on(void **state) {
    XrError err;
    setenv("XR_CUDA_CHECK", "2.5", 1);
    XrBackend *b = xr_cuda_create(0, XR_F32, 1, &err);
    assert_non_null(b);
    assert_ptr_not_equal(b->ops, right);
    assert_false(b->graph_begin(b)); // every operation is carried out by itself
    xr_backend_free(b);
    const char *const bad[] = {"yes", "0", "-1", "1x", "nan"};
    for (size_t i = 0; i < XR_COUNT(bad); i++) {
        setenv("XR_CUDA_CHECK", bad[i], 1);
        assert_null(xr_cuda_create(0, XR_F32, 1, &err));
        assert_non_null(strstr(err.message, "XR_CUDA_CHECK"));
    }
    unsetenv("XR_CUDA_CHECK");
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_agrees_passes),          cmocka_unit_test(wrong_operations_are_named),
        cmocka_unit_test(wrong_parts_are_named),       cmocka_unit_test(wrong_caches_are_named),
        cmocka_unit_test(what_cancels_passes),         cmocka_unit_test(wrong_sums_are_named),
        cmocka_unit_test(the_environment_turns_it_on),
    };
    xr_test_filter(argc, argv);
    return cmocka_run_group_tests(tests, open_gpu, close_gpu);
}
