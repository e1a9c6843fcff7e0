#include "shared/eval/answerer.h"

#include "shared/base/interrupt.h"
#include "shared/base/memory.h"
#include "shared/engine/engine.h"
#include "shared/eval/model_identity.h"
#include "shared/prompt/prompt.h"
#include "shared/tensor/backend.h"
#include "shared/train/run_model.h"

#include <stdlib.h>

enum { AHEAD = 8, MOST_PIXEL_BYTES = 1 << 30 };

// A question in the engine.
typedef struct Flight {
    const XrAsked *asked;
    XrPrompt prompt;
} Flight;

typedef struct EngineAnswerer {
    XrAnswerer base;
    const XrRunConfig *config;
    const XrAsking *asking;
    XrChatModel *model;
    XrEngine *engine;
    XrRequest request; // without prompt, id and lists
    int32_t stop[XR_MAX_EOS], suppress[2];
    Flight *flights;
    int flight_count, flight_capacity;
    size_t pixel_bytes; // of the questions in the engine
} EngineAnswerer;

static bool identify(const XrAnswerer *self, XrBuffer *out, XrError *err) {
    const EngineAnswerer *a = (const EngineAnswerer *)self;
    return xr_model_identity(out, a->model->model->folder, err);
}

static void close_answerer(XrAnswerer *self) {
    EngineAnswerer *a = (EngineAnswerer *)self;
    xr_engine_free(a->engine);
    for (int i = 0; i < a->flight_count; i++) xr_prompt_free(&a->flights[i].prompt);
    xr_chat_model_close(a->model);
    free(a->flights);
    free(a);
}

// ---- asking ----

static size_t pixel_bytes(const XrPrompt *p) {
    return sizeof *p->pixels.values * (size_t)(p->pixels.rows * p->pixels.columns);
}

static bool add_request(EngineAnswerer *a, const XrAsked *asked, const XrPrompt *prompt,
                        XrError *err) {
    XrRequest r = a->request;
    int64_t most = a->config->max_prompt_length;
    r.id = asked->number;
    r.prompt = prompt->tokens.ids.data;
    r.prompt_count = (int64_t)prompt->tokens.ids.count;
    r.pixels = prompt->pixels.values;
    r.grids = prompt->pixels.grids;
    r.picture_count = (int)prompt->pixels.count;
    r.stop_ids = a->stop;
    r.suppress = a->suppress;
    r.samples = xr_asked_missing(asked, (int)a->config->num_generations, &r.first_sample);
    if (most && r.prompt_count > most) {
        return xr_fail(err, XR_ERR_LIMIT,
                       "the prompt has %lld tokens, more than \"max_prompt_length\" (%lld)",
                       (long long)r.prompt_count, (long long)most);
    }
    return xr_engine_add(a->engine, &r, err);
}

// Whether the error is about this question alone.
static bool is_of_question(const XrError *err) {
    return err->status == XR_ERR_INPUT || err->status == XR_ERR_LIMIT ||
           err->status == XR_ERR_UNSUPPORTED || err->status == XR_ERR_IO;
}

// Puts a question into the engine, or leaves it out, saying why.
static bool ask(EngineAnswerer *a, const XrAsked *asked, const XrAnswerSink *sink, XrError *err) {
    XrChat chat;
    XrPrompt prompt = {0};
    XrError problem = {0};
    xr_asking_chat(a->asking, asked->item, &chat);
    bool ok = xr_prompt_from_chat(&prompt, a->model, &chat,
                                  (XrChatOptions){.add_generation_prompt = true}, &problem);
    ok = ok && add_request(a, asked, &prompt, &problem);
    xr_chat_free(&chat);
    if (!ok) {
        xr_prompt_free(&prompt);
        if (is_of_question(&problem)) {
            sink->left_out(sink->context, asked, problem.message);
            return true;
        }
        *err = problem;
        return xr_fail_in(err, "%s of %s", asked->item->id, asked->item->benchmark->name);
    }
    if (a->flight_count == a->flight_capacity) {
        a->flight_capacity = 2 * a->flight_capacity + 64;
        a->flights = xr_realloc(a->flights, sizeof *a->flights * (size_t)a->flight_capacity);
    }
    a->pixel_bytes += pixel_bytes(&prompt);
    a->flights[a->flight_count++] = (Flight){asked, prompt};
    return true;
}

// Keeps enough questions in the engine that the batch stays full even where all of it ends at once,
// but not so many pictures that memory does not hold them.
static bool fill(EngineAnswerer *a, const XrAskedList *list, int64_t *next,
                 const XrAnswerSink *sink, XrError *err) {
    int samples = (int)a->config->num_generations, first;
    while (*next < list->count) {
        XrEngineStats stats = xr_engine_stats(a->engine);
        bool full = stats.running + stats.waiting >= a->config->max_batch_sequences + AHEAD ||
                    (a->pixel_bytes > MOST_PIXEL_BYTES && stats.running);
        if (full) return true;
        const XrAsked *asked = &list->items[(*next)++];
        if (xr_asked_missing(asked, samples, &first) && !ask(a, asked, sink, err)) return false;
    }
    return true;
}

// ---- answers ----

static XrGenerated generated_of(const XrSample *s, XrAnswerMode mode, int64_t prompt_tokens) {
    return (XrGenerated){.sample = s->index,
                         .mode = mode,
                         .text = s->text,
                         .text_bytes = s->text_bytes,
                         .ids = s->ids,
                         .forced = s->forced,
                         .tokens = s->count,
                         .prompt_tokens = prompt_tokens,
                         .finish = xr_finish_name(s->finish),
                         .truncated = s->truncated};
}

static bool hand_over(const EngineAnswerer *a, const XrAsked *asked, const XrResponse *r,
                      const XrAnswerSink *sink, XrError *err) {
    const XrRunConfig *c = a->config;
    XrAnswerMode alone = a->request.think.branch ? XR_MODE_BOTH
                         : c->think_budget >= 0  ? XR_MODE_BUDGET
                                                 : XR_MODE_FREE;
    XrGenerated *list = xr_calloc(2 * (size_t)r->count, sizeof *list);
    int count = 0;
    for (int i = 0; i < r->count; i++) {
        const XrSample *s = &r->samples[i], *exit = s->forced_exit;
        list[count++] = generated_of(s, exit ? XR_MODE_FREE : alone, r->prompt_count);
        if (exit) list[count++] = generated_of(exit, XR_MODE_BUDGET, r->prompt_count);
    }
    bool ok = sink->answered(sink->context, asked, list, count, err);
    free(list);
    return ok;
}

static bool take(EngineAnswerer *a, XrResponse *r, const XrAnswerSink *sink, XrError *err) {
    int at = 0;
    while (at < a->flight_count && a->flights[at].asked->number != r->id) at++;
    XR_REQUIRE(at < a->flight_count, "an answer to no question");
    Flight *f = &a->flights[at];
    const XrItem *item = f->asked->item;
    bool ok = r->error.status == XR_OK;
    if (!ok) *err = r->error;
    if (!ok) xr_fail_in(err, "%s of %s", item->id, item->benchmark->name);
    ok = ok && hand_over(a, f->asked, r, sink, err);
    a->pixel_bytes -= pixel_bytes(&f->prompt);
    xr_prompt_free(&f->prompt);
    a->flights[at] = a->flights[--a->flight_count];
    return ok;
}

static bool run(XrAnswerer *self, const XrAskedList *list, const XrAnswerSink *sink, XrError *err) {
    EngineAnswerer *a = (EngineAnswerer *)self;
    int64_t next = 0;
    bool ok = fill(a, list, &next, sink, err);
    while (ok && a->flight_count) {
        xr_engine_step(a->engine);
        for (XrResponse *r; ok && (r = xr_engine_take(a->engine)); xr_response_free(r)) {
            ok = take(a, r, sink, err);
        }
        if (ok && xr_interrupted()) ok = xr_fail(err, XR_ERR_INTERRUPTED, "interrupted");
        ok = ok && fill(a, list, &next, sink, err);
    }
    return ok;
}

// ---- opening ----

static void settle_request(EngineAnswerer *a) {
    const XrRunConfig *c = a->config;
    const XrChatModel *m = a->model;
    XrRequest *r = &a->request;
    *r = xr_request_default();
    r->sampling = (XrSampling){.temperature = (float)c->temperature,
                               .top_k = (int32_t)c->top_k,
                               .top_p = (float)c->top_p,
                               .repetition_penalty = (float)c->repetition_penalty,
                               .seed = (uint64_t)c->seed};
    r->max_new_tokens = c->max_completion_length;
    r->think = (XrThinkLimits){.budget = c->think_budget,
                               .answer_budget = c->answer_budget,
                               .start = a->asking->starts_in_thinking ? XR_THINK_FROM_START
                                                                      : XR_THINK_WHEN_OPENED,
                               .branch = c->compare_forced_exit};
    for (int i = 0; i < m->generation.eos_count; i++) {
        a->stop[r->stop_id_count++] = (int32_t)m->generation.eos[i];
    }
    const XrConfig *config = &m->model->config;
    const int64_t pictures[] = {config->image_token, config->video_token};
    for (size_t i = 0; config->has_vision && i < XR_COUNT(pictures); i++) {
        if (pictures[i] >= 0) a->suppress[r->suppress_count++] = (int32_t)pictures[i];
    }
}

XrAnswerer *xr_engine_answerer_open(const XrRunConfig *config, const XrAsking *asking,
                                    XrBackend *backend, XrError *err) {
    EngineAnswerer *a = xr_calloc(1, sizeof *a);
    a->base = (XrAnswerer){identify, run, close_answerer};
    a->config = config;
    a->asking = asking;
    XrEngineConfig settings = {.max_sequences = (int)config->max_batch_sequences,
                               .cache_bytes = (size_t)config->kv_cache_mb << 20};
    bool ok = xr_run_model_open(&a->model, backend, config, false, err);
    if (ok) settle_request(a);
    ok = ok && xr_engine_create(&a->engine, a->model->model, a->model->tokenizer, &settings, err);
    if (ok) return &a->base;
    close_answerer(&a->base);
    return NULL;
}
