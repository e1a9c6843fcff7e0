// Reports: what the page holds, ticks of axes, and folders that are no runs or hold damaged lines.
#include "tests/support/test.h"

#include "shared/base/file.h"
#include "shared/base/memory.h"
#include "shared/report/chart.h"
#include "shared/report/page.h"

#include <math.h>
#include <stdlib.h>

static char *run_folder(const char *name) {
    return xr_path_join(xr_test_scratch(), name);
}

// Times that a piece of text stands in another.
static int times(const char *text, const char *part) {
    int count = 0;
    for (const char *at = text; (at = strstr(at, part)); at += strlen(part)) count++;
    return count;
}

static char *report(const char *const *folders, int count) {
    XrError err;
    XrBuffer page = {0};
    char *path = run_folder("page.html");
    if (!xr_report_write(path, folders, count, 2, &err)) fail_msg("%s", err.message);
    assert_true(xr_file_read(path, 1 << 24, &page, &err));
    free(path);
    return page.data;
}

static void two_runs_compared(void **state) {
    char *a = run_folder("alpha"), *b = run_folder("beta");
    xr_test_put(a, "config.json", "{\"command\": \"sft\", \"seed\": 1, \"learning_rate\": 0.5}");
    xr_test_put(b, "config.json", "{\"command\": \"sft\", \"seed\": 1, \"learning_rate\": 0.25}");
    xr_test_put(a, "metrics.jsonl", "{\"step\": 1, \"loss\": 2.5}\n{\"step\": 2, \"loss\": 1.5}\n");
    xr_test_put(b, "metrics.jsonl",
                "{\"step\": 1, \"loss\": 3.5, \"reward\": 0.125, \"kl\": 7}\n"
                "{\"step\": 2, \"loss\": 3.5, \"reward\": 0.25, \"kl\": 7}\n");
    xr_test_put(a, "summary.json", "{\"rows_read\": 77}");
    char *page = report((const char *const[]){a, b}, 2);
    assert_int_equal(times(page, "<figure>"), 2);          // loss and reward
    assert_int_equal(times(page, "class=\"line c0\""), 1); // alpha has no reward
    assert_int_equal(times(page, "class=\"line c1\""), 2);
    assert_non_null(strstr(page, "The same at every step: kl.</p>"));
    assert_non_null(strstr(page, "1.5 (1.5)"));
    assert_non_null(strstr(page, "<td>learning_rate</td><td>0.5</td><td>0.25</td>"));
    assert_non_null(strstr(page, "<td>rows_read</td><td>77</td>"));
    assert_int_equal(times(page, "the run has not ended"), 1);
    assert_null(strstr(page, "http"));
    free(page);
    free(a);
    free(b);
}

// Texts from outside stay texts; injected tokens are marked, the last samples kept.
static void samples_are_shown_safely(void **state) {
    char *folder = run_folder("samples");
    XrBuffer config = {0};
    xr_buffer_text(&config, "{\"model_name_or_path\": ");
    const char *model = xr_test_source("golden/models/text_only");
    xr_buffer_json(&config, model, strlen(model));
    xr_buffer_byte(&config, '}');
    xr_test_put(folder, "config.json", config.data);
    xr_test_put(
        folder, "samples.jsonl",
        "{\"id\": \"first\", \"response\": \"dropped\"}\n"
        "{\"id\": \"<script>\", \"prompt\": \"a & b\", \"response\": \"as \\\"stored\\\"\", "
        "\"score\": 1}\n"
        "{\"id\": \"x\", \"token_ids\": [54, 340, 11, 198], \"forced\": [[1, 3]], \"score\": 0}\n");
    char *page = report((const char *const[]){folder}, 1);
    assert_null(strstr(page, "<script>"));
    assert_non_null(strstr(page, "&lt;script&gt;"));
    assert_non_null(strstr(page, "a &amp; b"));
    assert_non_null(strstr(page, "as &quot;stored&quot;"));
    assert_null(strstr(page, "dropped"));
    assert_int_equal(times(page, "<mark"), 1);
    assert_int_equal(times(page, "class=\"right\""), 1);
    assert_int_equal(times(page, "class=\"wrong\""), 1);
    assert_non_null(strstr(page, "3, the last 2 below"));
    free(page);
    xr_buffer_free(&config);
    free(folder);
}

static void damage_is_counted(void **state) {
    char *folder = run_folder("damaged");
    xr_test_put(folder, "metrics.jsonl",
                "{\"step\": 1, \"loss\": 1}\nnot json\n{\"loss\": 5}\n{\"step\": 2, \"loss\": "
                "null}\n{\"st");
    char *page = report((const char *const[]){folder}, 1);
    assert_non_null(strstr(page, "5, 3 of them not readable"));
    free(page);
    free(folder);
}

static void refuses(void **state) {
    XrError err;
    char *empty = run_folder("empty");
    assert_true(xr_make_folders(empty, &err));
    assert_false(xr_report_write("/dev/null/x", (const char *const[]){empty}, 1, 1, &err));
    assert_non_null(strstr(err.message, "neither metrics.jsonl nor samples.jsonl"));
    xr_test_put(empty, "metrics.jsonl", "{\"step\": 1, \"loss\": 1}\n");
    assert_false(xr_report_write("/nowhere/x.html", (const char *const[]){empty}, 1, 1, &err));
    assert_non_null(strstr(err.message, "/nowhere/x.html"));
    xr_test_put(empty, "config.json", "{");
    assert_false(xr_report_write("/nowhere/x.html", (const char *const[]){empty}, 1, 1, &err));
    assert_non_null(strstr(err.message, "config.json"));
    free(empty);
}

static void ticks_are_round(void **state) {
    const struct {
        double low, high, first, step;
        int count;
    } cases[] = {
        {0, 1, 0, 0.5, 3},
        {0, 100, 0, 50, 3},
        {-3, 7, -5, 5, 4},
        {2, 2, 2, 5e-4, 1},
        {0.0012, 0.0019, 0.001, 0.0002, 6},
    };
    for (size_t i = 0; i < XR_COUNT(cases); i++) {
        double first, step;
        int count = xr_chart_ticks(cases[i].low, cases[i].high, 4, &first, &step);
        assert_true(fabs(step - cases[i].step) < 1e-9 * step);
        assert_true(fabs(first - cases[i].first) < 1e-9);
        assert_int_equal(count, cases[i].count);
        assert_true(first + step * (count - 1) >= cases[i].high - 1e-9);
    }
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_runs_compared), cmocka_unit_test(samples_are_shown_safely),
        cmocka_unit_test(damage_is_counted), cmocka_unit_test(refuses),
        cmocka_unit_test(ticks_are_round),
    };
    xr_test_filter(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
