#include "shared/verify/restate.h"

#include "shared/base/buffer.h"

enum { LEAST_BYTES = 3, MOST_BYTES = 4000 };

// Appends `text` without what does not change its meaning.
static void squeeze(XrSpan text, XrBuffer *out) {
    static const char *const skipped[] = {
        "\\left", "\\right", "\\displaystyle", "\\,", "\\;", "\\!", "\\(", "\\)", "\\[", "\\]"};
    for (size_t at = 0; at < text.bytes;) {
        size_t skip = 0;
        for (size_t i = 0; text.data[at] == '\\' && i < sizeof skipped / sizeof *skipped && !skip;
             i++) {
            if (xr_span_has_at(text, at, skipped[i])) skip = strlen(skipped[i]);
        }
        char c = text.data[at];
        if (skip)
            at += skip;
        else if (xr_is_space(c) || c == '$')
            at++;
        else
            xr_buffer_byte(out, c), at++;
    }
}

// Whether something remains to be worked out in a squeezed expression.
static bool has_operation(XrSpan text) {
    static const char *const operations[] = {
        "\\times", "\\cdot", "\\div", "\\sqrt", "\\int",  "\\sum", "\\binom", "\\sin",  "\\cos",
        "\\tan",   "\\log",  "\\ln",  "\\lim",  "\\prod", "\\arc", "\\bmod",  "\\pmod", "\\det"};
    for (size_t i = 0; i < sizeof operations / sizeof *operations; i++) {
        if (xr_span_find(text, operations[i], 0) != XR_NOT_FOUND) return true;
    }
    for (size_t at = 1; at + 1 < text.bytes; at++) {
        char c = text.data[at];
        if (c == '+' || c == '*' || c == '^' || c == '!') return true;
        if (c == '-' && !strchr("(,{=", text.data[at - 1])) return true;
    }
    return text.bytes && text.data[text.bytes - 1] == '!';
}

bool xr_restates(XrSpan question, XrSpan gold, XrSpan answer) {
    if (!question.bytes || answer.bytes < LEAST_BYTES || answer.bytes > MOST_BYTES) return false;
    XrBuffer asked = {0}, given = {0}, wanted = {0};
    squeeze(answer, &given);
    XrSpan text = xr_span(given.data, given.length);
    bool found = text.bytes >= LEAST_BYTES && has_operation(text);
    if (found) {
        squeeze(gold, &wanted);
        squeeze(question, &asked);
        found = !xr_span_equal(text, xr_span(wanted.data, wanted.length)) && asked.length &&
                memmem(asked.data, asked.length, text.data, text.bytes) != NULL;
    }
    xr_buffer_free(&asked);
    xr_buffer_free(&given);
    xr_buffer_free(&wanted);
    return found;
}
