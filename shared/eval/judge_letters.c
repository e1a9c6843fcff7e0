// Official rules that look for a letter: MMLU-Pro, MMStar, MedXpertQA; and for the option that is
// most like the response: OmniMedVQA.
#include "shared/eval/difflib.h"
#include "shared/eval/official.h"
#include "shared/eval/python_text.h"

#include <stdio.h>
#include <string.h>

static bool is_gold(const XrItem *item, char letter) {
    for (int i = 0; i < item->gold_count; i++) {
        if (item->golds[i][0] == letter) return true;
    }
    return false;
}

static void take_letter(const XrItem *item, char letter, XrOfficialResult *out) {
    xr_buffer_byte(&out->extracted, letter);
    out->status = XR_OFFICIAL_READ;
    out->right = is_gold(item, letter);
}

// ---- MMLU-Pro ----

static bool is_option(char c) {
    return c >= 'A' && c <= 'J';
}

// answer is \(?([A-J])\)?
static char after_answer_is(XrSpan text) {
    static const char phrase[] = "answer is ";
    for (size_t at = 0; (at = xr_span_find(text, phrase, at)) != XR_NOT_FOUND; at++) {
        size_t letter = at + sizeof phrase - 1;
        if (letter < text.bytes && text.data[letter] == '(') letter++;
        if (letter < text.bytes && is_option(text.data[letter])) return text.data[letter];
    }
    return 0;
}

// The letter after "nswer:" at `at` and any space, line ends too.
static char letter_after_colon(XrSpan text, size_t at) {
    at = xr_py_skip_space(text, at);
    return at < text.bytes && is_option(text.data[at]) ? text.data[at] : 0;
}

// .*[aA]nswer:\s*([A-J]): in the first line that has one, the last.
static char after_answer_colon(XrSpan text) {
    for (size_t line = 0; line < text.bytes;) {
        const char *newline = memchr(text.data + line, '\n', text.bytes - line);
        size_t end = newline ? (size_t)(newline - text.data) : text.bytes;
        for (size_t at = end; at-- > line;) {
            if (!xr_span_has_at(text, at, "answer:") ||
                memcmp(text.data + at + 1, "nswer:", 6) != 0) {
                continue;
            }
            char letter = letter_after_colon(text, at + 7);
            if (letter) return letter;
        }
        line = end + 1;
    }
    return 0;
}

// The last \b[A-J]\b.
static char last_alone(XrSpan text) {
    for (size_t at = text.bytes; at-- > 0;) {
        if (is_option(text.data[at]) && xr_py_alone(text, at)) return text.data[at];
    }
    return 0;
}

void xr_official_mmlu_pro(const XrItem *item, XrSpan response, XrOfficialResult *out) {
    char letter = after_answer_is(response);
    if (!letter) letter = after_answer_colon(response);
    if (!letter) letter = last_alone(response);
    if (letter)
        take_letter(item, letter, out);
    else
        out->status = XR_OFFICIAL_RANDOM;
}

// ---- MMStar: the letter is where the response begins ----

void xr_official_mmstar(const XrItem *item, XrSpan response, XrOfficialResult *out) {
    static const char *const openings[] = {"", "(", "option ", "the answer is "};
    XrBuffer lower = {0};
    xr_buffer_text(&lower, "");
    xr_py_lower(xr_py_strip(response), &lower);
    for (size_t i = 0; i < 4; i++) {
        size_t at = strlen(openings[i]);
        if (strncmp(lower.data, openings[i], at) != 0 || lower.length <= at) continue;
        char letter = (char)(lower.data[at] - 'a' + 'A');
        if (!is_gold(item, letter)) continue;
        take_letter(item, letter, out);
        break;
    }
    // The code asks only whether the gold letter is there; what else is there it does not say.
    char first = lower.length ? (char)(lower.data[0] - 'a' + 'A') : 0;
    if (!out->right && first >= 'A' && first < 'A' + item->option_count) {
        take_letter(item, first, out);
    }
    xr_buffer_free(&lower);
}

// ---- MedXpertQA ----

void xr_official_medxpertqa(const XrItem *item, XrSpan response, XrOfficialResult *out) {
    char cue[64];
    snprintf(cue, sizeof cue, "among A through %c, the answer is",
             'A' + (item->option_count ? item->option_count - 1 : 4));
    XrSpan text = xr_py_after_last(response, cue);
    if (text.bytes == response.bytes) text = xr_py_after_last(response, " answer is ");
    for (size_t at = 0; at < text.bytes; at++) {
        char c = text.data[at];
        if (c >= 'A' && c < 'A' + item->option_count && xr_py_alone(text, at)) {
            take_letter(item, c, out);
            return;
        }
    }
}

// ---- OmniMedVQA ----

void xr_official_omnimedvqa(const XrItem *item, XrSpan response, XrOfficialResult *out) {
    int best = -1;
    double most = -1;
    for (int i = 0; i < item->option_count; i++) {
        double ratio = xr_difflib_ratio(xr_span_of(item->options[i].text), response);
        if (ratio > most) {
            most = ratio;
            best = i;
        }
    }
    if (best < 0) return;
    xr_buffer_text(&out->extracted, item->options[best].text);
    out->status = XR_OFFICIAL_READ;
    out->right = strcmp(item->options[best].text, item->published_gold) == 0;
}
