// Decisions of xr_math_compare: the pairs of the development data, hand-made ones, hostile ones.
#include "shared/base/file.h"
#include "shared/base/json.h"
#include "tests/support/test.h"
#include "tests/support/verify.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

static XrVerdict compare(const char *gold, const char *answer) {
    // Counted work decides; the time limit is wide, since sanitizers make everything slow.
    XrMathOptions options = {.max_milliseconds = 2000};
    return xr_math_compare(xr_test_math, gold, strlen(gold), answer, strlen(answer), &options,
                           NULL);
}

// Compares every pair of a file; returns how many right answers were refused and, through `wrong`,
// how many wrong ones were accepted.
static int run_file(const char *path, int *wrong) {
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    XrBuffer line = {0};
    XrError err;
    int refused = 0;
    *wrong = 0;
    while (xr_read_line(file, 1 << 20, &line, &err) == 1) {
        XrJson json;
        assert_true(xr_json_parse(&json, path, line.data, line.length, &XR_JSON_SMALL, &err));
        const char *gold = "", *answer = "";
        int64_t expected = 0;
        assert_true(xr_json_get_text(&json, json.root, "gold", &gold, &err));
        assert_true(xr_json_get_text(&json, json.root, "pred", &answer, &err));
        assert_true(xr_json_get_int(&json, json.root, "expected", &expected, &err));
        bool equal = compare(gold, answer) == XR_VERDICT_EQUAL;
        if (equal != (expected == 1))
            print_message("expected %d: %s | %s\n", (int)expected, gold, answer);
        refused += expected && !equal;
        *wrong += !expected && equal;
        xr_json_free(&json);
    }
    fclose(file);
    xr_buffer_free(&line);
    return refused;
}

static void kinds(void **state) {
    int wrong, refused = run_file(xr_test_data("verify/kinds-dev.jsonl"), &wrong);
    assert_int_equal(refused, 0);
    assert_int_equal(wrong, 0);
}

// tests/verify_math_pairs.tsv: lines of "=" or "!", gold and answer with tabs between.
static void hand_made_pairs(void **state) {
    XrBuffer text = {0};
    XrError err;
    assert_true(xr_file_read(xr_test_source("tests/verify_math_pairs.tsv"), 1 << 20, &text, &err));
    int pairs = 0, failures = 0;
    char *rest = text.data;
    for (char *line = strsep(&rest, "\n"); line; line = strsep(&rest, "\n")) {
        if (*line == '#' || !*line) continue;
        const char *sign = strsep(&line, "\t"), *gold = strsep(&line, "\t"), *answer = line;
        assert_non_null(answer);
        XrVerdict verdict = compare(gold, answer);
        bool right = (verdict == XR_VERDICT_EQUAL) == (*sign == '=');
        if (!right)
            print_message("%s %s | %s gave %s\n", sign, gold, answer, xr_verdict_name(verdict));
        failures += !right;
        pairs++;
    }
    xr_buffer_free(&text);
    assert_true(pairs > 300);
    assert_int_equal(failures, 0);
}

// Every text is equal to itself, and exact kinds are equal both ways round or neither way.
static void reflexive_and_symmetric(void **state) {
    XrBuffer text = {0};
    XrError err;
    assert_true(xr_file_read(xr_test_source("tests/verify_math_pairs.tsv"), 1 << 20, &text, &err));
    char *rest = text.data;
    int failures = 0;
    for (char *line = strsep(&rest, "\n"); line; line = strsep(&rest, "\n")) {
        if (*line == '#' || !*line) continue;
        strsep(&line, "\t");
        const char *gold = strsep(&line, "\t"), *answer = line;
        assert_int_equal(compare(gold, gold), XR_VERDICT_EQUAL);
        assert_int_equal(compare(answer, answer), XR_VERDICT_EQUAL);
        XrMathKind first = xr_math_kind(xr_test_math, gold, strlen(gold), NULL);
        XrMathKind second = xr_math_kind(xr_test_math, answer, strlen(answer), NULL);
        // Decimals round one way only; equations are solved, sentences cut short for the gold
        // alone.
        bool exact = first == second && (first == XR_MATH_EXPRESSION || first == XR_MATH_MATRIX ||
                                         first == XR_MATH_INTERVAL || first == XR_MATH_INEQUALITY);
        bool one = compare(gold, answer) == XR_VERDICT_EQUAL,
             other = compare(answer, gold) == XR_VERDICT_EQUAL;
        if (exact && one != other) {
            print_message("not symmetric: %s | %s\n", gold, answer);
            failures++;
        }
    }
    xr_buffer_free(&text);
    assert_int_equal(failures, 0);
}

// ---- threads: a context each, the same verdicts ----

enum { THREADS = 4, PAIRS = 500 };

typedef struct Pairs {
    const char *gold[PAIRS], *answer[PAIRS];
    XrVerdict verdict[THREADS][PAIRS];
    int count;
    atomic_int next_thread;
} Pairs;

static void *compare_all(void *context) {
    Pairs *pairs = context;
    int thread = atomic_fetch_add(&pairs->next_thread, 1);
    XrMath *own = xr_math_create();
    for (int i = 0; i < pairs->count; i++) {
        const char *gold = pairs->gold[i], *answer = pairs->answer[i];
        pairs->verdict[thread][i] =
            xr_math_compare(own, gold, strlen(gold), answer, strlen(answer), NULL, NULL);
    }
    xr_math_free(own);
    xr_math_thread_end();
    return NULL;
}

static void threads(void **state) {
    XrBuffer text = {0};
    XrError err;
    assert_true(xr_file_read(xr_test_source("tests/verify_math_pairs.tsv"), 1 << 20, &text, &err));
    static Pairs pairs;
    char *rest = text.data;
    for (char *line = strsep(&rest, "\n"); line && pairs.count < PAIRS;
         line = strsep(&rest, "\n")) {
        if (*line == '#' || !*line) continue;
        strsep(&line, "\t");
        pairs.gold[pairs.count] = strsep(&line, "\t");
        pairs.answer[pairs.count++] = line;
    }
    pthread_t ids[THREADS];
    for (int t = 0; t < THREADS; t++)
        assert_int_equal(pthread_create(&ids[t], NULL, compare_all, &pairs), 0);
    for (int t = 0; t < THREADS; t++) pthread_join(ids[t], NULL);
    for (int t = 1; t < THREADS; t++)
        for (int i = 0; i < pairs.count; i++)
            assert_int_equal(pairs.verdict[t][i], pairs.verdict[0][i]);
    xr_buffer_free(&text);
}

static void hard_pairs(void **state) {
    int wrong, refused = run_file(xr_test_data("verify/hardverify-dev.jsonl"), &wrong);
    print_message("hard pairs: %d right ones refused, %d wrong ones accepted\n", refused, wrong);
    assert_true(refused <= 9);
    assert_true(wrong <= 1);
}

// The examples of docs/verifier.md: lines "- `gold` = `answer`" and "- `gold` ≠ `answer`".
static void documented_examples(void **state) {
    XrBuffer text = {0};
    XrError err;
    assert_true(xr_file_read(xr_test_source("docs/verifier.md"), 1 << 20, &text, &err));
    int examples = 0, failures = 0;
    char *rest = text.data;
    for (char *line = strsep(&rest, "\n"); line; line = strsep(&rest, "\n")) {
        char *equal = strstr(line, "` = `"), *unequal = strstr(line, "` ≠ `");
        size_t length = strlen(line);
        if (strncmp(line, "- `", 3) != 0 || line[length - 1] != '`' || (!equal && !unequal))
            continue;
        char *middle = equal ? equal : unequal;
        const char *answer = strchr(middle + 1, '`') + 1;
        line[length - 1] = *middle = 0;
        bool expected = equal != NULL;
        XrVerdict verdict = compare(line + 3, answer);
        if ((verdict == XR_VERDICT_EQUAL) != expected) {
            print_message("expected %s: %s | %s gave %s\n", expected ? "=" : "≠", line + 3, answer,
                          xr_verdict_name(verdict));
            failures++;
        }
        examples++;
    }
    xr_buffer_free(&text);
    assert_true(examples > 250);
    assert_int_equal(failures, 0);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(kinds),
                                       cmocka_unit_test(hard_pairs),
                                       cmocka_unit_test(threads),
                                       cmocka_unit_test(hand_made_pairs),
                                       cmocka_unit_test(reflexive_and_symmetric),
                                       cmocka_unit_test(documented_examples)};
    xr_test_filter(argc, argv);
    return cmocka_run_group_tests(tests, xr_test_math_begin, xr_test_math_end);
}
