// A step that is asked for before the results of the last have been looked at: one wait a step, the
// same bits, what was computed for nothing, on each backend. Rows are named "CHECK/MODEL/backend".
// tests/test_engine.c has the same for every schedule, tests/support/script.c for every case of
// forced exit.
#include "tests/support/backends.h" // defines: XR_TEST_MODELS_ON_CUDA
#include "tests/support/engine.h"
#include "tests/support/samples.h"
#include "tests/support/test.h"

#include "shared/base/memory.h" // defines: XR_COUNT

enum { REQUESTS = 4 };

typedef struct Row {
    const char *model, *backend;
} Row;

static void open_fixture(XrEngineFixture *f, const Row *row) {
    xr_fixture_open(f, row->model, row->backend);
    f->backend->batch_invariant = true; // whole prompts and single tokens must give the same bits
}

static XrEngine *make_engine(const XrEngineFixture *f, bool ahead) {
    f->backend->asynchronous = ahead;
    return xr_fixture_engine(f, 16, 512, 64);
}

// A step waits once, whatever it is asked for: several samples, a penalty, suppressed ids, scores.
static void waits(void **state) {
    XrEngineFixture f;
    open_fixture(&f, *state);
    static const int32_t suppress[] = {3, 5};
    for (int ahead = 0; ahead < 2; ahead++) {
        XrEngine *engine = make_engine(&f, ahead);
        XrRequest requests[2] = {xr_fixture_text(1, 7, 24), xr_fixture_text(2, 5, 12)};
        requests[0].samples = 2;
        requests[0].sampling =
            (XrSampling){.temperature = 0.8f, .top_p = 0.9f, .repetition_penalty = 1.1f, .seed = 3};
        requests[0].think = (XrThinkLimits){.budget = 4, .answer_budget = -1};
        requests[1].suppress = suppress;
        requests[1].suppress_count = 2;
        XrResponse *responses[2];
        XrError err;
        xr_must(xr_engine_generate(engine, requests, 2, responses, &err), &err);
        XrEngineStats stats = xr_engine_stats(engine);
        assert_int_equal(responses[0]->samples[0].finish, XR_FINISH_FORCED_EXIT);
        assert_true(stats.steps > 12);
        assert_int_equal(stats.waits, stats.steps);
        xr_response_free(responses[0]);
        xr_response_free(responses[1]);
        xr_engine_free(engine);
    }
    xr_fixture_close(&f);
}

static void count_pieces(void *context, const XrPiece *piece) {
    *(int64_t *)context += piece->id != NULL;
}

// The first token is told about when the second has been asked for; a limit is seen coming, a stop
// is not, and has one token run for nothing.
static void order(void **state) {
    XrEngineFixture f;
    open_fixture(&f, *state);
    for (int ahead = 0; ahead < 2; ahead++) {
        XrEngine *engine = make_engine(&f, ahead);
        XrRequest r = xr_fixture_text(1, 7, 12);
        int64_t told = 0;
        XrError err;
        r.on_piece = count_pieces;
        r.context = &told;
        xr_must(xr_engine_add(engine, &r, &err), &err);
        xr_engine_step(engine);
        assert_int_equal(told, 1 - ahead);
        xr_engine_step(engine);
        assert_int_equal(told, 2 - ahead);
        while (xr_engine_step(engine)) continue;
        XrResponse *whole = xr_engine_take(engine), *stopped;
        XrEngineStats before = xr_engine_stats(engine);
        assert_int_equal(before.tokens, 7 + 12 - 1);
        assert_int_equal(before.drawn, 12);
        int at = 6; // the first token from there on that has not come before
        for (int i = 0; i < at; i++) {
            if (whole->samples[0].ids[i] != whole->samples[0].ids[at]) continue;
            at++;
            i = -1;
        }
        r.stop_ids = &whole->samples[0].ids[at];
        r.stop_id_count = 1;
        r.max_new_tokens = 40;
        xr_must(xr_engine_generate(engine, &r, 1, &stopped, &err), &err);
        XrEngineStats stats = xr_engine_stats(engine);
        assert_int_equal(stopped->samples[0].finish, XR_FINISH_STOP);
        assert_int_equal(stopped->samples[0].count, at + 1);
        assert_int_equal(stats.tokens - before.tokens, 7 + at + ahead);
        assert_int_equal(stats.drawn - before.drawn, at + 1);
        assert_int_equal(stats.free_pages, stats.pages);
        xr_response_free(whole);
        xr_response_free(stopped);
        xr_engine_free(engine);
    }
    xr_fixture_close(&f);
}

// Pictures, samples, penalties, budgets, branches, stops; all tokens and numbers the same.
static void bits(void **state) {
    XrEngineFixture f;
    open_fixture(&f, *state);
    static const int32_t stop_ids[] = {362, 360, 31, 59, 65, 104, 129, 146};
    XrResponse *responses[2][REQUESTS];
    char name[64];
    snprintf(name, sizeof name, "%s.two", ((const Row *)*state)->model);
    for (int i = 0; i < REQUESTS; i++) {
        XrRequest *r = xr_fixture_add(&f, name);
        r->sampling = (XrSampling){.temperature = i % 3 ? 0.9f : 0,
                                   .top_k = i % 2 ? 30 : 0,
                                   .top_p = 1,
                                   .repetition_penalty = i % 2 ? 1 : 1.1f,
                                   .seed = 4};
        r->samples = i == 2 ? 2 : 1;
        r->stop_ids = stop_ids;
        r->stop_id_count = i == 3 ? 8 : 0;
        r->think =
            (XrThinkLimits){.budget = 3 * i, .answer_budget = i ? -1 : 4, .branch = i % 4 == 2};
    }
    for (int ahead = 0; ahead < 2; ahead++) {
        XrEngine *engine = make_engine(&f, ahead);
        XrError err;
        xr_must(xr_engine_generate(engine, f.requests, REQUESTS, responses[ahead], &err), &err);
        xr_engine_free(engine);
    }
    for (int i = 0; i < REQUESTS; i++) {
        XrResponse *now = responses[0][i], *later = responses[1][i];
        xr_assert_same_response(now, later, "ahead");
        for (int k = 0; k < now->count; k++) {
            const XrSample *branch = now->samples[k].forced_exit;
            const XrSample *other = later->samples[k].forced_exit;
            assert_int_equal(branch != NULL, other != NULL);
            if (branch) xr_assert_same_sample(branch, other, "branch, ahead", now->id);
        }
        xr_response_free(now);
        xr_response_free(later);
    }
    xr_fixture_close(&f);
}

static const Row ROWS[] = {
    {"gqa2_tied", "2"},
    {"gqa7_half", "2"},
#ifdef XR_TEST_MODELS_ON_CUDA
    {"gqa2_tied", "cuda"},
#endif
};

int main(int argc, char **argv) {
    static const struct {
        const char *name;
        CMUnitTestFunction function;
    } CHECKS[] = {{"waits", waits}, {"order", order}, {"bits", bits}};
    enum { TESTS = XR_COUNT(CHECKS) * XR_COUNT(ROWS) };
    struct CMUnitTest tests[TESTS];
    char names[TESTS][64];
    for (size_t i = 0; i < TESTS; i++) {
        const Row *row = &ROWS[i % XR_COUNT(ROWS)];
        snprintf(names[i], sizeof names[i], "%s/%s/%s", CHECKS[i / XR_COUNT(ROWS)].name, row->model,
                 row->backend);
        tests[i] = (struct CMUnitTest){.name = names[i],
                                       .test_func = CHECKS[i / XR_COUNT(ROWS)].function,
                                       .initial_state = (void *)row};
    }
    xr_test_filter(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
