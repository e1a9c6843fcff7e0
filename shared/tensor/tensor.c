#include "shared/tensor/tensor.h"

#include "shared/base/error.h"

#include <stdio.h>

static const struct {
    const char *name;
    size_t size;
} TYPES[] = {
    [XR_F32] = {"f32", 4}, [XR_BF16] = {"bf16", 2}, [XR_F16] = {"f16", 2}, [XR_F64] = {"f64", 8},
    [XR_I64] = {"i64", 8}, [XR_I32] = {"i32", 4},   [XR_U8] = {"u8", 1},
};

size_t xr_dtype_size(XrDType dtype) {
    return TYPES[dtype].size;
}

const char *xr_dtype_name(XrDType dtype) {
    return TYPES[dtype].name;
}

XrTensor xr_tensor_of(XrDType dtype, void *data, int ndim, const int64_t *shape) {
    XR_REQUIRE(ndim >= 1 && ndim <= XR_MAX_DIMS, "a tensor of %d dimensions", ndim);
    XrTensor t = {.dtype = dtype, .ndim = ndim, .row_stride = 1, .data = data};
    for (int i = 0; i < ndim; i++) {
        XR_REQUIRE(shape[i] >= 0, "dimension %d of a tensor is %lld", i, (long long)shape[i]);
        t.shape[i] = shape[i];
        if (i > 0) t.row_stride *= shape[i];
    }
    return t;
}

XrTensor xr_tensor1(XrDType dtype, void *data, int64_t d0) {
    return xr_tensor_of(dtype, data, 1, &d0);
}

XrTensor xr_tensor2(XrDType dtype, void *data, int64_t d0, int64_t d1) {
    return xr_tensor_of(dtype, data, 2, (int64_t[]){d0, d1});
}

int64_t xr_row_size(const XrTensor *t) {
    int64_t product = 1;
    for (int i = 1; i < t->ndim; i++) product *= t->shape[i];
    return product;
}

int64_t xr_numel(const XrTensor *t) {
    return t->shape[0] * xr_row_size(t);
}

size_t xr_nbytes(const XrTensor *t) {
    return (size_t)xr_numel(t) * xr_dtype_size(t->dtype);
}

bool xr_is_contiguous(const XrTensor *t) {
    return t->shape[0] <= 1 || t->row_stride == xr_row_size(t);
}

XrTensor xr_rows(const XrTensor *t, int64_t begin, int64_t count) {
    XR_REQUIRE(begin >= 0 && count >= 0 && begin + count <= t->shape[0], "rows [%lld,+%lld) of %s",
               (long long)begin, (long long)count, xr_shape_text(t));
    XrTensor rows = *t;
    rows.shape[0] = count;
    if (t->data)
        rows.data = (char *)t->data + (size_t)(begin * t->row_stride) * xr_dtype_size(t->dtype);
    return rows;
}

XrTensor xr_columns(const XrTensor *t, int64_t begin, int64_t count) {
    XR_REQUIRE(t->ndim == 2 && begin >= 0 && count >= 0 && begin + count <= t->shape[1],
               "columns [%lld,+%lld) of %s", (long long)begin, (long long)count, xr_shape_text(t));
    XrTensor columns = *t;
    columns.shape[1] = count;
    if (t->data) columns.data = (char *)t->data + (size_t)begin * xr_dtype_size(t->dtype);
    return columns;
}

XrTensor xr_reshape2(const XrTensor *t, int64_t d0, int64_t d1) {
    XR_REQUIRE(xr_is_contiguous(t) && d0 * d1 == xr_numel(t), "%s seen as [%lld,%lld]",
               xr_shape_text(t), (long long)d0, (long long)d1);
    return xr_tensor2(t->dtype, t->data, d0, d1);
}

const char *xr_shape_text(const XrTensor *t) {
    static _Thread_local char texts[8][96];
    static _Thread_local unsigned next;
    char *text = texts[next++ % 8];
    if (!t) return "(none)";
    size_t used = (size_t)snprintf(text, sizeof texts[0], "%s[", xr_dtype_name(t->dtype));
    for (int i = 0; i < t->ndim && used < sizeof texts[0]; i++) {
        used += (size_t)snprintf(text + used, sizeof texts[0] - used, "%s%lld", i ? "," : "",
                                 (long long)t->shape[i]);
    }
    if (used < sizeof texts[0]) snprintf(text + used, sizeof texts[0] - used, "]");
    return text;
}
