// Activation functions and their gradients. SwiGLU: Shazeer, "GLU Variants Improve Transformer"
// (2020); GELU in its erf form: Hendrycks and Gimpel (2016).
#include "ref/activation_kernels.h"
#include "ref/cpu.h"
#include "ref/widen.h"

enum { ROWS = 4 }; // a piece of work

// Rows of up to two outputs and three inputs, in the order in which the operation names them.
typedef struct Work {
    const XrActivationKernels *kernels;
    const XrTensor *out[2], *in[3];
} Work;

static float *row_of(const XrTensor *t, int64_t row) {
    return (float *)t->data + row * t->row_stride;
}

static void swiglu_rows(void *context, int64_t begin, int64_t end, int thread) {
    const Work *w = context;
    for (int64_t t = begin; t < end; t++) {
        w->kernels->swiglu(row_of(w->out[0], t), row_of(w->in[0], t), row_of(w->in[1], t),
                           w->out[0]->shape[1]);
    }
}

void xr_cpu_swiglu(XrBackend *b, const XrTensor *h, const XrTensor *gate, const XrTensor *up) {
    xr_cpu_require_f32(h, "swiglu");
    Work work = {XR_CHOOSE_KERNELS(xr_activation_kernels), {h}, {gate, up}};
    xr_cpu_parallel(b, h->shape[0], ROWS, swiglu_rows, &work);
}

static void swiglu_back_rows(void *context, int64_t begin, int64_t end, int thread) {
    const Work *w = context;
    for (int64_t t = begin; t < end; t++) {
        w->kernels->swiglu_backward(row_of(w->out[0], t), row_of(w->out[1], t), row_of(w->in[0], t),
                                    row_of(w->in[1], t), row_of(w->in[2], t), w->out[0]->shape[1]);
    }
}

void xr_cpu_swiglu_backward(XrBackend *b, const XrTensor *dgate, const XrTensor *dup,
                            const XrTensor *dh, const XrTensor *gate, const XrTensor *up) {
    xr_cpu_require_f32(dh, "swiglu_backward");
    Work work = {XR_CHOOSE_KERNELS(xr_activation_kernels), {dgate, dup}, {dh, gate, up}};
    xr_cpu_parallel(b, dh->shape[0], ROWS, swiglu_back_rows, &work);
}

static void gelu_rows(void *context, int64_t begin, int64_t end, int thread) {
    const Work *w = context;
    for (int64_t t = begin; t < end; t++) {
        w->kernels->gelu(row_of(w->out[0], t), row_of(w->in[0], t), w->out[0]->shape[1]);
    }
}

void xr_cpu_gelu(XrBackend *b, const XrTensor *y, const XrTensor *x) {
    xr_cpu_require_f32(x, "gelu");
    Work work = {XR_CHOOSE_KERNELS(xr_activation_kernels), {y}, {x}};
    xr_cpu_parallel(b, x->shape[0], ROWS, gelu_rows, &work);
}

static void gelu_back_rows(void *context, int64_t begin, int64_t end, int thread) {
    const Work *w = context;
    for (int64_t t = begin; t < end; t++) {
        w->kernels->gelu_backward(row_of(w->out[0], t), row_of(w->in[0], t), row_of(w->in[1], t),
                                  w->out[0]->shape[1]);
    }
}

void xr_cpu_gelu_backward(XrBackend *b, const XrTensor *dx, const XrTensor *dy, const XrTensor *x) {
    xr_cpu_require_f32(x, "gelu_backward");
    Work work = {XR_CHOOSE_KERNELS(xr_activation_kernels), {dx}, {dy, x}};
    xr_cpu_parallel(b, x->shape[0], ROWS, gelu_back_rows, &work);
}
