// Gradients of attention in bf16 by products of warpgroups (formulas: docs/operations.md;
// instructions: cuda/warpgroup.h). Two kernels, as in cuda/attention_backward.cu; a block has two
// warpgroups. What is passed over is copied two tiles ahead, so that a step has one barrier, and
// products are on their way while a step's exponentials are computed. Where keys are few, a third
// kernel adds what several blocks have summed.
#include "cuda/attention_backward.h"
#include "cuda/warpgroup_tiles.h"

enum { KEYS = 128, ROWS = 128, STEP = 64, STAGES = 3, LEAST_STEPS = 8, THREADS = 256 };

#ifdef XR_WARPGROUPS

// ---- dk and dv ----

// Scores of 64 keys and STEP rows become probabilities; `seen_from`: the first row of the step that
// sees key 0 of the warp. Rows beyond the last are zeros, whose probabilities add nothing.
XR_DEVICE void weigh_keys(float (&s)[STEP / 8][4], const float *lse2, float log2, int seen_from,
                          int group) {
    const int g = (int)threadIdx.x % 32 / 4, t = (int)threadIdx.x % 4;
    if (seen_from + 15 * group > 0) {
#pragma unroll
        for (int half = 0; half < 2; half++) {
            const int first = seen_from + (g + 8 * half) * group - 2 * t;
#pragma unroll
            for (int n = 0; n < STEP / 8; n++) {
                if (8 * n < first) s[n][2 * half] = -INFINITY;
                if (8 * n + 1 < first) s[n][2 * half + 1] = -INFINITY;
            }
        }
    }
#pragma unroll
    for (int n = 0; n < STEP / 8; n++) {
        const XrPair of = *(const XrPair *)(lse2 + 8 * n + 2 * t);
#pragma unroll
        for (int i = 0; i < 4; i++) {
            s[n][i] = xr_exp2(fmaf(s[n][i], log2, -(i % 2 ? of.y : of.x)));
        }
    }
}

// p becomes dS.
XR_DEVICE void differentiate_keys(float (&p)[STEP / 8][4], const float (&dp)[STEP / 8][4],
                                  const float *dot) {
    const int t = (int)threadIdx.x % 4;
#pragma unroll
    for (int n = 0; n < STEP / 8; n++) {
        const XrPair of = *(const XrPair *)(dot + 8 * n + 2 * t);
#pragma unroll
        for (int i = 0; i < 4; i++) p[n][i] *= dp[n][i] - (i % 2 ? of.y : of.x);
    }
}

#endif

// Shared memory of a block.
template <int C> struct KeyShared {
    static constexpr int tile = XrOperandTile<C, KEYS>::size; // of keys or values
    static constexpr int half = XrOperandTile<C, STEP>::size; // of a stage: q or dout
    static constexpr int statistics = 2 * STEP;               // of a stage: lse2, D
    static constexpr size_t bytes =
        2 * tile + STAGES * (2 * half + statistics * (int)sizeof(float));
};

// Where tiles of keys are fewer than a GPU can use, the rows that see one are shared out in parts
// among `count` blocks, whose sums another kernel adds in the order of rows.
struct KeyParts {
    int count;
    float *sums; // [tile, kv head, part, dk and dv, as threads hold them]; NULL for one part
};

// A tile of keys and the rows of one part that see it, STEP at a time.
struct KeyWork {
    XrTileWork work;
    int head, first_key, rows, step, end; // end <= step: none
    int parts;                            // that have rows
};

XR_DEVICE KeyWork find_key_work(const XrDifferentiate<XrBf16> &a, int64_t item, int part,
                                int parts) {
    KeyWork w = {};
    w.head = (int)(item % a.kv_heads);
    w.work = xr_find_tile(a.cu, a.sequences, 1, KEYS, item / a.kv_heads, 1, INT32_MAX);
    if (w.work.tile < 0) return w;
    // The first tile of keys, which most rows see, comes first.
    w.first_key = ((w.work.tokens + KEYS - 1) / KEYS - 1 - w.work.tile) * KEYS;
    w.rows = w.work.tokens * a.group;
    const int first = a.causal ? w.first_key * a.group / STEP : 0;
    const int steps = (w.rows + STEP - 1) / STEP - first, each = (steps + parts - 1) / parts;
    w.parts = (steps + each - 1) / each;
    w.step = first + part * each;
    w.end = first + min(steps, (part + 1) * each);
    return w;
}

// Where a thread's sums of a part are: every 4 of them are THREADS times 4 from the next.
template <int C> XR_DEVICE XrPack<float> *sums_of(const KeyParts &parts, int64_t item, int part) {
    return (XrPack<float> *)parts.sums + (item * parts.count + part) * 2 * (4 * C) * THREADS +
           threadIdx.x;
}

template <int C> XR_DEVICE void store_sums(XrPack<float> *to, const float (&sum)[4 * C][4]) {
#pragma unroll
    for (int n = 0; n < 4 * C; n++) {
        to[n * THREADS] = {{sum[n][0], sum[n][1], sum[n][2], sum[n][3]}};
    }
}

template <int C> XR_DEVICE void add_sums(float (&sum)[4 * C][4], const XrPack<float> *from) {
#pragma unroll
    for (int n = 0; n < 4 * C; n++) {
        const XrPack<float> more = from[n * THREADS];
#pragma unroll
        for (int i = 0; i < 4; i++) sum[n][i] += more.element[i];
    }
}

template <int C>
XR_DEVICE void store_keys(const XrDifferentiate<XrBf16> &a, const float (&dk)[4 * C][4],
                          const float (&dv)[4 * C][4], const KeyWork &w) {
    const int key = w.first_key + (int)threadIdx.x / 32 * 16;
    xr_store_of_keys<XrBf16, C>(a, a.dk, dk, a.scale, w.work, w.head, key);
    xr_store_of_keys<XrBf16, C>(a, a.dv, dv, 1, w.work, w.head, key);
}

// A block has a tile of keys, 64 a warpgroup, and passes over the rows of its part.
template <int C>
XR_KERNEL(THREADS)
key_gradients(XrDifferentiate<XrBf16> a, XrDivisor by_group, KeyParts parts) {
#ifdef XR_WARPGROUPS
    XR_DYNAMIC_SHARED(unsigned char, key_tile);
    using Shared = KeyShared<C>;
    unsigned char *const value_tile = key_tile + Shared::tile;
    unsigned char *const stages = value_tile + Shared::tile;
    float *const statistics = (float *)(stages + STAGES * 2 * Shared::half);

    const int item = (int)(blockIdx.x / (unsigned)parts.count);
    const int part = (int)(blockIdx.x % (unsigned)parts.count);
    const KeyWork w = find_key_work(a, item, part, parts.count);
    if (w.end <= w.step) return;
    const XrTileWork &work = w.work;
    const int head = w.head, rows = w.rows, first_key = w.first_key, steps = w.end;
    const auto fill = [&](int step, int stage) {
        const int thread = xr_forget((int)threadIdx.x);
        unsigned char *const tile = stages + stage * 2 * Shared::half;
        const auto copy = [&](unsigned char *to, const XrRows<const XrBf16> &of) {
            const auto all = xr_group_rows(a, of, work, head);
            const XrDividedRows<const XrBf16> from = {all.first, all.stride, a.group, a.dim,
                                                      by_group};
            xr_operand_fill<C, STEP, THREADS>(to, from, thread, step * STEP, rows, a.dim);
        };
        copy(tile, a.q);
        copy(tile + Shared::half, a.dout);
        if (thread < 2 * STEP) {
            const int row = step * STEP + thread % STEP, token = xr_divide(row, by_group);
            const int64_t at =
                (int64_t)(work.first + token) * a.heads + head * a.group + row - token * a.group;
            xr_copy_word_async(statistics + stage * Shared::statistics + thread,
                               (thread < STEP ? a.lse2 : a.dot) + (row < rows ? at : 0),
                               row < rows ? 4 : 0);
        }
    };
    xr_operand_fill<C, KEYS, THREADS>(key_tile, xr_head_rows(a, a.k, work, head), (int)threadIdx.x,
                                      first_key, work.tokens, a.dim);
    xr_operand_fill<C, KEYS, THREADS>(value_tile, xr_head_rows(a, a.v, work, head),
                                      (int)threadIdx.x, first_key, work.tokens, a.dim);
    int step = w.step, stage = 0;
    fill(step, 0);
    xr_copy_commit();
    if (step + 1 < steps) fill(step + 1, 1);
    xr_copy_commit();

    const auto mine = [&](const unsigned char *tile) { // the warpgroup's part of a tile of keys
        return xr_operand_along<C, KEYS>(tile, xr_forget((int)threadIdx.x) / 128 * 64);
    };
    float dk[4 * C][4] = {}, dv[4 * C][4] = {}, s[STEP / 8][4] = {}, dp[STEP / 8][4] = {};
    uint32_t p[STEP / 16][4], ds[STEP / 16][4] = {};
    xr_copy_wait<1>();
    xr_show_copies();
    xr_wgmma_fence(s);
    xr_multiply_along<C, KEYS, STEP>(s, mine(key_tile), xr_operand_along<C, STEP>(stages, 0));
    xr_wgmma_wait<0>(s);
    while (true) {
        // The scores are there; dk of the step before is on its way.
        const unsigned char *const q = stages + stage * 2 * Shared::half;
        const unsigned char *const dout = q + Shared::half;
        const float *const lse2 = statistics + stage * Shared::statistics;
        xr_wgmma_fence(dp);
        xr_multiply_along<C, KEYS, STEP>(dp, mine(value_tile), xr_operand_along<C, STEP>(dout, 0));
        const int warp_key = first_key + xr_forget((int)threadIdx.x) / 32 * 16;
        weigh_keys(s, lse2, a.log2, a.causal ? warp_key * a.group - step * STEP : -15 * a.group,
                   a.group);
        xr_pack(p, s);
        xr_wgmma_fence(dv, p);
        xr_add_across<C>(dv, p, dout);
        xr_wgmma_wait<1>(dp, dk, ds);
        differentiate_keys(s, dp, lse2 + STEP);
        xr_pack(ds, s);
        if (++step == steps) {
            xr_wgmma_fence(dk, ds);
            xr_add_across<C>(dk, ds, q);
            break;
        }
        xr_copy_wait<0>();
        xr_show_copies(); // and none reads the stage before this one any more
        stage = stage == STAGES - 1 ? 0 : stage + 1;
        if (step + 1 < steps) fill(step + 1, stage == STAGES - 1 ? 0 : stage + 1);
        xr_copy_commit();
        const unsigned char *const next = stages + stage * 2 * Shared::half;
        xr_wgmma_fence(s, dk, ds);
        xr_multiply_along<C, KEYS, STEP>(s, mine(key_tile), xr_operand_along<C, STEP>(next, 0));
        xr_add_across<C>(dk, ds, q);
        xr_wgmma_wait<1>(s, dv, p);
    }
    xr_wgmma_wait<0>(dk, dv, ds);
    if (parts.sums) {
        XrPack<float> *const sums = sums_of<C>(parts, item, part);
        store_sums<C>(sums, dk);
        store_sums<C>(sums + 4 * C * THREADS, dv);
    } else {
        store_keys<C>(a, dk, dv, w);
    }
#endif
}

template <int C> XR_KERNEL(THREADS) add_key_parts(XrDifferentiate<XrBf16> a, KeyParts parts) {
    const KeyWork w = find_key_work(a, blockIdx.x, 0, parts.count);
    if (w.work.tile < 0) return;
    float dk[4 * C][4] = {}, dv[4 * C][4] = {};
    for (int part = 0; part < w.parts; part++) {
        const XrPack<float> *const sums = sums_of<C>(parts, blockIdx.x, part);
        add_sums<C>(dk, sums);
        add_sums<C>(dv, sums + 4 * C * THREADS);
    }
    store_keys<C>(a, dk, dv, w);
}

// ---- dq ----

#ifdef XR_WARPGROUPS

// What a thread knows of rows g and g+8 of its warp.
struct TwoRows {
    float lse2[2], dot[2];
};

template <typename T>
XR_DEVICE TwoRows statistics_of(const XrDifferentiate<T> &a, const XrTileWork &work, int head,
                                int row) {
    TwoRows of = {};
#pragma unroll
    for (int half = 0; half < 2; half++) {
        if (row + 8 * half >= work.tokens * a.group) continue;
        const int64_t at = xr_statistics_at(a, work, head, row + 8 * half);
        of.lse2[half] = a.lse2[at];
        of.dot[half] = a.dot[at];
    }
    return of;
}

// Scores of keys that a row does not see become -infinity. `row`: that of g.
XR_DEVICE void mask_queries(float (&s)[KEYS / 8][4], int row, int rows, int group, int tokens,
                            bool causal, int first_key) {
    const int t = (int)threadIdx.x % 4;
#pragma unroll
    for (int half = 0; half < 2; half++) {
        const int i = row + 8 * half, seen = causal && i < rows ? i / group + 1 : tokens;
        const int limit = seen - first_key - 2 * t;
#pragma unroll
        for (int n = 0; n < KEYS / 8; n++) {
            if (8 * n >= limit) s[n][2 * half] = -INFINITY;
            if (8 * n + 1 >= limit) s[n][2 * half + 1] = -INFINITY;
        }
    }
}

// Scores become probabilities.
XR_DEVICE void weigh_queries(float (&s)[KEYS / 8][4], const TwoRows &of, float log2) {
#pragma unroll
    for (int n = 0; n < KEYS / 8; n++) {
#pragma unroll
        for (int i = 0; i < 4; i++) s[n][i] = xr_exp2(fmaf(s[n][i], log2, -of.lse2[i / 2]));
    }
}

// p becomes dS.
XR_DEVICE void differentiate_queries(float (&p)[KEYS / 8][4], const float (&dp)[KEYS / 8][4],
                                     const TwoRows &of) {
#pragma unroll
    for (int n = 0; n < KEYS / 8; n++) {
#pragma unroll
        for (int i = 0; i < 4; i++) p[n][i] *= dp[n][i] - of.dot[i / 2];
    }
}

#endif

// Shared memory of a block: q, dout; three tiles of keys, two of values.
template <int C> struct QueryShared {
    static constexpr int rows = XrOperandTile<C, ROWS>::size, tile = XrOperandTile<C, KEYS>::size;
    static constexpr size_t bytes = 2 * rows + (STAGES + 2) * tile;
};

// A block has a tile of rows, 64 a warpgroup, and passes over the keys that they see.
template <int C> XR_KERNEL(THREADS) query_gradients(XrDifferentiate<XrBf16> a) {
#ifdef XR_WARPGROUPS
    constexpr int tile_bytes = QueryShared<C>::tile;
    XR_DYNAMIC_SHARED(unsigned char, q_tile);
    unsigned char *const dout_tile = q_tile + QueryShared<C>::rows;
    unsigned char *const key_tiles = dout_tile + QueryShared<C>::rows;
    unsigned char *const value_tiles = key_tiles + STAGES * tile_bytes;

    const int head = (int)(blockIdx.x % (unsigned)a.kv_heads);
    const XrTileWork work = xr_find_tile(a.cu, a.sequences, a.group, ROWS,
                                         blockIdx.x / (unsigned)a.kv_heads, 1, INT32_MAX);
    if (work.tile < 0) return;
    const int rows = work.tokens * a.group, first_row = work.tile * ROWS;
    const int last_row = min(rows, first_row + ROWS) - 1;
    const int seen = a.causal ? last_row / a.group + 1 : work.tokens; // keys, of the block's rows
    const int all_see = a.causal ? first_row / a.group + 1 : work.tokens;
    const int steps = (seen + KEYS - 1) / KEYS;
    const auto fill = [&](int step, int stage) {
        const int thread = xr_forget((int)threadIdx.x);
        xr_operand_fill<C, KEYS, THREADS>(key_tiles + stage * tile_bytes,
                                          xr_head_rows(a, a.k, work, head), thread, step * KEYS,
                                          seen, a.dim);
        xr_operand_fill<C, KEYS, THREADS>(value_tiles + step % 2 * tile_bytes,
                                          xr_head_rows(a, a.v, work, head), thread, step * KEYS,
                                          seen, a.dim);
    };
    xr_operand_fill<C, ROWS, THREADS>(q_tile, xr_group_rows(a, a.q, work, head), (int)threadIdx.x,
                                      first_row, rows, a.dim);
    xr_operand_fill<C, ROWS, THREADS>(dout_tile, xr_group_rows(a, a.dout, work, head),
                                      (int)threadIdx.x, first_row, rows, a.dim);
    fill(0, 0);
    xr_copy_commit();
    if (steps > 1) fill(1, 1);
    xr_copy_commit();

    const int first = (int)threadIdx.x / 128 * 64, row = (int)threadIdx.x / 32 * 16;
    const int my_row = first_row + row + (int)threadIdx.x % 32 / 4;
    const TwoRows of = statistics_of(a, work, head, my_row);
    const uint32_t q = xr_operand_along<C, ROWS>(q_tile, first);
    const uint32_t dout = xr_operand_along<C, ROWS>(dout_tile, first);
    float dq[4 * C][4] = {}, s[KEYS / 8][4] = {}, dp[KEYS / 8][4] = {};
    uint32_t ds[KEYS / 16][4] = {};
    xr_copy_wait<1>();
    xr_show_copies();
    xr_wgmma_fence(s, dp);
    xr_multiply_along<C, ROWS, KEYS>(s, q, xr_operand_along<C, KEYS>(key_tiles, 0));
    xr_multiply_along<C, ROWS, KEYS>(dp, dout, xr_operand_along<C, KEYS>(value_tiles, 0));
    xr_wgmma_wait<0>(s, dp);
    int step = 0, stage = 0;
    while (true) {
        // The scores are there; dout values^T and dq of the step before are on their way.
        if ((step + 1) * KEYS > all_see) {
            mask_queries(s, my_row, rows, a.group, work.tokens, a.causal, step * KEYS);
        }
        weigh_queries(s, of, a.log2);
        xr_wgmma_wait<1>(dp);
        differentiate_queries(s, dp, of);
        xr_wgmma_wait<0>(dq, ds);
        xr_pack(ds, s);
        const unsigned char *const keys = key_tiles + stage * tile_bytes;
        if (++step == steps) {
            xr_wgmma_fence(dq, ds);
            xr_add_across<C>(dq, ds, keys);
            break;
        }
        xr_copy_wait<0>();
        xr_show_copies(); // and none reads the keys of the step before, nor these values
        stage = stage == STAGES - 1 ? 0 : stage + 1;
        if (step + 1 < steps) fill(step + 1, stage == STAGES - 1 ? 0 : stage + 1);
        xr_copy_commit();
        const unsigned char *const next = key_tiles + stage * tile_bytes;
        const unsigned char *const values = value_tiles + step % 2 * tile_bytes;
        xr_wgmma_fence(s, dp, dq, ds);
        xr_multiply_along<C, ROWS, KEYS>(s, q, xr_operand_along<C, KEYS>(next, 0));
        xr_multiply_along<C, ROWS, KEYS>(dp, dout, xr_operand_along<C, KEYS>(values, 0));
        xr_add_across<C>(dq, ds, keys);
        xr_wgmma_wait<2>(s);
    }
    xr_wgmma_wait<0>(dq, ds);
    xr_store_of_queries<XrBf16, C>(a, dq, work, head, first_row + row);
#endif
}

// How many parts the rows of a tile of keys are shared out in. Under a causal mask the first tile
// has twice the work of the average, so that 2 multiprocessors / tiles parts make it no longer than
// a multiprocessor's share; an eighth longer is better than a part more. Sums are those of at most
// four blocks, 128 KiB each, for each multiprocessor.
static int parts_of_keys(XrBackend *b, const XrDifferentiate<XrBf16> &a, int64_t tokens,
                         int64_t longest, int64_t most_tiles) {
    const int64_t processors = xr_cuda_multiprocessors(b);
    const int64_t wanted = xr_pieces(7 * processors, 4 * xr_pieces(tokens, KEYS) * a.kv_heads);
    const int64_t most =
        XR_MIN(longest * a.group / (LEAST_STEPS * STEP), 4 * processors / most_tiles);
    return (int)XR_MAX(1, XR_MIN(wanted, most));
}

template <int C>
static void launch(XrBackend *b, const XrDifferentiate<XrBf16> &a, int64_t tokens,
                   int64_t longest) {
    auto of_keys = key_gradients<C>;
    auto of_queries = query_gradients<C>;
    xr_allow_shared(of_keys, KeyShared<C>::bytes);
    // Each sequence may end in a tile that is not full.
    int64_t key_tiles = (xr_pieces(tokens, KEYS) + a.sequences) * a.kv_heads;
    int64_t row_tiles = xr_pieces(tokens * a.group, ROWS) + a.sequences;
    KeyParts parts = {parts_of_keys(b, a, tokens, longest, key_tiles), NULL};
    if (parts.count > 1) {
        const size_t sums = 2 * KEYS * C * XR_SLICE * sizeof(float); // of a block
        parts.sums =
            (float *)xr_cuda_scratch(b, XR_SCRATCH_SUMS, (size_t)(key_tiles * parts.count) * sums);
    }
    XR_LAUNCH(of_keys, (unsigned)(key_tiles * parts.count), THREADS, KeyShared<C>::bytes,
              xr_cuda_stream(b), a, xr_divisor(a.group), parts);
    if (parts.count > 1) {
        XR_LAUNCH((add_key_parts<C>), (unsigned)key_tiles, THREADS, 0, xr_cuda_stream(b), a, parts);
    }
    xr_allow_shared(of_queries, QueryShared<C>::bytes);
    XR_LAUNCH(of_queries, (unsigned)(row_tiles * a.kv_heads), THREADS, QueryShared<C>::bytes,
              xr_cuda_stream(b), a);
}

bool xr_differentiate_by_warpgroups(XrBackend *b, const XrDifferentiate<XrBf16> &a, int64_t tokens,
                                    int64_t longest) {
    if (!xr_cuda_has_warpgroups(b) || b->batch_invariant || !a.wide_in) return false;
    if (longest * a.group <= ROWS / 2) return false;
    XR_HEAD_SLICES(a.dim, C, (launch<C>(b, a, tokens, longest)));
    return true;
}
