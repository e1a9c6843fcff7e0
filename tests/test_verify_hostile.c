// Texts that are made to crash, hang or eat memory: every comparison ends, in bounded work, with a
// verdict that is not a wrong "equal".
#include "shared/base/memory.h"
#include "tests/support/test.h"
#include "tests/support/verify.h"

#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

// `count` times `piece`.
static void repeat(XrBuffer *out, const char *piece, int count) {
    for (int i = 0; i < count; i++) xr_buffer_text(out, piece);
}

static double seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

// Both ways round. What ends a comparison here is the count of its work, the same on every machine:
// the limit on time and the bound are for one that is busy and checks memory; what is promised is
// measured by the benchmark.
static XrVerdict compare(const char *gold, size_t gold_bytes, const char *answer,
                         size_t answer_bytes) {
    static const XrMathOptions options = {.max_milliseconds = 2000};
    double start = seconds();
    XrVerdict verdict =
        xr_math_compare(xr_test_math, gold, gold_bytes, answer, answer_bytes, &options, NULL);
    xr_math_compare(xr_test_math, answer, answer_bytes, gold, gold_bytes, &options, NULL);
    double spent = seconds() - start;
    if (spent > 0.5) print_message("%.2f s: %.60s | %.60s\n", spent, gold, answer);
    assert_true(spent < 5);
    return verdict;
}

static XrVerdict compare_texts(const char *gold, const char *answer) {
    return compare(gold, strlen(gold), answer, strlen(answer));
}

static void large_numbers(void **state) {
    static const char *const different[][2] = {
        {"9^{9^{9^9}}", "5"},
        {"9^{9^9}", "9^{9^9}+1"},
        {"(10^8)!", "5"},
        {"100000!", "100001!"},
        {"((5!)!)!", "7"},
        {"\\binom{10^9}{5\\cdot10^8}", "3"},
        {"\\binom{100000}{50000}", "\\binom{100000}{50000}+1"},
        {"\\sum_{k=1}^{1000000} \\frac{1}{k}", "14.39"},
        {"\\sum_{k=1}^{2000}\\frac{1}{k^k}", "1.3"},
        {"\\sum_{a=1}^{999}\\sum_{b=1}^{999}\\sum_{c=1}^{999} abc", "1"},
        {"\\prod_{k=1}^{2000} k^{100}", "1"},
        {"1e999999999", "5"},
        {"10^{1000000000}", "10^{1000000001}"},
        {"2^{2^{2^{2^{2^2}}}}", "3"},
        {"e^{e^{e^{e^{e}}}}", "1"},
        {"\\sin(e^{e^{e^{e}}})", "1"},
        {"\\lfloor 10^{10^{10}}\\pi\\rfloor", "3"},
        {"\\gcd(10^{100000}, 6^{100000})", "1"},
        {"\\int_0^{1000000} \\sin(x^2) dx", "1"},
        {"(a+b+c+d+e)^{100}", "(a+b+c+d+f)^{100}"},
        {"(1+10^{-400})^{100000}", "1"},
        {"\\sqrt{2+\\sqrt{2+\\sqrt{2+\\sqrt{2+\\sqrt{2+\\sqrt{2}}}}}}", "2\\cos\\frac{\\pi}{129}"},
        {"5!!!!!!!!!!!!!!!!!!!!", "7"},
        {"\\pi", "\\pi+10^{-3000}"},
    };
    for (size_t i = 0; i < XR_COUNT(different); i++)
        assert_int_not_equal(compare_texts(different[i][0], different[i][1]), XR_VERDICT_EQUAL);
    assert_int_equal(compare_texts("(x+y)^{1000000}", "(y+x)^{1000000}"), XR_VERDICT_EQUAL);
    assert_int_equal(compare_texts("2^{400000}", "4^{200000}"), XR_VERDICT_EQUAL);
}

static const char *const pieces[] = {
    "(",
    ")",
    "{",
    "}",
    "[",
    "\\{",
    "|",
    "-",
    "+",
    "2^",
    "1/",
    "\\frac{",
    "\\frac12",
    "\\sqrt{",
    "\\text{",
    "\\left(",
    "a_{",
    "a_",
    "f(",
    "'",
    "1=",
    "1<",
    ",",
    "1,",
    "x,",
    "\\pm1",
    "1:",
    "...",
    "%",
    "^\\circ",
    "!",
    " ",
    "$",
    "\\\\",
    "&",
    "\\begin{pmatrix}",
    "\\end{pmatrix}",
    "\\sum_{k=1}^{9}",
    "\\int_0^1",
    "\\sin",
    "\\log_",
    "one ",
    "million ",
    " km",
    " or 1",
    "\\cup(1,2)",
    "\xC2\xBD",
    "\xC2\xB2",
    "\xE2\x88\x9A",
    "<sup>",
    "**",
    "\\",
    "\\boxed{",
    "\\overline{",
    "0.\\overline{3}",
    "1 ",
    "1,000",
    "\\in",
    "\\forall x",
    "e^",
    "i",
    "C_",
    "7",
};
static void long_texts(void **state) {
    for (size_t i = 0; i < XR_COUNT(pieces); i++) {
        XrBuffer text = {0};
        repeat(&text, pieces[i], (int)(100000 / strlen(pieces[i])));
        XrVerdict verdict = compare("5", 1, text.data, text.length);
        if (verdict == XR_VERDICT_EQUAL) print_message("5 is not a lot of %s\n", pieces[i]);
        assert_int_not_equal(verdict, XR_VERDICT_EQUAL);
        xr_buffer_text(&text, "1");
        assert_int_not_equal(compare("5", 1, text.data, text.length), XR_VERDICT_EQUAL);
        xr_buffer_free(&text);
    }
}

static void nested_texts(void **state) {
    static const char *const pairs[][2] = {{"(", ")"},       {"{", "}"},
                                           {"\\sqrt{", "}"}, {"\\frac{1}{1+", "}"},
                                           {"|", "|"},       {"\\left(", "\\right)"},
                                           {"\\sin(", ")"},  {"2^{", "}"}};
    for (size_t i = 0; i < XR_COUNT(pairs); i++)
        for (int depth = 10; depth <= 10000; depth *= 10) {
            XrBuffer text = {0};
            repeat(&text, pairs[i][0], depth);
            xr_buffer_text(&text, "2");
            repeat(&text, pairs[i][1], depth);
            assert_int_not_equal(compare("77", 2, text.data, text.length), XR_VERDICT_EQUAL);
            xr_buffer_free(&text);
        }
}

static void whole_numbers_of_many_digits(void **state) {
    XrBuffer number = {0}, other = {0};
    repeat(&number, "7", 100000);
    repeat(&other, "7", 99999);
    xr_buffer_text(&other, "8");
    assert_int_equal(compare(number.data, number.length, number.data, number.length),
                     XR_VERDICT_EQUAL);
    assert_int_equal(compare(number.data, number.length, other.data, other.length),
                     XR_VERDICT_DIFFERENT);
    xr_buffer_text(&number, "+0");
    assert_int_not_equal(compare(number.data, number.length, other.data, other.length),
                         XR_VERDICT_EQUAL);
    xr_buffer_free(&number);
    xr_buffer_free(&other);
}

static void bytes_that_are_no_text(void **state) {
    static const char nul[] = "5\0006", bad[] = "5\xFF", cut[] = "5\xE2\x88",
                      lone[] = "\xED\xA0\x80", over[] = "\xC0\xB5";
    assert_int_not_equal(compare("5", 1, nul, 3), XR_VERDICT_EQUAL);
    assert_int_not_equal(compare("5", 1, bad, 2), XR_VERDICT_EQUAL);
    assert_int_not_equal(compare("5", 1, cut, 3), XR_VERDICT_EQUAL);
    assert_int_not_equal(compare("5", 1, lone, 3), XR_VERDICT_EQUAL);
    assert_int_not_equal(compare("5", 1, over, 2), XR_VERDICT_EQUAL);
    assert_int_equal(compare("", 0, "5", 1), XR_VERDICT_UNPARSED_GOLD);
    assert_int_equal(compare("5", 1, "", 0), XR_VERDICT_EMPTY);
    assert_int_equal(compare("5", 1, " $ $ ", 5), XR_VERDICT_EMPTY);
    assert_int_equal(compare("0", 1, "\\text{}", 7), XR_VERDICT_EMPTY);
    // Letters that look like others are others; digits of full width are digits.
    assert_int_not_equal(compare_texts("a", "\xD0\xB0"), XR_VERDICT_EQUAL);
    assert_int_equal(compare_texts("12", "\xEF\xBC\x91\xEF\xBC\x92"), XR_VERDICT_EQUAL);
    // Macros are not expanded.
    assert_int_not_equal(compare_texts("1", "\\def\\x{\\x\\x}\\x"), XR_VERDICT_EQUAL);
    assert_int_not_equal(compare_texts("5", "\\newcommand{\\a}{5}\\a"), XR_VERDICT_EQUAL);
}

static void long_lists(void **state) {
    XrBuffer up = {0}, down = {0};
    for (int i = 0; i < 500; i++) {
        xr_buffer_format(&up, "%sx+%d", i ? "," : "", i);
        xr_buffer_format(&down, "%s%d+x", i ? "," : "", 499 - i);
    }
    assert_int_equal(compare(up.data, up.length, down.data, down.length), XR_VERDICT_EQUAL);
    xr_buffer_text(&down, ",0");
    assert_int_not_equal(compare(up.data, up.length, down.data, down.length), XR_VERDICT_EQUAL);
    xr_buffer_free(&up);
    xr_buffer_free(&down);
}

static void memory_stays_bounded(void **state) {
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    print_message("at most %ld MiB\n", usage.ru_maxrss / 1024);
#if !defined(__SANITIZE_ADDRESS__)
    assert_true(usage.ru_maxrss / 1024 < 256);
#endif
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(large_numbers),          cmocka_unit_test(long_texts),
        cmocka_unit_test(nested_texts),           cmocka_unit_test(whole_numbers_of_many_digits),
        cmocka_unit_test(bytes_that_are_no_text), cmocka_unit_test(long_lists),
        cmocka_unit_test(memory_stays_bounded),
    };
    xr_test_filter(argc, argv);
    return cmocka_run_group_tests(tests, xr_test_math_begin, xr_test_math_end);
}
