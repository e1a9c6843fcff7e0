// Attention inside the sequences of a batch, in bf16, by products of warpgroups (formulas:
// docs/operations.md; instructions: cuda/warpgroup.h).
//
// Two warpgroups have 64 rows each. While the sums of values of one tile of keys are on their way,
// so are the scores of the next, whose exponentials are then computed beside the former (Shah et
// al. 2024, "FlashAttention-3", section 3.2). The running sums are the accumulators themselves,
// rescaled from tile to tile: their bits are not those of cuda/attention_forward.h.
//
// Keys and values of other sequences are no part of a tile: rows beyond the last that a block sees
// are zeros. That is why tiles are filled by cp.async, which can do so, and not by copies of
// tensors (TMA), which know only the end of the batch: what was NaN in one sequence would come to
// its neighbour, as 0 NaN.
#include "cuda/attention_warpgroup.h"
#include "cuda/warpgroup.h"

enum { KEYS = 128, ROWS = 128, THREADS = 256 };

// A tile for heads of up to 32 C elements: columns of 64 elements (32 where C is odd), one after
// the other, each with its rows.
template <int C> struct Tile {
    static constexpr int bytes = C % 2 ? 64 : 128, chunks = bytes / 16; // of a row of a column
    static constexpr int row_chunks = C * XR_SLICE / XrChunk<XrBf16>::count;
    static constexpr int size = KEYS * C * XR_SLICE * (int)sizeof(XrBf16);
    static constexpr XrSwizzle swizzle = C % 2 ? XR_SWIZZLE_64 : XR_SWIZZLE_128;
};
static_assert((int)KEYS == (int)ROWS, "one layout for both");

template <int C> constexpr size_t shared_bytes() {
    return 5 * (size_t)Tile<C>::size; // queries, two tiles of keys and two of values
}

#ifdef XR_WARPGROUPS

// Starts to copy rows [begin, begin + KEYS) of `from`; rows from `end` on, and elements from `dim`
// on, become 0.
template <int C, typename Rows>
XR_DEVICE void fill(unsigned char *tile, const Rows &from, int begin, int end, int dim) {
    using Layout = Tile<C>;
#pragma unroll 1 // unrolled, an address of each would stay in registers from tile to tile
    for (int i = (int)threadIdx.x; i < KEYS * Layout::row_chunks; i += THREADS) {
        const int row = i / Layout::row_chunks, chunk = i % Layout::row_chunks;
        const int column = chunk / Layout::chunks, d = chunk * XrChunk<XrBf16>::count;
        const int turned = chunk % Layout::chunks ^ row * Layout::bytes / 128 % Layout::chunks;
        const bool there = begin + row < end && d < dim;
        xr_copy_async(tile + (column * KEYS + row) * Layout::bytes + 16 * turned,
                      there ? xr_row_of(from, begin + row) + d : from.first, there ? 16 : 0);
    }
}

// What this thread has copied is there, and what all have, for products too.
XR_DEVICE void show_copies() {
    xr_show_to_products();
    __syncthreads();
}

// s = queries keys^T for the 64 rows of a warpgroup.
template <int C>
XR_DEVICE void add_scores(float (&s)[KEYS / 8][4], uint64_t queries, const unsigned char *keys) {
    constexpr int bytes = Tile<C>::bytes;
    const uint64_t operand = xr_wgmma_operand(keys, 16, 8 * bytes, Tile<C>::swizzle);
#pragma unroll
    for (int k = 0; k < 2 * C; k++) { // 16 elements of a head
        const int at = k * 32 / bytes * KEYS * bytes + k * 32 % bytes;
        xr_wgmma(s, queries + at / 16, operand + at / 16, k > 0);
    }
    xr_wgmma_commit();
}

// value += p values.
template <int C>
XR_DEVICE void add_values(float (&value)[4 * C][4], const uint32_t (&p)[KEYS / 16][4],
                          const unsigned char *values) {
    constexpr int bytes = Tile<C>::bytes;
    const uint64_t operand = xr_wgmma_operand(values, KEYS * bytes, 8 * bytes, Tile<C>::swizzle);
#pragma unroll
    for (int k = 0; k < KEYS / 16; k++) xr_wgmma(value, p[k], operand + k * 16 * bytes / 16);
    xr_wgmma_commit();
}

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

// Exponentials as left operand of the next product.
XR_DEVICE void pack(uint32_t (&p)[KEYS / 16][4], const float (&s)[KEYS / 8][4]) {
#pragma unroll
    for (int n = 0; n < KEYS / 8; n++) {
        p[n / 2][n % 2 * 2] = xr_pack_bf16(s[n][0], s[n][1]);
        p[n / 2][n % 2 * 2 + 1] = xr_pack_bf16(s[n][2], s[n][3]);
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
    fill<C>(q_tile, q, first_row, rows, a.dim);
    fill<C>(key_tiles, view.keys, 0, seen, a.dim);
    xr_copy_commit();
    fill<C>(value_tiles, view.values, 0, seen, a.dim);
    if (end > 1) fill<C>(key_tiles + Tile<C>::size, view.keys, KEYS, seen, a.dim);
    xr_copy_commit();

    const int warp_row = first_row + (int)threadIdx.x / 32 * 16;
    const XrWarpRows w = xr_warp_rows<1>(warp_row, rows, a.group, 1, view.length, a.causal);
    const uint64_t queries = xr_wgmma_operand(q_tile + (int)threadIdx.x / 128 * 64 * Tile<C>::bytes,
                                              16, 8 * Tile<C>::bytes, Tile<C>::swizzle);
    XrSoftmax<1> state = {{{-INFINITY, -INFINITY}}, {{0, 0}}};
    float value[1][4 * C][4] = {}, s[KEYS / 8][4] = {}, keep[2];
    uint32_t p[KEYS / 16][4];

    xr_copy_wait<1>();
    show_copies();
    xr_wgmma_fence(s);
    add_scores<C>(s, queries, key_tiles);
    xr_wgmma_wait<0>(s);
    mask(s, w, 0);
    weigh(s, state, keep, a.log2);
    pack(p, s);
    xr_copy_wait<0>();
    show_copies();
    for (int tile = 0; tile + 1 < end; tile++) {
        // All have the scores of this tile and the sums of the one before.
        unsigned char *const odd_keys = key_tiles + (tile + 1) % 2 * Tile<C>::size;
        unsigned char *const odd_values = value_tiles + (tile + 1) % 2 * Tile<C>::size;
        unsigned char *const even_keys = key_tiles + tile % 2 * Tile<C>::size;
        unsigned char *const even_values = value_tiles + tile % 2 * Tile<C>::size;
        if (tile + 2 < end) fill<C>(even_keys, view.keys, (tile + 2) * KEYS, seen, a.dim);
        fill<C>(odd_values, view.values, (tile + 1) * KEYS, seen, a.dim);
        xr_copy_commit();
        xr_wgmma_fence(s, value[0], p);
        add_scores<C>(s, queries, odd_keys);
        add_values<C>(value[0], p, even_values);
        xr_wgmma_wait<1>(s);
        mask(s, w, (tile + 1) * KEYS);
        weigh(s, state, keep, a.log2);
        xr_wgmma_wait<0>(value[0], p);
#pragma unroll
        for (int n = 0; n < 4 * C; n++) {
#pragma unroll
            for (int i = 0; i < 4; i++) value[0][n][i] *= keep[i / 2];
        }
        pack(p, s);
        xr_copy_wait<0>();
        show_copies();
    }
    xr_wgmma_fence(value[0], p);
    add_values<C>(value[0], p, value_tiles + (end - 1) % 2 * Tile<C>::size);
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
