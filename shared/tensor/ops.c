// The checks in front of the table. A shape or type that does not fit is a bug of the caller: the
// program aborts with the operation's name and all shapes.
#include "shared/tensor/ops.h"

#include "shared/tensor/backend.h"

#include <stdlib.h>

static bool is_weight_type(XrDType t) {
    return t == XR_F32 || t == XR_BF16 || t == XR_F16;
}

// Activations are f32 or bf16, all of an operation's alike.
static bool is_activation(const XrTensor *t, int64_t rows, int64_t columns, XrDType dtype) {
    return t->ndim == 2 && t->shape[0] == rows && t->shape[1] == columns && t->dtype == dtype &&
           t->row_stride >= columns;
}

static bool is_weight(const XrTensor *t, int64_t rows, int64_t columns) {
    return t->ndim == 2 && t->shape[0] == rows && t->shape[1] == columns &&
           is_weight_type(t->dtype) && xr_is_contiguous(t);
}

static bool is_vector(const XrTensor *t, int64_t count) {
    return t->ndim == 1 && t->shape[0] == count && is_weight_type(t->dtype);
}

// A contiguous 1-D tensor of exactly this type and length.
static bool is_list(const XrTensor *t, XrDType dtype, int64_t count) {
    return t->ndim == 1 && t->shape[0] == count && t->dtype == dtype;
}

static bool is_table(const XrTensor *t, XrDType dtype, int64_t rows, int64_t columns) {
    return t->ndim == 2 && t->shape[0] == rows && t->shape[1] == columns && t->dtype == dtype &&
           xr_is_contiguous(t);
}

static bool is_index(const XrTensor *t, int64_t count) {
    return is_list(t, XR_I32, count);
}

static bool segments_fit(XrSegments s, int64_t rows) {
    return s.cu->ndim == 1 && s.cu->dtype == XR_I32 && s.cu->shape[0] >= 1 && s.longest >= 0 &&
           s.longest <= rows;
}

static bool heads_fit(XrHeads h) {
    return h.heads > 0 && h.kv_heads > 0 && h.head_dim > 0 && h.heads % h.kv_heads == 0;
}

#define CHECK(condition, format, ...)                                                              \
    XR_REQUIRE(condition, "%s: %s does not hold; " format, __func__, #condition, __VA_ARGS__)

static bool linear_fits(const XrTensor *y, const XrTensor *x, const XrTensor *w,
                        const XrTensor *bias) {
    return is_weight(w, y->shape[1], x->shape[1]) &&
           is_activation(y, x->shape[0], w->shape[0], y->dtype == XR_F32 ? XR_F32 : x->dtype) &&
           is_activation(x, x->shape[0], w->shape[1], x->dtype) &&
           (!bias || is_vector(bias, w->shape[0]));
}

void xr_linear(XrBackend *b, const XrTensor *y, const XrTensor *x, const XrTensor *w,
               const XrTensor *bias) {
    CHECK(linear_fits(y, x, w, bias), "y %s, x %s, w %s, bias %s", xr_shape_text(y),
          xr_shape_text(x), xr_shape_text(w), xr_shape_text(bias));
    b->ops->linear(b, y, x, w, bias);
}

void xr_linears(XrBackend *b, XrLinears parts, const XrTensor *x) {
    CHECK(parts.count >= 1 && parts.count <= XR_MOST_LINEARS, "%d parts", parts.count);
    for (int i = 0; i < parts.count; i++) {
        const XrTensor *y = parts.part[i].y, *w = parts.part[i].w, *bias = parts.part[i].bias;
        CHECK(linear_fits(y, x, w, bias), "part %d: y %s, x %s, w %s, bias %s", i, xr_shape_text(y),
              xr_shape_text(x), xr_shape_text(w), xr_shape_text(bias));
    }
    b->ops->linears(b, parts, x);
}

void xr_linear_backward_input(XrBackend *b, const XrTensor *dx, const XrTensor *dy,
                              const XrTensor *w, bool accumulate) {
    bool ok = is_weight(w, dy->shape[1], dx->shape[1]) &&
              is_activation(dx, dy->shape[0], w->shape[1], dy->dtype) &&
              is_activation(dy, dy->shape[0], w->shape[0], dy->dtype);
    CHECK(ok, "dx %s, dy %s, w %s", xr_shape_text(dx), xr_shape_text(dy), xr_shape_text(w));
    b->ops->linear_backward_input(b, dx, dy, w, accumulate);
}

void xr_linear_backward_weight(XrBackend *b, const XrTensor *dw, const XrTensor *dbias,
                               const XrTensor *dy, const XrTensor *x) {
    bool ok = is_activation(dy, x->shape[0], dy->shape[1], x->dtype) &&
              is_activation(x, x->shape[0], x->shape[1], x->dtype) &&
              (!dw || is_table(dw, XR_F32, dy->shape[1], x->shape[1])) &&
              (!dbias || is_list(dbias, XR_F32, dy->shape[1]));
    CHECK(ok, "dw %s, dbias %s, dy %s, x %s", xr_shape_text(dw), xr_shape_text(dbias),
          xr_shape_text(dy), xr_shape_text(x));
    b->ops->linear_backward_weight(b, dw, dbias, dy, x);
}

void xr_rmsnorm(XrBackend *b, const XrTensor *y, const XrTensor *rstd, const XrTensor *x,
                const XrTensor *w, float eps) {
    bool ok = is_activation(x, x->shape[0], w->shape[0], y->dtype) &&
              is_activation(y, x->shape[0], w->shape[0], x->dtype) && is_vector(w, x->shape[1]) &&
              (!rstd || is_list(rstd, XR_F32, x->shape[0]));
    CHECK(ok, "y %s, rstd %s, x %s, w %s", xr_shape_text(y), xr_shape_text(rstd), xr_shape_text(x),
          xr_shape_text(w));
    b->ops->rmsnorm(b, y, rstd, x, w, eps);
}

void xr_add_rmsnorm(XrBackend *b, const XrTensor *y, const XrTensor *sum, const XrTensor *rstd,
                    const XrTensor *x, const XrTensor *delta, const XrTensor *w, float eps) {
    int64_t rows = x->shape[0], width = x->shape[1];
    bool ok =
        is_activation(x, rows, width, y->dtype) && is_activation(delta, rows, width, y->dtype) &&
        is_activation(sum, rows, width, y->dtype) && is_activation(y, rows, width, y->dtype) &&
        is_vector(w, width) && (!rstd || is_list(rstd, XR_F32, rows));
    CHECK(ok, "y %s, sum %s, rstd %s, x %s, delta %s, w %s", xr_shape_text(y), xr_shape_text(sum),
          xr_shape_text(rstd), xr_shape_text(x), xr_shape_text(delta), xr_shape_text(w));
    b->ops->add_rmsnorm(b, y, sum, rstd, x, delta, w, eps);
}

void xr_rmsnorm_backward(XrBackend *b, const XrTensor *dx, const XrTensor *dw, const XrTensor *dy,
                         const XrTensor *dsum, const XrTensor *x, const XrTensor *w,
                         const XrTensor *rstd) {
    int64_t rows = x->shape[0], width = x->shape[1];
    bool ok = is_activation(x, rows, width, x->dtype) && is_activation(dx, rows, width, x->dtype) &&
              is_activation(dy, rows, width, x->dtype) &&
              (!dsum || is_activation(dsum, rows, width, x->dtype)) && is_vector(w, width) &&
              is_list(rstd, XR_F32, rows) && (!dw || is_list(dw, XR_F32, width));
    CHECK(ok, "dx %s, dw %s, dy %s, dsum %s, x %s, w %s, rstd %s", xr_shape_text(dx),
          xr_shape_text(dw), xr_shape_text(dy), xr_shape_text(dsum), xr_shape_text(x),
          xr_shape_text(w), xr_shape_text(rstd));
    b->ops->rmsnorm_backward(b, dx, dw, dy, dsum, x, w, rstd);
}

void xr_rope_table(XrBackend *b, const XrTensor *cos, const XrTensor *sin,
                   const XrTensor *positions, const XrTensor *inv_freq, const XrTensor *axis) {
    int64_t rows = cos->shape[0], half = inv_freq->shape[0];
    bool ok = is_table(cos, XR_F32, rows, half) && is_table(sin, XR_F32, rows, half) &&
              is_table(positions, XR_I32, positions->shape[0], rows) &&
              is_list(inv_freq, XR_F32, half) && is_index(axis, half);
    CHECK(ok, "cos %s, sin %s, positions %s, inv_freq %s, axis %s", xr_shape_text(cos),
          xr_shape_text(sin), xr_shape_text(positions), xr_shape_text(inv_freq),
          xr_shape_text(axis));
    b->ops->rope_table(b, cos, sin, positions, inv_freq, axis);
}

void xr_rope(XrBackend *b, const XrTensor *q, const XrTensor *k, const XrTensor *cos,
             const XrTensor *sin, XrHeads heads, bool inverse) {
    int64_t rows = q->shape[0], dim = heads.head_dim;
    bool ok = heads_fit(heads) && dim % 2 == 0 &&
              is_activation(q, rows, heads.heads * dim, q->dtype) &&
              is_activation(k, rows, heads.kv_heads * dim, q->dtype) &&
              is_table(cos, XR_F32, rows, dim / 2) && is_table(sin, XR_F32, rows, dim / 2);
    CHECK(ok, "q %s, k %s, cos %s, sin %s, %d/%d heads of %d", xr_shape_text(q), xr_shape_text(k),
          xr_shape_text(cos), xr_shape_text(sin), heads.heads, heads.kv_heads, heads.head_dim);
    b->ops->rope(b, q, k, cos, sin, heads, inverse);
}

// The shapes that attention and its backward share.
static bool attention_fits(const XrTensor *out, const XrTensor *lse, const XrTensor *q,
                           const XrTensor *k, const XrTensor *v, XrSegments segments,
                           XrHeads heads) {
    int64_t rows = q->shape[0], width = (int64_t)heads.heads * heads.head_dim;
    int64_t kv_width = (int64_t)heads.kv_heads * heads.head_dim;
    return heads_fit(heads) && segments_fit(segments, rows) &&
           is_activation(out, rows, width, q->dtype) && is_activation(q, rows, width, q->dtype) &&
           is_activation(k, rows, kv_width, q->dtype) &&
           is_activation(v, rows, kv_width, q->dtype) &&
           (!lse || is_table(lse, XR_F32, rows, heads.heads));
}

void xr_attention(XrBackend *b, const XrTensor *out, const XrTensor *lse, const XrTensor *q,
                  const XrTensor *k, const XrTensor *v, XrSegments segments, XrHeads heads) {
    bool ok = attention_fits(out, lse, q, k, v, segments, heads);
    CHECK(ok, "out %s, lse %s, q %s, k %s, v %s, cu %s, %d/%d heads of %d", xr_shape_text(out),
          xr_shape_text(lse), xr_shape_text(q), xr_shape_text(k), xr_shape_text(v),
          xr_shape_text(segments.cu), heads.heads, heads.kv_heads, heads.head_dim);
    b->ops->attention(b, out, lse, q, k, v, segments, heads);
}

void xr_attention_backward(XrBackend *b, const XrTensor *dq, const XrTensor *dk, const XrTensor *dv,
                           const XrTensor *dout, const XrTensor *q, const XrTensor *k,
                           const XrTensor *v, const XrTensor *out, const XrTensor *lse,
                           XrSegments segments, XrHeads heads) {
    bool ok = lse && attention_fits(out, lse, q, k, v, segments, heads) &&
              attention_fits(dout, lse, dq, dk, dv, segments, heads);
    CHECK(ok, "dq %s, dk %s, dv %s, dout %s, q %s, k %s, v %s, lse %s", xr_shape_text(dq),
          xr_shape_text(dk), xr_shape_text(dv), xr_shape_text(dout), xr_shape_text(q),
          xr_shape_text(k), xr_shape_text(v), xr_shape_text(lse));
    b->ops->attention_backward(b, dq, dk, dv, dout, q, k, v, out, lse, segments, heads);
}

void xr_kv_write(XrBackend *b, const XrKvCache *cache, const XrTensor *k, const XrTensor *v,
                 const XrTensor *slots) {
    int64_t rows = k->shape[0], width = (int64_t)cache->kv_heads * cache->head_dim;
    bool ok = is_activation(k, rows, width, k->dtype) && is_activation(v, rows, width, k->dtype) &&
              is_index(slots, rows);
    CHECK(ok, "k %s, v %s, slots %s, cache of %d heads of %d", xr_shape_text(k), xr_shape_text(v),
          xr_shape_text(slots), cache->kv_heads, cache->head_dim);
    b->ops->kv_write(b, cache, k, v, slots);
}

void xr_kv_copy_pages(XrBackend *b, const XrKvCache *cache, const XrTensor *from,
                      const XrTensor *to) {
    CHECK(is_index(from, from->shape[0]) && is_index(to, from->shape[0]), "from %s, to %s",
          xr_shape_text(from), xr_shape_text(to));
    b->ops->kv_copy_pages(b, cache, from, to);
}

void xr_attention_paged(XrBackend *b, const XrTensor *out, const XrTensor *q,
                        const XrKvCache *cache, XrSegments queries, XrPageTables tables,
                        XrHeads heads) {
    int64_t rows = q->shape[0], width = (int64_t)heads.heads * heads.head_dim;
    int64_t sequences = queries.cu->shape[0] - 1;
    bool ok = heads_fit(heads) && heads.causal && segments_fit(queries, rows) &&
              is_activation(out, rows, width, q->dtype) &&
              is_activation(q, rows, width, q->dtype) && heads.kv_heads == cache->kv_heads &&
              heads.head_dim == cache->head_dim && is_index(tables.lengths, sequences) &&
              is_table(tables.pages, XR_I32, sequences, tables.pages->shape[1]) &&
              tables.longest <= tables.pages->shape[1] * XR_KV_PAGE;
    CHECK(ok, "out %s, q %s, cu %s, pages %s, lengths %s, %d/%d heads of %d", xr_shape_text(out),
          xr_shape_text(q), xr_shape_text(queries.cu), xr_shape_text(tables.pages),
          xr_shape_text(tables.lengths), heads.heads, heads.kv_heads, heads.head_dim);
    b->ops->attention_paged(b, out, q, cache, queries, tables, heads);
}

void xr_swiglu(XrBackend *b, const XrTensor *h, const XrTensor *gate, const XrTensor *up) {
    int64_t rows = h->shape[0], width = h->shape[1];
    bool ok = is_activation(h, rows, width, h->dtype) &&
              is_activation(gate, rows, width, h->dtype) &&
              is_activation(up, rows, width, h->dtype);
    CHECK(ok, "h %s, gate %s, up %s", xr_shape_text(h), xr_shape_text(gate), xr_shape_text(up));
    b->ops->swiglu(b, h, gate, up);
}

void xr_swiglu_backward(XrBackend *b, const XrTensor *dgate, const XrTensor *dup,
                        const XrTensor *dh, const XrTensor *gate, const XrTensor *up) {
    int64_t rows = dh->shape[0], width = dh->shape[1];
    bool ok =
        is_activation(dgate, rows, width, dh->dtype) &&
        is_activation(dup, rows, width, dh->dtype) && is_activation(dh, rows, width, dh->dtype) &&
        is_activation(gate, rows, width, dh->dtype) && is_activation(up, rows, width, dh->dtype);
    CHECK(ok, "dgate %s, dup %s, dh %s, gate %s, up %s", xr_shape_text(dgate), xr_shape_text(dup),
          xr_shape_text(dh), xr_shape_text(gate), xr_shape_text(up));
    b->ops->swiglu_backward(b, dgate, dup, dh, gate, up);
}

void xr_gelu(XrBackend *b, const XrTensor *y, const XrTensor *x) {
    bool ok = is_activation(x, x->shape[0], x->shape[1], x->dtype) &&
              is_activation(y, x->shape[0], x->shape[1], x->dtype);
    CHECK(ok, "y %s, x %s", xr_shape_text(y), xr_shape_text(x));
    b->ops->gelu(b, y, x);
}

void xr_gelu_backward(XrBackend *b, const XrTensor *dx, const XrTensor *dy, const XrTensor *x) {
    bool ok = is_activation(x, x->shape[0], x->shape[1], x->dtype) &&
              is_activation(dy, x->shape[0], x->shape[1], x->dtype) &&
              is_activation(dx, x->shape[0], x->shape[1], x->dtype);
    CHECK(ok, "dx %s, dy %s, x %s", xr_shape_text(dx), xr_shape_text(dy), xr_shape_text(x));
    b->ops->gelu_backward(b, dx, dy, x);
}

void xr_embedding(XrBackend *b, const XrTensor *x, const XrTensor *table, const XrTensor *ids) {
    bool ok = is_activation(x, x->shape[0], table->shape[1], x->dtype) &&
              is_weight(table, table->shape[0], table->shape[1]) && is_index(ids, x->shape[0]);
    CHECK(ok, "x %s, table %s, ids %s", xr_shape_text(x), xr_shape_text(table), xr_shape_text(ids));
    b->ops->embedding(b, x, table, ids);
}

void xr_embedding_backward(XrBackend *b, const XrTensor *dtable, const XrTensor *dx,
                           const XrTensor *ids) {
    bool ok = is_activation(dx, dx->shape[0], dtable->shape[1], dx->dtype) &&
              is_table(dtable, XR_F32, dtable->shape[0], dx->shape[1]) &&
              is_index(ids, dx->shape[0]);
    CHECK(ok, "dtable %s, dx %s, ids %s", xr_shape_text(dtable), xr_shape_text(dx),
          xr_shape_text(ids));
    b->ops->embedding_backward(b, dtable, dx, ids);
}

void xr_gather_rows(XrBackend *b, const XrTensor *y, const XrTensor *x, const XrTensor *index) {
    bool ok = is_activation(x, x->shape[0], y->shape[1], y->dtype) &&
              is_activation(y, y->shape[0], x->shape[1], x->dtype) && is_index(index, y->shape[0]);
    CHECK(ok, "y %s, x %s, index %s", xr_shape_text(y), xr_shape_text(x), xr_shape_text(index));
    b->ops->gather_rows(b, y, x, index);
}

void xr_scatter_rows(XrBackend *b, const XrTensor *y, const XrTensor *x, const XrTensor *index) {
    bool ok = is_activation(x, x->shape[0], y->shape[1], y->dtype) &&
              is_activation(y, y->shape[0], x->shape[1], x->dtype) && is_index(index, x->shape[0]);
    CHECK(ok, "y %s, x %s, index %s", xr_shape_text(y), xr_shape_text(x), xr_shape_text(index));
    b->ops->scatter_rows(b, y, x, index);
}

void xr_logprob(XrBackend *b, const XrTensor *logprob, const XrTensor *entropy,
                const XrTensor *best, const XrTensor *lse, const XrTensor *logits,
                const XrTensor *hidden, const XrTensor *head, const XrTensor *targets,
                float temperature) {
    int64_t rows = hidden->shape[0];
    bool ok = is_activation(hidden, rows, head->shape[1], hidden->dtype) &&
              is_weight(head, head->shape[0], hidden->shape[1]) && is_index(targets, rows) &&
              is_list(logprob, XR_F32, rows) && (!entropy || is_list(entropy, XR_F32, rows)) &&
              (!best || is_index(best, rows)) && (!lse || is_list(lse, XR_F32, rows)) &&
              (!logits || is_table(logits, XR_F32, rows, head->shape[0])) && temperature > 0;
    CHECK(ok, "logprob %s, logits %s, hidden %s, head %s, targets %s, temperature %g",
          xr_shape_text(logprob), xr_shape_text(logits), xr_shape_text(hidden), xr_shape_text(head),
          xr_shape_text(targets), (double)temperature);
    b->ops->logprob(b, logprob, entropy, best, lse, logits, hidden, head, targets, temperature);
}

void xr_logprob_backward(XrBackend *b, const XrTensor *dhidden, const XrTensor *dhead,
                         const XrTensor *dlogprob, const XrTensor *logits, const XrTensor *hidden,
                         const XrTensor *head, const XrTensor *targets, const XrTensor *lse,
                         float temperature) {
    int64_t rows = hidden->shape[0], width = hidden->shape[1];
    bool ok = is_activation(hidden, rows, head->shape[1], hidden->dtype) &&
              is_activation(dhidden, rows, width, hidden->dtype) &&
              is_weight(head, head->shape[0], width) && is_index(targets, rows) &&
              (!dhead || is_table(dhead, XR_F32, head->shape[0], width)) &&
              (!logits || is_table(logits, XR_F32, rows, head->shape[0])) &&
              is_list(dlogprob, XR_F32, rows) && is_list(lse, XR_F32, rows) && temperature > 0;
    CHECK(ok, "dhidden %s, dhead %s, dlogprob %s, logits %s, hidden %s, head %s, targets %s",
          xr_shape_text(dhidden), xr_shape_text(dhead), xr_shape_text(dlogprob),
          xr_shape_text(logits), xr_shape_text(hidden), xr_shape_text(head),
          xr_shape_text(targets));
    b->ops->logprob_backward(b, dhidden, dhead, dlogprob, logits, hidden, head, targets, lse,
                             temperature);
}

void xr_sample(XrBackend *b, const XrTensor *tokens, const XrTensor *logprob,
               const XrTensor *scaled, const XrTensor *logits, const XrTensor *ids,
               const XrSampleParams *params) {
    int64_t rows = logits->shape[0];
    bool ok = is_table(logits, XR_F32, rows, logits->shape[1]) && logits->shape[1] > 0 &&
              is_index(tokens, rows) && is_list(logprob, XR_F32, rows) &&
              is_list(scaled, XR_F32, rows) && is_index(ids, ids->shape[0]) &&
              (params || rows == 0);
    CHECK(ok, "tokens %s, logits %s, ids %s", xr_shape_text(tokens), xr_shape_text(logits),
          xr_shape_text(ids));
    b->ops->sample(b, tokens, logprob, scaled, logits, ids, params);
}

void xr_grpo_loss(XrBackend *b, const XrTensor *loss, const XrTensor *dlogprob, const XrTensor *kl,
                  const XrTensor *clipped, const XrTensor *logprob, const XrTensor *old,
                  const XrTensor *reference, const XrTensor *advantage, const XrTensor *weight,
                  XrGrpo settings) {
    int64_t rows = logprob->shape[0];
    bool ok = is_list(logprob, XR_F32, rows) && is_list(loss, XR_F32, rows) &&
              is_list(dlogprob, XR_F32, rows) && (!kl || is_list(kl, XR_F32, rows)) &&
              (!clipped || is_index(clipped, rows)) && is_list(old, XR_F32, rows) &&
              (reference ? is_list(reference, XR_F32, rows) : settings.kl == XR_KL_NONE) &&
              is_list(advantage, XR_F32, rows) && is_list(weight, XR_F32, rows) &&
              settings.epsilon_low >= 0 && settings.epsilon_high >= 0 &&
              (settings.dual_clip == 0 || settings.dual_clip > 1);
    CHECK(ok, "loss %s, dlogprob %s, logprob %s, old %s, reference %s, advantage %s, weight %s",
          xr_shape_text(loss), xr_shape_text(dlogprob), xr_shape_text(logprob), xr_shape_text(old),
          xr_shape_text(reference), xr_shape_text(advantage), xr_shape_text(weight));
    b->ops->grpo_loss(b, loss, dlogprob, kl, clipped, logprob, old, reference, advantage, weight,
                      settings);
}

void xr_squared_norm(XrBackend *b, const XrTensor *sum, const XrTensor *x) {
    CHECK(is_list(sum, XR_F64, 1) && is_list(x, XR_F32, x->shape[0]), "sum %s, x %s",
          xr_shape_text(sum), xr_shape_text(x));
    b->ops->squared_norm(b, sum, x);
}

void xr_adamw(XrBackend *b, const XrTensor *p, const XrTensor *m, const XrTensor *v,
              const XrTensor *rounded, const XrTensor *grad, XrAdamW settings) {
    int64_t count = p->shape[0];
    bool ok = is_list(p, XR_F32, count) && is_list(m, XR_F32, count) && is_list(v, XR_F32, count) &&
              (!rounded || is_list(rounded, XR_BF16, count)) && is_list(grad, XR_F32, count) &&
              settings.step >= 1 && settings.beta1 >= 0 && settings.beta1 < 1 &&
              settings.beta2 >= 0 && settings.beta2 < 1 && settings.eps >= 0;
    CHECK(ok, "p %s, m %s, v %s, rounded %s, grad %s, step %lld", xr_shape_text(p),
          xr_shape_text(m), xr_shape_text(v), xr_shape_text(rounded), xr_shape_text(grad),
          (long long)settings.step);
    b->ops->adamw(b, p, m, v, rounded, grad, settings);
}

void xr_round_bf16(XrBackend *b, const XrTensor *y, const XrTensor *x) {
    int64_t count = x->shape[0];
    CHECK(is_list(y, XR_BF16, count) && is_list(x, XR_F32, count), "y %s, x %s", xr_shape_text(y),
          xr_shape_text(x));
    b->ops->round_bf16(b, y, x);
}
