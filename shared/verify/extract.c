#include "shared/verify/extract.h"

#include "shared/verify/choice.h"
#include "shared/verify/extract_phrase.h"
#include "shared/verify/extract_scan.h"
#include "shared/verify/extract_sentence.h"

enum {
    MAX_WHOLE = 300,
    MAX_OPTION = 2000,
    MOST_WORDS_OF_VALUE = 4,
    MOST_WORDS_OF_TEXT = 12,
    MOST_LEVELS = 4
};

const char *xr_extract_method_name(XrExtractMethod method) {
    static const char *const names[] = {"none",
                                        "given",
                                        "answer_tag",
                                        "boxed",
                                        "hashes",
                                        "phrase",
                                        "label",
                                        "whole",
                                        "last_line",
                                        "first_line",
                                        "conclusion",
                                        "option",
                                        "unfinished_thinking",
                                        "unfinished_answer"};
    return names[method];
}

void xr_extractor_free(XrExtractor *extractor) {
    xr_buffer_free(&extractor->visible);
    xr_buffer_free(&extractor->list);
}

static bool took(XrExtraction *out, XrExtractMethod method, XrSpan answer) {
    *out = (XrExtraction){.answer = xr_span_trim(answer), .method = method};
    return true;
}

static bool took_statement(XrExtraction *out, XrExtractMethod method,
                           const XrStatement *statement) {
    took(out, statement->unfinished ? XR_EXTRACT_UNFINISHED_ANSWER : method, statement->value);
    out->cut = statement->cut;
    return true;
}

// The content of the boxes that a box's content consists of, for a few levels.
static XrSpan innermost(XrSpan content) {
    for (int level = 0; level < MOST_LEVELS; level++) {
        XrBox inner;
        content = xr_span_trim(content);
        if (content.bytes < 7 || content.data[0] != '\\' ||
            xr_scan_group_end(content, xr_span_find(content, "{", 0)) != content.bytes - 1 ||
            xr_scan_box(content, &inner) != XR_FOUND_WHOLE || inner.begin != 0)
            return content;
        content = inner.content;
    }
    return content;
}

// A box, with those that it makes a list with.
static bool took_box(XrExtractor *extractor, XrSpan text, const XrBox *box, XrExtraction *out) {
    xr_buffer_clear(&extractor->list);
    if (!xr_scan_box_list(text, box, &extractor->list)) {
        return took(out, XR_EXTRACT_BOXED, innermost(box->content));
    }
    return took(out, XR_EXTRACT_BOXED, xr_span(extractor->list.data, extractor->list.length));
}

// The last of the explicit statements: a box, a phrase, a line of hashes. A phrase after the box
// counts only if a short value follows it, since models go on to explain their box.
static bool take_statement(XrExtractor *extractor, XrSpan text, bool choice, XrExtraction *out,
                           bool *negated) {
    XrBox box;
    XrStatement phrase = {.begin = 0}, hashes;
    XrFound boxed = xr_scan_box(text, &box);
    if (boxed == XR_FOUND_UNFINISHED) return took(out, XR_EXTRACT_UNFINISHED_ANSWER, box.content);
    size_t after_box = boxed == XR_FOUND_WHOLE ? box.end : 0;
    XrSpan rest = xr_span_cut(text, after_box, text.bytes);
    bool has_phrase = xr_find_phrase(rest, choice, &phrase) && !phrase.negated;
    *negated = phrase.negated;
    bool has_hashes = xr_find_hashes(rest, &hashes);
    if (has_phrase && boxed == XR_FOUND_WHOLE && !xr_is_short_value(phrase.value))
        has_phrase = false;
    if (has_hashes && !(has_phrase && phrase.begin > hashes.begin)) {
        return took_statement(out, XR_EXTRACT_HASHES, &hashes);
    }
    if (has_phrase) return took_statement(out, XR_EXTRACT_PHRASE, &phrase);
    if (boxed == XR_FOUND_WHOLE) return took_box(extractor, text, &box, out);
    return false;
}

// Where no mark and no phrase states the answer: what the response ends with.
// `negated`: a phrase says what the answer is not.
static bool take_ending(XrSpan text, const XrExtractRules *rules, bool negated, XrExtraction *out) {
    XrStatement found = {.begin = 0};
    XrSpan line = xr_last_line(text);
    bool single = line.bytes == xr_span_trim(text).bytes;
    if (rules->choice) {
        bool sentences = xr_last_sentence(line).bytes < line.bytes;
        if (single && sentences && xr_choice_conclusion(text, &found.value))
            return took(out, XR_EXTRACT_OPTION, found.value);
        if (single && line.bytes <= MAX_OPTION && xr_choice_begins_line(line)) {
            return took(out, XR_EXTRACT_WHOLE, line);
        }
        if (xr_choice_last_line(text, &found.value))
            return took(out, XR_EXTRACT_LAST_LINE, found.value);
        if (xr_choice_conclusion(text, &found.value))
            return took(out, XR_EXTRACT_OPTION, found.value);
        if (xr_choice_first_line(text, &found.value))
            return took(out, XR_EXTRACT_FIRST_LINE, found.value);
    } else {
        if (xr_find_label(text, &found)) return took_statement(out, XR_EXTRACT_LABEL, &found);
        if (xr_find_last_line(text, &found)) {
            return took_statement(out, single ? XR_EXTRACT_WHOLE : XR_EXTRACT_LAST_LINE, &found);
        }
        XrStatement number;
        bool concluded = xr_find_conclusion(text, rules->text, &found);
        bool long_value = !concluded || xr_count_words(found.value) > MOST_WORDS_OF_VALUE;
        if (long_value && !rules->text && xr_find_sole_number(text, &number)) {
            return took_statement(out, XR_EXTRACT_CONCLUSION, &number);
        }
        if (concluded) return took_statement(out, XR_EXTRACT_CONCLUSION, &found);
    }
    size_t words = rules->text ? MOST_WORDS_OF_TEXT : MOST_WORDS_OF_VALUE;
    bool fits = rules->choice ? line.bytes <= MAX_OPTION && xr_choice_is_bare(line)
                              : xr_count_words(line) <= words && line.bytes <= MAX_WHOLE;
    if (!single || !line.bytes || !fits || negated) return false;
    return took(out, XR_EXTRACT_WHOLE, xr_strip_marks(line));
}

static void take_given(XrExtractor *extractor, XrSpan answer, const XrExtractRules *rules,
                       XrExtraction *out) {
    XrSpan content = answer;
    XrFound tagged = xr_scan_answer_tag(answer, &content);
    XrExtraction inner;
    bool negated;
    if (tagged == XR_FOUND_UNFINISHED && !rules->open_answer) {
        took(&inner, XR_EXTRACT_UNFINISHED_ANSWER, content);
    } else if (!take_statement(extractor, content, rules->choice, &inner, &negated)) {
        took(&inner, XR_EXTRACT_GIVEN, content);
    }
    *out = inner;
    out->inner = inner.method;
    if (tagged != XR_FOUND_NONE && inner.method != XR_EXTRACT_UNFINISHED_ANSWER) {
        out->method = XR_EXTRACT_ANSWER_TAG;
    } else if (inner.method != XR_EXTRACT_UNFINISHED_ANSWER) {
        out->method = XR_EXTRACT_GIVEN;
    }
}

void xr_extract_given(XrExtractor *extractor, XrSpan answer, const XrExtractRules *rules,
                      XrExtraction *out) {
    XrSpan visible;
    if (xr_scan_thinking(answer, false, &extractor->visible, &visible) == XR_FOUND_UNFINISHED) {
        took(out, XR_EXTRACT_UNFINISHED_THINKING, xr_span(answer.data, 0));
    } else {
        take_given(extractor, visible, rules, out);
    }
}

static bool take(XrExtractor *extractor, XrSpan text, const XrExtractRules *rules,
                 XrExtraction *out) {
    XrSpan content;
    if (xr_scan_answer_tag(text, &content) != XR_FOUND_NONE) {
        take_given(extractor, text, rules, out);
        return true;
    }
    bool negated;
    return take_statement(extractor, text, rules->choice, out, &negated) ||
           take_ending(text, rules, negated, out);
}

void xr_extract(XrExtractor *extractor, XrSpan response, const XrExtractRules *rules,
                XrExtraction *out) {
    XrSpan visible;
    XrFound thinking =
        xr_scan_thinking(response, rules->starts_in_thinking, &extractor->visible, &visible);
    if (thinking != XR_FOUND_UNFINISHED && take(extractor, visible, rules, out)) return;
    if (rules->count_thinking && thinking != XR_FOUND_NONE &&
        take(extractor, response, rules, out)) {
        return;
    }
    took(out, thinking == XR_FOUND_UNFINISHED ? XR_EXTRACT_UNFINISHED_THINKING : XR_EXTRACT_NONE,
         xr_span(response.data, 0));
}
