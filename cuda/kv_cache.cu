// Pages of keys and values, as the GPU lays them out: for each key/value head in turn the keys
// [XR_KV_PAGE, head_dim], then the values [XR_KV_PAGE, head_dim], in the cache's type.
#include "cuda/cuda.h"

enum { THREADS = 128, MOST_BLOCKS = 65535 };

size_t xr_cuda_kv_page_bytes(XrBackend *b, XrDType dtype, int kv_heads, int head_dim) {
    return (size_t)2 * XR_KV_PAGE * (size_t)kv_heads * (size_t)head_dim * xr_dtype_size(dtype);
}

template <typename T>
XR_KERNEL(THREADS)
write_tokens(T *cache, int64_t pages, XrRows<const T> k, XrRows<const T> v, const int32_t *slots,
             int64_t tokens, int kv_heads, int head_dim) {
    const int64_t width = (int64_t)kv_heads * head_dim, head_page = (int64_t)XR_KV_PAGE * head_dim;
    for (int64_t t = blockIdx.x; t < tokens; t += gridDim.x) {
        const int64_t page = slots[t] / XR_KV_PAGE, place = slots[t] % XR_KV_PAGE;
        XR_DEVICE_REQUIRE(slots[t] >= 0 && page < pages, "slot %d of a cache of %lld pages",
                          slots[t], (long long)pages);
        T *to = cache + page * 2 * XR_KV_PAGE * width + place * head_dim;
        for (int64_t d = threadIdx.x; d < width; d += THREADS) {
            T *keys = to + d / head_dim * 2 * head_page + d % head_dim;
            keys[0] = k.data[t * k.stride + d];
            keys[head_page] = v.data[t * v.stride + d];
        }
    }
}

extern "C" void xr_cuda_kv_write(XrBackend *b, const XrKvCache *cache, const XrTensor *k,
                                 const XrTensor *v, const XrTensor *slots) {
    XR_REQUIRE(cache->dtype == k->dtype, "kv_write: k %s into a cache of %s", xr_shape_text(k),
               xr_dtype_name(cache->dtype));
    int64_t tokens = k->shape[0];
    if (tokens == 0) return;
    XR_ACTIVATION_TYPES(k, T, {
        XR_LAUNCH((write_tokens<T>), (unsigned)XR_MIN(tokens, (int64_t)MOST_BLOCKS), THREADS, 0,
                  xr_cuda_stream(b), (T *)cache->data, cache->pages, xr_cuda_rows<const T>(k),
                  xr_cuda_rows<const T>(v), (const int32_t *)slots->data, tokens, cache->kv_heads,
                  cache->head_dim);
    });
}

// A page is a whole number of 4-byte words: XR_KV_PAGE is even.
XR_KERNEL(THREADS)
copy_pages(uint32_t *cache, int64_t pages, const int32_t *from, const int32_t *to, int64_t count,
           int64_t words) {
    for (int64_t i = blockIdx.x; i < count; i += gridDim.x) {
        XR_DEVICE_REQUIRE(from[i] >= 0 && from[i] < pages && to[i] >= 0 && to[i] < pages,
                          "page %d to %d of a cache of %lld", from[i], to[i], (long long)pages);
        const uint32_t *source = cache + from[i] * words;
        uint32_t *target = cache + to[i] * words;
        for (int64_t d = threadIdx.x; d < words; d += THREADS) target[d] = source[d];
    }
}

extern "C" void xr_cuda_kv_copy_pages(XrBackend *b, const XrKvCache *cache, const XrTensor *from,
                                      const XrTensor *to) {
    int64_t count = from->shape[0];
    if (count == 0) return;
    size_t bytes = xr_cuda_kv_page_bytes(b, cache->dtype, cache->kv_heads, cache->head_dim);
    XR_LAUNCH(copy_pages, (unsigned)XR_MIN(count, (int64_t)MOST_BLOCKS), THREADS, 0,
              xr_cuda_stream(b), (uint32_t *)cache->data, cache->pages, (const int32_t *)from->data,
              (const int32_t *)to->data, count, (int64_t)(bytes / 4));
}
