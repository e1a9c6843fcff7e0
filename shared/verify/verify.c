#include "shared/verify/verify.h"

#include "shared/base/memory.h"
#include "shared/verify/choice.h"
#include "shared/verify/choice_label.h"
#include "shared/verify/extract_phrase.h"
#include "shared/verify/restate.h"
#include "shared/verify/text_answer.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { MOST_BYTES_OF_VALUE = 60, MOST_BYTES_OF_ANSWER = 64 << 10 };

struct XrVerifier {
    XrVerifyOptions options;
    XrMath *math;
    XrExtractor extractor, gold_extractor;
    XrOptions choices, no_choices;
};

static const char *const KIND_NAMES[] = {"auto", "math", "choice", "text"};

const char *xr_verify_kind_name(XrVerifyKind kind) {
    return KIND_NAMES[kind];
}

bool xr_verify_kind_find(const char *name, XrVerifyKind *kind) {
    for (size_t i = 0; i < XR_COUNT(KIND_NAMES); i++) {
        if (strcmp(name, KIND_NAMES[i]) != 0) continue;
        *kind = (XrVerifyKind)i;
        return true;
    }
    return false;
}

XrVerifier *xr_verifier_create(const XrVerifyOptions *options) {
    XrVerifier *verifier = xr_calloc(1, sizeof *verifier);
    if (options) verifier->options = *options;
    verifier->math = xr_math_create();
    return verifier;
}

void xr_verifier_free(XrVerifier *verifier) {
    if (!verifier) return;
    xr_math_free(verifier->math);
    xr_extractor_free(&verifier->extractor);
    xr_extractor_free(&verifier->gold_extractor);
    xr_options_free(&verifier->choices);
    xr_options_free(&verifier->no_choices);
    free(verifier);
}

void xr_verify_result_free(XrVerifyResult *result) {
    xr_buffer_free(&result->extracted);
    xr_buffer_free(&result->explanation);
}

// One pair on its way to a verdict.
typedef struct Pair {
    XrVerifier *verifier;
    const XrVerifyRequest *request;
    XrSpan gold, answer;
    XrVerifyKind kind;
    XrChoice gold_choice;
    XrBuffer *explain; // NULL unless asked for
} Pair;

__attribute__((format(printf, 2, 3))) static void say(const Pair *pair, const char *format, ...) {
    if (!pair->explain) return;
    va_list arguments;
    char line[512];
    va_start(arguments, format);
    vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    xr_buffer_text(pair->explain, line);
    xr_buffer_byte(pair->explain, '\n');
}

// ---- the gold answer and the kind ----

// The gold answer without a wrapper: "…#### 18", "…\boxed{5}", "<answer>B</answer>".
static XrSpan bare_gold(XrVerifier *verifier, XrSpan gold) {
    gold = xr_span_trim(gold);
    bool wrapped = xr_span_find(gold, "####", 0) != XR_NOT_FOUND ||
                   xr_span_find(gold, "\\boxed", 0) != XR_NOT_FOUND ||
                   xr_span_find(gold, "\\fbox", 0) != XR_NOT_FOUND ||
                   xr_span_find(gold, "<answer>", 0) != XR_NOT_FOUND;
    if (!wrapped) return gold;
    XrExtraction found;
    XrExtractRules rules = {.open_answer = true};
    xr_extract_given(&verifier->gold_extractor, gold, &rules, &found);
    return found.answer.bytes ? found.answer : gold;
}

// Whether the gold answer is by its form a letter or letters of options.
static bool gold_is_letters(Pair *pair, bool options) {
    XrOptions *choices = options ? &pair->verifier->choices : &pair->verifier->no_choices;
    XrChoice read;
    xr_choice_read(choices, pair->gold, &read);
    if (read.status != XR_CHOICE_READ) return false;
    bool lower = true;
    for (size_t i = 0; i < pair->gold.bytes; i++) lower &= !xr_is_upper(pair->gold.data[i]);
    if (!options && (lower || (read.rest.bytes && read.letters >= 1u << 10))) return false;
    pair->gold_choice = read;
    return true;
}

static void decide_kind(Pair *pair) {
    bool options = pair->verifier->choices.count > 0;
    pair->kind = pair->request->kind;
    if (pair->kind == XR_VERIFY_AUTO) {
        if (gold_is_letters(pair, options) || (options && gold_is_letters(pair, false))) {
            pair->kind = XR_VERIFY_CHOICE;
        } else {
            pair->kind = xr_is_wordy(pair->gold) ? XR_VERIFY_TEXT : XR_VERIFY_MATH;
        }
        say(pair, "kind: %s, by the gold answer%s", xr_verify_kind_name(pair->kind),
            options ? " and the options" : "");
    } else if (pair->kind == XR_VERIFY_CHOICE && !gold_is_letters(pair, options)) {
        pair->gold_choice = (XrChoice){.status = XR_CHOICE_NONE};
    }
}

// ---- math ----

static XrVerdict compare_math(Pair *pair, XrSpan gold, XrSpan answer, XrBuffer *explain) {
    return xr_math_compare(pair->verifier->math, gold.data, gold.bytes, answer.data, answer.bytes,
                           &pair->verifier->options.math, explain);
}

static XrVerdict judge_math(Pair *pair) {
    XrSpan answer = xr_strip_marks(pair->answer);
    if (xr_restates(pair->request->question, pair->gold, answer)) {
        say(pair, "restates: the answer is an expression of the question, not worked out");
        return XR_VERDICT_DIFFERENT;
    }
    XrVerdict verdict = compare_math(pair, pair->gold, answer, pair->explain);
    if (verdict == XR_VERDICT_UNPARSED || verdict == XR_VERDICT_UNPARSED_GOLD ||
        verdict == XR_VERDICT_UNKNOWN) {
        if (xr_text_compare(pair->gold, answer, pair->explain) == XR_VERDICT_EQUAL) {
            return XR_VERDICT_EQUAL;
        }
    }
    return verdict;
}

static XrVerdict judge_text(Pair *pair) {
    XrSpan gold = pair->gold, answer = xr_strip_marks(pair->answer);
    XrVerdict verdict = xr_text_compare(gold, answer, pair->explain);
    bool asked = pair->request->kind == XR_VERIFY_TEXT;
    if (verdict != XR_VERDICT_DIFFERENT || asked) return verdict;
    // words may stand for a value: "infinity", "five"
    XrMathKind kind = xr_math_kind(pair->verifier->math, gold.data, gold.bytes, NULL);
    if (kind == XR_MATH_TEXT || kind == XR_MATH_NONE) return verdict;
    bool equal = compare_math(pair, gold, answer, pair->explain) == XR_VERDICT_EQUAL;
    return equal ? XR_VERDICT_EQUAL : verdict;
}

// ---- choice ----

static const char *letters_text(uint32_t letters, char text[32]) {
    char *end = text;
    for (int i = 0; i < XR_MAX_OPTIONS; i++) {
        if (letters >> i & 1) *end++ = (char)('A' + i);
    }
    *end = '\0';
    return text;
}

// Whether a text is read as anything of mathematics rather than as words.
static bool is_value(Pair *pair, XrSpan text) {
    XrMathKind kind = xr_math_kind(pair->verifier->math, text.data, text.bytes, NULL);
    return kind != XR_MATH_NONE && kind != XR_MATH_TEXT;
}

// The one option whose value the answer's equals; XR_CHOICE_AMBIGUOUS where several do. A value
// that rounds to one option and is exactly another one is the latter: where several options fit,
// those count that also equal the answer when it takes the gold answer's place.
static void read_value(Pair *pair, XrChoice *out) {
    XrOptions *options = &pair->verifier->choices;
    for (int pass = 0; pass < 2; pass++) {
        uint32_t fit = 0;
        for (int i = 0; i < options->count; i++) {
            XrSpan option = options->texts[i];
            if (pass ? !(out->letters >> i & 1) : !is_value(pair, option)) continue;
            XrVerdict verdict = pass ? compare_math(pair, pair->answer, option, NULL)
                                     : compare_math(pair, option, pair->answer, NULL);
            if (verdict == XR_VERDICT_EQUAL) fit |= 1u << i;
        }
        if (!pass || fit) out->letters = fit;
        if (!(out->letters & (out->letters - 1))) break;
    }
    out->by_text = out->letters != 0;
    if (out->letters) {
        bool one = !(out->letters & (out->letters - 1));
        out->status = one ? XR_CHOICE_READ : XR_CHOICE_AMBIGUOUS;
    }
}

static bool is_number(Pair *pair, XrSpan text) {
    return xr_math_kind(pair->verifier->math, text.data, text.bytes, NULL) == XR_MATH_NUMBER;
}

// Whether the answer gives a number beside the letter, and that is not the number of the letter's
// option: "B (3 cm)".
static bool value_disagrees(Pair *pair, const XrChoice *read) {
    XrSpan value = xr_strip_marks(read->rest);
    if (value.bytes > 2 && value.data[0] == '(' && value.data[value.bytes - 1] == ')') {
        value = xr_strip_marks(xr_span_cut(value, 1, value.bytes - 1));
    }
    if (read->by_text || (read->letters & (read->letters - 1)) || !xr_looks_like_value(value) ||
        value.bytes > MOST_BYTES_OF_VALUE)
        return false;
    XrSpan own = pair->verifier->choices.texts[__builtin_ctz(read->letters)];
    return is_number(pair, own) && is_number(pair, value) &&
           compare_math(pair, own, value, NULL) == XR_VERDICT_DIFFERENT;
}

// Where the options are not known but the gold answer gives its own text, "B: No": the text alone
// is right, and a text with the letter must agree.
static bool agrees_with_gold_text(Pair *pair, const XrChoice *read) {
    XrSpan text = pair->gold_choice.rest;
    if (read->by_letter) {
        return !read->rest.bytes || xr_text_compare(text, read->rest, NULL) == XR_VERDICT_EQUAL;
    }
    return xr_text_compare(text, pair->answer, NULL) == XR_VERDICT_EQUAL;
}

static XrVerdict judge_unknown_options(Pair *pair, const XrChoice *read) {
    if (pair->gold_choice.status != XR_CHOICE_READ) { // the gold answer is the option's text
        XrSpan answer = read->by_letter && read->rest.bytes ? read->rest : pair->answer;
        return xr_text_compare(pair->gold, answer, pair->explain);
    }
    bool equal = read->status == XR_CHOICE_READ && read->letters == pair->gold_choice.letters;
    if (pair->gold_choice.rest.bytes && (equal || read->status == XR_CHOICE_NONE)) {
        equal = agrees_with_gold_text(pair, read);
    }
    if (equal) return XR_VERDICT_EQUAL;
    return read->status == XR_CHOICE_NONE ? XR_VERDICT_UNPARSED : XR_VERDICT_DIFFERENT;
}

static XrVerdict judge_choice(Pair *pair) {
    XrOptions *options = &pair->verifier->choices;
    char gold[32], answer[32];
    XrChoice read;
    if (options->count && pair->gold_choice.status != XR_CHOICE_READ) {
        say(pair, "choice: the gold answer %s", xr_choice_status_name(pair->gold_choice.status));
        return XR_VERDICT_UNPARSED_GOLD;
    }
    xr_choice_read(options, pair->answer, &read);
    if (read.status == XR_CHOICE_NONE && options->count && is_value(pair, pair->answer)) {
        read_value(pair, &read);
    }
    if (options->count && read.status == XR_CHOICE_READ && value_disagrees(pair, &read)) {
        read.status = XR_CHOICE_CONFLICT;
    }
    say(pair, "choice: the answer %s%s%s%s; the gold answer is %s",
        xr_choice_status_name(read.status), read.letters ? " " : "",
        letters_text(read.letters, answer),
        read.by_letter && read.by_text ? " (by letter and text)"
        : read.by_text                 ? " (by text)"
                                       : "",
        letters_text(pair->gold_choice.letters, gold));
    if (!options->count) return judge_unknown_options(pair, &read);
    if (read.status == XR_CHOICE_NONE) return XR_VERDICT_UNPARSED;
    bool equal = read.status == XR_CHOICE_READ && read.letters == pair->gold_choice.letters;
    return equal ? XR_VERDICT_EQUAL : XR_VERDICT_DIFFERENT;
}

// ---- one pair ----

static void take_answer(Pair *pair, XrVerifyResult *result) {
    const XrVerifyOptions *options = &pair->verifier->options;
    XrExtractRules rules = {.choice = pair->kind == XR_VERIFY_CHOICE,
                            .text = pair->kind == XR_VERIFY_TEXT,
                            .count_thinking = options->count_thinking,
                            .starts_in_thinking = options->starts_in_thinking,
                            .open_answer = options->open_answer};
    XrExtraction found;
    if (pair->request->is_response) {
        xr_extract(&pair->verifier->extractor, pair->request->answer, &rules, &found);
    } else {
        xr_extract_given(&pair->verifier->extractor, pair->request->answer, &rules, &found);
    }
    bool unfinished = found.method == XR_EXTRACT_UNFINISHED_ANSWER ||
                      found.method == XR_EXTRACT_UNFINISHED_THINKING;
    pair->answer = unfinished ? xr_span(found.answer.data, 0) : found.answer;
    result->method = found.method;
    result->inner = found.inner;
    say(pair, "answer: found by %s%s%s", xr_extract_method_name(found.method),
        found.inner > XR_EXTRACT_GIVEN ? ", inside it by " : "",
        found.inner > XR_EXTRACT_GIVEN ? xr_extract_method_name(found.inner) : "");
    xr_buffer_append(&result->extracted, pair->answer.data, pair->answer.bytes);
}

static XrVerdict judge(Pair *pair) {
    const char *hidden = NULL;
    if (!xr_span_trim(pair->gold).bytes) return XR_VERDICT_UNPARSED_GOLD;
    if (!xr_span_trim(pair->answer).bytes) return XR_VERDICT_EMPTY;
    if (pair->answer.bytes > MOST_BYTES_OF_ANSWER || pair->gold.bytes > MOST_BYTES_OF_ANSWER) {
        say(pair, "length: the answer has %zu bytes, the gold answer %zu, of at most %d",
            pair->answer.bytes, pair->gold.bytes, MOST_BYTES_OF_ANSWER);
        return XR_VERDICT_OVER_LIMIT;
    }
    if (xr_hides_text(pair->answer, &hidden)) {
        say(pair, "hidden: the answer holds %s", hidden);
        return XR_VERDICT_UNPARSED;
    }
    switch (pair->kind) {
    case XR_VERIFY_CHOICE:
        return judge_choice(pair);
    case XR_VERIFY_TEXT:
        return judge_text(pair);
    case XR_VERIFY_MATH:
    case XR_VERIFY_AUTO:
        break;
    }
    return judge_math(pair);
}

static double now_microseconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e6 + (double)now.tv_nsec * 1e-3;
}

void xr_verify(XrVerifier *verifier, const XrVerifyRequest *request, XrVerifyResult *result) {
    double began = now_microseconds();
    xr_buffer_clear(&result->extracted);
    xr_buffer_clear(&result->explanation);
    Pair pair = {.verifier = verifier, .request = request};
    if (verifier->options.explain) pair.explain = &result->explanation;
    XR_REQUIRE(xr_options_set(&verifier->choices, request->options, request->option_count),
               "xr_verify: %d options, at most %d", request->option_count, XR_MAX_OPTIONS);
    pair.gold = bare_gold(verifier, request->gold);
    pair.kind = request->kind;
    if (pair.gold.bytes <= MOST_BYTES_OF_ANSWER) decide_kind(&pair);
    take_answer(&pair, result);
    result->kind = pair.kind;
    result->verdict = judge(&pair);
    result->score = result->verdict == XR_VERDICT_EQUAL;
    say(&pair, "verdict: %s", xr_verdict_name(result->verdict));
    result->microseconds = now_microseconds() - began;
}
