// The text of a sample: whole characters, stop strings across token borders.
#include "tests/support/test.h"

#include "shared/base/rng.h"
#include "shared/engine/transcript.h"

// Pushes the pieces one by one; returns the stop string found, or -1, and leaves the text shown.
static int say(XrTranscript *t, XrStopStrings stops, const char *const *pieces, int count) {
    for (int i = 0; i < count; i++) {
        size_t from = t->raw.length;
        xr_buffer_text(&t->raw, pieces[i]);
        int stop = xr_transcript_stop(t, stops, from);
        xr_transcript_show(t, stops, stop >= 0);
        if (stop >= 0) return stop;
    }
    return -1;
}

#define SAY(t, stops, ...)                                                                         \
    say(t, stops, (const char *const[]){__VA_ARGS__},                                              \
        (int)(sizeof(const char *[]){__VA_ARGS__} / sizeof(char *)))

static void characters_come_whole(void **state) {
    XrTranscript t = {0};
    XrStopStrings none = {0};
    SAY(&t, none, "a\xF0\x9F");
    assert_string_equal(t.text.data, "a");
    SAY(&t, none, "\x98");
    assert_string_equal(t.text.data, "a");
    SAY(&t, none, "\x80z");
    assert_string_equal(t.text.data, "a😀z");
    SAY(&t, none, "\xE2\x82"); // never completed
    assert_string_equal(t.text.data, "a😀z");
    SAY(&t, none, "b");
    assert_string_equal(t.text.data, "a😀z\xEF\xBF\xBD"
                                     "b");
    SAY(&t, none, "\xC3");
    xr_transcript_show(&t, none, true);
    assert_string_equal(t.text.data, "a😀z\xEF\xBF\xBD"
                                     "b\xEF\xBF\xBD");
    xr_transcript_free(&t);
}

static void stop_strings_cross_tokens(void **state) {
    XrTranscript t = {0};
    XrStopStrings stops = {(const char *const[]){"</answer>", "###"}, 2};
    assert_int_equal(SAY(&t, stops, "4", "</", "ans", "w"), -1);
    assert_string_equal(t.text.data, "4"); // the rest may become a stop string
    assert_int_equal(SAY(&t, stops, "er", ">\n"), 0);
    assert_string_equal(t.text.data, "4");
    xr_transcript_free(&t);
}

static void held_text_is_shown_when_it_was_no_stop(void **state) {
    XrTranscript t = {0};
    XrStopStrings stops = {(const char *const[]){"</answer>"}, 1};
    assert_int_equal(SAY(&t, stops, "a </", "b"), -1);
    assert_string_equal(t.text.data, "a </b");
    SAY(&t, stops, "<");
    assert_string_equal(t.text.data, "a </b");
    xr_transcript_show(&t, stops, true);
    assert_string_equal(t.text.data, "a </b<");
    xr_transcript_free(&t);
}

static void first_place_wins_then_first_in_the_list(void **state) {
    XrStopStrings stops = {(const char *const[]){"cd", "bcde", "bc"}, 3};
    XrTranscript t = {0};
    assert_int_equal(SAY(&t, stops, "abcdef"), 1);
    assert_string_equal(t.text.data, "a");
    xr_transcript_free(&t);
}

static void stop_within_one_token(void **state) {
    XrStopStrings stops = {(const char *const[]){"\n\n"}, 1};
    XrTranscript t = {0};
    assert_int_equal(SAY(&t, stops, "x.\n\n\ny"), 0);
    assert_string_equal(t.text.data, "x.");
    xr_transcript_free(&t);
}

// What ends before `from` (injected text) is no stop, what reaches into it is.
static void only_new_bytes_end_a_stop(void **state) {
    XrStopStrings stops = {(const char *const[]){"ab", "bc"}, 2};
    XrTranscript t = {0};
    xr_buffer_text(&t.raw, "xab");
    assert_int_equal(xr_transcript_stop(&t, stops, 3), -1);
    xr_transcript_show(&t, stops, false);
    assert_string_equal(t.text.data, "xa");
    xr_buffer_text(&t.raw, "c");
    assert_int_equal(xr_transcript_stop(&t, stops, 3), 1);
    xr_transcript_show(&t, stops, true);
    assert_string_equal(t.text.data, "xa");
    xr_transcript_free(&t);
}

// Random pieces of a small alphabet: the result is that of looking at the whole text at once.
static void random_pieces(void **state) {
    static const char stray[] = {(char)0xA9, 'a', 0};
    static const char *const strings[] = {"aab", "abab", "bé", stray};
    static const char *const alphabet[] = {"a", "b", "\xC3", "\xA9", "ab", "aa", "é", "ba"};
    XrStopStrings stops = {strings, 4};
    for (uint64_t round = 0; round < 3000; round++) {
        XrTranscript t = {0};
        XrBuffer all = {0};
        int stop = -1;
        for (uint64_t i = 0; i < 12 && stop < 0; i++) {
            uint32_t r[4];
            xr_philox(9, round, i, r);
            const char *piece = alphabet[r[0] % 8];
            xr_buffer_text(&all, piece);
            stop = SAY(&t, stops, piece);
        }
        size_t first = all.length;
        int expected = -1;
        for (int s = 0; s < 4; s++) {
            const char *at = memmem(all.data, all.length, strings[s], strlen(strings[s]));
            if (!at || (size_t)(at - all.data) >= first) continue;
            first = (size_t)(at - all.data);
            expected = s;
        }
        assert_int_equal(stop, expected);
        assert_int_equal(t.raw.length, first);
        xr_transcript_show(&t, stops, true);
        XrTranscript whole = {0};
        xr_buffer_append(&whole.raw, all.data, first);
        xr_transcript_show(&whole, (XrStopStrings){0}, true);
        assert_string_equal(t.text.data ? t.text.data : "", whole.text.data ? whole.text.data : "");
        xr_transcript_free(&whole);
        xr_transcript_free(&t);
        xr_buffer_free(&all);
    }
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(characters_come_whole),
        cmocka_unit_test(stop_strings_cross_tokens),
        cmocka_unit_test(held_text_is_shown_when_it_was_no_stop),
        cmocka_unit_test(first_place_wins_then_first_in_the_list),
        cmocka_unit_test(stop_within_one_token),
        cmocka_unit_test(only_new_bytes_end_a_stop),
        cmocka_unit_test(random_pieces),
    };
    xr_test_filter(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
