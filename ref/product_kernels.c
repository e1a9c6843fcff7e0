#include "ref/product_kernels.h"

#include "ref/transpose.h"
#include "ref/weights.h"
#include "shared/base/memory.h" // defines: XR_MIN

#if defined(__AVX512F__)
enum { ROWS = 12, VECTORS = 2, LEVELS = 4 };
#elif defined(__AVX2__)
enum { ROWS = 6, VECTORS = 2, LEVELS = 3 };
#elif defined(__aarch64__)
enum { ROWS = 6, VECTORS = 4, LEVELS = 2 };
#else
enum { ROWS = 6, VECTORS = 2, LEVELS = 2 };
#endif

enum { COLUMNS = VECTORS * XR_LANES, TILE = ROWS * COLUMNS };

_Static_assert(1 << LEVELS == XR_LANES, "partial sums are added in pairs");
_Static_assert((int)COLUMNS >= (int)ROWS, "a strip of either operand has at most COLUMNS lines");

// ---- packing ----

enum { WIDEST = 32 }; // lines of a strip in whole squares

XR_INLINE int in_squares(int width) {
    return (width + SQUARE - 1) / SQUARE * SQUARE;
}

// SQUARE lines, XR_LANES steps of each; zeros past the last line and step.
XR_INLINE void load_lines(float stage[SQUARE][XR_LANES], const XrPack *p, int64_t line, int64_t k,
                          XrDType type) {
    int64_t size = type == XR_F32 ? 4 : 2;
    for (int64_t i = 0; i < SQUARE; i++) {
        const char *from = (const char *)p->from + (line + i) * p->stride * size;
        Vec v = {0};
        if (line + i < p->lines) {
            v = k + XR_LANES <= p->depth ? weights(from, k, type)
                                         : last_weights(from, k, p->depth - k, type);
        }
        vec_store(stage[i], v);
    }
}

enum { FETCH = 256 }; // bytes along a line from what is read to what to fetch into a cache

// Fetches what comes FETCH bytes later: of the same lines, or of the next strip's.
XR_INLINE void fetch_lines(const XrPack *p, int64_t line, int64_t k, int width, XrDType type) {
    int64_t size = type == XR_F32 ? 4 : 2, later = k + FETCH / size;
    if (later >= p->depth) {
        line += width;
        later -= p->depth;
    }
    if (later >= p->depth || line + width > p->lines) return;
    const char *from = (const char *)p->from + (line * p->stride + later) * size;
    XR_UNROLL for (int i = 0; i < width; i++) {
        __builtin_prefetch(from + i * p->stride * size, 0, 2);
    }
}

// XR_LANES steps of a strip. Where strips are not made of whole squares the last one's lines go
// on into the next step's first ones, which are written after them, by a square or a step that
// comes later.
XR_INLINE void pack_group(float *to, const XrPack *p, int64_t line, int64_t k, int width,
                          XrDType type) {
    bool direct =
        type == XR_F32 && k + XR_LANES <= p->depth && line + in_squares(width) <= p->lines;
    XR_UNROLL for (int i = in_squares(width) - SQUARE; i >= 0; i -= SQUARE) {
        float stage[SQUARE][XR_LANES];
        const float *from = stage[0];
        if (direct)
            from = (const float *)p->from + (line + i) * p->stride + k;
        else
            load_lines(stage, p, line + i, k, type);
        int64_t stride = direct ? p->stride : XR_LANES;
        XR_UNROLL for (int j = 0; j < XR_LANES; j += SQUARE) {
            transpose_square(to + j * p->step + i, p->step, from + j, stride);
        }
    }
}

enum { CACHE_LINE = 64 }; // bytes

// The steps of a line are contiguous. Few lines are read at a time, since they may lie a power of
// two apart and share a set of the cache.
XR_INLINE void pack_along(const XrPack *p, int width, XrDType type) {
    int64_t size = type == XR_F32 ? 4 : 2;
    for (int64_t s = 0; s < p->strips; s++) {
        float *to = p->to + s * p->strip;
        for (int64_t g = 0; g < p->groups; g++, to += p->group) {
            int64_t k = g * XR_LANES;
            if (k * size % CACHE_LINE == 0) fetch_lines(p, s * width, k, width, type);
            pack_group(to, p, s * width, k, width, type);
        }
    }
}

XR_INLINE int in_vectors(int width) {
    return (width + XR_LANES - 1) / XR_LANES * XR_LANES;
}

// One step of a strip, in whole vectors: see pack_group.
XR_INLINE void pack_step(float *to, const char *from, int width, XrDType type) {
    XR_UNROLL for (int i = 0; i < width; i += XR_LANES) vec_store(to + i, weights(from, i, type));
}

enum {
    AHEAD = 40, // steps from one that is read to the one to fetch into a cache
    STEPS = 4,  // of a strip that are packed together, so that lines of the cache are written whole
};

// STEPS of a strip from step k on, at its edges.
XR_INLINE void pack_edge(float *to, const XrPack *p, int64_t line, int64_t k, int width,
                         XrDType type) {
    int64_t size = type == XR_F32 ? 4 : 2, lines = XR_MIN(width, p->lines - line);
    for (int j = 0; j < STEPS; j++) {
        float padded[WIDEST] = {0};
        const char *from = (const char *)p->from + ((k + j) * p->stride + line) * size;
        if (k + j < p->depth) memcpy(padded, from, (size_t)(lines * size));
        pack_step(to + j * p->step, (const char *)padded, width, type);
    }
}

// The lines of a step are contiguous.
XR_INLINE void pack_across(const XrPack *p, int width, XrDType type) {
    int64_t size = type == XR_F32 ? 4 : 2, stride = p->stride * size;
    for (int64_t k = 0; k < p->groups * XR_LANES; k += STEPS) {
        const char *from = (const char *)p->from + k * stride;
        int64_t ahead = k + AHEAD + STEPS <= p->depth ? AHEAD * stride : 0;
        float *to = p->to + k / XR_LANES * p->group + k % XR_LANES * p->step;
        int64_t line = 0;
        for (int64_t s = 0; s < p->strips; s++, line += width, to += p->strip) {
            if (k + STEPS > p->depth || line + in_vectors(width) > p->lines) {
                pack_edge(to, p, line, k, width, type);
                continue;
            }
            XR_UNROLL for (int j = 0; j < STEPS; j++) {
                const char *step = from + j * stride + line * size;
                __builtin_prefetch(step + ahead, 0, 2);
                pack_step(to + j * p->step, step, width, type);
            }
        }
    }
}

#define PACK(name, how, width, type)                                                               \
    static void name(const XrPack *p) {                                                            \
        how(p, width, type);                                                                       \
    }
PACK(left_along, pack_along, ROWS, XR_F32)
PACK(left_across, pack_across, ROWS, XR_F32)
PACK(right_along_f32, pack_along, COLUMNS, XR_F32)
PACK(right_along_bf16, pack_along, COLUMNS, XR_BF16)
PACK(right_along_f16, pack_along, COLUMNS, XR_F16)
PACK(right_across_f32, pack_across, COLUMNS, XR_F32)
PACK(right_across_bf16, pack_across, COLUMNS, XR_BF16)
PACK(right_across_f16, pack_across, COLUMNS, XR_F16)

// ---- multiplying ----

typedef struct Tile {
    const float *left, *right;
    const float *waiting; // sums of `merges` levels to add, one after the other
    int merges;
} Tile;

// One step of all of a tile's chains.
XR_INLINE void add_step(Vec acc[ROWS][VECTORS], const float *left, const float *right) {
    Vec line[VECTORS];
    XR_UNROLL for (int v = 0; v < VECTORS; v++) {
        line[v] = vec_load(right + (ptrdiff_t)v * XR_LANES);
    }
    XR_UNROLL for (int r = 0; r < ROWS; r++) {
        Vec factor = vec_set(left[r]);
        XR_UNROLL for (int v = 0; v < VECTORS; v++) vec_add_product(&acc[r][v], factor, line[v]);
    }
}

// Steps of one round of the loop: the fewer instructions beside multiply-adds, the less is lost
// where a processor's other thread takes part of what a core can decode. Only where compilers
// leave sums where they are.
#if defined(XR_SUMS_STAY)
enum { TOGETHER = 4 };
#else
enum { TOGETHER = 1 };
#endif

// One partial sum of a tile, and those that it completes.
XR_INLINE void sum_tile(Vec acc[ROWS][VECTORS], const Tile *t, int64_t steps) {
    XR_UNROLL for (int r = 0; r < ROWS; r++) {
        XR_UNROLL for (int v = 0; v < VECTORS; v++) acc[r][v] = (Vec){0};
    }
    const float *left = t->left, *right = t->right;
    int64_t i = 0;
    for (; i + TOGETHER <= steps; i += TOGETHER) {
        XR_UNROLL for (int j = 0; j < TOGETHER; j++) {
            add_step(acc, left + (ptrdiff_t)j * ROWS, right + (ptrdiff_t)j * COLUMNS);
        }
        left += TOGETHER * ROWS;
        right += TOGETHER * COLUMNS;
    }
    for (; i < steps; i++, left += ROWS, right += COLUMNS) add_step(acc, left, right);
    const float *other = t->waiting;
    for (int m = 0; m < t->merges; m++, other += TILE) {
        XR_UNROLL for (int r = 0; r < ROWS; r++) {
            XR_UNROLL for (int v = 0; v < VECTORS; v++) {
                acc[r][v] += vec_load(other + (ptrdiff_t)r * COLUMNS + (ptrdiff_t)v * XR_LANES);
            }
        }
    }
}

XR_INLINE void store_whole(float *y, int64_t stride, Vec acc[ROWS][VECTORS]) {
    XR_UNROLL for (int r = 0; r < ROWS; r++) {
        XR_UNROLL for (int v = 0; v < VECTORS; v++) {
            vec_store(y + r * stride + (ptrdiff_t)v * XR_LANES, acc[r][v]);
        }
    }
}

// A complete tile of sums goes into y.
XR_INLINE void finish_whole(const XrProductBlock *b, int64_t row, int64_t column,
                            Vec acc[ROWS][VECTORS]) {
    float *y = b->y + row * b->y_stride + column;
    XR_UNROLL for (int v = 0; v < VECTORS; v++) {
        ptrdiff_t at = (ptrdiff_t)v * XR_LANES;
        if (!b->first) {
            XR_UNROLL for (int r = 0; r < ROWS; r++) acc[r][v] +=
                vec_load(y + r * b->y_stride + at);
        }
        if (b->bias) {
            XR_UNROLL for (int r = 0; r < ROWS; r++) acc[r][v] += vec_load(b->bias + column + at);
        }
    }
    store_whole(y, b->y_stride, acc);
}

enum { LINE = 16 }; // floats of a line of the cache

// Has y of a complete tile brought into the cache while the tile is summed.
XR_INLINE void fetch_tile(const XrProductBlock *b, int64_t row, int64_t column) {
    const float *y = b->y + row * b->y_stride + column;
    XR_UNROLL for (int r = 0; r < ROWS; r++, y += b->y_stride) {
        XR_UNROLL for (int c = 0; c < COLUMNS; c += LINE) __builtin_prefetch(y + c);
        __builtin_prefetch(y + COLUMNS - 1); // y need not begin a line
    }
}

// The same at the edge of the block.
static void finish_part(const XrProductBlock *b, int64_t row, int64_t column, const float *sums) {
    int64_t rows = XR_MIN(ROWS, b->rows - row), columns = XR_MIN(COLUMNS, b->columns - column);
    for (int64_t r = 0; r < rows; r++, sums += COLUMNS) {
        float *y = b->y + (row + r) * b->y_stride + column;
        for (int64_t c = 0; c < columns; c++) {
            float sum = b->first ? sums[c] : y[c] + sums[c];
            y[c] = b->bias ? sum + b->bias[column + c] : sum;
        }
    }
}

// One part of all tiles: while the strip of the right operand stays in the first-level cache, the
// left one's pass by. `merges` levels of waiting sums are complete with it, or with the last part
// all of y.
static void multiply_part(const XrProductBlock *b, int part, int merges, bool complete) {
    float *waiting = b->waiting;
    const float *right = b->right + part * b->right_part;
    for (int64_t column = 0; column < b->columns; column += COLUMNS) {
        const float *left = b->left + part * b->left_part;
        for (int64_t row = 0; row < b->rows; row += ROWS) {
            Tile t = {left, right, waiting, merges};
            Vec acc[ROWS][VECTORS];
            bool whole = row + ROWS <= b->rows && column + COLUMNS <= b->columns;
            if (complete && whole) fetch_tile(b, row, column);
            sum_tile(acc, &t, b->steps);
            if (!complete) {
                store_whole(waiting + (ptrdiff_t)merges * TILE, COLUMNS, acc);
            } else if (whole) {
                finish_whole(b, row, column, acc);
            } else {
                float sums[TILE];
                store_whole(sums, COLUMNS, acc);
                finish_part(b, row, column, sums);
            }
            left += b->left_strip;
            waiting += (ptrdiff_t)LEVELS * TILE;
        }
        right += COLUMNS * b->steps;
    }
}

// Parts in the order in which pairs complete: for eight, 0 4 2 6 1 5 3 7.
static void multiply(const XrProductBlock *b) {
    if (b->chain) {
        multiply_part(b, 0, 0, true);
        return;
    }
    for (int i = 0; i < XR_LANES; i++) {
        int part = 0;
        for (int bit = 0; bit < LEVELS; bit++) part |= (i >> bit & 1) << (LEVELS - 1 - bit);
        multiply_part(b, part, __builtin_ctz(~i), i + 1 == XR_LANES);
    }
}

const XrProductKernels XR_KERNEL(xr_product_kernels) = {
    .lanes = XR_LANES,
    .rows = ROWS,
    .columns = COLUMNS,
    .waiting = LEVELS * TILE,
    .pack_left = {left_along, left_across},
    .pack_right = {[XR_F32] = {right_along_f32, right_across_f32},
                   [XR_BF16] = {right_along_bf16, right_across_bf16},
                   [XR_F16] = {right_along_f16, right_across_f16}},
    .multiply = multiply,
};
