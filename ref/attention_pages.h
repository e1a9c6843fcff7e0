// Pages of keys and values, as the CPU lays them out: for each key/value head in turn the keys
// [head_dim, XR_KV_PAGE], transposed so that scores of a page are computed side by side, then the
// values [XR_KV_PAGE, width], width being head_dim rounded up to XR_HEAD_ALIGN and filled with
// zeros.
#ifndef XR_REF_ATTENTION_PAGES_H
#define XR_REF_ATTENTION_PAGES_H

#include "ref/attention_kernels.h"
#include "shared/tensor/ops.h"

static inline int64_t xr_head_width(int64_t head_dim) {
    return (head_dim + XR_HEAD_ALIGN - 1) / XR_HEAD_ALIGN * XR_HEAD_ALIGN;
}

// Floats of one head of a page.
static inline int64_t xr_head_page_floats(int64_t head_dim) {
    return (head_dim + xr_head_width(head_dim)) * XR_KV_PAGE;
}

// Writes `count` tokens (at most XR_KV_PAGE) of one head to their places from `place` on.
void xr_pack_head(const XrAttentionKernels *kernels, float *page, int64_t head_dim, int64_t place,
                  const float *keys, int64_t key_stride, const float *values, int64_t value_stride,
                  int64_t count);

// The page of a cache, checked.
float *xr_cache_page(const XrKvCache *cache, int64_t page);

#endif
