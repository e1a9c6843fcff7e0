// Debug mode (XR_CUDA_CHECK, docs/cuda.md): each operation's arguments are copied to the host
// before it runs; then the CPU's operation runs on the copies, and the two are compared. The first
// difference beyond the tolerance is described and ends the program.
#include "cuda/attention_pages.h"
#include "cuda/divergence.h"
#include "cuda/divergence_terms.h"

#include "shared/base/memory.h" // defines: xr_malloc, xr_calloc
#include "shared/tensor/convert.h"
#include "shared/tensor/tolerance.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct XrCudaDivergence {
    const XrOps *operations; // of the GPU
    XrOps table;             // the same, each with its comparison
    XrBackend *cpu;
    double factor; // of the tolerances
    int64_t count; // operations that agreed
} Divergence;

typedef XrCheckedCall Call;
typedef XrMirror Mirror;

static bool is_rounded(XrDType dtype) {
    return dtype == XR_BF16 || dtype == XR_F16;
}

// ---- copies ----

static void next_name(Call *c, char name[XR_MIRROR_NAME]) {
    size_t length = strcspn(c->names, ",)");
    snprintf(name, XR_MIRROR_NAME, "%.*s", (int)length, c->names);
    c->names += length;
    c->names += strspn(c->names, ", ");
}

// The tensor's elements, in its own type, without gaps.
static unsigned char *fetch(XrBackend *b, const XrTensor *t) {
    size_t size = xr_dtype_size(t->dtype), row = (size_t)xr_row_size(t) * size;
    int64_t rows = t->ndim ? t->shape[0] : 1;
    unsigned char *out = (unsigned char *)xr_malloc((size_t)rows * row + 1);
    if (rows == 0 || row == 0) return out;
    if (xr_is_contiguous(t)) {
        b->download(b, out, t->data, (size_t)rows * row);
        return out;
    }
    size_t stride = (size_t)t->row_stride * size, span = (size_t)(rows - 1) * stride + row;
    unsigned char *all = (unsigned char *)xr_malloc(span);
    b->download(b, all, t->data, span);
    for (int64_t i = 0; i < rows; i++) {
        memcpy(out + (size_t)i * row, all + (size_t)i * stride, row);
    }
    free(all);
    return out;
}

static XrTensor widened(const XrTensor *t, unsigned char *elements) {
    XrTensor host =
        xr_tensor_of(is_rounded(t->dtype) ? XR_F32 : t->dtype, elements, t->ndim, t->shape);
    if (!is_rounded(t->dtype)) return host;
    host.data = xr_malloc(xr_nbytes(&host) + 1);
    xr_convert(host.data, XR_F32, elements, t->dtype, xr_numel(t));
    free(elements);
    return host;
}

static bool is_same_memory(const XrTensor *a, const XrTensor *b) {
    return a->data == b->data && a->dtype == b->dtype && a->row_stride == b->row_stride &&
           a->ndim == b->ndim &&
           memcmp(a->shape, b->shape, (size_t)a->ndim * sizeof *a->shape) == 0;
}

static void add_mirror(Call *c, const XrTensor *t, const char *name) {
    XR_REQUIRE(c->count < XR_MOST_MIRRORS, "%s: more than %d tensors", c->operation,
               XR_MOST_MIRRORS);
    Mirror *m = &c->mirrors[c->count];
    m->source = t;
    m->owner = c->count++;
    c->low |= t->dtype == XR_BF16;
    snprintf(m->name, sizeof m->name, "%s", name);
    for (int i = 0; i < c->count - 1; i++) {
        if (!is_same_memory(c->mirrors[i].source, t)) continue;
        m->owner = c->mirrors[i].owner;
        m->host = c->mirrors[i].host;
        return;
    }
    m->host = widened(t, fetch(c->gpu, t));
}

static void free_mirrors(Call *c) {
    for (int i = 0; i < c->count; i++) {
        if (c->mirrors[i].owner == i) free(c->mirrors[i].host.data);
        free(c->mirrors[i].terms);
    }
    free(c->params);
}

// note: copies an argument. host_of: what the CPU gets for it.
static void note(Call *c, const XrTensor *t) {
    char name[XR_MIRROR_NAME];
    next_name(c, name);
    if (t) add_mirror(c, t, name);
}

static const XrTensor *host_of(Call *c, const XrTensor *t) {
    for (int i = 0; i < c->count; i++) {
        if (c->mirrors[i].source == t) return &c->mirrors[i].host;
    }
    return NULL;
}

static void note(Call *c, XrLinears parts) {
    char name[XR_MIRROR_NAME];
    next_name(c, name);
    for (int i = 0; i < parts.count; i++) {
        const XrTensor *all[] = {parts.part[i].y, parts.part[i].w, parts.part[i].bias};
        for (int k = 0; k < 3; k++) {
            if (all[k]) add_mirror(c, all[k], xr_linears_name(k, i));
        }
    }
}

static XrLinears host_of(Call *c, XrLinears parts) {
    for (int i = 0; i < parts.count; i++) {
        auto &p = parts.part[i];
        p = {host_of(c, p.y), host_of(c, p.w), host_of(c, p.bias)};
    }
    return parts;
}

static void note(Call *c, XrSegments segments) {
    note(c, segments.cu);
}

static XrSegments host_of(Call *c, XrSegments segments) {
    return XrSegments{host_of(c, segments.cu), segments.longest};
}

static void note(Call *c, const XrSampleParams *params) {
    size_t bytes = (size_t)c->mirrors[0].host.shape[0] * sizeof *params; // one a drawn token
    c->params = (XrSampleParams *)xr_malloc(bytes + 1);
    if (bytes) c->gpu->download(c->gpu, c->params, params, bytes);
}

static const XrSampleParams *host_of(Call *c, const XrSampleParams *params) {
    return c->params;
}

// Numbers go to the CPU as they are.
template <typename Number> static void note(Call *c, Number) {
    char name[XR_MIRROR_NAME];
    next_name(c, name);
}

static void note(Call *c, XrHeads heads) {
    c->heads = heads;
}

static void note(Call *c, float number) {
    c->number = (double)number;
}

static void note(Call *c, bool accumulate) {
    c->accumulate = accumulate;
}

template <typename Number> static Number host_of(Call *, Number number) {
    return number;
}

// ---- comparison ----

// "y bf16[3,5], x bf16[3,7], ..."
static void describe(const Call *c, char *text, size_t bytes) {
    size_t used = 0;
    text[0] = 0;
    for (int i = 0; i < c->count && used < bytes; i++) {
        used += (size_t)snprintf(text + used, bytes - used, "%s%s %s", i ? ", " : "",
                                 c->mirrors[i].name, xr_shape_text(c->mirrors[i].source));
    }
}

typedef struct Difference {
    double worst; // times the tolerance
    double got, want;
    int64_t at, beyond; // where; elements beyond the tolerance
} Difference;

static double element(const XrTensor *t, int64_t i) {
    switch (t->dtype) {
    case XR_F32:
        return (double)((const float *)t->data)[i];
    case XR_F64:
        return ((const double *)t->data)[i];
    case XR_I64:
        return (double)((const int64_t *)t->data)[i];
    case XR_I32:
        return (double)((const int32_t *)t->data)[i];
    default:
        return (double)((const uint8_t *)t->data)[i];
    }
}

// `terms` as of XrMirror.
static Difference difference_of(const XrTensor *got, const XrTensor *want, const double *terms,
                                XrTolerance t, double factor) {
    Difference d = {};
    double squares = 0;
    int64_t count = xr_numel(want);
    for (int64_t i = 0; i < count; i++) {
        double x = element(want, i);
        if (isfinite(x)) squares += x * x;
    }
    double scale = count ? sqrt(squares / (double)count) : 0;
    for (int64_t i = 0; i < count; i++) {
        double excess =
            xr_tolerance_excess(element(got, i), element(want, i), &t, terms ? terms[i] : scale);
        d.beyond += excess > factor;
        if (excess <= d.worst) continue;
        d.worst = excess;
        d.got = element(got, i);
        d.want = element(want, i);
        d.at = i;
    }
    return d;
}

[[noreturn]] static void diverged(const Call *c, const char *name, const XrTensor *t,
                                  const Difference &d) {
    char all[1024];
    int64_t row = xr_row_size(t);
    describe(c, all, sizeof all);
    fflush(stdout);
    fprintf(stderr,
            "xreasoner: XR_CUDA_CHECK: operation %lld, %s, differs from the CPU's: %s %s at "
            "[%lld,%lld] is %.9g, on the CPU %.9g, %.3g times the tolerance; %lld of %lld elements "
            "are beyond it; arguments: %s\n",
            (long long)xr_cuda_divergence(c->gpu)->count + 1, c->operation, name, xr_shape_text(t),
            (long long)(d.at / row), (long long)(d.at % row), d.got, d.want, d.worst,
            (long long)d.beyond, (long long)xr_numel(t), all);
    _Exit(1);
}

// Roundings to bf16 between inputs and an output, which the CPU does not make. That of the sum that
// add_rmsnorm is of shows twice in y: in the element, and in the norm of its row, which one element
// may be most of.
static int roundings_of(const Call *c, const Mirror *m) {
    bool twice = strcmp(c->operation, "add_rmsnorm") == 0 && strcmp(m->name, "y") == 0;
    return (c->low ? 1 + twice : 0) + is_rounded(m->source->dtype);
}

// What the GPU has against what the CPU has. Inputs must be as they were.
static void compare(const Call *c, const Mirror *m) {
    XrTensor got = widened(m->source, fetch(c->gpu, m->source));
    double factor = xr_cuda_divergence(c->gpu)->factor;
    if (strcmp(m->name, "best") == 0) xr_cuda_forgive_ties(c, &got, &m->host);
    XrTolerance t = xr_tolerance_for(c->operation, m->name, c->low, roundings_of(c, m));
    Difference d = difference_of(&got, &m->host, m->terms, t, factor);
    free(got.data);
    if (d.worst > factor) diverged(c, m->name, m->source, d);
}

static void compare_all(const Call *c) {
    for (int i = 0; i < c->count; i++) {
        const Mirror *m = &c->mirrors[i];
        // The sampler may overwrite what it draws from; so may the gradient of log-probabilities,
        // which does in f32 and does not in bf16.
        bool consumes =
            strcmp(c->operation, "sample") == 0 || strcmp(c->operation, "logprob_backward") == 0;
        if (consumes && strcmp(m->name, "logits") == 0) continue;
        if (m->owner == i) compare(c, m);
    }
}

static void end(Call *c) {
    free_mirrors(c);
    xr_cuda_divergence(c->gpu)->count++;
}

static Call begin(XrBackend *b, const char *operation, const char *names) {
    Call c = {};
    c.gpu = b;
    c.cpu = xr_cuda_divergence(b)->cpu;
    c.operation = operation;
    c.names = names + 1; // "("
    return c;
}

template <typename Entry, typename... Arguments>
static void run_both(XrBackend *b, const char *operation, const char *names, Entry XrOps::*entry,
                     Arguments... arguments) {
    Call c = begin(b, operation, names);
    (note(&c, arguments), ...);
    (xr_cuda_divergence(b)->operations->*entry)(b, arguments...);
    b->synchronize(b);
    xr_cuda_find_terms(&c);
    (c.cpu->ops->*entry)(c.cpu, host_of(&c, arguments)...);
    compare_all(&c);
    end(&c);
}

// ---- the cache, whose pages each backend lays out in its own way ----

// Where rows of keys (which = 0) or values (1) of a head are within a page.
static size_t row_place(const XrKvCache *cache, int head, int which, int64_t row) {
    size_t bytes = (size_t)xr_cache_row_bytes(cache->dtype, cache->head_dim);
    return ((size_t)(2 * head + which) * XR_KV_PAGE + (size_t)row) * bytes;
}

// Keys or values of the tokens in these slots, [count, kv_heads*head_dim].
static XrTensor cached_rows(XrBackend *b, const XrKvCache *cache, const int32_t *slots,
                            int64_t count, int which) {
    int64_t width = (int64_t)cache->kv_heads * cache->head_dim, in_memory = -1;
    size_t page_bytes = b->kv_page_bytes(b, cache->dtype, cache->kv_heads, cache->head_dim);
    size_t size = xr_dtype_size(cache->dtype), head_bytes = (size_t)cache->head_dim * size;
    unsigned char *page = (unsigned char *)xr_malloc(page_bytes);
    unsigned char *out = (unsigned char *)xr_malloc((size_t)(count * width) * size + 1);
    for (int64_t t = 0; t < count; t++) {
        if (slots[t] / XR_KV_PAGE != in_memory) {
            in_memory = slots[t] / XR_KV_PAGE;
            b->download(b, page, (char *)cache->data + (size_t)in_memory * page_bytes, page_bytes);
        }
        for (int head = 0; head < cache->kv_heads; head++) {
            memcpy(out + (size_t)(t * width) * size + (size_t)head * head_bytes,
                   page + row_place(cache, head, which, slots[t] % XR_KV_PAGE), head_bytes);
        }
    }
    free(page);
    XrTensor rows = xr_tensor2(cache->dtype, out, count, width);
    return widened(&rows, out);
}

static void compare_rows(const Call *c, const char *name, XrTensor got, const XrTensor *want) {
    Difference d = difference_of(&got, want, NULL, XrTolerance{}, 0);
    free(got.data);
    if (d.worst > 0) diverged(c, name, want, d);
}

// A copy: the rows of the cache must be those that were to be written.
static void check_kv_write(XrBackend *b, const XrKvCache *cache, const XrTensor *k,
                           const XrTensor *v, const XrTensor *slots) {
    Call c = begin(b, "kv_write", "(k, v, slots)");
    note(&c, k);
    note(&c, v);
    note(&c, slots);
    xr_cuda_divergence(b)->operations->kv_write(b, cache, k, v, slots);
    b->synchronize(b);
    const int32_t *places = (const int32_t *)host_of(&c, slots)->data;
    compare_rows(&c, "cached keys", cached_rows(b, cache, places, k->shape[0], 0), host_of(&c, k));
    compare_rows(&c, "cached values", cached_rows(b, cache, places, k->shape[0], 1),
                 host_of(&c, v));
    end(&c);
}

static XrTensor fetch_page(XrBackend *b, const XrKvCache *cache, int32_t page) {
    size_t bytes = b->kv_page_bytes(b, cache->dtype, cache->kv_heads, cache->head_dim);
    XrTensor t = xr_tensor1(XR_U8, xr_malloc(bytes), (int64_t)bytes);
    b->download(b, t.data, (char *)cache->data + (size_t)page * bytes, bytes);
    return t;
}

static void check_kv_copy_pages(XrBackend *b, const XrKvCache *cache, const XrTensor *from,
                                const XrTensor *to) {
    Call c = begin(b, "kv_copy_pages", "(from, to)");
    note(&c, from);
    note(&c, to);
    xr_cuda_divergence(b)->operations->kv_copy_pages(b, cache, from, to);
    b->synchronize(b);
    for (int64_t i = 0; i < from->shape[0]; i++) { // sources are not written to
        XrTensor want = fetch_page(b, cache, ((const int32_t *)host_of(&c, from)->data)[i]);
        compare_rows(&c, "bytes of the copied page",
                     fetch_page(b, cache, ((const int32_t *)host_of(&c, to)->data)[i]), &want);
        free(want.data);
    }
    end(&c);
}

// The CPU's cache for the sequences of one call: their pages one after the other. `sizes` has the
// values' absolute values in their place.
typedef struct HostCache {
    XrKvCache cache, sizes;
    XrTensor pages;
    double longest_key; // largest norm
} HostCache;

// The first `count` tokens of a page.
static void copy_page(Call *c, HostCache *out, const XrKvCache *cache, int32_t from_page,
                      int32_t to_page, int64_t count) {
    int32_t from[XR_KV_PAGE], to[XR_KV_PAGE];
    for (int64_t t = 0; t < count; t++) {
        from[t] = (int32_t)(from_page * XR_KV_PAGE + t);
        to[t] = (int32_t)(to_page * XR_KV_PAGE + t);
    }
    XrTensor k = cached_rows(c->gpu, cache, from, count, 0);
    XrTensor v = cached_rows(c->gpu, cache, from, count, 1);
    XrTensor slots = xr_tensor1(XR_I32, to, count);
    c->cpu->ops->kv_write(c->cpu, &out->cache, &k, &v, &slots);
    out->longest_key = fmax(out->longest_key, xr_longest_key(&k, cache->kv_heads));
    float *values = (float *)v.data;
    for (int64_t i = 0; i < xr_numel(&v); i++) values[i] = fabsf(values[i]);
    c->cpu->ops->kv_write(c->cpu, &out->sizes, &k, &v, &slots);
    free(k.data);
    free(v.data);
}

static HostCache copy_cache(Call *c, const XrKvCache *cache, const XrTensor *pages,
                            const int32_t *lengths) {
    int64_t sequences = pages->shape[0], most = pages->shape[1], used = 0;
    HostCache out = {};
    XrBackend *cpu = c->cpu;
    int32_t *table = (int32_t *)xr_calloc((size_t)(sequences * most) + 1, sizeof *table);
    for (int64_t s = 0; s < sequences; s++) {
        for (int64_t p = 0; p * XR_KV_PAGE < lengths[s]; p++) table[s * most + p] = (int32_t)used++;
    }
    out.pages = xr_tensor2(XR_I32, table, sequences, most);
    size_t bytes =
        (size_t)used * cpu->kv_page_bytes(cpu, XR_F32, cache->kv_heads, cache->head_dim) + 1;
    out.cache = XrKvCache{xr_malloc(bytes), used, cache->kv_heads, cache->head_dim, XR_F32};
    out.sizes = out.cache;
    out.sizes.data = xr_malloc(bytes);
    const int32_t *own = (const int32_t *)pages->data;
    for (int64_t i = 0; i < sequences * most; i++) {
        int64_t s = i / most, first = i % most * XR_KV_PAGE;
        int64_t count = XR_MIN((int64_t)XR_KV_PAGE, lengths[s] - first);
        if (count > 0) copy_page(c, &out, cache, own[i], table[i], count);
    }
    return out;
}

static void check_attention_paged(XrBackend *b, const XrTensor *out, const XrTensor *q,
                                  const XrKvCache *cache, XrSegments queries, XrPageTables tables,
                                  XrHeads heads) {
    Call c = begin(b, "attention_paged", "(out, q, cu, pages, lengths)");
    note(&c, out);
    note(&c, q);
    note(&c, queries);
    note(&c, tables.pages);
    note(&c, tables.lengths);
    note(&c, heads);
    HostCache host = copy_cache(&c, cache, host_of(&c, tables.pages),
                                (const int32_t *)host_of(&c, tables.lengths)->data);
    xr_cuda_divergence(b)->operations->attention_paged(b, out, q, cache, queries, tables, heads);
    b->synchronize(b);
    XrPageTables on_host = {&host.pages, host_of(&c, tables.lengths), tables.longest};
    xr_cuda_find_paged_terms(&c, &host.sizes, host_of(&c, queries), on_host, host.longest_key);
    c.cpu->ops->attention_paged(c.cpu, host_of(&c, out), host_of(&c, q), &host.cache,
                                host_of(&c, queries), on_host, heads);
    compare_all(&c);
    free(host.cache.data);
    free(host.sizes.data);
    free(host.pages.data);
    end(&c);
}

// ---- the table ----

#define CHECKED(name, parameters, arguments)                                                       \
    static void checked_##name(XrBackend *b, XR_UNWRAP parameters) {                               \
        run_both(b, #name, #arguments, &XrOps::name, XR_UNWRAP arguments);                         \
    }
XR_OPS(CHECKED)

#define CHECKED_ENTRY(name, parameters, arguments) checked_##name,

void xr_cuda_find_divergence(XrBackend *b, double factor) {
    Divergence *d = (Divergence *)xr_calloc(1, sizeof *d);
    d->operations = b->ops;
    d->table = XrOps{XR_OPS(CHECKED_ENTRY)};
    d->table.kv_write = check_kv_write;
    d->table.kv_copy_pages = check_kv_copy_pages;
    d->table.attention_paged = check_attention_paged;
    d->cpu = xr_cpu_create(0);
    d->factor = factor;
    xr_cuda_divergence(b) = d;
    b->ops = &d->table;
}

void xr_cuda_end_divergence(XrBackend *b) {
    Divergence *d = xr_cuda_divergence(b);
    if (!d) return;
    fprintf(stderr, "xreasoner: XR_CUDA_CHECK: %lld operations agreed with the CPU's\n",
            (long long)d->count);
    b->ops = d->operations;
    xr_backend_free(d->cpu);
    free(d);
    xr_cuda_divergence(b) = NULL;
}

bool xr_cuda_divergence_from_environment(XrBackend *b, XrError *err) {
    const char *text = getenv("XR_CUDA_CHECK");
    if (!text || !*text) return true;
    char *end;
    double factor = strtod(text, &end);
    if (*end || !(factor > 0)) {
        return xr_fail(err, XR_ERR_INPUT,
                       "XR_CUDA_CHECK is '%s'; it takes how many times the tolerance the GPU may "
                       "differ from the CPU, such as 1",
                       text);
    }
    xr_cuda_find_divergence(b, factor);
    return true;
}
