// A step of supervised fine-tuning: loss, gradients of all of the language model, clipping and
// AdamW. On a model's folder one sequence of 1,024 tokens; on a GPU packed sequences through layers
// of the 7B model in bf16, as many as fit, from two numbers of which the time of a layer follows.
#include "shared/bench/bench.h"
#include "shared/bench/made.h"

#include "shared/base/memory.h"
#include "shared/base/rng.h"
#include "shared/train/pass.h"

#include <stdlib.h>

typedef struct Training {
    XrBenchModel made;
    XrComm *comm;
    XrTrainState state;
    XrTrainPass pass;
    int64_t tokens;
    XrTrainSequence *sequences;
    int count;
    int32_t *ids, *rows, *targets;
    float *gradient;
    int64_t target_count;
} Training;

// What a case's n holds.
enum { KEEP, SEQUENCES, LENGTH, LAYERS, SIZE, OFFLOAD };

static void finish(void *state) {
    Training *t = state;
    xr_train_pass_free(&t->pass);
    xr_train_state_free(&t->state);
    xr_bench_model_free(&t->made);
    xr_comm_free(t->comm);
    free(t->sequences);
    free(t->ids);
    free(t->rows);
    free(t->targets);
    free(t->gradient);
    free(t);
}

// Every token of a sequence but the first is a target.
static void make_sequences(Training *t, const XrBenchCase *self) {
    int64_t length = self->n[LENGTH], vocab = XR_MIN(t->made.model->config.vocab, 150000);
    size_t tokens = (size_t)t->tokens;
    t->count = (int)self->n[SEQUENCES];
    t->sequences = xr_calloc((size_t)t->count, sizeof *t->sequences);
    t->ids = xr_malloc(tokens * sizeof *t->ids);
    t->rows = xr_malloc(tokens * sizeof *t->rows);
    t->targets = xr_malloc(tokens * sizeof *t->targets);
    t->gradient = xr_malloc(tokens * sizeof *t->gradient);
    for (int64_t i = 0; i < t->tokens; i++) {
        uint32_t random[4];
        xr_philox(7, 0, (uint64_t)i, random);
        t->ids[i] = (int32_t)(random[0] % (uint32_t)vocab);
        if (i % length == 0) continue;
        t->rows[t->target_count] = (int32_t)(i - 1);
        t->targets[t->target_count++] = t->ids[i];
    }
    for (int64_t i = 0; i < t->target_count; i++) t->gradient[i] = -1.0f / (float)t->target_count;
    for (int i = 0; i < t->count; i++) {
        t->sequences[i] = (XrTrainSequence){t->ids + i * length, length, NULL};
    }
}

// Twice the work of the forward pass comes after it, of attention 2.5 times; what a checkpointed
// layer computes again is not counted.
static double operations_of(const Training *t, const XrBenchCase *self) {
    const XrConfig *c = &t->made.model->config;
    double length = (double)self->n[LENGTH], width = (double)(c->layers * c->heads * c->head_dim);
    double products = 2 * (double)t->tokens * xr_bench_matrix_elements(t->made.model, true);
    double attention = 2 * (double)t->tokens * length * width;
    return 3 * products + 3.5 * attention;
}

// Of temporary files; without TMPDIR the one of these that is on a disk everywhere.
static const char *offload_folder(void) {
    const char *set = getenv("TMPDIR");
    return set && *set ? set : "/var/tmp";
}

static void *start(const XrBenchCase *self, XrBackend *b, XrBenchWork *work, XrError *err) {
    Training *t = xr_calloc(1, sizeof *t);
    XrTrainStateOptions options = {.bf16 = self->n[SIZE] != XR_BENCH_FOLDER,
                                   .offload = self->n[OFFLOAD] ? offload_folder() : NULL};
    t->comm = xr_comm_single();
    t->tokens = self->n[SEQUENCES] * self->n[LENGTH];
    bool ok = xr_bench_model_open(&t->made, b, (XrBenchSize)self->n[SIZE], self->n[LAYERS],
                                  self->path, false, err) &&
              xr_train_state_create(&t->state, t->made.model, t->comm, options, err) &&
              xr_train_pass_create(&t->pass, &t->state, t->tokens, (XrKeep)self->n[KEEP], err);
    if (!ok) {
        finish(t);
        return NULL;
    }
    make_sequences(t, self);
    *work = (XrBenchWork){
        .operations = operations_of(t, self), .units = (double)t->tokens, .unit = "tokens"};
    return t;
}

static void run(void *state) {
    Training *t = state;
    XrTrainBatch batch = {t->sequences, t->count, t->rows, t->targets, t->target_count, 1, false};
    XrAdamWSettings adamw = {0.9, 0.999, 1e-8, 0, 1};
    XrError err;
    double norm;
    XR_REQUIRE(xr_train_pass_learn(&t->pass, &batch, xr_train_given, t->gradient, &err) &&
                   xr_train_step(&t->state, &adamw, 1e-5, &norm, &err),
               "%s", err.message);
}

void xr_bench_train(XrBenchList *list, const char *folder) {
    const XrBenchCase items[] = {
        {.name = "train/sft-1024/keep-all", .n = {XR_KEEP_ALL, 1, 1024}},
        {.name = "train/sft-1024/checkpointing", .n = {XR_KEEP_INPUTS, 1, 1024}},
        {.name = "train/sft-1024/offloaded", .n = {XR_KEEP_ALL, 1, 1024, [OFFLOAD] = true}},
    };
    const XrBenchCase usual = {.path = folder, .start = start, .run = run, .finish = finish};
    xr_bench_add_all(list, items, XR_COUNT(items), &usual);
}

void xr_bench_train_step(XrBenchList *list, bool tiny) {
    const XrBenchCase items[] = {
        {.name = "train/step-2x4096/4-layers", .n = {XR_KEEP_ALL, 2, 4096, 4, XR_BENCH_7B}},
        {.name = "train/step-2x4096/8-layers", .n = {XR_KEEP_ALL, 2, 4096, 8, XR_BENCH_7B}},
        {.name = "train/step-2x4096/8-layers/checkpointing",
         .n = {XR_KEEP_INPUTS, 2, 4096, 8, XR_BENCH_7B}},
        {.name = "train/step-2x4096/8-layers/offloaded",
         .n = {XR_KEEP_ALL, 2, 4096, 8, XR_BENCH_7B, true}},
        {.name = "train/step-4x1024/8-layers", .n = {XR_KEEP_ALL, 4, 1024, 8, XR_BENCH_7B}},
    };
    const XrBenchCase small[] = {
        {.name = "train/step-2x9/tiny", .n = {XR_KEEP_ALL, 2, 9, 2, XR_BENCH_TINY}},
        {.name = "train/step-2x9/tiny/checkpointing",
         .n = {XR_KEEP_INPUTS, 2, 9, 2, XR_BENCH_TINY}},
        {.name = "train/step-2x9/tiny/offloaded", .n = {XR_KEEP_ALL, 2, 9, 2, XR_BENCH_TINY, true}},
    };
    const XrBenchCase usual = {.start = start, .run = run, .finish = finish};
    xr_bench_add_all(list, tiny ? small : items, tiny ? XR_COUNT(small) : XR_COUNT(items), &usual);
}
