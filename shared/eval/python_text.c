#include "shared/eval/python_text.h"

#include "shared/base/memory.h"
#include "shared/base/utf8.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <utf8proc.h>

// Python's whitespace beyond ASCII (0x1c to 0x1f count too).
static bool is_space(uint32_t c) {
    return c == ' ' || (c >= 9 && c <= 13) || (c >= 0x1c && c <= 0x1f) || c == 0x85 || c == 0xa0 ||
           c == 0x1680 || (c >= 0x2000 && c <= 0x200a) || c == 0x2028 || c == 0x2029 ||
           c == 0x202f || c == 0x205f || c == 0x3000;
}

// The character at `at`; bytes that are no character count one each.
static size_t decode(XrSpan text, size_t at, uint32_t *code) {
    int length = xr_utf8_decode(text.data + at, text.bytes - at, code);
    if (!length) *code = 0xFFFD;
    return length ? (size_t)length : 1;
}

static size_t decode_before(XrSpan text, size_t at, uint32_t *code) {
    size_t from = at - 1;
    while (from > 0 && at - from < 4 && ((unsigned char)text.data[from] & 0xC0) == 0x80) from--;
    size_t length = decode(text, from, code);
    if (from + length == at) return length;
    *code = 0xFFFD;
    return 1;
}

size_t xr_py_skip_space(XrSpan text, size_t at) {
    uint32_t code;
    while (at < text.bytes) {
        size_t length = decode(text, at, &code);
        if (!is_space(code)) break;
        at += length;
    }
    return at;
}

XrSpan xr_py_strip(XrSpan text) {
    uint32_t code;
    text = xr_span_cut(text, xr_py_skip_space(text, 0), text.bytes);
    while (text.bytes) {
        size_t length = decode_before(text, text.bytes, &code);
        if (!is_space(code)) break;
        text.bytes -= length;
    }
    return text;
}

static bool is_one_of(char c, const char *characters) {
    return c && strchr(characters, c);
}

XrSpan xr_py_strip_any(XrSpan text, const char *characters) {
    while (text.bytes && is_one_of(text.data[0], characters)) text.data++, text.bytes--;
    while (text.bytes && is_one_of(text.data[text.bytes - 1], characters)) text.bytes--;
    return text;
}

void xr_py_lower(XrSpan text, XrBuffer *out) {
    for (size_t at = 0; at < text.bytes;) {
        uint32_t code;
        size_t length = decode(text, at, &code);
        char bytes[4];
        if (code < 0x80)
            xr_buffer_byte(out, xr_lower(text.data[at]));
        else if (code == 0xFFFD)
            xr_buffer_append(out, text.data + at, length);
        else
            xr_buffer_append(
                out, bytes,
                (size_t)xr_utf8_encode((uint32_t)utf8proc_tolower((int32_t)code), bytes));
        at += length;
    }
}

static bool is_word(uint32_t c) {
    if (c < 0x80) return c == '_' || xr_is_letter((char)c) || xr_is_digit((char)c);
    switch (utf8proc_category((int32_t)c)) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO:
    case UTF8PROC_CATEGORY_ND:
    case UTF8PROC_CATEGORY_NL:
    case UTF8PROC_CATEGORY_NO:
        return true;
    default:
        return false;
    }
}

bool xr_py_word_before(XrSpan text, size_t at) {
    uint32_t code;
    if (!at) return false;
    decode_before(text, at, &code);
    return is_word(code);
}

bool xr_py_word_at(XrSpan text, size_t at) {
    uint32_t code;
    if (at >= text.bytes) return false;
    decode(text, at, &code);
    return is_word(code);
}

bool xr_py_alone(XrSpan text, size_t at) {
    return !xr_py_word_before(text, at) && !xr_py_word_at(text, at + 1);
}

size_t xr_py_rfind(XrSpan text, XrSpan needle) {
    if (needle.bytes > text.bytes) return XR_NOT_FOUND;
    for (size_t at = text.bytes - needle.bytes + 1; at-- > 0;) {
        if (!needle.bytes || memcmp(text.data + at, needle.data, needle.bytes) == 0) return at;
    }
    return XR_NOT_FOUND;
}

bool xr_py_contains(XrSpan text, XrSpan needle) {
    if (!needle.bytes) return true;
    return text.bytes && memmem(text.data, text.bytes, needle.data, needle.bytes);
}

XrSpan xr_py_after_last(XrSpan text, const char *mark) {
    // Occurrences are counted from the left and do not overlap.
    size_t length = strlen(mark), from = 0;
    for (size_t at; (at = xr_span_find(text, mark, from)) != XR_NOT_FOUND;) from = at + length;
    return xr_span_cut(text, from, text.bytes);
}

size_t xr_py_words(XrSpan text) {
    size_t count = 0;
    bool inside = false;
    for (size_t at = 0; at < text.bytes;) {
        uint32_t code;
        at += decode(text, at, &code);
        bool space = is_space(code);
        count += !space && !inside;
        inside = !space;
    }
    return count;
}

uint32_t *xr_py_characters(XrSpan text, size_t *count) {
    uint32_t *out = xr_calloc(text.bytes + 1, sizeof *out);
    *count = 0;
    for (size_t at = 0; at < text.bytes; ++*count) at += decode(text, at, &out[*count]);
    return out;
}

void xr_py_replace(XrBuffer *text, const char *from, const char *to) {
    size_t length = strlen(from), to_length = strlen(to);
    const char *next = text->length ? memmem(text->data, text->length, from, length) : NULL;
    if (!next) return;
    XrBuffer out = {0};
    const char *at = text->data, *end = text->data + text->length;
    xr_buffer_text(&out, "");
    while (next) {
        xr_buffer_append(&out, at, (size_t)(next - at));
        xr_buffer_append(&out, to, to_length);
        at = next + length;
        next = at < end ? memmem(at, (size_t)(end - at), from, length) : NULL;
    }
    xr_buffer_append(&out, at, (size_t)(end - at));
    xr_buffer_free(text);
    *text = out;
}

static bool is_named_float(const char *text) {
    static const char *const names[] = {"inf", "infinity", "nan"};
    if (*text == '+' || *text == '-') text++;
    for (size_t i = 0; i < 3; i++) {
        if (xr_span_has_at(xr_span_of(text), 0, names[i]) && !text[strlen(names[i])]) return true;
    }
    return false;
}

bool xr_py_float(XrSpan text, double *out) {
    char plain[400];
    size_t count = 0;
    text = xr_py_strip(text);
    if (!text.bytes || text.bytes >= sizeof plain) return false;
    for (size_t i = 0; i < text.bytes; i++) {
        char c = text.data[i];
        bool between = c == '_' && i && i + 1 < text.bytes && xr_is_digit(text.data[i - 1]) &&
                       xr_is_digit(text.data[i + 1]);
        if (between) continue;
        plain[count++] = c;
    }
    plain[count] = '\0';
    if (strlen(plain) != count) return false;
    bool digits = plain[strspn(plain, "+-0123456789.eE")] == '\0';
    if (!digits && !is_named_float(plain)) return false;
    char *end;
    double value = strtod(plain, &end);
    if (end == plain || *end) return false;
    *out = value;
    return true;
}

double xr_py_round(double value, int places) {
    char text[400];
    if (!isfinite(value)) return value;
    snprintf(text, sizeof text, "%.*f", places, value); // exact, and half to even
    return strtod(text, NULL);
}

void xr_py_round_text(double value, int places, XrBuffer *out) {
    value = xr_py_round(value, places);
    char text[400];
    for (int digits = 1; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*e", digits - 1, value);
        if (strtod(text, NULL) == value) break;
    }
    int exponent = atoi(strchr(text, 'e') + 1);
    int digits = (int)(strchr(text, 'e') - text) - (text[0] == '-');
    if (digits > 1) digits--; // the point
    if (exponent >= -4 && exponent < 16) {
        int shown = digits - 1 - exponent;
        xr_buffer_format(out, "%.*f", shown > 1 ? shown : 1, value);
    } else {
        xr_buffer_text(out, text);
    }
}
