// Products of activations with weights.
#include "ref/cpu.h"
#include "ref/linear_kernels.h"
#include "ref/product.h"
#include "ref/widen.h"
#include "shared/base/memory.h"

enum {
    FEW_ROWS = 32, // up to which weights are used as they lie
    FEW_COLUMNS = 12,
};

typedef struct FewRows {
    XrBackend *backend;
    const XrLinearKernels *kernels;
    const XrTensor *y, *x, *w, *bias;
} FewRows;

// y of some columns, chunk of K after chunk.
static void multiply_columns(const FewRows *p, int64_t column, int64_t columns) {
    int64_t depth = p->x->shape[1];
    size_t size = xr_dtype_size(p->w->dtype);
    float bias[FEW_COLUMNS];
    if (p->bias) xr_cpu_widen(bias, p->bias, column, columns);
    for (int64_t k = 0; k == 0 || k < depth; k += XR_PRODUCT_CHUNK) {
        XrLinearBlock block = {
            .y = (float *)p->y->data + column,
            .x = (const float *)p->x->data + k,
            .w = (const char *)p->w->data + (size_t)(column * depth + k) * size,
            .bias = p->bias && k + XR_PRODUCT_CHUNK >= depth ? bias : NULL,
            .y_stride = p->y->row_stride,
            .x_stride = p->x->row_stride,
            .w_stride = depth,
            .rows = p->x->shape[0],
            .columns = columns,
            .depth = XR_MIN(XR_PRODUCT_CHUNK, depth - k),
            .ahead = 4 * depth, // four rows are one run of memory, a tile; fetch the next tile's
            .first = k == 0,
        };
        p->kernels->few_rows[p->w->dtype](&block);
    }
}

static void multiply_blocks(void *context, int64_t begin, int64_t end, int thread) {
    const FewRows *p = context;
    for (int64_t i = begin; i < end; i++) {
        int64_t column = i * FEW_COLUMNS;
        multiply_columns(p, column, XR_MIN(FEW_COLUMNS, p->w->shape[0] - column));
    }
}

void xr_cpu_linear(XrBackend *b, const XrTensor *y, const XrTensor *x, const XrTensor *w,
                   const XrTensor *bias) {
    xr_cpu_require_f32(x, "linear");
    int64_t rows = x->shape[0], columns = w->shape[0], depth = x->shape[1];
    if (rows == 0 || columns == 0) return;
    if (rows > FEW_ROWS) {
        XrProduct p = {.y = y->data,
                       .y_stride = y->row_stride,
                       .rows = rows,
                       .columns = columns,
                       .depth = depth,
                       .left = {x->data, XR_F32, x->row_stride, false},
                       .right = {w->data, w->dtype, depth, false},
                       .bias = bias};
        xr_cpu_product(b, &p);
        return;
    }
    FewRows p = {b, XR_CHOOSE_KERNELS(xr_linear_kernels), y, x, w, bias};
    int64_t blocks = (columns + FEW_COLUMNS - 1) / FEW_COLUMNS;
    // Each thread takes long runs of weights, yet none waits long for another at the end.
    int64_t grain = blocks / ((int64_t)8 * xr_threads_count(b->threads));
    xr_cpu_parallel(b, blocks, XR_MAX(1, grain), multiply_blocks, &p);
}
