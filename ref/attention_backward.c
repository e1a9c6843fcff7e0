// Gradients of attention. The scores of a block of keys and a block of query rows are computed
// again from lse; one task does all of a sequence's key/value head, so that every sum has one
// order.
#include "ref/attention_pages.h"
#include "ref/cpu.h"
#include "ref/widen.h"
#include "shared/base/memory.h"

#include <math.h>
#include <string.h>

enum { BLOCK = XR_KV_PAGE, SQUARE = BLOCK * BLOCK };

typedef struct Gradient {
    XrBackend *backend;
    const XrAttentionKernels *kernels;
    const XrTensor *dq, *dk, *dv, *dout, *q, *k, *v, *out, *lse;
    const int32_t *cu;
    XrHeads heads;
    int64_t group, width; // query heads a key/value head; padded head_dim
} Gradient;

// Memory of a task. Rows are (token, query head of the group) pairs of one sequence.
typedef struct Task {
    int64_t first, tokens, head;
    float *q, *dout, *dq;    // [tokens * group, width]; q is scaled
    float *lse, *dot;        // [tokens * group]
    float *keys, *values_t;  // [head_dim, BLOCK]
    float *key_rows, *value; // [BLOCK, width]; value only to transpose
    float *dk, *dv;          // [BLOCK, width]
    float *p, *ds, *turned;  // [BLOCK rows, BLOCK keys]; turned: one of them transposed
    int32_t seen[BLOCK];
} Task;

static float *at(const XrTensor *t, int64_t row, int64_t column) {
    return (float *)t->data + row * t->row_stride + column;
}

static void place(const Gradient *g, Task *t, int64_t longest, int thread) {
    int64_t rows = (longest * g->group + BLOCK - 1) / BLOCK * BLOCK;
    int64_t wide = BLOCK * g->width;
    struct {
        float **to;
        int64_t floats;
    } parts[] = {{&t->q, rows * g->width},
                 {&t->dout, rows * g->width},
                 {&t->dq, rows * g->width},
                 {&t->lse, rows},
                 {&t->dot, rows},
                 {&t->keys, wide},
                 {&t->values_t, wide},
                 {&t->key_rows, wide},
                 {&t->value, wide},
                 {&t->dk, wide},
                 {&t->dv, wide},
                 {&t->p, SQUARE},
                 {&t->ds, SQUARE},
                 {&t->turned, SQUARE}};
    int64_t total = 0;
    for (size_t i = 0; i < XR_COUNT(parts); i++) total += parts[i].floats;
    float *memory = xr_cpu_scratch(g->backend, thread, (size_t)total * sizeof *memory);
    for (size_t i = 0; i < XR_COUNT(parts); i++) {
        *parts[i].to = memory;
        memory += parts[i].floats;
    }
}

// Rows of all the sequence's queries: q scaled, dout, lse and D = dout . out.
static void load_rows(const Gradient *g, Task *t) {
    int64_t dim = g->heads.head_dim, rows = t->tokens * g->group;
    memset(t->q, 0, (size_t)(rows * g->width) * sizeof(float));
    memset(t->dout, 0, (size_t)(rows * g->width) * sizeof(float));
    memset(t->dq, 0, (size_t)(rows * g->width) * sizeof(float));
    for (int64_t r = 0; r < rows; r++) {
        int64_t token = t->first + r / g->group, h = t->head * g->group + r % g->group;
        const float *q = at(g->q, token, h * dim), *out = at(g->out, token, h * dim);
        const float *dout = at(g->dout, token, h * dim);
        double dot = 0;
        for (int64_t d = 0; d < dim; d++) {
            t->q[r * g->width + d] = q[d] * g->heads.scale;
            t->dout[r * g->width + d] = dout[d];
            dot += (double)dout[d] * (double)out[d];
        }
        t->dot[r] = (float)dot;
        t->lse[r] = *at(g->lse, token, h);
    }
}

static void load_keys(const Gradient *g, Task *t, int64_t key, int64_t count) {
    int64_t dim = g->heads.head_dim, column = t->head * dim;
    const float *k = at(g->k, t->first + key, column), *v = at(g->v, t->first + key, column);
    memset(t->keys, 0, (size_t)(BLOCK * g->width) * sizeof(float));
    memset(t->values_t, 0, (size_t)(BLOCK * g->width) * sizeof(float));
    memset(t->key_rows, 0, (size_t)(BLOCK * g->width) * sizeof(float));
    g->kernels->transpose(t->keys, k, g->k->row_stride, count, dim);
    g->kernels->transpose(t->values_t, v, g->v->row_stride, count, dim);
    for (int64_t j = 0; j < count; j++) {
        memcpy(t->key_rows + j * g->width, k + j * g->k->row_stride, (size_t)dim * sizeof *k);
    }
    memset(t->dk, 0, (size_t)(BLOCK * g->width) * sizeof(float));
    memset(t->dv, 0, (size_t)(BLOCK * g->width) * sizeof(float));
}

// `rows` rows from `row` on, against the loaded block of `count` keys from `key` on.
static void pass_rows(const Gradient *g, Task *t, int64_t row, int64_t rows, int64_t key,
                      int64_t count) {
    const XrAttentionKernels *kernels = g->kernels;
    int64_t dim = g->heads.head_dim, width = g->width;
    const float *q = t->q + row * width, *dout = t->dout + row * width;
    for (int64_t r = 0; r < rows; r++) {
        int64_t limit = g->heads.causal ? (row + r) / g->group + 1 : t->tokens;
        t->seen[r] = (int32_t)XR_MAX(0, XR_MIN(count, limit - key));
    }
    kernels->scores(t->p, q, width, rows, dim, t->keys, 0);
    kernels->probabilities(t->p, t->lse + row, t->seen, rows);
    kernels->scores(t->ds, dout, width, rows, dim, t->values_t, 0);
    kernels->score_gradients(t->ds, t->p, t->dot + row, rows);
    kernels->accumulate(t->dq + row * width, t->ds, rows, t->key_rows, width, count, 0);
    kernels->transpose(t->turned, t->p, BLOCK, rows, BLOCK);
    kernels->accumulate(t->dv, t->turned, count, dout, width, rows, 0);
    kernels->transpose(t->turned, t->ds, BLOCK, rows, BLOCK);
    kernels->accumulate(t->dk, t->turned, count, q, width, rows, 0);
}

static void store_keys(const Gradient *g, const Task *t, int64_t key, int64_t count) {
    int64_t dim = g->heads.head_dim, column = t->head * dim;
    for (int64_t j = 0; j < count; j++) {
        size_t bytes = (size_t)dim * sizeof(float);
        memcpy(at(g->dk, t->first + key + j, column), t->dk + j * g->width, bytes);
        memcpy(at(g->dv, t->first + key + j, column), t->dv + j * g->width, bytes);
    }
}

static void store_rows(const Gradient *g, const Task *t) {
    int64_t dim = g->heads.head_dim;
    for (int64_t r = 0; r < t->tokens * g->group; r++) {
        int64_t token = t->first + r / g->group, h = t->head * g->group + r % g->group;
        float *dq = at(g->dq, token, h * dim);
        for (int64_t d = 0; d < dim; d++) dq[d] = t->dq[r * g->width + d] * g->heads.scale;
    }
}

static void differentiate(void *context, int64_t begin, int64_t end, int thread) {
    const Gradient *g = context;
    for (int64_t i = begin; i < end; i++) {
        int64_t sequence = i / g->heads.kv_heads;
        Task t = {.first = g->cu[sequence], .head = i % g->heads.kv_heads};
        t.tokens = g->cu[sequence + 1] - t.first;
        if (t.tokens == 0) continue;
        place(g, &t, t.tokens, thread);
        load_rows(g, &t);
        int64_t rows = t.tokens * g->group;
        for (int64_t key = 0; key < t.tokens; key += BLOCK) {
            int64_t count = XR_MIN(BLOCK, t.tokens - key);
            load_keys(g, &t, key, count);
            int64_t from = g->heads.causal ? key * g->group / BLOCK * BLOCK : 0;
            for (int64_t row = from; row < rows; row += BLOCK) {
                pass_rows(g, &t, row, XR_MIN(BLOCK, rows - row), key, count);
            }
            store_keys(g, &t, key, count);
        }
        store_rows(g, &t);
    }
}

void xr_cpu_attention_backward(XrBackend *b, const XrTensor *dq, const XrTensor *dk,
                               const XrTensor *dv, const XrTensor *dout, const XrTensor *q,
                               const XrTensor *k, const XrTensor *v, const XrTensor *out,
                               const XrTensor *lse, XrSegments segments, XrHeads heads) {
    xr_cpu_require_f32(q, "attention_backward");
    Gradient g = {.backend = b,
                  .kernels = XR_CHOOSE_KERNELS(xr_attention_kernels),
                  .dq = dq,
                  .dk = dk,
                  .dv = dv,
                  .dout = dout,
                  .q = q,
                  .k = k,
                  .v = v,
                  .out = out,
                  .lse = lse,
                  .cu = segments.cu->data,
                  .heads = heads,
                  .group = heads.heads / heads.kv_heads,
                  .width = xr_head_width(heads.head_dim)};
    xr_cpu_parallel(b, (segments.cu->shape[0] - 1) * heads.kv_heads, 1, differentiate, &g);
}
