#include "tests/support/verify.h"

#include "tests/support/test.h"

XrMath *xr_test_math;
XrJudge *xr_test_judge;

int xr_test_math_begin(void **state) {
    xr_test_math = xr_math_create();
    return 0;
}

int xr_test_math_end(void **state) {
    xr_math_free(xr_test_math);
    xr_math_thread_end();
    return 0;
}

int xr_test_judge_begin(void **state) {
    XrError err;
    xr_test_judge = xr_judge_create(NULL, &err);
    if (!xr_test_judge) print_message("%s\n", err.message);
    return xr_test_judge ? 0 : -1;
}

int xr_test_judge_end(void **state) {
    xr_judge_free(xr_test_judge);
    return 0;
}

void xr_test_responses_score(const XrVerifyRequest *question, const char *const *responses,
                             size_t count, int score) {
    XrVerifyOptions options = {.explain = true};
    XrVerifier *verifier = xr_verifier_create(&options);
    XrVerifyResult result = {0};
    int wrong = 0;
    for (size_t i = 0; i < count; i++) {
        XrVerifyRequest request = *question;
        request.answer = xr_span_of(responses[i]);
        request.is_response = true;
        xr_verify(verifier, &request, &result);
        if (result.score == score) continue;
        print_message("%s\n%s\n", responses[i], result.explanation.data);
        wrong++;
    }
    xr_verify_result_free(&result);
    xr_verifier_free(verifier);
    assert_int_equal(wrong, 0);
}
