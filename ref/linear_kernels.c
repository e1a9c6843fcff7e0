// Tiles of ROWS x 4 sums, each held in one vector whose lanes run along K.
#include "ref/linear_kernels.h"

#include "ref/vector.h"
#include "shared/base/memory.h" // defines: XR_MIN

#if defined(__AVX512F__)
enum { ROWS = 6 };
#elif defined(__AVX2__)
enum { ROWS = 3 };
#elif defined(__aarch64__)
enum { ROWS = 4 };
#else
enum { ROWS = 2 };
#endif

enum { COLUMNS = 4 };

typedef struct Tile {
    const float *x;
    const char *w[COLUMNS];
    int64_t x_stride, depth, ahead;
} Tile;

// XR_LANES weights at element k of a row.
XR_INLINE Vec weights(const char *w, int64_t k, XrDType type) {
    if (type == XR_F32) return vec_load((const float *)(const void *)(w + 4 * k));
    VecHalf half;
    memcpy(&half, w + 2 * k, sizeof half);
    return type == XR_BF16 ? vec_from_bf16(half) : vec_from_f16(half);
}

// The same for the last `count` < XR_LANES of a row, zeros after them.
static inline Vec last_weights(const char *w, int64_t k, int64_t count, XrDType type) {
    char padded[sizeof(Vec)] = {0};
    size_t size = type == XR_F32 ? 4 : 2;
    memcpy(padded, w + (size_t)k * size, (size_t)count * size);
    return weights(padded, 0, type);
}

static inline Vec last_inputs(const float *x, int64_t count) {
    float padded[XR_LANES] = {0};
    memcpy(padded, x, (size_t)count * sizeof *x);
    return vec_load(padded);
}

XR_INLINE void prefetch(const Tile *t, int64_t k, XrDType type) {
    for (int c = 0; c < COLUMNS; c++) {
        __builtin_prefetch(t->w[c] + (k + t->ahead) * (type == XR_F32 ? 4 : 2), 0, 3);
    }
}

#if defined(__AVX512F__)
#define SHUFFLE(a, b, how) (Vec) _mm512_shuffle_ps((__m512)(a), (__m512)(b), how)
#elif defined(__AVX2__)
#define SHUFFLE(a, b, how) (Vec) _mm256_shuffle_ps((__m256)(a), (__m256)(b), how)
#elif defined(__x86_64__)
#define SHUFFLE(a, b, how) (Vec) _mm_shuffle_ps((__m128)(a), (__m128)(b), how)
#endif

#if defined(SHUFFLE)
// From v[c], whose quarters of four lanes belong to a row each, to the sums of these quarters,
// column after column: lanes two apart are added, then neighbours.
XR_INLINE Vec sum_quarters(const Vec v[COLUMNS]) {
    Vec ab = SHUFFLE(v[0], v[1], 0x44) + SHUFFLE(v[0], v[1], 0xEE);
    Vec cd = SHUFFLE(v[2], v[3], 0x44) + SHUFFLE(v[2], v[3], 0xEE);
    return SHUFFLE(ab, cd, 0x88) + SHUFFLE(ab, cd, 0xDD);
}
#endif

// sums[r][c] = vec_sum(acc[r][c]), several at once.
XR_INLINE void sum_tile(float sums[][COLUMNS], Vec acc[][COLUMNS], int rows) {
#if defined(__AVX512F__)
    XR_UNROLL for (int r = 0; r < rows; r += 4) {
        Vec quarters[COLUMNS];
        XR_UNROLL for (int c = 0; c < COLUMNS; c++) {
            __m512 a[4];
            XR_UNROLL for (int i = 0; i < 4; i++) a[i] = (__m512)acc[XR_MIN(r + i, rows - 1)][c];
            __m512 ab =
                _mm512_shuffle_f32x4(a[0], a[1], 0x44) + _mm512_shuffle_f32x4(a[0], a[1], 0xEE);
            __m512 cd =
                _mm512_shuffle_f32x4(a[2], a[3], 0x44) + _mm512_shuffle_f32x4(a[2], a[3], 0xEE);
            quarters[c] =
                (Vec)(_mm512_shuffle_f32x4(ab, cd, 0x88) + _mm512_shuffle_f32x4(ab, cd, 0xDD));
        }
        Vec four = sum_quarters(quarters);
        int count = XR_MIN(4, rows - r);
        memcpy(sums[r], &four, (size_t)count * sizeof *sums);
    }
#elif defined(__AVX2__)
    XR_UNROLL for (int r = 0; r < rows; r += 2) {
        Vec halves[COLUMNS];
        XR_UNROLL for (int c = 0; c < COLUMNS; c++) {
            __m256 a = (__m256)acc[r][c], b = (__m256)acc[XR_MIN(r + 1, rows - 1)][c];
            halves[c] =
                (Vec)(_mm256_permute2f128_ps(a, b, 0x20) + _mm256_permute2f128_ps(a, b, 0x31));
        }
        Vec two = sum_quarters(halves);
        memcpy(sums[r], &two, (size_t)XR_MIN(2, rows - r) * sizeof *sums);
    }
#elif defined(SHUFFLE)
    for (int r = 0; r < rows; r++) vec_store(sums[r], sum_quarters(acc[r]));
#else
    for (int r = 0; r < rows; r++) {
        for (int c = 0; c < COLUMNS; c++) sums[r][c] = vec_sum(acc[r][c]);
    }
#endif
}

// sums[r][c] = x[r] . w[c] over the tile's depth.
XR_INLINE void tile(float sums[][COLUMNS], const Tile *t, int rows, XrDType type, bool fetch) {
    Vec acc[ROWS][COLUMNS];
    XR_UNROLL for (int r = 0; r < rows; r++) {
        XR_UNROLL for (int c = 0; c < COLUMNS; c++) acc[r][c] = (Vec){0};
    }
    int64_t whole = t->depth / XR_LANES * XR_LANES, rest = t->depth - whole;
    for (int64_t k = 0; k < whole; k += XR_LANES) {
        if (fetch) prefetch(t, k, type);
        Vec x[ROWS];
        XR_UNROLL for (int r = 0; r < rows; r++) x[r] = vec_load(t->x + r * t->x_stride + k);
        XR_UNROLL for (int c = 0; c < COLUMNS; c++) {
            Vec w = weights(t->w[c], k, type);
            XR_UNROLL for (int r = 0; r < rows; r++) acc[r][c] = vec_fma(x[r], w, acc[r][c]);
        }
    }
    if (rest) {
        Vec x[ROWS];
        XR_UNROLL for (int r = 0; r < rows; r++) {
            x[r] = last_inputs(t->x + r * t->x_stride + whole, rest);
        }
        XR_UNROLL for (int c = 0; c < COLUMNS; c++) {
            Vec w = last_weights(t->w[c], whole, rest, type);
            XR_UNROLL for (int r = 0; r < rows; r++) acc[r][c] = vec_fma(x[r], w, acc[r][c]);
        }
    }
    sum_tile(sums, acc, rows);
}

XR_INLINE void store_tile(const XrLinearBlock *b, int64_t row, int64_t column,
                          float sums[][COLUMNS], int rows) {
    int columns = (int)XR_MIN(COLUMNS, b->columns - column);
    for (int r = 0; r < rows; r++) {
        float *y = b->y + (row + r) * b->y_stride + column;
        for (int c = 0; c < columns; c++) {
            float sum = b->first ? sums[r][c] : y[c] + sums[r][c];
            y[c] = b->bias ? sum + b->bias[column + c] : sum;
        }
    }
}

// Past the last column the last one is computed again, and not stored.
XR_INLINE void one_tile(const XrLinearBlock *b, int64_t row, int64_t column, int rows, XrDType type,
                        bool fetch) {
    float sums[ROWS][COLUMNS] = {{0}};
    Tile t = {.x = b->x + row * b->x_stride,
              .x_stride = b->x_stride,
              .depth = b->depth,
              .ahead = b->ahead};
    int64_t row_bytes = b->w_stride * (type == XR_F32 ? 4 : 2);
    for (int c = 0; c < COLUMNS; c++) {
        t.w[c] = (const char *)b->w + XR_MIN(column + c, b->columns - 1) * row_bytes;
    }
    tile(sums, &t, rows, type, fetch);
    store_tile(b, row, column, sums, rows);
}

XR_INLINE void some_rows(const XrLinearBlock *b, int64_t row, int64_t column, int64_t rows,
                         XrDType type, bool fetch) {
    switch (rows) {
    case 1:
        one_tile(b, row, column, 1, type, fetch);
        break;
    case 2:
        one_tile(b, row, column, 2, type, fetch);
        break;
#if XR_LANES > 4 || defined(__aarch64__)
    case 3:
        one_tile(b, row, column, 3, type, fetch);
        break;
#endif
#if XR_LANES > 8 || defined(__aarch64__)
    case 4:
        one_tile(b, row, column, 4, type, fetch);
        break;
#endif
#if XR_LANES > 8
    case 5:
        one_tile(b, row, column, 5, type, fetch);
        break;
    case 6:
        one_tile(b, row, column, 6, type, fetch);
        break;
#endif
    default:
        __builtin_unreachable();
    }
}

// Few rows: weights stream through once while the rows stay in the cache, fetched ahead. Many: a
// tile's rows stay while it passes over the block's weights.
XR_INLINE void block(const XrLinearBlock *b, XrDType type) {
    if (b->ahead) {
        for (int64_t column = 0; column < b->columns; column += COLUMNS) {
            for (int64_t row = 0; row < b->rows; row += ROWS) {
                some_rows(b, row, column, XR_MIN(ROWS, b->rows - row), type, row == 0);
            }
        }
    } else {
        for (int64_t row = 0; row < b->rows; row += ROWS) {
            for (int64_t column = 0; column < b->columns; column += COLUMNS) {
                some_rows(b, row, column, XR_MIN(ROWS, b->rows - row), type, false);
            }
        }
    }
}

static void block_f32(const XrLinearBlock *b) {
    block(b, XR_F32);
}

static void block_bf16(const XrLinearBlock *b) {
    block(b, XR_BF16);
}

static void block_f16(const XrLinearBlock *b) {
    block(b, XR_F16);
}

XR_INLINE void expand(float *to, int64_t stride, const void *from, int64_t from_stride,
                      int64_t rows, int64_t depth, XrDType type) {
    int64_t whole = depth / XR_LANES * XR_LANES;
    for (int64_t r = 0; r < rows; r++, to += stride) {
        const char *w = (const char *)from + r * from_stride * (type == XR_F32 ? 4 : 2);
        for (int64_t k = 0; k < whole; k += XR_LANES) vec_store(to + k, weights(w, k, type));
        if (whole == depth) continue;
        Vec last = last_weights(w, whole, depth - whole, type);
        memcpy(to + whole, &last, (size_t)(depth - whole) * sizeof *to);
    }
}

static void expand_f32(float *to, int64_t stride, const void *from, int64_t from_stride,
                       int64_t rows, int64_t depth) {
    expand(to, stride, from, from_stride, rows, depth, XR_F32);
}

static void expand_bf16(float *to, int64_t stride, const void *from, int64_t from_stride,
                        int64_t rows, int64_t depth) {
    expand(to, stride, from, from_stride, rows, depth, XR_BF16);
}

static void expand_f16(float *to, int64_t stride, const void *from, int64_t from_stride,
                       int64_t rows, int64_t depth) {
    expand(to, stride, from, from_stride, rows, depth, XR_F16);
}

const XrLinearKernels XR_KERNEL(xr_linear_kernels) = {
    .rows = ROWS,
    .block = {[XR_F32] = block_f32, [XR_BF16] = block_bf16, [XR_F16] = block_f16},
    .expand = {[XR_F32] = expand_f32, [XR_BF16] = expand_bf16, [XR_F16] = expand_f16},
};
