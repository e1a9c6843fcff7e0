// Attention inside the sequences of a batch, in bf16, by products of warpgroups (formulas:
// docs/operations.md; instructions: cuda/warpgroup.h).
//
// Two warpgroups have 64 rows each. While the sums of values of one tile of keys are on their way,
// so are the scores of the next, whose exponentials are then computed beside the former (Shah et
// al. 2024, "FlashAttention-3", section 3.2). The running sums are the accumulators themselves,
// rescaled from tile to tile: their bits are not those of cuda/attention_forward.h.
#include "cuda/attention_warpgroup.h"
#include "cuda/warpgroup_tiles.h"

enum { KEYS = 128, ROWS = 128, THREADS = 256 };

// Of queries, keys or values.
template <int C> using Tile = XrOperandTile<C, KEYS>;
static_assert((int)KEYS == (int)ROWS, "one layout for both");

template <int C> constexpr size_t shared_bytes() {
    return 5 * (size_t)Tile<C>::size; // queries, two tiles of keys and two of values
}

#ifdef XR_WARPGROUPS

// Scores of keys that a row does not see become -infinity.
XR_DEVICE void mask(float (&s)[KEYS / 8][4], const XrWarpRows &w, int first_key) {
    if (first_key + KEYS <= w.least) return;
    const int lane = (int)threadIdx.x % 32;
#pragma unroll
    for (int half = 0; half < 2; half++) {
        const int limit = xr_keys_seen(w, w.first + 8 * half + lane / 4) - first_key - lane % 4 * 2;
#pragma unroll
        for (int n = 0; n < KEYS / 8; n++) {
            if (8 * n >= limit) s[n][2 * half] = -INFINITY;
            if (8 * n + 1 >= limit) s[n][2 * half + 1] = -INFINITY;
        }
    }
}

// Scores become exponentials against the largest of the row so far. `keep` are the factors for what
// was summed before; state.sum is of this thread's columns alone.
XR_DEVICE void weigh(float (&s)[KEYS / 8][4], XrSoftmax<1> &state, float (&keep)[2], float log2) {
#pragma unroll
    for (int half = 0; half < 2; half++) {
        float top = state.top[0][half], sum = 0;
#pragma unroll
        for (int n = 0; n < KEYS / 8; n++) {
            top = fmaxf(top, fmaxf(s[n][2 * half], s[n][2 * half + 1]));
        }
        top = fmaxf(top, xr_shuffle_xor(top, 1));
        top = fmaxf(top, xr_shuffle_xor(top, 2));
        const float base = top == -INFINITY ? 0 : top * log2; // no such row: zeros
        keep[half] = xr_exp2(fmaf(state.top[0][half], log2, -base));
#pragma unroll
        for (int n = 0; n < KEYS / 8; n++) {
#pragma unroll
            for (int i = 2 * half; i < 2 * half + 2; i++) {
                s[n][i] = xr_exp2(fmaf(s[n][i], log2, -base));
                sum += s[n][i];
            }
        }
        state.top[0][half] = top;
        state.sum[0][half] = fmaf(state.sum[0][half], keep[half], sum);
    }
}

#endif

template <int C> XR_KERNEL(THREADS) attend(XrAttend<XrBf16> a, XrBatchKeys<XrBf16> source) {
#ifdef XR_WARPGROUPS
    XR_DYNAMIC_SHARED(unsigned char, q_tile);
    unsigned char *const key_tiles = q_tile + Tile<C>::size; // two
    unsigned char *const value_tiles = key_tiles + 2 * Tile<C>::size;

    const int head = (int)(blockIdx.x % (unsigned)a.kv_heads);
    const XrTileWork work = xr_find_tile(a.cu, a.sequences, a.group, ROWS,
                                         blockIdx.x / (unsigned)a.kv_heads, a.least, a.most);
    if (work.tile < 0) return;
    const auto view = xr_keys_of(source, work, head, a.dim);
    const int rows = work.tokens * a.group, first_row = work.tile * ROWS;
    const int last_row = min(rows, first_row + ROWS) - 1;
    const int seen = a.causal ? 1 + last_row / a.group : view.length; // keys, of the block's rows
    const int end = (seen + KEYS - 1) / KEYS;

    const XrGroupRows<XrBf16> q = {a.q.data + work.first * a.q.stride +
                                       (int64_t)head * a.group * a.dim,
                                   a.q.stride, a.group, a.dim};
    const auto fill = [&](unsigned char *tile, const auto &from, int begin, int end_row) {
        xr_operand_fill<C, KEYS, THREADS>(tile, from, xr_forget((int)threadIdx.x), begin, end_row,
                                          a.dim);
    };
    fill(q_tile, q, first_row, rows);
    fill(key_tiles, view.keys, 0, seen);
    xr_copy_commit();
    fill(value_tiles, view.values, 0, seen);
    if (end > 1) {
        fill(key_tiles + Tile<C>::size, view.keys, KEYS, seen);
    }
    xr_copy_commit();

    const int warp_row = first_row + (int)threadIdx.x / 32 * 16;
    const XrWarpRows w = xr_warp_rows<1>(warp_row, rows, a.group, 1, view.length, a.causal);
    const uint32_t queries = xr_operand_along<C, ROWS>(q_tile, (int)threadIdx.x / 128 * 64);
    XrSoftmax<1> state = {{{-INFINITY, -INFINITY}}, {{0, 0}}};
    float value[1][4 * C][4] = {}, s[KEYS / 8][4] = {}, keep[2];
    uint32_t p[KEYS / 16][4];

    xr_copy_wait<1>();
    xr_show_copies();
    xr_wgmma_fence(s);
    xr_multiply_along<C, ROWS, KEYS>(s, queries, xr_operand_along<C, KEYS>(key_tiles, 0));
    xr_wgmma_wait<0>(s);
    mask(s, w, 0);
    weigh(s, state, keep, a.log2);
    xr_pack(p, s);
    xr_copy_wait<0>();
    xr_show_copies();
    for (int tile = 0; tile + 1 < end; tile++) {
        // All have the scores of this tile and the sums of the one before.
        unsigned char *const odd_keys = key_tiles + (tile + 1) % 2 * Tile<C>::size;
        unsigned char *const odd_values = value_tiles + (tile + 1) % 2 * Tile<C>::size;
        unsigned char *const even_keys = key_tiles + tile % 2 * Tile<C>::size;
        unsigned char *const even_values = value_tiles + tile % 2 * Tile<C>::size;
        if (tile + 2 < end) {
            fill(even_keys, view.keys, (tile + 2) * KEYS, seen);
        }
        fill(odd_values, view.values, (tile + 1) * KEYS, seen);
        xr_copy_commit();
        xr_wgmma_fence(s, value[0], p);
        xr_multiply_along<C, ROWS, KEYS>(s, queries, xr_operand_along<C, KEYS>(odd_keys, 0));
        xr_add_across<C>(value[0], p, even_values);
        xr_wgmma_wait<1>(s);
        mask(s, w, (tile + 1) * KEYS);
        weigh(s, state, keep, a.log2);
        xr_wgmma_wait<0>(value[0], p);
#pragma unroll
        for (int n = 0; n < 4 * C; n++) {
#pragma unroll
            for (int i = 0; i < 4; i++) value[0][n][i] *= keep[i / 2];
        }
        xr_pack(p, s);
        xr_copy_wait<0>();
        xr_show_copies();
    }
    xr_wgmma_fence(value[0], p);
    xr_add_across<C>(value[0], p, value_tiles + (end - 1) % 2 * Tile<C>::size);
    xr_wgmma_wait<0>(value[0], p);
#pragma unroll
    for (int half = 0; half < 2; half++) {
        state.sum[0][half] += xr_shuffle_xor(state.sum[0][half], 1);
        state.sum[0][half] += xr_shuffle_xor(state.sum[0][half], 2);
    }
    xr_store_rows<XrBf16, C, 1>(a, value, state, work, head, warp_row);
#endif
}

template <int C>
static void launch(XrBackend *b, const XrAttend<XrBf16> &a, const XrBatchKeys<XrBf16> &keys,
                   int64_t tokens) {
    auto kernel = attend<C>;
    xr_allow_shared(kernel, shared_bytes<C>());
    // Each sequence may end in a tile that is not full.
    int64_t tiles = xr_pieces(tokens * a.group, ROWS) + a.sequences;
    XR_LAUNCH(kernel, (unsigned)(tiles * a.kv_heads), THREADS, shared_bytes<C>(), xr_cuda_stream(b),
              a, keys);
}

bool xr_attend_by_warpgroups(XrBackend *b, const XrAttend<XrBf16> &a,
                             const XrBatchKeys<XrBf16> &keys, int64_t tokens, int64_t longest) {
    if (!xr_cuda_has_warpgroups(b) || b->batch_invariant || !a.wide_keys) return false;
    if (longest * a.group <= ROWS / 2) return false;
    XR_HEAD_SLICES(a.dim, C, (launch<C>(b, a, keys, tokens)));
    return true;
}
