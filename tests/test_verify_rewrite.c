// The gold answers of MATH-500, AIME and GSM8K against rewritings of themselves that say the same,
// and against others that do not. The rewriting works on the text (tests/support/rewrite.c), not
// through the parser under test.
#include "shared/base/file.h"
#include "shared/base/json.h"
#include "shared/base/memory.h"
#include "tests/support/rewrite.h"
#include "tests/support/test.h"
#include "tests/support/verify.h"

#include <stdlib.h>

static long same_pairs, other_pairs, wrong;

static XrVerdict compare(const char *gold, const XrBuffer *answer) {
    return xr_math_compare(xr_test_math, gold, strlen(gold), answer->data, answer->length, NULL,
                           NULL);
}

static void complain(const char *what, const char *gold, const XrBuffer *answer,
                     XrVerdict verdict) {
    if (wrong++ < 40)
        print_message("%s: %s | %s gave %s\n", what, gold, answer->data, xr_verdict_name(verdict));
}

// `tries` draws of each sort.
static void check_gold(const char *gold, int tries, uint64_t stream) {
    XrDraw draw = {.seed = 7, .stream = stream};
    XrBuffer once = {0}, twice = {0};
    for (int i = 0; i < tries; i++) {
        if (xr_rewrite_same(&draw, gold, &once)) {
            XrVerdict verdict = compare(gold, &once);
            if (verdict != XR_VERDICT_EQUAL) complain("same", gold, &once, verdict);
            same_pairs++;
            // Two changes one after the other.
            if (i % 2 && xr_rewrite_same(&draw, once.data, &twice)) {
                verdict = compare(gold, &twice);
                if (verdict != XR_VERDICT_EQUAL) complain("same", gold, &twice, verdict);
                same_pairs++;
            }
        }
        if (xr_rewrite_other(&draw, gold, &once)) {
            XrVerdict verdict = compare(gold, &once);
            if (verdict == XR_VERDICT_EQUAL) complain("other", gold, &once, verdict);
            other_pairs++;
        }
    }
    xr_buffer_free(&once);
    xr_buffer_free(&twice);
}

static void check_array(const char *path, int tries) {
    XrJson json;
    XrError err;
    assert_true(xr_json_read_file(&json, path, &XR_JSON_LARGE, &err));
    const cJSON *item;
    uint64_t stream = 0;
    cJSON_ArrayForEach(item, json.root) {
        const char *gold = NULL;
        assert_true(xr_json_get_text(&json, item, "final_answer", &gold, &err));
        check_gold(gold, tries, stream++);
    }
    xr_json_free(&json);
}

static void check_gsm8k(const char *path, int tries) {
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    XrBuffer line = {0};
    XrError err;
    uint64_t stream = 1000;
    while (xr_read_line(file, 1 << 20, &line, &err) == 1) {
        XrJson json;
        const char *text = "";
        assert_true(xr_json_parse(&json, path, line.data, line.length, &XR_JSON_SMALL, &err));
        assert_true(xr_json_get_text(&json, json.root, "answer", &text, &err));
        const char *gold = strstr(text, "#### ");
        assert_non_null(gold);
        check_gold(gold + 5, tries, stream++);
        xr_json_free(&json);
    }
    fclose(file);
    xr_buffer_free(&line);
}

static void report(void) {
    print_message("%ld pairs that say the same, %ld that do not, %ld wrong\n", same_pairs,
                  other_pairs, wrong);
    assert_int_equal(wrong, 0);
}

static void math500(void **state) {
    check_array(xr_test_data("math500/math500.json"), 250);
    check_array(xr_test_data("aime24/aime2024.json"), 250);
    report();
    assert_true(same_pairs >= 20000 && other_pairs >= 20000);
}

static void gsm8k(void **state) {
    check_gsm8k(xr_test_data("gsm8k/test.jsonl"), 10);
    check_gsm8k(xr_test_data("gsm8k/train.jsonl"), 3);
    report();
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(math500), cmocka_unit_test(gsm8k)};
    xr_test_filter(argc, argv);
    return cmocka_run_group_tests(tests, xr_test_math_begin, xr_test_math_end);
}
