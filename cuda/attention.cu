// Attention inside the sequences of a batch (formulas: docs/operations.md; kernels:
// cuda/attention_forward.h and cuda/attention_warpgroup.cu).
#include "cuda/attention_warpgroup.h"

extern "C" void xr_cuda_attention(XrBackend *b, const XrTensor *out, const XrTensor *lse,
                                  const XrTensor *q, const XrTensor *k, const XrTensor *v,
                                  XrSegments segments, XrHeads heads) {
    const int64_t tokens = q->shape[0];
    if (tokens == 0) return;
    XR_ACTIVATION_TYPES(q, T, {
        XrAttend<T> a = xr_attend_of<T>(out, q, segments, heads, "attention");
        a.lse = lse ? (float *)lse->data : NULL;
        a.wide_keys = a.wide_q && xr_cuda_is_wide(k) && xr_cuda_is_wide(v);
        XrBatchKeys<T> keys = {xr_cuda_rows<const T>(k), xr_cuda_rows<const T>(v)};
        if (xr_attend_by_warpgroups(b, a, keys, tokens, segments.longest)) return;
        XR_HEAD_SLICES(heads.head_dim, C, (xr_attend_tiles<T, C>(b, a, keys, tokens)));
    });
}
