// Root-mean-square normalisation: Zhang and Sennrich, "Root Mean Square Layer Normalization"
// (2019). Sums along a row and sums over rows are in double, in ascending order.
#include "ref/cpu.h"
#include "ref/widen.h"
#include "shared/base/memory.h"

#include <math.h>

typedef struct NormWork {
    const XrTensor *y, *sum, *rstd, *x, *delta;
    const float *w; // [width]
    float eps;
} NormWork;

static float *row_of(const XrTensor *t, int64_t row) {
    return (float *)t->data + row * t->row_stride;
}

static const float *weights(XrBackend *b, const XrTensor *w) {
    float *out = xr_cpu_shared_scratch(b, (size_t)w->shape[0] * sizeof *out);
    xr_cpu_widen(out, w, 0, w->shape[0]);
    return out;
}

static double dot(const float *a, const float *b, int64_t n) {
    double total = 0;
    for (int64_t i = 0; i < n; i++) total += (double)a[i] * b[i];
    return total;
}

static void norm_rows(void *context, int64_t begin, int64_t end, int thread) {
    const NormWork *k = context;
    int64_t width = k->x->shape[1];
    for (int64_t t = begin; t < end; t++) {
        const float *x = row_of(k->x, t);
        if (k->delta) {
            const float *delta = row_of(k->delta, t);
            float *sum = row_of(k->sum, t);
            for (int64_t d = 0; d < width; d++) sum[d] = x[d] + delta[d];
            x = sum;
        }
        float rstd = 1.0f / sqrtf((float)(dot(x, x, width) / (double)width) + k->eps);
        float *y = row_of(k->y, t);
        for (int64_t d = 0; d < width; d++) y[d] = k->w[d] * (x[d] * rstd);
        if (k->rstd) ((float *)k->rstd->data)[t] = rstd;
    }
}

void xr_cpu_rmsnorm(XrBackend *b, const XrTensor *y, const XrTensor *rstd, const XrTensor *x,
                    const XrTensor *w, float eps) {
    xr_cpu_require_f32(x, "rmsnorm");
    NormWork work = {y, NULL, rstd, x, NULL, weights(b, w), eps};
    xr_cpu_parallel(b, x->shape[0], 8, norm_rows, &work);
}

void xr_cpu_add_rmsnorm(XrBackend *b, const XrTensor *y, const XrTensor *sum, const XrTensor *rstd,
                        const XrTensor *x, const XrTensor *delta, const XrTensor *w, float eps) {
    xr_cpu_require_f32(x, "add_rmsnorm");
    NormWork work = {y, sum, rstd, x, delta, weights(b, w), eps};
    xr_cpu_parallel(b, x->shape[0], 8, norm_rows, &work);
}

typedef struct BackWork {
    const XrTensor *dx, *dw, *dy, *dsum, *x;
    const float *w, *rstd; // [width], [rows]
} BackWork;

static void back_rows(void *context, int64_t begin, int64_t end, int thread) {
    const BackWork *k = context;
    int64_t width = k->x->shape[1];
    for (int64_t t = begin; t < end; t++) {
        float *dx = row_of(k->dx, t);
        const float *dy = row_of(k->dy, t), *x = row_of(k->x, t);
        const float *dsum = k->dsum ? row_of(k->dsum, t) : NULL;
        double total = 0;
        for (int64_t d = 0; d < width; d++) total += (double)(dy[d] * k->w[d]) * x[d];
        float rstd = k->rstd[t], pull = (float)(total / (double)width) * rstd * rstd;
        for (int64_t d = 0; d < width; d++) {
            float value = rstd * (dy[d] * k->w[d] - x[d] * pull);
            dx[d] = dsum ? value + dsum[d] : value;
        }
    }
}

enum { WEIGHT_COLUMNS = 64 };

static void back_columns(void *context, int64_t begin, int64_t end, int thread) {
    const BackWork *k = context;
    int64_t width = k->x->shape[1];
    for (int64_t block = begin; block < end; block++) {
        int64_t first = block * WEIGHT_COLUMNS, count = XR_MIN(WEIGHT_COLUMNS, width - first);
        double total[WEIGHT_COLUMNS] = {0};
        for (int64_t t = 0; t < k->x->shape[0]; t++) {
            const float *dy = row_of(k->dy, t) + first, *x = row_of(k->x, t) + first;
            for (int64_t d = 0; d < count; d++) total[d] += dy[d] * (x[d] * k->rstd[t]);
        }
        float *dw = (float *)k->dw->data + first;
        for (int64_t d = 0; d < count; d++) dw[d] += (float)total[d];
    }
}

void xr_cpu_rmsnorm_backward(XrBackend *b, const XrTensor *dx, const XrTensor *dw,
                             const XrTensor *dy, const XrTensor *dsum, const XrTensor *x,
                             const XrTensor *w, const XrTensor *rstd) {
    xr_cpu_require_f32(x, "rmsnorm_backward");
    BackWork work = {dx, dw, dy, dsum, x, weights(b, w), rstd->data};
    if (dw && x->shape[0] > 0) {
        int64_t blocks = (x->shape[1] + WEIGHT_COLUMNS - 1) / WEIGHT_COLUMNS;
        xr_cpu_parallel(b, blocks, 1, back_columns, &work);
    }
    xr_cpu_parallel(b, x->shape[0], 8, back_rows, &work);
}
