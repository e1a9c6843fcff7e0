// Products of activations with weights, forward and backward.
#include "ref/cpu.h"
#include "ref/widen.h"

typedef struct Product {
    XrBackend *backend;
    const XrTensor *y, *x, *w, *bias;
    bool accumulate; // dx += and not dx =
} Product;

static const float *row_of(const XrTensor *t, int64_t row) {
    return (const float *)t->data + row * t->row_stride;
}

static void linear_columns(void *context, int64_t begin, int64_t end, int thread) {
    const Product *p = context;
    int64_t tokens = p->x->shape[0], width = p->x->shape[1];
    float *w = xr_cpu_scratch(p->backend, thread, (size_t)(width + 1) * sizeof *w);
    for (int64_t n = begin; n < end; n++) {
        xr_cpu_widen(w, p->w, n * width, width);
        float bias = 0;
        if (p->bias) xr_cpu_widen(&bias, p->bias, n, 1);
        for (int64_t t = 0; t < tokens; t++) {
            const float *x = row_of(p->x, t);
            float sum = 0;
            for (int64_t k = 0; k < width; k++) sum += x[k] * w[k];
            ((float *)row_of(p->y, t))[n] = sum + bias;
        }
    }
}

void xr_cpu_linear(XrBackend *b, const XrTensor *y, const XrTensor *x, const XrTensor *w,
                   const XrTensor *bias) {
    xr_cpu_require_f32(x, "linear");
    Product p = {b, y, x, w, bias, false};
    xr_cpu_parallel(b, w->shape[0], 16, linear_columns, &p);
}

static void backward_input_rows(void *context, int64_t begin, int64_t end, int thread) {
    const Product *p = context; // y = dy, x = dx
    int64_t n = p->w->shape[0], width = p->w->shape[1];
    float *w = xr_cpu_scratch(p->backend, thread, (size_t)(width + 1) * sizeof *w);
    for (int64_t t = begin; t < end; t++) {
        float *dx = (float *)row_of(p->x, t);
        for (int64_t k = 0; k < width && !p->accumulate; k++) dx[k] = 0;
        for (int64_t i = 0; i < n; i++) {
            float dy = row_of(p->y, t)[i];
            xr_cpu_widen(w, p->w, i * width, width);
            for (int64_t k = 0; k < width; k++) dx[k] += dy * w[k];
        }
    }
}

void xr_cpu_linear_backward_input(XrBackend *b, const XrTensor *dx, const XrTensor *dy,
                                  const XrTensor *w, bool accumulate) {
    xr_cpu_require_f32(dy, "linear_backward_input");
    Product p = {b, dy, dx, w, NULL, accumulate};
    xr_cpu_parallel(b, dx->shape[0], 4, backward_input_rows, &p);
}

static void backward_weight_rows(void *context, int64_t begin, int64_t end, int thread) {
    const Product *p = context; // y = dy, w = dw, bias = dbias
    int64_t tokens = p->x->shape[0], width = p->x->shape[1];
    for (int64_t n = begin; n < end; n++) {
        for (int64_t t = 0; t < tokens; t++) {
            float dy = row_of(p->y, t)[n];
            const float *x = row_of(p->x, t);
            float *dw = p->w ? (float *)row_of(p->w, n) : NULL;
            for (int64_t k = 0; dw && k < width; k++) dw[k] += dy * x[k];
            if (p->bias) ((float *)p->bias->data)[n] += dy;
        }
    }
}

void xr_cpu_linear_backward_weight(XrBackend *b, const XrTensor *dw, const XrTensor *dbias,
                                   const XrTensor *dy, const XrTensor *x) {
    xr_cpu_require_f32(dy, "linear_backward_weight");
    Product p = {b, dy, x, dw, dbias, false};
    xr_cpu_parallel(b, dy->shape[1], 16, backward_weight_rows, &p);
}
