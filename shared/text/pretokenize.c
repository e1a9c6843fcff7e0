#include "shared/text/pretokenize.h"

#include "shared/text/unicode.h"

#include <stdbool.h>

const char XR_PRETOKEN_REGEX[] = "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}"
                                 "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*"
                                 "|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";

typedef struct Text {
    const uint8_t *classes;
    const unsigned char *s;
    size_t bytes;
} Text;

// The class of the character at `at` < bytes, and where it ends. The text is known to be valid.
static inline int class_at(const Text *t, size_t at, size_t *end) {
    const unsigned char *s = t->s + at;
    uint32_t c = s[0];
    if (c < 0x80) {
        *end = at + 1;
    } else if (c < 0xE0) {
        c = (c & 0x1F) << 6 | (s[1] & 0x3Fu);
        *end = at + 2;
    } else if (c < 0xF0) {
        c = (c & 0x0F) << 12 | (s[1] & 0x3Fu) << 6 | (s[2] & 0x3Fu);
        *end = at + 3;
    } else {
        c = (c & 0x07) << 18 | (s[1] & 0x3Fu) << 12 | (s[2] & 0x3Fu) << 6 | (s[3] & 0x3Fu);
        *end = at + 4;
    }
    return t->classes[c] & XR_CHAR_CLASS;
}

// The end of the run of characters of one class that starts at `at`.
static inline size_t run_end(const Text *t, size_t at, int class) {
    size_t end;
    while (at < t->bytes && class_at(t, at, &end) == class) at = end;
    return at;
}

static inline bool is_newline(unsigned char c) {
    return c == '\n' || c == '\r';
}

// The end of a contraction (an apostrophe and letters of either case) at `at`, or `at` itself.
// Under Unicode's case folding U+017F, the long s, is an s too.
static size_t contraction_end(const Text *t, size_t at) {
    const unsigned char *s = t->s + at;
    size_t left = t->bytes - at;
    if (left < 2) return at;
    unsigned char a = s[1] | 0x20;
    if (s[1] < 0x80 && (a == 's' || a == 't' || a == 'm' || a == 'd')) return at + 2;
    if (left < 3) return at;
    if (s[1] == 0xC5 && s[2] == 0xBF) return at + 3;
    unsigned char b = s[2] | 0x20;
    bool pair = (a == 'r' && b == 'e') || (a == 'v' && b == 'e') || (a == 'l' && b == 'l');
    return pair && s[1] < 0x80 && s[2] < 0x80 ? at + 3 : at;
}

// \s*[\r\n]+ | \s+(?!\S) | \s+ on the white space that starts at `at`: up to its last line end, or
// else, where something follows, all but its last character, but at least one.
static size_t space_end(const Text *t, size_t at) {
    size_t i = at, end, last = at, newline = at;
    while (i < t->bytes && class_at(t, i, &end) == XR_CHAR_SPACE) {
        if (is_newline(t->s[i])) newline = end;
        last = i;
        i = end;
    }
    if (newline > at) return newline;
    return i < t->bytes && last > at ? last : i;
}

size_t xr_pretoken_end(const uint8_t *classes, const char *text, size_t bytes, size_t at) {
    const Text t = {classes, (const unsigned char *)text, bytes};
    unsigned char c = t.s[at];
    size_t end, next;
    int class = class_at(&t, at, &end);
    if (class == XR_CHAR_LETTER) return run_end(&t, end, XR_CHAR_LETTER);
    if (class == XR_CHAR_NUMBER) return end;
    if (c == '\'') {
        size_t contraction = contraction_end(&t, at);
        if (contraction > at) return contraction;
    }
    int after = end < bytes ? class_at(&t, end, &next) : XR_CHAR_SPACE;
    if (after == XR_CHAR_LETTER && !is_newline(c)) return run_end(&t, next, XR_CHAR_LETTER);
    if (class == XR_CHAR_SPACE && !(c == ' ' && after == XR_CHAR_OTHER)) return space_end(&t, at);
    size_t other = run_end(&t, end, XR_CHAR_OTHER);
    while (other < bytes && is_newline(t.s[other])) other++;
    return other;
}
