// Attention inside the sequences of a batch (formulas: docs/operations.md; kernel:
// cuda/attention_forward.h).
#include "cuda/attention_forward.h"

template <typename T> struct BatchKeys { XrRows<const T> k, v; };

template <typename T>
XR_DEVICE XrKeyView<XrHeadRows<T>> xr_keys_of(const BatchKeys<T> &keys, const XrTileWork &work,
                                              int head, int dim) {
    const int64_t first = work.first, column = (int64_t)head * dim;
    return {{keys.k.data + first * keys.k.stride + column, keys.k.stride},
            {keys.v.data + first * keys.v.stride + column, keys.v.stride},
            work.tokens};
}

template <typename T, int C>
static void attend(XrBackend *b, const XrAttend<T> &a, const BatchKeys<T> &keys, int64_t tokens) {
    constexpr int blocks = XrAttentionTile<T>::blocks, rows = 16 * blocks * XR_ATTENTION_WARPS;
    constexpr size_t shared = xr_attend_shared<T, C, rows>();
    auto kernel = xr_attend<T, C, XR_ATTENTION_WARPS, blocks, false, BatchKeys<T>>;
    xr_allow_shared(kernel, shared);
    // Each sequence may end in a tile that is not full.
    int64_t tiles = xr_pieces(tokens * a.group, rows) + a.sequences;
    XR_LAUNCH(kernel, (unsigned)(tiles * a.kv_heads), 32 * XR_ATTENTION_WARPS, shared,
              xr_cuda_stream(b), a, keys);
}

extern "C" void xr_cuda_attention(XrBackend *b, const XrTensor *out, const XrTensor *lse,
                                  const XrTensor *q, const XrTensor *k, const XrTensor *v,
                                  XrSegments segments, XrHeads heads) {
    if (q->shape[0] == 0) return;
    XR_ACTIVATION_TYPES(q, T, {
        XrAttend<T> a = xr_attend_of<T>(out, q, segments, heads, "attention");
        a.lse = lse ? (float *)lse->data : NULL;
        a.wide_keys = a.wide_q && xr_cuda_is_wide(k) && xr_cuda_is_wide(v);
        BatchKeys<T> keys = {xr_cuda_rows<const T>(k), xr_cuda_rows<const T>(v)};
        XR_HEAD_SLICES(heads.head_dim, C, (attend<T, C>(b, a, keys, q->shape[0])));
    });
}
