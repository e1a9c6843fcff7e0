#include "shared/engine/engine.h"

#include "shared/base/memory.h"
#include "shared/engine/runner.h"
#include "shared/model/vision.h"

#include <stdlib.h>
#include <string.h>

enum { MOST_STEPS = 2 }; // on their way at a time

struct XrEngine {
    XrSetting setting;
    XrEngineConfig config;
    XrScheduler scheduler;
    XrRunner *runner;
    XrChunk *chunks;          // [max_sequences]
    int32_t *from, *to;       // [max_sequences] pages to copy
    XrStep steps[MOST_STEPS]; // a ring: those on their way, the oldest first
    int oldest, steps_ahead;
    int64_t waited; // the backend's waits before the engine
    XrJob **jobs;   // by arrival
    int job_count, job_capacity;
    uint64_t arrivals;
    XrResponse **done; // [done_count] finished, the oldest first
    int done_count, done_capacity;
    XrEngineStats stats;
};

size_t xr_engine_page_bytes(const XrModel *model) {
    XrBackend *b = model->backend;
    const XrConfig *c = &model->config;
    return b->kv_page_bytes(b, model->activations, (int)c->kv_heads, (int)c->head_dim) *
           (size_t)c->layers;
}

// Fills in defaults; returns the number of pages.
static int64_t settle(XrEngineConfig *config, const XrModel *model) {
    if (config->max_sequences <= 0) config->max_sequences = 64;
    if (config->max_batch_tokens <= 0) config->max_batch_tokens = 512;
    config->max_batch_tokens = XR_MAX(config->max_batch_tokens, config->max_sequences);
    int64_t pages = xr_pages_for(model->config.max_positions) * config->max_sequences;
    size_t bytes = config->cache_bytes;
    if (bytes == 0) bytes = model->backend->memory(model->backend) / 4;
    pages = XR_MIN(pages, (int64_t)(bytes / xr_engine_page_bytes(model)));
    return XR_MIN(pages, INT32_MAX / XR_KV_PAGE);
}

bool xr_engine_create(XrEngine **out, const XrModel *model, const XrTokenizer *tokenizer,
                      const XrEngineConfig *config, XrError *err) {
    *out = NULL;
    XrEngineConfig settled = *config;
    int64_t pages = settle(&settled, model);
    if (pages < 1) {
        return xr_fail(err, XR_ERR_LIMIT,
                       "a cache of %zu bytes holds no page; %s needs %zu bytes "
                       "for each %d tokens",
                       config->cache_bytes, model->folder, xr_engine_page_bytes(model), XR_KV_PAGE);
    }
    XrEngine *e = xr_calloc(1, sizeof *e);
    e->config = settled;
    e->waited = model->backend->waits;
    e->setting = (XrSetting){.model = model,
                             .tokenizer = tokenizer,
                             .encoder = tokenizer ? xr_encoder_create(tokenizer) : NULL,
                             .context = XR_MIN(model->config.max_positions, pages * XR_KV_PAGE)};
    size_t most = (size_t)settled.max_sequences;
    e->chunks = xr_malloc(sizeof *e->chunks * most);
    e->from = xr_malloc(sizeof *e->from * most);
    e->to = xr_malloc(sizeof *e->to * most);
    xr_scheduler_create(&e->scheduler, (int32_t)pages, settled.max_sequences,
                        settled.max_batch_tokens);
    bool ok = xr_runner_create(&e->runner, model, (int32_t)pages, settled.max_sequences,
                               settled.max_batch_tokens, e->setting.context, err);
    if (ok)
        *out = e;
    else
        xr_engine_free(e);
    return ok;
}

static void release_pictures(XrJob *job) {
    xr_tensor_free(job->setting->model->backend, &job->images);
}

static XrStep *step_ahead(XrEngine *e, int i) {
    return &e->steps[(e->oldest + i) % MOST_STEPS];
}

// What the steps on their way compute for a sample is not wanted: it has ended, or goes on
// otherwise. The first `cached` of its tokens stay in its pages.
static void turn_back(XrEngine *e, XrSequence *s, int64_t cached) {
    for (int i = 0; i < e->steps_ahead; i++) xr_step_forget(step_ahead(e, i), s);
    s->cached = XR_MIN(s->cached, cached);
}

// Ends all samples of a job that have not ended.
static void end_job(XrEngine *e, XrJob *job, XrFinish finish, const XrError *error) {
    if (error && job->response->error.status == XR_OK) job->response->error = *error;
    for (int i = 0; i < job->sequence_count; i++) {
        XrSequence *s = &job->sequences[i];
        if (s->phase == XR_PHASE_DONE || s->phase == XR_PHASE_ABSENT) continue;
        xr_sequence_finish(s, finish);
        turn_back(e, s, xr_job_prompt(job) + XR_MAX(s->sample->count - 1, 0));
        xr_scheduler_leave(&e->scheduler, s);
    }
}

static void add_done(XrEngine *e, XrResponse *response) {
    if (e->done_count == e->done_capacity) {
        e->done_capacity = 2 * e->done_capacity + 16;
        size_t bytes = sizeof(XrResponse *) * (size_t)e->done_capacity;
        e->done = (XrResponse **)xr_realloc((void *)e->done, bytes);
    }
    e->done[e->done_count++] = response;
}

// Hands over the responses of jobs all of whose samples have ended.
static void finish_jobs(XrEngine *e) {
    int kept = 0;
    for (int i = 0; i < e->job_count; i++) {
        XrJob *job = e->jobs[i];
        if (job->alive > 0) {
            e->jobs[kept++] = job;
            continue;
        }
        add_done(e, job->response);
        release_pictures(job);
        xr_job_free(job);
    }
    e->job_count = kept;
}

void xr_engine_free(XrEngine *e) {
    if (!e) return;
    for (int i = 0; i < e->job_count; i++) {
        e->jobs[i]->request.on_piece = NULL;
        end_job(e, e->jobs[i], XR_FINISH_INTERRUPTED, NULL);
    }
    finish_jobs(e);
    for (int i = 0; i < e->done_count; i++) xr_response_free(e->done[i]);
    XrBackend *b = e->setting.model->backend;
    for (int i = 0; i < MOST_STEPS; i++) xr_step_free(&e->steps[i], b);
    xr_scheduler_destroy(&e->scheduler);
    xr_runner_free(e->runner);
    xr_encoder_free(e->setting.encoder);
    free((void *)e->jobs);
    free((void *)e->done);
    free(e->chunks);
    free(e->from);
    free(e->to);
    free(e);
}

int64_t xr_engine_context(const XrEngine *e) {
    return e->setting.context;
}

static XrJob *find_job(const XrEngine *e, uint64_t id) {
    for (int i = 0; i < e->job_count; i++) {
        if (e->jobs[i]->request.id == id) return e->jobs[i];
    }
    return NULL;
}

bool xr_engine_add(XrEngine *e, const XrRequest *request, XrError *err) {
    if (find_job(e, request->id)) {
        return xr_fail(err, XR_ERR_INPUT, "a request with the id %llu is in the engine already",
                       (unsigned long long)request->id);
    }
    XrJob *job;
    if (!xr_job_create(&job, &e->setting, request, err)) return false;
    job->arrival = e->arrivals++;
    if (e->job_count == e->job_capacity) {
        e->job_capacity = 2 * e->job_capacity + 16;
        size_t bytes = sizeof(XrJob *) * (size_t)e->job_capacity;
        e->jobs = (XrJob **)xr_realloc((void *)e->jobs, bytes);
    }
    e->jobs[e->job_count++] = job;
    xr_scheduler_wait(&e->scheduler, &job->sequences[0]);
    return true;
}

void xr_engine_cancel(XrEngine *e, uint64_t id) {
    XrJob *job = find_job(e, id);
    if (job) job->cancelled = true;
}

static void end_cancelled(XrEngine *e) {
    bool any = false;
    for (int i = 0; i < e->job_count; i++) {
        if (!e->jobs[i]->cancelled) continue;
        end_job(e, e->jobs[i], XR_FINISH_INTERRUPTED, NULL);
        any = true;
    }
    if (any) finish_jobs(e);
}

static bool has_picture(const XrChunk *c) {
    const XrJob *job = c->sequence->job;
    int64_t end = XR_MIN(c->begin + c->count, xr_job_prompt(job));
    for (int64_t at = c->begin; job->image_rows && at < end; at++) {
        if (job->image_rows[at] >= 0) return true;
    }
    return false;
}

// Embeds the pictures that the chunks need. A job whose pictures do not fit into memory ends; the
// chunks are then void, which is what false says.
static bool embed(XrEngine *e, int count) {
    bool ok = true;
    for (int i = 0; i < count; i++) {
        XrJob *job = e->chunks[i].sequence->job;
        if (job->images.data || job->alive == 0 || !has_picture(&e->chunks[i])) continue;
        const XrRequest *r = &job->request;
        XrError error = {0};
        if (xr_vision_forward(job->setting->model, &job->images, r->pixels, r->grids,
                              r->picture_count, NULL, &error)) {
            e->stats.pictures += r->picture_count;
            continue;
        }
        end_job(e, job, XR_FINISH_ERROR, &error);
        ok = false;
    }
    return ok;
}

// Lets a sibling hold the pages of a leader with the first `cached` tokens, which both have; the
// last page, which both will write to, is copied. Returns the number of pages to copy, 0 or 1, or
// -1 when there is no room for the sibling now.
static int share_pages(XrEngine *e, const XrSequence *leader, XrSequence *sibling, int64_t cached,
                       int copies) {
    XrScheduler *scheduler = &e->scheduler;
    int64_t whole = cached / XR_KV_PAGE, all = xr_pages_for(cached);
    if (scheduler->running_count == scheduler->max_sequences) return -1;
    while (scheduler->pool.free < all - whole) {
        if (!xr_kept_evict(&scheduler->kept, &scheduler->pool)) return -1;
    }
    xr_pages_share(&scheduler->pool, &sibling->pages, &leader->pages, whole);
    xr_pages_grow(&scheduler->pool, &sibling->pages, all);
    sibling->cached = cached;
    xr_scheduler_run(scheduler, sibling);
    if (all == whole) return 0;
    e->from[copies] = leader->pages.pages[whole];
    e->to[copies] = sibling->pages.pages[whole];
    return 1;
}

// Sample 0 runs the last of the prompt: the other samples start from there, all drawing from the
// same row. Returns how many pages there are to copy, `copies` of them from before.
static int fork_job(XrEngine *e, XrStep *step, XrJob *job, int64_t row, int copies) {
    const XrSequence *leader = &job->sequences[0];
    job->prefilled = true;
    for (int i = 1; i < job->sequence_count; i++) {
        XrSequence *s = &job->sequences[i];
        if (s->phase == XR_PHASE_ABSENT) continue;
        if (xr_sequence_is_branch(s)) { // forced to exit before anything was drawn
            xr_scheduler_wait(&e->scheduler, s);
            continue;
        }
        int shared = share_pages(e, leader, s, leader->cached, copies);
        if (shared < 0) xr_scheduler_wait(&e->scheduler, s);
        if (shared > 0) copies++;
        xr_step_draw(step, s, row, true);
    }
    return copies;
}

// A branch that has just begun starts from what its sample has run, but for the token before the
// exit, whose row gives the first injected token's log-probability.
static void place_branch(XrEngine *e, const XrSequence *s, int64_t cached) {
    XrSequence *branch = xr_sequence_branch(s);
    if (!branch || branch->phase != XR_PHASE_SIBLING) return;
    bool holds = s->phase == XR_PHASE_RUNNING;
    int copies = holds ? share_pages(e, s, branch, XR_MIN(s->cached, cached), 0) : -1;
    if (copies < 0) xr_scheduler_wait(&e->scheduler, branch);
    if (copies > 0) xr_runner_copy_pages(e->runner, e->from, e->to, copies);
}

// Takes account of what the step is about to run, and asks for the draws and scores that are due.
// Returns how many pages are to be copied afterwards.
static int advance(XrEngine *e, XrStep *step, int count) {
    int copies = 0;
    xr_step_clear(step);
    for (int i = 0; i < count; i++) {
        const XrChunk *c = &e->chunks[i];
        XrSequence *s = c->sequence;
        xr_step_score(step, s, c->begin, c->count, c->row);
        s->cached += c->count;
        e->stats.tokens += c->count;
        if (s->cached < xr_sequence_known(s)) continue;
        int64_t row = c->row + c->count - 1;
        if (!s->job->prefilled) copies = fork_job(e, step, s->job, row, copies);
        xr_step_draw(step, s, row, false);
    }
    return copies;
}

// Ends every job that was to take part in a step for which there was no memory.
static void fail_step(XrEngine *e, int count, const XrError *error) {
    for (int i = 0; i < count; i++) end_job(e, e->chunks[i].sequence->job, XR_FINISH_ERROR, error);
}

// Picture embeddings are given up when no sample needs them; a preempted one has them made again.
static void tidy_pictures(XrEngine *e) {
    for (int i = 0; i < e->job_count; i++) {
        XrJob *job = e->jobs[i];
        if (!job->images.data) continue;
        bool needed = false;
        for (int k = 0; k < job->sequence_count; k++) {
            const XrSequence *s = &job->sequences[k];
            needed |= s->phase == XR_PHASE_WAITING ||
                      (s->phase == XR_PHASE_RUNNING && s->cached < xr_job_prompt(job));
        }
        if (!needed) release_pictures(job);
    }
}

// Asks for the step that runs the chunks; false where it cannot be run, and jobs have ended.
static bool launch(XrEngine *e, int count) {
    XrError error = {0};
    double begin = xr_now();
    if (!embed(e, count)) return false;
    XrStep *step = step_ahead(e, e->steps_ahead);
    int copies = advance(e, step, count);
    if (!xr_runner_launch(e->runner, step, e->chunks, count, &error)) {
        fail_step(e, count, &error);
        return false;
    }
    if (copies) xr_runner_copy_pages(e->runner, e->from, e->to, copies);
    e->steps_ahead++;
    e->stats.model_seconds += xr_now() - begin;
    return true;
}

static void take_score(const XrScore *score) {
    if (!score->sequence) return;
    XrSample *o = score->sequence->sample;
    size_t bytes = sizeof *o->logprobs * (size_t)score->count;
    memcpy(o->logprobs + score->first, score->logprobs, bytes);
    memcpy(o->scaled + score->first, score->scaled, bytes);
}

static void take_draw(XrEngine *e, const XrDraw *d) {
    XrSequence *s = d->sequence;
    if (!s) return;
    s->ahead--;
    XrSample *o = s->sample;
    const XrSample *first = s->job->sequences[0].sample;
    size_t injected = sizeof *o->logprobs * (size_t)o->count; // before anything was drawn
    if (d->forked && injected) memcpy(o->logprobs, first->logprobs, injected);
    if (d->forked && injected) memcpy(o->scaled, first->scaled, injected);
    int64_t count = o->count, known = xr_job_prompt(s->job) + count;
    if (xr_sequence_exhausted(s)) { // an answer budget of 0
        xr_sequence_finish(s, XR_FINISH_LENGTH);
    } else {
        e->stats.drawn++;
        xr_sequence_draw(s, d->id, d->logprob, d->scaled);
    }
    bool ended = s->phase == XR_PHASE_DONE, exited = o->count > count + 1;
    if (ended || exited) turn_back(e, s, known);
    place_branch(e, s, known);
    if (ended) xr_scheduler_leave(&e->scheduler, s);
}

// Waits for the oldest step on its way and takes its results.
static void collect(XrEngine *e) {
    XrStep *step = step_ahead(e, 0);
    double begin = xr_now();
    xr_runner_collect(e->runner, step);
    e->stats.model_seconds += xr_now() - begin;
    e->oldest = (e->oldest + 1) % MOST_STEPS;
    e->steps_ahead--;
    for (int i = 0; i < step->score_count; i++) take_score(&step->scores[i]);
    for (int i = 0; i < step->draw_count; i++) take_draw(e, &step->draws[i]);
}

bool xr_engine_step(XrEngine *e) {
    double begin = xr_now();
    end_cancelled(e);
    int count = xr_scheduler_plan(&e->scheduler, e->chunks);
    bool launched = count > 0 && launch(e, count);
    e->stats.steps += count > 0;
    int ahead = launched && e->setting.model->backend->asynchronous;
    while (e->steps_ahead > ahead) collect(e);
    tidy_pictures(e);
    finish_jobs(e);
    e->stats.seconds += xr_now() - begin;
    return e->job_count > 0;
}

XrResponse *xr_engine_take(XrEngine *e) {
    if (e->done_count == 0) return NULL;
    XrResponse *first = e->done[0];
    e->done_count--;
    memmove((void *)e->done, (const void *)(e->done + 1),
            sizeof(XrResponse *) * (size_t)e->done_count);
    return first;
}

bool xr_engine_generate(XrEngine *e, const XrRequest *requests, int count, XrResponse **out,
                        XrError *err) {
    XR_REQUIRE(e->job_count == 0 && e->done_count == 0, "%d requests are in the engine already",
               e->job_count + e->done_count);
    bool ok = true;
    for (int i = 0; ok && i < count; i++) {
        ok = xr_engine_add(e, &requests[i], err) || xr_fail_in(err, "request %d", i);
    }
    for (int i = 0; !ok && i < e->job_count; i++) e->jobs[i]->cancelled = true;
    while (xr_engine_step(e)) continue;
    for (XrResponse *response; (response = xr_engine_take(e));) {
        int at = 0;
        while (at < count && requests[at].id != response->id) at++;
        if (ok)
            out[at] = response;
        else
            xr_response_free(response);
    }
    return ok;
}

XrEngineStats xr_engine_stats(const XrEngine *e) {
    XrEngineStats stats = e->stats;
    stats.waits = e->setting.model->backend->waits - e->waited;
    stats.graphs = xr_runner_graphs(e->runner)->recorded;
    stats.replays = xr_runner_graphs(e->runner)->launched;
    const XrScheduler *s = &e->scheduler;
    stats.preemptions = s->preemptions;
    stats.requests = e->job_count;
    stats.running = s->running_count;
    stats.waiting = s->waiting_count;
    stats.pages = s->pool.total;
    stats.free_pages = s->pool.free;
    stats.least_free_pages = s->pool.least_free;
    return stats;
}
