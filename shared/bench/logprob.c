// Log-probabilities over the whole vocabulary, and their gradient: 256 tokens of a small model, and
// on a GPU 16,384 of the 7B one.
#include "shared/bench/bench.h"
#include "shared/bench/numbers.h"

#include "shared/base/memory.h"

#include <stdio.h>
#include <stdlib.h>

typedef struct Logprob {
    XrBackend *b;
    XrTensor hidden, head, dhidden, dhead, targets;
    XrTensor logprob, entropy, lse; // [tokens, 1]
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

// n: tokens, width, vocabulary, whether the gradient is timed.
static void *start(const XrBenchCase *self, XrBackend *b, XrBenchWork *work, XrError *err) {
    int64_t tokens = self->n[0], width = self->n[1], vocabulary = self->n[2];
    Logprob *l = xr_calloc(1, sizeof *l);
    l->b = b;
    XrDType activation = self->dtype == XR_F32 ? XR_F32 : b->activations;
    l->hidden = xr_bench_tensor(b, activation, tokens, width);
    l->dhidden = xr_bench_tensor(b, activation, tokens, width);
    l->head = xr_bench_tensor(b, self->dtype, vocabulary, width);
    l->dhead = xr_bench_tensor(b, XR_F32, vocabulary, width);
    l->targets = xr_bench_range(b, tokens, 97);
    l->logprob = xr_bench_tensor(b, XR_F32, tokens, 1);
    l->entropy = xr_bench_tensor(b, XR_F32, tokens, 1);
    l->lse = xr_bench_tensor(b, XR_F32, tokens, 1);
    run_forward(l);
    double product = 2.0 * (double)tokens * (double)width * (double)vocabulary;
    *work = (XrBenchWork){.operations = self->n[3] ? 3 * product : product,
                          .units = (double)tokens,
                          .unit = "tokens"};
    return l;
}

static void finish(void *state) {
    Logprob *l = state;
    XrTensor *all[] = {&l->hidden,  &l->head,    &l->dhidden, &l->dhead,
                       &l->targets, &l->logprob, &l->entropy, &l->lse};
    for (size_t i = 0; i < XR_COUNT(all); i++) xr_tensor_free(l->b, all[i]);
    free(l);
}

static void add(XrBenchList *list, XrDType dtype, int64_t tokens, int64_t width,
                int64_t vocabulary) {
    for (int64_t gradient = 0; gradient < 2; gradient++) {
        XrBenchCase item = {.n = {tokens, width, vocabulary, gradient},
                            .dtype = dtype,
                            .start = start,
                            .run = gradient ? run_backward : run_forward,
                            .finish = finish};
        snprintf(item.name, sizeof item.name, "logprob%s/%s/%lldx%lldx%lld",
                 gradient ? "_backward" : "", xr_dtype_name(dtype), (long long)tokens,
                 (long long)width, (long long)vocabulary);
        xr_bench_add(list, &item);
    }
}

void xr_bench_logprob(XrBenchList *list, bool gpu) {
    add(list, XR_F32, 256, 256, 151936);
    if (gpu) add(list, XR_BF16, 16384, 3584, 152064);
}
