// Writing to and copying in the key/value cache.
#include "cuda/attention_pages.h"

enum { THREADS = 128, COPY_PIECES = 16 };

// A block a token: its keys, then its values, in chunks of 16 bytes.
template <typename T>
XR_KERNEL(THREADS)
write_token(XrCachePages<T> cache, XrRows<const T> k, XrRows<const T> v, const int32_t *slots,
            int heads, int dim, bool wide) {
    constexpr int N = XrChunk<T>::count;
    const int64_t t = blockIdx.x;
    const int slot = slots[t], chunks = cache.row / N, most = 2 * heads * chunks;
    XR_DEVICE_REQUIRE(slot >= 0, "kv_write: slot %d of token %lld", slot, (long long)t);
    xr_require_page(cache, slot / XR_KV_PAGE);
    for (int i = (int)threadIdx.x; i < most; i += THREADS) {
        const int which = i / (heads * chunks), rest = i - which * heads * chunks;
        const int head = rest / chunks, d = (rest - head * chunks) * N;
        const T *from = which ? v.data + t * v.stride : k.data + t * k.stride;
        T *to = xr_cache_rows(cache, slot / XR_KV_PAGE, head, which) +
                (int64_t)(slot % XR_KV_PAGE) * cache.row;
        float chunk[N];
        xr_load_chunk(chunk, from + (int64_t)head * dim + d, dim - d, wide);
        xr_store_chunk(to + d, chunk, N, true);
    }
}

extern "C" void xr_cuda_kv_write(XrBackend *b, const XrKvCache *cache, const XrTensor *k,
                                 const XrTensor *v, const XrTensor *slots) {
    XR_REQUIRE(k->dtype == cache->dtype, "kv_write: k %s, a cache of %s", xr_shape_text(k),
               xr_dtype_name(cache->dtype));
    if (k->shape[0] == 0) return;
    XR_ACTIVATION_TYPES(k, T, {
        bool wide =
            cache->head_dim % XrChunk<T>::count == 0 && xr_cuda_is_wide(k) && xr_cuda_is_wide(v);
        XR_LAUNCH((write_token<T>), (unsigned)k->shape[0], THREADS, 0, xr_cuda_stream(b),
                  xr_cache_pages<T>(cache), xr_cuda_rows<const T>(k), xr_cuda_rows<const T>(v),
                  (const int32_t *)slots->data, cache->kv_heads, cache->head_dim, wide);
    });
}

// COPY_PIECES blocks a page. `page` counts floats.
XR_KERNEL(THREADS)
copy_pages(XrCachePages<float> cache, const int32_t *from, const int32_t *to) {
    const int64_t i = blockIdx.x / COPY_PIECES, piece = blockIdx.x % COPY_PIECES;
    xr_require_page(cache, from[i]);
    xr_require_page(cache, to[i]);
    const XrPack<float> *source = (const XrPack<float> *)xr_cache_rows(cache, from[i], 0, 0);
    XrPack<float> *target = (XrPack<float> *)xr_cache_rows(cache, to[i], 0, 0);
    for (int64_t at = piece * THREADS + threadIdx.x; at < cache.page / 4;
         at += COPY_PIECES * THREADS) {
        target[at] = source[at];
    }
}

extern "C" void xr_cuda_kv_copy_pages(XrBackend *b, const XrKvCache *cache, const XrTensor *from,
                                      const XrTensor *to) {
    if (from->shape[0] == 0) return;
    XR_LAUNCH(copy_pages, (unsigned)from->shape[0] * COPY_PIECES, THREADS, 0, xr_cuda_stream(b),
              xr_cache_pages<float>(cache), (const int32_t *)from->data, (const int32_t *)to->data);
}

size_t xr_cuda_kv_page_bytes(XrBackend *b, XrDType dtype, int kv_heads, int head_dim) {
    XR_REQUIRE(dtype == XR_F32 || dtype == XR_BF16, "a cache of %s; it is f32 or bf16",
               xr_dtype_name(dtype));
    return (size_t)(2 * XR_KV_PAGE * kv_heads * xr_cache_row_bytes(dtype, head_dim));
}
