// A piece of somebody else's text: bytes that need not end in a NUL, may hold NULs and need not be
// valid UTF-8.
#ifndef XR_VERIFY_SPAN_H
#define XR_VERIFY_SPAN_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

typedef struct XrSpan {
    const char *data;
    size_t bytes;
} XrSpan;

static inline XrSpan xr_span(const char *data, size_t bytes) {
    return (XrSpan){data, bytes};
}

static inline XrSpan xr_span_of(const char *text) {
    return (XrSpan){text, strlen(text)};
}

static inline bool xr_is_space(char c) {
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static inline bool xr_is_digit(char c) {
    return c >= '0' && c <= '9';
}

static inline bool xr_is_upper(char c) {
    return c >= 'A' && c <= 'Z';
}

static inline bool xr_is_letter(char c) {
    return (c >= 'a' && c <= 'z') || xr_is_upper(c);
}

static inline char xr_lower(char c) {
    return xr_is_upper(c) ? (char)(c + 32) : c;
}

// The part of `span` from `begin` up to `end`; both are cut to its length.
static inline XrSpan xr_span_cut(XrSpan span, size_t begin, size_t end) {
    if (end > span.bytes) end = span.bytes;
    if (begin > end) begin = end;
    return xr_span(span.data + begin, end - begin);
}

static inline XrSpan xr_span_trim(XrSpan span) {
    while (span.bytes && xr_is_space(span.data[0])) span.data++, span.bytes--;
    while (span.bytes && xr_is_space(span.data[span.bytes - 1])) span.bytes--;
    return span;
}

static inline bool xr_span_is(XrSpan span, const char *text) {
    return span.bytes == strlen(text) && memcmp(span.data, text, span.bytes) == 0;
}

static inline bool xr_span_equal(XrSpan a, XrSpan b) {
    return a.bytes == b.bytes && (!a.bytes || memcmp(a.data, b.data, a.bytes) == 0);
}

// Whether `span` goes on with `text` (lower-case ASCII) at `at`, in any case.
static inline bool xr_span_has_at(XrSpan span, size_t at, const char *text) {
    for (; *text; text++, at++) {
        if (at >= span.bytes || xr_lower(span.data[at]) != *text) return false;
    }
    return true;
}

// Whether the word `text` (lower-case ASCII) stands at `at`, in any case, with no letter after it.
static inline bool xr_span_word_at(XrSpan span, size_t at, const char *text) {
    size_t end = at + strlen(text);
    return xr_span_has_at(span, at, text) && (end >= span.bytes || !xr_is_letter(span.data[end]));
}

#define XR_NOT_FOUND ((size_t)-1)

// Where `text` (exact bytes) first stands at or after `from`.
static inline size_t xr_span_find(XrSpan span, const char *text, size_t from) {
    if (from >= span.bytes) return XR_NOT_FOUND;
    const char *at = memmem(span.data + from, span.bytes - from, text, strlen(text));
    return at ? (size_t)(at - span.data) : XR_NOT_FOUND;
}

// Where `text` (lower-case ASCII) last begins before `before`, in any case.
static inline size_t xr_span_find_last(XrSpan span, const char *text, size_t before) {
    size_t length = strlen(text);
    if (span.bytes < length) return XR_NOT_FOUND;
    if (before > span.bytes - length + 1) before = span.bytes - length + 1;
    for (size_t at = before; at-- > 0;) {
        if (xr_lower(span.data[at]) == text[0] && xr_span_has_at(span, at, text)) return at;
    }
    return XR_NOT_FOUND;
}

#endif
