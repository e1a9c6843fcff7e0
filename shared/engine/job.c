#include "shared/engine/job.h"

#include "shared/base/memory.h"
#include "shared/engine/sequence.h"
#include "shared/model/positions.h"

#define XXH_INLINE_ALL
#include <xxhash.h> // defines: XXH3_64bits_withSeed

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

double xr_now(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static void *copy_of(const void *from, size_t count, size_t size) {
    if (count == 0) return NULL;
    void *copy = xr_malloc(count * size);
    memcpy(copy, from, count * size);
    return copy;
}

static bool check_ids(const XrSetting *s, const int32_t *ids, int64_t count, const char *what,
                      XrError *err) {
    for (int64_t i = 0; i < count; i++) {
        if (ids[i] >= 0 && ids[i] < s->model->config.vocab) continue;
        return xr_fail(err, XR_ERR_INPUT,
                       "%s %lld has id %d, but the model's vocabulary has %lld rows", what,
                       (long long)i, ids[i], (long long)s->model->config.vocab);
    }
    return true;
}

static bool check_sampling(const XrSampling *s, XrError *err) {
    if (!(s->temperature >= 0) || !isfinite(s->temperature)) {
        return xr_fail(err, XR_ERR_INPUT, "temperature is %g; it must be 0 or more",
                       (double)s->temperature);
    }
    if (!(s->top_p >= 0 && s->top_p <= 1)) {
        return xr_fail(err, XR_ERR_INPUT, "top_p is %g; it must lie between 0 and 1",
                       (double)s->top_p);
    }
    if (!(s->repetition_penalty > 0) || !isfinite(s->repetition_penalty)) {
        return xr_fail(err, XR_ERR_INPUT, "repetition_penalty is %g; it must be above 0",
                       (double)s->repetition_penalty);
    }
    if (s->top_k < 0) {
        return xr_fail(err, XR_ERR_INPUT, "top_k is %d; it must be 0 (off) or more", s->top_k);
    }
    return true;
}

static bool check_request(const XrSetting *s, const XrRequest *r, XrError *err) {
    if (r->prompt_count < 1) return xr_fail(err, XR_ERR_INPUT, "the prompt has no tokens");
    if (r->samples < 1 || r->first_sample < 0) {
        return xr_fail(err, XR_ERR_INPUT, "%d samples from %d on were asked for; at least 1 from 0",
                       r->samples, r->first_sample);
    }
    if (r->max_new_tokens < 1) {
        return xr_fail(err, XR_ERR_INPUT, "max_new_tokens is %lld; it must be at least 1",
                       (long long)r->max_new_tokens);
    }
    if (r->picture_count > 0 && !s->model->config.has_vision) {
        return xr_fail(err, XR_ERR_UNSUPPORTED,
                       "%s is a text-only model, but the request has %d "
                       "pictures",
                       s->model->folder, r->picture_count);
    }
    if (r->prompt_count >= s->context) {
        return xr_fail(err, XR_ERR_LIMIT,
                       "the prompt has %lld tokens, and the context (the model's "
                       "positions and the cache) holds %lld with the answer; shorten the prompt, "
                       "use smaller pictures or a larger cache",
                       (long long)r->prompt_count, (long long)s->context);
    }
    for (int i = 0; i < r->stop_string_count; i++) {
        if (!*r->stop_strings[i]) {
            return xr_fail(err, XR_ERR_INPUT, "stop string %d is empty", i);
        }
    }
    if (!s->tokenizer && (r->stop_string_count > 0 || r->think.budget >= 0)) {
        return xr_fail(err, XR_ERR_INPUT, "stop strings and think budgets need a tokenizer");
    }
    return check_sampling(&r->sampling, err) &&
           check_ids(s, r->prompt, r->prompt_count, "prompt token", err) &&
           check_ids(s, r->stop_ids, r->stop_id_count, "stop id", err) &&
           check_ids(s, r->suppress, r->suppress_count, "suppressed id", err);
}

static void copy_request(XrJob *job, const XrRequest *from) {
    XrRequest *r = &job->request;
    *r = *from;
    r->prompt = copy_of(from->prompt, (size_t)from->prompt_count, sizeof *r->prompt);
    r->grids = copy_of(from->grids, (size_t)from->picture_count, sizeof *r->grids);
    r->stop_ids = copy_of(from->stop_ids, (size_t)from->stop_id_count, sizeof *r->stop_ids);
    r->suppress = copy_of(from->suppress, (size_t)from->suppress_count, sizeof *r->suppress);
    r->think.suffix = xr_strdup(from->think.suffix ? from->think.suffix : "\n\n");
    char **strings = xr_calloc((size_t)from->stop_string_count, sizeof *strings);
    for (int i = 0; i < from->stop_string_count; i++) strings[i] = xr_strdup(from->stop_strings[i]);
    r->stop_strings = (const char *const *)strings;
    r->max_new_tokens = XR_MIN(from->max_new_tokens, job->setting->context - from->prompt_count);
    job->stops = (XrStopStrings){r->stop_strings, r->stop_string_count};
}

// Which row of the picture embeddings each image token stands for, and what its cache depends on.
// xr_positions has checked that image tokens and pictures match.
static void map_pictures(XrJob *job) {
    const XrRequest *r = &job->request;
    const XrConfig *config = &job->setting->model->config;
    int64_t count = r->prompt_count, row = 0, left = 0, merge = config->vision.merge;
    const float *pixels = r->pixels;
    int64_t columns = config->vision.channels * config->vision.temporal_patch *
                      config->vision.patch * config->vision.patch;
    uint64_t hash = 0;
    int picture = 0;
    job->content = xr_malloc(sizeof *job->content * (size_t)count);
    job->image_rows = r->picture_count ? xr_malloc(sizeof *job->image_rows * (size_t)count) : NULL;
    for (int64_t i = 0; i < count; i++) {
        bool image = r->picture_count && r->prompt[i] == config->image_token;
        if (image && left == 0) {
            const XrImageGrid *grid = &r->grids[picture++];
            int64_t patches = grid->t * grid->h * grid->w;
            uint64_t shape = (uint64_t)grid->h << 32 ^ (uint64_t)grid->w << 8 ^ (uint64_t)grid->t;
            hash =
                XXH3_64bits_withSeed(pixels, sizeof *pixels * (size_t)(patches * columns), shape);
            pixels += patches * columns;
            left = patches / (merge * merge);
        }
        if (job->image_rows) job->image_rows[i] = image ? (int32_t)row : -1;
        job->content[i] = (uint64_t)(uint32_t)r->prompt[i];
        if (image) job->content[i] = (hash + (uint64_t)left * 0x9E3779B97F4A7C15u) | 1ull << 63;
        if (image) row++, left--;
    }
}

// The bytes after the prompt's last control token ("assistant\n<think>\n", say).
static void find_tail(XrJob *job) {
    const XrTokenizer *t = job->setting->tokenizer;
    const XrRequest *r = &job->request;
    int64_t begin = r->prompt_count;
    while (begin > 0 && !xr_tokenizer_is_special(t, r->prompt[begin - 1])) begin--;
    for (int64_t i = begin; i < r->prompt_count; i++) {
        size_t bytes;
        const char *text = xr_tokenizer_bytes(t, r->prompt[i], &bytes);
        if (text) xr_buffer_append(&job->tail, text, bytes);
    }
    xr_buffer_reserve(&job->tail, 0);
    xr_thinking_follow(&job->thinking, job->tail.data, job->tail.length);
    if (!job->thinking.tagged) job->thinking.open = r->think.start == XR_THINK_FROM_START;
    job->thinking.scanned = 0; // from here on: of the response
}

// When an open thinking is closed, so that of max_new_tokens there is room for the injected text
// and the answer. Where the budgets leave none, thinking is cut short by what an answer needs.
static bool plan_exit(XrJob *job, XrError *err) {
    const XrThinkLimits *think = &job->request.think;
    const XrSetting *s = job->setting;
    int64_t most = job->request.max_new_tokens, injected;
    job->think_limit = -1;
    if (think->budget < 0) return true;
    if (!xr_forced_exit_longest(&injected, s->encoder, s->tokenizer, think->suffix, err)) {
        return false;
    }
    int64_t reserve = think->answer_budget;
    if (reserve < 0) {
        reserve = most - injected - think->budget;
        if (reserve < 1) reserve = XR_MIN(512, (most + 3) / 4);
    }
    if (injected + reserve > most) {
        return xr_fail(err, XR_ERR_INPUT,
                       "max_new_tokens is %lld, but a forced exit from thinking takes up to %lld "
                       "tokens and %lld are kept for the answer; ask for more tokens",
                       (long long)most, (long long)injected, (long long)reserve);
    }
    job->think_limit = XR_MIN(think->budget, most - injected - reserve);
    job->exit_tokens = injected;
    return true;
}

bool xr_job_create(XrJob **out, const XrSetting *setting, const XrRequest *request, XrError *err) {
    if (!check_request(setting, request, err)) return false;
    XrJob *job = xr_calloc(1, sizeof *job);
    job->setting = setting;
    job->added = xr_now();
    copy_request(job, request);
    int64_t count = request->prompt_count;
    job->positions = xr_malloc(3 * sizeof *job->positions * (size_t)count);
    bool ok = xr_positions(job->positions, count, request->prompt, count, &setting->model->config,
                           request->grids, request->picture_count, &job->next_position, err);
    if (ok) map_pictures(job);
    if (ok && setting->tokenizer) {
        find_tail(job);
        ok = plan_exit(job, err);
    } else {
        job->think_limit = -1;
    }
    if (ok) ok = xr_sequences_create(job, err);
    if (ok)
        *out = job;
    else
        xr_job_free(job);
    return ok;
}

void xr_job_free(XrJob *job) {
    if (!job) return;
    const XrRequest *r = &job->request;
    xr_sequences_free(job);
    for (int i = 0; i < r->stop_string_count; i++) free((char *)r->stop_strings[i]);
    free((void *)r->stop_strings);
    free((void *)r->prompt);
    free((void *)r->grids);
    free((void *)r->stop_ids);
    free((void *)r->suppress);
    free((char *)r->think.suffix);
    free(job->positions);
    free(job->image_rows);
    free(job->content);
    xr_buffer_free(&job->tail);
    if (job->images.data) xr_tensor_free(job->setting->model->backend, &job->images);
    free(job);
}
