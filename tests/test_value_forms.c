// The ways in which responses state a number, and those in which they seem to and do not. 72 is
// right.
#include "tests/support/test.h"
#include "tests/support/verify.h"

#include "shared/base/memory.h"

static const char *const RIGHT[] = {"The answer is 72.",
                                    "The answer is $72$.",
                                    "The answer is \\$72.",
                                    "The answer is $72.",
                                    "The answer is **72**.",
                                    "The final answer is $\\boxed{72}$.",
                                    "Therefore, Natalia sold \\boxed{72} clips.",
                                    "Thus, the total is \\(\\boxed{72}\\) clips.",
                                    "**Answer:** 72 clips",
                                    "**Answer: 72**",
                                    "**Final Answer: 72 clips**",
                                    "Answer: 72 clips.",
                                    "Final answer: 72",
                                    "### Final Answer\n72",
                                    "### Final Answer\n\n$$72$$",
                                    "### Answer: $72$",
                                    "#### 72",
                                    "So 48+24=72.\n#### 72",
                                    "<answer>72</answer>",
                                    "<answer> 72 </answer>",
                                    "<answer>\n72\n</answer>",
                                    "<answer>$72$</answer>",
                                    "<answer>\\boxed{72}</answer>",
                                    "<answer>The answer is 72</answer>",
                                    "<answer>72 clips</answer>",
                                    "<answer>The answer is \\(72\\).</answer>",
                                    "<answer>**72**</answer>",
                                    "<answer>x = 72</answer>",
                                    "<answer>\\[\\boxed{72}\\]</answer>",
                                    "\\[\n\\boxed{72}\n\\]",
                                    "$$\\boxed{72}$$",
                                    "\\boxed{72.0}",
                                    "\\boxed{72\\text{ clips}}",
                                    "\\boxed{\\text{72}}",
                                    "\\boxed{\\$72}",
                                    "\\boxed{x=72}",
                                    "\\boxed{ 72 }",
                                    "\\boxed{72.}",
                                    "\\boxed{\\mathbf{72}}",
                                    "\\boxed{\\dfrac{144}{2}}",
                                    "We get 72.\n\nThe answer: 72",
                                    "So the answer would be 72",
                                    "The answer is: \n\n72",
                                    "The answer is thus 72.",
                                    "the answer is approximately 72",
                                    "The answer to the problem is 72.",
                                    "She sold 72 clips. So the answer is 72.",
                                    "72",
                                    "72.",
                                    "$72$",
                                    "**72**",
                                    "\\(72\\)",
                                    "48 + 24 = 72\nTherefore the total is 72.",
                                    "Hence the number of clips is $72$.",
                                    "The total number of clips is **72**.",
                                    "\u7b54\u6848\u662f72",
                                    "\u7b54\u6848\uff1a72",
                                    "\u56e0\u6b64\uff0c\u7b54\u6848\u4e3a $72$\u3002",
                                    "Answer = 72",
                                    "The answer is 72 clips in total.",
                                    "Answer: `72`",
                                    "Answer: \"72\"",
                                    "I think the answer is 72, since 48+24=72.",
                                    "The answer is seventy-two."};

static const char *const WRONG[] = {"The answer is 71.",
                                    "The answer is 72 or 73.",
                                    "The answer is between 70 and 75.",
                                    "The answer is not 72.",
                                    "The answer is either 72 or 71.",
                                    "72, 73",
                                    "72 or 73",
                                    "\\boxed{72}, \\boxed{73}",
                                    "\\boxed{72, 73}",
                                    "\\boxed{72 \\text{ or } 73}",
                                    "\\boxed{73} (not 72)",
                                    "<answer>72, 73</answer>",
                                    "<answer>72</answer><answer>73</answer>",
                                    "<think>72</think>",
                                    "<think>The answer is 72.</think>",
                                    "<think>The answer is 72.",
                                    "\\boxed{72",
                                    "The answer is",
                                    "It could be 72.",
                                    "70, 71, 72",
                                    "Is it 72? Or 73?",
                                    "It is less than 72.",
                                    "The answer is more than 72.",
                                    "The answer is at least 72.",
                                    "x = 72 or x = 73",
                                    "\\boxed{x > 72}",
                                    "\\boxed{\\phantom{72}}",
                                    "\\boxed{72x}",
                                    "The answer is 72 million.",
                                    "The answer is 7 2 3.",
                                    "\\boxed{-72}",
                                    "\\boxed{72!}",
                                    "\\boxed{72^\\circ}\n\nFinal answer: 18",
                                    "48 + 24",
                                    "She sold 48 in April and 24 in May."};

static void check(const char *const *responses, size_t count, int score) {
    XrVerifyRequest question = {.gold = xr_span_of("72"),
                                .question = xr_span_of("How many is 48 + 24 in all?")};
    xr_test_responses_score(&question, responses, count, score);
}

static void responses_that_state_the_number_are_right(void **state) {
    check(RIGHT, XR_COUNT(RIGHT), 1);
}

static void responses_that_state_another_or_none_are_wrong(void **state) {
    check(WRONG, XR_COUNT(WRONG), 0);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(responses_that_state_the_number_are_right),
        cmocka_unit_test(responses_that_state_another_or_none_are_wrong),
    };
    xr_test_filter(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
