#include "ref/image_kernels.h"

#include <string.h>

// As many 32-bit lanes as a register has, and bytes for them.
#if defined(__AVX512F__)
enum { LANES = 16 };
#elif defined(__AVX2__)
enum { LANES = 8 };
#else
enum { LANES = 4 };
#endif
typedef int32_t Ints __attribute__((vector_size(4 * LANES)));
typedef uint8_t LaneBytes __attribute__((vector_size(LANES)));
typedef uint8_t Bytes __attribute__((vector_size(16)));

static inline Ints load_ints(const uint8_t *p) {
    LaneBytes v;
    memcpy(&v, p, sizeof v);
    return __builtin_convertvector(v, Ints);
}

static inline void store_clipped(uint8_t *p, Ints sum, int precision) {
    Ints v = sum >> precision, top = (Ints){0} + 255;
    v = (v > 0) & v;
    Ints over = v > top;
    v = (over & top) | (~over & v);
    LaneBytes bytes = __builtin_convertvector(v, LaneBytes);
    memcpy(p, &bytes, sizeof bytes);
}

// ---- rows: sixteen of them side by side in the lanes of a vector ----

static inline Bytes load_bytes(const uint8_t *p) {
    Bytes v;
    memcpy(&v, p, sizeof v);
    return v;
}

static inline Bytes low_pairs(Bytes a, Bytes b) {
#if defined(__clang__)
    return __builtin_shufflevector(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
#else
    return __builtin_shuffle(a, b, (Bytes){0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23});
#endif
}

static inline Bytes high_pairs(Bytes a, Bytes b) {
#if defined(__clang__)
    return __builtin_shufflevector(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15,
                                   31);
#else
    return __builtin_shuffle(a, b,
                             (Bytes){8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31});
#endif
}

// Four rounds of interleaving row i with row i + 8 transpose 16 x 16 bytes.
static inline void transpose(Bytes m[16]) {
    Bytes t[16];
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 8; i++) {
            t[2 * i] = low_pairs(m[i], m[i + 8]);
            t[2 * i + 1] = high_pairs(m[i], m[i + 8]);
        }
        for (int i = 0; i < 8; i++) {
            m[2 * i] = low_pairs(t[i], t[i + 8]);
            m[2 * i + 1] = high_pairs(t[i], t[i + 8]);
        }
    }
}

// in [rows, bytes] -> columns [bytes rounded up to 16, 16]; the rows beyond `rows` repeat the last.
static void rows_to_columns(uint8_t *columns, const uint8_t *in, int rows, int64_t bytes) {
    Bytes m[XR_ROW_BLOCK];
    for (int64_t x = 0; x < bytes; x += 16) {
        for (int r = 0; r < XR_ROW_BLOCK; r++) {
            const uint8_t *row = in + (r < rows ? r : rows - 1) * bytes + x;
            if (bytes - x >= 16) {
                m[r] = load_bytes(row);
            } else {
                uint8_t rest[16] = {0};
                memcpy(rest, row, (size_t)(bytes - x));
                m[r] = load_bytes(rest);
            }
        }
        transpose(m);
        memcpy(columns + x * XR_ROW_BLOCK, m, sizeof m);
    }
}

// Writes `bytes` (1 to 16) columns at column x of the output rows.
static inline void store_columns(uint8_t *out, Bytes m[16], int rows, int64_t stride, int64_t x,
                                 int64_t bytes) {
    transpose(m);
    for (int r = 0; r < rows; r++) memcpy(out + r * stride + x, &m[r], (size_t)bytes);
}

static void resample_rows(uint8_t *out, const uint8_t *in, int rows, const XrResampleAxis *axis,
                          uint8_t *scratch) {
    rows_to_columns(scratch, in, rows, (int64_t)axis->in * 3);
    const int precision = axis->precision;
    int64_t stride = (int64_t)axis->out * 3;
    Bytes m[16];
    for (int64_t x = 0; x < stride; x++) {
        int64_t i = x / 3;
        const int32_t *weights = axis->weights + i * axis->taps;
        const uint8_t *from = scratch + (axis->first[i] * 3 + x % 3) * XR_ROW_BLOCK;
        for (int r = 0; r < XR_ROW_BLOCK; r += LANES) {
            Ints sum = (Ints){0} + (1 << (precision - 1));
            for (int k = 0; k < axis->count[i]; k++) {
                sum += weights[k] * load_ints(from + 3 * XR_ROW_BLOCK * k + r);
            }
            store_clipped((uint8_t *)&m[x % 16] + r, sum, precision);
        }
        if (x % 16 == 15) store_columns(out, m, rows, stride, x - 15, 16);
    }
    if (stride % 16) store_columns(out, m, rows, stride, stride - stride % 16, stride % 16);
}

// ---- columns ----

static void resample_column(uint8_t *out, const uint8_t *in, int64_t stride, int64_t bytes,
                            const XrResampleAxis *axis, int i) {
    const int32_t *weights = axis->weights + (int64_t)i * axis->taps;
    const int precision = axis->precision, count = axis->count[i];
    in += axis->first[i] * stride;
    int64_t x = 0;
    for (; x + LANES <= bytes; x += LANES) {
        Ints sum = (Ints){0} + (1 << (precision - 1));
        for (int k = 0; k < count; k++) sum += weights[k] * load_ints(in + k * stride + x);
        store_clipped(out + x, sum, precision);
    }
    for (; x < bytes; x++) {
        int32_t sum = 1 << (precision - 1);
        for (int k = 0; k < count; k++) sum += weights[k] * in[k * stride + x];
        sum >>= precision;
        out[x] = (uint8_t)(sum < 0 ? 0 : sum > 255 ? 255 : sum);
    }
}

// ---- patches ----

static void cut_patches(float *out, const uint8_t *rgb, const float *table,
                        const XrPatchLayout *layout) {
    const int patch = layout->patch, merge = layout->merge, temporal = layout->temporal;
    int64_t area = (int64_t)patch * patch, stride = layout->w * patch * 3;
    for (int64_t cell = 0; cell < layout->w / merge; cell++) {
        for (int m = 0; m < merge * merge; m++) {
            const uint8_t *corner =
                rgb + (m / merge) * patch * stride + (cell * merge + m % merge) * patch * 3;
            for (int c = 0; c < 3; c++) {
                const float *values = table + c * 256;
                for (int y = 0; y < patch; y++) {
                    const uint8_t *from = corner + y * stride + c;
                    for (int x = 0; x < patch; x++) out[y * patch + x] = values[from[3 * x]];
                }
                for (int t = 1; t < temporal; t++) {
                    memcpy(out + t * area, out, (size_t)area * sizeof(float));
                }
                out += temporal * area;
            }
        }
    }
}

const XrImageKernels XR_KERNEL(xr_image_kernels) = {resample_rows, resample_column, cut_patches};
