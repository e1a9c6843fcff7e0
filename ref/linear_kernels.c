// Tiles of up to ROWS x 4 or TALL x 3 sums, each held in one vector whose lanes run along K.
#include "ref/linear_kernels.h"

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
    int64_t x_stride, depth, ahead;
} Tile;

static inline Vec last_inputs(const float *x, int64_t count) {
    float padded[XR_LANES] = {0};
    memcpy(padded, x, (size_t)count * sizeof *x);
    return vec_load(padded);
}

XR_INLINE void prefetch(const Tile *t, int64_t k, int columns, XrDType type) {
    XR_UNROLL for (int c = 0; c < columns; c++) {
        __builtin_prefetch(t->w[c] + (k + t->ahead) * (type == XR_F32 ? 4 : 2), 0, 2);
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
XR_INLINE void tile(float sums[][COLUMNS], const Tile *t, int rows, int columns, XrDType type,
                    bool fetch) {
    Vec acc[TALL][COLUMNS];
    XR_UNROLL for (int r = 0; r < rows; r++) {
        XR_UNROLL for (int c = 0; c < columns; c++) acc[r][c] = (Vec){0};
    }
    int64_t whole = t->depth / XR_LANES * XR_LANES, rest = t->depth - whole;
    for (int64_t k = 0; k < whole; k += XR_LANES) {
        if (fetch) prefetch(t, k, columns, type);
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

XR_INLINE void store_tile(const XrLinearBlock *b, int64_t row, int64_t column,
                          float sums[][COLUMNS], int rows, int64_t columns) {
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
    float sums[TALL][COLUMNS] = {{0}};
    int columns = rows > ROWS ? 3 : 4;
    Tile t = {.x = b->x + row * b->x_stride,
              .x_stride = b->x_stride,
              .depth = b->depth,
              .ahead = b->ahead};
    int64_t row_bytes = b->w_stride * (type == XR_F32 ? 4 : 2);
    for (int c = 0; c < columns; c++) {
        t.w[c] = (const char *)b->w + XR_MIN(column + c, b->columns - 1) * row_bytes;
    }
    tile(sums, &t, rows, columns, type, fetch);
    store_tile(b, row, column, sums, rows, XR_MIN(columns, b->columns - column));
}

#define CASE(n)                                                                                    \
    case n:                                                                                        \
        one_tile(b, row, column, n, type, fetch);                                                  \
        break

XR_INLINE void some_rows(const XrLinearBlock *b, int64_t row, int64_t column, int64_t rows,
                         XrDType type, bool fetch) {
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

// Few rows: in as few passes over the weights as can be, of as equal numbers of rows as can be; the
// first pass fetches ahead, the others find the weights in the cache.
XR_INLINE void few_rows(const XrLinearBlock *b, XrDType type) {
    int64_t passes = (b->rows + TALL - 1) / TALL;
    for (int64_t row = 0, rows; row < b->rows; row += rows, passes--) {
        rows = (b->rows - row + passes - 1) / passes;
        int64_t step = rows > ROWS ? 3 : 4;
        for (int64_t column = 0; column < b->columns; column += step) {
            if (row == 0) // two calls: whether to fetch is a constant in the inner loop
                some_rows(b, row, column, rows, type, true);
            else
                some_rows(b, row, column, rows, type, false);
        }
    }
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
