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

extern "C" void xr_cuda_attention(XrBackend *b, const XrTensor *out, const XrTensor *lse,
                                  const XrTensor *q, const XrTensor *k, const XrTensor *v,
                                  XrSegments segments, XrHeads heads) {
    if (q->shape[0] == 0) return;
    XR_ACTIVATION_TYPES(q, T, {
        XrAttend<T> a = xr_attend_of<T>(out, q, segments, heads, "attention");
        a.lse = lse ? (float *)lse->data : NULL;
        a.wide_keys = a.wide_q && xr_cuda_is_wide(k) && xr_cuda_is_wide(v);
        BatchKeys<T> keys = {xr_cuda_rows<const T>(k), xr_cuda_rows<const T>(v)};
        XR_HEAD_SLICES(heads.head_dim, C, (xr_attend_tiles<T, C>(b, a, keys, q->shape[0])));
    });
}
