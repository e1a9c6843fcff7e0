// Forced exit from thinking: tags on decoded bytes, what is injected, and every case of the budgets
// with a model that follows a script.
#include "tests/support/script.h"
#include "tests/support/test.h"

#include "shared/engine/forced_exit.h"

#include <math.h>
#include <stdlib.h>

static XrScript *script;

static int open_script(void **state) {
    script = xr_script_open(false);
    return 0;
}

static int close_script(void **state) {
    xr_script_close(script);
    return 0;
}

// ---- following tags
// ------------------------------------------------------------------------------

static XrThinking follow(const char *text, size_t step) {
    XrThinking t = {0};
    size_t count = strlen(text);
    for (size_t n = step; n < count; n += step) xr_thinking_follow(&t, text, n);
    xr_thinking_follow(&t, text, count);
    return t;
}

static void tags_are_found_however_bytes_arrive(void **state) {
    static const struct {
        const char *text;
        bool open, tagged;
    } cases[] = {
        {"", false, false},
        {"no tag", false, false},
        {"<think>", true, true},
        {"a <think> b", true, true},
        {"<think>a</think>", false, true},
        {"<think>a</think", true, true},
        {"<thin", false, false},
        {"<<think>", true, true},
        {"</<think>", true, true},
        {"<think></think><think>", true, true},
        {"</think>", false, true},
        {"<Think></ think>", false, false},
        {"<think>x<</think>y", false, true},
        {"<think>\n1 < 2 and 3 </ 4", true, true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        for (size_t step = 1; step < 9; step++) {
            XrThinking t = follow(cases[i].text, step);
            if (t.open != cases[i].open || t.tagged != cases[i].tagged) {
                fail_msg("\"%s\" in steps of %zu: open %d, tagged %d", cases[i].text, step, t.open,
                         t.tagged);
            }
        }
    }
}

// ---- what is injected
// -----------------------------------------------------------------------------

// The bytes that are injected after `raw`, and how many ids.
static char *injected(const char *tail, bool tagged, const char *raw, const char *suffix,
                      XrIds *ids) {
    XrEncoder *encoder = xr_encoder_create(script->tokenizer);
    XrExitPlace place = {.tail = tail,
                         .tail_bytes = strlen(tail),
                         .tail_tagged = tagged,
                         .raw = raw,
                         .raw_bytes = strlen(raw),
                         .suffix = suffix};
    XrError err;
    if (!xr_forced_exit(ids, encoder, script->tokenizer, &place, &err)) {
        fail_msg("%s", err.message);
    }
    int64_t longest;
    assert_true(xr_forced_exit_longest(&longest, encoder, script->tokenizer, suffix, &err));
    assert_true((int64_t)ids->count <= longest);
    XrBuffer out = {0};
    for (size_t i = 0; i < ids->count; i++) {
        size_t bytes;
        const char *text = xr_tokenizer_bytes(script->tokenizer, ids->data[i], &bytes);
        xr_buffer_append(&out, text, bytes);
    }
    xr_encoder_free(encoder);
    return out.data;
}

static void injected_text_is_well_formed(void **state) {
    static const struct {
        const char *tail;
        bool tagged;
        const char *raw, *suffix, *expected;
    } cases[] = {
        {"", false, "abc", "\n\n", "\n</think>\n\n"},
        {"", false, "abc\n", "\n\n", "</think>\n\n"},
        {"", false, "abc", "", "\n</think>"},
        {"", false, "abc", "\nFinal Answer:", "\n</think>\nFinal Answer:"},
        // half a closing tag is completed
        {"", false, "abc<", "\n\n", "/think>\n\n"},
        {"", false, "abc</", "\n\n", "think>\n\n"},
        {"", false, "abc</thi", "\n\n", "nk>\n\n"},
        {"", false, "abc</think", "\n\n", ">\n\n"},
        {"", false, "abc<thi", "\n\n", "\n</think>\n\n"},
        // an empty response
        {"assistant\n", false, "", "\n\n", "<think>\n\n</think>\n\n"},
        {"assistant\n<think>\n", true, "", "\n\n", "</think>\n\n"},
        {"assistant\n<think>", true, "", "\n\n", "\n</think>\n\n"},
        // half a character: the smallest that is valid
        {"", false, "a\xC3", "\n\n", "\x80\n</think>\n\n"},
        {"", false, "a\xE0", "\n\n", "\xA0\x80\n</think>\n\n"},
        {"", false, "a\xE2\x82", "\n\n", "\x80\n</think>\n\n"},
        {"", false, "a\xED", "\n\n", "\x80\x80\n</think>\n\n"},
        {"", false, "a\xF0", "\n\n", "\x90\x80\x80\n</think>\n\n"},
        {"", false, "a\xF0\x9F\x98", "\n\n", "\x80\n</think>\n\n"},
        {"", false, "a\xF4", "\n\n", "\x80\x80\x80\n</think>\n\n"},
        // bytes that are not the start of one
        {"", false, "a\xC3\xA9", "\n\n", "\n</think>\n\n"},
        {"", false, "a\x80", "\n\n", "\n</think>\n\n"},
        {"", false, "a\xC0", "\n\n", "\n</think>\n\n"},
        {"", false, "a\xFF", "\n\n", "\n</think>\n\n"},
        {"", false, "\xE0\x9F", "\n\n", "\n</think>\n\n"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        XrIds ids = {0};
        char *text = injected(cases[i].tail, cases[i].tagged, cases[i].raw, cases[i].suffix, &ids);
        if (strcmp(text, cases[i].expected) != 0) {
            fail_msg("after \"%s\": \"%s\", expected \"%s\"", cases[i].raw, text,
                     cases[i].expected);
        }
        free(text);
        xr_ids_free(&ids);
    }
}

static void think_token_is_used_where_there_is_one(void **state) {
    XrScript *own = script;
    script = xr_script_open(true);
    XrIds ids = {0};
    char *text = injected("", false, "abc", "\n\n", &ids);
    assert_string_equal(text, "\n</think>\n\n");
    assert_int_equal(ids.count, 3);
    assert_int_equal(ids.data[1], XR_SCRIPT_CLOSE);
    free(text);
    xr_ids_free(&ids);
    xr_script_close(script);
    xr_script_close(own);
    script = xr_script_open(false);
}

// ---- the cases
// --------------------------------------------------------------------------------------

static XrRequest with_budget(int64_t budget) {
    XrRequest r = xr_request_default();
    r.max_new_tokens = 64;
    r.think.budget = budget;
    return r;
}

// The response must have this text and these forced marks ('.' sampled, 'F' injected), in which
// a final end-of-text token counts.
static XrSample *expect(const XrResponse *response, const char *text, const char *marks,
                        XrFinish finish) {
    XrSample *s = &response->samples[0];
    char actual[256] = "";
    for (int64_t i = 0; i < s->count; i++) actual[i] = s->forced[i] ? 'F' : '.';
    if (strcmp(s->text, text) != 0 || strcmp(actual, marks) != 0 || s->finish != finish) {
        fail_msg("\"%s\" %s %s, expected \"%s\" %s %s", s->text, actual, xr_finish_name(s->finish),
                 text, marks, xr_finish_name(finish));
    }
    int64_t forced = 0;
    for (int64_t i = 0; i < s->count; i++) {
        forced += s->forced[i];
        assert_true(s->logprobs[i] < 0 && isfinite(s->logprobs[i]));
        assert_true(s->scaled[i] < 0 && isfinite(s->scaled[i]));
    }
    assert_int_equal(s->forced_count, forced);
    assert_int_equal(s->truncated, s->stop_id < 0 && s->stop_string < 0);
    return s;
}

static void run(const char *tail, const char *words, const XrRequest *settings, const char *text,
                const char *marks, XrFinish finish) {
    XrResponse *response = xr_script_run(script, tail, words, settings);
    expect(response, text, marks, finish);
    xr_response_free(response);
}

static void closed_just_before_at_and_after_the_budget(void **state) {
    const char *words = "<|think|>|a|b|</|think|>|ok"; // closed with the 8th token
    XrRequest before = with_budget(9), at = with_budget(8), after = with_budget(5);
    run("", words, &before, "<think>ab</think>ok", "..........", XR_FINISH_STOP);
    run("", words, &at, "<think>ab</think>ok", "..........", XR_FINISH_STOP);
    run("", words, &after, "<think>ab\n</think>\n\n</think>ok", ".....FFFF.....",
        XR_FINISH_FORCED_EXIT);
}

static void half_a_tag_at_the_budget_is_completed(void **state) {
    XrRequest six = with_budget(6), seven = with_budget(7), two = with_budget(2);
    run("", "<|think|>|a|b|</|ok", &six, "<think>ab</think>\n\nok", "......FF..",
        XR_FINISH_FORCED_EXIT);
    run("", "<|think|>|a|b|</|think|ok", &seven, "<think>ab</think>\n\nok", ".......F..",
        XR_FINISH_FORCED_EXIT);
    run("", "a|<|ok", &two, "a</think>\n\nok", "..FFF..", XR_FINISH_FORCED_EXIT);
    // The tag may begin inside a token.
    run("", "a|.</|ok", &two, "a.</think>\n\nok", "..FF..", XR_FINISH_FORCED_EXIT);
}

static void tag_that_begins_and_ends_inside_tokens(void **state) {
    XrRequest four = with_budget(4), five = with_budget(5);
    run("", "a|.</|think|>\n\n|ok", &four, "a.</think>\n\nok", "......", XR_FINISH_STOP);
    run("", "a|.</|th|ink|>|ok", &five, "a.</think>ok", ".......", XR_FINISH_STOP);
    run("", "a|.</|th|ink|>|ok", &four, "a.</think>\n\n>ok", "....F...", XR_FINISH_FORCED_EXIT);
}

static void never_opened(void **state) {
    XrRequest from_start = with_budget(3), opened = with_budget(3);
    opened.think.start = XR_THINK_WHEN_OPENED;
    run("", "a|b|c|ok", &from_start, "abc\n</think>\n\nok", "...FFFF..", XR_FINISH_FORCED_EXIT);
    run("", "a|b|c|.\n|ok", &opened, "abc.\nok", "......", XR_FINISH_STOP);
    run("", "a|b|.\n|ok", &from_start, "ab.\n</think>\n\nok", "...FFF..", XR_FINISH_FORCED_EXIT);
}

static void opened_by_the_prompt(void **state) {
    XrRequest r = with_budget(3);
    r.think.start = XR_THINK_WHEN_OPENED;
    run("assistant\n<think>\n", "a|b|c|ok", &r, "abc\n</think>\n\nok", "...FFFF..",
        XR_FINISH_FORCED_EXIT);
    run("assistant\n<think>\n", "a|</|think|>|ok", &r, "a</think>\n\n>ok", "...F...",
        XR_FINISH_FORCED_EXIT);
    run("assistant\n<think>\n", "</|think|>|a|b|ok", &r, "</think>abok", ".......", XR_FINISH_STOP);
}

static void closed_by_the_prompt(void **state) {
    XrRequest r = with_budget(2);
    run("assistant\n<think>\n\n</think>\n\n", "a|b|c|ok", &r, "abcok", ".....", XR_FINISH_STOP);
}

static void opened_by_the_model_after_the_budget(void **state) {
    XrRequest r = with_budget(2);
    r.think.start = XR_THINK_WHEN_OPENED;
    run("", "a|b|c|<|think|>|ok", &r, "abc<think>\n</think>\n\nok", "......FFFF..",
        XR_FINISH_FORCED_EXIT);
}

static void exit_is_forced_once(void **state) {
    XrRequest r = with_budget(2);
    run("", "a|b|c|<|think|>|ok", &r, "ab\n</think>\n\nc<think>ok", "..FFFF......",
        XR_FINISH_FORCED_EXIT);
}

static void end_of_text_before_the_budget(void **state) {
    XrRequest three = with_budget(3), two = with_budget(2);
    run("", "<|a", &three, "<a", "...", XR_FINISH_STOP); // the end is the 3rd token
    run("", "<|think", &three, "<think", "...", XR_FINISH_STOP);
    run("", "a", &two, "a", "..", XR_FINISH_STOP);
}

static void budget_of_0(void **state) {
    XrRequest r = with_budget(0);
    run("assistant\n", "ok", &r, "<think>\n\n</think>\n\nok", "FFFFFF..", XR_FINISH_FORCED_EXIT);
    run("assistant\n<think>\n", "ok", &r, "</think>\n\nok", "FFF..", XR_FINISH_FORCED_EXIT);
    r.think.start = XR_THINK_WHEN_OPENED;
    run("assistant\n", "ok", &r, "ok", "..", XR_FINISH_STOP);
}

static void answer_budget_used_up(void **state) {
    XrRequest r = with_budget(3);
    r.think.answer_budget = 2;
    run("", "a|b|c|ok|ok|ok", &r, "abc\n</think>\n\nokok", "...FFFF..", XR_FINISH_FORCED_EXIT);
    r.think.answer_budget = 0;
    run("", "a|b|c|ok", &r, "abc\n</think>\n\n", "...FFFF", XR_FINISH_FORCED_EXIT);
    r.think.budget = 0;
    run("", "a|b|c|ok", &r, "<think>\n\n</think>\n\n", "FFFFFF", XR_FINISH_FORCED_EXIT);
    r.think.answer_budget = -1;
    r.think.budget = 2;
    r.max_new_tokens = 10; // all that is left, if it is enough for the injected text
    run("", "a|b|ok|ok|ok|ok|ok|ok", &r, "ab\n</think>\n\nokokokok", "..FFFF....",
        XR_FINISH_FORCED_EXIT);
}

static void answer_is_kept_in_reserve(void **state) {
    XrRequest r = with_budget(100);
    r.max_new_tokens = 16;
    r.think.answer_budget = 6;
    // 16 less 6 for the answer, less 7 that the injected text may take
    run("", "a|b|c|ok|ok|ok|ok|ok|ok|ok", &r, "abc\n</think>\n\nokokokokokok", "...FFFF......",
        XR_FINISH_FORCED_EXIT);
    r.think.answer_budget = -1; // a quarter
    run("", "a|b|c|a|b|ok|ok|ok|ok|ok|ok|ok|ok", &r, "abcab\n</think>\n\nokokokokokokok",
        ".....FFFF.......", XR_FINISH_FORCED_EXIT);
}

static void length_without_forced_exit(void **state) {
    XrRequest r = xr_request_default();
    r.max_new_tokens = 3;
    run("", "<|think|>|a|b", &r, "<think>", "...", XR_FINISH_LENGTH);
}

static void stop_string_inside_the_injected_text(void **state) {
    XrRequest r = with_budget(2);
    r.stop_strings = (const char *const[]){"</think>", "\n\n", "\n\nok."};
    r.stop_string_count = 2;
    // Injected text ends no response; what is sampled later does.
    run("", "a|b|ok|.\n\n|ok", &r, "ab\n</think>\n\nok.", "..FFFF..", XR_FINISH_FORCED_EXIT);
    run("", "a|</|think|>|ok", &r, "a</think>\n\nthink>ok", "..FF....", XR_FINISH_FORCED_EXIT);
    r.think.budget = 9;
    run("", "a|</|think|>|ok", &r, "a", "....", XR_FINISH_STOP); // sampled, it stops
    r.think.budget = 2;
    // A stop string may begin in injected text, if it ends in sampled text.
    r.stop_strings = (const char *const[]){"\n\nok."};
    r.stop_string_count = 1;
    run("", "a|b|ok|.|ok", &r, "ab\n</think>", "..FFFF..", XR_FINISH_FORCED_EXIT);
    run("", "a|b|ok|ok", &r, "ab\n</think>\n\nokok", "..FFFF...", XR_FINISH_FORCED_EXIT);
}

static void half_a_character_at_the_budget(void **state) {
    XrRequest r = with_budget(2);
    run("", "a|\xE2\x82|ok", &r, "a\xE2\x82\x80\n</think>\n\nok", "..FFFFF..",
        XR_FINISH_FORCED_EXIT);
    run("", "\xE2\x82|\xAC|ok", &r, "\xE2\x82\xAC\n</think>\n\nok", "..FFFF..",
        XR_FINISH_FORCED_EXIT);
}

static void other_suffix(void **state) {
    XrRequest r = with_budget(2);
    r.think.suffix = " <ok";
    run("", "a|b|ok", &r, "ab\n</think> <okok", "..FFFFFF..", XR_FINISH_FORCED_EXIT);
    r.think.suffix = "<end>"; // control tokens are recognised here, and ids are not stops
    run("", "a|b|ok", &r, "ab\n</think>ok", "..FFFFF..", XR_FINISH_FORCED_EXIT);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tags_are_found_however_bytes_arrive),
        cmocka_unit_test(injected_text_is_well_formed),
        cmocka_unit_test(think_token_is_used_where_there_is_one),
        cmocka_unit_test(closed_just_before_at_and_after_the_budget),
        cmocka_unit_test(half_a_tag_at_the_budget_is_completed),
        cmocka_unit_test(tag_that_begins_and_ends_inside_tokens),
        cmocka_unit_test(never_opened),
        cmocka_unit_test(opened_by_the_prompt),
        cmocka_unit_test(closed_by_the_prompt),
        cmocka_unit_test(opened_by_the_model_after_the_budget),
        cmocka_unit_test(exit_is_forced_once),
        cmocka_unit_test(end_of_text_before_the_budget),
        cmocka_unit_test(budget_of_0),
        cmocka_unit_test(answer_budget_used_up),
        cmocka_unit_test(answer_is_kept_in_reserve),
        cmocka_unit_test(length_without_forced_exit),
        cmocka_unit_test(stop_string_inside_the_injected_text),
        cmocka_unit_test(half_a_character_at_the_budget),
        cmocka_unit_test(other_suffix),
    };
    xr_test_filter(argc, argv);
    return cmocka_run_group_tests(tests, open_script, close_script);
}
