// attention, its gradient, and attention over a paged cache (ref/attention*.c, cuda/attention*).
#include "tests/support/op_runner.h" // defines: xr_op_golden, XR_TEST_BACKENDS
#include "tests/support/op_values.h"
#include "tests/support/ops.h"

#include "shared/base/memory.h"

#include <math.h>
#include <stdlib.h>

// [longest, heads, kv_heads, head_dim, causal]: four sequences of `longest`, 0, 1 and half as many
// tokens. Around blocks of 32 keys, tiles of 2 to 6 rows, and widths that fill no vector; on a GPU,
// around tiles of 32, 64 and 128 keys and of 64 and 128 rows, and more of them than buffers. Then a
// window of the 7B model's vision tower and its language model's heads.
static const XrShape SHAPES[] = {XR_SHAPE(0, 2, 1, 16, 1),
                                 XR_SHAPE(1, 1, 1, 1, 1),
                                 XR_SHAPE(31, 3, 1, 16, 1),
                                 XR_SHAPE(32, 2, 2, 80, 0),
                                 XR_SHAPE(33, 7, 1, 33, 1),
                                 XR_SHAPE(64, 4, 2, 64, 0),
                                 XR_SHAPE(97, 6, 2, 24, 1),
                                 XR_SHAPE(130, 2, 1, 128, 1),
                                 XR_SHAPE(63, 1, 1, 64, 1),
                                 XR_SHAPE(65, 4, 1, 64, 1),
                                 XR_SHAPE(127, 1, 1, 80, 0),
                                 XR_SHAPE(128, 1, 1, 128, 1),
                                 XR_SHAPE(129, 1, 1, 8, 0),
                                 XR_SHAPE(600, 1, 1, 80, 1),
                                 XR_SHAPE(64, 16, 16, 80, 0),
                                 XR_SHAPE(9, 28, 4, 128, 1),
                                 {0}};

static const XrShape CHECKED_SHAPES[] = {XR_SHAPE(1, 1, 1, 1, 1),    XR_SHAPE(260, 1, 1, 72, 1),
                                         XR_SHAPE(31, 3, 1, 16, 1),  XR_SHAPE(33, 7, 1, 33, 1),
                                         XR_SHAPE(9, 28, 4, 128, 1), {0}};

typedef struct Shape {
    int64_t longest, tokens;
    XrHeads heads;
    int32_t cu[5];
} Shape;

enum { SEQUENCES = 4 };

static Shape shape_of(const XrOpRun *run) {
    const int64_t *n = run->shape->n;
    Shape s = {.longest = n[0],
               .heads = {.heads = (int)n[1],
                         .kv_heads = (int)n[2],
                         .head_dim = (int)n[3],
                         .scale = (float)(2 / sqrt((double)n[3])), // peaked enough to matter
                         .causal = n[4] != 0}};
    int64_t lengths[SEQUENCES] = {n[0], 0, XR_MIN(1, n[0]), n[0] / 2};
    if (run->golden) {
        s.heads.scale = (float)(1 / sqrt((double)n[3]));
        XrTensor cu = xr_golden_of(xr_op_golden(), run->golden, "cu_q", XR_I64);
        const int64_t *starts = cu.data;
        for (int i = 0; i < SEQUENCES; i++) {
            lengths[i] = i + 1 < cu.shape[0] ? starts[i + 1] - starts[i] : 0;
        }
    }
    for (int i = 0; i < SEQUENCES; i++) s.cu[i + 1] = s.cu[i] + (int32_t)lengths[i];
    s.tokens = s.cu[SEQUENCES];
    return s;
}

static int64_t width(const Shape *s) {
    return (int64_t)s->heads.heads * s->heads.head_dim;
}

static int64_t kv_width(const Shape *s) {
    return (int64_t)s->heads.kv_heads * s->heads.head_dim;
}

static void set_cu(XrOpRun *run, const Shape *s) {
    XrArg *cu = xr_plain(run, "cu", XR_IN, XR_I32, SEQUENCES + 1, XR_1D);
    cu->golden_in = "";
    for (int i = 0; i <= SEQUENCES; i++) xr_set(cu, i, s->cu[i]);
}

// Attention of one query head of one token, in double, over keys [first, first + count).
static double attend(const Shape *s, const double *q, const double *k, const double *v,
                     int64_t token, int h, int64_t first, int64_t count, double *out) {
    int64_t dim = s->heads.head_dim, head = h / (s->heads.heads / s->heads.kv_heads);
    int64_t stride = kv_width(s);
    const double *query = q + token * width(s) + h * dim;
    const double *keys = k + first * stride + head * dim, *values = v + first * stride + head * dim;
    double *p = xr_calloc((size_t)count, sizeof *p), top = -INFINITY, sum = 0;
    for (int64_t j = 0; j < count; j++) {
        for (int64_t d = 0; d < dim; d++) p[j] += query[d] * keys[j * stride + d];
        p[j] *= (double)s->heads.scale;
        top = fmax(top, p[j]);
    }
    for (int64_t j = 0; j < count; j++) sum += p[j] = exp(p[j] - top);
    for (int64_t d = 0; d < dim; d++) {
        double value = 0;
        for (int64_t j = 0; j < count; j++) value += p[j] * values[j * stride + d];
        out[d] = value / sum;
    }
    free(p);
    return top + log(sum);
}

// Values of [-1,1) cancel in an output: their root mean square.
static const double VALUE_SIZE = 0.577;

// All of it; lse may be NULL.
static void attend_all(const Shape *s, const double *q, const double *k, const double *v,
                       double *out, double *lse) {
    for (int i = 0; i < SEQUENCES; i++) {
        int64_t length = s->cu[i + 1] - s->cu[i];
        for (int64_t t = 0; t < length; t++) {
            int64_t token = s->cu[i] + t;
            for (int h = 0; h < s->heads.heads; h++) {
                double l = attend(s, q, k, v, token, h, s->cu[i], s->heads.causal ? t + 1 : length,
                                  out + token * width(s) + (int64_t)h * s->heads.head_dim);
                if (lse) lse[token * s->heads.heads + h] = l;
            }
        }
    }
}

// ---- attention ----

static const XrGoldenRow GOLDEN[] = {XR_GOLDEN("attention/causal_h16_g2", 33, 4, 2, 16, 1),
                                     XR_GOLDEN("attention/causal_h20_g1", 16, 2, 2, 20, 1),
                                     XR_GOLDEN("attention/causal_h32_g4", 31, 4, 1, 32, 1),
                                     XR_GOLDEN("attention/causal_h64_g7", 12, 7, 1, 64, 1),
                                     XR_GOLDEN("attention/causal_h128_g2", 19, 2, 1, 128, 1),
                                     XR_GOLDEN("attention/full_h16_g1", 32, 2, 2, 16, 0),
                                     XR_GOLDEN("attention/full_h20_g1", 36, 2, 2, 20, 0),
                                     XR_GOLDEN("attention/full_h80_g1", 16, 2, 2, 80, 0),
                                     {0}};

static void build(XrOpRun *run) {
    Shape s = shape_of(run);
    xr_activation(run, "out", XR_OUT, s.tokens, width(&s))->golden_out = "o";
    xr_plain(run, "lse", XR_OUT, XR_F32, s.tokens, s.heads.heads)->optional = true;
    xr_fill(xr_activation(run, "q", XR_IN, s.tokens, width(&s)), -3, 3);
    xr_activation(run, "k", XR_IN, s.tokens, kv_width(&s));
    xr_activation(run, "v", XR_IN, s.tokens, kv_width(&s));
    set_cu(run, &s);
}

static void reference(XrOpRun *run) {
    Shape s = shape_of(run);
    attend_all(&s, xr_values(run, "q"), xr_values(run, "k"), xr_values(run, "v"),
               xr_expect(run, "out"), xr_expect(run, "lse"));
    xr_arg(run, "out")->scale = VALUE_SIZE;
}

static void call(XrOpRun *run, XrBackend *b) {
    Shape s = shape_of(run);
    xr_attention(b, xr_t(run, "out"), xr_t(run, "lse"), xr_t(run, "q"), xr_t(run, "k"),
                 xr_t(run, "v"), (XrSegments){xr_t(run, "cu"), s.longest}, s.heads);
}

const XrOpTest xr_op_test_attention = {.op = "attention",
                                       .shapes = SHAPES,
                                       .checked_shapes = CHECKED_SHAPES,
                                       .types = XR_TYPES_ACTIVATIONS,
                                       .variants = XR_STRIDED | XR_MINIMAL,
                                       .two_ways = true,
                                       .build = build,
                                       .reference = reference,
                                       .call = call,
                                       .golden = GOLDEN};

// ---- attention_backward ----

static void back_build(XrOpRun *run) {
    Shape s = shape_of(run);
    XrArg *dq = xr_activation(run, "dq", XR_OUT, s.tokens, width(&s));
    XrArg *dk = xr_activation(run, "dk", XR_OUT, s.tokens, kv_width(&s));
    XrArg *dv = xr_activation(run, "dv", XR_OUT, s.tokens, kv_width(&s));
    xr_activation(run, "dout", XR_IN, s.tokens, width(&s))->golden_in = "do";
    XrArg *q = xr_activation(run, "q", XR_IN, s.tokens, width(&s));
    XrArg *k = xr_activation(run, "k", XR_IN, s.tokens, kv_width(&s));
    XrArg *v = xr_activation(run, "v", XR_IN, s.tokens, kv_width(&s));
    XrArg *out = xr_activation(run, "out", XR_IN, s.tokens, width(&s));
    XrArg *lse = xr_plain(run, "lse", XR_IN, XR_F32, s.tokens, s.heads.heads);
    attend_all(&s, q->value, k->value, v->value, out->value, lse->value);
    for (int64_t i = 0; i < out->count; i++) xr_set(out, i, out->value[i]);
    for (int64_t i = 0; i < lse->count; i++) xr_set(lse, i, lse->value[i]);
    out->golden_in = "o";
    set_cu(run, &s);
    xr_gradient(dq, q);
    xr_gradient(dk, k);
    xr_gradient(dv, v);
}

// One query head of one token; sums over tokens and over the heads of a group.
static void differentiate(XrOpRun *run, const Shape *s, int64_t token, int h, int64_t first,
                          int64_t count) {
    int64_t dim = s->heads.head_dim, group = s->heads.heads / s->heads.kv_heads;
    int64_t at = token * width(s) + h * dim, stride = kv_width(s);
    int64_t column = first * stride + h / group * dim; // of the first key
    const double *k = xr_values(run, "k") + column, *v = xr_values(run, "v") + column;
    double *dk = xr_expect(run, "dk") + column, *dv = xr_expect(run, "dv") + column;
    const double *q = xr_values(run, "q") + at, *dout = xr_values(run, "dout") + at;
    double *dq = xr_expect(run, "dq") + at, *out = xr_calloc((size_t)dim, sizeof *out), dot = 0;
    double lse = attend(s, xr_values(run, "q"), xr_values(run, "k"), xr_values(run, "v"), token, h,
                        first, count, out);
    for (int64_t d = 0; d < dim; d++) dot += dout[d] * out[d];
    for (int64_t j = 0; j < count; j++) {
        int64_t key = j * stride;
        double z = 0, dp = 0;
        for (int64_t d = 0; d < dim; d++) {
            z += q[d] * k[key + d];
            dp += dout[d] * v[key + d];
        }
        double p = exp(z * (double)s->heads.scale - lse), ds = p * (dp - dot);
        for (int64_t d = 0; d < dim; d++) {
            dq[d] += ds * k[key + d] * (double)s->heads.scale;
            dk[key + d] += ds * q[d] * (double)s->heads.scale;
            dv[key + d] += p * dout[d];
        }
    }
    free(out);
}

// Where rounding errors of gradients count: under a causal mask the first keys have the terms of
// many tokens, the last those of one, so that one size does not fit all elements. As
// cuda/divergence_terms.cu, the root of the sum of squares of what is added up; dS is a difference.
static void find_sizes(XrOpRun *run, const Shape *s, int64_t token, int h, int64_t first,
                       int64_t count) {
    int64_t dim = s->heads.head_dim, stride = kv_width(s), at = token * width(s) + h * dim;
    int64_t column = first * stride + h / (s->heads.heads / s->heads.kv_heads) * dim;
    const double *k = xr_values(run, "k") + column, *v = xr_values(run, "v") + column;
    const double *q = xr_values(run, "q") + at, *dout = xr_values(run, "dout") + at;
    double *dq = xr_sizes(run, "dq") + at, *dk = xr_sizes(run, "dk") + column;
    double *dv = xr_sizes(run, "dv") + column, scale = (double)s->heads.scale, dot = 0;
    const double *out = xr_values(run, "out") + at;
    double lse = xr_values(run, "lse")[token * s->heads.heads + h];
    for (int64_t d = 0; d < dim; d++) dot += dout[d] * out[d];
    for (int64_t j = 0; j < count; j++) {
        double z = 0, dp = 0;
        for (int64_t d = 0; d < dim; d++) {
            z += q[d] * k[j * stride + d];
            dp += dout[d] * v[j * stride + d];
        }
        double p = exp(z * scale - lse), ds = scale * p * (fabs(dp) + fabs(dot));
        for (int64_t d = 0; d < dim; d++) {
            dq[d] += ds * ds * k[j * stride + d] * k[j * stride + d];
            dk[j * stride + d] += ds * ds * q[d] * q[d];
            dv[j * stride + d] += p * p * dout[d] * dout[d];
        }
    }
}

static void back_reference(XrOpRun *run) {
    Shape s = shape_of(run);
    for (int i = 0; i < SEQUENCES; i++) {
        int64_t length = s.cu[i + 1] - s.cu[i];
        for (int64_t t = 0; t < length; t++) {
            for (int h = 0; h < s.heads.heads; h++) {
                int64_t seen = s.heads.causal ? t + 1 : length;
                differentiate(run, &s, s.cu[i] + t, h, s.cu[i], seen);
                find_sizes(run, &s, s.cu[i] + t, h, s.cu[i], seen);
            }
        }
    }
    static const char *const NAMES[] = {"dq", "dk", "dv"};
    for (size_t n = 0; n < XR_COUNT(NAMES); n++) {
        double *sizes = xr_sizes(run, NAMES[n]);
        for (int64_t i = 0; i < xr_arg(run, NAMES[n])->count; i++) sizes[i] = sqrt(sizes[i]);
    }
}

static double back_loss(XrOpRun *run) {
    Shape s = shape_of(run);
    double *out = xr_calloc((size_t)(s.tokens * width(&s)), sizeof *out), total = 0;
    attend_all(&s, xr_values(run, "q"), xr_values(run, "k"), xr_values(run, "v"), out, NULL);
    for (int64_t i = 0; i < s.tokens * width(&s); i++) total += out[i] * xr_values(run, "dout")[i];
    free(out);
    return total;
}

static void back_call(XrOpRun *run, XrBackend *b) {
    Shape s = shape_of(run);
    xr_attention_backward(b, xr_t(run, "dq"), xr_t(run, "dk"), xr_t(run, "dv"), xr_t(run, "dout"),
                          xr_t(run, "q"), xr_t(run, "k"), xr_t(run, "v"), xr_t(run, "out"),
                          xr_t(run, "lse"), (XrSegments){xr_t(run, "cu"), s.longest}, s.heads);
}

static const XrShape BACK_SHAPES[] = {XR_SHAPE(0, 2, 1, 16, 1),   XR_SHAPE(1, 1, 1, 1, 1),
                                      XR_SHAPE(31, 3, 1, 16, 1),  XR_SHAPE(33, 2, 2, 33, 0),
                                      XR_SHAPE(67, 6, 2, 24, 1),  XR_SHAPE(64, 1, 1, 80, 0),
                                      XR_SHAPE(65, 7, 1, 64, 1),  XR_SHAPE(129, 1, 1, 128, 1),
                                      XR_SHAPE(5, 28, 4, 128, 1), {0}};

static const XrShape BACK_CHECKED[] = {XR_SHAPE(1, 1, 1, 1, 1),
                                       XR_SHAPE(31, 3, 1, 16, 1),
                                       XR_SHAPE(33, 2, 2, 33, 0),
                                       XR_SHAPE(67, 3, 1, 24, 1),
                                       {0}};

const XrOpTest xr_op_test_attention_backward = {.op = "attention_backward",
                                                .shapes = BACK_SHAPES,
                                                .checked_shapes = BACK_CHECKED,
                                                .types = XR_TYPES_ACTIVATIONS,
                                                .variants = XR_STRIDED,
                                                .two_ways = true,
                                                .build = back_build,
                                                .reference = back_reference,
                                                .call = back_call,
                                                .loss = back_loss,
                                                .golden = GOLDEN};

// Around tiles of 128 keys and 128 rows of a GPU's warpgroups, and more tiles than the three
// buffers that they take turns for; rows shared out among blocks. Quotients of differences of the
// reference would take minutes here, the CPU's rows with sanitizers half a minute.
#ifdef XR_SANITIZED
static const XrShape TILE_SHAPES[] = {XR_SHAPE(127, 2, 1, 72, 1), {0}};
#else
static const XrShape TILE_SHAPES[] = {XR_SHAPE(127, 2, 1, 72, 1),
                                      XR_SHAPE(128, 1, 1, 96, 0),
                                      XR_SHAPE(145, 4, 1, 128, 1),
                                      XR_SHAPE(270, 1, 1, 64, 1),
                                      XR_SHAPE(257, 1, 1, 128, 0),
                                      XR_SHAPE(136, 16, 1, 16, 1),
                                      XR_SHAPE(300, 1, 1, 24, 1),
                                      XR_SHAPE(400, 1, 1, 8, 0),
                                      XR_SHAPE(400, 1, 1, 64, 1),
                                      XR_SHAPE(290, 2, 1, 80, 1),
                                      XR_SHAPE(200, 3, 1, 128, 1),
                                      XR_SHAPE(333, 1, 1, 40, 1),
                                      {0}};
#endif

static const XrShape TILE_CHECKED[] = {XR_SHAPE(160, 1, 1, 72, 0), XR_SHAPE(70, 16, 1, 16, 1), {0}};

static const XrOpTest back_tiles = {.op = "attention_backward",
                                    .shapes = TILE_SHAPES,
                                    .checked_shapes = TILE_CHECKED,
                                    .types = XR_TYPES_ACTIVATIONS,
                                    .variants = XR_STRIDED,
                                    .two_ways = true,
                                    .build = back_build,
                                    .reference = back_reference,
                                    .call = back_call};

// ---- kv_write, kv_copy_pages and attention_paged are seen through attention over a cache: shape
// [longest, heads, kv_heads, head_dim, 1], the queries being the last third of each sequence ----

static const XrShape CACHE_SHAPES[] = {XR_SHAPE(1, 1, 1, 1, 1),
                                       XR_SHAPE(31, 3, 1, 16, 1),
                                       XR_SHAPE(33, 7, 1, 33, 1),
                                       XR_SHAPE(64, 4, 2, 64, 1),
                                       XR_SHAPE(97, 6, 2, 24, 1),
                                       XR_SHAPE(130, 2, 1, 128, 1),
                                       {0}};

static const XrShape CACHE_CHECKED[] = {
    XR_SHAPE(1, 1, 1, 1, 1), XR_SHAPE(31, 3, 1, 16, 1), XR_SHAPE(33, 7, 1, 33, 1), {0}};

static int64_t queries_of(const Shape *s, int i) {
    return (s->cu[i + 1] - s->cu[i] + 2) / 3;
}

static int64_t pages_a_sequence(const Shape *s) {
    return s->longest / XR_KV_PAGE + 1;
}

static int64_t page_count(const Shape *s) {
    return SEQUENCES * pages_a_sequence(s);
}

// Pages of the sequences lie in no order: 0, 5, 10... modulo a prime, and what is past `count` is
// stepped over.
static int32_t page_number(const Shape *s, int64_t i) {
    const int64_t prime = 10007;
    int64_t n = i;
    do n = (n * 5003 + 17) % prime;
    while (n >= page_count(s));
    return (int32_t)n;
}

static void cache_build(XrOpRun *run) {
    Shape s = shape_of(run);
    int64_t queries = 0, most = pages_a_sequence(&s);
    for (int i = 0; i < SEQUENCES; i++) queries += queries_of(&s, i);
    xr_activation(run, "out", XR_OUT, queries, width(&s));
    xr_fill(xr_activation(run, "q", XR_IN, queries, width(&s)), -3, 3);
    xr_activation(run, "k", XR_IN, s.tokens, kv_width(&s));
    xr_activation(run, "v", XR_IN, s.tokens, kv_width(&s));
    XrArg *slots = xr_plain(run, "slots", XR_IN, XR_I32, s.tokens, XR_1D);
    XrArg *cu = xr_plain(run, "cu", XR_IN, XR_I32, SEQUENCES + 1, XR_1D);
    XrArg *pages = xr_plain(run, "pages", XR_IN, XR_I32, SEQUENCES, most);
    XrArg *lengths = xr_plain(run, "lengths", XR_IN, XR_I32, SEQUENCES, XR_1D);
    XrArg *moved = xr_plain(run, "moved", XR_IN, XR_I32, SEQUENCES, most);
    for (int i = 0; i < SEQUENCES; i++) {
        int64_t length = s.cu[i + 1] - s.cu[i];
        xr_set(lengths, i, (double)length);
        xr_set(cu, i + 1, cu->value[i] + (double)queries_of(&s, i));
        for (int64_t p = 0; p < most; p++) {
            int32_t page = page_number(&s, i * most + p);
            bool used = p * XR_KV_PAGE < length; // entries past the end may hold anything
            xr_set(pages, i * most + p, used ? page : -7);
            xr_set(moved, i * most + p, used ? page + (double)page_count(&s) : 1e9);
        }
        for (int64_t t = 0; t < length; t++) {
            int32_t page = page_number(&s, i * most + t / XR_KV_PAGE);
            xr_set(slots, s.cu[i] + t, page * (double)XR_KV_PAGE + (double)(t % XR_KV_PAGE));
        }
    }
}

static void cache_reference(XrOpRun *run) {
    Shape s = shape_of(run);
    int64_t row = 0, dim = s.heads.head_dim;
    xr_arg(run, "out")->scale = VALUE_SIZE;
    for (int i = 0; i < SEQUENCES; i++) {
        int64_t length = s.cu[i + 1] - s.cu[i], queries = queries_of(&s, i);
        for (int64_t t = 0; t < queries; t++, row++) {
            for (int h = 0; h < s.heads.heads; h++) {
                attend(&s, xr_values(run, "q"), xr_values(run, "k"), xr_values(run, "v"), row, h,
                       s.cu[i], length - queries + t + 1,
                       xr_expect(run, "out") + row * width(&s) + h * dim);
            }
        }
    }
}

// A cache full of NaN, into which k and v are then written.
static XrKvCache filled_cache(XrOpRun *run, XrBackend *b) {
    Shape s = shape_of(run);
    XrKvCache cache = {.pages = 2 * page_count(&s),
                       .kv_heads = s.heads.kv_heads,
                       .head_dim = s.heads.head_dim,
                       .dtype = run->types.activation};
    size_t bytes =
        (size_t)cache.pages * b->kv_page_bytes(b, cache.dtype, cache.kv_heads, cache.head_dim);
    XrError err;
    cache.data = b->alloc(b, bytes, "cache", &err);
    assert_non_null(cache.data);
    void *paint = xr_malloc(bytes);
    memset(paint, 0xff, bytes);
    b->upload(b, cache.data, paint, bytes);
    free(paint);
    xr_kv_write(b, &cache, xr_t(run, "k"), xr_t(run, "v"), xr_t(run, "slots"));
    return cache;
}

static void read_cache(XrOpRun *run, XrBackend *b, const XrKvCache *cache, const char *pages) {
    Shape s = shape_of(run);
    xr_attention_paged(b, xr_t(run, "out"), xr_t(run, "q"), cache,
                       (XrSegments){xr_t(run, "cu"), (s.longest + 2) / 3},
                       (XrPageTables){xr_t(run, pages), xr_t(run, "lengths"), s.longest}, s.heads);
}

static void paged_call(XrOpRun *run, XrBackend *b) {
    XrKvCache cache = filled_cache(run, b);
    read_cache(run, b, &cache, "pages");
    b->free(b, cache.data);
}

// Pages are copied elsewhere, the originals overwritten with other keys, and the copies read.
static void copy_call(XrOpRun *run, XrBackend *b) {
    Shape s = shape_of(run);
    XrKvCache cache = filled_cache(run, b);
    int64_t count = page_count(&s);
    XrTensor lists;
    XrError err;
    assert_true(xr_tensor_alloc(b, &lists, XR_I32, 2, (int64_t[]){2, count}, "pages", &err));
    int32_t *host = xr_calloc((size_t)count * 2, sizeof *host);
    for (int32_t i = 0; i < count; i++) {
        host[i] = i;
        host[count + i] = i + (int32_t)count;
    }
    xr_upload(b, &lists, host);
    XrTensor from = xr_tensor1(XR_I32, lists.data, count);
    XrTensor to = xr_tensor1(XR_I32, (int32_t *)lists.data + count, count);
    xr_kv_copy_pages(b, &cache, &from, &to);
    xr_kv_write(b, &cache, xr_t(run, "v"), xr_t(run, "k"), xr_t(run, "slots"));
    read_cache(run, b, &cache, "moved");
    free(host);
    xr_tensor_free(b, &lists);
    b->free(b, cache.data);
}

#define CACHE_TEST(name, calls)                                                                    \
    const XrOpTest xr_op_test_##name = {.op = #name,                                               \
                                        .shapes = CACHE_SHAPES,                                    \
                                        .checked_shapes = CACHE_CHECKED,                           \
                                        .types = XR_TYPES_ACTIVATIONS,                             \
                                        .variants = XR_STRIDED,                                    \
                                        .build = cache_build,                                      \
                                        .reference = cache_reference,                              \
                                        .call = calls}
CACHE_TEST(kv_write, paged_call);
CACHE_TEST(attention_paged, paged_call);
CACHE_TEST(kv_copy_pages, copy_call);

// ---- bits ----

// One sequence in a backend's memory, its activations in one type.
typedef struct Bits {
    XrBackend *b;
    XrHeads heads;
    int64_t tokens;
    XrTensor q, k, v, packed, chunked;
} Bits;

static XrTensor new_tensor(XrBackend *b, XrDType dtype, int64_t rows, int64_t columns) {
    XrTensor t;
    XrError err;
    int64_t shape[] = {rows, columns};
    if (!xr_tensor_alloc(b, &t, dtype, columns == XR_1D ? 1 : 2, shape, "bits", &err)) {
        fail_msg("%s", err.message);
    }
    return t;
}

static float noise(int64_t i) {
    uint64_t x = (uint64_t)i * 0x9E3779B97F4A7C15u;
    return (float)((x ^ x >> 29) * 0xBF58476D1CE4E5B9u >> 40) * 0x1p-22f - 2;
}

static XrTensor numbers(const Bits *t, XrDType dtype, int64_t columns, int64_t seed) {
    XrTensor x = new_tensor(t->b, dtype, t->tokens, columns);
    char *host = xr_malloc(xr_nbytes(&x));
    for (int64_t i = 0; i < xr_numel(&x); i++) {
        xr_store(dtype, host + (size_t)i * xr_dtype_size(dtype), (double)noise(i + seed));
    }
    xr_upload(t->b, &x, host);
    free(host);
    return x;
}

static XrTensor integers(XrBackend *b, const int32_t *values, int64_t rows, int64_t columns) {
    XrTensor t = new_tensor(b, XR_I32, rows, columns);
    xr_upload(b, &t, values);
    return t;
}

// Fills with NaN.
static void paint(XrBackend *b, void *memory, size_t bytes) {
    void *host = xr_malloc(bytes);
    memset(host, 0xff, bytes);
    b->upload(b, memory, host, bytes);
    free(host);
}

// The new tokens [begin, begin + count) of the sequence.
static void run_chunk(const Bits *t, const XrKvCache *cache, const XrTensor *slots,
                      const XrTensor *pages, int64_t begin, int64_t count) {
    int32_t length = (int32_t)(begin + count), ends[] = {0, (int32_t)count};
    XrTensor q = xr_rows(&t->q, begin, count), k = xr_rows(&t->k, begin, count);
    XrTensor v = xr_rows(&t->v, begin, count), s = xr_rows(slots, begin, count);
    XrTensor out = xr_rows(&t->chunked, begin, count);
    XrTensor cu = integers(t->b, ends, 2, XR_1D), lengths = integers(t->b, &length, 1, XR_1D);
    xr_kv_write(t->b, cache, &k, &v, &s);
    xr_attention_paged(t->b, &out, &q, cache, (XrSegments){&cu, count},
                       (XrPageTables){pages, &lengths, length}, t->heads);
    xr_tensor_free(t->b, &cu);
    xr_tensor_free(t->b, &lengths);
}

// The whole sequence, `chunk` tokens at a time, over a cache whose pages lie backwards.
static void run_chunks(const Bits *t, int64_t chunk) {
    int32_t pages[64] = {0}, *slots = xr_calloc((size_t)t->tokens, sizeof *slots);
    int64_t count = (t->tokens + XR_KV_PAGE - 1) / XR_KV_PAGE;
    for (int64_t p = 0; p < count; p++) pages[p] = (int32_t)(count - 1 - p);
    for (int64_t i = 0; i < t->tokens; i++) {
        slots[i] = (int32_t)((int64_t)pages[i / XR_KV_PAGE] * XR_KV_PAGE + i % XR_KV_PAGE);
    }
    XrKvCache cache = {.pages = count,
                       .kv_heads = t->heads.kv_heads,
                       .head_dim = t->heads.head_dim,
                       .dtype = t->q.dtype};
    size_t bytes =
        (size_t)count * t->b->kv_page_bytes(t->b, cache.dtype, cache.kv_heads, cache.head_dim);
    XrError err;
    cache.data = t->b->alloc(t->b, bytes, "cache", &err);
    assert_non_null(cache.data);
    paint(t->b, cache.data, bytes);
    paint(t->b, t->chunked.data, xr_nbytes(&t->chunked));
    XrTensor slot_list = integers(t->b, slots, t->tokens, XR_1D);
    XrTensor page_table = integers(t->b, pages, 1, count);
    for (int64_t i = 0; i < t->tokens; i += chunk) {
        run_chunk(t, &cache, &slot_list, &page_table, i, XR_MIN(chunk, t->tokens - i));
    }
    xr_tensor_free(t->b, &slot_list);
    xr_tensor_free(t->b, &page_table);
    t->b->free(t->b, cache.data);
    free(slots);
}

static void require_same(const Bits *t, int64_t chunk) {
    size_t bytes = xr_nbytes(&t->packed);
    void *packed = xr_malloc(bytes), *chunked = xr_malloc(bytes);
    xr_download(t->b, packed, &t->packed);
    xr_download(t->b, chunked, &t->chunked);
    if (memcmp(packed, chunked, bytes) != 0) {
        fail_msg("%s: chunks of %lld tokens give other bits than the packed sequence",
                 xr_shape_text(&t->packed), (long long)chunk);
    }
    free(packed);
    free(chunked);
}

// `chunks` ends with 0.
static void same_bits(XrBackend *b, XrDType dtype, XrHeads heads, int64_t tokens,
                      const int64_t *chunks) {
    int64_t width_q = (int64_t)heads.heads * heads.head_dim;
    int64_t width_kv = (int64_t)heads.kv_heads * heads.head_dim;
    Bits t = {.b = b, .heads = heads, .tokens = tokens};
    t.q = numbers(&t, dtype, width_q, tokens * width_q);
    t.k = numbers(&t, dtype, width_kv, tokens * width_kv);
    t.v = numbers(&t, dtype, width_kv, tokens * width_kv + 16);
    t.packed = new_tensor(b, dtype, tokens, width_q);
    t.chunked = new_tensor(b, dtype, tokens, width_q);
    // Packed, beside another sequence, which is empty.
    XrTensor cu = integers(b, (int32_t[]){0, (int32_t)tokens, (int32_t)tokens}, 3, XR_1D);
    xr_attention(b, &t.packed, NULL, &t.q, &t.k, &t.v, (XrSegments){&cu, tokens}, heads);
    for (; *chunks; chunks++) {
        run_chunks(&t, *chunks);
        require_same(&t, *chunks);
    }
    XrTensor *all[] = {&t.q, &t.k, &t.v, &t.packed, &t.chunked, &cu};
    for (size_t i = 0; i < XR_COUNT(all); i++) xr_tensor_free(b, all[i]);
}

static void same_bits_packed_chunked_and_single(void **state) {
    const int64_t chunks[] = {1, 3, 7, 31, 32, 33, 100, 1000, 0};
    for (int threads = 1; threads <= 3; threads += 2) {
        XrBackend *b = xr_test_cpu(threads);
        same_bits(b, XR_F32, (XrHeads){6, 2, 64, 0.3f, true}, 233, chunks);
        same_bits(b, XR_F32, (XrHeads){7, 1, 40, 0.3f, true}, 150, chunks);
        same_bits(b, XR_F32, (XrHeads){2, 2, 16, 0.3f, true}, 97, chunks);
    }
}

// Single tokens and small chunks take another way than the packed sequence; those of one key/value
// head spread their keys over blocks, those of many do not.
static void same_bits_on_a_gpu(void **state) {
    for (const XrTestBackend *other = XR_TEST_BACKENDS; other->name; other++) {
        if (!other->other) continue;
        const char *missing = other->missing();
        if (missing) {
            print_message("skipped: %s\n", missing);
            continue;
        }
        XrBackend *b = other->instance(0);
        b->batch_invariant = true; // without it a packed sequence may go another way
        const int64_t some[] = {2, 9, 64, 1000, 0}, single[] = {1, 0}, large[] = {100, 0};
        const int64_t tiles[] = {16, 0}; // more of keys than blocks, on few multiprocessors
        for (XrDType dtype = XR_F32; dtype <= XR_BF16; dtype++) {
            if (other->checked) { // minutes otherwise
                const int64_t few[] = {9, 70, 0};
                same_bits(b, dtype, (XrHeads){7, 1, 40, 0.3f, true}, 70, few);
                same_bits(b, dtype, (XrHeads){2, 1, 16, 0.3f, true}, 40, single);
                continue;
            }
            same_bits(b, dtype, (XrHeads){7, 1, 40, 0.3f, true}, 150, some);
            same_bits(b, dtype, (XrHeads){2, 1, 16, 0.3f, true}, 135, single);
            same_bits(b, dtype, (XrHeads){8, 8, 8, 0.3f, true}, 70, single);
            same_bits(b, dtype, (XrHeads){2, 1, 128, 0.3f, true}, 200, large);
            same_bits(b, dtype, (XrHeads){4, 4, 8, 0.3f, true}, 300, tiles);
        }
        b->batch_invariant = false;
    }
}

static void require_numbers(XrBackend *b, const XrTensor *t, int64_t begin, int64_t end,
                            const char *name) {
    char *host = xr_malloc(xr_nbytes(t));
    xr_download(b, host, t);
    for (int64_t i = 0; i < xr_numel(t); i++) {
        bool outside = i / t->shape[1] < begin || i / t->shape[1] >= end;
        double value = xr_load(t->dtype, host + (size_t)i * xr_dtype_size(t->dtype));
        if (outside && isnan(value)) fail_msg("element %lld of %s is NaN", (long long)i, name);
    }
    free(host);
}

// The first and last of three packed sequences, whose neighbour is NaN in all its tokens.
static void keeps_to_its_sequence(XrBackend *b, XrDType dtype, bool causal) {
    enum { TOKENS = 200, BEGIN = 70, END = 130, WIDTH = 64, INPUTS = 4, ALL = 9 };
    static const char *const names[ALL] = {"q", "k", "v", "dout", "out", "dq", "dk", "dv", "lse"};
    Bits t = {.b = b, .heads = {1, 1, WIDTH, 0.3f, causal}, .tokens = TOKENS};
    XrTensor x[ALL];
    for (int i = 0; i < ALL; i++) {
        if (i >= INPUTS) {
            bool lse = i == ALL - 1;
            x[i] = new_tensor(b, lse ? XR_F32 : dtype, TOKENS, lse ? 1 : WIDTH);
            continue;
        }
        x[i] = numbers(&t, dtype, WIDTH, i + 1);
        XrTensor rows = xr_rows(&x[i], BEGIN, END - BEGIN);
        paint(b, rows.data, xr_nbytes(&rows));
    }
    XrTensor cu = integers(b, (int32_t[]){0, BEGIN, END, TOKENS}, 4, XR_1D);
    const XrSegments segments = {&cu, BEGIN};
    const XrTensor *q = &x[0], *k = &x[1], *v = &x[2], *dout = &x[3], *out = &x[4], *lse = &x[8];
    xr_attention(b, out, lse, q, k, v, segments, t.heads);
    xr_attention_backward(b, &x[5], &x[6], &x[7], dout, q, k, v, out, lse, segments, t.heads);
    for (int i = INPUTS; i < ALL; i++) require_numbers(b, &x[i], BEGIN, END, names[i]);
    for (int i = 0; i < ALL; i++) xr_tensor_free(b, &x[i]);
    xr_tensor_free(b, &cu);
}

static void sequences_do_not_reach_each_other(void **state) {
    for (const XrTestBackend *each = XR_TEST_BACKENDS; each->name; each++) {
        const char *missing = each->missing();
        if (missing) {
            print_message("skipped: %s\n", missing);
            continue;
        }
        for (int causal = 0; causal <= 1; causal++) {
            keeps_to_its_sequence(each->instance(0), XR_F32, causal);
            if (each->low_precision) keeps_to_its_sequence(each->instance(0), XR_BF16, causal);
        }
    }
}

static const XrOpTest *const TESTS[] = {
    &xr_op_test_attention, &xr_op_test_attention_backward, &back_tiles,
    &xr_op_test_kv_write,  &xr_op_test_attention_paged,    &xr_op_test_kv_copy_pages};
XR_OP_TEST_MAIN(TESTS, cmocka_unit_test(same_bits_packed_chunked_and_single),
                cmocka_unit_test(same_bits_on_a_gpu),
                cmocka_unit_test(sequences_do_not_reach_each_other))
