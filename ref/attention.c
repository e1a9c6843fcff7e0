// Attention inside sequences, over packed keys and values and over pages of a cache.
#include "ref/cpu.h"
#include "ref/widen.h"
#include "shared/base/memory.h"

#include <math.h>
#include <string.h>

// A page holds, for each key/value head in turn, keys [head_dim][XR_KV_PAGE] and values
// [XR_KV_PAGE][head_dim].
size_t xr_cpu_kv_page_bytes(XrBackend *b, int kv_heads, int head_dim) {
    return (size_t)kv_heads * (size_t)head_dim * 2 * XR_KV_PAGE * sizeof(float);
}

static float *page_of(const XrKvCache *cache, int64_t page) {
    XR_REQUIRE(page >= 0 && page < cache->pages, "page %lld of a cache of %lld", (long long)page,
               (long long)cache->pages);
    return (float *)((char *)cache->data +
                     (size_t)page * xr_cpu_kv_page_bytes(NULL, cache->kv_heads, cache->head_dim));
}

void xr_cpu_kv_write(XrBackend *b, const XrKvCache *cache, const XrTensor *k, const XrTensor *v,
                     const XrTensor *slots) {
    xr_cpu_require_f32(k, "kv_write");
    int dim = cache->head_dim;
    for (int64_t t = 0; t < k->shape[0]; t++) {
        int32_t slot = ((const int32_t *)slots->data)[t];
        float *page = page_of(cache, slot / XR_KV_PAGE);
        int inside = slot % XR_KV_PAGE;
        for (int h = 0; h < cache->kv_heads; h++, page += (ptrdiff_t)dim * 2 * XR_KV_PAGE) {
            const float *key = (const float *)k->data + t * k->row_stride + (ptrdiff_t)h * dim;
            const float *value = (const float *)v->data + t * v->row_stride + (ptrdiff_t)h * dim;
            for (int d = 0; d < dim; d++) page[d * XR_KV_PAGE + inside] = key[d];
            memcpy(page + (ptrdiff_t)(XR_KV_PAGE + inside) * dim, value,
                   (size_t)dim * sizeof *value);
        }
    }
}

void xr_cpu_kv_copy_pages(XrBackend *b, const XrKvCache *cache, const XrTensor *from,
                          const XrTensor *to) {
    size_t bytes = xr_cpu_kv_page_bytes(b, cache->kv_heads, cache->head_dim);
    for (int64_t i = 0; i < from->shape[0]; i++) {
        memcpy(page_of(cache, ((const int32_t *)to->data)[i]),
               page_of(cache, ((const int32_t *)from->data)[i]), bytes);
    }
}

// Copies keys and values of one sequence and head next to each other: [S, dim] each.
typedef struct Keys {
    float *k, *v, *p;
} Keys;

static Keys keys_in(XrBackend *b, int thread, int64_t length, int dim) {
    size_t size = (size_t)length * (size_t)dim;
    float *memory = xr_cpu_scratch(b, thread, (2 * size + (size_t)length + 1) * sizeof *memory);
    return (Keys){memory, memory + size, memory + 2 * size};
}

// One query over `count` keys; returns the logarithm of the softmax's denominator.
static float attend(float *out, const float *q, Keys keys, int64_t count, int dim, float scale) {
    float top = -INFINITY, sum = 0;
    for (int64_t j = 0; j < count; j++) {
        float s = 0;
        for (int d = 0; d < dim; d++) s += q[d] * keys.k[j * dim + d];
        keys.p[j] = s * scale;
        top = XR_MAX(top, keys.p[j]);
    }
    for (int d = 0; d < dim; d++) out[d] = 0;
    for (int64_t j = 0; j < count; j++) {
        float p = expf(keys.p[j] - top);
        sum += p;
        for (int d = 0; d < dim; d++) out[d] += p * keys.v[j * dim + d];
    }
    for (int d = 0; d < dim; d++) out[d] /= sum;
    return top + logf(sum);
}

typedef struct Attention {
    XrBackend *backend;
    const XrTensor *out, *lse, *q, *k, *v;
    const XrTensor *dq, *dk, *dv, *dout;
    const XrKvCache *cache;
    XrPageTables tables;
    const int32_t *cu;
    XrHeads heads;
} Attention;

static float *at(const XrTensor *t, int64_t row, int64_t column) {
    return (float *)t->data + row * t->row_stride + column;
}

static void load_packed(const Attention *a, Keys keys, int64_t first, int64_t length, int head) {
    int dim = a->heads.head_dim;
    for (int64_t j = 0; j < length; j++) {
        memcpy(keys.k + j * dim, at(a->k, first + j, (int64_t)head * dim),
               (size_t)dim * sizeof(float));
        memcpy(keys.v + j * dim, at(a->v, first + j, (int64_t)head * dim),
               (size_t)dim * sizeof(float));
    }
}

static void load_pages(const Attention *a, Keys keys, int64_t sequence, int64_t length, int head) {
    int dim = a->heads.head_dim;
    const int32_t *pages =
        (const int32_t *)a->tables.pages->data + sequence * a->tables.pages->row_stride;
    for (int64_t j = 0; j < length; j++) {
        const float *page =
            page_of(a->cache, pages[j / XR_KV_PAGE]) + (ptrdiff_t)head * dim * 2 * XR_KV_PAGE;
        int64_t inside = j % XR_KV_PAGE;
        for (int d = 0; d < dim; d++) keys.k[j * dim + d] = page[d * XR_KV_PAGE + inside];
        memcpy(keys.v + j * dim, page + (XR_KV_PAGE + inside) * dim, (size_t)dim * sizeof(float));
    }
}

static void attend_heads(void *context, int64_t begin, int64_t end, int thread) {
    const Attention *a = context;
    int dim = a->heads.head_dim, group = a->heads.heads / a->heads.kv_heads;
    for (int64_t task = begin; task < end; task++) {
        int64_t sequence = task / a->heads.kv_heads;
        int head = (int)(task % a->heads.kv_heads);
        int64_t first = a->cu[sequence], queries = a->cu[sequence + 1] - first;
        int64_t length = a->cache ? ((const int32_t *)a->tables.lengths->data)[sequence] : queries;
        Keys keys = keys_in(a->backend, thread, length, dim);
        if (a->cache) {
            load_pages(a, keys, sequence, length, head);
        } else {
            load_packed(a, keys, first, length, head);
        }
        for (int64_t i = 0; i < queries; i++) {
            int64_t count = a->heads.causal ? length - queries + i + 1 : length;
            for (int h = head * group; h < (head + 1) * group; h++) {
                float lse =
                    attend(at(a->out, first + i, (int64_t)h * dim),
                           at(a->q, first + i, (int64_t)h * dim), keys, count, dim, a->heads.scale);
                if (a->lse) *at(a->lse, first + i, h) = lse;
            }
        }
    }
}

void xr_cpu_attention(XrBackend *b, const XrTensor *out, const XrTensor *lse, const XrTensor *q,
                      const XrTensor *k, const XrTensor *v, XrSegments segments, XrHeads heads) {
    xr_cpu_require_f32(q, "attention");
    Attention a = {.backend = b,
                   .out = out,
                   .lse = lse,
                   .q = q,
                   .k = k,
                   .v = v,
                   .cu = segments.cu->data,
                   .heads = heads};
    xr_cpu_parallel(b, (segments.cu->shape[0] - 1) * heads.kv_heads, 1, attend_heads, &a);
}

void xr_cpu_attention_paged(XrBackend *b, const XrTensor *out, const XrTensor *q,
                            const XrKvCache *cache, XrSegments queries, XrPageTables tables,
                            XrHeads heads) {
    xr_cpu_require_f32(q, "attention_paged");
    Attention a = {.backend = b,
                   .out = out,
                   .q = q,
                   .cache = cache,
                   .tables = tables,
                   .cu = queries.cu->data,
                   .heads = heads};
    xr_cpu_parallel(b, (queries.cu->shape[0] - 1) * heads.kv_heads, 1, attend_heads, &a);
}

// One query head's row: adds to dk and dv of the keys it sees.
static void attend_backward(const Attention *a, int64_t row, int h, int64_t first, int64_t count) {
    int dim = a->heads.head_dim, head = h / (a->heads.heads / a->heads.kv_heads);
    const float *q = at(a->q, row, (int64_t)h * dim), *dout = at(a->dout, row, (int64_t)h * dim);
    const float *out = at(a->out, row, (int64_t)h * dim);
    float *dq = at(a->dq, row, (int64_t)h * dim), dot = 0, lse = *at(a->lse, row, h);
    for (int d = 0; d < dim; d++) dot += dout[d] * out[d];
    for (int d = 0; d < dim; d++) dq[d] = 0;
    for (int64_t j = 0; j < count; j++) {
        const float *k = at(a->k, first + j, (int64_t)head * dim);
        const float *v = at(a->v, first + j, (int64_t)head * dim);
        float *dk = at(a->dk, first + j, (int64_t)head * dim);
        float *dv = at(a->dv, first + j, (int64_t)head * dim), s = 0, dp = 0;
        for (int d = 0; d < dim; d++) s += q[d] * k[d];
        for (int d = 0; d < dim; d++) dp += dout[d] * v[d];
        float p = expf(s * a->heads.scale - lse), ds = p * (dp - dot) * a->heads.scale;
        for (int d = 0; d < dim; d++) dq[d] += ds * k[d];
        for (int d = 0; d < dim; d++) dk[d] += ds * q[d];
        for (int d = 0; d < dim; d++) dv[d] += p * dout[d];
    }
}

static void attend_heads_backward(void *context, int64_t begin, int64_t end, int thread) {
    const Attention *a = context;
    int dim = a->heads.head_dim, group = a->heads.heads / a->heads.kv_heads;
    for (int64_t task = begin; task < end; task++) {
        int64_t sequence = task / a->heads.kv_heads, head = task % a->heads.kv_heads;
        int64_t first = a->cu[sequence], length = a->cu[sequence + 1] - first;
        for (int64_t j = 0; j < length; j++) {
            memset(at(a->dk, first + j, head * dim), 0, (size_t)dim * sizeof(float));
            memset(at(a->dv, first + j, head * dim), 0, (size_t)dim * sizeof(float));
        }
        for (int64_t i = 0; i < length; i++) {
            int64_t count = a->heads.causal ? i + 1 : length;
            for (int g = 0; g < group; g++) {
                attend_backward(a, first + i, (int)head * group + g, first, count);
            }
        }
    }
}

void xr_cpu_attention_backward(XrBackend *b, const XrTensor *dq, const XrTensor *dk,
                               const XrTensor *dv, const XrTensor *dout, const XrTensor *q,
                               const XrTensor *k, const XrTensor *v, const XrTensor *out,
                               const XrTensor *lse, XrSegments segments, XrHeads heads) {
    xr_cpu_require_f32(q, "attention_backward");
    Attention a = {.backend = b,
                   .out = out,
                   .lse = lse,
                   .q = q,
                   .k = k,
                   .v = v,
                   .dq = dq,
                   .dk = dk,
                   .dv = dv,
                   .dout = dout,
                   .cu = segments.cu->data,
                   .heads = heads};
    xr_cpu_parallel(b, (segments.cu->shape[0] - 1) * heads.kv_heads, 1, attend_heads_backward, &a);
}
