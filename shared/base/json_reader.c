#include "shared/base/json_reader.h"

#include "shared/base/utf8.h"

#include <string.h>

static bool stop(XrJsonReader *r, XrStatus status, const char *problem) {
    if (!r->failed) {
        xr_json_fail(r->err, status, r->name, r->text, (size_t)(r->at - r->text), problem);
    }
    r->failed = true;
    return false;
}

static bool malformed(XrJsonReader *r) {
    bool nul = r->at < r->end && *r->at == '\0';
    return stop(r, XR_ERR_INPUT, nul ? "a NUL byte in JSON" : "not valid JSON from here on");
}

bool xr_json_reader_start(XrJsonReader *r, const char *name, const char *text, size_t bytes,
                          const XrJsonLimits *limits, XrError *err) {
    *r = (XrJsonReader){.name = name, .text = text, .limits = limits, .err = err};
    r->at = text + xr_utf8_mark(text, bytes);
    r->end = text + bytes;
    r->failed = !xr_json_check_text(name, text, bytes, limits, err);
    return !r->failed;
}

void xr_json_reader_end(XrJsonReader *r) {
    xr_buffer_free(&r->scratch);
}

char xr_json_reader_peek(XrJsonReader *r) {
    const char *p = r->at, *end = r->end;
    while (p < end && (*p == ' ' || *p == '\n' || *p == '\r' || *p == '\t')) p++;
    r->at = p;
    return r->failed || p == end ? '\0' : *p;
}

// Every value is counted when it is begun, every key too.
static bool begin(XrJsonReader *r) {
    if (r->failed) return false;
    if (++r->nodes <= r->limits->nodes) return true;
    return stop(r, XR_ERR_LIMIT, "JSON holds too many values");
}

bool xr_json_reader_enter(XrJsonReader *r, char open) {
    if (!begin(r)) return false;
    if (xr_json_reader_peek(r) != open) return malformed(r);
    if (++r->depth > r->limits->depth) return stop(r, XR_ERR_LIMIT, "JSON is nested too deeply");
    r->at++;
    return true;
}

// Whether another item or member comes; otherwise steps out. Only right behind the bracket that
// opens, none of which ends a value, no comma is needed.
static bool more(XrJsonReader *r, char open, char close) {
    if (r->failed) return false;
    bool first = r->at[-1] == open;
    char c = xr_json_reader_peek(r);
    if (c == close) {
        r->depth--;
        r->at++;
        return false;
    }
    if (first) return true;
    if (c != ',') return malformed(r);
    r->at++;
    return true;
}

bool xr_json_reader_item(XrJsonReader *r) {
    return more(r, '[', ']');
}

// ---- strings ----

static int hex4(const char *p) {
    int value = 0;
    for (int i = 0; i < 4; i++) {
        char c = p[i], low = (char)(c | 0x20);
        int digit = c >= '0' && c <= '9' ? c - '0' : low >= 'a' && low <= 'f' ? low - 'a' + 10 : -1;
        if (digit < 0) return -1;
        value = value << 4 | digit;
    }
    return value;
}

// The character that an escape stands for; returns the escape's length, or 0 where it is none.
static size_t read_escape(const char *p, const char *end, uint32_t *character) {
    static const char NAMES[] = "\"\\/bfnrt", VALUES[] = "\"\\/\b\f\n\r\t";
    if (end - p < 2) return 0;
    const char *name = p[1] ? strchr(NAMES, p[1]) : NULL;
    if (name) {
        *character = (uint32_t)VALUES[name - NAMES];
        return 2;
    }
    int high = p[1] == 'u' && end - p >= 6 ? hex4(p + 2) : -1;
    if (high < 0 || (high >= 0xDC00 && high < 0xE000)) return 0;
    *character = (uint32_t)high;
    if (high < 0xD800 || high >= 0xE000) return 6;
    int low = end - p >= 12 && p[6] == '\\' && p[7] == 'u' ? hex4(p + 8) : -1;
    if (low < 0xDC00 || low >= 0xE000) return 0;
    *character = 0x10000 + (((uint32_t)high & 0x3FF) << 10 | ((uint32_t)low & 0x3FF));
    return 12;
}

// Passes over a string, which starts behind the opening quote.
static bool pass_string(XrJsonReader *r, bool *escapes) {
    *escapes = false;
    if (xr_json_reader_peek(r) != '"') return malformed(r);
    const char *p = r->at + 1, *end = r->end;
    for (;;) {
        while (p < end && *p != '"' && *p != '\\' && (unsigned char)*p >= 0x20) p++;
        if (p < end && *p == '"') break;
        uint32_t character;
        size_t length = p < end && *p == '\\' ? read_escape(p, end, &character) : 0;
        if (length == 0) {
            r->at = p;
            return malformed(r);
        }
        *escapes = true;
        p += length;
    }
    r->at = p + 1;
    return true;
}

static void unescape(XrBuffer *out, const char *p, const char *end) {
    xr_buffer_clear(out);
    xr_buffer_reserve(out, (size_t)(end - p)); // no escape is shorter than what it stands for
    char *to = out->data;
    while (p < end) {
        uint32_t character = 0;
        if (*p != '\\') {
            *to++ = *p++;
            continue;
        }
        p += read_escape(p, end, &character);
        to += xr_utf8_encode(character, to);
    }
    *to = '\0';
    out->length = (size_t)(to - out->data);
}

bool xr_json_reader_string(XrJsonReader *r, const char **text, size_t *bytes) {
    bool escapes;
    if (!begin(r)) return false;
    xr_json_reader_peek(r);
    const char *start = r->at + 1;
    if (!pass_string(r, &escapes)) return false;
    *text = start;
    *bytes = (size_t)(r->at - 1 - start);
    if (escapes) {
        unescape(&r->scratch, start, r->at - 1);
        *text = r->scratch.data;
        *bytes = r->scratch.length;
    }
    return true;
}

static bool pass_colon(XrJsonReader *r) {
    if (xr_json_reader_peek(r) != ':') return malformed(r);
    r->at++;
    return true;
}

bool xr_json_reader_member(XrJsonReader *r, const char **key, size_t *bytes) {
    return more(r, '{', '}') && xr_json_reader_string(r, key, bytes) && pass_colon(r);
}

// ---- numbers, words, and values of any kind ----

static size_t digits(const char *p, const char *end) {
    const char *start = p;
    while (p < end && *p >= '0' && *p <= '9') p++;
    return (size_t)(p - start);
}

// Passes over a number; whether it has neither a fraction nor an exponent.
static bool pass_number(XrJsonReader *r, bool *whole) {
    const char *p = r->at, *end = r->end;
    if (p < end && *p == '-') p++;
    size_t count = digits(p, end);
    bool valid = count == 1 || (count > 1 && *p != '0');
    p += count;
    *whole = true;
    if (valid && p < end && *p == '.') {
        count = digits(++p, end);
        valid = count > 0;
        p += count;
        *whole = false;
    }
    if (valid && p < end && (*p | 0x20) == 'e') {
        p++;
        if (p < end && (*p == '+' || *p == '-')) p++;
        count = digits(p, end);
        valid = count > 0;
        p += count;
        *whole = false;
    }
    if (!valid) return malformed(r);
    r->at = p;
    return true;
}

static bool pass_word(XrJsonReader *r) {
    static const char *const WORDS[] = {"true", "false", "null"};
    for (int i = 0; i < 3; i++) {
        size_t length = strlen(WORDS[i]);
        if ((size_t)(r->end - r->at) >= length && memcmp(r->at, WORDS[i], length) == 0) {
            r->at += length;
            return true;
        }
    }
    return malformed(r);
}

bool xr_json_reader_whole(XrJsonReader *r, int64_t *number, bool *whole) {
    char c = xr_json_reader_peek(r);
    *whole = false;
    if (c != '-' && (c < '0' || c > '9')) return xr_json_reader_skip(r, NULL);
    const char *p = r->at + (c == '-');
    if (!begin(r) || !pass_number(r, whole)) return false;
    *whole = *whole && r->at - p <= 15;
    if (!*whole) return true;
    int64_t value = 0;
    for (; p < r->at; p++) value = 10 * value + (*p - '0');
    *number = c == '-' ? -value : value;
    return true;
}

static bool skip_items(XrJsonReader *r, size_t *count) {
    if (!xr_json_reader_enter(r, '[')) return false;
    while (xr_json_reader_item(r) && xr_json_reader_skip(r, NULL)) ++*count;
    return !r->failed;
}

static bool skip_members(XrJsonReader *r, size_t *count) {
    bool escapes;
    if (!xr_json_reader_enter(r, '{')) return false;
    while (more(r, '{', '}') && begin(r) && pass_string(r, &escapes) && pass_colon(r) &&
           xr_json_reader_skip(r, NULL)) {
        ++*count;
    }
    return !r->failed;
}

// Recursive only as deep as the limits allow.
bool xr_json_reader_skip(XrJsonReader *r, size_t *count) {
    size_t unused;
    bool flag;
    count = count ? count : &unused;
    *count = 0;
    switch (xr_json_reader_peek(r)) {
    case '[':
        return skip_items(r, count);
    case '{':
        return skip_members(r, count);
    case '"':
        return begin(r) && pass_string(r, &flag);
    case 't':
    case 'f':
    case 'n':
        return begin(r) && pass_word(r);
    default:
        return begin(r) && pass_number(r, &flag);
    }
}

bool xr_json_reader_finish(XrJsonReader *r) {
    xr_json_reader_peek(r);
    if (r->failed || r->at == r->end) return !r->failed;
    return stop(r, XR_ERR_INPUT, "more text after the JSON value");
}
