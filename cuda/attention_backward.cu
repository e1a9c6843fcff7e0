// Gradients of attention (formulas: docs/operations.md). Probabilities are made again from lse. One
// kernel passes over rows for the keys and values of a tile, another over keys for the queries of a
// tile, so that every sum has one order and no atomics are needed; rows are (token, query head)
// pairs of a key/value head's group, as in cuda/attention_forward.h.
#include "cuda/attention_backward.h"
#include "cuda/reduce.h"

enum { STEP = 32, STATISTICS_WARPS = 8 }; // rows, or keys, that a block takes at a time

// Warps of a block, 16 rows or keys each.
template <typename T> struct GradientTile { static constexpr int warps = 2; };
template <> struct GradientTile<XrBf16> { static constexpr int warps = 4; };

// ---- lse2 and D: a warp a token and head ----

template <typename T>
XR_KERNEL(32 * STATISTICS_WARPS)
find_statistics(XrDifferentiate<T> a, int64_t tokens) {
    const int64_t item = (int64_t)blockIdx.x * STATISTICS_WARPS + threadIdx.x / 32;
    if (item >= tokens * a.heads) return;
    const int64_t token = item / a.heads, column = item % a.heads * a.dim;
    const T *dout = a.dout.data + token * a.dout.stride + column;
    const T *out = a.out.data + token * a.out.stride + column;
    float sum = 0;
    for (int d = (int)threadIdx.x % 32; d < a.dim; d += 32) {
        sum = fmaf(xr_to_float(dout[d]), xr_to_float(out[d]), sum);
    }
    sum = xr_warp_sum(sum);
    if (threadIdx.x % 32 != 0) return;
    a.dot[item] = sum;
    a.lse2[item] = a.lse[item] * 1.44269504f;
}

// ---- what both kernels need of a row: lse in units of log 2, and D ----

struct Statistics {
    float lse2, dot;
};

template <typename T>
XR_DEVICE Statistics statistics_of(const XrDifferentiate<T> &a, const XrTileWork &work, int head,
                                   int row) {
    if (row >= work.tokens * a.group) return {0, 0};
    const int64_t at = xr_statistics_at(a, work, head, row);
    return {a.lse2[at], a.dot[at]};
}

// ---- dk and dv: a block has a tile of keys ----

template <typename T, int C, int WARPS> constexpr size_t gradient_shared() {
    return (size_t)((2 * 16 * WARPS + 4 * STEP) * C * XR_SLICE) * sizeof(T) +
           2 * STEP * sizeof(Statistics);
}

template <typename T, int C, int WARPS> XR_KERNEL(32 * WARPS) key_gradients(XrDifferentiate<T> a) {
    constexpr int KEYS = 16 * WARPS, THREADS = 32 * WARPS, row_size = XrTile<T, C>::row;
    XR_DYNAMIC_SHARED(T, key_tile);
    T *const value_tile = key_tile + KEYS * row_size;
    T *const q_tiles = value_tile + KEYS * row_size, *const dout_tiles =
                                                         q_tiles + 2 * STEP * row_size;
    Statistics *const statistics =
        (Statistics *)(dout_tiles + 2 * STEP * row_size); // of two stages

    const int head = (int)(blockIdx.x % (unsigned)a.kv_heads);
    const XrTileWork work =
        xr_find_tile(a.cu, a.sequences, 1, KEYS, blockIdx.x / (unsigned)a.kv_heads, 1, INT32_MAX);
    if (work.tile < 0) return;
    // The first tile of keys, which most rows see, comes first.
    const int first_key = ((work.tokens + KEYS - 1) / KEYS - 1 - work.tile) * KEYS;
    const int rows = work.tokens * a.group;
    const auto fill = [&](int step) { // where rows are is found anew: sums need the registers
        const auto q = xr_group_rows(a, a.q, work, head),
                   dout = xr_group_rows(a, a.dout, work, head);
        const int at = step % 2 * STEP, row = step * STEP + (int)threadIdx.x;
        xr_tile_fill<T, C, STEP, THREADS>(q_tiles + at * row_size, q, step * STEP, rows, a.dim,
                                          a.wide_in);
        xr_tile_fill<T, C, STEP, THREADS>(dout_tiles + at * row_size, dout, step * STEP, rows,
                                          a.dim, a.wide_in);
        if (threadIdx.x < STEP) statistics[at + threadIdx.x] = statistics_of(a, work, head, row);
    };
    xr_tile_fill<T, C, KEYS, THREADS>(key_tile, xr_head_rows(a, a.k, work, head), first_key,
                                      work.tokens, a.dim, a.wide_in);
    xr_tile_fill<T, C, KEYS, THREADS>(value_tile, xr_head_rows(a, a.v, work, head), first_key,
                                      work.tokens, a.dim, a.wide_in);
    // The first rows that see one of the keys.
    int step = a.causal ? first_key * a.group / STEP : 0;
    const int steps = (rows + STEP - 1) / STEP;
    fill(step);
    xr_copy_commit();

    float dk[1][4 * C][4] = {}, dv[1][4 * C][4] = {};
    for (; step < steps; step++) {
        if (step + 1 < steps) fill(step + 1);
        xr_copy_commit();
        xr_copy_wait<1>();
        __syncthreads();
        const int thread = xr_forget((int)threadIdx.x), warp_key = thread / 32 * 16;
        const int at = step % 2 * STEP, g = thread % 32 / 4, t = thread % 4;
        float p[1][STEP / 8][4], ds[1][STEP / 8][4];
        XrFactors<T, 1, STEP> factors;
        xr_scores<C, 1, STEP>(p, key_tile, warp_key, q_tiles + at * row_size);
        int seen_from[2]; // first row that sees keys g and g+8
#pragma unroll
        for (int half = 0; half < 2; half++) {
            seen_from[half] = a.causal ? (first_key + warp_key + g + 8 * half) * a.group : 0;
        }
#pragma unroll
        for (int n = 0; n < STEP / 8; n++) {
#pragma unroll
            for (int i = 0; i < 4; i++) {
                const int row = xr_tile_row(n, t, i % 2), of_all = step * STEP + row;
                const bool sees = of_all >= seen_from[i / 2] && of_all < rows;
                const float lse2 = statistics[at + row].lse2;
                p[0][n][i] = sees ? xr_exp2(fmaf(p[0][n][i], a.log2, -lse2)) : 0;
            }
        }
        xr_factors(factors, p);
        xr_add_products<C, STEP>(dv, factors, dout_tiles + at * row_size);
        xr_scores<C, 1, STEP>(ds, value_tile, warp_key, dout_tiles + at * row_size);
#pragma unroll
        for (int n = 0; n < STEP / 8; n++) {
#pragma unroll
            for (int i = 0; i < 4; i++) {
                const float dot = statistics[at + xr_tile_row(n, t, i % 2)].dot;
                ds[0][n][i] = p[0][n][i] * (ds[0][n][i] - dot);
            }
        }
        xr_factors(factors, ds);
        xr_add_products<C, STEP>(dk, factors, q_tiles + at * row_size);
        __syncthreads(); // all have read the stage that is filled next
    }
    xr_copy_wait<0>();
    const int key = first_key + (int)threadIdx.x / 32 * 16;
    xr_store_of_keys<T, C>(a, a.dk, dk[0], a.scale, work, head, key);
    xr_store_of_keys<T, C>(a, a.dv, dv[0], 1, work, head, key);
}

// ---- dq: a block has a tile of rows ----

template <typename T, int C, int WARPS>
XR_KERNEL(32 * WARPS)
query_gradients(XrDifferentiate<T> a) {
    constexpr int ROWS = 16 * WARPS, THREADS = 32 * WARPS, row_size = XrTile<T, C>::row;
    XR_DYNAMIC_SHARED(T, q_tile);
    T *const dout_tile = q_tile + ROWS * row_size;
    T *const key_tiles = dout_tile + ROWS * row_size;
    T *const value_tiles = key_tiles + 2 * STEP * row_size;

    const int head = (int)(blockIdx.x % (unsigned)a.kv_heads);
    const XrTileWork work = xr_find_tile(a.cu, a.sequences, a.group, ROWS,
                                         blockIdx.x / (unsigned)a.kv_heads, 1, INT32_MAX);
    if (work.tile < 0) return;
    const int rows = work.tokens * a.group, first_row = work.tile * ROWS;
    const int last_row = min(rows, first_row + ROWS) - 1;
    const int seen = a.causal ? last_row / a.group + 1 : work.tokens;
    const auto k = xr_head_rows(a, a.k, work, head), v = xr_head_rows(a, a.v, work, head);
    const auto fill = [&](int step) {
        const int at = step % 2 * STEP;
        xr_tile_fill<T, C, STEP, THREADS>(key_tiles + at * row_size, k, step * STEP, seen, a.dim,
                                          a.wide_in);
        xr_tile_fill<T, C, STEP, THREADS>(value_tiles + at * row_size, v, step * STEP, seen, a.dim,
                                          a.wide_in);
    };
    xr_tile_fill<T, C, ROWS, THREADS>(q_tile, xr_group_rows(a, a.q, work, head), first_row, rows,
                                      a.dim, a.wide_in);
    xr_tile_fill<T, C, ROWS, THREADS>(dout_tile, xr_group_rows(a, a.dout, work, head), first_row,
                                      rows, a.dim, a.wide_in);
    fill(0);
    xr_copy_commit();

    const int g = (int)threadIdx.x % 32 / 4, t = (int)threadIdx.x % 4;
    const int warp_row = (int)threadIdx.x / 32 * 16;
    Statistics of[2];
    int limit[2]; // keys that rows g and g+8 see
#pragma unroll
    for (int half = 0; half < 2; half++) {
        const int row = first_row + warp_row + g + 8 * half;
        of[half] = statistics_of(a, work, head, row);
        limit[half] = row >= rows ? 0 : (a.causal ? row / a.group + 1 : work.tokens);
    }
    float dq[1][4 * C][4] = {};
    const int steps = (seen + STEP - 1) / STEP;
    for (int step = 0; step < steps; step++) {
        if (step + 1 < steps) fill(step + 1);
        xr_copy_commit();
        xr_copy_wait<1>();
        __syncthreads();
        const int at = step % 2 * STEP;
        float s[1][STEP / 8][4], ds[1][STEP / 8][4];
        xr_scores<C, 1, STEP>(s, q_tile, warp_row, key_tiles + at * row_size);
        xr_scores<C, 1, STEP>(ds, dout_tile, warp_row, value_tiles + at * row_size);
#pragma unroll
        for (int n = 0; n < STEP / 8; n++) {
#pragma unroll
            for (int i = 0; i < 4; i++) {
                const bool sees = step * STEP + xr_tile_row(n, t, i % 2) < limit[i / 2];
                const float p = sees ? xr_exp2(fmaf(s[0][n][i], a.log2, -of[i / 2].lse2)) : 0;
                ds[0][n][i] = p * (ds[0][n][i] - of[i / 2].dot);
            }
        }
        XrFactors<T, 1, STEP> factors;
        xr_factors(factors, ds);
        xr_add_products<C, STEP>(dq, factors, key_tiles + at * row_size);
        __syncthreads(); // all have read the stage that is filled next
    }
    xr_copy_wait<0>();
    xr_store_of_queries<T, C>(a, dq[0], work, head, first_row + warp_row);
}

template <typename T, int C>
static void differentiate(XrBackend *b, const XrDifferentiate<T> &a, int64_t tokens) {
    constexpr int warps = GradientTile<T>::warps, rows = 16 * warps;
    constexpr size_t shared = gradient_shared<T, C, warps>();
    auto of_keys = key_gradients<T, C, warps>;
    auto of_queries = query_gradients<T, C, warps>;
    xr_allow_shared(of_keys, shared);
    xr_allow_shared(of_queries, shared);
    // Each sequence may end in a tile that is not full.
    int64_t key_tiles = xr_pieces(tokens, rows) + a.sequences;
    int64_t row_tiles = xr_pieces(tokens * a.group, rows) + a.sequences;
    XR_LAUNCH(of_keys, (unsigned)(key_tiles * a.kv_heads), 32 * warps, shared, xr_cuda_stream(b),
              a);
    XR_LAUNCH(of_queries, (unsigned)(row_tiles * a.kv_heads), 32 * warps, shared, xr_cuda_stream(b),
              a);
}

extern "C" void xr_cuda_attention_backward(XrBackend *b, const XrTensor *dq, const XrTensor *dk,
                                           const XrTensor *dv, const XrTensor *dout,
                                           const XrTensor *q, const XrTensor *k, const XrTensor *v,
                                           const XrTensor *out, const XrTensor *lse,
                                           XrSegments segments, XrHeads heads) {
    int64_t tokens = q->shape[0];
    if (tokens == 0) return;
    XR_ACTIVATION_TYPES(q, T, {
        XrDifferentiate<T> a = {};
        a.dq = xr_cuda_rows<T>(dq);
        a.dk = xr_cuda_rows<T>(dk);
        a.dv = xr_cuda_rows<T>(dv);
        a.dout = xr_cuda_rows<const T>(dout);
        a.q = xr_cuda_rows<const T>(q);
        a.k = xr_cuda_rows<const T>(k);
        a.v = xr_cuda_rows<const T>(v);
        a.out = xr_cuda_rows<const T>(out);
        a.lse = (const float *)lse->data;
        a.dot = (float *)xr_cuda_scratch(b, XR_SCRATCH_PARTIAL,
                                         (size_t)(2 * tokens * heads.heads) * sizeof(float));
        a.lse2 = a.dot + tokens * heads.heads;
        a.cu = (const int32_t *)segments.cu->data;
        a.sequences = (int)segments.cu->shape[0] - 1;
        a.heads = heads.heads;
        a.kv_heads = heads.kv_heads;
        a.group = heads.heads / heads.kv_heads;
        a.dim = heads.head_dim;
        a.scale = heads.scale;
        a.log2 = heads.scale * 1.44269504f;
        a.causal = heads.causal;
        bool whole = heads.head_dim % XrChunk<T>::count == 0;
        a.wide_in = whole && xr_cuda_is_wide(q) && xr_cuda_is_wide(k) && xr_cuda_is_wide(v) &&
                    xr_cuda_is_wide(dout);
        a.wide_out = whole && xr_cuda_is_wide(dq) && xr_cuda_is_wide(dk) && xr_cuda_is_wide(dv);
        XR_LAUNCH((find_statistics<T>), (unsigned)xr_pieces(tokens * a.heads, STATISTICS_WARPS),
                  32 * STATISTICS_WARPS, 0, xr_cuda_stream(b), a, tokens);
        if (xr_differentiate_by_warpgroups(b, a, tokens, segments.longest)) return;
        XR_HEAD_SLICES(heads.head_dim, C, (differentiate<T, C>(b, a, tokens)));
    });
}
