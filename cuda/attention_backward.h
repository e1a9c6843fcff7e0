// Gradients of attention: what the kernels of cuda/attention_backward.cu and
// cuda/attention_warpgroup_backward.cu share.
#ifndef XR_CUDA_ATTENTION_BACKWARD_H
#define XR_CUDA_ATTENTION_BACKWARD_H

#include "cuda/attention_tiles.h"

template <typename T> struct XrDifferentiate {
    XrRows<T> dq, dk, dv;
    XrRows<const T> dout, q, k, v, out;
    const float *lse;
    float *lse2, *dot; // [tokens, heads]: lse in units of log 2, and D = dout . out
    const int32_t *cu;
    int sequences, heads, kv_heads, group, dim;
    float scale, log2; // log2 = scale log2(e)
    bool causal, wide_in, wide_out;
};

// Where lse2 and D of a row are: the rows of a sequence are (token, query head) pairs of a
// key/value head's group.
template <typename T>
XR_DEVICE int64_t xr_statistics_at(const XrDifferentiate<T> &a, const XrTileWork &work, int head,
                                   int row) {
    const int token = row / a.group;
    return (int64_t)(work.first + token) * a.heads + head * a.group + (row - token * a.group);
}

template <typename T>
XR_DEVICE XrGroupRows<T> xr_group_rows(const XrDifferentiate<T> &a, const XrRows<const T> &rows,
                                       const XrTileWork &work, int head) {
    return {rows.data + work.first * rows.stride + (int64_t)head * a.group * a.dim, rows.stride,
            a.group, a.dim};
}

template <typename T>
XR_DEVICE XrHeadRows<T> xr_head_rows(const XrDifferentiate<T> &a, const XrRows<const T> &rows,
                                     const XrTileWork &work, int head) {
    return {rows.data + work.first * rows.stride + (int64_t)head * a.dim, rows.stride};
}

// Stores 16 rows of a warp, of which `left` exist, at the rows that row_at gives.
template <typename T, int C, typename Place>
XR_DEVICE void xr_store_gradients(const XrDifferentiate<T> &a, const float (&sum)[4 * C][4],
                                  float factor, int left, const Place &row_at) {
    const int g = (int)threadIdx.x % 32 / 4, t = (int)threadIdx.x % 4;
#pragma unroll
    for (int half = 0; half < 2; half++) {
        if (g + 8 * half >= left) continue;
        T *to = row_at(g + 8 * half);
#pragma unroll
        for (int n = 0; n < 4 * C; n++) {
            xr_store_pair(to, 8 * n + 2 * t, a.dim, sum[n][2 * half] * factor,
                          sum[n][2 * half + 1] * factor, a.wide_out);
        }
    }
}

// ... of dk or dv: those of keys from `key` on.
template <typename T, int C>
XR_DEVICE void xr_store_of_keys(const XrDifferentiate<T> &a, const XrRows<T> &rows,
                                const float (&sum)[4 * C][4], float factor, const XrTileWork &work,
                                int head, int key) {
    xr_store_gradients<T, C>(a, sum, factor, work.tokens - key, [&](int i) {
        return rows.data + (work.first + key + i) * rows.stride + (int64_t)head * a.dim;
    });
}

// ... of dq: those of rows from `row` on.
template <typename T, int C>
XR_DEVICE void xr_store_of_queries(const XrDifferentiate<T> &a, const float (&dq)[4 * C][4],
                                   const XrTileWork &work, int head, int row) {
    xr_store_gradients<T, C>(a, dq, a.scale, work.tokens * a.group - row, [&](int i) {
        const int64_t token = work.first + (row + i) / a.group;
        const int query_head = head * a.group + (row + i) % a.group;
        return a.dq.data + token * a.dq.stride + (int64_t)query_head * a.dim;
    });
}

// Computes dq, dk and dv by warpgroups, lse2 and D being there, or does nothing and returns false:
// on other GPUs than those of compute capability 9.0, in the batch-invariant mode (which way a
// sequence goes depends on the longest of the batch), where rows may not be read in accesses of 16
// bytes, and where no sequence, the longest of which has `longest` tokens, has rows for more than
// one warpgroup.
bool xr_differentiate_by_warpgroups(XrBackend *b, const XrDifferentiate<XrBf16> &a, int64_t tokens,
                                    int64_t longest);

// There are no such products of f32.
static inline bool xr_differentiate_by_warpgroups(XrBackend *, const XrDifferentiate<float> &,
                                                  int64_t, int64_t) {
    return false;
}

#endif
