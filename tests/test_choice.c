// Which option an answer names.
#include "tests/support/test.h"

#include "shared/base/memory.h"
#include "shared/verify/choice.h"

#include <stdlib.h>

enum { NONE, READ, SEVERAL, CONFLICT, AMBIGUOUS };

typedef struct Case {
    const char *answer;
    int status;
    const char *letters; // "" unless read
} Case;

static XrOptions options_of(const char *const *texts, int count) {
    XrSpan spans[XR_MAX_OPTIONS] = {{NULL, 0}};
    XrOptions options = {.count = 0};
    for (int i = 0; i < count; i++) spans[i] = xr_span_of(texts[i]);
    assert_true(xr_options_set(&options, spans, count));
    return options;
}

static uint32_t bits_of(const char *letters) {
    uint32_t bits = 0;
    for (; *letters; letters++) bits |= 1u << (*letters - 'A');
    return bits;
}

static void check_cases(const char *const *texts, int count, const Case *cases, size_t case_count) {
    XrOptions options = options_of(texts, count);
    int wrong = 0;
    for (size_t i = 0; i < case_count; i++) {
        XrChoice read;
        xr_choice_read(&options, xr_span_of(cases[i].answer), &read);
        bool right = (int)read.status == cases[i].status &&
                     (read.status != XR_CHOICE_READ || read.letters == bits_of(cases[i].letters));
        if (right) continue;
        print_message("%s: %s, letters %x\n", cases[i].answer, xr_choice_status_name(read.status),
                      read.letters);
        wrong++;
    }
    xr_options_free(&options);
    assert_int_equal(wrong, 0);
}

static const char *const NERVES[] = {"Ulnar nerve", "Vagus nerve", "Radial nerve", "Median nerve",
                                     "No nerve"};

static void letters_are_read_in_every_form(void **state) {
    static const Case cases[] = {
        {"B", READ, "B"},
        {" B ", READ, "B"},
        {"(B)", READ, "B"},
        {"( B )", READ, "B"},
        {"[B]", READ, "B"},
        {"<B>", READ, "B"},
        {"B.", READ, "B"},
        {"B)", READ, "B"},
        {"B:", READ, "B"},
        {"b", READ, "B"},
        {"(b)", READ, "B"},
        {"b) vagus nerve", READ, "B"},
        {"B: Vagus nerve", READ, "B"},
        {"B. Vagus nerve", READ, "B"},
        {"(B) vagus nerve.", READ, "B"},
        {"B - Vagus nerve", READ, "B"},
        {"B \u2014 Vagus nerve", READ, "B"},
        {"B Vagus nerve", READ, "B"},
        {"B\nVagus nerve", READ, "B"},
        {"**B**", READ, "B"},
        {"**B.** Vagus nerve", READ, "B"},
        {"**(B) Vagus nerve**", READ, "B"},
        {"`B`", READ, "B"},
        {"$B$", READ, "B"},
        {"\\(B\\)", READ, "B"},
        {"\\text{B}", READ, "B"},
        {"\\textbf{(B)}\\ \\text{Vagus nerve}", READ, "B"},
        {"\\mathrm{B}", READ, "B"},
        {"\\boxed{\\text{B}}", READ, "B"},
        {"\uff22", READ, "B"},
        {"\uff08B\uff09", READ, "B"},
        {"Option B", READ, "B"},
        {"option (B)", READ, "B"},
        {"Choice: B", READ, "B"},
        {"Answer: B", READ, "B"},
        {"The answer is B", READ, "B"},
        {"The correct option is **B**", READ, "B"},
        {"B because the vagus runs there", READ, "B"},
        {"B is correct", READ, "B"},
        {"B, since (A) lies elsewhere", READ, "B"},
        {"Vagus nerve", READ, "B"},
        {"the vagus nerve.", READ, "B"},
        {"VAGUS NERVE", READ, "B"},
        {"Vagus nerve (B)", READ, "B"},
        {"no nerve", READ, "E"},
    };
    check_cases(NERVES, 5, cases, XR_COUNT(cases));
}

static void what_names_no_single_option_is_refused(void **state) {
    static const Case cases[] = {
        {"", NONE, ""},
        {"F", NONE, ""},
        {"(F)", NONE, ""},
        {"BC", NONE, ""},
        {"Bell's palsy", NONE, ""},
        {"B cells", NONE, ""},
        {"A nerve of the arm", NONE, ""},
        {"a nerve", NONE, ""},
        {"e coli", NONE, ""},
        {"nerve", NONE, ""},
        {"Not the vagus nerve", NONE, ""},
        {"Vagus nerve and ulnar nerve", NONE, ""},
        {"\u0412", NONE, ""},
        {"A or B", SEVERAL, ""},
        {"A/B", SEVERAL, ""},
        {"(A) or (B)", SEVERAL, ""},
        {"Option A or option B", SEVERAL, ""},
        {"B (or maybe (C))", SEVERAL, ""},
        {"B: Ulnar nerve", CONFLICT, ""},
        {"(B) Radial nerve", CONFLICT, ""},
        {"Ulnar nerve (B)", CONFLICT, ""},
        {"A, B", READ, "AB"},
        {"A and B", READ, "AB"},
        {"(A), (B), (D)", READ, "ABD"},
        {"A, B, C, D, E", READ, "ABCDE"},
    };
    check_cases(NERVES, 5, cases, XR_COUNT(cases));
}

static void texts_that_look_like_letters_are_told_apart(void **state) {
    static const char *const vitamins[] = {"Vitamin A", "Vitamin B", "A and B", "a", "C"};
    static const Case cases[] = {
        {"Vitamin B", READ, "B"},
        {"B. Vitamin B", READ, "B"},
        {"A and B", READ, "C"},
        {"C: A and B", READ, "C"},
        {"C", READ, "C"},
        {"A", READ, "A"},
        {"a", CONFLICT, ""},
        {"Vitamin C", NONE, ""},
        {"A: Vitamin B", CONFLICT, ""},
    };
    check_cases(vitamins, 5, cases, XR_COUNT(cases));
}

static void texts_that_options_share_name_none(void **state) {
    static const char *const texts[] = {"red", "Red", "blue", "blue", "$5$"};
    static const Case cases[] = {
        {"red", READ, "A"},      {"Red", READ, "B"},     {"RED", AMBIGUOUS, ""},
        {"blue", AMBIGUOUS, ""}, {"C: blue", READ, "C"}, {"5", READ, "E"},
    };
    check_cases(texts, 5, cases, XR_COUNT(cases));
}

static void labels_are_taken_off_options(void **state) {
    static const char *const texts[] = {"A. Yes", "B. No", "C. Perhaps"};
    static const Case cases[] = {
        {"No", READ, "B"}, {"B. No", READ, "B"}, {"B: Yes", CONFLICT, ""}, {"C", READ, "C"}};
    check_cases(texts, 3, cases, XR_COUNT(cases));
}

static void without_options_any_letter_may_be_one(void **state) {
    static const Case cases[] = {
        {"Z", READ, "Z"},         {"(K)", READ, "K"},
        {"K: text", READ, "K"},   {"A, C", READ, "AC"},
        {"C, A", READ, "AC"},     {"A and C", READ, "AC"},
        {"I think so", NONE, ""}, {"A patient", NONE, ""},
        {"U.S. law", NONE, ""},   {"x^2", NONE, ""},
        {"B2", NONE, ""},         {"E=mc^2", NONE, ""},
        {"I", READ, "I"},         {"B. Vitamin C", READ, "B"},
        {"D'Arcy", NONE, ""},
    };
    check_cases(NULL, 0, cases, XR_COUNT(cases));
}

// Every letter of up to 26 options in every form is that letter, and no other.
static void forms_hold_for_every_letter(void **state) {
    static const char *const forms[] = {"%c",
                                        "(%c)",
                                        "%c.",
                                        "%c: text of option %d",
                                        "**%c**",
                                        "\\boxed{%c}",
                                        "\\text{(%c)}",
                                        "option %c",
                                        "The correct answer is (%c), of course",
                                        "text of option %d"};
    char texts[XR_MAX_OPTIONS][32];
    const char *pointers[XR_MAX_OPTIONS];
    for (int i = 0; i < XR_MAX_OPTIONS; i++) {
        snprintf(texts[i], sizeof texts[i], "text of option %d", i);
        pointers[i] = texts[i];
    }
    for (int count = 2; count <= XR_MAX_OPTIONS; count++) {
        XrOptions options = options_of(pointers, count);
        for (int i = 0; i < XR_MAX_OPTIONS; i++) {
            for (size_t f = 0; f < XR_COUNT(forms); f++) {
                XrBuffer answer = {0};
                for (const char *at = forms[f]; *at; at++) {
                    if (at[0] == '%' && at[1] == 'c')
                        xr_buffer_byte(&answer, (char)('A' + i)), at++;
                    else if (at[0] == '%')
                        xr_buffer_format(&answer, "%d", i), at++;
                    else
                        xr_buffer_byte(&answer, *at);
                }
                XrChoice read;
                xr_choice_read(&options, xr_span(answer.data, answer.length), &read);
                uint32_t expected = i < count ? 1u << i : 0;
                if (read.letters != expected) print_message("%d options: %s\n", count, answer.data);
                assert_int_equal(read.letters, expected);
                xr_buffer_free(&answer);
            }
        }
        xr_options_free(&options);
    }
}

static void more_than_26_options_are_not_taken(void **state) {
    XrOptions options = {.count = 0};
    XrSpan texts[XR_MAX_OPTIONS + 1];
    for (int i = 0; i <= XR_MAX_OPTIONS; i++) texts[i] = xr_span_of("x");
    assert_false(xr_options_set(&options, texts, XR_MAX_OPTIONS + 1));
    xr_options_free(&options);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(letters_are_read_in_every_form),
        cmocka_unit_test(what_names_no_single_option_is_refused),
        cmocka_unit_test(texts_that_look_like_letters_are_told_apart),
        cmocka_unit_test(texts_that_options_share_name_none),
        cmocka_unit_test(labels_are_taken_off_options),
        cmocka_unit_test(without_options_any_letter_may_be_one),
        cmocka_unit_test(forms_hold_for_every_letter),
        cmocka_unit_test(more_than_26_options_are_not_taken),
    };
    xr_test_filter(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
