// Tiles of up to ROWS x 4 or TALL x 3 sums, each held in one vector whose lanes run along K. The
// columns of a tile lie far apart, those of the next tile right behind them: each reads on where
// the other ended, so that memory is read in as many long runs as a tile has columns, which the
// processor fetches ahead by itself.
#include "ref/linear_kernels.h"

#include "ref/product.h" // defines: XR_PRODUCT_CHUNK
#include "ref/weights.h"
#include "shared/base/memory.h" // defines: XR_MIN

#if defined(__AVX512F__)
#define ROWS 6
#define TALL 8
#elif defined(__AVX2__)
#define ROWS 3
#define TALL 4
#elif defined(__aarch64__)
#define ROWS 4
#define TALL 5
#else
#define ROWS 2
#define TALL 2
#endif

enum { COLUMNS = 4 }; // of a sum's array; tiles of more than ROWS rows use three

typedef struct Tile {
    const float *x;
    const char *w[COLUMNS];
    int64_t x_stride, depth;
} Tile;

static inline Vec last_inputs(const float *x, int64_t count) {
    float padded[XR_LANES] = {0};
    memcpy(padded, x, (size_t)count * sizeof *x);
    return vec_load(padded);
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
XR_INLINE void tile(float sums[][COLUMNS], const Tile *t, int rows, int columns, XrDType type) {
    Vec acc[TALL][COLUMNS];
    XR_UNROLL for (int r = 0; r < rows; r++) {
        XR_UNROLL for (int c = 0; c < columns; c++) acc[r][c] = (Vec){0};
    }
    int64_t whole = t->depth / XR_LANES * XR_LANES, rest = t->depth - whole;
    for (int64_t k = 0; k < whole; k += XR_LANES) {
        Vec x[TALL];
        XR_UNROLL for (int r = 0; r < rows; r++) x[r] = vec_load(t->x + r * t->x_stride + k);
        XR_UNROLL for (int c = 0; c < columns; c++) {
            Vec w = weights(t->w[c], k, type);
            XR_UNROLL for (int r = 0; r < rows; r++) acc[r][c] = vec_fma(x[r], w, acc[r][c]);
        }
    }
    if (rest) {
        Vec x[TALL];
        XR_UNROLL for (int r = 0; r < rows; r++) {
            x[r] = last_inputs(t->x + r * t->x_stride + whole, rest);
        }
        XR_UNROLL for (int c = 0; c < columns; c++) {
            Vec w = last_weights(t->w[c], whole, rest, type);
            XR_UNROLL for (int r = 0; r < rows; r++) acc[r][c] = vec_fma(x[r], w, acc[r][c]);
        }
    }
    XR_UNROLL for (int r = 0; r < rows && columns < COLUMNS; r++) acc[r][COLUMNS - 1] = (Vec){0};
    sum_tile(sums, acc, rows);
}

// Adds to or begins `rows` rows of the tile's columns, which are `apart` from each other.
XR_INLINE void store_tile(const XrLinearBlock *b, int64_t row, int64_t column, int64_t apart,
                          float sums[][COLUMNS], int rows, int columns, int64_t k) {
    bool last = b->bias && k + XR_PRODUCT_CHUNK >= b->depth;
    for (int r = 0; r < rows; r++) {
        float *y = b->y + (row + r) * b->y_stride;
        int64_t at = column;
        for (int c = 0; c < columns && at < b->columns; c++, at += apart) {
            float sum = k == 0 ? sums[r][c] : y[at] + sums[r][c];
            y[at] = last ? sum + b->bias[at] : sum;
        }
    }
}

// One chunk of K, from `k` on. Past the last column the last one is computed again, and not stored.
XR_INLINE void one_tile(const XrLinearBlock *b, int64_t row, int64_t column, int64_t apart,
                        int64_t k, int rows, int columns, XrDType type) {
    float sums[TALL][COLUMNS] = {{0}};
    Tile t = {.x = b->x + row * b->x_stride + k,
              .x_stride = b->x_stride,
              .depth = XR_MIN(XR_PRODUCT_CHUNK, b->depth - k)};
    int64_t size = type == XR_F32 ? 4 : 2;
    for (int c = 0; c < columns; c++) {
        int64_t at = XR_MIN(column + c * apart, b->columns - 1);
        t.w[c] = (const char *)b->w + (at * b->depth + k) * size;
    }
    tile(sums, &t, rows, columns, type);
    store_tile(b, row, column, apart, sums, rows, columns, k);
}

#define CASE(n)                                                                                    \
    case n:                                                                                        \
        if ((n) <= ROWS || columns < COLUMNS)                                                      \
            one_tile(b, row, column, apart, k, n, columns, type);                                  \
        break

XR_INLINE void some_rows(const XrLinearBlock *b, int64_t row, int64_t column, int64_t apart,
                         int64_t k, int64_t rows, int columns, XrDType type) {
    switch (rows) {
        CASE(1);
        CASE(2);
#if TALL > 2
        CASE(3);
        CASE(4);
#endif
#if TALL > 4
        CASE(5);
#endif
#if TALL > 5
        CASE(6);
        CASE(7);
        CASE(8);
#endif
    default:
        __builtin_unreachable();
    }
}

// All tiles, in passes of as equal numbers of rows as can be; only the first pass over a tile's
// weights reads them from memory.
XR_INLINE void tiles(const XrLinearBlock *b, int64_t passes, int columns, XrDType type) {
    int64_t apart = (b->columns + columns - 1) / columns;
    for (int64_t column = 0; column < apart; column++) {
        for (int64_t k = 0; k == 0 || k < b->depth; k += XR_PRODUCT_CHUNK) {
            for (int64_t row = 0, rows, left = passes; row < b->rows; row += rows, left--) {
                rows = (b->rows - row + left - 1) / left;
                some_rows(b, row, column, apart, k, rows, columns, type);
            }
        }
    }
}

XR_INLINE void few_rows(const XrLinearBlock *b, XrDType type) {
    int64_t passes = (b->rows + TALL - 1) / TALL;
    if ((b->rows + passes - 1) / passes > ROWS)
        tiles(b, passes, 3, type);
    else
        tiles(b, passes, COLUMNS, type);
}

static void few_f32(const XrLinearBlock *b) {
    few_rows(b, XR_F32);
}

static void few_bf16(const XrLinearBlock *b) {
    few_rows(b, XR_BF16);
}

static void few_f16(const XrLinearBlock *b) {
    few_rows(b, XR_F16);
}

const XrLinearKernels XR_KERNEL(xr_linear_kernels) = {
    .few_rows = {[XR_F32] = few_f32, [XR_BF16] = few_bf16, [XR_F16] = few_f16},
};
