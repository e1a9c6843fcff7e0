// Comparisons of runs from their samples.jsonl, as a whole and by subject, against golden values of
// SciPy and numpy; McNemar's p also by hand. What the program and the page show of them.
#include "tests/support/eval.h"
#include "tests/support/processes.h"
#include "tests/support/runs.h"
#include "tests/support/test.h"

#include "shared/base/file.h"
#include "shared/base/json.h"
#include "shared/base/memory.h"
#include "shared/eval/compare.h"

#include <math.h>
#include <stdlib.h>

// Means are summed in another order than numpy's; lgamma costs the most digits.
static const double NEAR = 1e-10;

static void near(double got, const cJSON *row, const char *key) {
    double wanted = xr_test_number(row, key);
    if (!(fabs(got - wanted) <= NEAR)) fail_msg("%s is %.17g, not %.17g", key, got, wanted);
}

// The answers of run "a" or "b", the last item first.
static char *run_folder(const char *name, const cJSON *runs, const char *run) {
    XrBuffer text = {0};
    xr_buffer_reserve(&text, 1);
    for (int i = cJSON_GetArraySize(runs) - 1; i >= 0; i--) {
        const cJSON *item = cJSON_GetArrayItem(runs, i), *score;
        const char *subject = cJSON_GetStringValue(cJSON_GetObjectItem(item, "subject"));
        int sample = 0;
        cJSON_ArrayForEach(score, xr_test_at(item, run)) {
            xr_buffer_format(&text, "{\"dataset\": \"jsonl\", \"mode\": \"free\", \"id\": \"%s\", ",
                             xr_test_string(item, "id"));
            if (subject) xr_buffer_format(&text, "\"subject\": \"%s\", ", subject);
            xr_buffer_format(&text, "\"sample\": %d, \"score\": %d}\n", sample++, score->valueint);
        }
    }
    char *folder = xr_path_join(xr_test_scratch(), name);
    xr_test_put(folder, "samples.jsonl", text.data);
    xr_buffer_free(&text);
    return folder;
}

static void expect(const XrComparison *c, const cJSON *row) {
    assert_int_equal(c->items, xr_test_number(row, "items"));
    assert_int_equal(c->only_first, xr_test_number(row, "only_a"));
    assert_int_equal(c->only_second, xr_test_number(row, "only_b"));
    assert_int_equal(c->one_sample, cJSON_IsTrue(xr_test_at(row, "one")));
    near(c->mcnemar, row, "mcnemar");
    near(c->paired.difference, row, "difference");
    near(c->paired.interval.low, row, "low");
    near(c->paired.interval.high, row, "high");
    near(c->paired.p, row, "p");
}

static void as_scipy_and_numpy(void **state) {
    XrJson golden;
    XrError err;
    if (!xr_json_read_file(&golden, xr_test_source("golden/statistics.json"), &XR_JSON_SMALL,
                           &err)) {
        fail_msg("%s", err.message);
    }
    const cJSON *row;
    int subjects = 0;
    cJSON_ArrayForEach(row, xr_test_at(golden.root, "compare")) {
        char *folders[2] = {run_folder("golden-a", xr_test_at(row, "runs"), "a"),
                            run_folder("golden-b", xr_test_at(row, "runs"), "b")};
        XrScores a, b;
        XrComparisons c;
        xr_scores_read(&a, folders[0]);
        xr_scores_read(&b, folders[1]);
        assert_true(xr_compare(&c, &a, "free", &b, "free", "jsonl"));
        expect(&c.all, xr_test_at(row, "all"));
        const cJSON *wanted = xr_test_at(row, "subjects");
        assert_int_equal(c.subject_count, cJSON_GetArraySize(wanted));
        for (int s = 0; s < c.subject_count; s++, subjects++) {
            const cJSON *subject = cJSON_GetArrayItem(wanted, s);
            assert_string_equal(c.subjects[s].subject, xr_test_string(subject, "subject"));
            expect(&c.subjects[s], subject);
        }
        xr_comparisons_free(&c);
        assert_false(xr_compare(&c, &a, "budget", &b, "budget", "jsonl"));
        assert_false(xr_compare(&c, &a, "free", &b, "free", "json"));
        xr_scores_free(&a);
        xr_scores_free(&b);
        free(folders[0]);
        free(folders[1]);
    }
    assert_int_equal(subjects, 3 + 3 + 2);
    xr_json_free(&golden);
}

// Of "arms", the first run alone has three right; of "legs", the second alone has six; "head" is
// the same. By hand: 2 (1/2)^3, 2 (1/2)^6, and of nine of which three: 2 (1 + 9 + 36 + 84) / 512.
static void add_answers(XrBuffer *out, bool first) {
    for (int i = 0; i < 9; i++) {
        const char *subject = i < 3 ? "arms" : i < 8 ? "legs" : "head";
        bool right = i < 3 ? first : i < 8 ? !first : true;
        xr_buffer_format(out,
                         "{\"dataset\": \"gsm8k\", \"mode\": \"both\", \"id\": \"%d\", \"subject\":"
                         " \"%s\", \"score\": %d}\n",
                         i, subject, right);
    }
}

static char *by_hand(const char *name, bool first, const char *more) {
    XrBuffer text = {0};
    add_answers(&text, first);
    xr_buffer_text(&text, more);
    char *folder = xr_path_join(xr_test_scratch(), name);
    xr_test_put(folder, "samples.jsonl", text.data);
    xr_buffer_free(&text);
    return folder;
}

static void both_modes_by_hand(void **state) {
    char *folders[2] = {by_hand("hand-a", true, "{\"id\": \"half a li"),
                        by_hand("hand-b", false, "")};
    XrScores a, b;
    XrComparisons c;
    xr_scores_read(&a, folders[0]);
    xr_scores_read(&b, folders[1]);
    assert_int_equal(a.unreadable, 1);
    assert_true(xr_compare(&c, &a, "free", &b, "budget", "gsm8k"));
    assert_true(fabs(c.all.mcnemar - 2 * 93 / 256.0) < NEAR);
    assert_true(fabs(c.all.paired.difference + 2 / 9.0) < NEAR);
    assert_int_equal(c.subject_count, 3);
    assert_true(fabs(c.subjects[0].mcnemar - 0.25) < NEAR); // arms, head, legs
    assert_true(c.subjects[1].mcnemar == 1);
    assert_true(fabs(c.subjects[2].mcnemar - 1 / 16.0) < NEAR);
    xr_comparisons_free(&c);
    xr_scores_free(&a);
    xr_scores_free(&b);
    free(folders[0]);
    free(folders[1]);
}

#define ARGUMENTS(...) ((const char *const[]){__VA_ARGS__ __VA_OPT__(, ) NULL})

static void has(const char *text, const char *part) {
    if (!strstr(text, part)) fail_msg("\"%s\" is not in:\n%s", part, text);
}

static void the_program_says_so(void **state) {
    char *a = by_hand("said-a", true, "not json\n"), *b = by_hand("said-b", false, "");
    char *empty = xr_path_join(xr_test_scratch(), "said-none");
    assert_int_equal(xr_test_wait(xr_test_start(ARGUMENTS("eval", "--compare", b, a))), 0);
    static const char *const parts[] = {
        "GSM8K: ",
        "1 lines hold no judged answer",
        "said-a minus ",
        "said-b\n",
        ", forced exit",
        "all items that both answered          9   -22.22  [",
        "           3            5     0.7266\n",
        "arms                                  3  +100.00  [+100.00, +100.00]   0.0002           3",
        "            0     0.2500\n",
        "            5     0.0625\n"};
    for (size_t i = 0; i < XR_COUNT(parts); i++) xr_test_log_has(parts[i]);
    xr_test_put(empty, "samples.jsonl", "");
    assert_int_equal(xr_test_wait(xr_test_start(ARGUMENTS("eval", "--compare", a, empty))), 1);
    xr_test_log_has("said-none: there is no samples.jsonl with judged answers");
    xr_test_put(empty, "samples.jsonl",
                "{\"dataset\": \"x\", \"mode\": \"free\", \"id\": \"0\", \"score\": 1}\n");
    assert_int_equal(xr_test_wait(xr_test_start(ARGUMENTS("eval", "--compare", empty))), 1);
    xr_test_log_has("no items in common");
    free(a);
    free(b);
    free(empty);
}

// The page compares by subject too: what summary.json names, with scores of samples.jsonl.
static void the_page_shows_subjects(void **state) {
    static const char summary[] =
        "{\"command\": \"eval\", \"results\": [{\"dataset\": \"gsm8k\", \"title\": \"GSM8K\", "
        "\"mode\": \"free\", \"samples\": 1, \"items\": 9, \"answered\": 9, \"answers\": 9, "
        "\"subjects\": []}]}";
    char *a = by_hand("page-a", true, ""), *b = by_hand("page-b", false, "");
    char *out = xr_path_join(xr_test_scratch(), "page.html");
    const char *const folders[] = {a, b};
    for (int i = 0; i < 2; i++) {
        xr_test_put(folders[i], "summary.json", summary);
        xr_test_put(folders[i], "config.json", "{\"command\": \"eval\"}");
    }
    assert_int_equal(xr_test_wait(xr_test_start(ARGUMENTS("report", b, a, "--out", out))), 0);
    XrBuffer page = {0};
    xr_test_read(&page, xr_test_scratch(), "page.html");
    has(page.data, " by subject</summary>");
    const char *table = strstr(page.data, " by subject</summary>");
    has(table, "<td>arms</td><td class=\"n\">3</td><td class=\"n\">+100.0 ");
    has(table, "<td class=\"n\">3 / 0</td><td class=\"n\">0.2500</td>");
    has(table, "<td>head</td><td class=\"n\">1</td><td class=\"n\">+0.0 ");
    has(table, "<td class=\"n\">0 / 5</td><td class=\"n\">0.0625</td>");
    xr_buffer_free(&page);
    free(a);
    free(b);
    free(out);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(as_scipy_and_numpy),
        cmocka_unit_test(both_modes_by_hand),
        cmocka_unit_test(the_program_says_so),
        cmocka_unit_test(the_page_shows_subjects),
    };
    xr_test_filter(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
