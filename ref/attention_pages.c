#include "ref/attention_pages.h"

#include "ref/cpu.h"
#include "ref/widen.h"

#include <string.h>

size_t xr_cpu_kv_page_bytes(XrBackend *b, XrDType dtype, int kv_heads, int head_dim) {
    XR_REQUIRE(dtype == XR_F32, "a cache of %s; the CPU's is f32", xr_dtype_name(dtype));
    return (size_t)kv_heads * (size_t)xr_head_page_floats(head_dim) * sizeof(float);
}

float *xr_cache_page(const XrKvCache *cache, int64_t page) {
    XR_REQUIRE(page >= 0 && page < cache->pages, "page %lld of a cache of %lld", (long long)page,
               (long long)cache->pages);
    size_t bytes = xr_cpu_kv_page_bytes(NULL, cache->dtype, cache->kv_heads, cache->head_dim);
    return (float *)cache->data + (size_t)page * (bytes / sizeof(float));
}

void xr_pack_head(const XrAttentionKernels *kernels, float *page, int64_t head_dim, int64_t place,
                  const float *keys, int64_t key_stride, const float *values, int64_t value_stride,
                  int64_t count) {
    int64_t width = xr_head_width(head_dim);
    kernels->transpose(page + place, keys, key_stride, count, head_dim);
    float *to = page + head_dim * XR_KV_PAGE + place * width;
    for (int64_t j = 0; j < count; j++, to += width) {
        memcpy(to, values + j * value_stride, (size_t)head_dim * sizeof *to);
        memset(to + head_dim, 0, (size_t)(width - head_dim) * sizeof *to);
    }
}

typedef struct Write {
    const XrAttentionKernels *kernels;
    const XrKvCache *cache;
    const XrTensor *k, *v, *slots;
} Write;

// Runs of tokens that lie next to each other in one page are written together.
static void write_heads(void *context, int64_t begin, int64_t end, int thread) {
    const Write *w = context;
    const int32_t *slots = w->slots->data;
    int64_t dim = w->cache->head_dim, tokens = w->k->shape[0];
    for (int64_t t = 0, count; t < tokens; t += count) {
        int64_t place = slots[t] % XR_KV_PAGE;
        float *page = xr_cache_page(w->cache, slots[t] / XR_KV_PAGE);
        for (count = 1; t + count < tokens && place + count < XR_KV_PAGE; count++) {
            if (slots[t + count] != slots[t] + count) break;
        }
        for (int64_t head = begin; head < end; head++) {
            xr_pack_head(w->kernels, page + head * xr_head_page_floats(dim), dim, place,
                         (const float *)w->k->data + t * w->k->row_stride + head * dim,
                         w->k->row_stride,
                         (const float *)w->v->data + t * w->v->row_stride + head * dim,
                         w->v->row_stride, count);
        }
    }
}

void xr_cpu_kv_write(XrBackend *b, const XrKvCache *cache, const XrTensor *k, const XrTensor *v,
                     const XrTensor *slots) {
    xr_cpu_require_f32(k, "kv_write");
    Write w = {XR_CHOOSE_KERNELS(xr_attention_kernels), cache, k, v, slots};
    // A few tokens are not worth waking other threads for.
    int64_t grain = k->shape[0] < XR_KV_PAGE ? cache->kv_heads : 1;
    xr_cpu_parallel(b, cache->kv_heads, grain, write_heads, &w);
}

void xr_cpu_kv_copy_pages(XrBackend *b, const XrKvCache *cache, const XrTensor *from,
                          const XrTensor *to) {
    size_t bytes = xr_cpu_kv_page_bytes(b, cache->dtype, cache->kv_heads, cache->head_dim);
    for (int64_t i = 0; i < from->shape[0]; i++) {
        memcpy(xr_cache_page(cache, ((const int32_t *)to->data)[i]),
               xr_cache_page(cache, ((const int32_t *)from->data)[i]), bytes);
    }
}
