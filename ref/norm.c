// Root-mean-square normalisation: Zhang and Sennrich, "Root Mean Square Layer Normalization"
// (2019). Sums along a row and over rows are in double: the first in sixteen lanes
// (ref/norm_kernels.c), the second in ascending order of rows.
#include "ref/cpu.h"
#include "ref/norm_kernels.h"
#include "ref/widen.h"
#include "shared/base/memory.h"

#include <math.h>

enum { ROWS = 8, WEIGHT_COLUMNS = 64 }; // a piece of work

static float *row_of(const XrTensor *t, int64_t row) {
    return (float *)t->data + row * t->row_stride;
}

static const float *widened(XrBackend *b, const XrTensor *w) {
    float *out = xr_cpu_shared_scratch(b, (size_t)w->shape[0] * sizeof *out);
    xr_cpu_widen(out, w, 0, w->shape[0]);
    return out;
}

typedef struct Forward {
    const XrNormKernels *kernels;
    const XrTensor *y, *sum, *rstd, *x, *delta;
    const float *w; // [width]
    float eps;
} Forward;

static void forward_rows(void *context, int64_t begin, int64_t end, int thread) {
    const Forward *f = context;
    int64_t width = f->x->shape[1];
    for (int64_t t = begin; t < end; t++) {
        const float *x = row_of(f->x, t);
        if (f->delta) {
            float *sum = row_of(f->sum, t);
            f->kernels->add(sum, x, row_of(f->delta, t), width);
            x = sum;
        }
        double mean = f->kernels->square_sum(x, width) / (double)width;
        float rstd = (float)(1 / sqrt(mean + (double)f->eps));
        f->kernels->scale(row_of(f->y, t), x, f->w, rstd, width);
        if (f->rstd) ((float *)f->rstd->data)[t] = rstd;
    }
}

void xr_cpu_rmsnorm(XrBackend *b, const XrTensor *y, const XrTensor *rstd, const XrTensor *x,
                    const XrTensor *w, float eps) {
    xr_cpu_require_f32(x, "rmsnorm");
    Forward f = {XR_CHOOSE_KERNELS(xr_norm_kernels), y, NULL, rstd, x, NULL, widened(b, w), eps};
    xr_cpu_parallel(b, x->shape[0], ROWS, forward_rows, &f);
}

void xr_cpu_add_rmsnorm(XrBackend *b, const XrTensor *y, const XrTensor *sum, const XrTensor *rstd,
                        const XrTensor *x, const XrTensor *delta, const XrTensor *w, float eps) {
    xr_cpu_require_f32(x, "add_rmsnorm");
    Forward f = {XR_CHOOSE_KERNELS(xr_norm_kernels), y, sum, rstd, x, delta, widened(b, w), eps};
    xr_cpu_parallel(b, x->shape[0], ROWS, forward_rows, &f);
}

typedef struct Backward {
    const XrNormKernels *kernels;
    const XrTensor *dx, *dw, *dy, *dsum, *x;
    const float *w, *rstd; // [width], [rows]
} Backward;

static void backward_rows(void *context, int64_t begin, int64_t end, int thread) {
    const Backward *k = context;
    int64_t width = k->x->shape[1];
    for (int64_t t = begin; t < end; t++) {
        const float *dy = row_of(k->dy, t), *x = row_of(k->x, t);
        double rstd = (double)k->rstd[t];
        double mean = k->kernels->projection(dy, k->w, x, width) / (double)width;
        k->kernels->backward(row_of(k->dx, t), dy, k->dsum ? row_of(k->dsum, t) : NULL, x, k->w,
                             k->rstd[t], (float)(mean * rstd * rstd), width);
    }
}

// Each block of columns sums all rows in their order, whatever the threads.
static void backward_columns(void *context, int64_t begin, int64_t end, int thread) {
    const Backward *k = context;
    for (int64_t block = begin; block < end; block++) {
        int64_t first = block * WEIGHT_COLUMNS;
        int64_t count = XR_MIN(WEIGHT_COLUMNS, k->x->shape[1] - first);
        double total[WEIGHT_COLUMNS] = {0};
        for (int64_t t = 0; t < k->x->shape[0]; t++) {
            k->kernels->accumulate(total, row_of(k->dy, t) + first, row_of(k->x, t) + first,
                                   k->rstd[t], count);
        }
        float *dw = (float *)k->dw->data + first;
        for (int64_t d = 0; d < count; d++) dw[d] += (float)total[d];
    }
}

void xr_cpu_rmsnorm_backward(XrBackend *b, const XrTensor *dx, const XrTensor *dw,
                             const XrTensor *dy, const XrTensor *dsum, const XrTensor *x,
                             const XrTensor *w, const XrTensor *rstd) {
    xr_cpu_require_f32(x, "rmsnorm_backward");
    Backward k = {
        XR_CHOOSE_KERNELS(xr_norm_kernels), dx, dw, dy, dsum, x, widened(b, w), rstd->data};
    if (dw) {
        int64_t blocks = (x->shape[1] + WEIGHT_COLUMNS - 1) / WEIGHT_COLUMNS;
        xr_cpu_parallel(b, blocks, 1, backward_columns, &k);
    }
    xr_cpu_parallel(b, x->shape[0], ROWS, backward_rows, &k);
}
