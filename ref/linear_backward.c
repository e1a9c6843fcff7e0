// Gradients of products of activations with weights: products again.
#include "ref/cpu.h"
#include "ref/product.h"
#include "ref/widen.h"

void xr_cpu_linear_backward_input(XrBackend *b, const XrTensor *dx, const XrTensor *dy,
                                  const XrTensor *w, bool accumulate) {
    xr_cpu_require_f32(dy, "linear_backward_input");
    XrProduct p = {.y = dx->data,
                   .y_stride = dx->row_stride,
                   .rows = dy->shape[0],
                   .columns = w->shape[1],
                   .depth = w->shape[0],
                   .left = {dy->data, XR_F32, dy->row_stride, false},
                   .right = {w->data, w->dtype, w->shape[1], true},
                   .add = accumulate,
                   .chain = true};
    xr_cpu_product(b, &p);
}

typedef struct Columns {
    const XrTensor *sums, *of;
} Columns;

static void sum_columns(void *context, int64_t begin, int64_t end, int thread) {
    const Columns *c = context;
    float *sums = c->sums->data;
    for (int64_t t = 0; t < c->of->shape[0]; t++) {
        const float *row = (const float *)c->of->data + t * c->of->row_stride;
        for (int64_t n = begin; n < end; n++) sums[n] += row[n];
    }
}

void xr_cpu_linear_backward_weight(XrBackend *b, const XrTensor *dw, const XrTensor *dbias,
                                   const XrTensor *dy, const XrTensor *x) {
    xr_cpu_require_f32(dy, "linear_backward_weight");
    if (dw) {
        XrProduct p = {.y = dw->data,
                       .y_stride = dw->row_stride,
                       .rows = dw->shape[0],
                       .columns = dw->shape[1],
                       .depth = x->shape[0],
                       .left = {dy->data, XR_F32, dy->row_stride, true},
                       .right = {x->data, XR_F32, x->row_stride, true},
                       .add = true,
                       .chain = true};
        xr_cpu_product(b, &p);
    }
    Columns columns = {dbias, dy};
    if (dbias) xr_cpu_parallel(b, dbias->shape[0], 256, sum_columns, &columns);
}
