// `xreasoner world` as a user runs it.
#include "tests/support/test.h"

#include "datasets/tiny_world/tokens.h"
#include "shared/base/file.h"

#include <stdlib.h>
#include <sys/wait.h>

// Runs the program in the scratch folder; returns its exit code and all that it printed.
static int run(const char *arguments, XrBuffer *printed) {
    XrBuffer command = {0};
    xr_buffer_format(&command, "cd '%s' && '%s' world %s >printed 2>&1", xr_test_scratch(),
                     xr_test_program(), arguments);
    int status = system(command.data);
    XrError err;
    char *path = xr_path_join(xr_test_scratch(), "printed");
    assert_true(xr_file_read(path, 1 << 20, printed, &err));
    xr_buffer_append(printed, "", 0);
    xr_buffer_free(&command);
    free(path);
    return WEXITSTATUS(status);
}

static void wrong_usage(void **state) {
    (void)state;
    const struct {
        const char *arguments, *says;
    } cases[] = {
        {"", "usage"},
        {"moon", "no such part"},
        {"base", "--out DIR is missing"},
        {"model", "--out DIR is missing"},
        {"evaluate", "MODEL is missing"},
        {"base --out d --rows 0", "--rows"},
        {"base --out d --rows -5", "--rows"},
        {"base --out d --rows many", "--rows"},
        {"base --out d --rows 99999999999", "--rows"},
        {"base --out d --domain total", "no --domain"},
        {"base --out d --pictures", "no --pictures"},
        {"think --out d --split dev", "no --split"},
        {"think --out d --domain moon", "total|level"},
        {"questions --out d --split final", "train|dev|test"},
        {"questions --out d --think-budget 3", "evaluate"},
        {"questions --out d --device cuda", "evaluate"},
        {"evaluate m --device gpu", "cpu|cuda"},
        {"questions extra --out d", "no second argument"},
        {"model --out d --rows 3", "--out and --seed alone"},
        {"model --out d --ruws 3", "--rows"},
        {"evaluate m --out d", "no --out"},
        {"think a b c", "argument"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        XrBuffer printed = {0};
        int code = run(cases[i].arguments, &printed);
        if (code != 2 || !strcasestr(printed.data, cases[i].says)) {
            fail_msg("world %s: exit code %d: %s", cases[i].arguments, code, printed.data);
        }
        xr_buffer_free(&printed);
    }
}

static void what_cannot_be_done(void **state) {
    (void)state;
    const char *const cases[][2] = {
        {"model --out /dev/null/x", "/dev/null"},
        {"base --out /dev/null/x", "/dev/null"},
        {"evaluate missing", "missing"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        XrBuffer printed = {0};
        int code = run(cases[i][0], &printed);
        if (code != 1 || !strstr(printed.data, cases[i][1])) {
            fail_msg("world %s: exit code %d: %s", cases[i][0], code, printed.data);
        }
        xr_buffer_free(&printed);
    }
}

// Everything once: the untrained model answers nothing right, and the table says so.
static void untrained_model_is_evaluated(void **state) {
    (void)state;
    XrBuffer printed = {0};
    assert_int_equal(run("model --out m --seed 3", &printed), 0);
    assert_int_equal(run("think --out d --rows 6 --pictures", &printed), 0);
    assert_non_null(strstr(printed.data, "6 rows in d/think.jsonl"));
    assert_int_equal(run("evaluate m --rows 1 --split test --think-budget 8", &printed), 0);
    int lines = 0;
    for (const char *at = printed.data; (at = strchr(at, '\n')); at++) lines++;
    assert_int_equal(lines, 19);
    const char *row = strstr(printed.data, "list    total  picture");
    assert_non_null(row);
    double right = -1;
    assert_int_equal(sscanf(row, "list total picture %lf", &right), 1);
    assert_true(right == 0);
    xr_buffer_free(&printed);
}

// The share of right responses in a row of the table.
static double right_of(const char *table, const char *row) {
    const char *at = strstr(table, row);
    double right = -1;
    if (!at || sscanf(at + strlen(row), "%lf", &right) != 1) fail_msg("no %s in %s", row, table);
    return right;
}

// The base model that is shipped knows the facts and reads pictures, and reasons badly.
static void shipped_model(void **state) {
    (void)state;
    XrBuffer command = {0}, printed = {0}, made = {0};
    xr_buffer_format(&command, "evaluate '%s' --rows 18 --seed 77",
                     xr_test_source("datasets/tiny_world/base"));
    if (run(command.data, &printed) != 0) fail_msg("%s", printed.data);
    assert_true(right_of(printed.data, "facts   total  text") == 100);
    assert_true(right_of(printed.data, "facts   level  text") == 100);
    assert_true(right_of(printed.data, "values  total  picture") > 80);
    assert_true(right_of(printed.data, "values  level  picture") > 80);
    assert_true(right_of(printed.data, "think   total  picture") < 60);
    XrError err;
    xr_world_tokenizer(&made);
    assert_true(xr_file_read(xr_test_source("datasets/tiny_world/base/tokenizer.json"), 1 << 20,
                             &printed, &err));
    assert_string_equal(printed.data, made.data);
    xr_buffer_free(&command);
    xr_buffer_free(&printed);
    xr_buffer_free(&made);
}

static void help(void **state) {
    (void)state;
    XrBuffer printed = {0};
    assert_int_equal(run("--help", &printed), 0);
    assert_non_null(strstr(printed.data, "--think-budget"));
    xr_buffer_free(&printed);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wrong_usage),
        cmocka_unit_test(what_cannot_be_done),
        cmocka_unit_test(untrained_model_is_evaluated),
        cmocka_unit_test(shipped_model),
        cmocka_unit_test(help),
    };
    xr_test_filter(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
