// Products of activations with weights.
#include "ref/cpu.h"
#include "ref/linear_kernels.h"
#include "ref/product.h"
#include "ref/widen.h"
#include "shared/base/memory.h"

enum {
    FEW_ROWS = 32, // up to which weights are used as they lie
    LEAST_COLUMNS = 16,
    MOST_COLUMNS = 128,
};

typedef struct FewRows {
    const XrLinearKernels *kernels;
    const XrTensor *y, *x, *w, *bias;
    int64_t columns; // of a block
} FewRows;

static void multiply_columns(const FewRows *p, int64_t column, int64_t columns) {
    int64_t depth = p->x->shape[1];
    float bias[MOST_COLUMNS];
    if (p->bias) xr_cpu_widen(bias, p->bias, column, columns);
    XrLinearBlock block = {
        .y = (float *)p->y->data + column,
        .x = p->x->data,
        .w = (const char *)p->w->data + (size_t)(column * depth) * xr_dtype_size(p->w->dtype),
        .bias = p->bias ? bias : NULL,
        .y_stride = p->y->row_stride,
        .x_stride = p->x->row_stride,
        .rows = p->x->shape[0],
        .columns = columns,
        .depth = depth,
    };
    p->kernels->few_rows[p->w->dtype](&block);
}

static void multiply_blocks(void *context, int64_t begin, int64_t end, int thread) {
    const FewRows *p = context;
    for (int64_t i = begin; i < end; i++) {
        int64_t column = i * p->columns;
        multiply_columns(p, column, XR_MIN(p->columns, p->w->shape[0] - column));
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
    // Blocks are long runs of weights, yet no thread waits long for another at the end.
    int64_t share = columns / ((int64_t)4 * xr_threads_count(b->threads)) / 4 * 4;
    FewRows p = {XR_CHOOSE_KERNELS(xr_linear_kernels),
                 y,
                 x,
                 w,
                 bias,
                 XR_MIN(XR_MAX(share, LEAST_COLUMNS), MOST_COLUMNS)};
    xr_cpu_parallel(b, (columns + p.columns - 1) / p.columns, 1, multiply_blocks, &p);
}

void xr_cpu_linears(XrBackend *b, XrLinears parts, const XrTensor *x) {
    for (int i = 0; i < parts.count; i++) {
        xr_cpu_linear(b, parts.part[i].y, x, parts.part[i].w, parts.part[i].bias);
    }
}
