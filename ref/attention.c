// Attention inside sequences: rows of queries pass over blocks of XR_KV_PAGE keys, counted from the
// start of the sequence, keeping the largest score, the sum of exponentials and the weighted sum of
// values so far (Milakov and Gimelshein, "Online normalizer calculation for softmax", 2018; Dao et
// al., "FlashAttention", 2022). What a row does depends neither on the rows beside it nor on where
// its keys lie, so that packed sequences, chunks of a prompt and single tokens over a paged cache
// give the same bits.
#include "ref/attention_pages.h"
#include "ref/cpu.h"
#include "ref/widen.h"
#include "shared/base/memory.h"

#include <math.h>
#include <string.h>

enum {
    MOST_ROWS = 64,        // that pass over the keys together; more only where a group has more
    FEW_ROWS = 16,         // wait for the memory rather than for arithmetic
    ROUND_BYTES = 64 << 20 // of packed keys and values made at a time
};

typedef struct Attention {
    XrBackend *backend;
    const XrAttentionKernels *kernels;
    const XrTensor *out, *lse, *q, *k, *v;
    XrHeads heads;
    int64_t group, width; // query heads a key/value head; padded head_dim
    int64_t block_tokens; // tokens whose heads of one group make up the rows of a task
    int64_t most_blocks;  // of query tokens, of any sequence
    const int32_t *cu;    // of the queries
    int64_t sequences;
    // The keys: in a cache...
    const XrKvCache *cache;
    XrPageTables tables;
    // ...or packed from k and v: by the task itself where it is the only one of its sequence and
    // head (packed is NULL), otherwise beforehand for heads [first_head, first_head + round_heads).
    float *packed;             // [pages][round_heads] heads of a page
    const int64_t *first_page; // [sequences + 1]
    int64_t first_head, round_heads;
} Attention;

static float *at(const XrTensor *t, int64_t row, int64_t column) {
    return (float *)t->data + row * t->row_stride + column;
}

static int64_t round_up(int64_t n, int64_t unit) {
    return (n + unit - 1) / unit * unit;
}

// Keys and values number `block` of a sequence, in the cache or packed beforehand.
static const float *page_of(const Attention *a, int64_t sequence, int64_t block, int64_t head) {
    int64_t floats = xr_head_page_floats(a->heads.head_dim);
    if (!a->cache) {
        int64_t page = a->first_page[sequence] + block;
        return a->packed + (page * a->round_heads + head - a->first_head) * floats;
    }
    const int32_t *pages =
        (const int32_t *)a->tables.pages->data + sequence * a->tables.pages->row_stride;
    return xr_cache_page(a->cache, pages[block]) + head * floats;
}

// Memory of a task: what belongs to `rows` rows.
typedef struct Rows {
    int64_t count;
    float *q; // [rows, width], scaled
    float *s; // [rows, XR_KV_PAGE]
    XrSoftmaxState state;
    float *page;    // one head of a page
    int32_t *seen;  // [rows] keys of the current block
    int64_t *limit; // [rows] keys of the sequence that a row sees
} Rows;

static Rows rows_in(const Attention *a, int thread) {
    int64_t most = a->block_tokens * a->group;
    int64_t page = xr_head_page_floats(a->heads.head_dim);
    size_t floats = (size_t)(2 * most * (a->width + XR_KV_PAGE) + page + round_up(most, 16));
    size_t bytes = floats * sizeof(float) + (size_t)most * (sizeof(int64_t) + sizeof(int32_t));
    Rows rows = {.q = xr_cpu_scratch(a->backend, thread, bytes)};
    rows.s = rows.q + most * a->width;
    rows.state.value = rows.s + most * XR_KV_PAGE;
    rows.state.sum = rows.state.value + most * a->width;
    rows.page = rows.state.sum + most * XR_KV_PAGE;
    rows.state.top = rows.page + page;
    rows.limit = (int64_t *)(void *)(rows.state.top + round_up(most, 16));
    rows.seen = (int32_t *)(void *)(rows.limit + most);
    return rows;
}

// Fills the rows of tokens [first, first + count) of the batch, the first of which sees `limit`
// keys.
static void start_rows(const Attention *a, Rows *rows, int64_t first, int64_t count, int64_t head,
                       int64_t limit) {
    rows->count = count * a->group;
    for (int64_t r = 0; r < rows->count; r++) {
        int64_t token = r / a->group, query_head = head * a->group + r % a->group;
        const float *q = at(a->q, first + token, query_head * a->heads.head_dim);
        a->kernels->multiply(rows->q + r * a->width, q, a->heads.head_dim, a->heads.scale);
        rows->limit[r] = a->heads.causal ? limit + token : limit;
        rows->state.top[r] = -INFINITY;
    }
    memset(rows->state.sum, 0, (size_t)rows->count * XR_KV_PAGE * sizeof(float));
    memset(rows->state.value, 0, (size_t)(rows->count * a->width) * sizeof(float));
}

// `next` is the page that follows, or `page` itself.
static void pass_block(const Attention *a, Rows *rows, const float *page, const float *next,
                       int64_t first_key) {
    int64_t dim = a->heads.head_dim, skipped = 0, most = 0;
    for (int64_t r = 0; r < rows->count; r++) {
        int64_t seen = XR_MAX(0, XR_MIN(XR_KV_PAGE, rows->limit[r] - first_key));
        rows->seen[r] = (int32_t)seen;
        most = XR_MAX(most, seen);
        if (seen == 0) skipped = r + 1; // limits grow from row to row
    }
    int64_t count = rows->count - skipped;
    ptrdiff_t ahead = count <= FEW_ROWS ? next - page : 0;
    XrSoftmaxState state = {rows->state.top + skipped, rows->state.sum + skipped * XR_KV_PAGE,
                            rows->state.value + skipped * a->width};
    a->kernels->scores(rows->s, rows->q + skipped * a->width, a->width, count, dim, page, ahead);
    a->kernels->softmax(rows->s, &state, rows->seen + skipped, count, a->width);
    a->kernels->accumulate(state.value, rows->s, count, page + dim * XR_KV_PAGE, a->width, most,
                           ahead);
}

// Adds XR_KV_PAGE sums by halves.
static float total(float *sum) {
    for (int half = XR_KV_PAGE / 2; half > 0; half /= 2) {
        for (int i = 0; i < half; i++) sum[i] += sum[i + half];
    }
    return sum[0];
}

static void finish_rows(const Attention *a, const Rows *rows, int64_t first, int64_t head) {
    for (int64_t r = 0; r < rows->count; r++) {
        int64_t token = first + r / a->group, query_head = head * a->group + r % a->group;
        float sum = total(rows->state.sum + r * XR_KV_PAGE);
        const float *value = rows->state.value + r * a->width;
        float *out = at(a->out, token, query_head * a->heads.head_dim);
        a->kernels->divide(out, value, a->heads.head_dim, sum);
        if (a->lse) *at(a->lse, token, query_head) = rows->state.top[r] + logf(sum);
    }
}

static int64_t keys_of(const Attention *a, int64_t sequence) {
    int64_t queries = a->cu[sequence + 1] - a->cu[sequence];
    if (!a->cache) return queries;
    int64_t length = ((const int32_t *)a->tables.lengths->data)[sequence];
    XR_REQUIRE(queries <= length && length <= a->tables.longest,
               "attention_paged: sequence %lld has %lld queries and %lld tokens of at most %lld",
               (long long)sequence, (long long)queries, (long long)length,
               (long long)a->tables.longest);
    return length;
}

// Packs `count` keys and values of the batch from `first` on.
static void pack_page(const Attention *a, float *page, int64_t first, int64_t count, int64_t head) {
    int64_t column = head * a->heads.head_dim;
    xr_pack_head(a->kernels, page, a->heads.head_dim, 0, at(a->k, first, column), a->k->row_stride,
                 at(a->v, first, column), a->v->row_stride, count);
}

static void pass_keys(const Attention *a, Rows *rows, int64_t sequence, int64_t head) {
    int64_t keys = rows->limit[rows->count - 1];
    for (int64_t key = 0; key < keys; key += XR_KV_PAGE) {
        const float *page = rows->page, *next = page;
        if (a->cache || a->packed) {
            page = next = page_of(a, sequence, key / XR_KV_PAGE, head);
            if (key + XR_KV_PAGE < keys) next = page_of(a, sequence, key / XR_KV_PAGE + 1, head);
        } else {
            pack_page(a, rows->page, a->cu[sequence] + key, XR_MIN(XR_KV_PAGE, keys - key), head);
        }
        pass_block(a, rows, page, next, key);
    }
}

// Tasks are numbered so that those that see most keys come first.
static void attend(void *context, int64_t begin, int64_t end, int thread) {
    const Attention *a = context;
    for (int64_t task = begin; task < end; task++) {
        int64_t head = a->first_head + task % a->round_heads, rest = task / a->round_heads;
        int64_t sequence = rest % a->sequences;
        int64_t token = (a->most_blocks - 1 - rest / a->sequences) * a->block_tokens;
        int64_t first = a->cu[sequence], queries = a->cu[sequence + 1] - first;
        if (token >= queries) continue;
        int64_t keys = keys_of(a, sequence), count = XR_MIN(a->block_tokens, queries - token);
        Rows rows = rows_in(a, thread);
        start_rows(a, &rows, first + token, count, head,
                   a->heads.causal ? keys - queries + token + 1 : keys);
        pass_keys(a, &rows, sequence, head);
        finish_rows(a, &rows, first + token, head);
    }
}

static Attention attention_of(XrBackend *b, const XrTensor *out, const XrTensor *q,
                              XrSegments queries, XrHeads heads) {
    int64_t group = heads.heads / heads.kv_heads;
    int64_t tokens = XR_MAX(1, MOST_ROWS / group);
    tokens = XR_MIN(tokens, XR_MAX(1, queries.longest));
    return (Attention){.backend = b,
                       .kernels = XR_CHOOSE_KERNELS(xr_attention_kernels),
                       .out = out,
                       .q = q,
                       .heads = heads,
                       .group = group,
                       .width = xr_head_width(heads.head_dim),
                       .block_tokens = tokens,
                       .most_blocks = (queries.longest + tokens - 1) / tokens,
                       .cu = queries.cu->data,
                       .sequences = queries.cu->shape[0] - 1,
                       .round_heads = heads.kv_heads};
}

static void attend_all(const Attention *a) {
    xr_cpu_parallel(a->backend, a->sequences * a->round_heads * a->most_blocks, 1, attend,
                    (void *)a);
}

void xr_cpu_attention_paged(XrBackend *b, const XrTensor *out, const XrTensor *q,
                            const XrKvCache *cache, XrSegments queries, XrPageTables tables,
                            XrHeads heads) {
    xr_cpu_require_f32(q, "attention_paged");
    Attention a = attention_of(b, out, q, queries, heads);
    a.cache = cache;
    a.tables = tables;
    attend_all(&a);
}

static void pack(void *context, int64_t begin, int64_t end, int thread) {
    const Attention *a = context;
    for (int64_t task = begin; task < end; task++) {
        int64_t head = a->first_head + task % a->round_heads, sequence = task / a->round_heads;
        int64_t first = a->cu[sequence], keys = a->cu[sequence + 1] - first;
        for (int64_t key = 0; key < keys; key += XR_KV_PAGE) {
            pack_page(a, (float *)page_of(a, sequence, key / XR_KV_PAGE, head), first + key,
                      XR_MIN(XR_KV_PAGE, keys - key), head);
        }
    }
}

static int64_t pages_of(const Attention *a, int64_t sequence) {
    return (a->cu[sequence + 1] - a->cu[sequence] + XR_KV_PAGE - 1) / XR_KV_PAGE;
}

// Packs keys and values of as many heads as ROUND_BYTES hold, attends, and goes on.
static void attend_in_rounds(Attention *a) {
    int64_t pages = 0, heads = a->heads.kv_heads;
    for (int64_t s = 0; s < a->sequences; s++) pages += pages_of(a, s);
    if (pages == 0) return;
    size_t head_bytes = (size_t)(pages * xr_head_page_floats(a->heads.head_dim)) * sizeof(float);
    int64_t most_heads = XR_MIN(heads, XR_MAX(1, (int64_t)(ROUND_BYTES / XR_MAX(head_bytes, 1))));
    size_t table = (size_t)round_up((a->sequences + 1) * (int64_t)sizeof(int64_t), 64);
    int64_t *first_page =
        xr_cpu_shared_scratch(a->backend, table + head_bytes * (size_t)most_heads);
    first_page[0] = 0;
    for (int64_t s = 0; s < a->sequences; s++) first_page[s + 1] = first_page[s] + pages_of(a, s);
    a->first_page = first_page;
    a->packed = (float *)(void *)((char *)first_page + table);
    for (; a->first_head < heads; a->first_head += most_heads) {
        a->round_heads = XR_MIN(most_heads, heads - a->first_head);
        xr_cpu_parallel(a->backend, a->sequences * a->round_heads, 1, pack, a);
        attend_all(a);
    }
}

void xr_cpu_attention(XrBackend *b, const XrTensor *out, const XrTensor *lse, const XrTensor *q,
                      const XrTensor *k, const XrTensor *v, XrSegments segments, XrHeads heads) {
    xr_cpu_require_f32(q, "attention");
    Attention a = attention_of(b, out, q, segments, heads);
    a.lse = lse;
    a.k = k;
    a.v = v;
    if (a.most_blocks > 1) {
        attend_in_rounds(&a);
    } else {
        attend_all(&a);
    }
}
