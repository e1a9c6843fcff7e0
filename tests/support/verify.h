// What tests of the verifier and of the judges share.
#ifndef XR_TESTS_VERIFY_H
#define XR_TESTS_VERIFY_H

#include "shared/eval/judge.h"
#include "shared/verify/math.h"
#include "shared/verify/verify.h"

// For a group of tests: `cmocka_run_group_tests(tests, xr_test_math_begin, xr_test_math_end)`.
extern XrMath *xr_test_math;
int xr_test_math_begin(void **state);
int xr_test_math_end(void **state);

extern XrJudge *xr_test_judge;
int xr_test_judge_begin(void **state);
int xr_test_judge_end(void **state);

// Fails, with the explanations, unless each response to the question (gold answer, options) gets
// `score`.
void xr_test_responses_score(const XrVerifyRequest *question, const char *const *responses,
                             size_t count, int score);

#endif
