// How large the terms are that cancel in an operation's outputs, from the data of a call. The rows
// of tests give such sizes by hand (tests/support/ops.h); real data has rows of many sizes, and
// answers that are all but certain.
#include "cuda/divergence_terms.h"

#include "ref/cpu.h"
#include "shared/base/memory.h" // defines: xr_malloc, xr_calloc
#include "shared/tensor/tolerance.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef XrCheckedCall Call;

const XrTensor *xr_mirror(const Call *c, const char *name) {
    for (int i = 0; i < c->count; i++) {
        if (strcmp(c->mirrors[i].name, name) == 0) return &c->mirrors[i].host;
    }
    return NULL;
}

static double *zeros(int64_t count) {
    return (double *)xr_calloc((size_t)count + 1, sizeof(double));
}

// Zeros to fill for an output; NULL where the call has none of that name. An output whose memory
// another argument owns is compared as that one.
static double *terms_of(Call *c, const char *name) {
    for (int i = 0; i < c->count; i++) {
        XrMirror *m = &c->mirrors[i];
        if (strcmp(m->name, name) != 0) continue;
        double *&terms = c->mirrors[m->owner].terms;
        if (!terms) terms = zeros(xr_numel(&m->host));
        return terms;
    }
    return NULL;
}

// What part of an error's allowance in `name` is for f32, the rest being for operands rounded to
// bf16.
static double f32_share(const Call *c, const char *name) {
    XrTolerance t = xr_tolerance_for(c->operation, name, c->low, 0);
    return t.absolute / (t.absolute + t.low);
}

static const float *row_of(const XrTensor *t, int64_t row) {
    return (const float *)t->data + row * xr_row_size(t);
}

// Lengths of rows, or of columns; to be freed.
static double *row_norms(const XrTensor *t) {
    int64_t width = xr_row_size(t);
    double *norms = zeros(t->shape[0]);
    for (int64_t i = 0; i < t->shape[0]; i++) {
        const float *row = row_of(t, i);
        for (int64_t d = 0; d < width; d++) norms[i] += (double)row[d] * row[d];
        norms[i] = sqrt(norms[i]);
    }
    return norms;
}

static double *column_norms(const XrTensor *t) {
    int64_t width = xr_row_size(t);
    double *norms = zeros(width);
    for (int64_t i = 0; i < t->shape[0]; i++) {
        const float *row = row_of(t, i);
        for (int64_t d = 0; d < width; d++) norms[d] += (double)row[d] * row[d];
    }
    for (int64_t d = 0; d < width; d++) norms[d] = sqrt(norms[d]);
    return norms;
}

// The largest |x| of each column; to be freed.
static double *column_peaks(const XrTensor *t) {
    int64_t width = xr_row_size(t);
    double *peaks = zeros(width);
    for (int64_t i = 0; i < t->shape[0]; i++) {
        const float *row = row_of(t, i);
        for (int64_t d = 0; d < width; d++) peaks[d] = fmax(peaks[d], fabs((double)row[d]));
    }
    return peaks;
}

static double largest(const double *values, int64_t count) {
    double most = 0;
    for (int64_t i = 0; i < count; i++) most = fmax(most, values[i]);
    return most;
}

// ---- products ----

// Elements of a b^T: |a| |b| (Cauchy and Schwarz), and what they are added to. Frees both.
static void product_terms(Call *c, const char *name, double *rows, double *columns, bool adds,
                          const XrTensor *bias) {
    double *terms = terms_of(c, name);
    const XrTensor *out = xr_mirror(c, name);
    for (int64_t i = 0; terms && i < xr_numel(out); i++) {
        int64_t width = xr_row_size(out);
        terms[i] = rows[i / width] * columns[i % width];
        if (adds) terms[i] += fabs((double)((const float *)out->data)[i]);
        if (bias) terms[i] += fabs((double)((const float *)bias->data)[i % width]);
    }
    free(rows);
    free(columns);
}

static void linear(Call *c) {
    product_terms(c, "y", row_norms(xr_mirror(c, "x")), row_norms(xr_mirror(c, "w")), false,
                  xr_mirror(c, "bias"));
}

static const char *const LINEARS_NAMES[3][XR_MOST_LINEARS] = {
    {"y0", "y1", "y2"}, {"w0", "w1", "w2"}, {"bias0", "bias1", "bias2"}};

const char *xr_linears_name(int argument, int part) {
    return LINEARS_NAMES[argument][part];
}

static void linears(Call *c) {
    for (int i = 0; i < XR_MOST_LINEARS && xr_mirror(c, xr_linears_name(0, i)); i++) {
        product_terms(c, xr_linears_name(0, i), row_norms(xr_mirror(c, "x")),
                      row_norms(xr_mirror(c, xr_linears_name(1, i))), false,
                      xr_mirror(c, xr_linears_name(2, i)));
    }
}

static void linear_backward_input(Call *c) {
    product_terms(c, "dx", row_norms(xr_mirror(c, "dy")), column_norms(xr_mirror(c, "w")),
                  c->accumulate, NULL);
}

static void linear_backward_weight(Call *c) {
    const XrTensor *dy = xr_mirror(c, "dy"), *dbias = xr_mirror(c, "dbias");
    product_terms(c, "dw", column_norms(dy), column_norms(xr_mirror(c, "x")), true, NULL);
    double *terms = terms_of(c, "dbias");
    for (int64_t i = 0; terms && i < xr_numel(dy); i++) {
        int64_t width = xr_row_size(dy);
        if (i < width) terms[i] = fabs((double)((const float *)dbias->data)[i]);
        terms[i % width] += fabs((double)((const float *)dy->data)[i]);
    }
}

// ---- norms, positions, activations ----

// dx = rstd (g - x rstd^2 mean(g x)) + dsum, dw += dy x rstd: the sizes of what is added.
static void rmsnorm_backward(Call *c) {
    const XrTensor *x = xr_mirror(c, "x"), *dy = xr_mirror(c, "dy"), *dsum = xr_mirror(c, "dsum");
    const float *w = row_of(xr_mirror(c, "w"), 0), *rstd = row_of(xr_mirror(c, "rstd"), 0);
    double *dx = terms_of(c, "dx"), *dw = terms_of(c, "dw");
    int64_t width = xr_row_size(x);
    for (int64_t t = 0; t < x->shape[0]; t++) {
        const float *from = row_of(x, t), *up = row_of(dy, t);
        double r = rstd[t], pull = 0;
        for (int64_t d = 0; d < width; d++) {
            double unit = r * from[d];
            pull += fabs(unit * up[d] * w[d]) / (double)width;
            if (dw) dw[d] += fabs(unit * up[d]);
        }
        for (int64_t d = 0; dx && d < width; d++) {
            dx[t * width + d] = r * (fabs((double)up[d] * w[d]) + fabs(r * from[d]) * pull);
            if (dsum) dx[t * width + d] += fabs((double)row_of(dsum, t)[d]);
        }
    }
}

// Both elements of a pair: its length, which a rotation keeps.
static void rotation_terms(Call *c, const char *name) {
    const XrTensor *x = xr_mirror(c, name), *cos = xr_mirror(c, "cos");
    double *terms = terms_of(c, name);
    int64_t width = xr_row_size(x), half = xr_row_size(cos);
    for (int64_t i = 0; i < xr_numel(x); i++) {
        int64_t d = i % width, other = d % (2 * half) < half ? i + half : i - half;
        const float *values = (const float *)x->data;
        terms[i] = hypot((double)values[i], (double)values[other]);
    }
}

static void rope(Call *c) {
    rotation_terms(c, "q");
    rotation_terms(c, "k");
}

// |dh| times the other factor: what 1 + g (1 - s) and Phi + x phi, at most 1.2, are multiplied by.
static void swiglu_backward(Call *c) {
    const XrTensor *dh = xr_mirror(c, "dh"), *up = xr_mirror(c, "up");
    double *terms = terms_of(c, "dgate");
    for (int64_t i = 0; terms && i < xr_numel(dh); i++) {
        terms[i] = fabs((double)((const float *)dh->data)[i] * ((const float *)up->data)[i]);
    }
}

static void gelu_backward(Call *c) {
    const XrTensor *dy = xr_mirror(c, "dy");
    double *terms = terms_of(c, "dx");
    for (int64_t i = 0; i < xr_numel(dy); i++) terms[i] = fabs((double)row_of(dy, 0)[i]);
}

// ---- attention ----

// Where errors of a score count: a score is a sum of terms up to scale |q| |k|, and its error that
// of the logarithm of a weight.
static double *score_sizes(const Call *c, double longest_key) {
    const XrTensor *q = xr_mirror(c, "q");
    XrTensor by_head = xr_tensor2(XR_F32, q->data, q->shape[0] * c->heads.heads, c->heads.head_dim);
    double *sizes = row_norms(&by_head);
    for (int64_t i = 0; i < by_head.shape[0]; i++) {
        sizes[i] = 1 + c->heads.scale * sizes[i] * longest_key;
    }
    return sizes;
}

double xr_longest_key(const XrTensor *k, int kv_heads) {
    int64_t rows = k->shape[0] * kv_heads;
    XrTensor by_head = xr_tensor2(XR_F32, k->data, rows, xr_row_size(k) / kv_heads);
    double *norms = row_norms(&by_head), most = largest(norms, rows);
    free(norms);
    return most;
}

static double longest_key_of(const Call *c) {
    return xr_longest_key(xr_mirror(c, "k"), c->heads.kv_heads);
}

static XrTensor sizes_of(const XrTensor *t) {
    XrTensor sizes = *t;
    int64_t count = xr_numel(t);
    float *values = (float *)xr_malloc((size_t)count * sizeof *values + 1);
    for (int64_t i = 0; i < count; i++) values[i] = fabsf(((const float *)t->data)[i]);
    sizes.data = values;
    return sizes;
}

// out: sum_j p_j |v_j|, each p_j with the error of its score or, in bf16, with its rounding by up
// to 2^-8. lse: that of scores. Frees `scores`.
static void attended_terms(Call *c, const float *weighted, double *scores) {
    double *out = terms_of(c, "out"), *lse = terms_of(c, "lse"), share = f32_share(c, "out");
    int64_t count = xr_numel(xr_mirror(c, "out")), dim = c->heads.head_dim;
    for (int64_t i = 0; i < count; i++) {
        out[i] = weighted[i] * (1 - share + share * scores[i / dim]);
    }
    for (int64_t i = 0; lse && i < count / dim; i++) lse[i] = scores[i];
    free(scores);
}

static void attention(Call *c) {
    const XrTensor *q = xr_mirror(c, "q"), *k = xr_mirror(c, "k"), *cu = xr_mirror(c, "segments");
    XrTensor v = sizes_of(xr_mirror(c, "v")), weighted = sizes_of(q);
    c->cpu->ops->attention(c->cpu, &weighted, NULL, q, k, &v, XrSegments{cu, q->shape[0]},
                           c->heads);
    attended_terms(c, (const float *)weighted.data, score_sizes(c, longest_key_of(c)));
    free(v.data);
    free(weighted.data);
}

void xr_cuda_find_paged_terms(Call *c, const XrKvCache *sizes, XrSegments queries,
                              XrPageTables tables, double longest_key) {
    const XrTensor *q = xr_mirror(c, "q");
    XrTensor weighted = sizes_of(q);
    c->cpu->ops->attention_paged(c->cpu, &weighted, q, sizes, queries, tables, c->heads);
    attended_terms(c, (const float *)weighted.data, score_sizes(c, longest_key));
    free(weighted.data);
}

// What the gradients of one query row are made of.
typedef struct Query {
    const float *q, *dout, *out;
    double lse, size; // size: of scores' errors
} Query;

typedef struct Gradients {
    double *dq, *dk, *dv; // of the call's heads; squares, but dv
    double *pulled;       // [head_dim], scratch: sum_j p_j k_j
} Gradients;

static double dot(const float *a, const float *b, int64_t count) {
    double sum = 0;
    for (int64_t d = 0; d < count; d++) sum += (double)a[d] * b[d];
    return sum;
}

static double squared_dot(const float *a, const float *b, int64_t count) {
    double sum = 0;
    for (int64_t d = 0; d < count; d++) sum += (double)a[d] * b[d] * a[d] * b[d];
    return sum;
}

// dS = p (dP - D), dP = dout v, D = dout out. Its error goes with dS itself, which bf16 rounds, and
// with p times the terms of dP and D; those of different keys are independent, but for D's.
// Squares of these, times the other operand's, are added up: dq over keys, dk over queries.
// dv, p^T dout, has no terms that cancel before they are summed: their sizes.
static void add_query(const Call *c, const Gradients *out, const Query *query, const float *k,
                      const float *v, int64_t stride, int64_t keys) {
    int64_t dim = c->heads.head_dim;
    double scale = c->heads.scale, d_sum = dot(query->dout, query->out, dim);
    double d_terms = squared_dot(query->dout, query->out, dim);
    memset(out->pulled, 0, sizeof(double) * (size_t)dim);
    for (int64_t j = 0; j < keys; j++) {
        const float *key = k + j * stride, *value = v + j * stride;
        double p = exp(scale * dot(query->q, key, dim) - query->lse);
        double ds = p * (dot(query->dout, value, dim) - d_sum);
        double own =
            query->size * query->size * (ds * ds + p * p * squared_dot(query->dout, value, dim));
        for (int64_t d = 0; d < dim; d++) {
            double kd = key[d], qd = query->q[d];
            out->dq[d] += own * kd * kd;
            out->pulled[d] += p * kd;
            out->dk[j * stride + d] += (own + p * p * d_terms) * qd * qd;
            out->dv[j * stride + d] += p * query->size * fabs((double)query->dout[d]);
        }
    }
    for (int64_t d = 0; d < dim; d++) out->dq[d] += d_terms * out->pulled[d] * out->pulled[d];
}

typedef struct Backward {
    Call *c;
    double *dq, *dk, *dv, *sizes;
} Backward;

// One key/value head of the batch.
static void head_terms(void *context, int64_t begin, int64_t end, int) {
    const Backward *b = (const Backward *)context;
    const Call *c = b->c;
    const XrHeads *h = &c->heads;
    const XrTensor *q = xr_mirror(c, "q"), *k = xr_mirror(c, "k"), *cu = xr_mirror(c, "segments");
    int64_t dim = h->head_dim, group = h->heads / h->kv_heads, stride = xr_row_size(k);
    double *pulled = zeros(dim);
    for (int64_t head = begin; head < end; head++) {
        for (int64_t s = 0; s + 1 < cu->shape[0]; s++) {
            int64_t first = ((const int32_t *)cu->data)[s],
                    past = ((const int32_t *)cu->data)[s + 1];
            int64_t at = first * stride + head * dim;
            for (int64_t row = first * group; row < past * group; row++) {
                int64_t t = row / group, place = t * h->heads + head * group + row % group;
                Query query = {(const float *)q->data + place * dim,
                               (const float *)xr_mirror(c, "dout")->data + place * dim,
                               (const float *)xr_mirror(c, "out")->data + place * dim,
                               ((const float *)xr_mirror(c, "lse")->data)[place], b->sizes[place]};
                Gradients out = {b->dq + place * dim, b->dk + at, b->dv + at, pulled};
                add_query(c, &out, &query, (const float *)k->data + at,
                          (const float *)xr_mirror(c, "v")->data + at, stride,
                          h->causal ? t + 1 - first : past - first);
            }
        }
    }
    free(pulled);
}

static void attention_backward(Call *c) {
    const XrTensor *q = xr_mirror(c, "q"), *k = xr_mirror(c, "k");
    double share = f32_share(c, "dq"), *sizes = score_sizes(c, longest_key_of(c));
    for (int64_t i = 0; i < q->shape[0] * c->heads.heads; i++) {
        sizes[i] = 1 - share + share * sizes[i];
    }
    Backward b = {c, terms_of(c, "dq"), terms_of(c, "dk"), terms_of(c, "dv"), sizes};
    xr_cpu_parallel(c->cpu, c->heads.kv_heads, 1, head_terms, &b);
    for (int64_t i = 0; i < xr_numel(q); i++) b.dq[i] = c->heads.scale * sqrt(b.dq[i]);
    for (int64_t i = 0; i < xr_numel(k); i++) b.dk[i] = c->heads.scale * sqrt(b.dk[i]);
    free(sizes);
}

// ---- log-probabilities, sampling, the loss ----

// Log-probabilities and entropies are differences of logits, sums of terms up to |hidden| |head|,
// and of the logarithm of a sum.
static void logprob(Call *c) {
    const XrTensor *hidden = xr_mirror(c, "hidden"), *head = xr_mirror(c, "head");
    int64_t rows = hidden->shape[0], vocabulary = head->shape[0];
    double *ours = row_norms(hidden), *theirs = row_norms(head);
    double most = largest(theirs, vocabulary) / c->number, *logits = terms_of(c, "logits");
    const char *const names[] = {"logprob", "entropy", "lse"};
    for (int n = 0; n < 3; n++) {
        double *terms = terms_of(c, names[n]);
        for (int64_t t = 0; terms && t < rows; t++) terms[t] = 1 + ours[t] * most;
    }
    for (int64_t i = 0; logits && i < rows * vocabulary; i++) {
        logits[i] = ours[i / vocabulary] * theirs[i % vocabulary] / c->number;
    }
    free(ours);
    free(theirs);
}

static double logit(const Call *c, int64_t row, int64_t id) {
    const XrTensor *hidden = xr_mirror(c, "hidden"), *head = xr_mirror(c, "head");
    return dot(row_of(hidden, row), row_of(head, id), xr_row_size(head)) / c->number;
}

void xr_cuda_forgive_ties(const Call *c, XrTensor *got, const XrTensor *want) {
    XrTolerance t = xr_tolerance_of("logprob", "logprob");
    const double *terms = NULL;
    for (int i = 0; i < c->count; i++) {
        if (strcmp(c->mirrors[i].name, "logprob") == 0) terms = c->mirrors[i].terms;
    }
    int32_t *ours = (int32_t *)got->data;
    const int32_t *theirs = (const int32_t *)want->data;
    int64_t vocabulary = xr_mirror(c, "head")->shape[0];
    for (int64_t i = 0; terms && i < want->shape[0]; i++) {
        if (ours[i] == theirs[i] || ours[i] < 0 || ours[i] >= vocabulary || theirs[i] < 0) continue;
        double apart = logit(c, i, theirs[i]) - logit(c, i, ours[i]);
        if (fabs(apart) <= 2 * t.absolute * terms[i]) ours[i] = theirs[i];
    }
}

// dz = dlogprob (onehot - p) / temperature, with the error of p and, in bf16, rounded. Without
// logits, which training keeps, p - onehot counts as 1.
static void logprob_backward(Call *c) {
    const XrTensor *hidden = xr_mirror(c, "hidden"), *head = xr_mirror(c, "head"),
                   *logits = xr_mirror(c, "logits");
    const float *given = row_of(xr_mirror(c, "dlogprob"), 0), *lse = row_of(xr_mirror(c, "lse"), 0);
    const int32_t *targets = (const int32_t *)xr_mirror(c, "targets")->data;
    double *dhidden = terms_of(c, "dhidden"), *dhead = terms_of(c, "dhead");
    double share = f32_share(c, "dhidden"), *ours = row_norms(hidden), *theirs = row_norms(head);
    double *peaks = column_peaks(head), *columns = column_peaks(hidden);
    int64_t vocabulary = head->shape[0], width = xr_row_size(head);
    double most = largest(theirs, vocabulary) / c->number, *in_all = zeros(vocabulary);
    for (int64_t t = 0; t < hidden->shape[0]; t++) {
        if (targets[t] < 0) continue;
        double size = fabs((double)given[t]) / c->number, noise = share * (1 + ours[t] * most);
        double open = 0;
        for (int64_t v = 0; v < vocabulary; v++) {
            double p = logits ? exp((double)row_of(logits, t)[v] - lse[t]) : 1;
            double part = fabs((logits && v == targets[t]) - p);
            open = fmax(open, part);
            in_all[v] += size * (part + noise * p);
        }
        for (int64_t d = 0; d < width; d++) {
            dhidden[t * width + d] = size * peaks[d] * (open + noise);
        }
    }
    for (int64_t i = 0; dhead && i < vocabulary * width; i++) {
        const float *before = (const float *)xr_mirror(c, "dhead")->data;
        dhead[i] = in_all[i / width] * columns[i % width] + fabs((double)before[i]);
    }
    free(ours);
    free(theirs);
    free(peaks);
    free(columns);
    free(in_all);
}

// As `logprob`, of logits that are given.
static void sample(Call *c) {
    const XrTensor *logits = xr_mirror(c, "logits");
    double *logprob = terms_of(c, "logprob"), *scaled = terms_of(c, "scaled");
    for (int64_t b = 0; b < logits->shape[0]; b++) {
        double most = 0, temperature = c->params[b].temperature;
        for (int64_t v = 0; v < xr_row_size(logits); v++) {
            double size = fabs((double)row_of(logits, b)[v]);
            if (isfinite(size)) most = fmax(most, size);
        }
        logprob[b] = 1 + most;
        scaled[b] = 1 + (temperature > 0 ? most / temperature : most);
    }
}

// Advantage times ratio, and the divergence: e^x - x - 1 is little where x is.
static void grpo_loss(Call *c) {
    const XrTensor *logprob = xr_mirror(c, "logprob"), *reference = xr_mirror(c, "reference");
    const float *now = row_of(logprob, 0), *old = row_of(xr_mirror(c, "old"), 0);
    const float *advantage = row_of(xr_mirror(c, "advantage"), 0);
    const float *weight = row_of(xr_mirror(c, "weight"), 0);
    double *loss = terms_of(c, "loss"), *slope = terms_of(c, "dlogprob"), *kl = terms_of(c, "kl");
    for (int64_t t = 0; t < logprob->shape[0]; t++) {
        double x = reference ? (double)row_of(reference, 0)[t] - now[t] : 0;
        double apart = 1 + fabs(x) + exp(fmin(x, 20)),
               ratio = exp(fmin((double)now[t] - old[t], 20));
        if (kl) kl[t] = apart;
        loss[t] = fabs((double)weight[t]) * (fabs((double)advantage[t]) * (1 + ratio) + apart);
        if (slope) slope[t] = loss[t];
    }
}

// m + (1 - beta1)(g - m).
static void adamw(Call *c) {
    const float *m = row_of(xr_mirror(c, "m"), 0), *grad = row_of(xr_mirror(c, "grad"), 0);
    double *terms = terms_of(c, "m");
    for (int64_t i = 0; i < xr_numel(xr_mirror(c, "m")); i++) {
        terms[i] = fabs((double)m[i]) + fabs((double)grad[i]);
    }
}

void xr_cuda_find_terms(Call *c) {
    static const struct {
        const char *operation;
        void (*find)(Call *);
    } finders[] = {
        {"linear", linear},
        {"linears", linears},
        {"linear_backward_input", linear_backward_input},
        {"linear_backward_weight", linear_backward_weight},
        {"rmsnorm_backward", rmsnorm_backward},
        {"rope", rope},
        {"swiglu_backward", swiglu_backward},
        {"gelu_backward", gelu_backward},
        {"attention", attention},
        {"attention_backward", attention_backward},
        {"logprob", logprob},
        {"logprob_backward", logprob_backward},
        {"sample", sample},
        {"grpo_loss", grpo_loss},
        {"adamw", adamw},
    };
    for (size_t i = 0; i < sizeof finders / sizeof *finders; i++) {
        if (strcmp(finders[i].operation, c->operation) == 0) finders[i].find(c);
    }
}
