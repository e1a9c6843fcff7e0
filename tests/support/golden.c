#include "tests/support/golden.h"

#include "shared/base/buffer.h"
#include "shared/base/memory.h"
#include "tests/support/test.h"

#include <math.h>
#include <stdlib.h>

XrGolden xr_golden_open(const char *name) {
    XrGolden golden;
    XrError err = {0};
    XrBuffer path = {0};
    xr_buffer_format(&path, "golden/%s", name);
    if (!xr_safetensors_open(&golden.files, xr_test_source(path.data), &err)) {
        fail_msg("%s", err.message);
    }
    xr_buffer_free(&path);
    return golden;
}

void xr_golden_close(XrGolden *golden) {
    xr_safetensors_close(golden->files);
    golden->files = NULL;
}

bool xr_golden_has(const XrGolden *golden, const char *name) {
    return xr_safetensors_find(golden->files, name) != NULL;
}

XrTensor xr_golden_tensor(const XrGolden *golden, const char *name, XrDType dtype) {
    XrTensor tensor = {0};
    XrError err = {0};
    if (!xr_safetensors_need(golden->files, name, dtype, -1, NULL, &tensor, &err)) {
        fail_msg("%s", err.message);
    }
    return tensor;
}

XrTensor xr_golden_of(const XrGolden *golden, const char *prefix, const char *name, XrDType dtype) {
    char full[256];
    snprintf(full, sizeof full, "%s/%s", prefix, name);
    return xr_golden_tensor(golden, full, dtype);
}

double xr_golden_number(const XrGolden *golden, const char *prefix, const char *name) {
    return *(const double *)xr_golden_of(golden, prefix, name, XR_F64).data;
}

int64_t xr_golden_whole(const XrGolden *golden, const char *prefix, const char *name) {
    return *(const int64_t *)xr_golden_of(golden, prefix, name, XR_I64).data;
}

static int compare_text(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

void xr_golden_each_case(const XrGolden *golden, const char *operation, XrGoldenCase *check,
                         void *context) {
    int count = xr_safetensors_count(golden->files), found = 0;
    size_t length = strlen(operation);
    char **cases = xr_calloc((size_t)count + 1, sizeof *cases);
    for (int i = 0; i < count; i++) {
        const char *name = xr_safetensors_at(golden->files, i)->name;
        if (strncmp(name, operation, length) != 0 || name[length] != '/') continue;
        const char *end = strchr(name + length + 1, '/');
        if (end) cases[found++] = xr_strndup(name, (size_t)(end - name));
    }
    qsort(cases, (size_t)found, sizeof *cases, compare_text);
    for (int i = 0; i < found; i++) {
        if (i == 0 || strcmp(cases[i - 1], cases[i]) != 0) check(context, golden, cases[i]);
    }
    for (int i = 0; i < found; i++) free(cases[i]);
    free(cases);
    if (found == 0) fail_msg("no golden case of %s", operation);
}

// The largest |expected|, and where |actual - expected| is largest (the first NaN counts as that).
static size_t worst(const float *actual, const float *expected, size_t count, double *scale) {
    size_t at = 0;
    double largest = -1;
    *scale = 0;
    for (size_t i = 0; i < count; i++) {
        double difference = fabs((double)actual[i] - (double)expected[i]);
        *scale = fmax(*scale, fabs((double)expected[i]));
        if (isnan(difference) && !isnan(largest)) {
            largest = difference;
            at = i;
        } else if (difference > largest) {
            largest = difference;
            at = i;
        }
    }
    return at;
}

double xr_relative_error(const float *actual, const float *expected, size_t count) {
    if (count == 0) return 0;
    double scale;
    size_t at = worst(actual, expected, count, &scale);
    double difference = fabs((double)actual[at] - (double)expected[at]);
    if (isnan(difference)) return INFINITY;
    if (difference == 0) return 0;
    return scale > 0 ? difference / scale : INFINITY;
}

void xr_assert_close(const char *stage, const XrTensor *actual, const XrTensor *expected,
                     double tolerance) {
    if (actual->dtype != XR_F32 || expected->dtype != XR_F32 || !xr_is_contiguous(actual) ||
        xr_numel(actual) != xr_numel(expected) ||
        actual->shape[actual->ndim - 1] != expected->shape[expected->ndim - 1]) {
        fail_msg("%s: is %s, expected %s", stage, xr_shape_text(actual), xr_shape_text(expected));
    }
    size_t count = (size_t)xr_numel(actual);
    const float *a = actual->data, *b = expected->data;
    double error = xr_relative_error(a, b, count), scale;
    if (error <= tolerance) return;
    size_t at = worst(a, b, count, &scale), width = (size_t)actual->shape[actual->ndim - 1];
    fail_msg(
        "%s %s: relative error %.3g, at most %.3g allowed; worst at row %zu, column %zu: %.9g, "
        "expected %.9g",
        stage, xr_shape_text(expected), error, tolerance, at / width, at % width, (double)a[at],
        (double)b[at]);
}

void xr_assert_same_ids(const char *stage, const int64_t *actual, size_t count,
                        const XrTensor *expected) {
    const int64_t *ids = expected->data;
    if (expected->dtype != XR_I64 || (size_t)xr_numel(expected) != count) {
        fail_msg("%s: %zu numbers, expected %s", stage, count, xr_shape_text(expected));
    }
    for (size_t i = 0; i < count; i++) {
        if (actual[i] == ids[i]) continue;
        fail_msg("%s: number %zu is %lld, expected %lld", stage, i, (long long)actual[i],
                 (long long)ids[i]);
    }
}
