// One pass with and without forced exit: each sample must be what it is without a budget, and its
// branch what it is with one, bit for bit, however they are scheduled.
#include "tests/support/engine.h"
#include "tests/support/samples.h"
#include "tests/support/test.h"

#include "shared/base/memory.h"

#include <stdlib.h>

enum { REQUESTS = 12 };

// Greedy and sampled, penalties, several samples, stop ids, budgets from 0 on.
static void open_fixture(XrEngineFixture *f, const char *request) {
    static const int32_t stop_ids[] = {362, 360, 31, 59};
    xr_fixture_open(f, request, "2");
    for (int i = 0; i < REQUESTS; i++) {
        XrRequest *r = xr_fixture_add(f, request);
        r->sampling.temperature = i % 4 ? 1 : 0;
        r->sampling.repetition_penalty = i % 3 == 1 ? 1.1f : 1;
        r->sampling.seed = 5;
        r->samples = i % 3 == 2 ? 3 : 1;
        r->max_new_tokens = 60;
        r->stop_ids = stop_ids;
        r->stop_id_count = i % 2 ? 4 : 0;
        r->think = (XrThinkLimits){.budget = 5 * (i % 5), .answer_budget = i % 4 == 3 ? 7 : -1};
    }
}

static XrEngineStats run(XrEngineFixture *f, int sequences, int64_t tokens, int64_t pages,
                         XrResponse **responses) {
    XrError err;
    XrEngine *engine = xr_fixture_engine(f, sequences, tokens, pages);
    xr_must(xr_engine_generate(engine, f->requests, REQUESTS, responses, &err), &err);
    XrEngineStats stats = xr_engine_stats(engine);
    assert_int_equal(stats.free_pages, stats.pages);
    xr_engine_free(engine);
    return stats;
}

typedef struct Schedule {
    const char *name;
    int sequences;
    int64_t tokens, pages;
    bool ahead; // of the results
} Schedule;

static const Schedule SCHEDULES[] = {
    {"all together", 64, 512, 512, false},  {"prefill in parts of 7", 5, 7, 512, false},
    {"few pages", 64, 128, 9, false},       {"one at a time, ahead", 1, 64, 64, true},
    {"few pages, ahead", 64, 128, 9, true},
};

static void free_all(XrResponse **responses) {
    for (int i = 0; i < REQUESTS; i++) xr_response_free(responses[i]);
}

static void check(const XrEngineFixture *f, XrResponse **got, XrResponse **free_run,
                  XrResponse **forced, const char *what) {
    int branches = 0;
    for (int i = 0; i < REQUESTS; i++) {
        assert_int_equal(got[i]->error.status, XR_OK);
        for (int k = 0; k < f->requests[i].samples; k++) {
            const XrSample *s = &got[i]->samples[k], *other = &forced[i]->samples[k];
            xr_assert_same_sample(s, &free_run[i]->samples[k], what, f->requests[i].id);
            assert_int_equal(s->forced_exit != NULL, other->finish == XR_FINISH_FORCED_EXIT);
            if (s->forced_exit) {
                xr_assert_same_sample(s->forced_exit, other, what, f->requests[i].id);
            }
            branches += s->forced_exit != NULL;
        }
    }
    assert_true(branches > REQUESTS / 2);
}

static void as_two_runs(const char *request) {
    XrEngineFixture f;
    XrResponse *free_run[REQUESTS], *forced[REQUESTS], *got[REQUESTS];
    open_fixture(&f, request);
    run(&f, 16, 512, 512, forced);
    for (int i = 0; i < REQUESTS; i++) f.requests[i].think.branch = true;
    for (size_t s = 0; s < XR_COUNT(SCHEDULES) + 1; s++) {
        XrRequest kept[REQUESTS];
        if (s == 0) { // without a budget, for comparison
            memcpy(kept, f.requests, sizeof kept);
            for (int i = 0; i < REQUESTS; i++) f.requests[i].think.budget = -1;
            run(&f, 16, 512, 512, free_run);
            memcpy(f.requests, kept, sizeof kept);
            continue;
        }
        const Schedule *schedule = &SCHEDULES[s - 1];
        f.backend->asynchronous = schedule->ahead;
        run(&f, schedule->sequences, schedule->tokens, schedule->pages, got);
        check(&f, got, free_run, forced, schedule->name);
        free_all(got);
    }
    free_all(free_run);
    free_all(forced);
    xr_fixture_close(&f);
}

static void text(void **state) {
    as_two_runs("text_only.talk");
}

static void pictures(void **state) {
    as_two_runs("gqa2_tied.two");
}

// What stands before the exit is run once: a branch runs its injected tokens, the one before them
// and what it draws.
static void prefix_is_shared(void **state) {
    XrEngineFixture f;
    XrResponse *got[REQUESTS];
    open_fixture(&f, "text_only.talk");
    int64_t expected = 0;
    for (int i = 0; i < REQUESTS; i++) {
        f.requests[i].think.branch = true;
        f.requests[i].think.budget += 20; // one of 0 has the end of its prompt run again
    }
    XrEngineStats stats = run(&f, 64, 512, 512, got);
    for (int i = 0; i < REQUESTS; i++) {
        expected += f.requests[i].prompt_count;
        for (int k = 0; k < got[i]->count; k++) {
            const XrSample *s = &got[i]->samples[k], *branch = s->forced_exit;
            expected += s->count - 1;
            int64_t at = 0;
            while (branch && !branch->forced[at]) at++;
            if (branch) expected += branch->count - at;
        }
    }
    assert_int_equal(stats.tokens, expected);
    free_all(got);
    xr_fixture_close(&f);
}

// An engine may be dropped, and a request cancelled, while branches run.
static void cancelled(void **state) {
    XrEngineFixture f;
    XrError err;
    open_fixture(&f, "text_only.talk");
    for (int steps = 0; steps < 40; steps += 3) {
        f.backend->asynchronous = steps % 4 >= 2;
        XrEngine *engine = xr_fixture_engine(&f, 16, 64, 40);
        for (int i = 0; i < REQUESTS; i++) {
            f.requests[i].think.branch = true;
            xr_must(xr_engine_add(engine, &f.requests[i], &err), &err);
        }
        for (int i = 0; i < steps; i++) xr_engine_step(engine);
        if (steps % 2) {
            for (int i = 0; i < REQUESTS; i++) xr_engine_cancel(engine, (uint64_t)i + 1);
            assert_false(xr_engine_step(engine));
        }
        xr_engine_free(engine);
    }
    xr_fixture_close(&f);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text),
        cmocka_unit_test(pictures),
        cmocka_unit_test(prefix_is_shared),
        cmocka_unit_test(cancelled),
    };
    xr_test_filter(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
