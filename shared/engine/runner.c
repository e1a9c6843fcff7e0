#include "shared/engine/runner_state.h"

#include "shared/base/memory.h"

#include <stdlib.h>
#include <string.h>

bool xr_runner_make(XrRunner *runner, XrTensor *t, XrDType dtype, int64_t d0, int64_t d1,
                    XrError *err) {
    int64_t shape[2] = {d0, d1};
    return xr_tensor_alloc(runner->model->backend, t, dtype, d1 ? 2 : 1, shape, "a batch", err);
}

static bool make_cache(XrRunner *runner, int32_t pages, XrError *err) {
    XrBackend *b = runner->model->backend;
    const XrConfig *c = &runner->model->config;
    XrDType dtype = runner->model->activations;
    size_t page = b->kv_page_bytes(b, dtype, (int)c->kv_heads, (int)c->head_dim), bytes;
    if (!xr_mul_size(page, (size_t)pages, &bytes)) bytes = SIZE_MAX;
    runner->caches = xr_calloc((size_t)c->layers, sizeof *runner->caches);
    for (int64_t i = 0; i < c->layers; i++) {
        XrKvCache *cache = &runner->caches[i];
        *cache = (XrKvCache){.pages = pages,
                             .kv_heads = (int)c->kv_heads,
                             .head_dim = (int)c->head_dim,
                             .dtype = dtype};
        cache->data = b->alloc(b, bytes, "the cache of keys and values", err);
        if (!cache->data) return false;
    }
    return true;
}

bool xr_runner_grow(XrRunner *runner, XrTensor *t, int64_t count, int64_t kept, XrError *err) {
    XrBackend *b = runner->model->backend;
    if (t->data && t->shape[0] >= count) return true;
    XrTensor larger;
    if (!xr_runner_make(runner, &larger, XR_I32, count + count / 2 + 64, 0, err)) return false;
    xr_graphs_clear(&runner->graphs, b);
    if (kept) b->copy(b, larger.data, t->data, sizeof(int32_t) * (size_t)kept);
    xr_tensor_free(b, t);
    *t = larger;
    return true;
}

static bool make_buffers(XrRunner *runner, XrError *err) {
    const XrConfig *c = &runner->model->config;
    int64_t tokens = runner->capacity, sequences = runner->max_sequences;
    int64_t most = xr_runner_filled_rows(sequences);
    int64_t usual = 8 * tokens + most * (runner->most_pages + 64);
    return xr_runner_grow(runner, &runner->needs, usual, 0, err) &&
           xr_runner_grow(runner, &runner->gives, 3 * most, 0, err) &&
           xr_runner_grow(runner, &runner->fed, 2 * most, 0, err) &&
           xr_runner_make(runner, &runner->from, XR_I32, sequences, 0, err) &&
           xr_runner_make(runner, &runner->to, XR_I32, sequences, 0, err) &&
           xr_runner_make(runner, &runner->hidden, runner->model->activations, XR_RUNNER_DRAWS,
                          c->hidden, err) &&
           xr_runner_make(runner, &runner->logits, XR_F32, XR_RUNNER_DRAWS, c->vocab, err);
}

bool xr_runner_create(XrRunner **out, const XrModel *model, int32_t pages, int max_sequences,
                      int64_t max_batch_tokens, int64_t context, XrError *err) {
    XrRunner *runner = xr_calloc(1, sizeof *runner);
    *runner = (XrRunner){.model = model,
                         .max_sequences = max_sequences,
                         .capacity = max_batch_tokens,
                         .most_pages = xr_pages_for(context),
                         .fills = model->backend->graph_begin != NULL,
                         .filling = pages};
    if (make_cache(runner, pages + runner->fills, err) && make_buffers(runner, err) &&
        xr_language_workspace_create(&runner->workspace, model, max_batch_tokens, XR_KEEP_NOTHING,
                                     err)) {
        *out = runner;
        return true;
    }
    xr_runner_free(runner);
    *out = NULL;
    return false;
}

void xr_runner_free(XrRunner *runner) {
    if (!runner) return;
    XrBackend *b = runner->model->backend;
    xr_graphs_clear(&runner->graphs, b);
    XrTensor *tensors[] = {&runner->needs, &runner->gives,  &runner->fed,    &runner->from,
                           &runner->to,    &runner->images, &runner->hidden, &runner->logits};
    for (size_t i = 0; i < XR_COUNT(tensors); i++) xr_tensor_free(b, tensors[i]);
    for (int64_t i = 0; runner->caches && i < runner->model->config.layers; i++) {
        if (runner->caches[i].data) b->free(b, runner->caches[i].data);
    }
    xr_language_workspace_free(runner->workspace);
    free(runner->caches);
    free(runner->scored);
    free(runner);
}

// ---- a step ----------------------------------------------------------------------------------

// Puts the ids that the host has not seen in their places.
static void feed_ids(XrRunner *runner) {
    XrBackend *b = runner->model->backend;
    if (!runner->feeds) return;
    XrTensor drawn = xr_tensor2(XR_I32, runner->gives.data, runner->gives.shape[0], 1);
    XrTensor needs = xr_tensor2(XR_I32, runner->needs.data, runner->needs.shape[0], 1);
    XrTensor fed = xr_tensor2(XR_I32, runner->fed.data, runner->feeds, 1);
    xr_gather_rows(b, &fed, &drawn, &runner->sources);
    xr_scatter_rows(b, &needs, &fed, &runner->targets);
}

// A part of `gives` as a list.
static XrTensor part(const XrRunner *runner, XrDType dtype, int64_t first, int64_t count) {
    return xr_tensor1(dtype, (int32_t *)runner->gives.data + first, count);
}

static void draw(XrRunner *runner, const XrStep *step, const XrTensor *hidden) {
    XrBackend *b = runner->model->backend;
    int64_t draws = step->draw_places;
    for (int64_t first = 0; first < draws; first += XR_RUNNER_DRAWS) {
        int64_t count = XR_MIN(draws - first, XR_RUNNER_DRAWS);
        XrTensor rows = xr_rows(&runner->rows, first, count);
        XrTensor chosen = xr_rows(&runner->hidden, 0, count);
        XrTensor logits = xr_rows(&runner->logits, 0, count);
        XrTensor tokens = part(runner, XR_I32, first, count);
        XrTensor logprob = part(runner, XR_F32, draws + first, count);
        XrTensor scaled = part(runner, XR_F32, 2 * draws + first, count);
        xr_gather_rows(b, &chosen, hidden, &rows);
        xr_language_logits(runner->model, &logits, &chosen);
        xr_sample(b, &tokens, &logprob, &scaled, &logits, &runner->listed, runner->params + first);
    }
}

static float temperature_of(const XrScore *score) {
    float temperature = score->sequence->job->request.sampling.temperature;
    return temperature == 0 ? 1.0f : temperature;
}

static void score(XrRunner *runner, const XrStep *step, const XrTensor *hidden) {
    XrBackend *b = runner->model->backend;
    const XrTensor *head = xr_model_parameter(runner->model, XR_HEAD, 0);
    int64_t at = 3 * (int64_t)step->draw_places;
    for (int i = 0; i < step->score_count; i++) {
        const XrScore *s = &step->scores[i];
        XrTensor rows = xr_rows(hidden, s->row, s->count);
        XrTensor raw = part(runner, XR_F32, at, s->count);
        XrTensor scaled = part(runner, XR_F32, at + s->count, s->count);
        float temperature = temperature_of(s);
        xr_logprob(b, &raw, NULL, NULL, NULL, NULL, &rows, head, &runner->scored[i], 1);
        if (temperature == 1) {
            b->copy(b, scaled.data, raw.data, xr_nbytes(&raw));
        } else {
            xr_logprob(b, &scaled, NULL, NULL, NULL, NULL, &rows, head, &runner->scored[i],
                       temperature);
        }
        at += 2 * s->count;
    }
}

// A step whose lists have been packed.
typedef struct Launch {
    XrRunner *runner;
    XrStep *step;
    XrLanguageInput in;
    XrTensor lists[3];
} Launch;

// All operations of a step.
static void carry_out(void *context) {
    Launch *l = context;
    feed_ids(l->runner);
    XrTensor hidden = xr_language_forward(l->runner->workspace, &l->in, NULL);
    draw(l->runner, l->step, &hidden);
    score(l->runner, l->step, &hidden);
}

static void carry_out_filled(Launch *l) {
    XrRunner *runner = l->runner;
    XrGraphKey key = {.rows = runner->shape.tokens,
                      .pages = runner->shape.pages,
                      .batch_invariant = runner->model->backend->batch_invariant};
    xr_graphs_run(&runner->graphs, runner->model->backend, &key, carry_out, l);
}

bool xr_runner_launch(XrRunner *runner, XrStep *step, const XrChunk *chunks, int count,
                      XrError *err) {
    XrBackend *b = runner->model->backend;
    Launch l = {.runner = runner, .step = step};
    if (!xr_runner_pack(runner, step, chunks, count, &l.in, l.lists, err)) return false;
    b->send(b, runner->needs.data, &step->in, sizeof(int32_t) * (size_t)runner->pack.used);
    if (runner->shape.filled)
        carry_out_filled(&l);
    else
        carry_out(&l);
    b->receive(b, &step->out, runner->gives.data, sizeof(int32_t) * (size_t)xr_runner_given(step));
    return true;
}

void xr_runner_collect(XrRunner *runner, XrStep *step) {
    XrBackend *b = runner->model->backend;
    int64_t draws = step->draw_places;
    b->wait(b, &step->out);
    const int32_t *ids = step->out.host;
    const float *values = step->out.host;
    for (int i = 0; i < step->draw_count; i++) {
        XrDraw *d = &step->draws[i];
        d->id = ids[i];
        d->logprob = values[draws + i];
        d->scaled = values[2 * draws + i];
    }
    const float *next = values + 3 * draws;
    for (int i = 0; i < step->score_count; i++) {
        XrScore *s = &step->scores[i];
        s->logprobs = next;
        s->scaled = next + s->count;
        next += 2 * s->count;
    }
}

void xr_runner_copy_pages(XrRunner *runner, const int32_t *from, const int32_t *to, int count) {
    XrBackend *b = runner->model->backend;
    XrTensor sources = xr_rows(&runner->from, 0, count), targets = xr_rows(&runner->to, 0, count);
    xr_upload(b, &sources, from);
    xr_upload(b, &targets, to);
    for (int64_t i = 0; i < runner->model->config.layers; i++) {
        xr_kv_copy_pages(b, &runner->caches[i], &sources, &targets);
    }
}

const XrGraphs *xr_runner_graphs(const XrRunner *runner) {
    return &runner->graphs;
}
