// The reader of JSON that builds nothing: what it takes, what it refuses and where.
#include "tests/support/test.h"

#include "shared/base/json_reader.h"
#include "shared/base/memory.h"

static const XrJsonLimits LIMITS = {1000, 5, 20};

// Passes over a text; the message of its error, or "" where it is taken.
static const char *message(const char *text, size_t bytes, size_t *count) {
    static XrError err;
    XrJsonReader r;
    err = (XrError){0};
    bool ok = xr_json_reader_start(&r, "t", text, bytes, &LIMITS, &err) &&
              xr_json_reader_skip(&r, count) && xr_json_reader_finish(&r);
    assert_int_equal(ok, err.message[0] == '\0');
    xr_json_reader_end(&r);
    return err.message;
}

static void takes_what_is_json(void **state) {
    const struct {
        const char *text;
        size_t count;
    } cases[] = {{"0", 0},
                 {" -0.5e+10\r\n\t", 0},
                 {"1E3", 0},
                 {"true", 0},
                 {"false", 0},
                 {"null", 0},
                 {"\"\"", 0},
                 {"\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\\ud83d\\ude00\\u0000\"", 0},
                 {"[]", 0},
                 {"{ }", 0},
                 {"[ [], {} , 1 ]", 3},
                 {"{\"a\" : [1,2,3], \"\\u0062\":{}}", 2},
                 {"\xEF\xBB\xBF[1]", 1},
                 {"[[[[[1]]]]]", 1},
                 {"\"\x7f\xc3\xa9\"", 0}};
    for (size_t i = 0; i < XR_COUNT(cases); i++) {
        size_t count = 99;
        const char *error = message(cases[i].text, strlen(cases[i].text), &count);
        if (error[0] || count != cases[i].count) {
            fail_msg("%s: %s, %zu entries", cases[i].text, error, count);
        }
    }
}

static void refuses_the_rest_and_says_where(void **state) {
    const struct {
        const char *text, *error;
    } cases[] = {{"", "t:1:1: not valid"},
                 {"[1,]", "t:1:4: not valid"},
                 {"[,1]", "t:1:2: not valid"},
                 {"[1 2]", "t:1:4: not valid"},
                 {"[1}", "t:1:3: not valid"},
                 {"[1", "t:1:3: not valid"},
                 {"{\"a\"}", "t:1:5: not valid"},
                 {"{\"a\":}", "t:1:6: not valid"},
                 {"{\"a\":1,}", "t:1:8: not valid"},
                 {"{1:2}", "t:1:2: not valid"},
                 {"{\"a\":1\n,,}", "t:2:2: not valid"},
                 {"tru", "t:1:1: not valid"},
                 {"nulL", "t:1:1: not valid"},
                 {"01", "t:1:1: not valid"},
                 {"-", "t:1:1: not valid"},
                 {"1.", "t:1:1: not valid"},
                 {".5", "t:1:1: not valid"},
                 {"1e", "t:1:1: not valid"},
                 {"+1", "t:1:1: not valid"},
                 {"NaN", "t:1:1: not valid"},
                 {"\"a", "t:1:3: not valid"},
                 {"\"a\nb\"", "t:1:3: not valid"},
                 {"\"\\x\"", "t:1:2: not valid"},
                 {"\"\\u12g4\"", "t:1:2: not valid"},
                 {"\"\\u123\"", "t:1:2: not valid"},
                 {"\"\\ud83d\"", "t:1:2: not valid"},
                 {"\"\\ud83dx\\ude00\"", "t:1:2: not valid"},
                 {"\"\\ude00\"", "t:1:2: not valid"},
                 {"1 2", "t:1:3: more text"},
                 {"\"\xff\"", "UTF-8"},
                 {"[[[[[[1]]]]]]", "t:1:6: JSON is nested too deeply"},
                 {"[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20]", "too many values"},
                 {"{\"a\":1,\"b\":2,\"c\":3,\"d\":4,\"e\":5,\"f\":6,\"g\":7,\"h\":8,\"i\":9,"
                  "\"j\":10}",
                  "too many values"}};
    for (size_t i = 0; i < XR_COUNT(cases); i++) {
        const char *error = message(cases[i].text, strlen(cases[i].text), NULL);
        if (!strstr(error, cases[i].error)) fail_msg("%s: \"%s\"", cases[i].text, error);
    }
    assert_non_null(strstr(message("[1,\0 2]", 7, NULL), "t:1:4: a NUL byte"));
    assert_non_null(strstr(message("\"a\0\"", 4, NULL), "t:1:3: a NUL byte"));
    char long_text[1001];
    memset(long_text, ' ', sizeof long_text);
    assert_non_null(strstr(message(long_text, sizeof long_text, NULL), "over the limit of 1000"));
}

// Steps through a document, keys and strings with escapes, numbers of both kinds.
static void steps_through(void **state) {
    static const char TEXT[] =
        "{\"a\\tb\": [\"x\\u0000y\", -12, 1.0, 1e3, 1234567890123456, [], 7],"
        "\"plain\": \"\\ud83d\\ude00\"}";
    XrJsonReader r;
    XrError err = {0};
    const char *text = NULL;
    size_t bytes = 0;
    int64_t number = 0;
    bool whole = false;
    assert_true(xr_json_reader_start(&r, "t", TEXT, sizeof TEXT - 1, &LIMITS, &err));
    assert_true(xr_json_reader_enter(&r, '{') && xr_json_reader_member(&r, &text, &bytes));
    assert_int_equal(bytes, 3);
    assert_memory_equal(text, "a\tb", 3);
    assert_int_equal(xr_json_reader_peek(&r), '[');
    assert_true(xr_json_reader_enter(&r, '[') && xr_json_reader_item(&r));
    assert_true(xr_json_reader_string(&r, &text, &bytes));
    assert_int_equal(bytes, 3);
    assert_memory_equal(text, "x\0y", 3);
    static const int64_t NUMBERS[] = {-12, 0, 0, 0, 0, 7};
    for (size_t i = 0; i < XR_COUNT(NUMBERS); i++) {
        assert_true(xr_json_reader_item(&r) && xr_json_reader_whole(&r, &number, &whole));
        assert_int_equal(whole, NUMBERS[i] != 0);
        if (whole) assert_int_equal(number, NUMBERS[i]);
    }
    assert_false(xr_json_reader_item(&r));
    assert_true(xr_json_reader_member(&r, &text, &bytes));
    assert_int_equal(bytes, 5);
    assert_memory_equal(text, "plain", 5);
    assert_true(xr_json_reader_string(&r, &text, &bytes));
    assert_int_equal(bytes, 4);
    assert_memory_equal(text, "\xF0\x9F\x98\x80", 4);
    assert_false(xr_json_reader_member(&r, &text, &bytes));
    assert_true(xr_json_reader_finish(&r));
    assert_false(r.failed);
    // After a failure nothing goes on, and the first error stays.
    assert_false(xr_json_reader_enter(&r, '['));
    assert_true(r.failed && strstr(err.message, "not valid"));
    assert_false(xr_json_reader_item(&r) || xr_json_reader_skip(&r, NULL));
    xr_json_reader_end(&r);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_what_is_json),
        cmocka_unit_test(refuses_the_rest_and_says_where),
        cmocka_unit_test(steps_through),
    };
    xr_test_filter(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
