#include "shared/engine/runner.h"

#include "shared/base/memory.h"

#include <stdlib.h>
#include <string.h>

// Rows of logits at a time: the head is read once for so many draws.
enum { MOST_DRAWS = 32 };

// Draws that go into one call: suppressed ids are the same for all of a call.
typedef struct Slice {
    int first, count;
    XrTensor suppress; // i32; no data: none
} Slice;

// Lists that lie one after the other, each aligned to 16 bytes: where they are written on the host,
// and where they will be in the backend's memory.
typedef struct Pack {
    int32_t *host, *memory;
    int64_t used, room; // elements
} Pack;
enum { PACK_ALIGNMENT = 4 };

struct XrRunner {
    const XrModel *model;
    int max_sequences;
    int64_t capacity;   // tokens
    int64_t most_pages; // of a sequence
    XrKvCache *caches;  // one a layer
    XrLanguageWorkspace *workspace;
    XrTensor needs;          // i32: what a step needs
    XrTensor gives;          // i32: what it gives; the ids drawn, their log-probabilities as f32
                             // raw and scaled, then those of scores
    XrTensor fed;            // i32: ids on their way from one step's draws to the next step
    XrTensor from, to;       // pages
    XrTensor images;         // [capacity, hidden]; had when first needed
    XrTensor hidden, logits; // of draws
    Pack pack;               // of the step that is being launched, in `needs`
    int32_t *feed_from, *feed_to; // [fed]: elements of `gives` and of `needs`
    int64_t feeds;
    Slice *slices;
    int slice_count, slice_capacity;
    XrTensor rows, seen, *targets; // of that step: of its draws; of each of its scores
    const XrSampleParams *params;
    int target_capacity;
};

static bool make(XrRunner *runner, XrTensor *t, XrDType dtype, int64_t d0, int64_t d1,
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

// Makes a list longer, if need be; its first `kept` elements stay what they are.
static bool grow(XrRunner *runner, XrTensor *t, int64_t count, int64_t kept, XrError *err) {
    XrBackend *b = runner->model->backend;
    if (t->data && t->shape[0] >= count) return true;
    XrTensor larger;
    if (!make(runner, &larger, XR_I32, count + count / 2 + 64, 0, err)) return false;
    if (kept) b->copy(b, larger.data, t->data, sizeof(int32_t) * (size_t)kept);
    xr_tensor_free(b, t);
    *t = larger;
    return true;
}

static bool make_buffers(XrRunner *runner, XrError *err) {
    const XrConfig *c = &runner->model->config;
    int64_t tokens = runner->capacity, sequences = runner->max_sequences;
    int64_t usual = 8 * tokens + sequences * (runner->most_pages + 64);
    return grow(runner, &runner->needs, usual, 0, err) &&
           grow(runner, &runner->gives, 3 * sequences, 0, err) &&
           make(runner, &runner->from, XR_I32, sequences, 0, err) &&
           make(runner, &runner->to, XR_I32, sequences, 0, err) &&
           make(runner, &runner->hidden, runner->model->activations, MOST_DRAWS, c->hidden, err) &&
           make(runner, &runner->logits, XR_F32, MOST_DRAWS, c->vocab, err);
}

bool xr_runner_create(XrRunner **out, const XrModel *model, int32_t pages, int max_sequences,
                      int64_t max_batch_tokens, int64_t context, XrError *err) {
    XrRunner *runner = xr_calloc(1, sizeof *runner);
    *runner = (XrRunner){.model = model,
                         .max_sequences = max_sequences,
                         .capacity = max_batch_tokens,
                         .most_pages = xr_pages_for(context)};
    if (make_cache(runner, pages, err) && make_buffers(runner, err) &&
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
    XrTensor *tensors[] = {&runner->needs, &runner->gives,  &runner->fed,    &runner->from,
                           &runner->to,    &runner->images, &runner->hidden, &runner->logits};
    for (size_t i = 0; i < XR_COUNT(tensors); i++) xr_tensor_free(b, tensors[i]);
    for (int64_t i = 0; runner->caches && i < runner->model->config.layers; i++) {
        if (runner->caches[i].data) b->free(b, runner->caches[i].data);
    }
    xr_language_workspace_free(runner->workspace);
    free(runner->caches);
    free(runner->feed_from);
    free(runner->feed_to);
    free(runner->slices);
    free(runner->targets);
    free(runner);
}

// ---- what a step needs --------------------------------------------------------------------------

static XrTensor take(XrRunner *runner, int64_t count, int32_t **host) {
    Pack *p = &runner->pack;
    XR_REQUIRE(count <= p->room - p->used, "%lld of %lld elements are taken; %lld more",
               (long long)p->used, (long long)p->room, (long long)count);
    *host = p->host + p->used;
    XrTensor list = xr_tensor1(XR_I32, p->memory + p->used, count);
    p->used += (count + PACK_ALIGNMENT - 1) / PACK_ALIGNMENT * PACK_ALIGNMENT;
    return list;
}

// This element will be the id that the step before drew with its draw `drawn`.
static void feed(XrRunner *runner, int drawn, const int32_t *element) {
    runner->feed_from[runner->feeds] = drawn;
    runner->feed_to[runner->feeds++] = (int32_t)(element - runner->pack.host);
}

// At least what `pack_step` takes.
static int64_t most_needed(const XrStep *step, const XrChunk *chunks, int count) {
    const XrChunk *last = &chunks[count - 1];
    int64_t tokens = last->row + last->count, pages = 1, lists = 12, draws = step->draw_count;
    int64_t params = (int64_t)(sizeof(XrSampleParams) / sizeof(int32_t));
    for (int i = 0; i < count; i++) pages = XR_MAX(pages, chunks[i].sequence->pages.count);
    int64_t total = 6 * tokens + count * (2 + pages) + 1 + draws * (1 + params);
    total += 2 * (count + draws); // feeds
    for (int i = 0; i < step->draw_count; i++) {
        const XrSequence *s = step->draws[i].sequence;
        total += s->seen.count + 1 + s->job->request.suppress_count;
        lists++;
    }
    for (int i = 0; i < step->score_count; i++) {
        total += step->scores[i].count;
        lists++;
    }
    return total + lists * PACK_ALIGNMENT;
}

// What it gives, in elements.
static int64_t given(const XrStep *step) {
    int64_t total = 3 * (int64_t)step->draw_count;
    for (int i = 0; i < step->score_count; i++) total += 2 * step->scores[i].count;
    return total;
}

static bool pin(XrRunner *runner, XrPinned *pinned, const XrTensor *like, XrError *err) {
    XrBackend *b = runner->model->backend;
    if (pinned->bytes >= xr_nbytes(like)) return true;
    b->unpin(b, pinned);
    return b->pin(b, pinned, xr_nbytes(like), "a batch", err);
}

static bool make_room(XrRunner *runner, XrStep *step, const XrChunk *chunks, int count,
                      XrError *err) {
    int64_t needed = most_needed(step, chunks, count), feeds = count + step->draw_count;
    int64_t fed = runner->fed.data ? runner->fed.shape[0] : 0;
    bool ok = grow(runner, &runner->needs, needed, 0, err) &&
              grow(runner, &runner->gives, given(step), runner->gives.shape[0], err) &&
              grow(runner, &runner->fed, feeds, 0, err) &&
              pin(runner, &step->in, &runner->needs, err) &&
              pin(runner, &step->out, &runner->gives, err);
    if (!ok) return false;
    if (fed < feeds) {
        size_t bytes = sizeof(int32_t) * (size_t)runner->fed.shape[0];
        runner->feed_from = xr_realloc(runner->feed_from, bytes);
        runner->feed_to = xr_realloc(runner->feed_to, bytes);
    }
    if (runner->target_capacity < step->score_count) {
        runner->target_capacity = step->score_capacity;
        runner->targets =
            xr_realloc(runner->targets, sizeof *runner->targets * (size_t)runner->target_capacity);
    }
    runner->pack = (Pack){.host = step->in.host, .memory = runner->needs.data, .room = needed};
    runner->feeds = 0;
    return true;
}

static void pack_tokens(XrRunner *runner, const XrChunk *chunks, int count, XrLanguageInput *in) {
    int32_t *ids, *positions, *slots;
    in->ids = take(runner, in->tokens, &ids);
    in->positions = take(runner, 3 * in->tokens, &positions);
    in->positions = xr_tensor2(XR_I32, in->positions.data, 3, in->tokens);
    in->slots = take(runner, in->tokens, &slots);
    for (int i = 0; i < count; i++) {
        const XrChunk *c = &chunks[i];
        const XrJob *job = c->sequence->job;
        const int32_t *pages = c->sequence->pages.pages;
        int64_t prompt = xr_job_prompt(job), known = prompt + c->sequence->sample->count;
        for (int64_t j = 0; j < c->count; j++) {
            int64_t at = c->begin + j, row = c->row + j;
            bool image = job->image_rows && at < prompt && job->image_rows[at] >= 0;
            bool ahead = at >= known;
            ids[row] = image || ahead ? -1 : xr_sequence_token(c->sequence, at);
            if (ahead) feed(runner, c->drawn, &ids[row]);
            for (int64_t axis = 0; axis < 3; axis++) {
                positions[axis * in->tokens + row] =
                    at < prompt ? job->positions[axis * prompt + at]
                                : (int32_t)(job->next_position + (at - prompt));
            }
            slots[row] = pages[at / XR_KV_PAGE] * XR_KV_PAGE + (int)(at % XR_KV_PAGE);
        }
    }
}

static void pack_sequences(XrRunner *runner, const XrChunk *chunks, int count, XrTensor lists[3],
                           XrLanguageInput *in) {
    int32_t *cu, *lengths, *table;
    int64_t pages = 1;
    for (int i = 0; i < count; i++) pages = XR_MAX(pages, chunks[i].sequence->pages.count);
    lists[0] = take(runner, count + 1, &cu);
    lists[1] = take(runner, count, &lengths);
    lists[2] = take(runner, count * pages, &table);
    lists[2] = xr_tensor2(XR_I32, lists[2].data, count, pages);
    cu[0] = 0;
    for (int i = 0; i < count; i++) {
        const XrChunk *c = &chunks[i];
        const XrPageList *own = &c->sequence->pages;
        cu[i + 1] = (int32_t)(c->row + c->count);
        lengths[i] = (int32_t)(c->begin + c->count);
        in->segments.longest = XR_MAX(in->segments.longest, c->count);
        in->tables.longest = XR_MAX(in->tables.longest, lengths[i]);
        memcpy(table + i * pages, own->pages, sizeof *table * (size_t)own->count);
        memset(table + i * pages + own->count, 0, sizeof *table * (size_t)(pages - own->count));
    }
    in->segments.cu = &lists[0];
    in->tables.lengths = &lists[1];
    in->tables.pages = &lists[2];
}

// Copies the embeddings of the picture tokens in the chunks together, in the batch's order.
static bool pack_pictures(XrRunner *runner, const XrChunk *chunks, int count, XrLanguageInput *in,
                          XrError *err) {
    XrBackend *b = runner->model->backend;
    int64_t found = 0, hidden = runner->model->config.hidden;
    int32_t *rows;
    XrTensor image_rows = take(runner, in->tokens, &rows);
    for (int i = 0; i < count; i++) {
        const XrChunk *c = &chunks[i];
        const XrJob *job = c->sequence->job;
        int64_t end = XR_MIN(c->begin + c->count, xr_job_prompt(job)), first = -1, run = 0;
        for (int64_t at = c->begin; job->image_rows && at < end; at++) {
            if (job->image_rows[at] < 0) continue;
            if (run++ == 0) first = job->image_rows[at];
            rows[found + run - 1] = (int32_t)(c->row + at - c->begin);
        }
        if (run == 0) continue;
        XR_REQUIRE(job->images.data, "a picture was not embedded before its tokens were run");
        if (!runner->images.data && !make(runner, &runner->images, runner->model->activations,
                                          runner->capacity, hidden, err)) {
            return false;
        }
        XrTensor from = xr_rows(&job->images, first, run),
                 to = xr_rows(&runner->images, found, run);
        b->copy(b, to.data, from.data, xr_nbytes(&from));
        found += run;
    }
    if (found == 0) return true;
    in->images = xr_rows(&runner->images, 0, found);
    in->image_rows = xr_rows(&image_rows, 0, found);
    return true;
}

static bool same_suppressed(const XrRequest *a, const XrRequest *b) {
    return a->suppress_count == b->suppress_count &&
           (a->suppress_count == 0 ||
            memcmp(a->suppress, b->suppress, sizeof *a->suppress * (size_t)a->suppress_count) == 0);
}

static void pack_slices(XrRunner *runner, const XrStep *step) {
    runner->slice_count = 0;
    for (int at = 0; at < step->draw_count;) {
        const XrRequest *request = &step->draws[at].sequence->job->request;
        int count = 1, left = step->draw_count - at;
        while (count < XR_MIN(left, MOST_DRAWS) &&
               same_suppressed(request, &step->draws[at + count].sequence->job->request)) {
            count++;
        }
        if (runner->slice_count == runner->slice_capacity) {
            runner->slice_capacity = 2 * runner->slice_capacity + 16;
            runner->slices =
                xr_realloc(runner->slices, sizeof *runner->slices * (size_t)runner->slice_capacity);
        }
        Slice *slice = &runner->slices[runner->slice_count++];
        *slice = (Slice){.first = at, .count = count};
        if (request->suppress_count) {
            int32_t *ids;
            slice->suppress = take(runner, request->suppress_count, &ids);
            memcpy(ids, request->suppress, sizeof *ids * (size_t)request->suppress_count);
        }
        at += count;
    }
}

// The rows, the parameters and the seen ids of all draws.
static void pack_draws(XrRunner *runner, const XrStep *step) {
    int32_t *rows, *words, *seen;
    int64_t draws = step->draw_count, total = 0;
    for (int i = 0; i < draws; i++) {
        const XrSequence *s = step->draws[i].sequence;
        if (s->seen.bits) total += s->seen.count + (step->draws[i].drawn >= 0);
    }
    runner->rows = take(runner, draws, &rows);
    XrTensor memory =
        take(runner, draws * (int64_t)(sizeof(XrSampleParams) / sizeof(int32_t)), &words);
    runner->params = memory.data;
    runner->seen = take(runner, total, &seen);
    XrSampleParams *params = (XrSampleParams *)(void *)words;
    int32_t at = 0;
    for (int i = 0; i < draws; i++) {
        const XrDraw *d = &step->draws[i];
        const XrSequence *s = d->sequence;
        const XrSampling *sampling = &s->job->request.sampling;
        rows[i] = (int32_t)d->row;
        params[i] = (XrSampleParams){.temperature = sampling->temperature,
                                     .top_p = sampling->top_p,
                                     .repetition_penalty = sampling->repetition_penalty,
                                     .top_k = sampling->top_k,
                                     .seed = sampling->seed,
                                     .stream = s->stream,
                                     .position = (uint64_t)d->position,
                                     .seen_begin = at};
        if (s->seen.count) memcpy(seen + at, s->seen.ids, sizeof *seen * (size_t)s->seen.count);
        at += s->seen.count;
        if (s->seen.bits && d->drawn >= 0) feed(runner, d->drawn, &seen[at++]);
        params[i].seen_end = at;
    }
    pack_slices(runner, step);
}

static void pack_scores(XrRunner *runner, const XrStep *step) {
    for (int i = 0; i < step->score_count; i++) {
        const XrScore *score = &step->scores[i];
        int32_t *ids;
        runner->targets[i] = take(runner, score->count, &ids);
        memcpy(ids, score->sequence->sample->ids + score->first,
               sizeof *ids * (size_t)score->count);
    }
}

// Sends the pack, and puts the ids that the host has not seen in their places.
static void send(XrRunner *runner, XrStep *step) {
    XrBackend *b = runner->model->backend;
    int64_t feeds = runner->feeds;
    int32_t *from, *to;
    XrTensor sources = take(runner, feeds, &from), targets = take(runner, feeds, &to);
    if (feeds) memcpy(from, runner->feed_from, sizeof *from * (size_t)feeds);
    if (feeds) memcpy(to, runner->feed_to, sizeof *to * (size_t)feeds);
    b->send(b, runner->needs.data, &step->in, sizeof(int32_t) * (size_t)runner->pack.used);
    if (!feeds) return;
    XrTensor drawn = xr_tensor2(XR_I32, runner->gives.data, runner->gives.shape[0], 1);
    XrTensor needs = xr_tensor2(XR_I32, runner->needs.data, runner->pack.used, 1);
    XrTensor fed = xr_tensor2(XR_I32, runner->fed.data, feeds, 1);
    xr_gather_rows(b, &fed, &drawn, &sources);
    xr_scatter_rows(b, &needs, &fed, &targets);
}

// ---- what it gives ------------------------------------------------------------------------------

// A part of `gives` as a list.
static XrTensor part(const XrRunner *runner, XrDType dtype, int64_t first, int64_t count) {
    return xr_tensor1(dtype, (int32_t *)runner->gives.data + first, count);
}

static void draw(XrRunner *runner, const XrStep *step, const XrTensor *hidden) {
    XrBackend *b = runner->model->backend;
    int64_t draws = step->draw_count;
    for (int i = 0; i < runner->slice_count; i++) {
        const Slice *slice = &runner->slices[i];
        int64_t first = slice->first, count = slice->count;
        XrTensor rows = xr_rows(&runner->rows, first, count);
        XrTensor chosen = xr_rows(&runner->hidden, 0, count);
        XrTensor logits = xr_rows(&runner->logits, 0, count);
        XrTensor tokens = part(runner, XR_I32, first, count);
        XrTensor logprob = part(runner, XR_F32, draws + first, count);
        XrTensor scaled = part(runner, XR_F32, 2 * draws + first, count);
        xr_gather_rows(b, &chosen, hidden, &rows);
        xr_language_logits(runner->model, &logits, &chosen);
        xr_sample(b, &tokens, &logprob, &scaled, &logits, &runner->seen,
                  slice->suppress.data ? &slice->suppress : NULL, runner->params + first);
    }
}

static float temperature_of(const XrScore *score) {
    float temperature = score->sequence->job->request.sampling.temperature;
    return temperature == 0 ? 1.0f : temperature;
}

static void score(XrRunner *runner, const XrStep *step, const XrTensor *hidden) {
    XrBackend *b = runner->model->backend;
    const XrTensor *head = xr_model_parameter(runner->model, XR_HEAD, 0);
    int64_t at = 3 * (int64_t)step->draw_count;
    for (int i = 0; i < step->score_count; i++) {
        const XrScore *s = &step->scores[i];
        XrTensor rows = xr_rows(hidden, s->row, s->count);
        XrTensor raw = part(runner, XR_F32, at, s->count);
        XrTensor scaled = part(runner, XR_F32, at + s->count, s->count);
        float temperature = temperature_of(s);
        xr_logprob(b, &raw, NULL, NULL, NULL, NULL, &rows, head, &runner->targets[i], 1);
        if (temperature == 1) {
            b->copy(b, scaled.data, raw.data, xr_nbytes(&raw));
        } else {
            xr_logprob(b, &scaled, NULL, NULL, NULL, NULL, &rows, head, &runner->targets[i],
                       temperature);
        }
        at += 2 * s->count;
    }
}

bool xr_runner_launch(XrRunner *runner, XrStep *step, const XrChunk *chunks, int count,
                      XrError *err) {
    XrBackend *b = runner->model->backend;
    const XrChunk *last = &chunks[count - 1];
    XrLanguageInput in = {.tokens = last->row + last->count, .caches = runner->caches};
    XrTensor lists[3];
    if (!make_room(runner, step, chunks, count, err)) return false;
    pack_tokens(runner, chunks, count, &in);
    pack_sequences(runner, chunks, count, lists, &in);
    if (!pack_pictures(runner, chunks, count, &in, err)) return false;
    pack_draws(runner, step);
    pack_scores(runner, step);
    send(runner, step);
    XrTensor hidden = xr_language_forward(runner->workspace, &in, NULL);
    draw(runner, step, &hidden);
    score(runner, step, &hidden);
    b->receive(b, &step->out, runner->gives.data, sizeof(int32_t) * (size_t)given(step));
    return true;
}

void xr_runner_collect(XrRunner *runner, XrStep *step) {
    XrBackend *b = runner->model->backend;
    int64_t draws = step->draw_count;
    b->wait(b, &step->out);
    const int32_t *ids = step->out.host;
    const float *values = step->out.host;
    for (int i = 0; i < draws; i++) {
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
