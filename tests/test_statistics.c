// Statistics of evaluations against SciPy, statsmodels and enumeration; votes by hand.
#include "tests/support/test.h"

#include "shared/base/json.h"
#include "shared/base/memory.h"
#include "shared/eval/statistics.h"
#include "shared/eval/vote.h"

#include <math.h>
#include <stdlib.h>

// Both sides compute in double by different formulas; lgamma costs the most digits.
static const double NEAR = 1e-10;

static XrJson golden;

static double number(const cJSON *row, const char *key) {
    const cJSON *value = cJSON_GetObjectItemCaseSensitive(row, key);
    assert_true(cJSON_IsNumber(value));
    return value->valuedouble;
}

static double *numbers(const cJSON *row, const char *key, int64_t *count) {
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(row, key), *item;
    double *out = xr_malloc(sizeof *out * (size_t)cJSON_GetArraySize(list));
    *count = 0;
    cJSON_ArrayForEach(item, list) out[(*count)++] = item->valuedouble;
    return out;
}

static const cJSON *rows_of(const char *key) {
    const cJSON *rows = cJSON_GetObjectItemCaseSensitive(golden.root, key);
    assert_true(cJSON_GetArraySize(rows) > 2);
    return rows;
}

static void near(double got, double wanted) {
    if (!(fabs(got - wanted) <= NEAR)) fail_msg("%.17g is not %.17g", got, wanted);
}

static void wilson_as_scipy(void **state) {
    const cJSON *row;
    cJSON_ArrayForEach(row, rows_of("wilson")) {
        double n = number(row, "n");
        XrInterval i = xr_wilson(number(row, "right") / n, n);
        near(i.low, number(row, "low"));
        near(i.high, number(row, "high"));
    }
    XrInterval nothing = xr_wilson(0, 0);
    assert_true(nothing.low == 0 && nothing.high == 1);
}

static void means_as_statsmodels(void **state) {
    const cJSON *row;
    cJSON_ArrayForEach(row, rows_of("mean")) {
        int64_t count;
        double *values = numbers(row, "values", &count);
        XrMean m = xr_mean(values, count);
        near(m.mean, number(row, "mean"));
        near(m.stderr_, number(row, "stderr"));
        near(m.interval.low, number(row, "low"));
        near(m.interval.high, number(row, "high"));
        free(values);
    }
}

// One sample a question: clustering by question changes nothing.
static void one_sample_is_wilson(void **state) {
    double values[30] = {0};
    for (int right = 0; right <= 30; right++) {
        XrMean m = xr_mean(values, 30);
        XrInterval w = xr_wilson(right / 30.0, 30);
        near(m.interval.low, w.low);
        near(m.interval.high, w.high);
        if (right < 30) values[right] = 1;
    }
}

static void mcnemar_as_scipy(void **state) {
    const cJSON *row;
    cJSON_ArrayForEach(row, rows_of("mcnemar")) {
        near(xr_mcnemar((int64_t)number(row, "a"), (int64_t)number(row, "b")), number(row, "p"));
    }
}

static void bootstrap_as_numpy(void **state) {
    const cJSON *row;
    cJSON_ArrayForEach(row, rows_of("bootstrap")) {
        int64_t count;
        double *a = numbers(row, "a", &count), *b = numbers(row, "b", &count);
        XrPaired p = xr_paired_bootstrap(a, b, count, (int64_t)number(row, "replicates"),
                                         (uint64_t)number(row, "seed"));
        near(p.difference, number(row, "difference"));
        near(p.interval.low, number(row, "low"));
        near(p.interval.high, number(row, "high"));
        near(p.p, number(row, "p"));
        free(a);
        free(b);
    }
}

static void pass_at_k_by_binomials(void **state) {
    const cJSON *row;
    cJSON_ArrayForEach(row, rows_of("pass_at_k")) {
        near(xr_pass_at_k((int64_t)number(row, "n"), (int64_t)number(row, "right"),
                          (int64_t)number(row, "k")),
             number(row, "value"));
    }
}

// Every subset of k of n samples, the first `right` of which are right.
static void pass_at_k_by_enumeration(void **state) {
    for (int n = 1; n <= 10; n++) {
        for (int right = 0; right <= n; right++) {
            int with[11] = {0}, all[11] = {0};
            for (unsigned subset = 1; subset < 1u << n; subset++) {
                int k = __builtin_popcount(subset);
                all[k]++;
                with[k] += (subset & ((1u << right) - 1)) != 0;
            }
            for (int k = 1; k <= n; k++) {
                near(xr_pass_at_k(n, right, k), (double)with[k] / all[k]);
            }
        }
    }
}

// ---- votes ----

// Answers are the same where their letters are, or where one is a capital of the other.
static bool same_letter(void *context, int first, int second) {
    const char *answers = context;
    return (answers[first] | 32) == (answers[second] | 32);
}

// '-' does not vote.
static XrVote vote_of(const char *answers) {
    bool may_vote[16];
    int count = (int)strlen(answers);
    for (int i = 0; i < count; i++) may_vote[i] = answers[i] != '-';
    return xr_vote(may_vote, count, same_letter, (char *)answers);
}

static void expect_vote(const char *answers, int winner, int votes, int classes, bool tie) {
    XrVote v = vote_of(answers);
    assert_int_equal(v.winner, winner);
    assert_int_equal(v.votes, votes);
    assert_int_equal(v.classes, classes);
    assert_int_equal(v.tie, tie);
}

static void votes(void **state) {
    expect_vote("", -1, 0, 0, false);
    expect_vote("---", -1, 0, 0, false);
    expect_vote("a", 0, 1, 1, false);
    expect_vote("bAa", 1, 2, 2, false);
    expect_vote("-ab", 1, 1, 2, true);   // a tie: the class that was founded first
    expect_vote("abba", 0, 2, 2, true);  // also where the other was completed first
    expect_vote("cabba", 1, 2, 3, true); // c has fewer
    expect_vote("ab-bcB", 1, 3, 3, false);
    expect_vote("abcc", 2, 2, 3, false);
}

// A relation that is not transitive: 1 ~ 2 and 2 ~ 3, but not 1 ~ 3. Founders decide.
static bool at_most_one_apart(void *context, int first, int second) {
    const int *answers = context;
    return abs(answers[first] - answers[second]) <= 1;
}

static void votes_of_chains(void **state) {
    bool may_vote[4] = {true, true, true, true};
    int answers[4] = {3, 2, 1, 1};
    XrVote v = xr_vote(may_vote, 4, at_most_one_apart, answers);
    assert_int_equal(v.classes, 2);
    assert_int_equal(v.winner, 0);
    assert_true(v.tie);
}

static int open_golden(void **state) {
    return xr_json_read_file(&golden, xr_test_source("golden/statistics.json"), &XR_JSON_SMALL,
                             NULL)
               ? 0
               : 1;
}

static int close_golden(void **state) {
    xr_json_free(&golden);
    return 0;
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wilson_as_scipy),          cmocka_unit_test(means_as_statsmodels),
        cmocka_unit_test(one_sample_is_wilson),     cmocka_unit_test(mcnemar_as_scipy),
        cmocka_unit_test(bootstrap_as_numpy),       cmocka_unit_test(pass_at_k_by_binomials),
        cmocka_unit_test(pass_at_k_by_enumeration), cmocka_unit_test(votes),
        cmocka_unit_test(votes_of_chains),
    };
    xr_test_filter(argc, argv);
    return cmocka_run_group_tests(tests, open_golden, close_golden);
}
