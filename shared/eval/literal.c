#include "shared/eval/literal.h"

#include "shared/base/buffer.h"
#include "shared/base/memory.h"
#include "shared/base/utf8.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

static const char *skip_space(const char *at) {
    while (*at == ' ' || (*at >= '\t' && *at <= '\r')) at++;
    return at;
}

static void add_code_point(XrBuffer *out, unsigned long code) {
    char bytes[4];
    if (code > 0x10FFFF || (code >= 0xD800 && code < 0xE000) || code == 0) code = 0xFFFD;
    xr_buffer_append(out, bytes, (size_t)xr_utf8_encode((uint32_t)code, bytes));
}

// The number of `digits` digits at `at`, or of as many as there are (octal).
static const char *add_numbered(const char *at, int base, int digits, XrBuffer *out) {
    char text[9] = {0};
    int count = 0;
    while (count < digits && (base == 16 ? isxdigit((unsigned char)at[count])
                                         : at[count] >= '0' && at[count] <= '7')) {
        text[count] = at[count];
        count++;
    }
    if (base == 16 && count != digits) return NULL;
    add_code_point(out, strtoul(text, NULL, base));
    return at + count;
}

// What follows a backslash; `at` is behind it. NULL where Python would refuse.
static const char *add_escape(const char *at, XrBuffer *out) {
    static const char names[] = "\\'\"abfnrtv", values[] = "\\'\"\a\b\f\n\r\t\v";
    const char *name = *at ? strchr(names, *at) : NULL;
    if (name) {
        xr_buffer_byte(out, values[name - names]);
        return at + 1;
    }
    if (*at == '\n') return at + 1;
    if (*at == 'x') return add_numbered(at + 1, 16, 2, out);
    if (*at == 'u') return add_numbered(at + 1, 16, 4, out);
    if (*at == 'U') return add_numbered(at + 1, 16, 8, out);
    if (*at >= '0' && *at <= '7') return add_numbered(at, 8, 3, out);
    xr_buffer_byte(out, '\\'); // an escape that is none stays as it is
    return at;
}

// One string literal, prefix included; NULL where there is none or it never ends.
static const char *add_string(const char *at, XrBuffer *out) {
    bool raw = false;
    while (*at && strchr("rRuUbB", *at)) raw |= *at == 'r' || *at == 'R', at++;
    char quote = *at;
    if (quote != '\'' && quote != '"') return NULL;
    bool triple = at[1] == quote && at[2] == quote;
    at += triple ? 3 : 1;
    while (at && *at) {
        if (*at == quote && (!triple || (at[1] == quote && at[2] == quote))) {
            return at + (triple ? 3 : 1);
        }
        if (*at == '\\' && raw && at[1]) {
            xr_buffer_append(out, at, 2);
            at += 2;
        } else if (*at == '\\') {
            at = add_escape(at + 1, out);
        } else {
            xr_buffer_byte(out, *at++);
        }
    }
    return NULL;
}

static bool starts_string(const char *at) {
    for (int i = 0; i < 3; i++) {
        if (at[i] == '\'' || at[i] == '"') return true;
        if (!at[i] || !strchr("rRuUbB", at[i])) return false;
    }
    return false;
}

// Anything but a string, as it is written, up to the comma or bracket that ends it.
static const char *add_other(const char *at, XrBuffer *out) {
    const char *from = at;
    XrBuffer ignored = {0};
    int depth = 0;
    while (at && *at && (depth || !strchr(",])", *at))) {
        if (starts_string(at)) {
            xr_buffer_clear(&ignored);
            at = add_string(at, &ignored);
            continue;
        }
        if (strchr("[({", *at)) depth++;
        if (strchr("])}", *at)) depth--;
        at++;
    }
    xr_buffer_free(&ignored);
    if (!at || !*at) return NULL;
    size_t bytes = (size_t)(at - from);
    while (bytes && isspace((unsigned char)from[bytes - 1])) bytes--;
    xr_buffer_append(out, from, bytes);
    return bytes ? at : NULL;
}

static const char *add_element(const char *at, XrBuffer *out) {
    if (!starts_string(at)) return add_other(at, out);
    while (at && starts_string(at)) {
        at = add_string(at, out);
        if (at) at = skip_space(at);
    }
    return at;
}

// *inner: the last element is itself a list.
static int read_list(const char *text, char **out, int most, bool *inner) {
    const char *at = skip_space(text);
    char close = *at == '[' ? ']' : ')';
    bool list = *at == '[' || *at == '(';
    int count = 0;
    *inner = false;
    at = list ? skip_space(at + 1) : NULL;
    while (at && *at != close) {
        XrBuffer element = {0};
        *inner = !starts_string(at) && (*at == '[' || *at == '(');
        xr_buffer_text(&element, "");
        at = count < most ? add_element(at, &element) : NULL;
        if (at) {
            out[count++] = element.data;
            at = skip_space(at);
            if (*at == ',')
                at = skip_space(at + 1);
            else if (*at != close)
                at = NULL;
        } else {
            xr_buffer_free(&element);
        }
    }
    if (at && !*skip_space(at + 1)) return count;
    for (int i = 0; i < count; i++) free(out[i]);
    return -1;
}

int xr_literal_list(const char *text, char **out, int most, bool *nested) {
    bool inner, deeper;
    int count = read_list(text, out, most, &inner);
    bool whole = count == 1 && inner;
    if (nested) *nested = whole;
    if (!whole) return count;
    char *list = out[0];
    count = read_list(list, out, most, &deeper);
    free(list);
    return count;
}
