// Taking an answer out of a response: wrappings that must not change it, texts written to deceive
// or to exhaust, and bytes of any kind.
#include "tests/support/test.h"

#include "shared/base/memory.h"
#include "shared/base/rng.h"
#include "shared/verify/extract.h"

#include <stdlib.h>

typedef struct Case {
    const char *response, *answer;
    XrExtractMethod method;
} Case;

static const XrExtractRules VALUE = {.choice = false};
static const XrExtractRules CHOICE = {.choice = true};
static const XrExtractRules TEXT = {.text = true};

static void check_cases(const Case *cases, size_t count, const XrExtractRules *rules) {
    XrExtractor extractor = {{0}, {0}};
    int wrong = 0;
    for (size_t i = 0; i < count; i++) {
        XrExtraction found;
        xr_extract(&extractor, xr_span_of(cases[i].response), rules, &found);
        if (found.method == cases[i].method && xr_span_is(found.answer, cases[i].answer)) continue;
        print_message("%s\n  gives \"%.*s\" by %s, not \"%s\" by %s\n", cases[i].response,
                      (int)found.answer.bytes, found.answer.data,
                      xr_extract_method_name(found.method), cases[i].answer,
                      xr_extract_method_name(cases[i].method));
        wrong++;
    }
    xr_extractor_free(&extractor);
    assert_int_equal(wrong, 0);
}

static void thinking_is_cut_out(void **state) {
    static const Case cases[] = {
        {"<think>a</think>5", "5", XR_EXTRACT_WHOLE},
        {"a</think>5", "5", XR_EXTRACT_WHOLE},
        {"<THINK>The answer is 4.</THINK>5", "5", XR_EXTRACT_WHOLE},
        {"<think>a<think>b</think>5", "5", XR_EXTRACT_WHOLE},
        {"<think>a</think>\\boxed{5}</think>", "5", XR_EXTRACT_BOXED},
        {"<|begin_of_thought|>\\boxed{4}<|end_of_thought|>\n\\boxed{5}", "5", XR_EXTRACT_BOXED},
        {"<think>\\boxed{4}", "", XR_EXTRACT_UNFINISHED_THINKING},
        {"<think>\\boxed{4}</think", "", XR_EXTRACT_UNFINISHED_THINKING},
        {"<think>a</think><think>\\boxed{4}", "", XR_EXTRACT_UNFINISHED_THINKING},
        {"<think>\\boxed{4}</think>", "", XR_EXTRACT_NONE},
        {"<think>a</think> <!-- \\boxed{4} --> \\boxed{5}", "5", XR_EXTRACT_BOXED},
        {"\\boxed{5} <!-- \\boxed{4}", "5", XR_EXTRACT_BOXED},
        {"", "", XR_EXTRACT_NONE},
        {" \n\t ", "", XR_EXTRACT_NONE},
    };
    check_cases(cases, XR_COUNT(cases), &VALUE);
}

// A last sentence that states its number in passing, and what is no such statement.
static void sole_numbers_of_last_sentences(void **state) {
    static const Case cases[] = {
        {"9 / 3 = 3\n\nThere are 3 dots in each group.", "3 dots", XR_EXTRACT_CONCLUSION},
        {"Up to 50 can sit.\n\nThus, on average, 50 people can ride.", "50 people",
         XR_EXTRACT_CONCLUSION},
        {"We add. So Ann needs $13.", "$13", XR_EXTRACT_CONCLUSION},
        {"The bar represents the value of 1.", "1", XR_EXTRACT_CONCLUSION},
        {"So Barbara will measure -130 km/h for car P.", "-130 km/h", XR_EXTRACT_CONCLUSION},
        {"Therefore, 75% of them lie there.", "75%", XR_EXTRACT_CONCLUSION},
        {"Hence it covers 1,200.5 square metres of land.", "1,200.5 square metres",
         XR_EXTRACT_CONCLUSION},
        {"So it weighs \342\210\2225 grams there.", "\342\210\2225 grams", XR_EXTRACT_CONCLUSION},
        {"**Ann needs 13.**", "13", XR_EXTRACT_CONCLUSION},
        {"So there are 4/2 = 2 dots in each group.", "2 dots", XR_EXTRACT_CONCLUSION},
        {"Thus Ann has 3 x 4 = 12 pears there.", "12 pears", XR_EXTRACT_CONCLUSION},
        {"So she pays $3 + $4.50 = $7.50 for both of them.", "", XR_EXTRACT_NONE}, // "both"
        {"So she pays $3 + $4.50 = $7.50 for them.", "$7.50", XR_EXTRACT_CONCLUSION},
        {"So Ann has 2 × 3 × 4 = 6 × 4 = 24 of them.", "24", XR_EXTRACT_CONCLUSION},
        {"Since the 4 dots make 2 groups, there are 4/2 = 2 dots in each.", "2 dots",
         XR_EXTRACT_CONCLUSION},
        {"We add. Because 5 are gone, 8 apples are there.", "8 apples", XR_EXTRACT_CONCLUSION},
        {"So Ann has 3 x 4 pears there.", "", XR_EXTRACT_NONE},      // without its result
        {"So Ann has 12 = 3 x 4 pears there.", "", XR_EXTRACT_NONE}, // backwards
        {"So Ann has 3 x 4 = 12 of 15 pears.", "", XR_EXTRACT_NONE}, // and another number
        {"So Ann has 3 x n = 12 pears there.", "", XR_EXTRACT_NONE}, // an equation
        {"So Ann sees that x = 3 x 4 = 12 there.", "", XR_EXTRACT_NONE},
        {"Since Ann left, 8 or 9 pears are there.", "", XR_EXTRACT_NONE},
        {"So Ann surely needs 13", "", XR_EXTRACT_NONE},      // may be cut off: 130
        {"We add. Bob finds 13 in it.", "", XR_EXTRACT_NONE}, // in the middle of a paragraph
        {"We add.\nBob finds 13 in it.", "", XR_EXTRACT_NONE},
        {"- Ann needs 13 of them.", "", XR_EXTRACT_NONE}, // an item of a list
        {"So Ann needs 13 of 15 pears.", "", XR_EXTRACT_NONE},
        {"So Ann needs 13 and two more pears.", "", XR_EXTRACT_NONE},
        {"So Ann needs three of the 13 pears.", "", XR_EXTRACT_NONE},
        {"So Ann needs more than 13 pears there.", "", XR_EXTRACT_NONE},
        {"So Ann needs at least 13 pears there.", "", XR_EXTRACT_NONE},
        {"So Ann might need 13 pears there.", "", XR_EXTRACT_NONE},
        {"So Ann does not need 13 pears there.", "", XR_EXTRACT_NONE},
        {"So we need to find 13 pears there.", "", XR_EXTRACT_NONE},
        {"So this follows from step 13 as shown.", "", XR_EXTRACT_NONE},
        {"So Ann comes 13th in the race.", "", XR_EXTRACT_NONE},
        {"So x13 has the value.", "", XR_EXTRACT_NONE},
        {"So the sum x = 13 has been found.", "", XR_EXTRACT_NONE},
        {"So does Ann need 13 pears there?", "", XR_EXTRACT_NONE},
        {"So the first box has 13 pears in it.", "", XR_EXTRACT_NONE},
    };
    check_cases(cases, XR_COUNT(cases), &VALUE);
    static const XrExtractRules words = {.text = true};
    static const Case none[] = {{"9 / 3 = 3\n\nAnn takes 3 of them there.", "", XR_EXTRACT_NONE}};
    check_cases(none, XR_COUNT(none), &words);
}

static void thinking_counts_when_asked_for(void **state) {
    static const Case cases[] = {
        {"<think>\\boxed{4}</think>", "4", XR_EXTRACT_BOXED},
        {"<think>\\boxed{4}", "4", XR_EXTRACT_BOXED},
        {"<think>\\boxed{4}</think>\\boxed{5}", "5", XR_EXTRACT_BOXED},
    };
    static const XrExtractRules rules = {.count_thinking = true};
    check_cases(cases, XR_COUNT(cases), &rules);
}

static void a_response_may_start_inside_thinking(void **state) {
    static const Case cases[] = {
        {"\\boxed{4}", "", XR_EXTRACT_UNFINISHED_THINKING},
        {"\\boxed{4}</think>\\boxed{5}", "5", XR_EXTRACT_BOXED},
        {"<think>\\boxed{4}</think>\\boxed{5}", "5", XR_EXTRACT_BOXED},
    };
    static const XrExtractRules rules = {.starts_in_thinking = true};
    check_cases(cases, XR_COUNT(cases), &rules);
}

static void an_answer_may_end_with_the_response(void **state) {
    static const Case cases[] = {
        {"<answer>5", "5", XR_EXTRACT_ANSWER_TAG},
        {"<answer>4</answer><answer>5", "5", XR_EXTRACT_ANSWER_TAG},
        {"<answer>\\boxed{5", "\\boxed{5", XR_EXTRACT_UNFINISHED_ANSWER},
    };
    static const XrExtractRules rules = {.open_answer = true};
    check_cases(cases, XR_COUNT(cases), &rules);
}

static void boxes_balance_their_braces(void **state) {
    static const Case cases[] = {
        {"\\boxed{\\frac{1}{2}}", "\\frac{1}{2}", XR_EXTRACT_BOXED},
        {"\\boxed{\\{1, 2\\}}", "\\{1, 2\\}", XR_EXTRACT_BOXED},
        {"\\boxed{\\left\\{ x \\right.}", "\\left\\{ x \\right.", XR_EXTRACT_BOXED},
        {"\\boxed{\\begin{cases} 1 \\\\ 2 \\end{cases}}", "\\begin{cases} 1 \\\\ 2 \\end{cases}",
         XR_EXTRACT_BOXED},
        {"\\boxed {5}", "5", XR_EXTRACT_BOXED},
        {"$\\boxed 5$", "5", XR_EXTRACT_BOXED},
        {"\\boxed5.", "5", XR_EXTRACT_BOXED},
        {"{\\boxed{5}}", "5", XR_EXTRACT_BOXED},
        {"\\boxed{x = \\fbox{5}}", "x = \\fbox{5}", XR_EXTRACT_BOXED},
        {"\\boxed{a \\boxed{b} c} d", "a \\boxed{b} c", XR_EXTRACT_BOXED},
        {"\\boxed{5} \\boxed{}", "5", XR_EXTRACT_BOXED},
        {"\\boxed{}", "", XR_EXTRACT_BOXED},
        {"```latex\n\\boxed{5}\n```", "5", XR_EXTRACT_BOXED},
        {"\\boxed{5} \\boxed{6", "\\boxed{6", XR_EXTRACT_UNFINISHED_ANSWER},
        {"\\boxed{5} \\boxed{\\frac{6}{7}", "\\boxed{\\frac{6}{7}", XR_EXTRACT_UNFINISHED_ANSWER},
        {"\\boxed{5} \\boxed", "5", XR_EXTRACT_BOXED},
        {"$\\boxed{1}$ and $\\boxed{2}$", "1, 2", XR_EXTRACT_BOXED},
        {"$\\boxed{1}$, $\\boxed{2}$, and $\\boxed{3}$.", "1, 2, 3", XR_EXTRACT_BOXED},
        {"\\boxed{1} \\text{ and } \\boxed{2}", "1, 2", XR_EXTRACT_BOXED},
        {"\\boxed{1}, or \\boxed{2}", "1 \\text{ or } 2", XR_EXTRACT_BOXED},
        {"\\boxed{1}. Hence \\boxed{2}", "2", XR_EXTRACT_BOXED},
    };
    check_cases(cases, XR_COUNT(cases), &VALUE);
}

static void phrases_state_answers(void **state) {
    static const Case cases[] = {
        {"So the answer is 5.", "5", XR_EXTRACT_PHRASE},
        {"So the answer is: **5**.", "5", XR_EXTRACT_PHRASE},
        {"ANSWER: 5", "5", XR_EXTRACT_PHRASE},
        {"**Answer**: $5$", "$5$", XR_EXTRACT_PHRASE},
        {"**Answer:** $5$ apples", "$5$ apples", XR_EXTRACT_PHRASE},
        {"### Final Answer\n\n5", "5", XR_EXTRACT_PHRASE},
        {"The final answer is\n$$\n5\n$$\nQ.E.D.", "5", XR_EXTRACT_PHRASE},
        {"Answer:\n```\n5\n```\n", "5", XR_EXTRACT_PHRASE},
        {"The answer would be therefore $5.5$. Done.", "$5.5$", XR_EXTRACT_PHRASE},
        {"The answer in simplest form is 5/2.", "5/2", XR_EXTRACT_PHRASE},
        {"The answer is $5$ or $6$.", "$5$ or $6$", XR_EXTRACT_PHRASE},
        {"The answer is $5. It costs $6 more.", "$5", XR_EXTRACT_PHRASE},
        {"The answers are 5 and 6.", "5 and 6", XR_EXTRACT_PHRASE},
        {"The answer is 5. Wait. The answer is 6.", "6", XR_EXTRACT_PHRASE},
        {"The answer is 5 because 2+3=5.", "5", XR_EXTRACT_PHRASE},
        {"\u7b54\u6848\u662f 5", "5", XR_EXTRACT_PHRASE},
        {"The answer is", "", XR_EXTRACT_UNFINISHED_ANSWER},
        {"#### 1,234", "1,234", XR_EXTRACT_HASHES},
        {"x\n#### $18", "$18", XR_EXTRACT_HASHES},
        {"#### 5\nThe answer is 6.", "6", XR_EXTRACT_PHRASE},
        {"The answer is 6.\n#### 5", "5", XR_EXTRACT_HASHES},
        {"A: 12\nB: 13", "", XR_EXTRACT_NONE},
    };
    check_cases(cases, XR_COUNT(cases), &VALUE);
}

static void words_are_taken_as_they_stand(void **state) {
    static const Case cases[] = {
        {"Paris", "Paris", XR_EXTRACT_WHOLE},
        {"The capital of France is Paris.", "Paris", XR_EXTRACT_CONCLUSION},
        {"The capital is not Paris.", "The capital is not Paris", XR_EXTRACT_WHOLE},
        {"The answer is **Paris**, since it is.", "Paris", XR_EXTRACT_PHRASE},
    };
    check_cases(cases, XR_COUNT(cases), &TEXT);
}

static void options_are_found(void **state) {
    static const Case cases[] = {
        {"The answer is (C). 3 is prime.", "(C)", XR_EXTRACT_PHRASE},
        {"The answer is B. No", "B. No", XR_EXTRACT_PHRASE},
        {"The best choice is D.", "D", XR_EXTRACT_PHRASE},
        {"That gives 5, which is (B).", "(B)", XR_EXTRACT_OPTION},
        {"Hence option **B** is correct.", "option **B", XR_EXTRACT_OPTION},
        {"(A) is wrong, so it is (B).", "(A) is wrong, so it is (B).", XR_EXTRACT_WHOLE},
        {"It is not (B).", "It is not (B)", XR_EXTRACT_WHOLE},
        {"The one that does NOT fit is (B).", "(B)", XR_EXTRACT_OPTION},
        {"A. 5\nB. 6", "", XR_EXTRACT_NONE},
        {"(B)\n\nIt has six sides.", "(B)", XR_EXTRACT_FIRST_LINE},
        {"(B) 6\n\n(C) has seven.", "", XR_EXTRACT_NONE},
    };
    check_cases(cases, XR_COUNT(cases), &CHOICE);
}

// ---- properties ----

static uint32_t draw(uint64_t stream, uint32_t below) {
    static uint64_t position;
    uint32_t bits[4];
    xr_philox(20, stream, position++, bits);
    return bits[0] % below;
}

// Each wrapping of a value, whatever prose and thinking stand before, gives the value back.
static void wrapping_does_not_change_the_answer(void **state) {
    static const char *const values[] = {"5",           "-12.75",  "\\frac{3}{4}",
                                         "2\\sqrt{3}",  "(1,2)",   "x^2+1",
                                         "\\{1,2,3\\}", "1{,}000", "\\text{east}"};
    static const char *const before[] = {"", "<think>It is \\boxed{9}, the answer is 8.</think>\n",
                                         "We add. The answer is 7? No: ", "7\n\\boxed{7}\n",
                                         "<think>\n</think>\n\nFirst, $a = 7$.\n"};
    static const char *const wrappings[] = {"\\boxed{%s}",
                                            "$\\boxed{%s}$.",
                                            "<answer>%s</answer>",
                                            "<answer> \\boxed{%s} </answer>",
                                            "The answer is $%s$.",
                                            "**Final answer:** %s",
                                            "\\[ \\boxed{%s} \\]\nDone."};
    XrExtractor extractor = {{0}, {0}};
    for (size_t i = 0; i < XR_COUNT(values) * XR_COUNT(before) * XR_COUNT(wrappings); i++) {
        const char *value = values[i % XR_COUNT(values)];
        const char *lead = before[i / XR_COUNT(values) % XR_COUNT(before)];
        const char *wrapping = wrappings[i / XR_COUNT(values) / XR_COUNT(before)];
        size_t hole = (size_t)(strstr(wrapping, "%s") - wrapping);
        XrBuffer text = {0};
        xr_buffer_text(&text, lead);
        xr_buffer_append(&text, wrapping, hole);
        xr_buffer_text(&text, value);
        xr_buffer_text(&text, wrapping + hole + 2);
        XrExtraction found;
        xr_extract(&extractor, xr_span(text.data, text.length), &VALUE, &found);
        XrSpan answer = found.answer;
        if (answer.bytes > 1 && answer.data[0] == '$')
            answer = xr_span_cut(answer, 1, answer.bytes - 1);
        if (!xr_span_is(answer, value)) print_message("%s\n", text.data);
        assert_true(xr_span_is(answer, value));
        xr_buffer_free(&text);
    }
    xr_extractor_free(&extractor);
}

// Random texts made of the pieces that the rules look for: whatever comes out lies in the text or
// in the extractor, and the same text gives the same answer again.
static void any_mixture_of_marks_is_survived(void **state) {
    static const char *const pieces[] = {
        "<think>", "</think>", "<answer>", "</answer>", "\\boxed{",
        "\\fbox{", "{",        "}",        "\\",        "answer is ",
        "Answer:", "\n",       " ",        ". ",        "$",
        "$$",      "\\[",      "\\]",      "####",      "A: ",
        "(B)",     "B.",       "option C", "because ",  "```",
        "**",      "5",        "x",        "\xff",      "\xe2\x82",
        "<!--",    "-->",      "is ",      "or ",       "\u7b54\u6848\u662f",
        ",",       "and ",     "not ",     "I ",        "A "};
    XrExtractor extractor = {{0}, {0}};
    for (int round = 0; round < 20000; round++) {
        XrBuffer text = {0};
        xr_buffer_reserve(&text, 1);
        for (uint32_t i = draw(1, 24); i > 0; i--) {
            if (draw(1, 50) == 0) xr_buffer_byte(&text, '\0');
            xr_buffer_text(&text, pieces[draw(1, XR_COUNT(pieces))]);
        }
        XrExtractRules rules = {.choice = draw(2, 2),
                                .text = draw(2, 2),
                                .count_thinking = draw(2, 2),
                                .starts_in_thinking = draw(2, 4) == 0,
                                .open_answer = draw(2, 2)};
        XrExtraction found, again;
        xr_extract(&extractor, xr_span(text.data, text.length), &rules, &found);
        assert_true(found.answer.bytes <= 2 * text.length + 64);
        char *copy = xr_strndup(found.answer.data ? found.answer.data : "", found.answer.bytes);
        xr_extract(&extractor, xr_span(text.data, text.length), &rules, &again);
        assert_int_equal(again.method, found.method);
        assert_int_equal(again.answer.bytes, found.answer.bytes);
        if (found.answer.bytes) assert_memory_equal(copy, again.answer.data, found.answer.bytes);
        free(copy);
        xr_buffer_free(&text);
    }
    xr_extractor_free(&extractor);
}

static const char *const HOSTILE[] = {"<think>",
                                      "</think>",
                                      "<think></think>",
                                      "<answer>",
                                      "</answer>",
                                      "<answer></answer>",
                                      "\\boxed{",
                                      "\\boxed{}",
                                      "\\boxed{1}",
                                      "\\boxed{1},",
                                      "\\fbox",
                                      "{",
                                      "}",
                                      "{}",
                                      "\\",
                                      "\\{",
                                      "answer",
                                      "answer is",
                                      "answer is ",
                                      "answer: ",
                                      "answer to ",
                                      "Answer\n",
                                      "answer to is",
                                      "\n",
                                      " ",
                                      ".",
                                      ". ",
                                      "$",
                                      "$1 ",
                                      "\\[",
                                      "$$",
                                      "```",
                                      "####",
                                      "#### 1\n",
                                      "A: 1\n",
                                      "(B)",
                                      "(B) ",
                                      "A\n",
                                      "B. \n",
                                      "option ",
                                      "option A ",
                                      "the ",
                                      "correct ",
                                      "is ",
                                      " be ",
                                      "not ",
                                      "**",
                                      "*",
                                      "_",
                                      "<!--",
                                      "<!-- -->",
                                      "<",
                                      "\xff",
                                      "\xe7\xad\x94\xe6\xa1\x88\xe6\x98\xaf",
                                      "\xe7",
                                      "1",
                                      "a",
                                      "\u200b",
                                      "because ",
                                      "\\text{",
                                      "and ",
                                      "or ",
                                      ",",
                                      "but ",
                                      "} and \\boxed{",
                                      "}{",
                                      "\\boxed{\\boxed{1}}"};

// A million bytes of each piece over and over: only time linear in the length ends these soon.
static void long_hostile_texts_end(void **state) {
    enum { LENGTH = 1000000 };
    XrExtractor extractor = {{0}, {0}};
    for (size_t i = 0; i < XR_COUNT(HOSTILE); i++) {
        XrBuffer text = {0};
        while (text.length < LENGTH) xr_buffer_text(&text, HOSTILE[i]);
        for (int choice = 0; choice < 2; choice++) {
            XrExtraction found;
            xr_extract(&extractor, xr_span(text.data, text.length), choice ? &CHOICE : &VALUE,
                       &found);
            assert_true(found.answer.bytes <= 2 * text.length);
        }
        xr_buffer_free(&text);
    }
    xr_extractor_free(&extractor);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(thinking_is_cut_out),
        cmocka_unit_test(sole_numbers_of_last_sentences),
        cmocka_unit_test(thinking_counts_when_asked_for),
        cmocka_unit_test(a_response_may_start_inside_thinking),
        cmocka_unit_test(an_answer_may_end_with_the_response),
        cmocka_unit_test(boxes_balance_their_braces),
        cmocka_unit_test(phrases_state_answers),
        cmocka_unit_test(words_are_taken_as_they_stand),
        cmocka_unit_test(options_are_found),
        cmocka_unit_test(wrapping_does_not_change_the_answer),
        cmocka_unit_test(any_mixture_of_marks_is_survived),
        cmocka_unit_test(long_hostile_texts_end),
    };
    xr_test_filter(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
