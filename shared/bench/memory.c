// Operations that memory bounds, at the 7B model's sizes: normalisation, rotary positions, gated
// activation, and a step of the optimiser. Bytes are those that must be read and written.
#include "shared/bench/bench.h"
#include "shared/bench/numbers.h"

#include "shared/base/memory.h"

#include <stdlib.h>

enum { MOST = 5 };

typedef struct Memory {
    XrBackend *b;
    XrHeads heads;
    XrTensor t[MOST];
} Memory;

static Memory *create(XrBackend *b) {
    Memory *m = xr_calloc(1, sizeof *m);
    m->b = b;
    return m;
}

static double bytes_of(const XrTensor *t) {
    return (double)xr_nbytes(t);
}

// x = x + delta and its norm: t is y, x, delta, w. n: rows, width.
static void *start_norm(const XrBenchCase *self, XrBackend *b, XrBenchWork *work, XrError *err) {
    Memory *m = create(b);
    for (int i = 0; i < 3; i++) {
        m->t[i] = xr_bench_tensor(b, b->activations, self->n[0], self->n[1]);
    }
    m->t[3] = xr_bench_tensor(b, b->activations, self->n[1], 1);
    *work = (XrBenchWork){.bytes = 4 * bytes_of(&m->t[0])};
    return m;
}

static void run_norm(void *state) {
    Memory *m = state;
    XrTensor w = xr_tensor1(m->t[3].dtype, m->t[3].data, m->t[3].shape[0]);
    xr_add_rmsnorm(m->b, &m->t[0], &m->t[1], NULL, &m->t[1], &m->t[2], &w, 1e-6f);
    m->b->synchronize(m->b);
}

// h = silu(gate) up: t is h, gate, up. n: rows, width.
static void *start_swiglu(const XrBenchCase *self, XrBackend *b, XrBenchWork *work, XrError *err) {
    Memory *m = create(b);
    for (int i = 0; i < 3; i++) {
        m->t[i] = xr_bench_tensor(b, b->activations, self->n[0], self->n[1]);
    }
    *work = (XrBenchWork){.bytes = 3 * bytes_of(&m->t[0])};
    return m;
}

static void run_swiglu(void *state) {
    Memory *m = state;
    xr_swiglu(m->b, &m->t[0], &m->t[1], &m->t[2]);
    m->b->synchronize(m->b);
}

// t is q, cos, sin, k. n: rows, heads, kv_heads, head_dim.
static void *start_rope(const XrBenchCase *self, XrBackend *b, XrBenchWork *work, XrError *err) {
    Memory *m = create(b);
    m->heads = (XrHeads){
        .heads = (int)self->n[1], .kv_heads = (int)self->n[2], .head_dim = (int)self->n[3]};
    m->t[0] = xr_bench_tensor(b, b->activations, self->n[0], self->n[1] * self->n[3]);
    m->t[1] = xr_bench_tensor(b, XR_F32, self->n[0], self->n[3] / 2);
    m->t[2] = xr_bench_tensor(b, XR_F32, self->n[0], self->n[3] / 2);
    m->t[3] = xr_bench_tensor(b, b->activations, self->n[0], self->n[2] * self->n[3]);
    *work = (XrBenchWork){.bytes = 2 * (bytes_of(&m->t[0]) + bytes_of(&m->t[3])) +
                                   2 * bytes_of(&m->t[1])};
    return m;
}

static void run_rope(void *state) {
    Memory *m = state;
    xr_rope(m->b, &m->t[0], &m->t[3], &m->t[1], &m->t[2], m->heads, false);
    m->b->synchronize(m->b);
}

// t is p, m, v, grad, and where n[1] is set p in bf16. n: parameters.
static void *start_adamw(const XrBenchCase *self, XrBackend *b, XrBenchWork *work, XrError *err) {
    Memory *m = create(b);
    for (int i = 0; i < 4; i++) m->t[i] = xr_bench_tensor(b, XR_F32, self->n[0], 1);
    b->zero(b, m->t[2].data, xr_nbytes(&m->t[2])); // of squares
    if (self->n[1]) m->t[4] = xr_bench_tensor(b, XR_BF16, self->n[0], 1);
    *work = (XrBenchWork){.bytes = 7 * bytes_of(&m->t[0]) + (self->n[1] ? bytes_of(&m->t[4]) : 0)};
    return m;
}

static void run_adamw(void *state) {
    Memory *m = state;
    XrTensor list[5];
    for (int i = 0; i < 5; i++) list[i] = xr_tensor1(m->t[i].dtype, m->t[i].data, m->t[0].shape[0]);
    XrAdamW step = {1e-6, 0.9, 0.999, 1e-8, 0.01, 1, 1};
    xr_adamw(m->b, &list[0], &list[1], &list[2], list[4].data ? &list[4] : NULL, &list[3], step);
    m->b->synchronize(m->b);
}

static void finish(void *state) {
    Memory *m = state;
    for (int i = 0; i < MOST; i++) {
        if (m->t[i].data) xr_tensor_free(m->b, &m->t[i]);
    }
    free(m);
}

void xr_bench_memory(XrBenchList *list) {
    const XrBenchCase items[] = {
        {.name = "add_rmsnorm/8192x3584", .n = {8192, 3584}, .start = start_norm, .run = run_norm},
        {.name = "swiglu/8192x18944", .n = {8192, 18944}, .start = start_swiglu, .run = run_swiglu},
        {.name = "rope/8192x28x4x128",
         .n = {8192, 28, 4, 128},
         .start = start_rope,
         .run = run_rope},
        {.name = "adamw/100M", .n = {100000000}, .start = start_adamw, .run = run_adamw},
        {.name = "adamw/bf16/100M", .n = {100000000, 1}, .start = start_adamw, .run = run_adamw},
    };
    xr_bench_add_all(list, items, XR_COUNT(items), &(XrBenchCase){.finish = finish});
}
