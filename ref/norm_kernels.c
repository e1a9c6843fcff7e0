#include "ref/norm_kernels.h"

// Sums along a row run in sixteen lanes in double, element i in lane i % 16, and the lanes are
// added in pairs at distance 8, 4, 2, 1: one order, whatever the instruction set.
enum { LANES = 16 };

static double sum_lanes(double lane[LANES]) {
    for (int half = LANES / 2; half > 0; half /= 2) {
        for (int j = 0; j < half; j++) lane[j] += lane[j + half];
    }
    return lane[0];
}

static double square_sum(const float *x, int64_t n) {
    double lane[LANES] = {0};
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES) {
        for (int j = 0; j < LANES; j++) lane[j] += (double)x[i + j] * (double)x[i + j];
    }
    for (int j = 0; i + j < n; j++) lane[j] += (double)x[i + j] * (double)x[i + j];
    return sum_lanes(lane);
}

static void add(float *sum, const float *x, const float *delta, int64_t n) {
    for (int64_t i = 0; i < n; i++) sum[i] = x[i] + delta[i];
}

static void scale(float *y, const float *x, const float *w, float rstd, int64_t n) {
    for (int64_t i = 0; i < n; i++) y[i] = w[i] * (x[i] * rstd);
}

static double projection(const float *dy, const float *w, const float *x, int64_t n) {
    double lane[LANES] = {0};
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES) {
        for (int j = 0; j < LANES; j++) {
            lane[j] += (double)(dy[i + j] * w[i + j]) * (double)x[i + j];
        }
    }
    for (int j = 0; i + j < n; j++) lane[j] += (double)(dy[i + j] * w[i + j]) * (double)x[i + j];
    return sum_lanes(lane);
}

static void backward(float *dx, const float *dy, const float *dsum, const float *x, const float *w,
                     float rstd, float pull, int64_t n) {
    if (!dsum) {
        for (int64_t i = 0; i < n; i++) dx[i] = rstd * (dy[i] * w[i] - x[i] * pull);
    } else {
        for (int64_t i = 0; i < n; i++) dx[i] = rstd * (dy[i] * w[i] - x[i] * pull) + dsum[i];
    }
}

static void accumulate(double *total, const float *dy, const float *x, float rstd, int64_t n) {
    for (int64_t i = 0; i < n; i++) total[i] += (double)(dy[i] * (x[i] * rstd));
}

const XrNormKernels XR_KERNEL(xr_norm_kernels) = {square_sum, add,      scale,
                                                  projection, backward, accumulate};
