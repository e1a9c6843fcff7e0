// The table of operations: everything that the model, the sampler and the trainers compute. A
// backend (ref/ on the CPU, cuda/ on a GPU) fills an XrOps; the functions xr_NAME below check
// shapes and types once, for every backend, and then call it. Forward and backward of an operation
// stand together.
//
// Order of arguments: outputs, saved statistics, inputs, weights, scalars; backward: gradients out,
// gradient in, forward inputs, saved statistics. Gradients of weights accumulate (+=), gradients of
// activations are overwritten (=).
//
// Batches are ragged: the tokens of all sequences lie one after the other, T rows in all, without
// padding; `cu` [B+1] i32 marks where each of B sequences starts (cu[0] = 0, cu[B] = T).
// Activations are 2-D, rows may be strided (column slices), f32 or bf16, all of one operation alike
// (the CPU takes f32 alone). T may be 0. Weights may be f32, bf16 or f16; what is computed is as if
// they and the activations were converted to f32 first, and sums are in f32.
//
// Batch invariance: each row of an output depends on that row's inputs alone, and is summed in one
// order, whatever T, the other rows, the number of threads or the grouping into calls.
//
// Tensors that hold indices live in the backend's memory like all others. docs/operations.md has
// the formulas with their sources.
#ifndef XR_TENSOR_OPS_H
#define XR_TENSOR_OPS_H

#include "shared/tensor/tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct XrBackend XrBackend;

// Up to three linear layers that read one x: y[T,N] and w[N,K] of each, bias[N] or NULL.
enum { XR_MOST_LINEARS = 3 };
typedef struct XrLinears {
    int count;
    struct {
        const XrTensor *y, *w, *bias;
    } part[XR_MOST_LINEARS];
} XrLinears;

// Sequences of a ragged batch.
typedef struct XrSegments {
    const XrTensor *cu; // i32 [B+1]
    int64_t longest;    // length of the longest, known to the host
} XrSegments;

// Shape of multi-head attention. Query head h reads key/value head h / (heads / kv_heads).
typedef struct XrHeads {
    int heads, kv_heads, head_dim;
    float scale; // multiplies q.k
    bool causal; // query i of a sequence sees keys 0..i of it; otherwise all of them
} XrHeads;

// Keys and values of one layer, in pages of XR_KV_PAGE tokens. The layout inside a page is the
// backend's own; a page has kv_page_bytes() bytes (shared/tensor/backend.h). Slot s is token s %
// XR_KV_PAGE of page s / XR_KV_PAGE.
enum { XR_KV_PAGE = 32 };
typedef struct XrKvCache {
    void *data; // pages * page bytes, from xr_alloc
    int64_t pages;
    int kv_heads, head_dim;
    XrDType dtype; // of the keys and values that are written
} XrKvCache;

// Which pages each of B sequences of a batch has, in order, and how many tokens they hold.
typedef struct XrPageTables {
    const XrTensor *pages;   // i32 [B, most pages of a sequence]; entries past the end are ignored
    const XrTensor *lengths; // i32 [B] tokens in the cache, those of this call included
    int64_t longest;         // the largest length, known to the host
} XrPageTables;

// How to draw one token; an array of these lies in the backend's memory, one a row of logits.
// Applied in transformers' order: repetition penalty, temperature, top-k, top-p.
typedef struct XrSampleParams {
    float temperature;               // 0: the most likely token (lowest id among equals)
    float top_p;                     // 1: off
    float repetition_penalty;        // 1: off
    int32_t top_k;                   // 0: off
    uint64_t seed, stream, position; // of the random draw (shared/base/rng.h)
    // Ranges in the list `ids`: what the penalty is for, once each, and what is never drawn.
    int32_t seen_begin, seen_end;
    int32_t suppress_begin, suppress_end;
} XrSampleParams;

// One step of AdamW. `step` counts from 1. The gradient is multiplied by grad_scale first (clipping
// by the global norm).
typedef struct XrAdamW {
    double lr, beta1, beta2, eps, weight_decay, grad_scale;
    int64_t step;
} XrAdamW;

typedef enum XrKl { XR_KL_NONE, XR_KL_K1, XR_KL_K2, XR_KL_K3 } XrKl;

// The clipped policy objective. dual_clip 0: off, otherwise > 1.
typedef struct XrGrpo {
    float epsilon_low, epsilon_high, dual_clip;
    float beta; // weight of the divergence
    XrKl kl;    // its estimator
} XrGrpo;

// What grpo_loss says of a token.
enum {
    XR_CLIPPED_LOW = 1,  // ratio < 1 - epsilon_low, advantage < 0
    XR_CLIPPED_HIGH = 2, // ratio > 1 + epsilon_high, advantage > 0
    XR_CLIPPED_DUAL = 4, // bounded by dual_clip
};

// X(name, (parameters), (arguments)) for every operation. `b` is the backend.
#define XR_OPS(X)                                                                                  \
    /* y[T,N] = x[T,K] w[N,K]^T + bias[N]; bias may be NULL. y may be f32 where x is bf16. */      \
    X(linear, (const XrTensor *y, const XrTensor *x, const XrTensor *w, const XrTensor *bias),     \
      (y, x, w, bias))                                                                             \
    /* y = x w^T + bias of each part, as `linear` of each; x[T,K]. */                              \
    X(linears, (XrLinears parts, const XrTensor *x), (parts, x))                                   \
    /* dx[T,K] = dy[T,N] w[N,K], or += where `accumulate` (several layers read one x). */          \
    X(linear_backward_input,                                                                       \
      (const XrTensor *dx, const XrTensor *dy, const XrTensor *w, bool accumulate),                \
      (dx, dy, w, accumulate))                                                                     \
    /* dw[N,K] += dy[T,N]^T x[T,K]; dbias[N] += column sums of dy; either may be NULL. */          \
    X(linear_backward_weight,                                                                      \
      (const XrTensor *dw, const XrTensor *dbias, const XrTensor *dy, const XrTensor *x),          \
      (dw, dbias, dy, x))                                                                          \
    /* rstd[t] = (mean_d x[t,d]^2 + eps)^-1/2; y[t,d] = w[d] x[t,d] rstd[t]. rstd may be NULL,     \
       y may be x. */                                                                              \
    X(rmsnorm,                                                                                     \
      (const XrTensor *y, const XrTensor *rstd, const XrTensor *x, const XrTensor *w, float eps),  \
      (y, rstd, x, w, eps))                                                                        \
    /* sum[T,D] = x + delta, then as rmsnorm of sum. sum may be x. */                              \
    X(add_rmsnorm,                                                                                 \
      (const XrTensor *y, const XrTensor *sum, const XrTensor *rstd, const XrTensor *x,            \
       const XrTensor *delta, const XrTensor *w, float eps),                                       \
      (y, sum, rstd, x, delta, w, eps))                                                            \
    /* g = dy w: dx = rstd (g - x rstd^2 mean_d(g x)) + dsum; dw[d] += sum_t dy x rstd. dsum (the  \
       gradient that reaches the sum by its other way) and dw may be NULL; dsum may be dx. */      \
    X(rmsnorm_backward,                                                                            \
      (const XrTensor *dx, const XrTensor *dw, const XrTensor *dy, const XrTensor *dsum,           \
       const XrTensor *x, const XrTensor *w, const XrTensor *rstd),                                \
      (dx, dw, dy, dsum, x, w, rstd))                                                              \
    /* Angles: cos[t,i], sin[t,i] of positions[axis[i],t] * inv_freq[i], i < head_dim/2.           \
       positions i32 [A,T], inv_freq f32 [head_dim/2], axis i32 [head_dim/2]. */                   \
    X(rope_table,                                                                                  \
      (const XrTensor *cos, const XrTensor *sin, const XrTensor *positions,                        \
       const XrTensor *inv_freq, const XrTensor *axis),                                            \
      (cos, sin, positions, inv_freq, axis))                                                       \
    /* In place on q[T, heads*head_dim] and k[T, kv_heads*head_dim]: each pair                     \
       (a, b) = (x[i], x[i + head_dim/2]) of a head becomes (a cos - b sin, b cos + a sin).        \
       `inverse` rotates back, which is the backward. */                                           \
    X(rope,                                                                                        \
      (const XrTensor *q, const XrTensor *k, const XrTensor *cos, const XrTensor *sin,             \
       XrHeads heads, bool inverse),                                                               \
      (q, k, cos, sin, heads, inverse))                                                            \
    /* Attention inside each sequence: p = softmax(scale q k^T), out = p v.                        \
       out, q [T, heads*head_dim], k, v [T, kv_heads*head_dim]; lse [T, heads] f32 receives the    \
       logarithm of each softmax's denominator and may be NULL. */                                 \
    X(attention,                                                                                   \
      (const XrTensor *out, const XrTensor *lse, const XrTensor *q, const XrTensor *k,             \
       const XrTensor *v, XrSegments segments, XrHeads heads),                                     \
      (out, lse, q, k, v, segments, heads))                                                        \
    /* D = rowsum(dout out), dS = p (dout v^T - D): dq = scale dS k, dk = scale dS^T q,            \
       dv = p^T dout, summed over the query heads that share a key/value head. */                  \
    X(attention_backward,                                                                          \
      (const XrTensor *dq, const XrTensor *dk, const XrTensor *dv, const XrTensor *dout,           \
       const XrTensor *q, const XrTensor *k, const XrTensor *v, const XrTensor *out,               \
       const XrTensor *lse, XrSegments segments, XrHeads heads),                                   \
      (dq, dk, dv, dout, q, k, v, out, lse, segments, heads))                                      \
    /* Stores k, v [T, kv_heads*head_dim] in slots[T] i32 of a layer's cache. */                   \
    X(kv_write,                                                                                    \
      (const XrKvCache *cache, const XrTensor *k, const XrTensor *v, const XrTensor *slots),       \
      (cache, k, v, slots))                                                                        \
    /* Copies page from[i] to page to[i]; i32 [n] each. */                                         \
    X(kv_copy_pages, (const XrKvCache *cache, const XrTensor *from, const XrTensor *to),           \
      (cache, from, to))                                                                           \
    /* Causal attention of new tokens over a cache that already holds their keys and values. The   \
       queries of sequence b are its last cu[b+1]-cu[b] tokens. The same bits as `attention`,      \
       where the backend is batch_invariant. */                                                    \
    X(attention_paged,                                                                             \
      (const XrTensor *out, const XrTensor *q, const XrKvCache *cache, XrSegments queries,         \
       XrPageTables tables, XrHeads heads),                                                        \
      (out, q, cache, queries, tables, heads))                                                     \
    /* h[T,I] = silu(gate) up. h may be gate or up. */                                             \
    X(swiglu, (const XrTensor *h, const XrTensor *gate, const XrTensor *up), (h, gate, up))        \
    /* dgate = dh up s(1 + gate(1 - s)), dup = dh gate s, s = sigmoid(gate); outputs may be the    \
       inputs' memory. */                                                                          \
    X(swiglu_backward,                                                                             \
      (const XrTensor *dgate, const XrTensor *dup, const XrTensor *dh, const XrTensor *gate,       \
       const XrTensor *up),                                                                        \
      (dgate, dup, dh, gate, up))                                                                  \
    /* y = x Phi(x), Phi the normal distribution function (erf form). y may be x. */               \
    X(gelu, (const XrTensor *y, const XrTensor *x), (y, x))                                        \
    /* dx = dy (Phi(x) + x phi(x)). dx may be dy or x. */                                          \
    X(gelu_backward, (const XrTensor *dx, const XrTensor *dy, const XrTensor *x), (dx, dy, x))     \
    /* x[t] = table[ids[t]]; rows with a negative id become 0. table [V,D], ids i32 [T]. */        \
    X(embedding, (const XrTensor *x, const XrTensor *table, const XrTensor *ids), (x, table, ids)) \
    /* dtable[ids[t]] += dx[t], in the order of t; negative ids are skipped. */                    \
    X(embedding_backward, (const XrTensor *dtable, const XrTensor *dx, const XrTensor *ids),       \
      (dtable, dx, ids))                                                                           \
    /* y[i] = x[index[i]]; index i32 [rows of y]. The backward of scatter_rows. */                 \
    X(gather_rows, (const XrTensor *y, const XrTensor *x, const XrTensor *index), (y, x, index))   \
    /* y[index[i]] = x[i], indices distinct; other rows of y keep their values. */                 \
    X(scatter_rows, (const XrTensor *y, const XrTensor *x, const XrTensor *index), (y, x, index))  \
    /* z = hidden[t] head^T / temperature: lse[t] = log sum_v e^z_v,                               \
       logprob[t] = z_target - lse, entropy[t] = lse - sum_v softmax(z)_v z_v, best[t] i32 = the   \
       lowest v of the largest z_v, -1 where one is NaN. Rows with a negative target get logprob   \
       0. logits f32 [T,V] receives z, for logprob_backward; without it z is never stored whole.   \
       entropy, best, lse and logits may be NULL. hidden [T,D], head [V,D]. */                     \
    X(logprob,                                                                                     \
      (const XrTensor *logprob, const XrTensor *entropy, const XrTensor *best,                     \
       const XrTensor *lse, const XrTensor *logits, const XrTensor *hidden, const XrTensor *head,  \
       const XrTensor *targets, float temperature),                                                \
      (logprob, entropy, best, lse, logits, hidden, head, targets, temperature))                   \
    /* dz = dlogprob[t] (onehot(target) - softmax(z)) / temperature: dhidden = dz head,            \
       dhead += dz^T hidden. Rows with a negative target get 0. logits f32 [T,V], z as logprob     \
       left it, spare that z is computed again; their memory may be used. dhead and logits may be  \
       NULL. */                                                                                    \
    X(logprob_backward,                                                                            \
      (const XrTensor *dhidden, const XrTensor *dhead, const XrTensor *dlogprob,                   \
       const XrTensor *logits, const XrTensor *hidden, const XrTensor *head,                       \
       const XrTensor *targets, const XrTensor *lse, float temperature),                           \
      (dhidden, dhead, dlogprob, logits, hidden, head, targets, lse, temperature))                 \
    /* Draws tokens[B] i32 from logits [B,V] f32 (which it may overwrite). logprob[B] is the       \
       token's log-probability under softmax(logits), scaled[B] under softmax(logits/temperature)  \
       (equal to logprob at temperature 0 and 1): both before penalty and truncation, and the same \
       bits as `logprob` gives. ids i32 [n] holds the ids that penalties are for and those that    \
       are never drawn; which of them are a row's, its params say. A NaN logit is never drawn and  \
       makes both log-probabilities NaN; where no logit is above -infinity the token is the lowest \
       id that is not suppressed. params: B of them in the backend's memory. */                    \
    X(sample,                                                                                      \
      (const XrTensor *tokens, const XrTensor *logprob, const XrTensor *scaled,                    \
       const XrTensor *logits, const XrTensor *ids, const XrSampleParams *params),                 \
      (tokens, logprob, scaled, logits, ids, params))                                              \
    /* With d = logprob - old, r = exp(d) and A = advantage, for each of T tokens:                 \
       loss = weight (max(-A r, -A clip(r, 1 - epsilon_low, 1 + epsilon_high)) + beta kl), for     \
       A < 0 the maximum at most -A dual_clip; dlogprob is its derivative. kl: k1 = -x,            \
       k2 = x^2/2, k3 = e^x - x - 1 with x = reference - logprob. Exponents are held within +-20.  \
       All f32 [T]; clipped i32 [T] of XR_CLIPPED_x. kl and clipped may be NULL; reference may be  \
       where the estimator is XR_KL_NONE. A token of weight 0 gets zeros, whatever it holds. */    \
    X(grpo_loss,                                                                                   \
      (const XrTensor *loss, const XrTensor *dlogprob, const XrTensor *kl,                         \
       const XrTensor *clipped, const XrTensor *logprob, const XrTensor *old,                      \
       const XrTensor *reference, const XrTensor *advantage, const XrTensor *weight,               \
       XrGrpo settings),                                                                           \
      (loss, dlogprob, kl, clipped, logprob, old, reference, advantage, weight, settings))         \
    /* sum[0] += sum_i x[i]^2, f64 [1] and f32 [n]: one contribution to the global norm. */        \
    X(squared_norm, (const XrTensor *sum, const XrTensor *x), (sum, x))                            \
    /* g = grad_scale grad; m += (1 - beta1)(g - m); v = beta2 v + (1 - beta2) g^2;                \
       p = (1 - lr weight_decay) p - lr mhat / (sqrt(vhat) + eps), mhat = m / (1 - beta1^step),    \
       vhat = v / (1 - beta2^step). All f32 [n]; p, m and v are changed in place. rounded bf16 [n] \
       = p to the nearest, ties to even; it may be NULL. */                                        \
    X(adamw,                                                                                       \
      (const XrTensor *p, const XrTensor *m, const XrTensor *v, const XrTensor *rounded,           \
       const XrTensor *grad, XrAdamW settings),                                                    \
      (p, m, v, rounded, grad, settings))                                                          \
    /* y bf16 [n] = x f32 [n] to the nearest, ties to even. */                                     \
    X(round_bf16, (const XrTensor *y, const XrTensor *x), (y, x))

#define XR_UNWRAP(...) __VA_ARGS__
#define XR_DECLARE_OP_FIELD(name, parameters, arguments)                                           \
    void (*name)(XrBackend * b, XR_UNWRAP parameters);
#define XR_DECLARE_OP(name, parameters, arguments)                                                 \
    void xr_##name(XrBackend *b, XR_UNWRAP parameters);

typedef struct XrOps {
    XR_OPS(XR_DECLARE_OP_FIELD)
} XrOps;

XR_OPS(XR_DECLARE_OP)

#ifdef __cplusplus
}
#endif

#endif
