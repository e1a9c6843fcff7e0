// A tensor is a description of memory that a backend owns: element type, shape, place. Only
// backends (ref/, cuda/) follow `data`; everything else moves contents with xr_upload and
// xr_download.
#ifndef XR_TENSOR_TENSOR_H
#define XR_TENSOR_TENSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum XrDType {
    XR_F32,
    XR_BF16,
    XR_F16,
    XR_F64,
    XR_I64,
    XR_I32,
    XR_U8,
} XrDType;

enum { XR_MAX_DIMS = 6 };

typedef struct XrTensor {
    XrDType dtype;
    int ndim;
    int64_t shape[XR_MAX_DIMS];
    // Elements between consecutive indices of dimension 0. The other dimensions are contiguous and
    // row-major. Equal to the product of shape[1..] unless the tensor is a column slice.
    int64_t row_stride;
    void *data;
} XrTensor;

size_t xr_dtype_size(XrDType dtype);
const char *xr_dtype_name(XrDType dtype); // "f32", "bf16", ...

// A contiguous tensor over `data`. xr_tensor2(XR_F32, data, tokens, width) and so on.
XrTensor xr_tensor1(XrDType dtype, void *data, int64_t d0);
XrTensor xr_tensor2(XrDType dtype, void *data, int64_t d0, int64_t d1);
XrTensor xr_tensor_of(XrDType dtype, void *data, int ndim, const int64_t *shape);

// Number of elements; bytes of a contiguous tensor of this shape.
int64_t xr_numel(const XrTensor *t);
size_t xr_nbytes(const XrTensor *t);
// Elements of one index of dimension 0: the product of shape[1..].
int64_t xr_row_size(const XrTensor *t);
bool xr_is_contiguous(const XrTensor *t);

// Rows [begin, begin+count) of dimension 0.
XrTensor xr_rows(const XrTensor *t, int64_t begin, int64_t count);
// Columns [begin, begin+count) of a 2-D tensor; keeps the row stride.
XrTensor xr_columns(const XrTensor *t, int64_t begin, int64_t count);
// A contiguous tensor seen with another shape of as many elements.
XrTensor xr_reshape2(const XrTensor *t, int64_t d0, int64_t d1);

// "f32[3,5]", for messages. Static storage of the thread, eight calls deep.
const char *xr_shape_text(const XrTensor *t);

#ifdef __cplusplus
}
#endif

#endif
