// Attention of a batch in bf16 by warpgroups (cuda/attention_warpgroup.cu), and what it shares with
// cuda/attention.cu: keys and values in rows of the batch.
#ifndef XR_CUDA_ATTENTION_WARPGROUP_H
#define XR_CUDA_ATTENTION_WARPGROUP_H

#include "cuda/attention_forward.h"

template <typename T> struct XrBatchKeys { XrRows<const T> k, v; };

template <typename T>
XR_DEVICE XrKeyView<XrHeadRows<T>> xr_keys_of(const XrBatchKeys<T> &keys, const XrTileWork &work,
                                              int head, int dim) {
    const int64_t first = work.first, column = (int64_t)head * dim;
    return {{keys.k.data + first * keys.k.stride + column, keys.k.stride},
            {keys.v.data + first * keys.v.stride + column, keys.v.stride},
            work.tokens};
}

// Attends, or does nothing and returns false: on other GPUs than those of compute capability 9.0,
// in the batch-invariant mode (the sums have another order than those over pages), where rows may
// not be read in accesses of 16 bytes, and where no sequence, the longest of which has `longest`
// tokens, has rows for more than one warpgroup.
bool xr_attend_by_warpgroups(XrBackend *b, const XrAttend<XrBf16> &a,
                             const XrBatchKeys<XrBf16> &keys, int64_t tokens, int64_t longest);

// There are no such products of f32.
static inline bool xr_attend_by_warpgroups(XrBackend *, const XrAttend<float> &,
                                           const XrBatchKeys<float> &, int64_t, int64_t) {
    return false;
}

#endif
