// Whole jobs on a model's folder, through the engine: a prompt of 1,024 tokens up to its first
// token; one token for each of 1, 8 or 64 sequences; and rollouts as training takes them, 8 samples
// of each of 8 prompts, whose rate is to be compared with that of 64 sequences of their mean
// length.
#include "shared/bench/bench.h"

#include "shared/base/memory.h"
#include "shared/base/rng.h"
#include "shared/engine/engine.h"

#include <stdlib.h>

enum {
    PROMPT = 1024,
    MOST_STEPS = 1100,
    ROLLOUT_PROMPTS = 8,
    ROLLOUT_SAMPLES = 8,
    ROLLOUT_PROMPT = 128,
    ROLLOUT_TOKENS = 128,
};

typedef struct Job {
    XrModel *model;
    XrEngine *engine;
    int32_t *prompt;
    uint64_t next_id;
} Job;

static void add_request(Job *job, int64_t prompt, int samples, int64_t new_tokens) {
    // Ids differ from request to request: nothing of a prompt can be shared.
    for (uint64_t i = 0; i < (uint64_t)prompt; i++) {
        uint32_t random[4];
        xr_philox(7, job->next_id, i, random);
        job->prompt[i] = (int32_t)(random[0] % (uint32_t)XR_MIN(job->model->config.vocab, 150000));
    }
    XrRequest request = xr_request_default();
    request.id = job->next_id++;
    request.prompt = job->prompt;
    request.prompt_count = prompt;
    request.samples = samples;
    request.sampling.temperature = samples > 1 ? 1 : 0;
    request.max_new_tokens = new_tokens;
    XrError err;
    XR_REQUIRE(xr_engine_add(job->engine, &request, &err), "%s", err.message);
}

static void drop_responses(Job *job) {
    for (XrResponse *r; (r = xr_engine_take(job->engine));) xr_response_free(r);
}

static void finish(void *state) {
    Job *job = state;
    xr_engine_free(job->engine);
    xr_model_close(job->model);
    free(job->prompt);
    free(job);
}

// Matrix elements that a token passes through; the head's among them.
static double elements_of(const XrModel *model, bool with_head) {
    double count = 0;
    for (int i = 0; i < model->table.count; i++) {
        const XrParameter *p = &model->table.items[i];
        bool layer = p->part == XR_PART_LANGUAGE && p->ndim == 2;
        bool head = with_head && p->role == (model->table.tied ? XR_EMBED : XR_HEAD);
        if (layer || head) count += (double)xr_parameter_elements(p);
    }
    return count;
}

static Job *open_job(const XrBenchCase *self, XrBackend *b, XrError *err) {
    Job *job = xr_calloc(1, sizeof *job);
    XrEngineConfig config = {.max_sequences = (int)XR_MAX(1, self->n[0])};
    job->prompt = xr_malloc(PROMPT * sizeof *job->prompt);
    if (xr_model_open(&job->model, b, self->path, XR_WEIGHTS_AS_STORED, false, err) &&
        xr_engine_create(&job->engine, job->model, NULL, &config, err)) {
        return job;
    }
    if (job->model) xr_model_close(job->model);
    free(job->prompt);
    free(job);
    return NULL;
}

static void *start_prefill(const XrBenchCase *self, XrBackend *b, XrBenchWork *work, XrError *err) {
    Job *job = open_job(self, b, err);
    if (!job) return NULL;
    const XrConfig *c = &job->model->config;
    double attention = 2.0 * PROMPT * PROMPT * (double)(c->layers * c->heads * c->head_dim);
    *work = (XrBenchWork){.operations = 2 * PROMPT * elements_of(job->model, false) + attention,
                          .units = PROMPT,
                          .unit = "tokens"};
    return job;
}

static void run_prefill(void *state) {
    Job *job = state;
    add_request(job, PROMPT, 1, 1);
    while (xr_engine_step(job->engine)) continue;
    drop_responses(job);
}

static void *start_decode(const XrBenchCase *self, XrBackend *b, XrBenchWork *work, XrError *err) {
    Job *job = open_job(self, b, err);
    if (!job) return NULL;
    for (int64_t i = 0; i < self->n[0]; i++) add_request(job, self->n[1], 1, MOST_STEPS);
    // Until a step has one token of each sequence: prompts are done.
    for (int64_t before = 0, step = 0; step != self->n[0]; before += step) {
        xr_engine_step(job->engine);
        step = xr_engine_stats(job->engine).tokens - before;
    }
    double size = (double)xr_dtype_size(job->model->weights.dtype);
    *work = (XrBenchWork){.bytes = elements_of(job->model, true) * size,
                          .units = (double)self->n[0],
                          .unit = "tokens"};
    return job;
}

static void run_decode(void *state) {
    Job *job = state;
    xr_engine_step(job->engine);
}

static void *start_rollouts(const XrBenchCase *self, XrBackend *b, XrBenchWork *work,
                            XrError *err) {
    Job *job = open_job(self, b, err);
    *work = (XrBenchWork){.units = ROLLOUT_PROMPTS * ROLLOUT_SAMPLES * ROLLOUT_TOKENS,
                          .unit = "tokens"};
    return job;
}

static void run_rollouts(void *state) {
    Job *job = state;
    for (int i = 0; i < ROLLOUT_PROMPTS; i++) {
        add_request(job, ROLLOUT_PROMPT, ROLLOUT_SAMPLES, ROLLOUT_TOKENS);
    }
    while (xr_engine_step(job->engine)) continue;
    drop_responses(job);
}

void xr_bench_model(XrBenchList *list, const char *folder) {
    const int64_t middle = ROLLOUT_PROMPT + ROLLOUT_TOKENS / 2;
    const XrBenchCase items[] = {
        {.name = "model/prefill-1024", .start = start_prefill, .run = run_prefill},
        {.name = "model/decode-at-1024/1", .n = {1, PROMPT}},
        {.name = "model/decode-at-1024/8", .n = {8, PROMPT}},
        {.name = "model/decode-at-192/64", .n = {ROLLOUT_PROMPTS * ROLLOUT_SAMPLES, middle}},
        {.name = "model/rollouts-64",
         .n = {ROLLOUT_PROMPTS * ROLLOUT_SAMPLES},
         .start = start_rollouts,
         .run = run_rollouts},
    };
    for (size_t i = 0; i < XR_COUNT(items); i++) {
        XrBenchCase item = items[i];
        item.path = folder;
        item.finish = finish;
        if (!item.start) {
            item.start = start_decode;
            item.run = run_decode;
        }
        xr_bench_add(list, &item);
    }
}
