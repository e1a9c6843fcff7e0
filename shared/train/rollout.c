#include "shared/train/rollout.h"

#include "shared/base/memory.h"
#include "shared/base/interrupt.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static void rollout_free(XrRollout *r) {
    free(r->ids);
    free(r->forced);
    free(r->logprobs);
    free(r->reference);
    free(r->text);
    free(r->finish);
    free(r->verdict);
    free(r->extracted);
}

void xr_rollout_group_free(XrRolloutGroup *group) {
    for (int i = 0; i < group->count; i++) rollout_free(&group->rollouts[i]);
    free(group->rollouts);
    free(group->id);
    free(group->gold);
    free(group->prompt);
    *group = (XrRolloutGroup){0};
}

bool xr_sampler_create(XrSampler *out, const XrChatModel *m, const XrRunConfig *config,
                       XrError *err) {
    XrEngineConfig settings = {.max_sequences = (int)config->max_batch_sequences,
                               .cache_bytes = (size_t)config->kv_cache_mb << 20};
    *out = (XrSampler){.tokenizer = m->tokenizer, .request = xr_request_default()};
    XrRequest *r = &out->request;
    r->sampling = (XrSampling){.temperature = (float)config->temperature,
                               .top_k = (int32_t)config->top_k,
                               .top_p = (float)config->top_p,
                               .repetition_penalty = (float)config->repetition_penalty,
                               .seed = (uint64_t)config->seed};
    r->max_new_tokens = config->max_completion_length;
    r->think.budget = config->think_budget;
    r->think.answer_budget = config->answer_budget;
    for (int i = 0; i < m->generation.eos_count; i++) {
        out->stop[r->stop_id_count++] = (int32_t)m->generation.eos[i];
    }
    r->suppress = m->unspoken;
    r->suppress_count = m->unspoken_count;
    if (xr_engine_create(&out->engine, m->model, m->tokenizer, &settings, err)) return true;
    xr_sampler_free(out);
    return false;
}

void xr_sampler_free(XrSampler *sampler) {
    xr_engine_free(sampler->engine);
    *sampler = (XrSampler){0};
}

// Moves a sample's arrays into a rollout.
static void take_sample(XrRollout *out, XrSample *s) {
    *out = (XrRollout){.sample = s->index,
                       .count = s->count,
                       .ids = s->ids,
                       .forced = s->forced,
                       .logprobs = s->scaled,
                       .text = s->text,
                       .text_bytes = s->text_bytes,
                       .finish = xr_strdup(xr_finish_name(s->finish)),
                       .truncated = s->truncated};
    s->ids = NULL;
    s->forced = NULL;
    s->scaled = NULL;
    s->text = NULL;
}

static bool take_response(XrRolloutGroup *groups, int count, XrResponse *response, XrError *err) {
    XrRolloutGroup *g = NULL;
    for (int i = 0; i < count && !g; i++) {
        if (groups[i].number == response->id) g = &groups[i];
    }
    XR_REQUIRE(g && !g->rollouts, "sampler: response %" PRIu64 " of no group", response->id);
    if (response->error.status != XR_OK) {
        *err = response->error;
        return xr_fail_in(err, "sampling for %s", g->id);
    }
    g->rollouts = xr_calloc((size_t)response->count, sizeof *g->rollouts);
    g->count = response->count;
    for (int i = 0; i < g->count; i++) take_sample(&g->rollouts[i], &response->samples[i]);
    return true;
}

static bool add_group(XrSampler *s, XrRolloutGroup *g, int samples, XrError *err) {
    const XrQuestion *q = g->question;
    g->id = xr_strdup(q->id);
    g->gold = xr_strdup(q->gold);
    g->prompt_count = q->prompt_count;
    g->prompt = xr_malloc(sizeof *g->prompt * (size_t)q->prompt_count);
    memcpy(g->prompt, q->prompt, sizeof *g->prompt * (size_t)q->prompt_count);
    XrRequest request = s->request;
    request.stop_ids = s->stop;
    request.id = g->number;
    request.prompt = g->prompt;
    request.prompt_count = g->prompt_count;
    request.samples = samples;
    return xr_engine_add(s->engine, &request, err) || xr_fail_in(err, "sampling for %s", g->id);
}

// Empties the engine after a failure.
static void drop_all(XrSampler *s, const XrRolloutGroup *groups, int count) {
    for (int i = 0; i < count; i++) xr_engine_cancel(s->engine, groups[i].number);
    while (xr_engine_step(s->engine)) continue;
    for (XrResponse *r; (r = xr_engine_take(s->engine));) xr_response_free(r);
}

static void show(const XrSampler *s, int done, int count) {
    char note[64];
    if (!s->progress) return;
    snprintf(note, sizeof note, "sampled for %d of %d prompts", done, count);
    xr_progress_update(s->progress, s->done, note);
}

bool xr_sampler_run(XrSampler *s, XrRolloutGroup *groups, int count, int samples, XrError *err) {
    bool ok = true, more = count > 0;
    int done = 0, added = 0;
    for (; ok && added < count; added++) ok = add_group(s, &groups[added], samples, err);
    while (ok && more) {
        more = xr_engine_step(s->engine);
        for (XrResponse *r; ok && (r = xr_engine_take(s->engine)); done++) {
            ok = take_response(groups, count, r, err);
            xr_response_free(r);
        }
        if (ok && more && xr_interrupted()) ok = xr_fail(err, XR_ERR_INTERRUPTED, "interrupted");
        if (more) show(s, done, count);
    }
    if (!ok) drop_all(s, groups, added);
    return ok;
}
