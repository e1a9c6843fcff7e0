// Log-probabilities of 256 tokens over the whole vocabulary, and their gradient.
#include "shared/bench/bench.h"
#include "shared/bench/numbers.h"

#include "shared/base/memory.h"

#include <stdlib.h>

enum { TOKENS = 256, WIDTH = 256, VOCABULARY = 151936 };

typedef struct Logprob {
    XrBackend *b;
    XrTensor hidden, head, dhidden, dhead, targets;
    XrTensor logprob, entropy, lse; // [TOKENS, 1]
} Logprob;

static XrTensor as_list(const XrTensor *t) {
    return xr_tensor1(t->dtype, t->data, t->shape[0]);
}

static void run_forward(void *state) {
    Logprob *l = state;
    XrTensor logprob = as_list(&l->logprob), entropy = as_list(&l->entropy), lse = as_list(&l->lse);
    xr_logprob(l->b, &logprob, &entropy, NULL, &lse, NULL, &l->hidden, &l->head, &l->targets, 1);
    l->b->synchronize(l->b);
}

static void run_backward(void *state) {
    Logprob *l = state;
    XrTensor dlogprob = as_list(&l->entropy), lse = as_list(&l->lse);
    xr_logprob_backward(l->b, &l->dhidden, &l->dhead, &dlogprob, NULL, &l->hidden, &l->head,
                        &l->targets, &lse, 1);
    l->b->synchronize(l->b);
}

static void *start(const XrBenchCase *self, XrBackend *b, XrBenchWork *work, XrError *err) {
    Logprob *l = xr_calloc(1, sizeof *l);
    l->b = b;
    l->hidden = xr_bench_tensor(b, b->activations, TOKENS, WIDTH);
    l->dhidden = xr_bench_tensor(b, b->activations, TOKENS, WIDTH);
    l->head = xr_bench_tensor(b, b->activations, VOCABULARY, WIDTH);
    l->dhead = xr_bench_tensor(b, XR_F32, VOCABULARY, WIDTH);
    l->targets = xr_bench_range(b, TOKENS, 97);
    l->logprob = xr_bench_tensor(b, XR_F32, TOKENS, 1);
    l->entropy = xr_bench_tensor(b, XR_F32, TOKENS, 1);
    l->lse = xr_bench_tensor(b, XR_F32, TOKENS, 1);
    run_forward(l);
    double product = 2.0 * TOKENS * WIDTH * (double)VOCABULARY;
    *work = (XrBenchWork){
        .operations = self->n[0] ? 3 * product : product, .units = TOKENS, .unit = "tokens"};
    return l;
}

static void finish(void *state) {
    Logprob *l = state;
    XrTensor *all[] = {&l->hidden,  &l->head,    &l->dhidden, &l->dhead,
                       &l->targets, &l->logprob, &l->entropy, &l->lse};
    for (size_t i = 0; i < XR_COUNT(all); i++) xr_tensor_free(l->b, all[i]);
    free(l);
}

void xr_bench_logprob(XrBenchList *list) {
    XrBenchCase forward = {
        .name = "logprob/f32/256x256x151936", .start = start, .run = run_forward, .finish = finish};
    xr_bench_add(list, &forward);
    XrBenchCase backward = {.name = "logprob_backward/f32/256x256x151936",
                            .n = {1},
                            .start = start,
                            .run = run_backward,
                            .finish = finish};
    xr_bench_add(list, &backward);
}
