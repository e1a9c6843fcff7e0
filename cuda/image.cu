// Resizing and cutting into patches, in the integers of ref/image.h; a thread an output byte or
// value.
#include "cuda/image.h"

#include "cuda/cuda.h"

enum { THREADS = 256, MOST_ROWS = 65535, TABLE_BYTES = 3 * 256 * sizeof(float) };

XR_DEVICE uint8_t clip(int32_t sum, int precision) {
    const int32_t value = sum >> precision;
    return (uint8_t)(value < 0 ? 0 : value > 255 ? 255 : value);
}

// An axis in device memory.
struct Axis {
    const int32_t *first, *count, *weights;
    int in, out, taps, precision;
};

static Axis upload_axis(XrBackend *b, const XrResampleAxis *axis) {
    size_t entries = (size_t)axis->out, weights = entries * (size_t)axis->taps;
    int32_t *memory =
        (int32_t *)xr_cuda_scratch(b, XR_SCRATCH_PARTIAL, (2 * entries + weights) * sizeof *memory);
    b->upload(b, memory, axis->first, entries * sizeof *memory);
    b->upload(b, memory + entries, axis->count, entries * sizeof *memory);
    b->upload(b, memory + 2 * entries, axis->weights, weights * sizeof *memory);
    return Axis{memory,    memory + entries, memory + 2 * entries, axis->in,
                axis->out, axis->taps,       axis->precision};
}

XR_KERNEL(THREADS) resample_rows(uint8_t *out, const uint8_t *in, int height, Axis axis) {
    const int at = (int)(blockIdx.x * THREADS + threadIdx.x); // pixel * 3 + channel
    if (at >= axis.out * 3) return;
    const int i = at / 3, channel = at % 3;
    const int32_t *weights = axis.weights + (int64_t)i * axis.taps;
    const int count = axis.count[i];
    for (int64_t y = blockIdx.y; y < height; y += gridDim.y) {
        const uint8_t *from = in + (y * axis.in + axis.first[i]) * 3 + channel;
        int32_t sum = 1 << (axis.precision - 1);
        for (int k = 0; k < count; k++) sum += weights[k] * from[3 * k];
        out[y * axis.out * 3 + at] = clip(sum, axis.precision);
    }
}

XR_KERNEL(THREADS) resample_columns(uint8_t *out, const uint8_t *in, int64_t row_bytes, Axis axis) {
    const int64_t x = (int64_t)blockIdx.x * THREADS + threadIdx.x;
    if (x >= row_bytes) return;
    for (int i = (int)blockIdx.y; i < axis.out; i += (int)gridDim.y) {
        const int32_t *weights = axis.weights + (int64_t)i * axis.taps;
        const uint8_t *from = in + axis.first[i] * row_bytes + x;
        int32_t sum = 1 << (axis.precision - 1);
        for (int k = 0; k < axis.count[i]; k++) sum += weights[k] * from[k * row_bytes];
        out[i * row_bytes + x] = clip(sum, axis.precision);
    }
}

static dim3 grid_of(int64_t width, int64_t rows) {
    return dim3((unsigned)xr_pieces(width, THREADS), (unsigned)XR_MIN(rows, (int64_t)MOST_ROWS));
}

extern "C" void xr_cuda_resample_rows(XrBackend *b, uint8_t *out, const uint8_t *in, int height,
                                      const XrResampleAxis *axis) {
    XR_REQUIRE(height > 0, "resample_rows: %d rows", height);
    XR_LAUNCH(resample_rows, grid_of((int64_t)axis->out * 3, height), THREADS, 0, xr_cuda_stream(b),
              out, in, height, upload_axis(b, axis));
}

extern "C" void xr_cuda_resample_columns(XrBackend *b, uint8_t *out, const uint8_t *in,
                                         int64_t row_bytes, const XrResampleAxis *axis) {
    XR_REQUIRE(row_bytes > 0, "resample_columns: rows of %lld bytes", (long long)row_bytes);
    XR_LAUNCH(resample_columns, grid_of(row_bytes, axis->out), THREADS, 0, xr_cuda_stream(b), out,
              in, row_bytes, upload_axis(b, axis));
}

// ---- patches ----

// out[row, column] as shared/image/preprocess.h orders them.
XR_KERNEL(THREADS)
patchify(float *out, const uint8_t *rgb, const float *table, XrPatchLayout p) {
    const int64_t area = (int64_t)p.patch * p.patch, columns = 3 * p.temporal * area;
    const int64_t column = (int64_t)blockIdx.x * THREADS + threadIdx.x;
    if (column >= columns) return;
    const int64_t channel = column / (p.temporal * area), pixel = column % area;
    const int64_t merge = p.merge, cells = p.w / merge;
    for (int64_t row = blockIdx.y; row < p.h * p.w; row += gridDim.y) {
        const int64_t m = row % (merge * merge), cell = row / (merge * merge);
        const int64_t top = (cell / cells * merge + m / merge) * p.patch + pixel / p.patch;
        const int64_t left = (cell % cells * merge + m % merge) * p.patch + pixel % p.patch;
        const uint8_t byte = rgb[(top * p.w * p.patch + left) * 3 + channel];
        out[row * columns + column] = table[channel * 256 + byte];
    }
}

extern "C" void xr_cuda_patchify(XrBackend *b, float *out, const uint8_t *rgb, const float *table,
                                 const XrPatchLayout *layout) {
    XR_REQUIRE(layout->h % layout->merge == 0 && layout->w % layout->merge == 0,
               "patchify: %d x %d patches cannot be merged by %d", (int)layout->h, (int)layout->w,
               layout->merge);
    float *values = (float *)xr_cuda_scratch(b, XR_SCRATCH_PARTIAL, TABLE_BYTES);
    b->upload(b, values, table, TABLE_BYTES);
    int64_t columns = 3ll * layout->temporal * layout->patch * layout->patch;
    XR_LAUNCH(patchify, grid_of(columns, layout->h * layout->w), THREADS, 0, xr_cuda_stream(b), out,
              rgb, values, *layout);
}
