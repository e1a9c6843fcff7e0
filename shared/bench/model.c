// Whole jobs on a model's folder, through the engine: a prompt of 1,024 tokens up to its first
// token; one token for each of 1, 8 or 64 sequences; and rollouts as training takes them, 8 samples
// of each of 8 prompts, whose rate is to be compared with that of 64 sequences of their mean
// length. On a GPU, one token for each of up to 256 sequences by the 7B model.
#include "shared/bench/bench.h"
#include "shared/bench/made.h"

#include "shared/base/memory.h"
#include "shared/base/rng.h"
#include "shared/engine/engine.h"
#include "shared/engine/pages.h"

#include <stdlib.h>

enum {
    PROMPT = 1024,
    MOST_STEPS = 1100,
    ROLLOUT_PROMPTS = 8,
    ROLLOUT_SAMPLES = 8,
    ROLLOUT_PROMPT = 128,
    ROLLOUT_TOKENS = 128,
    // With a made model: tokens that there is a cache for beside the prompt's, and of a step.
    MADE_STEPS = 512,
    MADE_BATCH = 4096,
};

typedef struct Job {
    XrBenchModel made;
    XrModel *model; // its model
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
    if (job->engine) xr_engine_free(job->engine);
    xr_bench_model_free(&job->made);
    free(job->prompt);
    free(job);
}

// What a case's n holds.
enum { SEQUENCES, LENGTH, LAYERS, SIZE };

// Bytes of keys and values of `tokens` tokens of all sequences.
static double cache_bytes(const Job *job, const XrBenchCase *self, int64_t tokens) {
    return (double)(self->n[SEQUENCES] * xr_pages_for(tokens)) *
           (double)xr_engine_page_bytes(job->model);
}

static Job *open_job(const XrBenchCase *self, XrBackend *b, XrError *err) {
    Job *job = xr_calloc(1, sizeof *job);
    XrEngineConfig config = {.max_sequences = (int)XR_MAX(1, self->n[SEQUENCES])};
    job->prompt = xr_malloc((size_t)XR_MAX(PROMPT, self->n[LENGTH]) * sizeof *job->prompt);
    bool ok = xr_bench_model_open(&job->made, b, (XrBenchSize)self->n[SIZE], self->n[LAYERS],
                                  self->path, true, err);
    job->model = job->made.model;
    if (ok && self->n[SIZE] != XR_BENCH_FOLDER) {
        config.cache_bytes = (size_t)cache_bytes(job, self, self->n[LENGTH] + MADE_STEPS);
        config.max_batch_tokens = MADE_BATCH;
    }
    if (ok && xr_engine_create(&job->engine, job->model, NULL, &config, err)) return job;
    finish(job);
    return NULL;
}

static void *start_prefill(const XrBenchCase *self, XrBackend *b, XrBenchWork *work, XrError *err) {
    Job *job = open_job(self, b, err);
    if (!job) return NULL;
    const XrConfig *c = &job->model->config;
    double attention = 2.0 * PROMPT * PROMPT * (double)(c->layers * c->heads * c->head_dim);
    *work = (XrBenchWork){.operations =
                              2 * PROMPT * xr_bench_matrix_elements(job->model, false) + attention,
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
    int64_t context = xr_engine_context(job->engine);
    int64_t steps = XR_MIN(MOST_STEPS, context - self->n[LENGTH]);
    for (int64_t i = 0; i < self->n[SEQUENCES]; i++) add_request(job, self->n[LENGTH], 1, steps);
    // Until a step has one token of each sequence: prompts are done.
    for (int64_t before = 0, step = 0; step != self->n[SEQUENCES]; before += step) {
        xr_engine_step(job->engine);
        step = xr_engine_stats(job->engine).tokens - before;
    }
    double size = (double)xr_dtype_size(job->model->weights.dtype);
    bool made = self->n[SIZE] != XR_BENCH_FOLDER;
    double cached = made ? cache_bytes(job, self, self->n[LENGTH]) : 0;
    *work = (XrBenchWork){.bytes = xr_bench_matrix_elements(job->model, true) * size + cached,
                          .units = (double)self->n[SEQUENCES],
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
    const XrBenchCase usual = {
        .path = folder, .start = start_decode, .run = run_decode, .finish = finish};
    xr_bench_add_all(list, items, XR_COUNT(items), &usual);
}

void xr_bench_decode(XrBenchList *list, bool tiny) {
    const XrBenchCase items[] = {
        {.name = "decode/7b-at-1024/1", .n = {1, 1024, 28, XR_BENCH_7B}},
        {.name = "decode/7b-at-1024/16", .n = {16, 1024, 28, XR_BENCH_7B}},
        {.name = "decode/7b-at-1024/64", .n = {64, 1024, 28, XR_BENCH_7B}},
        {.name = "decode/7b-at-1024/256", .n = {256, 1024, 28, XR_BENCH_7B}},
        {.name = "decode/7b-at-4096/1", .n = {1, 4096, 28, XR_BENCH_7B}},
        {.name = "decode/7b-at-4096/16", .n = {16, 4096, 28, XR_BENCH_7B}},
    };
    const XrBenchCase small[] = {{.name = "decode/tiny-at-40/3", .n = {3, 40, 2, XR_BENCH_TINY}}};
    const XrBenchCase usual = {.start = start_decode, .run = run_decode, .finish = finish};
    xr_bench_add_all(list, tiny ? small : items, tiny ? XR_COUNT(small) : XR_COUNT(items), &usual);
}
