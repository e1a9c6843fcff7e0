#include "shared/image/resample.h"

#include "shared/base/memory.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { PILLOW_BITS = 22, MAX_SHRINK = 1000 };

// The operations and their order are Pillow's, whose double results decide the last bit.
static double cubic(double x) {
    const double a = -0.5;
    x = fabs(x);
    if (x < 1.0) return ((a + 2.0) * x - (a + 3.0)) * x * x + 1;
    if (x < 2.0) return (((x - 5) * x + 8) * x - 4) * a;
    return 0.0;
}

// Normalised weights of output pixel i, into weights[0..count).
static void real_weights(const XrResampleAxis *axis, int i, double *weights) {
    double scale = (double)axis->in / axis->out, filter = XR_MAX(scale, 1.0);
    double center = (i + 0.5) * scale, inverse = 1.0 / filter, sum = 0;
    int count = axis->count[i];
    for (int k = 0; k < count; k++) {
        weights[k] = cubic((k + axis->first[i] - center + 0.5) * inverse);
        sum += weights[k];
    }
    for (int k = 0; k < count; k++) {
        if (sum != 0.0) weights[k] /= sum;
    }
}

// The inputs that output pixel i sees.
static void set_span(XrResampleAxis *axis, int i) {
    double scale = (double)axis->in / axis->out, support = 2.0 * XR_MAX(scale, 1.0);
    double center = (i + 0.5) * scale;
    int first = (int)(center - support + 0.5), end = (int)(center + support + 0.5);
    first = XR_MAX(first, 0);
    end = XR_MIN(end, axis->in);
    axis->first[i] = first;
    axis->count[i] = end - first;
}

// The most fractional bits, at most 22, with which the largest weight stays below 2^15.
static int torchvision_bits(double largest) {
    int bits = 0;
    while (bits < PILLOW_BITS && (int)(0.5 + largest * (1 << (bits + 1))) < (1 << 15)) bits++;
    return bits;
}

static int32_t to_fixed(double weight, int bits) {
    double scaled = weight * (1 << bits);
    return (int32_t)(weight < 0 ? scaled - 0.5 : scaled + 0.5);
}

static void fill_pairs(XrResampleAxis *axis) {
    const int32_t mask = (1 << XR_RESAMPLE_LOW_BITS) - 1;
    size_t count = (size_t)axis->out * (size_t)axis->taps / 2;
    for (size_t p = 0; p < count; p++) {
        int32_t a = axis->weights[2 * p], b = axis->weights[2 * p + 1];
        uint32_t high_a = (uint32_t)(a >> XR_RESAMPLE_LOW_BITS) & 0xffff;
        uint32_t high_b = (uint32_t)(b >> XR_RESAMPLE_LOW_BITS) & 0xffff;
        axis->pairs[2 * p] = (int32_t)(high_a | high_b << 16);
        axis->pairs[2 * p + 1] = (a & mask) | (b & mask) << 16;
    }
}

static void fill(XrResampleAxis *axis, XrResamplePrecision precision, double *scratch) {
    double largest = 0;
    if (precision == XR_RESAMPLE_TORCHVISION) {
        for (int i = 0; i < axis->out; i++) {
            real_weights(axis, i, scratch);
            for (int k = 0; k < axis->count[i]; k++) largest = XR_MAX(largest, scratch[k]);
        }
        axis->precision = torchvision_bits(largest);
    }
    for (int i = 0; i < axis->out; i++) {
        int32_t *weights = axis->weights + (size_t)i * (size_t)axis->taps;
        real_weights(axis, i, scratch);
        for (int k = 0; k < axis->count[i]; k++) weights[k] = to_fixed(scratch[k], axis->precision);
    }
    fill_pairs(axis);
}

bool xr_resample_axis(XrResampleAxis *axis, int in, int out, XrResamplePrecision precision,
                      XrError *err) {
    XR_REQUIRE(in > 0 && out > 0, "resample_axis: from %d to %d pixels", in, out);
    *axis = (XrResampleAxis){.in = in, .out = out, .precision = PILLOW_BITS};
    if (in / MAX_SHRINK > out) {
        return xr_fail(err, XR_ERR_LIMIT, "%d pixels cannot be made %d: at most %d times less", in,
                       out, (int)MAX_SHRINK);
    }
    double support = 2.0 * XR_MAX((double)in / out, 1.0);
    axis->taps = (int)ceil(support) * 2 + 2;
    size_t outputs = (size_t)out, all = outputs * (size_t)axis->taps;
    axis->first = xr_try_alloc(outputs * sizeof(int32_t), "resampling", err);
    axis->count = xr_try_alloc(outputs * sizeof(int32_t), "resampling", err);
    axis->weights = xr_try_alloc(all * sizeof(int32_t), "resampling weights", err);
    axis->pairs = xr_try_alloc(all * sizeof(int32_t), "resampling weights", err);
    double *scratch = xr_try_alloc((size_t)axis->taps * sizeof(double), "resampling", err);
    bool ok = axis->first && axis->count && axis->weights && axis->pairs && scratch;
    if (ok) {
        memset(axis->weights, 0, all * sizeof(int32_t));
        for (int i = 0; i < out; i++) set_span(axis, i);
        fill(axis, precision, scratch);
    } else {
        xr_resample_axis_free(axis);
    }
    free(scratch);
    return ok;
}

void xr_resample_axis_free(XrResampleAxis *axis) {
    free(axis->first);
    free(axis->count);
    free(axis->weights);
    free(axis->pairs);
    *axis = (XrResampleAxis){0};
}
