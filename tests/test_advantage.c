// Advantages of groups, against values worked out by hand.
#include "tests/support/test.h"

#include "shared/base/memory.h"
#include "shared/train/advantage.h"

#include <math.h>

typedef struct Case {
    const char *name;
    XrScaleRewards scale;
    int64_t begin[4], groups;
    double rewards[8];
    float expected[8];
    double reward, reward_std;
    int64_t zero_groups;
} Case;

// The standard deviation of 1, 0, 0, 0 is sqrt((9 + 3) / 16 / 3) = 1/2; that of 1, 1, 0, 0 is
// sqrt(1/3) = 0.577350269; that of 1, 0, 0, 0, 1, 1, 0, 0 is sqrt(15/8/7) = 0.517549170.
static const Case CASES[] = {
    {"one of four",
     XR_SCALE_GROUP,
     {0, 4},
     1,
     {1, 0, 0, 0},
     {0.75F / 0.5001F, -0.25F / 0.5001F, -0.25F / 0.5001F, -0.25F / 0.5001F},
     0.25,
     0.5,
     0},
    {"two groups",
     XR_SCALE_GROUP,
     {0, 4, 8},
     2,
     {1, 0, 0, 0, 1, 1, 0, 0},
     {0.75F / 0.5001F, -0.25F / 0.5001F, -0.25F / 0.5001F, -0.25F / 0.5001F, 0.8658754F, 0.8658754F,
      -0.8658754F, -0.8658754F},
     0.375,
     (0.5 + 0.5773502691896258) / 2,
     0},
    {"by the batch",
     XR_SCALE_BATCH,
     {0, 4, 8},
     2,
     {1, 0, 0, 0, 1, 1, 0, 0},
     {0.75F / 0.51764917F, -0.25F / 0.51764917F, -0.25F / 0.51764917F, -0.25F / 0.51764917F,
      0.5F / 0.51764917F, 0.5F / 0.51764917F, -0.5F / 0.51764917F, -0.5F / 0.51764917F},
     0.375,
     (0.5 + 0.5773502691896258) / 2,
     0},
    {"not divided",
     XR_SCALE_NONE,
     {0, 4, 8},
     2,
     {1, 0, 0, 0, 1, 1, 0, 0},
     {0.75F, -0.25F, -0.25F, -0.25F, 0.5F, 0.5F, -0.5F, -0.5F},
     0.375,
     (0.5 + 0.5773502691896258) / 2,
     0},
    // 0.1 + 0.1 + 0.1 is not 3 * 0.1: equal rewards give 0 all the same.
    {"all equal", XR_SCALE_GROUP, {0, 3, 6}, 2, {0.1, 0.1, 0.1, 1, 1, 1}, {0}, 0.55, 0, 2},
    {"equal in each group, not in the batch",
     XR_SCALE_BATCH,
     {0, 2, 4},
     2,
     {1, 1, 0, 0},
     {0},
     0.5,
     0,
     2},
    {"one sample", XR_SCALE_GROUP, {0, 1}, 1, {1}, {0}, 1, 0, 1},
    {"one sample beside others",
     XR_SCALE_NONE,
     {0, 1, 3},
     2,
     {1, 1, 0},
     {0, 0.5F, -0.5F},
     2.0 / 3,
     0.7071067811865476 / 2,
     1},
    {"groups of different sizes",
     XR_SCALE_NONE,
     {0, 2, 5},
     2,
     {1, 0, 1, 1, 0.25},
     {0.5F, -0.5F, 0.25F, 0.25F, -0.5F},
     0.65,
     (0.7071067811865476 + 0.4330127018922193) / 2,
     0},
    {"no groups", XR_SCALE_GROUP, {0}, 0, {0}, {0}, 0, 0, 0},
};

static void by_hand(void **state) {
    const Case *c = *state;
    float actual[8] = {0};
    XrAdvantageStats stats;
    xr_advantages(actual, c->rewards, c->begin, c->groups, c->scale, &stats);
    for (int64_t i = 0; i < c->begin[c->groups]; i++) {
        // Exactly 0 where 0 is due.
        float bound = c->expected[i] == 0 ? 0 : 1e-6F;
        if (fabsf(actual[i] - c->expected[i]) > bound) {
            fail_msg("%s: advantage %d is %.9g, not %.9g", c->name, (int)i, (double)actual[i],
                     (double)c->expected[i]);
        }
    }
    assert_true(fabs(stats.reward - c->reward) < 1e-12);
    assert_true(fabs(stats.reward_std - c->reward_std) < 1e-12);
    assert_int_equal(stats.zero_groups, c->zero_groups);
}

int main(int argc, char **argv) {
    struct CMUnitTest tests[XR_COUNT(CASES)];
    for (size_t i = 0; i < XR_COUNT(CASES); i++) {
        tests[i] = (struct CMUnitTest){
            .name = CASES[i].name, .test_func = by_hand, .initial_state = (void *)&CASES[i]};
    }
    xr_test_filter(argc, argv);
    return _cmocka_run_group_tests("advantage", tests, XR_COUNT(tests), NULL, NULL);
}
