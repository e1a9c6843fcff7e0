// Official rules for numbers: GSM8K, AIME.
#include "shared/base/memory.h"
#include "shared/eval/official.h"
#include "shared/eval/python_text.h"

#include <stdlib.h>
#include <string.h>

// The first "#### " before characters of -?[0-9.,]+, without commas.
static bool after_hashes(XrSpan text, XrBuffer *out) {
    static const char mark[] = "#### ";
    for (size_t at = 0; (at = xr_span_find(text, mark, at)) != XR_NOT_FOUND; at++) {
        size_t from = at + sizeof mark - 1, end = from;
        if (end < text.bytes && text.data[end] == '-') end++;
        size_t first = end;
        while (end < text.bytes &&
               (xr_is_digit(text.data[end]) || text.data[end] == '.' || text.data[end] == ',')) {
            end++;
        }
        if (end == first) continue;
        for (size_t i = from; i < end; i++) {
            if (text.data[i] != ',') xr_buffer_byte(out, text.data[i]);
        }
        return true;
    }
    return false;
}

void xr_official_gsm8k(const XrItem *item, XrSpan response, XrOfficialResult *out) {
    XrBuffer gold = {0};
    if (!after_hashes(response, &out->extracted)) return;
    xr_buffer_text(&gold, item->published_gold);
    xr_py_replace(&gold, ",", "");
    out->status = XR_OFFICIAL_READ;
    out->right = strcmp(gold.data, out->extracted.data) == 0;
    xr_buffer_free(&gold);
}

// The inside of the last \boxed{…}, braces balanced.
static bool last_box(XrSpan text, XrSpan *out) {
    static const char mark[] = "\\boxed{";
    size_t from = xr_py_rfind(text, xr_span_of(mark));
    if (from == XR_NOT_FOUND) return false;
    from += sizeof mark - 1;
    int depth = 1;
    for (size_t at = from; at < text.bytes; at++) {
        depth += (text.data[at] == '{') - (text.data[at] == '}');
        if (depth) continue;
        *out = xr_span_cut(text, from, at);
        return true;
    }
    return false;
}

static bool after_answer(XrSpan text, XrSpan *out) {
    static const char mark[] = "answer:";
    size_t at = xr_span_find_last(text, mark, text.bytes);
    if (at == XR_NOT_FOUND) return false;
    text = xr_span_cut(text, at + sizeof mark - 1, text.bytes);
    size_t end = xr_span_find(text, "\n", 0);
    *out = xr_span_cut(text, 0, end == XR_NOT_FOUND ? text.bytes : end);
    return true;
}

void xr_official_aime(const XrItem *item, XrSpan response, XrOfficialResult *out) {
    XrSpan answer;
    if (!last_box(response, &answer) && !after_answer(response, &answer)) return;
    answer = xr_py_strip_any(xr_py_strip(answer), "$*. ");
    bool digits = answer.bytes > 0;
    for (size_t i = 0; i < answer.bytes; i++) digits &= xr_is_digit(answer.data[i]);
    size_t zeros = 0;
    while (digits && zeros + 1 < answer.bytes && answer.data[zeros] == '0') zeros++;
    answer = xr_span_cut(answer, zeros, answer.bytes);
    xr_buffer_append(&out->extracted, answer.data, answer.bytes);
    out->status = XR_OFFICIAL_READ;
    out->right = digits && strcmp(out->extracted.data, item->golds[0]) == 0;
}
