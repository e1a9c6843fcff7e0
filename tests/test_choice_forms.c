// The ways in which responses name an option, and those in which they seem to and do not. The
// question is the one of the usual prompt, with A: Yes and B: No, and B is right.
#include "tests/support/test.h"

#include "shared/base/memory.h"
#include "shared/verify/verify.h"

static const char *const RIGHT[] = {"**Answer: B**",
                                    "Answer: **B) No**",
                                    "Final Answer: (B)",
                                    "The answer is: B.",
                                    "\\boxed{\\text{B: No}}",
                                    "\\boxed{B. \\text{No}}",
                                    "\\boxed{\\text{Option B}}",
                                    "I choose B.",
                                    "I would go with option B.",
                                    "My answer is B",
                                    "Correct answer: B",
                                    "Correct Answer: B. No",
                                    "Ans: B",
                                    "B is the correct answer.",
                                    "Therefore, B.",
                                    "So, the correct choice is therefore (B).",
                                    "<answer>(B) No.</answer>",
                                    "<answer>\nB\n</answer>",
                                    "<answer>Option B</answer>",
                                    "<answer>The answer is B</answer>",
                                    "<answer>B, because it is round</answer>",
                                    "<answer>B) No</answer>",
                                    "<answer>**B**</answer>",
                                    "<answer>B: No </answer>",
                                    "<answer>B : No</answer>",
                                    "<answer>No</answer>",
                                    "<answer>no.</answer>",
                                    "<answer>\\boxed{B}</answer>",
                                    "<answer>$\\boxed{\\text{B}}$</answer>",
                                    "answer: b",
                                    "**B**: No",
                                    "{B}",
                                    "$\\mathbf{B}$",
                                    "\\boxed{(B)\\ \\text{No}}",
                                    "$\\boxed{\\textbf{B}}$",
                                    "$$\\boxed{\\mathrm{B}}$$",
                                    "The correct answer is **B: No**.",
                                    "(B) is the correct answer.",
                                    "Option (B) seems the best.",
                                    "\u7b54\u6848\uff1aB",
                                    "\u7b54\u6848\u9009B",
                                    "\u6b63\u786e\u7b54\u6848\u662fB\u3002",
                                    "The answer is option B: No.",
                                    "The best answer is B) No.",
                                    "The answer is \"B\".",
                                    "The answer is 'B. No'",
                                    "Answer: [B]",
                                    "Answer: B (No)",
                                    "Answer: `B`",
                                    "Answer: <B>",
                                    "The final answer is $\\boxed{B}$.",
                                    "Based on the above, the correct answer is:\n\n**B. No**",
                                    "Based on the above, the correct answer is:\n\nB",
                                    "The answer must be B because A is wrong.",
                                    "The answer is B, not A.",
                                    "The answer is B rather than A.",
                                    "Not A. The answer is B.",
                                    "The answer is (B) because (A) is flat.",
                                    "A is incorrect. B is correct.",
                                    "The correct option is B, No.",
                                    "Hence the answer is B.\n\nNote that A would be wrong.",
                                    "Hence the answer is B.\n\nI hope this helps!",
                                    "The answer is B.</answer>",
                                    "The Earth is not flat, so the answer is No.",
                                    "The correct response is B.",
                                    "Thus the right answer is letter B.",
                                    "I'd pick (B).",
                                    "the answer is therefore: B",
                                    "Answer:B",
                                    "ANSWER: B.",
                                    "**Final Answer:**\n\n\\[\\boxed{B}\\]",
                                    "### Answer\nB",
                                    "### Final Answer: **B**",
                                    "Final answer: B: No",
                                    "The answer is B \u2013 No",
                                    "The answer is B \u2014 No",
                                    "The answer is B - No",
                                    "The answer is (b).",
                                    "The answer is b) No",
                                    "The answer is: (B) No, the earth is round.",
                                    "So the answer would be B.",
                                    "So B.",
                                    "**(B)**",
                                    "*B*",
                                    "B.",
                                    "B)",
                                    "b",
                                    "(b)",
                                    "No, it is not flat."};

static const char *const WRONG[] = {"A",
                                    "The answer is A.",
                                    "The answer is not B.",
                                    "A or B",
                                    "The answer is A or B.",
                                    "The answer is either A or B.",
                                    "<answer>A, B</answer>",
                                    "<answer>A or B</answer>",
                                    "<answer>A and B</answer>",
                                    "<answer>(A)(B)</answer>",
                                    "<answer>AB</answer>",
                                    "<answer>B: Yes</answer>",
                                    "<answer>A: No</answer>",
                                    "<answer></answer>",
                                    "<answer>B</answer><answer>A</answer>",
                                    "<think>The answer is B</think>",
                                    "<think>The answer is B</think> A",
                                    "\\boxed{A} \\boxed{B",
                                    "I am not sure whether it is A or B.",
                                    "Yes",
                                    "Yes (B)",
                                    "It could be B, it could be A.",
                                    "Neither A nor B.",
                                    "B is wrong.",
                                    "Option B is incorrect.",
                                    "The answer isn't B.",
                                    "A: Yes\nB: No",
                                    "Options: A: Yes B: No",
                                    "All of the above",
                                    "Yes or No",
                                    "Both Yes and No",
                                    "The answer is A (Yes), not B (No).",
                                    "The answer is probably B or maybe A.",
                                    "\\boxed{A, B}",
                                    "\\boxed{A \\text{ or } B}",
                                    "Is the earth flat?",
                                    "Yes, no",
                                    "B? No: A.",
                                    "<answer>B? A</answer>",
                                    "<answer>B\nA</answer>",
                                    "<answer>B. A.</answer>",
                                    "<answer>The answer is B or A</answer>",
                                    "<answer>A\\phantom{B}</answer>",
                                    "<answer>not B</answer>",
                                    "<answer>B is wrong</answer>",
                                    "<answer>B is incorrect, A is correct</answer>"};

static void check(const char *const *responses, size_t count, int score) {
    XrVerifyOptions options = {.explain = true};
    XrVerifier *verifier = xr_verifier_create(&options);
    XrVerifyResult result = {0};
    XrSpan texts[] = {xr_span_of("Yes"), xr_span_of("No")};
    int wrong = 0;
    for (size_t i = 0; i < count; i++) {
        XrVerifyRequest request = {.gold = xr_span_of("B"),
                                   .answer = xr_span_of(responses[i]),
                                   .is_response = true,
                                   .question = xr_span_of("Is the earth flat?"),
                                   .options = texts,
                                   .option_count = 2};
        xr_verify(verifier, &request, &result);
        if (result.score == score) continue;
        print_message("%s\n%s\n", responses[i], result.explanation.data);
        wrong++;
    }
    xr_verify_result_free(&result);
    xr_verifier_free(verifier);
    assert_int_equal(wrong, 0);
}

static void responses_that_name_the_option_are_right(void **state) {
    check(RIGHT, XR_COUNT(RIGHT), 1);
}

static void responses_that_name_another_or_none_are_wrong(void **state) {
    check(WRONG, XR_COUNT(WRONG), 0);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(responses_that_name_the_option_are_right),
        cmocka_unit_test(responses_that_name_another_or_none_are_wrong),
    };
    xr_test_filter(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
