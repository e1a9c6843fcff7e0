// The generation engine against golden continuations, and against itself: what is sampled for a
// request must be the same bits however it is scheduled.
#include "tests/support/engine.h"
#include "tests/support/samples.h"
#include "tests/support/test.h"

#include "shared/base/memory.h"
#include "shared/base/rng.h"
#include "shared/model/vision.h"
#include "shared/tensor/ops.h"

#include <math.h>
#include <stdlib.h>

enum { MOST = XR_FIXTURE_REQUESTS };

// ---- golden continuations -----------------------------------------------------------------------

static void check_continuation(const XrResponse *response, const XrGolden *golden,
                               const char *prefix, const char *request) {
    char ids_name[48], logprobs_name[48];
    snprintf(ids_name, sizeof ids_name, "%s.ids", prefix);
    snprintf(logprobs_name, sizeof logprobs_name, "%s.logprobs", prefix);
    XrTensor ids = xr_golden_tensor(golden, ids_name, XR_I64);
    XrTensor logprobs = xr_golden_tensor(golden, logprobs_name, XR_F32);
    const XrSample *s = &response->samples[0];
    assert_int_equal(s->count, ids.shape[0]);
    assert_int_equal(s->finish, XR_FINISH_LENGTH);
    assert_true(s->truncated);
    for (int64_t i = 0; i < s->count; i++) {
        int64_t expected = ((const int64_t *)ids.data)[i];
        if (s->ids[i] != expected) {
            fail_msg("%s, %s: token %lld is %d, expected %lld", request, prefix, (long long)i,
                     s->ids[i], (long long)expected);
        }
    }
    XrTensor actual = xr_tensor1(XR_F32, s->logprobs, s->count);
    xr_assert_close(request, &actual, &logprobs, 1e-4);
    assert_memory_equal(s->scaled, s->logprobs, (size_t)s->count * sizeof *s->scaled);
}

static void golden_continuations(void **state) {
    int count;
    const char *const *names = xr_golden_request_names(&count);
    assert_true(count >= 17);
    for (int i = 0; i < count; i++) {
        XrEngineFixture f;
        xr_fixture_open(&f, names[i], "2");
        xr_fixture_add(&f, names[i]);
        XrRequest *penalised = xr_fixture_add(&f, names[i]);
        penalised->sampling.repetition_penalty = 1.05f;
        XrEngine *engine = xr_fixture_engine(&f, 4, 64, 64);
        XrResponse *responses[2];
        XrError err;
        xr_must(xr_engine_generate(engine, f.requests, 2, responses, &err), &err);
        check_continuation(responses[0], &f.golden[0].golden, "greedy", names[i]);
        check_continuation(responses[1], &f.golden[0].golden, "greedy_penalty", names[i]);
        xr_response_free(responses[0]);
        xr_response_free(responses[1]);
        xr_engine_free(engine);
        xr_fixture_close(&f);
    }
}

// ---- the same bits under every schedule
// ----------------------------------------------------------

static const char *const STOPS[] = {"the ", "\n\n", "e"};

// Requests of all kinds: pictures or none, greedy or sampled, penalties, several samples, budgets.
static void fill(XrEngineFixture *f, const char *const *names, int name_count, int count) {
    static const int32_t stop_ids[] = {362, 360, 31, 59, 65, 104, 129, 146, 230, 248, 251, 289};
    static const int32_t suppress[] = {360, 361, 17};
    for (int i = 0; i < count; i++) {
        XrRequest *r = xr_fixture_add(f, names[i % name_count]);
        r->sampling = (XrSampling){.temperature = i % 4 == 3 ? 0 : 0.7f + 0.1f * (float)(i % 5),
                                   .top_k = i % 3 == 1 ? 20 : 0,
                                   .top_p = i % 3 == 2 ? 0.9f : 1,
                                   .repetition_penalty = i % 2 ? 1.05f : 1,
                                   .seed = 7};
        r->samples = i % 3 == 0 ? 4 : 1;
        r->max_new_tokens = 50 + 11 * (i % 4);
        r->stop_ids = stop_ids;
        r->stop_id_count = i % 5 ? 12 : 0;
        r->stop_strings = STOPS;
        r->stop_string_count = i % 4 == 1 ? 3 : 0;
        r->suppress = suppress + i % 2;
        r->suppress_count = i % 3;
        if (i % 2 == 0) r->think = (XrThinkLimits){.budget = i % 7, .answer_budget = -1};
        if (i % 8 == 4) r->think.answer_budget = 3;
    }
}

typedef struct Schedule {
    const char *name;
    const char *backend;
    int sequences;
    int64_t tokens, pages;
    bool reversed;
    bool preempts;
    bool ahead; // steps are asked for before the results of the last have been looked at
} Schedule;

static XrResponse **run_schedule(const char *model, const char *const *names, int name_count,
                                 int count, const Schedule *schedule) {
    XrEngineFixture f;
    xr_fixture_open(&f, model, schedule->backend);
    f.backend->asynchronous = schedule->ahead;
    fill(&f, names, name_count, count);
    XrRequest order[MOST];
    for (int i = 0; i < count; i++) {
        order[i] = f.requests[schedule->reversed ? count - 1 - i : i];
    }
    XrEngine *engine =
        xr_fixture_engine(&f, schedule->sequences, schedule->tokens, schedule->pages);
    XrResponse *responses[MOST];
    XrError err;
    xr_must(xr_engine_generate(engine, order, count, responses, &err), &err);
    XrEngineStats stats = xr_engine_stats(engine);
    assert_int_equal(stats.free_pages, stats.pages);
    if (schedule->preempts && !stats.preemptions) fail_msg("%s: none preempted", schedule->name);
    XrResponse **sorted = (XrResponse **)xr_calloc(MOST, sizeof(XrResponse *));
    for (int i = 0; i < count; i++) sorted[schedule->reversed ? count - 1 - i : i] = responses[i];
    xr_engine_free(engine);
    xr_fixture_close(&f);
    return sorted;
}

static void compare_schedules(const char *model, const char *const *names, int name_count,
                              int count, const Schedule *schedules, int schedule_count) {
    XrResponse **first = run_schedule(model, names, name_count, count, &schedules[0]);
    int forced = 0, stopped = 0;
    for (int i = 0; i < count; i++) {
        for (int k = 0; k < first[i]->count; k++) {
            forced += first[i]->samples[k].finish == XR_FINISH_FORCED_EXIT;
            stopped += first[i]->samples[k].finish == XR_FINISH_STOP;
        }
    }
    if (forced < 3 || stopped < 3) fail_msg("%d samples forced, %d stopped", forced, stopped);
    for (int k = 1; k < schedule_count; k++) {
        XrResponse **other = run_schedule(model, names, name_count, count, &schedules[k]);
        for (int i = 0; i < count; i++) {
            xr_assert_same_response(first[i], other[i], schedules[k].name);
            xr_response_free(other[i]);
        }
        free((void *)other);
    }
    for (int i = 0; i < count; i++) xr_response_free(first[i]);
    free((void *)first);
}

static const Schedule SCHEDULES[] = {
    {"one after the other", "1", 1, 2048, 64, false, false, false},
    {"all together", "1", 64, 512, 512, false, false, false},
    {"three threads, reversed", "3", 64, 300, 512, true, false, false},
    {"prefill in parts of 5", "2", 5, 5, 512, false, false, false},
    {"fewer pages, reversed", "2", 16, 64, 6, true, true, false},
    {"ahead, one after the other", "1", 1, 2048, 64, false, false, true},
    {"ahead, two threads", "2", 64, 512, 512, false, false, true},
    {"ahead, prefill in parts of 33, reversed", "2", 8, 33, 256, true, false, true},
    {"ahead, few pages", "2", 64, 128, 7, false, true, true},
};

static void schedules_of_pictures(void **state) {
    static const char *const names[] = {"gqa2_tied.text", "gqa2_tied.two", "gqa2_tied.image",
                                        "gqa2_tied.adjacent", "gqa2_tied.turns"};
    compare_schedules("gqa2_tied", names, 5, 15, SCHEDULES, (int)XR_COUNT(SCHEDULES));
}

static void schedules_of_half_weights(void **state) {
    static const char *const names[] = {"gqa7_half.two", "gqa7_half.turns", "gqa7_half.adjacent"};
    compare_schedules("gqa7_half", names, 3, 10, SCHEDULES, (int)XR_COUNT(SCHEDULES));
}

static void schedules_of_text(void **state) {
    static const char *const names[] = {"text_only.talk", "text_only.short"};
    compare_schedules("text_only", names, 2, MOST, SCHEDULES, (int)XR_COUNT(SCHEDULES));
}

// ---- samples of one prompt
// -----------------------------------------------------------------------

static void samples_equal_separate_requests(void **state) {
    enum { N = 6 };
    XrEngineFixture f;
    xr_fixture_open(&f, "gqa2_tied", "2");
    XrRequest *r = xr_fixture_add(&f, "gqa2_tied.turns");
    r->sampling.temperature = 1;
    r->sampling.seed = 11;
    r->samples = N;
    r->max_new_tokens = 40;
    r->think = (XrThinkLimits){.budget = 9, .answer_budget = -1};
    XrEngine *engine = xr_fixture_engine(&f, 8, 64, 128);
    XrResponse *together, *alone[N];
    XrError err;
    xr_must(xr_engine_generate(engine, r, 1, &together, &err), &err);
    int64_t run = xr_engine_stats(engine).tokens;
    // One prefill: the prompt, and what each sample ran but its last token.
    int64_t expected = r->prompt_count;
    for (int i = 0; i < N; i++) expected += together->samples[i].count - 1;
    assert_int_equal(run, expected);
    assert_int_equal(xr_engine_stats(engine).pictures, 1);
    int distinct = 0;
    for (int i = 0; i < N; i++) {
        XrRequest one = *r;
        one.samples = 1;
        one.first_sample = i;
        xr_must(xr_engine_generate(engine, &one, 1, &alone[i], &err), &err);
        xr_assert_same_sample(&together->samples[i], &alone[i]->samples[0], "sample alone", r->id);
        const int32_t *ids = alone[i]->samples[0].ids;
        distinct += i && memcmp(alone[0]->samples[0].ids, ids, 5 * sizeof *ids) != 0;
    }
    assert_int_equal(distinct, N - 1);
    for (int i = 0; i < N; i++) xr_response_free(alone[i]);
    xr_response_free(together);
    xr_engine_free(engine);
    xr_fixture_close(&f);
}

// The request's id and the seed name the random numbers: the same give the same, others differ.
static void id_and_seed_name_the_random_numbers(void **state) {
    XrEngineFixture f;
    xr_fixture_open(&f, "text_only", "1");
    XrRequest *r = xr_fixture_add(&f, "text_only.short");
    r->sampling.temperature = 1;
    XrRequest variants[] = {*r, *r, *r, *r};
    variants[1].id = 77;
    variants[2].sampling.seed = 1;
    XrEngine *engine = xr_fixture_engine(&f, 4, 64, 64);
    XrResponse *responses[4];
    XrError err;
    for (int i = 0; i < 4; i++) {
        xr_must(xr_engine_generate(engine, &variants[i], 1, &responses[i], &err), &err);
    }
    const int32_t *first = responses[0]->samples[0].ids;
    assert_memory_not_equal(responses[1]->samples[0].ids, first, 8 * sizeof *first);
    assert_memory_not_equal(responses[2]->samples[0].ids, first, 8 * sizeof *first);
    xr_assert_same_response(responses[3], responses[0], "again");
    for (int i = 0; i < 4; i++) xr_response_free(responses[i]);
    xr_engine_free(engine);
    xr_fixture_close(&f);
}

// The number of pages that N samples hold is that of one prompt, and their own ends.
static void samples_share_pages(void **state) {
    XrEngineFixture f;
    xr_fixture_open(&f, "text_only", "1");
    XrRequest *r = xr_fixture_add(&f, "text_only.talk");
    r->samples = 8;
    r->sampling.temperature = 1;
    r->max_new_tokens = 2;
    XrEngine *engine = xr_fixture_engine(&f, 8, 512, 64);
    XrResponse *response;
    XrError err;
    xr_must(xr_engine_generate(engine, r, 1, &response, &err), &err);
    XrEngineStats stats = xr_engine_stats(engine);
    int64_t whole = r->prompt_count / XR_KV_PAGE;
    assert_true(whole > 0 && r->prompt_count % XR_KV_PAGE > 0);
    assert_int_equal(stats.pages - stats.least_free_pages, whole + 8);
    assert_int_equal(stats.free_pages, stats.pages);
    xr_response_free(response);
    xr_engine_free(engine);
    xr_fixture_close(&f);
}

// ---- the next turn of a conversation
// --------------------------------------------------------------

static void kept_cache_changes_nothing(void **state) {
    XrEngineFixture f;
    xr_fixture_open(&f, "gqa2_tied", "2");
    XrRequest *r = xr_fixture_add(&f, "gqa2_tied.two");
    r->keep = true;
    XrEngine *engine = xr_fixture_engine(&f, 4, 128, 64),
             *fresh = xr_fixture_engine(&f, 4, 128, 64);
    XrResponse *first, *second, *again;
    XrError err;
    xr_must(xr_engine_generate(engine, r, 1, &first, &err), &err);
    assert_int_equal(first->reused, 0);

    int32_t longer[512];
    int64_t count = r->prompt_count;
    memcpy(longer, r->prompt, sizeof *longer * (size_t)count);
    for (int64_t i = 0; i < first->samples[0].count; i++)
        longer[count++] = first->samples[0].ids[i];
    for (int i = 0; i < 20; i++) longer[count++] = 40 + i;
    XrRequest next = *r;
    next.prompt = longer;
    next.prompt_count = count;
    xr_must(xr_engine_generate(engine, &next, 1, &second, &err), &err);
    xr_must(xr_engine_generate(fresh, &next, 1, &again, &err), &err);
    xr_assert_same_response(second, again, "next turn");
    assert_int_equal(second->reused, (r->prompt_count + 15) / XR_KV_PAGE * XR_KV_PAGE);
    assert_int_equal(xr_engine_stats(engine).pictures, 2); // not embedded again
    xr_response_free(second);
    xr_response_free(again);

    // Another picture under the same ids has nothing in common from its first token on.
    float *other = xr_malloc(sizeof *other * (size_t)(f.golden[0].patches * 1176));
    memcpy(other, r->pixels, sizeof *other * (size_t)(f.golden[0].patches * 1176));
    other[1000] += 1;
    next.pixels = other;
    xr_must(xr_engine_generate(engine, &next, 1, &second, &err), &err);
    xr_must(xr_engine_generate(fresh, &next, 1, &again, &err), &err);
    assert_int_equal(second->reused, 0);
    xr_assert_same_response(second, again, "other picture");
    xr_response_free(first);
    xr_response_free(second);
    xr_response_free(again);
    free(other);
    xr_engine_free(engine);
    xr_engine_free(fresh);
    xr_fixture_close(&f);
}

// ---- a long run, with requests that come and go
// ----------------------------------------------------

static uint32_t draw(uint64_t *position, uint32_t below) {
    uint32_t bits[4];
    xr_philox(2024, 5, (*position)++, bits);
    return bits[0] % below;
}

enum { REQUESTS = 60 };

typedef struct Watch {
    int64_t tokens; // told about
    XrBuffer text[REQUESTS][4];
} Watch;

static void watch(void *context, const XrPiece *piece) {
    Watch *w = context;
    w->tokens += piece->id != NULL;
    xr_buffer_append(&w->text[piece->request][piece->sample], piece->text, piece->text_bytes);
}

static void run_at_random(bool ahead) {
    static const char *const names[] = {"text_only.talk", "text_only.short"};
    XrEngineFixture f;
    xr_fixture_open(&f, "text_only", "2");
    fill(&f, names, 2, MOST);
    f.backend->asynchronous = ahead;
    XrEngine *engine = xr_fixture_engine(&f, 6, 40, 6), *alone = xr_fixture_engine(&f, 4, 512, 64);
    Watch *seen = xr_calloc(1, sizeof *seen);
    uint64_t at = 0;
    int added = 0, finished = 0, interrupted = 0;
    int64_t tokens = 0;
    XrError err;
    while (finished < REQUESTS) {
        if (added < REQUESTS && draw(&at, 2) == 0) {
            XrRequest r = f.requests[added % MOST];
            r.id = (uint64_t)added++;
            r.on_piece = watch;
            r.context = seen;
            xr_must(xr_engine_add(engine, &r, &err), &err);
            if (draw(&at, 3) == 0) xr_engine_cancel(engine, draw(&at, (uint32_t)added));
        }
        xr_engine_step(engine);
        for (XrResponse *got; (got = xr_engine_take(engine)); finished++) {
            XrRequest r = f.requests[got->id % MOST];
            r.id = got->id;
            XrResponse *expected;
            xr_must(xr_engine_generate(alone, &r, 1, &expected, &err), &err);
            bool cut = false;
            for (int i = 0; i < got->count; i++) {
                const XrSample *s = &got->samples[i], *e = &expected->samples[i];
                XrBuffer *text = &seen->text[got->id][i];
                tokens += s->count;
                assert_int_equal(text->length, s->text_bytes);
                assert_memory_equal(text->data ? text->data : "", s->text, s->text_bytes);
                xr_buffer_free(text);
                cut |= s->finish == XR_FINISH_INTERRUPTED;
                if (s->finish != XR_FINISH_INTERRUPTED) {
                    xr_assert_same_sample(s, e, "random run", got->id);
                    continue;
                }
                assert_true(s->count <= e->count);
                assert_memory_equal(s->ids, e->ids, (size_t)s->count * sizeof *s->ids);
            }
            interrupted += cut;
            xr_response_free(expected);
            xr_response_free(got);
        }
    }
    XrEngineStats stats = xr_engine_stats(engine);
    assert_int_equal(stats.free_pages, stats.pages);
    assert_int_equal(stats.requests + stats.running + stats.waiting, 0);
    assert_int_equal(seen->tokens, tokens);
    if (stats.preemptions < 5 || interrupted < 2) {
        fail_msg("%lld preemptions, %d interrupted", (long long)stats.preemptions, interrupted);
    }
    free(seen);
    xr_engine_free(engine);
    xr_engine_free(alone);
    xr_fixture_close(&f);
}

static void random_run(void **state) {
    run_at_random(false);
}

static void random_run_ahead(void **state) {
    run_at_random(true);
}

// ---- sampling
// -------------------------------------------------------------------------------------

static void suppressed_ids_never_come(void **state) {
    XrEngineFixture f;
    xr_fixture_open(&f, "text_only", "1");
    XrRequest *r = xr_fixture_add(&f, "text_only.talk");
    int32_t all_but[399];
    int n = 0;
    for (int32_t id = 0; id < 400; id++) {
        if (id != 77) all_but[n++] = id;
    }
    r->suppress = all_but;
    r->suppress_count = 399;
    r->sampling.temperature = 1;
    XrEngine *engine = xr_fixture_engine(&f, 4, 64, 64);
    XrResponse *response;
    XrError err;
    xr_must(xr_engine_generate(engine, r, 1, &response, &err), &err);
    for (int64_t i = 0; i < 16; i++) assert_int_equal(response->samples[0].ids[i], 77);
    xr_response_free(response);
    xr_engine_free(engine);
    xr_fixture_close(&f);
}

static void scaled_logprobs_are_of_the_temperature(void **state) {
    XrEngineFixture f;
    xr_fixture_open(&f, "text_only", "1");
    XrRequest *warm = xr_fixture_add(&f, "text_only.talk");
    XrRequest *greedy = xr_fixture_add(&f, "text_only.talk");
    // With top_k 1 the tokens are the greedy ones, whatever the temperature.
    warm->sampling.temperature = 0.5f;
    warm->sampling.top_k = 1;
    XrEngine *engine = xr_fixture_engine(&f, 4, 64, 64);
    XrResponse *responses[2];
    XrError err;
    xr_must(xr_engine_generate(engine, f.requests, 2, responses, &err), &err);
    const XrSample *a = &responses[0]->samples[0], *b = &responses[1]->samples[0];
    assert_memory_equal(a->ids, b->ids, 16 * sizeof *a->ids);
    assert_memory_equal(a->logprobs, b->logprobs, 16 * sizeof *a->logprobs);
    for (int i = 0; i < 16; i++) assert_true(a->scaled[i] > a->logprobs[i]);
    assert_memory_equal(b->scaled, b->logprobs, 16 * sizeof *b->scaled);
    assert_true(greedy->sampling.temperature == 0);
    xr_response_free(responses[0]);
    xr_response_free(responses[1]);
    xr_engine_free(engine);
    xr_fixture_close(&f);
}

// log softmax(logits / temperature) of every token after the prompt, as a trainer computes it: one
// pass over the whole sequence without a cache.
static void trainer_logprobs(const XrEngineFixture *f, const XrRequest *r, const XrSample *s,
                             float temperature, float *out) {
    XrBackend *b = f->backend;
    int64_t count = r->prompt_count + s->count;
    int32_t *ids = xr_malloc(sizeof *ids * (size_t)count);
    memcpy(ids, r->prompt, sizeof *ids * (size_t)r->prompt_count);
    memcpy(ids + r->prompt_count, s->ids, sizeof *ids * (size_t)s->count);
    XrPackedSequence sequence = {ids, count, r->grids, r->picture_count};
    XrTensor images = {0}, targets, logprobs;
    XrBatch batch;
    XrLanguageWorkspace *workspace = NULL;
    XrError err;
    if (r->picture_count) {
        xr_must(
            xr_vision_forward(f->model, &images, r->pixels, r->grids, r->picture_count, NULL, &err),
            &err);
    }
    xr_must(xr_batch_create(&batch, f->model, &sequence, 1, images.data ? &images : NULL, &err) &&
                xr_language_workspace_create(&workspace, f->model, count, XR_KEEP_NOTHING, &err) &&
                xr_tensor_alloc(b, &targets, XR_I32, 1, &s->count, "targets", &err) &&
                xr_tensor_alloc(b, &logprobs, XR_F32, 1, &s->count, "logprobs", &err),
            &err);
    XrTensor hidden = xr_language_forward(workspace, &batch.input, NULL);
    XrTensor rows = xr_rows(&hidden, r->prompt_count - 1, s->count);
    xr_upload(b, &targets, s->ids);
    xr_logprob(b, &logprobs, NULL, NULL, NULL, NULL, &rows,
               xr_model_parameter(f->model, XR_HEAD, 0), &targets, temperature);
    xr_download(b, out, &logprobs);
    xr_tensor_free(b, &targets);
    xr_tensor_free(b, &logprobs);
    xr_tensor_free(b, &images);
    xr_language_workspace_free(workspace);
    xr_batch_free(&batch);
    free(ids);
}

static void logprobs_are_those_of_a_trainer(void **state) {
    static const char *const names[] = {"gqa2_tied.two", "gqa2_tied.text", "gqa2_tied.turns"};
    enum { N = 6 };
    XrEngineFixture f;
    xr_fixture_open(&f, "gqa2_tied", "2");
    fill(&f, names, 3, N);
    // A sequence with image tokens that no picture stands behind cannot be trained on.
    const XrConfig *config = &f.model->config;
    int32_t pictures[] = {(int32_t)config->image_token, (int32_t)config->video_token};
    for (int i = 0; i < N; i++) {
        f.requests[i].suppress = pictures;
        f.requests[i].suppress_count = 2;
    }
    XrEngine *engine = xr_fixture_engine(&f, 8, 33, 64);
    XrResponse *responses[N];
    XrError err;
    xr_must(xr_engine_generate(engine, f.requests, N, responses, &err), &err);
    float expected[256];
    int64_t forced = 0;
    for (int i = 0; i < N; i++) {
        const XrRequest *r = &f.requests[i];
        for (int k = 0; k < responses[i]->count; k++) {
            const XrSample *s = &responses[i]->samples[k];
            XrTensor raw = xr_tensor1(XR_F32, s->logprobs, s->count);
            XrTensor scaled = xr_tensor1(XR_F32, s->scaled, s->count);
            XrTensor wanted = xr_tensor1(XR_F32, expected, s->count);
            forced += s->forced_count;
            trainer_logprobs(&f, r, s, 1, expected);
            xr_assert_close("logprobs", &raw, &wanted, 1e-6);
            if (r->sampling.temperature > 0) {
                trainer_logprobs(&f, r, s, r->sampling.temperature, expected);
            }
            xr_assert_close("scaled", &scaled, &wanted, 1e-6);
            for (int64_t t = 0; t < s->count; t++) {
                if (s->forced[t]) assert_true(s->scaled[t] == expected[t]);
            }
        }
        xr_response_free(responses[i]);
    }
    assert_true(forced > 20);
    xr_engine_free(engine);
    xr_fixture_close(&f);
}

// ---- what is refused, and what ends early
// ----------------------------------------------------------

static void refused(XrEngine *engine, const XrRequest *r, const char *word) {
    XrError err = {0};
    if (xr_engine_add(engine, r, &err)) fail_msg("accepted; expected an error with \"%s\"", word);
    if (!strstr(err.message, word)) fail_msg("\"%s\" does not say \"%s\"", err.message, word);
}

static void bad_requests_are_refused(void **state) {
    XrEngineFixture f;
    xr_fixture_open(&f, "gqa2_tied", "1");
    const XrRequest good = *xr_fixture_add(&f, "gqa2_tied.image");
    XrEngine *engine = xr_fixture_engine(&f, 4, 64, 64), *tiny = xr_fixture_engine(&f, 4, 64, 1);
    XrRequest r = good;
    r.prompt_count = 0;
    refused(engine, &r, "no tokens");
    r = good, r.samples = 0;
    refused(engine, &r, "samples");
    r = good, r.max_new_tokens = 0;
    refused(engine, &r, "max_new_tokens");
    r = good, r.picture_count = 0;
    refused(engine, &r, "image token");
    r = good, r.sampling.temperature = -1;
    refused(engine, &r, "temperature");
    r = good, r.sampling.temperature = NAN;
    refused(engine, &r, "temperature");
    r = good, r.sampling.top_p = 1.5f;
    refused(engine, &r, "top_p");
    r = good, r.sampling.top_k = -2;
    refused(engine, &r, "top_k");
    r = good, r.sampling.repetition_penalty = 0;
    refused(engine, &r, "repetition_penalty");
    r = good, r.stop_ids = (int32_t[]){400}, r.stop_id_count = 1;
    refused(engine, &r, "stop id 0");
    r = good, r.stop_strings = (const char *[]){""}, r.stop_string_count = 1;
    refused(engine, &r, "empty");
    r = good, r.think = (XrThinkLimits){.budget = 3, .answer_budget = 100};
    refused(engine, &r, "forced exit");
    refused(tiny, &good, "context");
    int32_t wrong[4] = {1, 2, -5, 3};
    r = good, r.prompt = wrong, r.prompt_count = 4, r.picture_count = 0;
    refused(engine, &r, "id -5");
    XrError err;
    xr_must(xr_engine_add(engine, &good, &err), &err);
    refused(engine, &good, "already");
    xr_engine_free(engine);
    xr_engine_free(tiny);
    xr_fixture_close(&f);
}

static void response_is_cut_to_the_context(void **state) {
    XrEngineFixture f;
    xr_fixture_open(&f, "text_only", "1");
    XrRequest *r = xr_fixture_add(&f, "text_only.short");
    r->max_new_tokens = 100000;
    XrEngine *engine = xr_fixture_engine(&f, 4, 64, 2);
    XrResponse *response;
    XrError err;
    xr_must(xr_engine_generate(engine, r, 1, &response, &err), &err);
    assert_int_equal(xr_engine_context(engine), 2 * XR_KV_PAGE);
    assert_int_equal(response->max_new_tokens, xr_engine_context(engine) - r->prompt_count);
    assert_int_equal(response->samples[0].count, response->max_new_tokens);
    assert_int_equal(response->samples[0].finish, XR_FINISH_LENGTH);
    xr_response_free(response);
    xr_engine_free(engine);
    xr_fixture_close(&f);
}

static void cancelled_request_ends_with_what_it_has(void **state) {
    XrEngineFixture f;
    xr_fixture_open(&f, "text_only", "1");
    XrRequest *long_one = xr_fixture_add(&f, "text_only.talk");
    XrRequest *other = xr_fixture_add(&f, "text_only.short");
    long_one->max_new_tokens = 1000;
    long_one->samples = 3;
    XrEngine *engine = xr_fixture_engine(&f, 4, 512, 512);
    XrError err;
    xr_must(xr_engine_add(engine, long_one, &err) && xr_engine_add(engine, other, &err), &err);
    for (int i = 0; i < 5; i++) assert_true(xr_engine_step(engine));
    xr_engine_cancel(engine, long_one->id);
    xr_engine_cancel(engine, 12345); // not in the engine: nothing
    xr_engine_step(engine);
    XrResponse *response = xr_engine_take(engine);
    assert_non_null(response);
    assert_int_equal(response->id, long_one->id);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(response->samples[i].finish, XR_FINISH_INTERRUPTED);
        assert_int_equal(response->samples[i].count, 5);
    }
    xr_response_free(response);
    while (xr_engine_step(engine)) continue;
    response = xr_engine_take(engine);
    assert_int_equal(response->samples[0].count, 16);
    xr_response_free(response);
    assert_null(xr_engine_take(engine));
    assert_int_equal(xr_engine_stats(engine).free_pages, 512);
    xr_engine_free(engine);
    xr_fixture_close(&f);
}

static void engine_can_be_dropped_at_any_step(void **state) {
    XrEngineFixture f;
    xr_fixture_open(&f, "gqa2_tied", "1");
    static const char *const names[] = {"gqa2_tied.text", "gqa2_tied.two"};
    fill(&f, names, 2, 6);
    XrError err;
    for (int steps = 0; steps < 12; steps++) {
        f.backend->asynchronous = steps % 2;
        XrEngine *engine = xr_fixture_engine(&f, 3, 30, 8);
        for (int i = 0; i < 6; i++) xr_must(xr_engine_add(engine, &f.requests[i], &err), &err);
        for (int i = 0; i < steps; i++) xr_engine_step(engine);
        xr_engine_free(engine);
    }
    xr_fixture_close(&f);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(golden_continuations),
        cmocka_unit_test(schedules_of_pictures),
        cmocka_unit_test(schedules_of_half_weights),
        cmocka_unit_test(schedules_of_text),
        cmocka_unit_test(samples_equal_separate_requests),
        cmocka_unit_test(id_and_seed_name_the_random_numbers),
        cmocka_unit_test(samples_share_pages),
        cmocka_unit_test(kept_cache_changes_nothing),
        cmocka_unit_test(random_run),
        cmocka_unit_test(random_run_ahead),
        cmocka_unit_test(suppressed_ids_never_come),
        cmocka_unit_test(scaled_logprobs_are_of_the_temperature),
        cmocka_unit_test(logprobs_are_those_of_a_trainer),
        cmocka_unit_test(bad_requests_are_refused),
        cmocka_unit_test(response_is_cut_to_the_context),
        cmocka_unit_test(cancelled_request_ends_with_what_it_has),
        cmocka_unit_test(engine_can_be_dropped_at_any_step),
    };
    xr_test_filter(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
