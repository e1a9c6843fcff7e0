#include "shared/engine/sequence.h"

#include "shared/base/memory.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

// A bijection of 64 bits that mixes them well (Steele, Lea, Flood: "Fast splittable pseudorandom
// number generators", OOPSLA 2014).
static uint64_t mix(uint64_t z) {
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    return z ^ z >> 31;
}

static void see(XrSequence *s, int32_t id) {
    XrSeen *seen = &s->seen;
    uint64_t bit = 1ull << (id & 63);
    if (!seen->bits || seen->bits[id >> 6] & bit) return;
    seen->bits[id >> 6] |= bit;
    if (seen->count == seen->capacity) {
        seen->capacity = 2 * seen->capacity + 256;
        seen->ids = xr_realloc(seen->ids, sizeof *seen->ids * (size_t)seen->capacity);
    }
    seen->ids[seen->count++] = id;
}

static void see_prompt(XrSequence *s) {
    const XrRequest *r = &s->job->request;
    if (r->sampling.repetition_penalty == 1.0f) return;
    size_t words = (size_t)(s->job->setting->model->config.vocab / 64 + 1);
    s->seen.bits = xr_calloc(words, sizeof *s->seen.bits);
    for (int64_t i = 0; i < r->prompt_count; i++) see(s, r->prompt[i]);
}

static void reserve(XrSequence *s) {
    XrSample *o = s->sample;
    if (o->count < s->capacity) return;
    s->capacity = s->capacity ? 2 * s->capacity : 64;
    size_t room = (size_t)s->capacity;
    o->ids = xr_realloc(o->ids, sizeof *o->ids * room);
    o->logprobs = xr_realloc(o->logprobs, sizeof *o->logprobs * room);
    o->scaled = xr_realloc(o->scaled, sizeof *o->scaled * room);
    o->forced = xr_realloc(o->forced, room);
}

static void tell(XrSequence *s, const int32_t *id, bool forced, float logprob, size_t before) {
    const XrRequest *r = &s->job->request;
    if (!r->on_piece || xr_sequence_is_branch(s)) return;
    size_t bytes = s->transcript.text.length - before;
    XrPiece piece = {.request = r->id,
                     .sample = s->sample->index,
                     .last = !id,
                     .id = id,
                     .forced = forced,
                     .logprob = logprob,
                     .text = bytes ? s->transcript.text.data + before : "",
                     .text_bytes = bytes};
    r->on_piece(r->context, &piece);
}

// Appends a token to everything that follows the output. Returns the stop string that it completes
// (injected tokens complete none), or -1.
static int append(XrSequence *s, int32_t id, float logprob, float scaled, bool forced) {
    const XrTokenizer *tokenizer = s->job->setting->tokenizer;
    XrSample *o = s->sample;
    reserve(s);
    o->ids[o->count] = id;
    o->logprobs[o->count] = logprob;
    o->scaled[o->count] = scaled;
    o->forced[o->count++] = forced;
    o->forced_count += forced;
    if (o->count == 1) o->first_token_seconds = xr_now() - s->job->added;
    see(s, id);
    int stop = -1;
    size_t before = s->transcript.text.length;
    if (tokenizer && !xr_tokenizer_is_special(tokenizer, id)) {
        size_t bytes, length = s->transcript.raw.length;
        const char *text = xr_tokenizer_bytes(tokenizer, id, &bytes);
        if (text) xr_buffer_append(&s->transcript.raw, text, bytes);
        if (!forced) stop = xr_transcript_stop(&s->transcript, s->job->stops, length);
        xr_thinking_follow(&s->thinking, s->transcript.raw.data, s->transcript.raw.length);
        before = xr_transcript_show(&s->transcript, s->job->stops, false);
    }
    tell(s, &id, forced, logprob, before);
    return stop;
}

static bool exit_is_due(const XrSequence *s) {
    int64_t limit = s->job->think_limit, count = s->sample->count;
    return limit >= 0 && !s->exited && !s->branched && s->thinking.open && count >= limit &&
           count + s->job->exit_tokens <= s->limit;
}

static bool force_exit(XrSequence *s, XrError *err) {
    const XrJob *job = s->job;
    const XrSetting *setting = job->setting;
    XrIds ids = {0};
    XrExitPlace place = {
        .tail = job->tail.data,
        .tail_bytes = job->tail.length,
        .tail_tagged = job->thinking.tagged,
        .raw = s->transcript.raw.data ? s->transcript.raw.data : "",
        .raw_bytes = s->transcript.raw.length,
        .suffix = job->request.think.suffix,
    };
    bool ok = xr_forced_exit(&ids, setting->encoder, setting->tokenizer, &place, err);
    s->exited = ok;
    for (size_t i = 0; ok && i < ids.count; i++) append(s, ids.data[i], NAN, NAN, true);
    xr_ids_free(&ids);
    int64_t answer = job->request.think.answer_budget;
    if (answer >= 0) s->limit = XR_MIN(s->limit, s->sample->count + answer);
    return ok;
}

XrSequence *xr_sequence_branch(const XrSequence *s) {
    const XrJob *job = s->job;
    bool none = job->sequence_count == job->request.samples || xr_sequence_is_branch(s);
    return none ? NULL : job->sequences + (s - job->sequences) + job->request.samples;
}

static void *copy_of(const void *from, size_t bytes) {
    if (bytes == 0) return NULL;
    return memcpy(xr_malloc(bytes), from, bytes);
}

static void copy_seen(XrSeen *to, const XrSeen *from, int64_t vocab) {
    *to = *from;
    if (!from->bits) return;
    to->capacity = from->count;
    to->ids = copy_of(from->ids, sizeof *from->ids * (size_t)from->count);
    to->bits = copy_of(from->bits, sizeof *from->bits * (size_t)(vocab / 64 + 1));
}

// Begins the branch as a copy of what the sample is now, without its pages.
static void begin_branch(const XrSequence *s, XrSequence *branch) {
    const XrSample *from = s->sample;
    XrSample *to = branch->sample = s->sample->forced_exit = xr_calloc(1, sizeof *to);
    size_t count = (size_t)from->count;
    *to = *from;
    to->preemptions = 0;
    to->forced_exit = NULL;
    to->ids = copy_of(from->ids, sizeof *from->ids * count);
    to->logprobs = copy_of(from->logprobs, sizeof *from->logprobs * count);
    to->scaled = copy_of(from->scaled, sizeof *from->scaled * count);
    to->forced = copy_of(from->forced, count);
    branch->capacity = from->count;
    branch->limit = s->limit;
    branch->thinking = s->thinking;
    branch->stream = s->stream;
    copy_seen(&branch->seen, &s->seen, s->job->setting->model->config.vocab);
    const XrTranscript *text = &s->transcript;
    branch->transcript = (XrTranscript){.shown = text->shown};
    xr_buffer_append(&branch->transcript.raw, text->raw.data, text->raw.length);
    xr_buffer_append(&branch->transcript.text, text->text.data, text->text.length);
    branch->phase = XR_PHASE_SIBLING;
    s->job->alive++;
}

// The exit of a sample that is due, or of its branch.
static bool take_exit(XrSequence *s, XrError *err) {
    XrSequence *branch = xr_sequence_branch(s);
    if (!branch) return force_exit(s, err);
    s->branched = true;
    begin_branch(s, branch);
    return force_exit(branch, err);
}

bool xr_sequences_create(XrJob *job, XrError *err) {
    const XrRequest *r = &job->request;
    job->response = xr_calloc(1, sizeof *job->response);
    *job->response = (XrResponse){.id = r->id,
                                  .prompt_count = r->prompt_count,
                                  .max_new_tokens = r->max_new_tokens,
                                  .count = r->samples};
    job->response->samples = xr_calloc((size_t)r->samples, sizeof *job->response->samples);
    job->sequence_count = r->think.branch && job->think_limit >= 0 ? 2 * r->samples : r->samples;
    job->sequences = xr_calloc((size_t)job->sequence_count, sizeof *job->sequences);
    for (int i = 0; i < job->sequence_count; i++) job->sequences[i].job = job;
    job->alive = r->samples;
    for (int i = 0; i < r->samples; i++) {
        XrSequence *s = &job->sequences[i];
        *s = (XrSequence){.job = job,
                          .sample = &job->response->samples[i],
                          .phase = i ? XR_PHASE_SIBLING : XR_PHASE_WAITING,
                          .limit = r->max_new_tokens,
                          .thinking = job->thinking};
        int index = r->first_sample + i;
        *s->sample = (XrSample){.index = index, .stop_id = -1, .stop_string = -1};
        s->stream = mix(mix(r->id + 0x9E3779B97F4A7C15u) + (uint64_t)index);
        see_prompt(s);
        if (exit_is_due(s) && !take_exit(s, err)) return false;
    }
    return true;
}

void xr_sequences_free(XrJob *job) {
    for (int i = 0; job->sequences && i < job->sequence_count; i++) {
        XrSequence *s = &job->sequences[i];
        XR_REQUIRE(s->pages.count == 0, "a sequence is freed with %d pages", s->pages.count);
        free(s->seen.ids);
        free(s->seen.bits);
        xr_transcript_free(&s->transcript);
    }
    free(job->sequences);
    job->sequences = NULL;
}

int32_t xr_sequence_token(const XrSequence *s, int64_t at) {
    int64_t prompt = xr_job_prompt(s->job);
    return at < prompt ? s->job->request.prompt[at] : s->sample->ids[at - prompt];
}

bool xr_sequence_older(const XrSequence *a, const XrSequence *b) {
    if (a->job != b->job) return a->job->arrival < b->job->arrival;
    return a < b;
}

static bool is_stop_id(const XrRequest *r, int32_t id) {
    for (int i = 0; i < r->stop_id_count; i++) {
        if (r->stop_ids[i] == id) return true;
    }
    return false;
}

static void fail(XrSequence *s, const XrError *error) {
    XrResponse *response = s->job->response;
    if (response->error.status == XR_OK) response->error = *error;
    xr_sequence_finish(s, XR_FINISH_ERROR);
}

void xr_sequence_draw(XrSequence *s, int32_t id, float logprob, float scaled) {
    XrError error = {0};
    if (isnan(logprob)) {
        int64_t token = xr_job_prompt(s->job) + s->sample->count;
        xr_fail(&error, XR_ERR_INPUT,
                "%s: the model's output is not a number at token %lld; its weights may be damaged "
                "(--check-weights looks)",
                s->job->setting->model->folder, (long long)token);
        fail(s, &error);
        return;
    }
    int stop = append(s, id, logprob, scaled, false);
    if (is_stop_id(&s->job->request, id)) {
        s->sample->stop_id = id;
        xr_sequence_finish(s, XR_FINISH_STOP);
    } else if (stop >= 0) {
        s->sample->stop_string = stop;
        xr_sequence_finish(s, XR_FINISH_STOP);
    } else if (exit_is_due(s)) {
        if (!take_exit(s, &error)) fail(s, &error);
    } else if (xr_sequence_exhausted(s)) {
        xr_sequence_finish(s, XR_FINISH_LENGTH);
    }
}

void xr_sequence_finish(XrSequence *s, XrFinish finish) {
    XrSample *o = s->sample;
    XR_REQUIRE(s->phase != XR_PHASE_DONE, "sample %d ends twice", o->index);
    size_t before = xr_transcript_show(&s->transcript, s->job->stops, true);
    tell(s, NULL, false, NAN, before);
    bool by_itself = finish == XR_FINISH_STOP || finish == XR_FINISH_LENGTH;
    o->finish = by_itself && s->exited ? XR_FINISH_FORCED_EXIT : finish;
    o->truncated = finish != XR_FINISH_STOP;
    o->seconds = xr_now() - s->job->added;
    xr_buffer_reserve(&s->transcript.text, 0);
    o->text_bytes = s->transcript.text.length;
    o->text = s->transcript.text.data;
    o->text[o->text_bytes] = '\0';
    s->transcript.text = (XrBuffer){0};
    s->phase = XR_PHASE_DONE;
    s->job->alive--;
}

int64_t xr_sequence_unscored(const XrSequence *s, int64_t begin, int64_t count, int64_t *first) {
    const XrSample *o = s->sample;
    int64_t prompt = xr_job_prompt(s->job), found = 0;
    int64_t from = XR_MAX(begin + 1 - prompt, 0);
    int64_t to = XR_MIN(begin + count + 1 - prompt, o->count);
    for (int64_t i = from; i < to; i++) {
        bool unscored = o->forced[i] && isnan(o->logprobs[i]);
        if (!unscored && found) break;
        if (!unscored) continue;
        if (!found) *first = i;
        found++;
    }
    return found;
}
