// Tiles of attention in shared memory as operands of a warpgroup's products (cuda/warpgroup.h), in
// bf16: what the forward and the backward pass share.
//
// Rows of other sequences are no part of a tile: those beyond the last that a block sees are zeros.
// That is why tiles are filled by cp.async, which can do so, and not by copies of tensors (TMA),
// which know only the end of the batch: what was NaN in one sequence would come to its neighbour,
// as 0 NaN.
#ifndef XR_CUDA_WARPGROUP_TILES_H
#define XR_CUDA_WARPGROUP_TILES_H

#include "cuda/attention_tiles.h"
#include "cuda/warpgroup.h"

// A tile of ROWS rows for heads of up to 32 C elements: columns of 64 elements (32 where C is odd),
// one after the other, each with its rows.
template <int C, int ROWS> struct XrOperandTile {
    static constexpr int bytes = C % 2 ? 64 : 128, chunks = bytes / 16; // of a row of a column
    static constexpr int row_chunks = C * XR_SLICE / XrChunk<XrBf16>::count;
    static constexpr int size = ROWS * C * XR_SLICE * (int)sizeof(XrBf16);
    static constexpr XrSwizzle swizzle = C % 2 ? XR_SWIZZLE_64 : XR_SWIZZLE_128;
};

// A number to divide by in two instructions: n / d is n factor / 2^shift for all n below 2^31, with
// shift = 31 + log2 d, rounded up, and factor = 2^shift / d, rounded up (Granlund and Montgomery
// 1994, "Division by Invariant Integers using Multiplication", theorem 4.2).
typedef struct XrDivisor {
    uint32_t factor;
    int shift;
} XrDivisor;

static inline XrDivisor xr_divisor(int d) {
    XrDivisor by = {0, 31};
    while ((int64_t)1 << (by.shift - 31) < d) by.shift++;
    by.factor = (uint32_t)((((uint64_t)1 << by.shift) + (uint64_t)d - 1) / (uint64_t)d);
    return by;
}

XR_DEVICE int xr_divide(int n, XrDivisor by) {
    return (int)((uint64_t)(uint32_t)n * by.factor >> by.shift);
}

// XrGroupRows for tiles that are filled again and again.
template <typename T> struct XrDividedRows {
    const T *first;
    int64_t stride;
    int group, dim;
    XrDivisor by_group;
};

template <typename T> XR_DEVICE const T *xr_row_of(const XrDividedRows<T> &rows, int i) {
    const int token = xr_divide(i, rows.by_group);
    return rows.first + token * rows.stride + (i - token * rows.group) * rows.dim;
}

#ifdef XR_WARPGROUPS

// Starts to copy rows [begin, begin + ROWS) of `from`; rows from `end` on, and elements from `dim`
// on, become 0. `thread`: threadIdx.x, by xr_forget, so that no addresses are kept from tile to
// tile. A thread's chunks lie in one place of their rows, multiples of 8 rows apart, so that all
// are exchanged alike.
template <int C, int ROWS, int THREADS, typename Rows>
XR_DEVICE void xr_operand_fill(unsigned char *tile, const Rows &from, int thread, int begin,
                               int end, int dim) {
    using Tile = XrOperandTile<C, ROWS>;
    constexpr int at_once = THREADS / Tile::row_chunks / 8 * 8; // rows
    static_assert(ROWS % at_once == 0, "whole rounds");
    const int first = thread / Tile::row_chunks, chunk = thread % Tile::row_chunks;
    if (first >= at_once) return;
    const int column = chunk / Tile::chunks, d = chunk * XrChunk<XrBf16>::count;
    const int turned = chunk % Tile::chunks ^ first * Tile::bytes / 128 % Tile::chunks;
    unsigned char *const to = tile + (column * ROWS + first) * Tile::bytes + 16 * turned;
#pragma unroll
    for (int i = 0; i < ROWS; i += at_once) {
        const int row = begin + first + i;
        const bool there = row < end && d < dim;
        xr_copy_async(to + i * Tile::bytes, xr_row_of(from, min(row, end - 1)) + (d < dim ? d : 0),
                      there ? 16 : 0);
    }
}

// What this thread has copied is there, and what all have, for products too.
XR_DEVICE void xr_show_copies() {
    xr_show_to_products();
    __syncthreads();
}

// The lower word of the descriptor of a tile of ROWS rows with the inner dimension along rows, from
// row `first` on, a multiple of 8. The upper is the same for all of a kind, and not kept.
template <int C, int ROWS>
XR_DEVICE uint32_t xr_operand_along(const unsigned char *tile, int first) {
    using Tile = XrOperandTile<C, ROWS>;
    return (uint32_t)xr_wgmma_operand(tile + first * Tile::bytes, 16, 0, Tile::swizzle);
}

template <int C> XR_DEVICE uint64_t xr_whole_operand(uint32_t low) {
    using Tile = XrOperandTile<C, 8>;
    return (uint64_t)(8 * Tile::bytes >> 4) << 32 | (uint64_t)Tile::swizzle << 62 | low;
}

// s[64,8N] = left right^T for the 64 rows of a warpgroup; both lie along rows, of tiles of LEFT and
// RIGHT rows.
template <int C, int LEFT, int RIGHT, int N>
XR_DEVICE void xr_multiply_along(float (&s)[N][4], uint32_t left, uint32_t right) {
    constexpr int bytes = XrOperandTile<C, LEFT>::bytes;
    left = (uint32_t)xr_forget((int)left); // or each of the descriptors would take two registers
#pragma unroll
    for (int k = 0; k < 2 * C; k++) { // 16 elements of a head
        const int column = k * 32 / bytes, at = k * 32 % bytes;
        xr_wgmma(s, xr_whole_operand<C>(left + (column * LEFT * bytes + at) / 16),
                 xr_whole_operand<C>(right + (column * RIGHT * bytes + at) / 16), k > 0);
    }
    xr_wgmma_commit();
}

// sum += p tile: the tile's 16 N rows are the inner dimension.
template <int C, int N>
XR_DEVICE void xr_add_across(float (&sum)[4 * C][4], const uint32_t (&p)[N][4],
                             const unsigned char *tile) {
    using Tile = XrOperandTile<C, 16 * N>;
    const uint32_t operand =
        (uint32_t)xr_wgmma_operand(tile, 16 * N * Tile::bytes, 0, Tile::swizzle);
#pragma unroll
    for (int k = 0; k < N; k++) {
        xr_wgmma(sum, p[k], xr_whole_operand<C>(operand + k * 16 * Tile::bytes / 16));
    }
    xr_wgmma_commit();
}

// What products have given, as left operand of the next.
template <int N> XR_DEVICE void xr_pack(uint32_t (&p)[N][4], const float (&s)[2 * N][4]) {
#pragma unroll
    for (int n = 0; n < 2 * N; n++) {
        p[n / 2][n % 2 * 2] = xr_pack_bf16(s[n][0], s[n][1]);
        p[n / 2][n % 2 * 2 + 1] = xr_pack_bf16(s[n][2], s[n][3]);
    }
}

#endif
#endif
