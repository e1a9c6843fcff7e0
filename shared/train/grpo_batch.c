#include "shared/train/grpo_batch.h"

#include "shared/base/memory.h"
#include "shared/train/order.h"

#include <stdlib.h>

// Position `at` of the endless stream of epochs.
static const XrQuestion *question_at(XrGrpoSource *s, int64_t at) {
    const XrQuestions *q = s->questions;
    int64_t epoch = at / q->count;
    if (!s->config->shuffle) return &q->items[at % q->count];
    if (!s->order || s->epoch != epoch) {
        if (!s->order) s->order = xr_malloc(sizeof *s->order * (size_t)q->count);
        xr_shuffled_order(s->order, q->count, (uint64_t)s->config->seed, (uint64_t)epoch);
        s->epoch = epoch;
    }
    return &q->items[s->order[at % q->count]];
}

bool xr_grpo_sample(XrGrpoSource *s, XrSampler *sampler, XrRolloutGroup *groups, int count,
                    int samples, XrGrpoBatch *times, XrError *err) {
    double started = xr_seconds();
    if (!xr_sampler_run(sampler, groups, count, samples, err)) return false;
    double sampled = xr_seconds();
    times->rollout_seconds += sampled - started;
    for (int g = 0; g < count; g++) {
        for (int i = 0; i < groups[g].count; i++) {
            XrRollout *r = &groups[g].rollouts[i];
            xr_reward_judge(s->verifier, s->settings.kind, groups[g].question, r);
            xr_reward_settle(&s->settings, r);
        }
    }
    times->reward_seconds += xr_seconds() - sampled;
    return true;
}

static bool one_reward(const XrRolloutGroup *g) {
    for (int i = 1; i < g->count; i++) {
        if (g->rollouts[i].reward != g->rollouts[0].reward) return false;
    }
    return true;
}

static bool draw(XrGrpoSource *s, XrRolloutGroup *groups, int count, XrGrpoBatch *out,
                 XrError *err) {
    for (int i = 0; i < count; i++) {
        int64_t at = s->cursor++;
        groups[i] = (XrRolloutGroup){.number = (uint64_t)at, .question = question_at(s, at)};
    }
    return xr_grpo_sample(s, &s->sampler, groups, count, (int)s->config->num_generations, out, err);
}

// Throws groups of one reward away and draws others in their place, where dynamic sampling asks for
// it; after max_resamples rounds those that are left stay.
static bool resample(XrGrpoSource *s, XrGrpoBatch *out, XrError *err) {
    XrRolloutGroup *fresh = xr_calloc((size_t)out->count, sizeof *fresh);
    int64_t rounds = s->config->dynamic_sampling ? s->config->max_resamples : 0;
    bool ok = true;
    for (int64_t round = 0; ok && round < rounds; round++) {
        int wanted = 0, used = 0;
        for (int g = 0; g < out->count; g++) wanted += one_reward(&out->groups[g]);
        if (!wanted) break;
        ok = draw(s, fresh, wanted, out, err);
        for (int g = 0; ok && g < out->count; g++) {
            if (!one_reward(&out->groups[g])) continue;
            xr_rollout_group_free(&out->groups[g]);
            out->groups[g] = fresh[used];
            fresh[used++] = (XrRolloutGroup){0};
        }
        for (int g = used; g < wanted; g++) xr_rollout_group_free(&fresh[g]);
        out->replaced += used;
    }
    free(fresh);
    return ok;
}

static void count_response(XrGrpoBatch *out, const XrRollout *r) {
    int64_t forced = 0;
    for (int64_t t = 0; t < r->count; t++) forced += r->forced[t];
    out->responses++;
    out->tokens += r->count;
    out->truncated += r->truncated;
    out->forced += forced;
    out->forced_responses += forced > 0;
    out->longest = XR_MAX(out->longest, r->count);
    out->shortest = XR_MIN(out->shortest, r->count);
    out->score += r->score;
    xr_reward_count(out->verdicts, r);
    if (r->truncated) return;
    out->ended++;
    out->ended_tokens += r->count;
    out->ended_longest = XR_MAX(out->ended_longest, r->count);
    out->ended_shortest = out->ended == 1 ? r->count : XR_MIN(out->ended_shortest, r->count);
}

static void count_responses(XrGrpoBatch *out) {
    out->shortest = INT64_MAX;
    for (int g = 0; g < out->count; g++) {
        const XrRolloutGroup *group = &out->groups[g];
        out->prompt_tokens += group->prompt_count * group->count;
        for (int i = 0; i < group->count; i++) count_response(out, &group->rollouts[i]);
    }
}

static void set_advantages(const XrGrpoSource *s, XrGrpoBatch *out) {
    size_t responses = (size_t)out->responses;
    double *rewards = xr_malloc(sizeof *rewards * responses);
    float *advantages = xr_malloc(sizeof *advantages * responses);
    int64_t *begin = xr_calloc((size_t)out->count + 1, sizeof *begin);
    for (int g = 0; g < out->count; g++) {
        const XrRolloutGroup *group = &out->groups[g];
        begin[g + 1] = begin[g] + group->count;
        for (int i = 0; i < group->count; i++) rewards[begin[g] + i] = group->rollouts[i].reward;
    }
    xr_advantages(advantages, rewards, begin, out->count,
                  xr_scale_rewards_of(s->config->scale_rewards), &out->rewards);
    for (int g = 0; g < out->count; g++) {
        for (int i = 0; i < out->groups[g].count; i++) {
            out->groups[g].rollouts[i].advantage = advantages[begin[g] + i];
        }
    }
    free(rewards);
    free(advantages);
    free(begin);
}

static bool sample_batch(XrGrpoSource *s, XrGrpoBatch *out, XrError *err) {
    out->count = s->prompts;
    out->groups = xr_calloc((size_t)out->count, sizeof *out->groups);
    return draw(s, out->groups, out->count, out, err) && resample(s, out, err);
}

bool xr_grpo_batch_next(XrGrpoSource *s, XrGrpoBatch *out, XrError *err) {
    int64_t before = s->cursor;
    *out = (XrGrpoBatch){0};
    if (s->replay) {
        int first = s->replay->begin[s->cursor], end = s->replay->begin[s->cursor + 1];
        s->cursor++;
        out->groups = s->replay->groups + first;
        out->count = end - first;
    } else if (!sample_batch(s, out, err)) {
        s->cursor = before;
        xr_grpo_batch_free(s, out);
        return false;
    }
    count_responses(out);
    set_advantages(s, out);
    return true;
}

void xr_grpo_batch_free(XrGrpoSource *s, XrGrpoBatch *batch) {
    if (!s->replay) {
        for (int g = 0; g < batch->count; g++) xr_rollout_group_free(&batch->groups[g]);
        free(batch->groups);
    }
    *batch = (XrGrpoBatch){0};
}

double xr_grpo_source_epoch(const XrGrpoSource *s) {
    int64_t length = s->replay ? s->replay->batches : s->questions->count;
    return (double)s->cursor / (double)length;
}

void xr_grpo_source_close(XrGrpoSource *s) {
    xr_sampler_free(&s->sampler);
    xr_verifier_free(s->verifier);
    free(s->order);
    *s = (XrGrpoSource){0};
}
