// A step of supervised fine-tuning on a model's folder: one sequence of 1,024 tokens, loss,
// gradients of all of the language model, clipping and AdamW.
#include "shared/bench/bench.h"

#include "shared/base/memory.h"
#include "shared/base/rng.h"
#include "shared/train/pass.h"

#include <stdlib.h>

enum { LENGTH = 1024 };

typedef struct Training {
    XrModel *model;
    XrComm *comm;
    XrTrainState state;
    XrTrainPass pass;
    int32_t ids[LENGTH], rows[LENGTH];
    float gradient[LENGTH];
} Training;

static void finish(void *state) {
    Training *t = state;
    xr_train_pass_free(&t->pass);
    xr_train_state_free(&t->state);
    xr_model_close(t->model);
    xr_comm_free(t->comm);
    free(t);
}

static void *start(const XrBenchCase *self, XrBackend *b, XrBenchWork *work, XrError *err) {
    Training *t = xr_calloc(1, sizeof *t);
    t->comm = xr_comm_single();
    bool ok = xr_model_open_unplaced(&t->model, b, self->path, XR_WEIGHTS_AS_STORED, false, err) &&
              xr_train_state_create(&t->state, t->model, t->comm, (XrTrainStateOptions){0}, err) &&
              xr_train_pass_create(&t->pass, &t->state, LENGTH, (XrKeep)self->n[0], err);
    if (!ok) {
        finish(t);
        return NULL;
    }
    for (uint64_t i = 0; i < LENGTH; i++) {
        uint32_t random[4];
        xr_philox(7, 0, i, random);
        t->ids[i] = (int32_t)(random[0] % (uint32_t)XR_MIN(t->model->config.vocab, 150000));
        t->rows[i] = (int32_t)i;
        t->gradient[i] = -1.0f / (LENGTH - 1);
    }
    *work = (XrBenchWork){.units = LENGTH, .unit = "tokens"};
    return t;
}

// Every token but the first is a target.
static void run(void *state) {
    Training *t = state;
    XrTrainSequence sequence = {t->ids, LENGTH, NULL};
    XrTrainBatch batch = {&sequence, 1, t->rows, t->ids + 1, LENGTH - 1, 1, false};
    XrAdamWSettings adamw = {0.9, 0.999, 1e-8, 0, 1};
    XrError err;
    double norm;
    XR_REQUIRE(xr_train_pass_learn(&t->pass, &batch, xr_train_given, t->gradient, &err) &&
                   xr_train_step(&t->state, &adamw, 1e-5, &norm, &err),
               "%s", err.message);
}

void xr_bench_train(XrBenchList *list, const char *folder) {
    const XrBenchCase items[] = {
        {.name = "train/sft-1024/keep-all", .n = {XR_KEEP_ALL}},
        {.name = "train/sft-1024/checkpointing", .n = {XR_KEEP_INPUTS}},
    };
    for (size_t i = 0; i < XR_COUNT(items); i++) {
        XrBenchCase item = items[i];
        item.path = folder;
        item.start = start;
        item.run = run;
        item.finish = finish;
        xr_bench_add(list, &item);
    }
}
