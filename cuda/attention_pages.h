// The layout of a page of the key/value cache on the GPU: for each key/value head XR_KV_PAGE rows
// of keys, then as many of values. A row is a head's elements, filled up with zeros to a multiple
// of 16 bytes, so that a head's keys of a page are one contiguous, aligned piece.
#ifndef XR_CUDA_ATTENTION_PAGES_H
#define XR_CUDA_ATTENTION_PAGES_H

#include "cuda/cuda.h"

template <typename T> struct XrCachePages {
    T *data;
    int64_t count;
    int64_t page; // elements of a page
    int row;      // elements of a row
};

static inline int64_t xr_cache_row_bytes(XrDType dtype, int head_dim) {
    return xr_pieces((int64_t)head_dim * (int64_t)xr_dtype_size(dtype), 16) * 16;
}

template <typename T> XrCachePages<T> xr_cache_pages(const XrKvCache *cache) {
    int64_t row = xr_cache_row_bytes(cache->dtype, cache->head_dim) / (int64_t)sizeof(T);
    return {(T *)cache->data, cache->pages, 2 * XR_KV_PAGE * cache->kv_heads * row, (int)row};
}

template <typename T> XR_DEVICE void xr_require_page(const XrCachePages<T> &cache, int64_t page) {
    XR_DEVICE_REQUIRE(page >= 0 && page < cache.count, "page %lld of a cache of %lld",
                      (long long)page, (long long)cache.count);
}

// Row 0 of a head's keys (which = 0) or values (1) in a page, which has been looked at.
template <typename T>
XR_DEVICE T *xr_cache_rows(const XrCachePages<T> &cache, int64_t page, int head, int which) {
    return cache.data + page * cache.page + (int64_t)(2 * head + which) * XR_KV_PAGE * cache.row;
}

#endif
