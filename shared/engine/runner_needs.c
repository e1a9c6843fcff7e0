// Packs what a step needs into one block: the batch's lists, those of draws and of scores.
//
// A decode step (one known token of each sequence, one draw from each) is filled up where the
// backend has graphs: with rows of no sequence, to a number of rows that comes often, and in the
// page table to a number of pages that stays for long. All that its launches depend on is then the
// same in most steps. What fills up writes to a page of its own, and is drawn from for nobody.
#include "shared/engine/runner_state.h"

#include "shared/base/memory.h"

#include <string.h>

enum { PACK_ALIGNMENT = 4 };

// Rows of a step that is filled up: in steps of 1, 2, 4, 8 rows, then of 8 at least and 32 at most,
// by an eighth.
int64_t xr_runner_filled_rows(int64_t rows) {
    int64_t above = 1;
    while (above < rows) above *= 2;
    int64_t step = XR_MIN(XR_MAX(above / 8, 8), XR_KV_PAGE);
    return above <= 8 ? above : (rows + step - 1) / step * step;
}

// Pages: two steps from one power of two to the next.
static int64_t filled_pages(int64_t pages) {
    int64_t above = 1;
    while (above < pages) above *= 2;
    return pages <= above / 4 * 3 ? above / 4 * 3 : above;
}

static XrTensor take(XrRunner *runner, int64_t count, int32_t **host) {
    XrRunnerPack *p = &runner->pack;
    XR_REQUIRE(count <= p->room - p->used, "%lld of %lld elements are taken; %lld more",
               (long long)p->used, (long long)p->room, (long long)count);
    *host = p->host + p->used;
    XrTensor list = xr_tensor1(XR_I32, p->memory + p->used, count);
    p->used += (count + PACK_ALIGNMENT - 1) / PACK_ALIGNMENT * PACK_ALIGNMENT;
    return list;
}

// A list of ids that are on the device alone goes first: an element may get the id that the step
// before drew with one of its draws. Elements that are not needed are taken care of by end_feeds.
static void begin_feeds(XrRunner *runner) {
    int64_t most = runner->shape.sequences + runner->shape.draws;
    runner->sources = take(runner, most, &runner->feed_from);
    runner->targets = take(runner, most, &runner->feed_to);
    runner->feeds = 0;
}

// This element will be the id that the step before drew with its draw `drawn`.
static void feed(XrRunner *runner, int drawn, const int32_t *element) {
    runner->feed_from[runner->feeds] = drawn;
    runner->feed_to[runner->feeds++] = (int32_t)(element - runner->pack.host);
}

// In a step that is filled up as many ids are fed each time; those that nobody needs take the place
// of their own source's number, which has been read by then.
static void end_feeds(XrRunner *runner) {
    int64_t most = runner->sources.shape[0];
    while (runner->shape.filled && runner->feeds < most) {
        const int32_t *own = &runner->feed_from[runner->feeds];
        feed(runner, 0, own);
    }
    runner->sources = xr_rows(&runner->sources, 0, runner->feeds);
    runner->targets = xr_rows(&runner->targets, 0, runner->feeds);
}

static bool is_picture(const XrChunk *c) {
    const XrJob *job = c->sequence->job;
    return job->image_rows && c->begin < xr_job_prompt(job) && job->image_rows[c->begin] >= 0;
}

// Whether each sequence brings one token and draws one from it.
static bool is_decode(const XrStep *step, const XrChunk *chunks, int count) {
    if (step->draw_count != count || step->score_count) return false;
    for (int i = 0; i < count; i++) {
        const XrChunk *c = &chunks[i];
        if (c->count != 1 || step->draws[i].row != i || is_picture(c)) return false;
    }
    return true;
}

static XrRunnerShape shape_of(const XrRunner *runner, const XrStep *step, const XrChunk *chunks,
                              int count) {
    const XrChunk *last = &chunks[count - 1];
    XrRunnerShape s = {.tokens = last->row + last->count,
                       .sequences = count,
                       .pages = 1,
                       .draws = step->draw_count,
                       .filled = runner->fills && is_decode(step, chunks, count)};
    for (int i = 0; i < count; i++) s.pages = XR_MAX(s.pages, chunks[i].sequence->pages.count);
    if (!s.filled) return s;
    s.tokens = s.sequences = s.draws = XR_MIN(xr_runner_filled_rows(count), runner->capacity);
    s.pages = XR_MAX(s.pages, XR_MIN(filled_pages(s.pages), runner->most_pages));
    return s;
}

// At least what the step's lists take.
static int64_t most_needed(const XrRunnerShape *shape, const XrStep *step) {
    int64_t lists = 14, params = (int64_t)(sizeof(XrSampleParams) / sizeof(int32_t));
    int64_t total = 6 * shape->tokens + shape->sequences * (2 + shape->pages) + 1 +
                    shape->draws * (1 + params) + 2 * (shape->sequences + shape->draws);
    for (int i = 0; i < step->draw_count; i++) {
        const XrSequence *s = step->draws[i].sequence;
        total += s->seen.count + 1 + s->job->request.suppress_count;
    }
    for (int i = 0; i < step->score_count; i++) {
        total += step->scores[i].count;
        lists++;
    }
    return total + lists * PACK_ALIGNMENT;
}

// What it gives, in elements.
int64_t xr_runner_given(const XrStep *step) {
    int64_t total = 3 * (int64_t)step->draw_places;
    for (int i = 0; i < step->score_count; i++) total += 2 * step->scores[i].count;
    return total;
}

static bool pin(XrRunner *runner, XrPinned *pinned, const XrTensor *like, XrError *err) {
    XrBackend *b = runner->model->backend;
    if (pinned->bytes >= xr_nbytes(like)) return true;
    b->unpin(b, pinned);
    return b->pin(b, pinned, xr_nbytes(like), "a batch", err);
}

static bool make_room(XrRunner *runner, XrStep *step, XrError *err) {
    int64_t needed = most_needed(&runner->shape, step);
    bool ok = xr_runner_grow(runner, &runner->needs, needed, 0, err) &&
              xr_runner_grow(runner, &runner->gives, xr_runner_given(step), runner->gives.shape[0],
                             err) &&
              xr_runner_grow(runner, &runner->fed, runner->shape.sequences + runner->shape.draws, 0,
                             err) &&
              pin(runner, &step->in, &runner->needs, err) &&
              pin(runner, &step->out, &runner->gives, err);
    if (!ok) return false;
    if (runner->scored_capacity < step->score_count) {
        runner->scored_capacity = step->score_capacity;
        runner->scored =
            xr_realloc(runner->scored, sizeof *runner->scored * (size_t)runner->scored_capacity);
    }
    runner->pack =
        (XrRunnerPack){.host = step->in.host, .memory = runner->needs.data, .room = needed};
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
    for (int64_t row = count, spare = 0; runner->shape.filled && row < in->tokens; row++) {
        ids[row] = -1;
        for (int64_t axis = 0; axis < 3; axis++) positions[axis * in->tokens + row] = 0;
        slots[row] = runner->filling * XR_KV_PAGE + (int32_t)spare++;
    }
}

// Sequences that fill up are empty.
static void pack_sequences(XrRunner *runner, const XrChunk *chunks, int count, XrTensor lists[3],
                           XrLanguageInput *in) {
    int32_t *cu, *lengths, *table;
    int64_t sequences = runner->shape.sequences, pages = runner->shape.pages;
    lists[0] = take(runner, sequences + 1, &cu);
    lists[1] = take(runner, sequences, &lengths);
    lists[2] = take(runner, sequences * pages, &table);
    lists[2] = xr_tensor2(XR_I32, lists[2].data, sequences, pages);
    memset(table, 0, sizeof *table * (size_t)(sequences * pages));
    cu[0] = 0;
    for (int64_t i = 0; i < sequences; i++) {
        cu[i + 1] = cu[i];
        lengths[i] = 0;
        if (i >= count) continue;
        const XrChunk *c = &chunks[i];
        const XrPageList *own = &c->sequence->pages;
        cu[i + 1] = (int32_t)(c->row + c->count);
        lengths[i] = (int32_t)(c->begin + c->count);
        in->segments.longest = XR_MAX(in->segments.longest, c->count);
        in->tables.longest = XR_MAX(in->tables.longest, lengths[i]);
        memcpy(table + i * pages, own->pages, sizeof *table * (size_t)own->count);
    }
    if (runner->shape.filled) in->tables.longest = pages * XR_KV_PAGE;
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
        if (!runner->images.data &&
            !xr_runner_make(runner, &runner->images, runner->model->activations, runner->capacity,
                            hidden, err)) {
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

// The rows and the parameters of all draws; returns the latter on the host.
static XrSampleParams *pack_draws(XrRunner *runner, const XrStep *step) {
    int32_t *rows, *words;
    int64_t places = step->draw_places;
    runner->rows = take(runner, places, &rows);
    XrTensor memory =
        take(runner, places * (int64_t)(sizeof(XrSampleParams) / sizeof(int32_t)), &words);
    runner->params = memory.data;
    XrSampleParams *params = (XrSampleParams *)(void *)words;
    for (int64_t i = 0; i < places; i++) {
        rows[i] = (int32_t)i;
        params[i] = (XrSampleParams){.top_p = 1, .repetition_penalty = 1};
        if (i >= step->draw_count) continue;
        const XrDraw *d = &step->draws[i];
        const XrSampling *sampling = &d->sequence->job->request.sampling;
        rows[i] = (int32_t)d->row;
        params[i] = (XrSampleParams){.temperature = sampling->temperature,
                                     .top_p = sampling->top_p,
                                     .repetition_penalty = sampling->repetition_penalty,
                                     .top_k = sampling->top_k,
                                     .seed = sampling->seed,
                                     .stream = d->sequence->stream,
                                     .position = (uint64_t)d->position};
    }
    return params;
}

// Where what a request suppresses stands in `ids`, the first `used` of which have been written:
// where an earlier draw has the same, mostly its neighbour, or behind them. Returns how many are
// then.
static int32_t pack_suppressed(const XrRequest *request, XrSampleParams *params, int draw,
                               int32_t *ids, int32_t used) {
    int32_t begin = used, count = request->suppress_count;
    size_t bytes = sizeof *ids * (size_t)count;
    for (int i = draw - 1; i >= 0 && count && begin == used; i--) {
        const XrSampleParams *p = &params[i];
        bool same = p->suppress_end - p->suppress_begin == count &&
                    memcmp(ids + p->suppress_begin, request->suppress, bytes) == 0;
        if (same) begin = p->suppress_begin;
    }
    if (count && begin == used) memcpy(ids + begin, request->suppress, bytes);
    params[draw].suppress_begin = begin;
    params[draw].suppress_end = begin + count;
    return XR_MAX(used, begin + count);
}

// The ids that are never drawn and those that penalties are for. They come last, since their number
// changes from step to step; in a step that is filled up the list is as long as there is room.
static void pack_listed(XrRunner *runner, const XrStep *step, XrSampleParams *params) {
    int64_t most = 0;
    int32_t *ids, at = 0;
    for (int i = 0; i < step->draw_count; i++) {
        const XrSequence *s = step->draws[i].sequence;
        most += s->job->request.suppress_count;
        if (s->seen.bits) most += s->seen.count + (step->draws[i].drawn >= 0);
    }
    int64_t before = runner->pack.used;
    runner->listed = take(runner, most, &ids);
    for (int i = 0; i < step->draw_count; i++) {
        at = pack_suppressed(&step->draws[i].sequence->job->request, params, i, ids, at);
    }
    for (int i = 0; i < step->draw_count; i++) {
        const XrDraw *d = &step->draws[i];
        const XrSequence *s = d->sequence;
        params[i].seen_begin = at;
        if (s->seen.count) memcpy(ids + at, s->seen.ids, sizeof *ids * (size_t)s->seen.count);
        at += s->seen.count;
        if (s->seen.bits && d->drawn >= 0) feed(runner, d->drawn, &ids[at++]);
        params[i].seen_end = at;
    }
    runner->listed.shape[0] = runner->shape.filled ? runner->needs.shape[0] - before : at;
    runner->pack.used = before + at;
}

static void pack_scores(XrRunner *runner, const XrStep *step) {
    for (int i = 0; i < step->score_count; i++) {
        const XrScore *score = &step->scores[i];
        int32_t *ids;
        runner->scored[i] = take(runner, score->count, &ids);
        memcpy(ids, score->sequence->sample->ids + score->first,
               sizeof *ids * (size_t)score->count);
    }
}

bool xr_runner_pack(XrRunner *runner, XrStep *step, const XrChunk *chunks, int count,
                    XrLanguageInput *in, XrTensor lists[3], XrError *err) {
    runner->shape = shape_of(runner, step, chunks, count);
    step->draw_places = (int)runner->shape.draws;
    *in = (XrLanguageInput){.tokens = runner->shape.tokens, .caches = runner->caches};
    if (!make_room(runner, step, err)) return false;
    begin_feeds(runner);
    pack_tokens(runner, chunks, count, in);
    pack_sequences(runner, chunks, count, lists, in);
    if (!pack_pictures(runner, chunks, count, in, err)) return false;
    XrSampleParams *params = pack_draws(runner, step);
    pack_scores(runner, step);
    pack_listed(runner, step, params);
    end_feeds(runner);
    return true;
}
