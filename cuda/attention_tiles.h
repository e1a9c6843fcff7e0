// Tiles of attention in shared memory and a warp's products with them, in bf16 on tensor cores and
// in f32 with plain multiply-adds (never TF32).
//
// A tile is rows of C * XR_SLICE elements (the size of a head, filled up with zeros). The products
// are those of 16 rows a warp, in the layout of mma.m16n8k16's results: with g = lane / 4 and
// t = lane % 4, a lane holds of each block of 16 rows and 8 columns
//   [0], [1]: row g, columns 2t and 2t+1        [2], [3]: row g+8, the same columns.
//
// Columns that stand for rows of a tile (keys, in scores) are permuted: within 32 rows, lane t has
// rows 8t to 8t+7 as its columns of four successive blocks (xr_tile_row). And along a head's
// elements, lane t takes 8t to 8t+7 of each slice of 32 where the instruction would have 2t, 2t+1,
// 2t+8 and 2t+9 twice: the same for both operands, which a sum does not notice. So every operand
// that lies in rows is read in accesses of 16 bytes, and scores are in their place as left operand
// of the next product without leaving the registers.
#ifndef XR_CUDA_ATTENTION_TILES_H
#define XR_CUDA_ATTENTION_TILES_H

#include "cuda/cuda.h"

enum { XR_SLICE = 32, XR_MOST_HEAD_DIM = 4 * XR_SLICE };

// ---- where a tile's elements lie ----

template <typename T, int C> struct XrTile {
    static constexpr int row = C * XR_SLICE;               // elements
    static constexpr int chunks = row / XrChunk<T>::count; // of 16 bytes, in a row
};

// Chunks are exchanged within a row so that neither two successive rows (operands read by rows)
// nor rows 8 apart (operands read by columns, and f32) meet in the same banks: the number of a
// chunk is turned by its row's `parity` (row % 2) and `eighth` (row / 8 % 4), which callers know to
// be the same for many rows.
template <typename T, int C>
XR_DEVICE int xr_tile_place(int row, int parity, int eighth, int chunk) {
    constexpr int chunks = XrTile<T, C>::chunks;
    const int turned = eighth | (chunks % 8 == 0 ? parity << 2 : 0);
    return (row * chunks + (chunk ^ turned)) * XrChunk<T>::count;
}

template <typename T, int C> XR_DEVICE int xr_tile_place(int row, int chunk) {
    return xr_tile_place<T, C>(row, row & 1, row >> 3 & 3, chunk);
}

// The row of a tile that column 2t + h of block n stands for.
XR_DEVICE int xr_tile_row(int n, int t, int h) {
    return 32 * (n / 4) + 8 * t + 2 * (n % 4) + h;
}

// Runs the code once with C standing for the number of slices of a head, at least 2: each C is a
// kernel, and takes the compiler long.
#define XR_SLICE_CASE(count, C, ...)                                                               \
    case count: {                                                                                  \
        constexpr int C = count;                                                                   \
        __VA_ARGS__;                                                                               \
        break;                                                                                     \
    }
#define XR_HEAD_SLICES(head_dim, C, ...)                                                           \
    switch (XR_MAX(2, ((head_dim) + XR_SLICE - 1) / XR_SLICE)) {                                   \
        XR_SLICE_CASE(2, C, __VA_ARGS__)                                                           \
        XR_SLICE_CASE(3, C, __VA_ARGS__)                                                           \
        XR_SLICE_CASE(4, C, __VA_ARGS__)                                                           \
    default:                                                                                       \
        XR_BUG("%s: heads of %d; at most %d", __func__, head_dim, XR_MOST_HEAD_DIM);               \
    }
// Over pages, where heads are a language model's, 64 or 128 elements: 2 or 4. How many slices there
// are changes no bits: what is beyond a head's elements is zero.
#define XR_HEAD_SLICE_PAIRS(head_dim, C, ...)                                                      \
    switch (((head_dim) + 2 * XR_SLICE - 1) / (2 * XR_SLICE) * 2) {                                \
        XR_SLICE_CASE(2, C, __VA_ARGS__)                                                           \
        XR_SLICE_CASE(4, C, __VA_ARGS__)                                                           \
    default:                                                                                       \
        XR_BUG("%s: heads of %d; at most %d", __func__, head_dim, XR_MOST_HEAD_DIM);               \
    }

// ---- filling tiles ----

// Rows of k, v, and their like, of one head of one sequence.
template <typename T> struct XrHeadRows {
    const T *first;
    int64_t stride;
};

template <typename T> XR_DEVICE const T *xr_row_of(const XrHeadRows<T> &rows, int i) {
    return rows.first + i * rows.stride;
}

// Rows of q and its like: those of the heads of a group lie beside each other, so that row i is
// query head i % group of token i / group.
template <typename T> struct XrGroupRows {
    const T *first;
    int64_t stride;
    int group, dim;
};

template <typename T> XR_DEVICE const T *xr_row_of(const XrGroupRows<T> &rows, int i) {
    const int token = i / rows.group;
    return rows.first + token * rows.stride + (int64_t)(i - token * rows.group) * rows.dim;
}

// Starts to copy rows [begin, begin + ROWS) of `from` to a tile; rows from `end` on become 0, and
// so do elements from `dim` on. `wide`: rows of `from` are aligned to 16 bytes and may be read up
// to the chunk that `dim` lies in. What is copied is there after xr_copy_commit, xr_copy_wait and a
// barrier.
template <typename T, int C, int ROWS, int THREADS, typename Rows>
XR_DEVICE void xr_tile_fill(T *tile, const Rows &from, int begin, int end, int dim, bool wide) {
    constexpr int N = XrChunk<T>::count, chunks = XrTile<T, C>::chunks;
    if (wide) {
#pragma unroll 1 // unrolled, an address of each would stay in registers from tile to tile
        for (int i = (int)threadIdx.x; i < ROWS * chunks; i += THREADS) {
            const int row = i / chunks, d = i % chunks * N;
            const int count = begin + row < end ? max(0, min(N, dim - d)) : 0;
            const T *at = count ? xr_row_of(from, begin + row) + d : from.first;
            xr_copy_async(tile + xr_tile_place<T, C>(row, d / N), at, count * (int)sizeof(T));
        }
        return;
    }
#pragma unroll 1
    for (int i = (int)threadIdx.x; i < ROWS * chunks; i += THREADS) {
        const int row = i / chunks, d = i % chunks * N;
        const bool there = begin + row < end;
        float chunk[N];
        xr_load_chunk(chunk, there ? xr_row_of(from, begin + row) + d : from.first,
                      there ? dim - d : 0, false);
        xr_store_chunk(tile + xr_tile_place<T, C>(row, d / N), chunk, N, true);
    }
}

// ---- bf16 ----

struct alignas(16) XrWords {
    uint32_t x, y, z, w;
};

XR_DEVICE XrWords xr_tile_words(const XrBf16 *at) {
    return *(const XrWords *)at;
}

// The number of the lane. Addresses in tiles are made from it anew for each tile: kept from one to
// the next, as the compiler likes to, they would take the registers that sums need.
XR_DEVICE int xr_fresh_lane() {
    return xr_forget((int)threadIdx.x % 32);
}

// s = left right^T: rows [left_row, left_row + 16 BLOCKS) of one tile by all KEYS of another.
template <int C, int BLOCKS, int KEYS>
XR_DEVICE void xr_scores(float (&s)[BLOCKS][KEYS / 8][4], const XrBf16 *left, int left_row,
                         const XrBf16 *right) {
    const int lane = xr_fresh_lane(), g = lane / 4, t = lane % 4;
#pragma unroll
    for (int b = 0; b < BLOCKS; b++) {
#pragma unroll
        for (int n = 0; n < KEYS / 8; n++) s[b][n][0] = s[b][n][1] = s[b][n][2] = s[b][n][3] = 0;
    }
#pragma unroll 1 // unrolled, operands of several slices would take registers at once
    for (int c = 0; c < C; c++) {
        uint32_t a[BLOCKS][2][4];
#pragma unroll
        for (int b = 0; b < BLOCKS; b++) {
            const int row = left_row + 16 * b + g, eighth = left_row / 8 + 2 * b;
            XrWords low =
                xr_tile_words(left + xr_tile_place<XrBf16, C>(row, g & 1, eighth & 3, 4 * c + t));
            XrWords high = xr_tile_words(
                left + xr_tile_place<XrBf16, C>(row + 8, g & 1, (eighth + 1) & 3, 4 * c + t));
            a[b][0][0] = low.x, a[b][0][1] = high.x, a[b][0][2] = low.y, a[b][0][3] = high.y;
            a[b][1][0] = low.z, a[b][1][1] = high.z, a[b][1][2] = low.w, a[b][1][3] = high.w;
        }
#pragma unroll
        for (int n = 0; n < KEYS / 8; n++) {
            const int row = xr_tile_row(n, g / 2, g % 2);
            XrWords r =
                xr_tile_words(right + xr_tile_place<XrBf16, C>(row, g % 2, g / 2, 4 * c + t));
            const uint32_t first[2] = {r.x, r.y}, second[2] = {r.z, r.w};
#pragma unroll
            for (int b = 0; b < BLOCKS; b++) {
                xr_mma_bf16(s[b][n], a[b][0], first);
                xr_mma_bf16(s[b][n], a[b][1], second);
            }
        }
    }
}

// Scores, or what became of them, as a left operand.
template <typename T, int BLOCKS, int KEYS> struct XrFactors;
template <int BLOCKS, int KEYS> struct XrFactors<XrBf16, BLOCKS, KEYS> {
    uint32_t a[BLOCKS][KEYS / 16][4];
};

template <int BLOCKS, int KEYS>
XR_DEVICE void xr_factors(XrFactors<XrBf16, BLOCKS, KEYS> &f,
                          const float (&s)[BLOCKS][KEYS / 8][4]) {
#pragma unroll
    for (int b = 0; b < BLOCKS; b++) {
#pragma unroll
        for (int n = 0; n < KEYS / 8; n++) {
            f.a[b][n / 2][n % 2 * 2] = xr_pack_bf16(s[b][n][0], s[b][n][1]);
            f.a[b][n / 2][n % 2 * 2 + 1] = xr_pack_bf16(s[b][n][2], s[b][n][3]);
        }
    }
}

// sum += factors tile, of columns 8 column to 8 column + 7 of the tile.
template <int C, int BLOCKS, int KEYS>
XR_DEVICE void xr_column_products(float (&sum)[BLOCKS][4], const XrFactors<XrBf16, BLOCKS, KEYS> &f,
                                  const XrBf16 *tile, int lane, int column) {
    const int row = xr_tile_row(lane / 8, lane % 8 / 2, lane % 2);
#pragma unroll
    for (int k = 0; k < KEYS / 32; k++) {
        uint32_t r[4];
        xr_load_matrices_transposed(
            r, tile + xr_tile_place<XrBf16, C>(32 * k + row, lane % 2, lane % 8 / 2, column));
        const uint32_t first[2] = {r[0], r[1]}, second[2] = {r[2], r[3]};
#pragma unroll
        for (int b = 0; b < BLOCKS; b++) {
            xr_mma_bf16(sum[b], f.a[b][2 * k], first);
            xr_mma_bf16(sum[b], f.a[b][2 * k + 1], second);
        }
    }
}

// sum += factors tile.
template <int C, int KEYS>
XR_DEVICE void xr_add_products(float (&sum)[1][4 * C][4], const XrFactors<XrBf16, 1, KEYS> &f,
                               const XrBf16 *tile) {
    const int lane = xr_fresh_lane();
#pragma unroll
    for (int n = 0; n < 4 * C; n++) {
        float column[1][4] = {{sum[0][n][0], sum[0][n][1], sum[0][n][2], sum[0][n][3]}};
        xr_column_products<C, 1, KEYS>(column, f, tile, lane, n);
#pragma unroll
        for (int i = 0; i < 4; i++) sum[0][n][i] = column[0][i];
    }
}

// How what a tile of keys adds is joined to what the tiles before it have made, row by row:
// sum * keep + products * take.
template <int BLOCKS> struct XrJoin { float keep[BLOCKS][2], take[BLOCKS][2]; };

XR_DEVICE void xr_join_block(float sum[4], const float products[4], const float keep[2],
                             const float take[2]) {
#pragma unroll
    for (int i = 0; i < 4; i++) sum[i] = fmaf(sum[i], keep[i / 2], products[i] * take[i / 2]);
}

// sum = sum keep + (factors tile) take. The tile's products are a sum of their own, which does not
// depend on the tiles before.
template <int C, int BLOCKS, int KEYS>
XR_DEVICE void xr_join_products(float (&sum)[BLOCKS][4 * C][4],
                                const XrFactors<XrBf16, BLOCKS, KEYS> &f, const XrBf16 *tile,
                                const XrJoin<BLOCKS> &join) {
    const int lane = xr_fresh_lane();
#pragma unroll
    for (int n = 0; n < 4 * C; n++) {
        float products[BLOCKS][4] = {};
        xr_column_products<C, BLOCKS, KEYS>(products, f, tile, lane, n);
#pragma unroll
        for (int b = 0; b < BLOCKS; b++) {
            xr_join_block(sum[b][n], products[b], join.keep[b], join.take[b]);
        }
        if (BLOCKS == 1 && n % 4 == 3) xr_keep_order(); // or all products come before any sum
    }
}

// ---- f32: the same sums, each in ascending order of elements, or of rows as a warp has them ----

template <int C, int BLOCKS, int KEYS>
XR_DEVICE void xr_scores(float (&s)[BLOCKS][KEYS / 8][4], const float *left, int left_row,
                         const float *right) {
    const int lane = (int)threadIdx.x % 32, g = lane / 4, t = lane % 4;
#pragma unroll
    for (int n = 0; n < KEYS / 8; n++) s[0][n][0] = s[0][n][1] = s[0][n][2] = s[0][n][3] = 0;
#pragma unroll 2
    for (int chunk = 0; chunk < XrTile<float, C>::chunks; chunk++) {
        const XrPack<float> low =
            *(const XrPack<float> *)(left + xr_tile_place<float, C>(left_row + g, g & 1,
                                                                    left_row / 8 & 3, chunk));
        const XrPack<float> high =
            *(const XrPack<float> *)(left + xr_tile_place<float, C>(left_row + g + 8, g & 1,
                                                                    (left_row / 8 + 1) & 3, chunk));
#pragma unroll
        for (int n = 0; n < KEYS / 8; n++) {
#pragma unroll
            for (int h = 0; h < 2; h++) {
                const int row = xr_tile_row(n, t, h);
                const XrPack<float> r =
                    *(const XrPack<float> *)(right + xr_tile_place<float, C>(row, h, t, chunk));
#pragma unroll
                for (int i = 0; i < 4; i++) {
                    s[0][n][h] = fmaf(low.element[i], r.element[i], s[0][n][h]);
                    s[0][n][h + 2] = fmaf(high.element[i], r.element[i], s[0][n][h + 2]);
                }
            }
        }
    }
}

template <int BLOCKS, int KEYS> struct XrFactors<float, BLOCKS, KEYS> {
    float a[BLOCKS][KEYS / 8][4];
};

template <int BLOCKS, int KEYS>
XR_DEVICE void xr_factors(XrFactors<float, BLOCKS, KEYS> &f,
                          const float (&s)[BLOCKS][KEYS / 8][4]) {
#pragma unroll
    for (int n = 0; n < KEYS / 8; n++) {
#pragma unroll
        for (int i = 0; i < 4; i++) f.a[0][n][i] = s[0][n][i];
    }
}

struct alignas(8) XrPair {
    float x, y;
};

template <int C, int KEYS>
XR_DEVICE void xr_add_products(float (&sum)[1][4 * C][4], const XrFactors<float, 1, KEYS> &f,
                               const float *tile) {
    const int lane = (int)threadIdx.x % 32, t = lane % 4;
#pragma unroll
    for (int n = 0; n < KEYS / 8; n++) {
#pragma unroll 1
        for (int from = 0; from < 4; from++) {
#pragma unroll
            for (int h = 0; h < 2; h++) {
                const float low = xr_shuffle_from(f.a[0][n][h], (lane & ~3) | from);
                const float high = xr_shuffle_from(f.a[0][n][h + 2], (lane & ~3) | from);
                const int row = xr_tile_row(n, from, h);
#pragma unroll
                for (int d = 0; d < 4 * C; d++) {
                    const float *at = tile + xr_tile_place<float, C>(row, h, from, 2 * d + t / 2);
                    const XrPair r = *(const XrPair *)(at + t % 2 * 2);
                    sum[0][d][0] = fmaf(low, r.x, sum[0][d][0]);
                    sum[0][d][1] = fmaf(low, r.y, sum[0][d][1]);
                    sum[0][d][2] = fmaf(high, r.x, sum[0][d][2]);
                    sum[0][d][3] = fmaf(high, r.y, sum[0][d][3]);
                }
            }
        }
    }
}

template <int C, int BLOCKS, int KEYS>
XR_DEVICE void xr_join_products(float (&sum)[BLOCKS][4 * C][4],
                                const XrFactors<float, BLOCKS, KEYS> &f, const float *tile,
                                const XrJoin<BLOCKS> &join) {
    float products[1][4 * C][4] = {};
    xr_add_products<C, KEYS>(products, f, tile);
#pragma unroll
    for (int n = 0; n < 4 * C; n++) {
        xr_join_block(sum[0][n], products[0][n], join.keep[0], join.take[0]);
    }
}

// ---- results ----

// Stores a pair of columns d, d+1 < dim of a row.
template <typename T>
XR_DEVICE void xr_store_pair(T *row, int d, int dim, float x, float y, bool wide) {
    struct alignas(2 * sizeof(T)) Pair {
        T x, y;
    };
    if (wide && d + 1 < dim) {
        Pair pair;
        xr_assign(pair.x, x);
        xr_assign(pair.y, y);
        *(Pair *)(row + d) = pair;
        return;
    }
    if (d < dim) xr_assign(row[d], x);
    if (d + 1 < dim) xr_assign(row[d + 1], y);
}

// A kernel may ask for that much shared memory, which is more than blocks have without.
template <typename Kernel> void xr_allow_shared(Kernel *kernel, size_t bytes) {
    if (bytes <= 48 << 10) return;
    xr_cuda_check(
        cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, (int)bytes),
        "shared memory of attention");
}

// ---- work items: tiles of rows of the sequences of a batch ----

typedef struct XrTileWork {
    int sequence, first; // its first token in the batch
    int tokens, tile;    // tile -1: there is no such item
} XrTileWork;

// Item `index` of those that tiles of `size` rows give, `group` rows a token, sequence by sequence
// and the last tile of a sequence first (under a causal mask it has most to do). Sequences of fewer
// than `least` or more than `most` rows have none. All lanes come here and get the same.
XR_DEVICE XrTileWork xr_find_tile(const int32_t *cu, int sequences, int group, int size,
                                  int64_t index, int least, int most) {
    const int lane = (int)threadIdx.x % 32;
    for (int begin = 0; begin < sequences; begin += 32) {
        const int s = begin + lane;
        const int first = s < sequences ? cu[s] : 0;
        const int tokens = s < sequences ? cu[s + 1] - first : 0, rows = tokens * group;
        const int tiles = rows >= least && rows <= most ? (rows + size - 1) / size : 0;
        int sum = tiles;
#pragma unroll
        for (int lanes = 1; lanes < 32; lanes *= 2) {
            const int below = xr_shuffle_up(sum, lanes);
            if (lane >= lanes) sum += below;
        }
        const uint32_t past = xr_ballot(sum > index);
        if (past) {
            const int owner = __ffs((int)past) - 1;
            const int tile = xr_shuffle_from(sum, owner) - 1 - (int)index;
            return {begin + owner, xr_shuffle_from(first, owner), xr_shuffle_from(tokens, owner),
                    tile};
        }
        index -= xr_shuffle_from(sum, 31);
    }
    return {0, 0, 0, -1};
}

#endif
