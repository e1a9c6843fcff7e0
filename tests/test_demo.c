// The demo: its findings against cases computed by hand, and all of it once, much shortened.
#include "tests/support/runs.h"
#include "tests/support/test.h"

#include "datasets/tiny_world/shipped.h"
#include "ref/cpu.h"
#include "shared/base/file.h"
#include "shared/base/interrupt.h"
#include "shared/base/memory.h"
#include "shared/demo/demo.h"
#include "shared/demo/findings.h"
#include "shared/demo/page.h"

#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

static XrError err;

// ---- findings ----

static void make_scores(XrDemoScore scores[XR_DEMO_MODELS], int64_t items) {
    for (int m = 0; m < XR_DEMO_MODELS; m++) xr_demo_score_init(&scores[m], items);
}

static void free_scores(XrDemoScore scores[XR_DEMO_MODELS]) {
    for (int m = 0; m < XR_DEMO_MODELS; m++) xr_demo_score_free(&scores[m]);
}

static XrWorldMark *greedy(XrDemoScore *score, XrDemoExit exit, int cell) {
    return score->marks[XR_DEMO_GREEDY][exit][cell];
}

static void near(double got, double wanted) {
    if (!(fabs(got - wanted) < 1e-12)) fail_msg("%.17g is not %.17g", got, wanted);
}

static void verdicts(void **state) {
    (void)state;
    const struct {
        XrInterval interval;
        bool higher;
        XrDemoVerdict verdict;
    } cases[] = {
        {{0.1, 0.2}, true, XR_DEMO_SHOWN},      {{0.1, 0.2}, false, XR_DEMO_OPPOSITE},
        {{-0.2, -0.1}, true, XR_DEMO_OPPOSITE}, {{-0.2, -0.1}, false, XR_DEMO_SHOWN},
        {{-0.1, 0.1}, true, XR_DEMO_NOT_SHOWN}, {{-0.1, 0.1}, false, XR_DEMO_NOT_SHOWN},
        {{0, 0.3}, true, XR_DEMO_NOT_SHOWN},    {{-0.3, 0}, false, XR_DEMO_NOT_SHOWN},
        {{0, 0}, true, XR_DEMO_NOT_SHOWN},      {{0, 0}, false, XR_DEMO_NOT_SHOWN},
    };
    for (size_t i = 0; i < XR_COUNT(cases); i++) {
        assert_int_equal(xr_demo_verdict(&cases[i].interval, cases[i].higher), cases[i].verdict);
    }
}

static const struct {
    XrDemoClaim claim;
    double a, b;
    XrDemoVerdict verdict;
} DIFFERENCES[] = {
    {{.a = XR_DEMO_RL, .b = XR_DEMO_SFT, .cell = 0, .higher = true}, 1, 0, XR_DEMO_SHOWN},
    {{.a = XR_DEMO_SFT, .b = XR_DEMO_RL, .cell = 0, .higher = true}, 0, 1, XR_DEMO_OPPOSITE},
    {{.a = XR_DEMO_RL, .b = XR_DEMO_SFT, .cell = 1, .higher = true}, 0, 0, XR_DEMO_NOT_SHOWN},
    // text right and picture wrong, in both domains: one half
    {{.a = XR_DEMO_RL, .b = XR_DEMO_BASE, .cell = -1, .higher = true}, 0.5, 0, XR_DEMO_SHOWN},
    // (10 + 0) / 2 and (14 + 0) / 2 against (0 + 40) / 2
    {{.a = XR_DEMO_RL, .b = XR_DEMO_SFT, .measure = XR_DEMO_TOKENS, .cell = -1},
     6,
     20,
     XR_DEMO_SHOWN},
    // endless is what is both at the limit and open
    {{.a = XR_DEMO_SFT, .b = XR_DEMO_RL, .measure = XR_DEMO_ENDLESS, .cell = 1},
     1,
     0,
     XR_DEMO_OPPOSITE},
    {{.a = XR_DEMO_SFT, .b = XR_DEMO_RL, .measure = XR_DEMO_ENDLESS, .cell = 3},
     0,
     0,
     XR_DEMO_NOT_SHOWN},
    // whatever stands open, at the limit is at the limit
    {{.a = XR_DEMO_SFT, .b = XR_DEMO_RL, .measure = XR_DEMO_CAPPED, .cell = 3},
     1,
     0,
     XR_DEMO_OPPOSITE},
    {{.a = XR_DEMO_SFT,
      .b = XR_DEMO_SFT,
      .a_exit = XR_DEMO_FORCED,
      .measure = XR_DEMO_ENDLESS,
      .cell = 1},
     0,
     1,
     XR_DEMO_SHOWN},
    {{.a = XR_DEMO_SFT, .b = XR_DEMO_SFT, .a_exit = XR_DEMO_FORCED, .cell = 1, .higher = true},
     1,
     0,
     XR_DEMO_SHOWN},
};

// Where every list moves by the same amount, every bootstrap sample does too.
static void sure_differences(void **state) {
    (void)state;
    enum { ITEMS = 6 };
    XrDemoScore scores[XR_DEMO_MODELS];
    make_scores(scores, ITEMS);
    for (int i = 0; i < ITEMS; i++) {
        greedy(&scores[XR_DEMO_RL], XR_DEMO_FREE, 0)[i] = (XrWorldMark){true, false, false, 10};
        greedy(&scores[XR_DEMO_RL], XR_DEMO_FREE, 2)[i] = (XrWorldMark){true, false, false, 14};
        greedy(&scores[XR_DEMO_SFT], XR_DEMO_FREE, 1)[i] = (XrWorldMark){false, true, true, 40};
        greedy(&scores[XR_DEMO_SFT], XR_DEMO_FREE, 3)[i] = (XrWorldMark){false, true, false, 40};
        greedy(&scores[XR_DEMO_SFT], XR_DEMO_FORCED, 1)[i] = (XrWorldMark){true, false, true, 30};
    }
    for (size_t i = 0; i < XR_COUNT(DIFFERENCES); i++) {
        XrDemoClaim claim = DIFFERENCES[i].claim;
        xr_demo_judge(&claim, scores);
        near(claim.a_mean, DIFFERENCES[i].a);
        near(claim.b_mean, DIFFERENCES[i].b);
        near(claim.paired.difference, DIFFERENCES[i].a - DIFFERENCES[i].b);
        if (claim.verdict != DIFFERENCES[i].verdict)
            fail_msg("case %zu: %d", i, (int)claim.verdict);
    }
    free_scores(scores);
}

// n lists, of which `up` are right for a alone and `down` for b alone.
static XrDemoClaim judge(int64_t n, int64_t up, int64_t down) {
    XrDemoScore scores[XR_DEMO_MODELS];
    make_scores(scores, n);
    for (int64_t i = 0; i < n; i++) {
        greedy(&scores[XR_DEMO_RL], XR_DEMO_FREE, 0)[i].right = i < up;
        greedy(&scores[XR_DEMO_BASE], XR_DEMO_FREE, 0)[i].right = i >= up && i < up + down;
    }
    XrDemoClaim claim = {.a = XR_DEMO_RL, .b = XR_DEMO_BASE, .cell = 0, .higher = true};
    xr_demo_judge(&claim, scores);
    free_scores(scores);
    return claim;
}

// The mean's distribution over bootstrap samples is known: a multinomial's.
static void unsure_differences(void **state) {
    (void)state;
    XrDemoClaim c =
        judge(10, 1, 0); // 0.9^10 = 35% of samples miss the one list: the lower end is 0
    near(c.paired.difference, 0.1);
    near(c.paired.interval.low, 0);
    assert_int_equal(c.verdict, XR_DEMO_NOT_SHOWN);
    c = judge(10, 4, 4);
    near(c.paired.difference, 0);
    assert_int_equal(c.verdict, XR_DEMO_NOT_SHOWN);
    c = judge(400, 80, 0); // standard deviation sqrt(0.2 * 0.8 / 400) = 0.02
    near(c.paired.difference, 0.2);
    assert_true(fabs(c.paired.interval.low - (0.2 - 1.96 * 0.02)) < 0.005);
    assert_true(fabs(c.paired.interval.high - (0.2 + 1.96 * 0.02)) < 0.005);
    assert_int_equal(c.verdict, XR_DEMO_SHOWN);
    c = judge(400, 40, 32); // 0.02, standard deviation sqrt(0.18 - 0.0004) / 20 = 0.0212
    assert_int_equal(c.verdict, XR_DEMO_NOT_SHOWN);
    c = judge(400, 20, 80);
    assert_int_equal(c.verdict, XR_DEMO_OPPOSITE);
}

static void nothing_shows_where_nothing_differs(void **state) {
    (void)state;
    XrDemoScore scores[XR_DEMO_MODELS];
    XrDemoFinding findings[XR_DEMO_FINDINGS];
    make_scores(scores, 12);
    xr_demo_findings(findings, scores);
    for (int f = 0; f < XR_DEMO_FINDINGS; f++) {
        assert_int_equal(findings[f].shown, 0);
        assert_string_equal(xr_demo_finding_word(&findings[f]), "not shown");
    }
    // Of the first finding's three cells, one: in part.
    for (int i = 0; i < 12; i++) {
        greedy(&scores[XR_DEMO_SFT_RL], XR_DEMO_FREE, 1)[i].right = true;
    }
    xr_demo_findings(findings, scores);
    assert_int_equal(findings[0].shown, 1);
    assert_string_equal(xr_demo_finding_word(&findings[0]), "shown in part");
    free_scores(scores);
}

static void cells_by_hand(void **state) {
    (void)state;
    const XrWorldMark marks[] = {{true, false, false, 10},
                                 {false, true, true, 112},
                                 {false, false, true, 6},
                                 {true, false, true, 8}};
    XrDemoCell c = xr_demo_cell(marks, 4);
    near(c.right, 0.5);
    near(c.tokens, 34);
    near(c.capped, 0.25);
    near(c.open, 0.5); // ended by itself
    // Wilson: (0.5 + z^2/8 -+ z sqrt(0.25/4 + z^2/64)) / (1 + z^2/4), z = 1.959964
    assert_true(fabs(c.low - 0.150036) < 1e-5);
    assert_true(fabs(c.high - 0.849964) < 1e-5);
}

// ---- the whole demo ----

static const XrDemoSize SMALL = {.sft_steps = 3,
                                 .sft_rows = 4,
                                 .special_steps = 2,
                                 .rl_batches = 2,
                                 .special_rl_batches = 2,
                                 .questions = 2,
                                 .items = 6,
                                 .curve_items = 6,
                                 .curve_every = 1};

static bool run_demo(const char *out, int threads, XrDemoSize size) {
    XrBackend *backend = xr_cpu_create(threads);
    XrDemoOptions options = {backend, out, 3, size};
    bool ok = xr_demo_run(&options, &err);
    xr_backend_free(backend);
    return ok;
}

static void same_file(const char *a, const char *b, const char *name) {
    XrBuffer x = {0}, y = {0};
    xr_test_read(&x, a, name);
    xr_test_read(&y, b, name);
    if (x.length != y.length || memcmp(x.data, y.data, x.length) != 0) fail_msg("%s differs", name);
    xr_buffer_free(&x);
    xr_buffer_free(&y);
}

static void same_demo(const char *a, const char *b) {
    static const char *const files[] = {
        "results.json",          "answers/base.jsonl", "answers/answer.jsonl",
        "answers/special.jsonl", "rl/curve.jsonl",     "special/model/model.safetensors",
    };
    for (size_t i = 0; i < XR_COUNT(files); i++) same_file(a, b, files[i]);
}

static void discard(const char *folder, const char *name) {
    char *path = xr_path_join(folder, name);
    assert_int_equal(unlink(path), 0);
    free(path);
}

static void page_is_whole(const char *folder) {
    XrBuffer page = {0};
    xr_test_read(&page, folder, "report.html");
    xr_buffer_append(&page, "", 0);
    static const char *const needed[] = {
        "Seed 3. SFT: 3 steps (2 for the specialisation), 4 rows a step. ",
        "RL: 2 batches, 2 questions",
        "<h2>The paper's findings",
        "Forced exit ends endless thinking",
        "<h2>Every model in every cell</h2>",
        "level, pictures",
        "completions/mean_length",
        "What is engineered",
        "</body></html>",
    };
    for (size_t i = 0; i < XR_COUNT(needed); i++) {
        if (!strstr(page.data, needed[i])) fail_msg("the page has no %s", needed[i]);
    }
    assert_null(strstr(page.data, "http"));
    xr_buffer_free(&page);
}

// A point before training and one after each batch of two steps, with all four cells.
static void curve_is_whole(const char *folder, int64_t last) {
    XrBuffer text = {0};
    xr_test_read(&text, folder, "curve.jsonl");
    xr_buffer_append(&text, "", 0);
    const char *line = text.data;
    for (int64_t step = 0; step <= last; step += 2) {
        long long got = -1;
        assert_int_equal(sscanf(line, "{\"step\": %lld, \"total, text\": ", &got), 1);
        assert_int_equal(got, step);
        const char *end = strchr(line, '\n');
        const char *cell = strstr(line, "\"level, pictures\": ");
        assert_true(end && cell && cell < end);
        line = end + 1;
    }
    assert_int_equal(*line, 0);
    xr_buffer_free(&text);
}

// The same numbers on every run, for any number of threads, interrupted or not.
static void whole_demo(void **state) {
    (void)state;
    char *once = xr_path_join(xr_test_scratch(), "once");
    char *again = xr_path_join(xr_test_scratch(), "again");
    if (!run_demo(once, 1, SMALL)) fail_msg("%s", err.message);
    page_is_whole(once);
    char *rl = xr_path_join(once, "rl");
    curve_is_whole(rl, 4);
    free(rl);
    xr_interrupt_watch_job();
    raise(SIGTERM);
    assert_false(run_demo(again, 2, SMALL));
    xr_interrupt_clear();
    assert_string_equal(err.message, "interrupted; the same command goes on from there");
    if (!run_demo(again, 2, SMALL)) fail_msg("%s", err.message);
    same_demo(once, again);

    // What a kill in the midst of things leaves: a run after its last checkpoint, nothing of the
    // page, half a line of a curve.
    discard(again, "special/summary.json");
    discard(again, "answers/special.jsonl");
    discard(again, "report.html");
    discard(again, "results.json");
    char *curve = xr_path_join(again, "special/curve.jsonl");
    FILE *file = fopen(curve, "a");
    fputs("{\"step\": 4, \"to", file);
    fclose(file);
    if (!run_demo(again, 1, SMALL)) fail_msg("%s", err.message);
    page_is_whole(again);
    same_demo(once, again);
    same_file(once, again, "special/curve.jsonl");

    XrDemoSize other = SMALL;
    other.items = 7;
    assert_false(run_demo(again, 1, other));
    assert_non_null(strstr(err.message, "another size or seed"));
    free(curve);
    free(once);
    free(again);
}

static void answers_are_read_as_written(void **state) {
    (void)state;
    XrDemoScore score, read;
    xr_demo_score_init(&score, 3);
    for (int d = 0; d < XR_DEMO_DECODINGS; d++) {
        for (int e = 0; e < XR_DEMO_EXITS; e++) {
            for (int c = 0; c < XR_DEMO_CELLS; c++) {
                for (int i = 0; i < 3; i++) {
                    int n = 24 * d + 12 * e + 3 * c + i;
                    score.marks[d][e][c][i] = (XrWorldMark){n % 2 == 1, n % 3 == 1, n % 5 == 1, n};
                }
            }
        }
    }
    char *path = xr_path_join(xr_test_scratch(), "answers.jsonl");
    assert_true(xr_demo_score_write(&score, path, &err));
    assert_true(xr_demo_score_read(&read, path, 3, &err));
    for (int d = 0; d < XR_DEMO_DECODINGS; d++) {
        for (int e = 0; e < XR_DEMO_EXITS; e++) {
            for (int c = 0; c < XR_DEMO_CELLS; c++) {
                for (int i = 0; i < 3; i++) {
                    XrWorldMark a = score.marks[d][e][c][i], b = read.marks[d][e][c][i];
                    assert_true(a.right == b.right && a.capped == b.capped && a.open == b.open &&
                                a.tokens == b.tokens);
                }
            }
        }
    }
    xr_demo_score_free(&read);
    assert_false(xr_demo_score_read(&read, path, 4, &err));
    assert_non_null(strstr(err.message, "24 lines, not 32"));
    const char *odd = "{\"free\": {\"right\": 1, \"capped\": 0, \"open\": 0, \"tokens\": 113}}\n";
    assert_true(xr_file_write(path, odd, strlen(odd), &err));
    assert_false(xr_demo_score_read(&read, path, 3, &err));
    assert_non_null(strstr(err.message, "answers.jsonl:1: 113 tokens"));
    xr_demo_score_free(&score);
    free(path);
}

static void shipped_folder(void **state) {
    (void)state;
    char *folder = xr_path_join(xr_test_scratch(), "base");
    assert_true(xr_world_write_shipped(folder, &err));
    static const char *const files[] = {"config.json",       "generation_config.json",
                                        "tokenizer.json",    "preprocessor_config.json",
                                        "model.safetensors", "tokenizer_config.json"};
    for (size_t i = 0; i < XR_COUNT(files); i++) {
        same_file(folder, xr_test_source("datasets/tiny_world/base"), files[i]);
    }
    assert_false(xr_world_write_shipped("/dev/null/x", &err));
    free(folder);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(verdicts),           cmocka_unit_test(sure_differences),
        cmocka_unit_test(unsure_differences), cmocka_unit_test(nothing_shows_where_nothing_differs),
        cmocka_unit_test(cells_by_hand),      cmocka_unit_test(answers_are_read_as_written),
        cmocka_unit_test(shipped_folder),     cmocka_unit_test(whole_demo),
    };
    xr_test_filter(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
