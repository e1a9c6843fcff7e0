#include "shared/engine/runner.h"

#include "shared/base/memory.h"

#include <stdlib.h>
#include <string.h>

// Rows of logits at a time: the head is read once for so many draws.
enum { MOST_DRAWS = 32 };

struct XrRunner {
    const XrModel *model;
    int max_sequences;
    int64_t capacity;   // tokens
    int64_t most_pages; // of a sequence
    XrKvCache *caches;  // one a layer
    XrLanguageWorkspace *workspace;
    int32_t *host; // what is about to be uploaded
    XrTensor ids, positions, cu, slots, tables, lengths;
    XrTensor from, to;           // pages
    XrTensor image_rows, images; // [capacity], [capacity, hidden]; had when first needed
    XrTensor rows, hidden, logits, tokens, logprob, scaled; // of draws
    XrTensor targets, scores;                               // of scoring
    XrTensor seen, suppress;                                // grow
    XrSampleParams *params;                                 // [MOST_DRAWS] in the backend's memory
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

static bool make_buffers(XrRunner *runner, XrError *err) {
    const XrConfig *c = &runner->model->config;
    XrBackend *b = runner->model->backend;
    int64_t tokens = runner->capacity, sequences = runner->max_sequences;
    int64_t widest = XR_MAX(sequences * runner->most_pages, 3 * tokens);
    widest = XR_MAX(XR_MAX(widest, sequences + 1), MOST_DRAWS);
    runner->host = xr_malloc(sizeof *runner->host * (size_t)widest);
    runner->params = b->alloc(b, sizeof *runner->params * MOST_DRAWS, "a batch", err);
    return runner->params && make(runner, &runner->ids, XR_I32, tokens, 0, err) &&
           make(runner, &runner->positions, XR_I32, 3, tokens, err) &&
           make(runner, &runner->cu, XR_I32, sequences + 1, 0, err) &&
           make(runner, &runner->slots, XR_I32, tokens, 0, err) &&
           make(runner, &runner->tables, XR_I32, sequences, runner->most_pages, err) &&
           make(runner, &runner->lengths, XR_I32, sequences, 0, err) &&
           make(runner, &runner->from, XR_I32, sequences, 0, err) &&
           make(runner, &runner->to, XR_I32, sequences, 0, err) &&
           make(runner, &runner->rows, XR_I32, MOST_DRAWS, 0, err) &&
           make(runner, &runner->hidden, runner->model->activations, MOST_DRAWS, c->hidden, err) &&
           make(runner, &runner->logits, XR_F32, MOST_DRAWS, c->vocab, err) &&
           make(runner, &runner->tokens, XR_I32, MOST_DRAWS, 0, err) &&
           make(runner, &runner->logprob, XR_F32, MOST_DRAWS, 0, err) &&
           make(runner, &runner->scaled, XR_F32, MOST_DRAWS, 0, err) &&
           make(runner, &runner->targets, XR_I32, tokens, 0, err) &&
           make(runner, &runner->scores, XR_F32, tokens, 0, err) &&
           make(runner, &runner->seen, XR_I32, 256, 0, err) &&
           make(runner, &runner->suppress, XR_I32, 64, 0, err);
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
    XrTensor *tensors[] = {
        &runner->ids,    &runner->positions, &runner->cu,         &runner->slots,
        &runner->tables, &runner->lengths,   &runner->from,       &runner->to,
        &runner->rows,   &runner->hidden,    &runner->image_rows, &runner->images,
        &runner->logits, &runner->tokens,    &runner->logprob,    &runner->scaled,
        &runner->seen,   &runner->suppress,  &runner->targets,    &runner->scores};
    for (size_t i = 0; i < XR_COUNT(tensors); i++) xr_tensor_free(b, tensors[i]);
    for (int64_t i = 0; runner->caches && i < runner->model->config.layers; i++) {
        if (runner->caches[i].data) b->free(b, runner->caches[i].data);
    }
    free(runner->caches);
    if (runner->params) b->free(b, runner->params);
    xr_language_workspace_free(runner->workspace);
    free(runner->host);
    free(runner);
}

// The first `count` elements of a list in the backend's memory, filled from the host.
static XrTensor put(XrRunner *runner, const XrTensor *room, const int32_t *host, int64_t count) {
    XrTensor t = xr_tensor1(XR_I32, room->data, count);
    xr_upload(runner->model->backend, &t, host);
    return t;
}

static void put_tokens(XrRunner *runner, const XrChunk *chunks, int count, XrLanguageInput *in) {
    int32_t *host = runner->host;
    for (int i = 0; i < count; i++) {
        const XrChunk *c = &chunks[i];
        const XrJob *job = c->sequence->job;
        for (int64_t j = 0; j < c->count; j++) {
            int64_t at = c->begin + j;
            bool image = job->image_rows && at < xr_job_prompt(job) && job->image_rows[at] >= 0;
            host[c->row + j] = image ? -1 : xr_sequence_token(c->sequence, at);
        }
    }
    in->ids = put(runner, &runner->ids, host, in->tokens);
    for (int i = 0; i < count; i++) {
        const XrChunk *c = &chunks[i];
        const XrJob *job = c->sequence->job;
        int64_t prompt = xr_job_prompt(job);
        for (int64_t j = 0; j < 3 * c->count; j++) {
            int64_t axis = j / c->count, row = j % c->count, at = c->begin + row;
            host[axis * in->tokens + c->row + row] =
                at < prompt ? job->positions[axis * prompt + at]
                            : (int32_t)(job->next_position + (at - prompt));
        }
    }
    in->positions = xr_tensor2(XR_I32, runner->positions.data, 3, in->tokens);
    xr_upload(runner->model->backend, &in->positions, host);
    for (int i = 0; i < count; i++) {
        const XrChunk *c = &chunks[i];
        for (int64_t at = c->begin; at < c->begin + c->count; at++) {
            host[c->row + at - c->begin] =
                c->sequence->pages.pages[at / XR_KV_PAGE] * XR_KV_PAGE + (int)(at % XR_KV_PAGE);
        }
    }
    in->slots = put(runner, &runner->slots, host, in->tokens);
}

static void put_sequences(XrRunner *runner, const XrChunk *chunks, int count, XrLanguageInput *in) {
    int32_t *host = runner->host;
    int64_t pages = 1;
    host[0] = 0;
    for (int i = 0; i < count; i++) {
        host[i + 1] = (int32_t)(chunks[i].row + chunks[i].count);
        in->segments.longest = XR_MAX(in->segments.longest, chunks[i].count);
        pages = XR_MAX(pages, chunks[i].sequence->pages.count);
    }
    runner->cu = put(runner, &runner->cu, host, count + 1);
    for (int i = 0; i < count; i++) {
        host[i] = (int32_t)(chunks[i].begin + chunks[i].count);
        in->tables.longest = XR_MAX(in->tables.longest, host[i]);
    }
    runner->lengths = put(runner, &runner->lengths, host, count);
    for (int i = 0; i < count; i++) {
        const XrPageList *list = &chunks[i].sequence->pages;
        memcpy(host + i * pages, list->pages, sizeof *host * (size_t)list->count);
        memset(host + i * pages + list->count, 0, sizeof *host * (size_t)(pages - list->count));
    }
    runner->tables = xr_tensor2(XR_I32, runner->tables.data, count, pages);
    xr_upload(runner->model->backend, &runner->tables, host);
    in->segments.cu = &runner->cu;
    in->tables.pages = &runner->tables;
    in->tables.lengths = &runner->lengths;
}

// Copies the embeddings of the picture tokens in the chunks together, in the batch's order.
static bool put_pictures(XrRunner *runner, const XrChunk *chunks, int count, XrLanguageInput *in,
                         XrError *err) {
    XrBackend *b = runner->model->backend;
    int64_t found = 0, hidden = runner->model->config.hidden;
    for (int i = 0; i < count; i++) {
        const XrChunk *c = &chunks[i];
        const XrJob *job = c->sequence->job;
        int64_t end = XR_MIN(c->begin + c->count, xr_job_prompt(job)), first = -1, run = 0;
        for (int64_t at = c->begin; job->image_rows && at < end; at++) {
            if (job->image_rows[at] < 0) continue;
            if (run++ == 0) first = job->image_rows[at];
            runner->host[found + run - 1] = (int32_t)(c->row + at - c->begin);
        }
        if (run == 0) continue;
        XR_REQUIRE(job->images.data, "a picture was not embedded before its tokens were run");
        if (!runner->images.data &&
            !(make(runner, &runner->images, runner->model->activations, runner->capacity, hidden,
                   err) &&
              make(runner, &runner->image_rows, XR_I32, runner->capacity, 0, err))) {
            return false;
        }
        XrTensor from = xr_rows(&job->images, first, run),
                 to = xr_rows(&runner->images, found, run);
        b->copy(b, to.data, from.data, xr_nbytes(&from));
        found += run;
    }
    if (found == 0) return true;
    in->images = xr_rows(&runner->images, 0, found);
    in->image_rows = put(runner, &runner->image_rows, runner->host, found);
    return true;
}

bool xr_runner_forward(XrRunner *runner, const XrChunk *chunks, int count, XrTensor *hidden,
                       XrError *err) {
    const XrChunk *last = &chunks[count - 1];
    XrLanguageInput in = {.tokens = last->row + last->count, .caches = runner->caches};
    put_tokens(runner, chunks, count, &in);
    put_sequences(runner, chunks, count, &in);
    if (!put_pictures(runner, chunks, count, &in, err)) return false;
    *hidden = xr_language_forward(runner->workspace, &in, NULL);
    return true;
}

// Makes room for `count` ids, keeping nothing.
static bool room_for(XrRunner *runner, XrTensor *t, int64_t count, XrError *err) {
    if (t->data && t->shape[0] >= count) return true;
    xr_tensor_free(runner->model->backend, t);
    *t = (XrTensor){0};
    return make(runner, t, XR_I32, 2 * count, 0, err);
}

static bool same_suppressed(const XrRequest *a, const XrRequest *b) {
    return a->suppress_count == b->suppress_count &&
           (a->suppress_count == 0 ||
            memcmp(a->suppress, b->suppress, sizeof *a->suppress * (size_t)a->suppress_count) == 0);
}

// How many of the draws go into one call: suppressed ids are the same for all of a call.
static int slice(const XrDraw *draws, int count) {
    int n = 1;
    while (n < XR_MIN(count, MOST_DRAWS) &&
           same_suppressed(&draws[0].sequence->job->request, &draws[n].sequence->job->request)) {
        n++;
    }
    return n;
}

static bool put_params(XrRunner *runner, const XrDraw *draws, int count, XrTensor *seen,
                       XrError *err) {
    XrBackend *b = runner->model->backend;
    XrSampleParams params[MOST_DRAWS];
    int64_t total = 0;
    for (int i = 0; i < count; i++) total += draws[i].sequence->seen.count;
    if (!room_for(runner, &runner->seen, total, err)) return false;
    int32_t at = 0;
    for (int i = 0; i < count; i++) {
        const XrSequence *s = draws[i].sequence;
        const XrSampling *sampling = &s->job->request.sampling;
        params[i] = (XrSampleParams){.temperature = sampling->temperature,
                                     .top_p = sampling->top_p,
                                     .repetition_penalty = sampling->repetition_penalty,
                                     .top_k = sampling->top_k,
                                     .seed = sampling->seed,
                                     .stream = s->stream,
                                     .position = (uint64_t)s->sample->count,
                                     .seen_begin = at,
                                     .seen_end = at + s->seen.count};
        XrTensor part = xr_rows(&runner->seen, at, s->seen.count);
        xr_upload(b, &part, s->seen.ids);
        at += s->seen.count;
    }
    *seen = xr_rows(&runner->seen, 0, total);
    b->upload(b, runner->params, params, sizeof *params * (size_t)count);
    return true;
}

static bool draw_slice(XrRunner *runner, const XrTensor *hidden, XrDraw *draws, int count,
                       XrError *err) {
    XrBackend *b = runner->model->backend;
    const XrRequest *request = &draws[0].sequence->job->request;
    for (int i = 0; i < count; i++) runner->host[i] = (int32_t)draws[i].row;
    XrTensor rows = put(runner, &runner->rows, runner->host, count), seen, suppress;
    if (!put_params(runner, draws, count, &seen, err) ||
        !room_for(runner, &runner->suppress, request->suppress_count, err)) {
        return false;
    }
    suppress = put(runner, &runner->suppress, request->suppress, request->suppress_count);
    XrTensor chosen = xr_rows(&runner->hidden, 0, count),
             logits = xr_rows(&runner->logits, 0, count);
    XrTensor tokens = xr_rows(&runner->tokens, 0, count);
    XrTensor logprob = xr_rows(&runner->logprob, 0, count);
    XrTensor scaled = xr_rows(&runner->scaled, 0, count);
    xr_gather_rows(b, &chosen, hidden, &rows);
    xr_language_logits(runner->model, &logits, &chosen);
    xr_sample(b, &tokens, &logprob, &scaled, &logits, &seen,
              request->suppress_count ? &suppress : NULL, runner->params);
    int32_t ids[MOST_DRAWS];
    float raw[MOST_DRAWS], tempered[MOST_DRAWS];
    xr_download(b, ids, &tokens);
    xr_download(b, raw, &logprob);
    xr_download(b, tempered, &scaled);
    for (int i = 0; i < count; i++) {
        draws[i].id = ids[i];
        draws[i].logprob = raw[i];
        draws[i].scaled = tempered[i];
    }
    return true;
}

bool xr_runner_draw(XrRunner *runner, const XrTensor *hidden, XrDraw *draws, int count,
                    XrError *err) {
    while (count > 0) {
        int n = slice(draws, count);
        if (!draw_slice(runner, hidden, draws, n, err)) return false;
        draws += n;
        count -= n;
    }
    return true;
}

void xr_runner_score(XrRunner *runner, const XrTensor *hidden, int64_t row, const int32_t *targets,
                     int64_t count, float temperature, float *out) {
    XrBackend *b = runner->model->backend;
    XrTensor wanted = put(runner, &runner->targets, targets, count);
    XrTensor scores = xr_rows(&runner->scores, 0, count), rows = xr_rows(hidden, row, count);
    xr_logprob(b, &scores, NULL, NULL, NULL, NULL, &rows,
               xr_model_parameter(runner->model, XR_HEAD, 0), &wanted,
               temperature == 0 ? 1.0f : temperature);
    xr_download(b, out, &scores);
}

void xr_runner_copy_pages(XrRunner *runner, const int32_t *from, const int32_t *to, int count) {
    XrBackend *b = runner->model->backend;
    XrTensor sources = put(runner, &runner->from, from, count);
    XrTensor targets = put(runner, &runner->to, to, count);
    for (int64_t i = 0; i < runner->model->config.layers; i++) {
        xr_kv_copy_pages(b, &runner->caches[i], &sources, &targets);
    }
}
