// Attention: a prompt of 1,024 tokens of the `bench` model, one of 4,096 of the 7 B model, windows
// and a full frame of the vision tower, and one token over a cache. On a GPU prompts and the frame
// in the batch-invariant mode too.
#include "shared/bench/bench.h"
#include "shared/bench/numbers.h"

#include "shared/base/memory.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

typedef struct Attention {
    XrBackend *b;
    int64_t length;
    XrHeads heads;
    bool invariant; // in the batch-invariant mode, which on some GPUs is another way
    XrTensor q, k, v, out, lse, dq, dk, dv, cu;
    XrKvCache cache;
    XrTensor pages, lengths, slots;
} Attention;

static double work_of(const XrBenchCase *self) {
    double sequences = (double)self->n[0], length = (double)self->n[1];
    double width = (double)(self->n[2] * self->n[4]);
    return 4 * sequences * length * length * width * (self->n[5] ? 0.5 : 1);
}

// n: sequences, length, heads, kv_heads, head_dim, causal, batch-invariant (forward alone).
static Attention *create(const XrBenchCase *self, XrBackend *b) {
    Attention *a = xr_calloc(1, sizeof *a);
    int64_t T = self->n[0] * self->n[1], width = self->n[2] * self->n[4];
    a->b = b;
    a->length = self->n[1];
    a->invariant = self->n[6] != 0;
    a->heads = (XrHeads){.heads = (int)self->n[2],
                         .kv_heads = (int)self->n[3],
                         .head_dim = (int)self->n[4],
                         .scale = 1 / sqrtf((float)self->n[4]),
                         .causal = self->n[5] != 0};
    a->q = xr_bench_tensor(b, b->activations, T, width);
    a->k = xr_bench_tensor(b, b->activations, T, self->n[3] * self->n[4]);
    a->v = xr_bench_tensor(b, b->activations, T, self->n[3] * self->n[4]);
    a->out = xr_bench_tensor(b, b->activations, T, width);
    a->lse = xr_bench_tensor(b, XR_F32, T, self->n[2]);
    a->cu = xr_bench_range(b, self->n[0] + 1, self->n[1]);
    return a;
}

static void run_forward(void *state) {
    Attention *a = state;
    const bool kept = a->b->batch_invariant;
    a->b->batch_invariant = kept || a->invariant;
    xr_attention(a->b, &a->out, &a->lse, &a->q, &a->k, &a->v, (XrSegments){&a->cu, a->length},
                 a->heads);
    a->b->batch_invariant = kept;
    a->b->synchronize(a->b);
}

static void *start_forward(const XrBenchCase *self, XrBackend *b, XrBenchWork *work, XrError *err) {
    *work = (XrBenchWork){.operations = work_of(self)};
    return create(self, b);
}

static void *start_backward(const XrBenchCase *self, XrBackend *b, XrBenchWork *work,
                            XrError *err) {
    Attention *a = create(self, b);
    *work = (XrBenchWork){.operations = 2.5 * work_of(self)};
    a->dq = xr_bench_tensor(b, b->activations, a->q.shape[0], a->q.shape[1]);
    a->dk = xr_bench_tensor(b, b->activations, a->k.shape[0], a->k.shape[1]);
    a->dv = xr_bench_tensor(b, b->activations, a->k.shape[0], a->k.shape[1]);
    run_forward(a);
    return a;
}

static void run_backward(void *state) {
    Attention *a = state;
    xr_attention_backward(a->b, &a->dq, &a->dk, &a->dv, &a->q, &a->q, &a->k, &a->v, &a->out,
                          &a->lse, (XrSegments){&a->cu, a->length}, a->heads);
    a->b->synchronize(a->b);
}

// One query for each sequence, after all its keys.
static void *start_decode(const XrBenchCase *self, XrBackend *b, XrBenchWork *work, XrError *err) {
    Attention *a = create(self, b);
    int64_t sequences = self->n[0], pages = (a->length + XR_KV_PAGE - 1) / XR_KV_PAGE;
    a->cache = (XrKvCache){.pages = pages * sequences,
                           .dtype = b->activations,
                           .kv_heads = a->heads.kv_heads,
                           .head_dim = a->heads.head_dim};
    size_t bytes = (size_t)a->cache.pages *
                   b->kv_page_bytes(b, a->cache.dtype, a->heads.kv_heads, a->heads.head_dim);
    a->cache.data = b->alloc(b, bytes, "cache", err);
    XR_REQUIRE(a->cache.data, "%s", err->message);
    a->slots = xr_bench_range(b, a->k.shape[0], 1); // lengths are whole pages
    xr_kv_write(b, &a->cache, &a->k, &a->v, &a->slots);
    XrTensor all = xr_bench_range(b, a->cache.pages, 1);
    a->pages = xr_reshape2(&all, sequences, pages);
    a->lengths = xr_bench_range(b, sequences, 0);
    int32_t *lengths = xr_malloc((size_t)sequences * sizeof *lengths);
    for (int64_t i = 0; i < sequences; i++) lengths[i] = (int32_t)a->length;
    xr_upload(b, &a->lengths, lengths);
    free(lengths);
    xr_tensor_free(b, &a->cu);
    a->cu = xr_bench_range(b, sequences + 1, 1);
    *work = (XrBenchWork){.operations = work_of(self) / (double)a->length,
                          .bytes = (double)xr_nbytes(&a->k) * 2};
    return a;
}

static void run_decode(void *state) {
    Attention *a = state;
    int64_t sequences = a->cu.shape[0] - 1;
    XrTensor q = xr_rows(&a->q, 0, sequences), out = xr_rows(&a->out, 0, sequences);
    xr_attention_paged(a->b, &out, &q, &a->cache, (XrSegments){&a->cu, 1},
                       (XrPageTables){&a->pages, &a->lengths, a->length}, a->heads);
    a->b->synchronize(a->b);
}

static void finish(void *state) {
    Attention *a = state;
    XrTensor *all[] = {&a->q,  &a->k,  &a->v,  &a->out,   &a->lse,     &a->dq,
                       &a->dk, &a->dv, &a->cu, &a->pages, &a->lengths, &a->slots};
    for (size_t i = 0; i < XR_COUNT(all); i++) {
        if (all[i]->data) xr_tensor_free(a->b, all[i]);
    }
    if (a->cache.data) a->b->free(a->b, a->cache.data);
    free(a);
}

#define BACKWARD .start = start_backward, .run = run_backward
#define DECODE .start = start_decode, .run = run_decode

void xr_bench_attention(XrBenchList *list, bool gpu) {
    const XrBenchCase usual = {.start = start_forward, .run = run_forward, .finish = finish};
    const XrBenchCase items[] = {
        {.name = "attention/prompt-1024/12x4x64", .n = {1, 1024, 12, 4, 64, 1}},
        {.name = "attention/prompt-4096/28x4x128", .n = {1, 4096, 28, 4, 128, 1}},
        {.name = "attention/windows-64/16x16x80", .n = {64, 64, 16, 16, 80, 0}},
        {.name = "attention/frame-4096/16x16x80", .n = {1, 4096, 16, 16, 80, 0}},
        {.name = "attention_backward/1024/12x4x64", .n = {1, 1024, 12, 4, 64, 1}, BACKWARD},
        {.name = "attention_paged/one-at-1024/12x4x64", .n = {1, 1024, 12, 4, 64, 1}, DECODE},
        {.name = "attention_paged/8-at-1024/12x4x64", .n = {8, 1024, 12, 4, 64, 1}, DECODE},
    };
    xr_bench_add_all(list, items, XR_COUNT(items), &usual);
    if (!gpu) return;
    const XrBenchCase large[] = {
        {.name = "attention/prompt-16384/28x4x128", .n = {1, 16384, 28, 4, 128, 1}},
        {.name = "attention/prompt-32768/28x4x128", .n = {1, 32768, 28, 4, 128, 1}},
        {.name = "attention/packed-4x4096/28x4x128", .n = {4, 4096, 28, 4, 128, 1}},
        {.name = "attention/invariant-4096/28x4x128", .n = {1, 4096, 28, 4, 128, 1, 1}},
        {.name = "attention/invariant-16384/28x4x128", .n = {1, 16384, 28, 4, 128, 1, 1}},
        {.name = "attention/invariant-4x4096/28x4x128", .n = {4, 4096, 28, 4, 128, 1, 1}},
        {.name = "attention/invariant-frame-4096/16x16x80", .n = {1, 4096, 16, 16, 80, 0, 1}},
        {.name = "attention_backward/4096/28x4x128", .n = {1, 4096, 28, 4, 128, 1}, BACKWARD},
        {.name = "attention_backward/16384/28x4x128", .n = {1, 16384, 28, 4, 128, 1}, BACKWARD},
        {.name = "attention_backward/4x4096/28x4x128", .n = {4, 4096, 28, 4, 128, 1}, BACKWARD},
        {.name = "attention_paged/1-at-4096/28x4x128", .n = {1, 4096, 28, 4, 128, 1}, DECODE},
        {.name = "attention_paged/16-at-4096/28x4x128", .n = {16, 4096, 28, 4, 128, 1}, DECODE},
        {.name = "attention_paged/64-at-4096/28x4x128", .n = {64, 4096, 28, 4, 128, 1}, DECODE},
    };
    xr_bench_add_all(list, large, XR_COUNT(large), &usual);
}
