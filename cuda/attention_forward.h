// Attention forward, for keys and values in rows of a batch and in pages of a cache alike. The rows
// of a tile are (token, query head) pairs of one key/value head's group, so that the heads of a
// group read its keys and values once; a block passes over tiles of keys, counted from the start of
// the sequence, which arrive in shared memory while the tile before is at work (Dao 2023,
// "FlashAttention-2").
//
// Bits: what a row gets from one tile of keys (largest score, sum of exponentials against that, and
// the weighted sum of values) depends on that row and that tile alone, and tiles are joined in
// ascending order by xr_join_tile and xr_join_block, whoever computes them: one block from the
// first tile to the last, or many blocks whose results xr_cuda_attention_paged joins afterwards.
// (cuda/attention_warpgroup.cu, which takes over in bf16 where it can and may, has bits of its
// own.) A tile in which a row sees nothing leaves the row as it is.
#ifndef XR_CUDA_ATTENTION_FORWARD_H
#define XR_CUDA_ATTENTION_FORWARD_H

#include "cuda/attention_tiles.h"

// Keys of a tile; blocks of 16 rows that a warp of a large tile has.
template <typename T> struct XrAttentionTile { static constexpr int keys = 32, blocks = 1; };
template <> struct XrAttentionTile<XrBf16> { static constexpr int keys = 64, blocks = 2; };
enum { XR_ATTENTION_WARPS = 4 }; // of a large tile

template <typename T> struct XrAttend {
    XrRows<T> out;
    float *lse; // or NULL
    XrRows<const T> q;
    const int32_t *cu;
    int sequences, heads, kv_heads, group, dim;
    int least, most;   // rows of the sequences that this launch is for
    float scale, log2; // log2 = scale log2(e)
    bool causal;
    bool wide_q, wide_keys, wide_out;
    // Where tiles of keys are spread over blocks: how many tiles and rows there is room for, and
    // what they make.
    int most_tiles, part_rows;
    float *parts, *part_state;
};

// What rows g and g+8 of each block of 16 have seen so far.
template <int BLOCKS> struct XrSoftmax {
    float top[BLOCKS][2]; // largest score
    float sum[BLOCKS][2]; // of exponentials against it
};

// Largest of a row's scores, and the scores replaced by their exponentials against it.
template <int BLOCKS, int N>
XR_DEVICE void xr_softmax_tile(float (&s)[BLOCKS][N][4], XrSoftmax<BLOCKS> &tile, float log2) {
#pragma unroll
    for (int b = 0; b < BLOCKS; b++) {
#pragma unroll
        for (int half = 0; half < 2; half++) {
            float top = -INFINITY, sum = 0;
#pragma unroll
            for (int n = 0; n < N; n++) {
                top = fmaxf(top, fmaxf(s[b][n][2 * half], s[b][n][2 * half + 1]));
            }
            top = fmaxf(top, xr_shuffle_xor(top, 1));
            top = fmaxf(top, xr_shuffle_xor(top, 2));
            const float base = top == -INFINITY ? 0 : top; // a row that sees nothing gets zeros
#pragma unroll
            for (int n = 0; n < N; n++) {
#pragma unroll
                for (int i = 2 * half; i < 2 * half + 2; i++) {
                    s[b][n][i] = xr_exp2((s[b][n][i] - base) * log2);
                    sum += s[b][n][i];
                }
            }
            sum += xr_shuffle_xor(sum, 1);
            sum += xr_shuffle_xor(sum, 2);
            tile.top[b][half] = top;
            tile.sum[b][half] = sum;
        }
    }
}

// Joins a tile's largest score and sum to those before it; keep and take are the factors for the
// sums of values. The -0 makes what a row did not see add nothing, not even to a -0.
XR_DEVICE void xr_join_tile(float &top, float &sum, float tile_top, float tile_sum, float log2,
                            float &keep, float &take) {
    const float next = fmaxf(top, tile_top);
    keep = top == next ? 1.0f : xr_exp2((top - next) * log2);
    take = tile_top == -INFINITY ? -0.0f : xr_exp2((tile_top - next) * log2);
    sum = fmaf(sum, keep, tile_sum * take);
    top = next;
}

// The rows of a warp's blocks of 16 within the rows of a sequence.
typedef struct XrWarpRows {
    int first;          // the warp's first row
    int rows, group;    // of the sequence
    int before, length; // keys that the first query sees; that the sequence has
    bool causal;
    int least; // keys that every row of the warp sees
} XrWarpRows;

// Keys that a row sees; 0: there is no such row.
XR_DEVICE int xr_keys_seen(const XrWarpRows &w, int row) {
    return row >= w.rows ? 0 : (w.causal ? w.before + row / w.group : w.length);
}

template <int BLOCKS>
XR_DEVICE XrWarpRows xr_warp_rows(int first, int rows, int group, int before, int length,
                                  bool causal) {
    XrWarpRows w = {first, rows, group, before, length, causal, 0};
    if (first + 16 * BLOCKS <= rows) w.least = xr_keys_seen(w, first);
    return w;
}

// Scores of keys that a row does not see become -infinity. What each row sees is found here, where
// a tile has such keys: kept from tile to tile it would take registers that sums need.
template <int BLOCKS, int N>
XR_DEVICE void xr_mask_tile(float (&s)[BLOCKS][N][4], const XrWarpRows &w, int first_key) {
    if (first_key + 8 * N <= w.least) return;
    const int lane = xr_fresh_lane();
    int limit[BLOCKS][2]; // of rows g and g+8 of each block
#pragma unroll
    for (int i = 0; i < 2 * BLOCKS; i++) {
        limit[i / 2][i % 2] = xr_keys_seen(w, w.first + 8 * i + lane / 4);
    }
#pragma unroll
    for (int b = 0; b < BLOCKS; b++) {
#pragma unroll
        for (int n = 0; n < N; n++) {
#pragma unroll
            for (int i = 0; i < 4; i++) {
                const int key = first_key + xr_tile_row(n, lane % 4, i % 2);
                if (key >= limit[b][i / 2]) s[b][n][i] = -INFINITY;
            }
        }
    }
}

// What one tile of keys gives the rows of a sequence's only tile, for a later join.
template <typename T, int C>
XR_DEVICE void xr_store_part(const XrAttend<T> &a, const float (&value)[4 * C][4],
                             const XrSoftmax<1> &found, int tile) {
    const int g = (int)threadIdx.x % 32 / 4, t = (int)threadIdx.x % 4;
#pragma unroll
    for (int half = 0; half < 2; half++) {
        const int row = g + 8 * half;
        if (row >= a.part_rows) continue;
        const int64_t part = ((int64_t)blockIdx.x * a.most_tiles + tile) * a.part_rows + row;
#pragma unroll
        for (int n = 0; n < 4 * C; n++) {
            xr_store_pair(a.parts + part * C * XR_SLICE, 8 * n + 2 * t, C * XR_SLICE,
                          value[n][2 * half], value[n][2 * half + 1], true);
        }
        if (t == 0) {
            a.part_state[2 * part] = found.top[0][half];
            a.part_state[2 * part + 1] = found.sum[0][half];
        }
    }
}

template <typename T, int C, int BLOCKS>
XR_DEVICE void xr_store_rows(const XrAttend<T> &a, const float (&value)[BLOCKS][4 * C][4],
                             const XrSoftmax<BLOCKS> &state, const XrTileWork &work, int head,
                             int first_row) {
    const int g = (int)threadIdx.x % 32 / 4, t = (int)threadIdx.x % 4;
#pragma unroll
    for (int b = 0; b < BLOCKS; b++) {
#pragma unroll
        for (int half = 0; half < 2; half++) {
            const int row = first_row + 16 * b + 8 * half + g;
            if (row >= work.tokens * a.group) continue;
            const int64_t token = work.first + row / a.group;
            const int query_head = head * a.group + row % a.group;
            const float sum = state.sum[b][half], share = 1.0f / sum;
            T *out = a.out.data + token * a.out.stride + (int64_t)query_head * a.dim;
#pragma unroll
            for (int n = 0; n < 4 * C; n++) {
                xr_store_pair(out, 8 * n + 2 * t, a.dim, value[b][n][2 * half] * share,
                              value[b][n][2 * half + 1] * share, a.wide_out);
            }
            if (a.lse && t == 0) {
                a.lse[token * a.heads + query_head] = state.top[b][half] * a.scale + logf(sum);
            }
        }
    }
}

// What the scores of one tile of keys, s, give the rows of a warp. `alone`: that tile's results
// without those before.
template <typename T, int C, int BLOCKS, int KEYS>
XR_DEVICE void xr_add_tile(const XrAttend<T> &a, float (&value)[BLOCKS][4 * C][4],
                           XrSoftmax<BLOCKS> &state, const XrWarpRows &w,
                           float (&s)[BLOCKS][KEYS / 8][4], const T *values, int tile, bool alone) {
    xr_mask_tile(s, w, tile * KEYS);
    XrSoftmax<BLOCKS> found;
    xr_softmax_tile(s, found, a.log2);
    XrFactors<T, BLOCKS, KEYS> factors;
    xr_factors(factors, s);
    XrJoin<BLOCKS> join;
    if (BLOCKS == 1 && alone) { // what is spread over blocks has one block of rows
#pragma unroll
        for (int n = 0; n < 4 * C; n++) {
#pragma unroll
            for (int i = 0; i < 4; i++) value[0][n][i] = 0; // -0, or NaN, would stay
        }
        join.keep[0][0] = join.keep[0][1] = 0;
        join.take[0][0] = join.take[0][1] = 1;
        state = found;
    } else {
#pragma unroll
        for (int i = 0; i < 2 * BLOCKS; i++) {
            const int b = i / 2, half = i % 2;
            xr_join_tile(state.top[b][half], state.sum[b][half], found.top[b][half],
                         found.sum[b][half], a.log2, join.keep[b][half], join.take[b][half]);
        }
    }
    xr_join_products<C, BLOCKS, KEYS>(value, factors, values, join);
}

// Where the keys and values of one head of one sequence are. xr_keys_of(source, work, head, dim)
// gives it; sources are in cuda/attention.cu and cuda/attention_paged.cu.
template <typename Rows> struct XrKeyView {
    Rows keys, values;
    int length; // keys of the sequence
};

// Whether all keys and values from a kind of source are known to be aligned to 16 bytes: its
// kernels then have no other way to read them, which would take registers.
template <typename Keys> struct XrKeysAreWide { static constexpr bool value = false; };

template <typename T, int C, int ROWS> constexpr size_t xr_attend_shared() {
    return (size_t)((ROWS + 2 * XrAttentionTile<T>::keys) * XrTile<T, C>::row) * sizeof(T);
}

// A block has WARPS warps with 16 BLOCKS rows each. Values arrive while scores are computed, the
// next keys while values are added. With a.parts, which blocks of one warp alone may have, a
// sequence's tiles of keys are shared out among the blocks of a column of the grid, as its own
// length is, whatever the longest could be; a block stores what each of its tiles gives.
template <typename T, int C, int WARPS, int BLOCKS, typename Keys>
XR_KERNEL(32 * WARPS)
xr_attend(XrAttend<T> a, Keys source) {
    constexpr int KEYS = XrAttentionTile<T>::keys, ROWS = 16 * BLOCKS * WARPS, THREADS = 32 * WARPS;
    XR_DYNAMIC_SHARED(T, q_tile);
    T *const key_tile = q_tile + ROWS * XrTile<T, C>::row;
    T *const value_tile = key_tile + KEYS * XrTile<T, C>::row;

    const int head = (int)(blockIdx.x % (unsigned)a.kv_heads);
    const XrTileWork work = xr_find_tile(a.cu, a.sequences, a.group, ROWS,
                                         blockIdx.x / (unsigned)a.kv_heads, a.least, a.most);
    if (work.tile < 0) return;
    const auto view = xr_keys_of(source, work, head, a.dim);
    constexpr bool only = WARPS == 1; // the sequence's only tile of rows
    const int rows = work.tokens * a.group, first_row = only ? 0 : work.tile * ROWS;
    // Keys that the sequence's first query sees, and those that rows of the block see.
    const int before = view.length - work.tokens + 1;
    const int last_row = min(rows, first_row + ROWS) - 1;
    const int seen = only || !a.causal ? view.length : before + last_row / a.group;
    int tile = 0, end = (seen + KEYS - 1) / KEYS;
    const bool parts = only && a.parts;
    if (parts) {
        const int each = (end + (int)gridDim.y - 1) / (int)gridDim.y;
        tile = (int)blockIdx.y * each;
        end = min(end, tile + each);
        if (tile >= end) return;
    }

    const bool wide_keys = XrKeysAreWide<Keys>::value || a.wide_keys;
    const XrGroupRows<T> q = {a.q.data + work.first * a.q.stride + (int64_t)head * a.group * a.dim,
                              a.q.stride, a.group, a.dim};
    xr_tile_fill<T, C, ROWS, THREADS>(q_tile, q, first_row, rows, a.dim, a.wide_q);
    xr_tile_fill<T, C, KEYS, THREADS>(key_tile, view.keys, tile * KEYS, seen, a.dim, wide_keys);
    xr_copy_commit();

    const int warp_row = only ? 0 : (int)threadIdx.x / 32 * 16 * BLOCKS;
    const XrWarpRows w =
        xr_warp_rows<BLOCKS>(first_row + warp_row, rows, a.group, before, view.length, a.causal);
    XrSoftmax<BLOCKS> state;
#pragma unroll
    for (int i = 0; i < 2 * BLOCKS; i++) {
        state.top[i / 2][i % 2] = -INFINITY;
        state.sum[i / 2][i % 2] = 0;
    }
    float value[BLOCKS][4 * C][4] = {};
    for (; tile < end; tile++) {
        xr_copy_wait<0>();
        __syncthreads(); // the keys are there, and all have read the values before
        xr_tile_fill<T, C, KEYS, THREADS>(value_tile, view.values, tile * KEYS, seen, a.dim,
                                          wide_keys);
        xr_copy_commit();
        float s[BLOCKS][KEYS / 8][4];
        xr_scores<C, BLOCKS, KEYS>(s, q_tile, warp_row, key_tile);
        xr_copy_wait<0>();
        __syncthreads(); // the values are there, and all have read the keys
        if (tile + 1 < end) {
            xr_tile_fill<T, C, KEYS, THREADS>(key_tile, view.keys, (tile + 1) * KEYS, seen, a.dim,
                                              wide_keys);
        }
        xr_copy_commit();
        xr_add_tile<T, C, BLOCKS, KEYS>(a, value, state, w, s, value_tile, tile, parts);
        if constexpr (only) {
            if (parts) xr_store_part<T, C>(a, value[0], state, tile);
        }
    }
    if (!parts) xr_store_rows<T, C, BLOCKS>(a, value, state, work, head, first_row + warp_row);
}

// What both kinds of attention fill in alike. A row may be read in accesses of 16 bytes only where
// a head's elements fill them.
template <typename T>
XrAttend<T> xr_attend_of(const XrTensor *out, const XrTensor *q, XrSegments queries, XrHeads heads,
                         const char *operation) {
    XR_REQUIRE(heads.scale > 0, "%s: scale %g", operation, (double)heads.scale);
    XrAttend<T> a = {};
    a.out = xr_cuda_rows<T>(out);
    a.q = xr_cuda_rows<const T>(q);
    a.cu = (const int32_t *)queries.cu->data;
    a.sequences = (int)queries.cu->shape[0] - 1;
    a.heads = heads.heads;
    a.kv_heads = heads.kv_heads;
    a.group = heads.heads / heads.kv_heads;
    a.dim = heads.head_dim;
    a.least = 1;
    a.most = INT32_MAX;
    a.scale = heads.scale;
    a.log2 = heads.scale * 1.44269504f;
    a.causal = heads.causal;
    bool whole = heads.head_dim % XrChunk<T>::count == 0;
    a.wide_q = whole && xr_cuda_is_wide(q);
    a.wide_out = whole && xr_cuda_is_wide(out);
    return a;
}

// Attends with the rows of `tokens` tokens of all sequences that a.least and a.most allow, in tiles
// of as many rows as a block has warps for.
template <typename T, int C, typename Keys>
void xr_attend_tiles(XrBackend *b, const XrAttend<T> &a, const Keys &keys, int64_t tokens) {
    constexpr int blocks = XrAttentionTile<T>::blocks, rows = 16 * blocks * XR_ATTENTION_WARPS;
    constexpr size_t shared = xr_attend_shared<T, C, rows>();
    auto kernel = xr_attend<T, C, XR_ATTENTION_WARPS, blocks, Keys>;
    xr_allow_shared(kernel, shared);
    // Each sequence may end in a tile that is not full.
    int64_t tiles = xr_pieces(tokens * a.group, rows) + a.sequences;
    XR_LAUNCH(kernel, (unsigned)(tiles * a.kv_heads), 32 * XR_ATTENTION_WARPS, shared,
              xr_cuda_stream(b), a, keys);
}

#endif
