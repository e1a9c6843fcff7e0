#include "shared/base/utf8.h"

#include <string.h>

// How many bytes of a well-formed character start here: `*have` of `*want` (Unicode 15, table 3-7).
static bool scan(const unsigned char *s, size_t bytes, size_t *have, size_t *want) {
    unsigned lo = 0x80, hi = 0xBF;
    *have = *want = 0;
    if (bytes == 0) return false;
    if (s[0] < 0x80) {
        *have = *want = 1;
        return true;
    }
    if (s[0] >= 0xC2 && s[0] <= 0xDF)
        *want = 2;
    else if (s[0] >= 0xE0 && s[0] <= 0xEF)
        *want = 3;
    else if (s[0] >= 0xF0 && s[0] <= 0xF4)
        *want = 4;
    else
        return false;
    if (s[0] == 0xE0) lo = 0xA0;
    if (s[0] == 0xED) hi = 0x9F;
    if (s[0] == 0xF0) lo = 0x90;
    if (s[0] == 0xF4) hi = 0x8F;
    *have = 1;
    while (*have < *want && *have < bytes && s[*have] >= lo && s[*have] <= hi) {
        ++*have;
        lo = 0x80;
        hi = 0xBF;
    }
    return *have == *want;
}

int xr_utf8_decode(const char *text, size_t bytes, uint32_t *code_point) {
    const unsigned char *s = (const unsigned char *)text;
    size_t have, want;
    if (!scan(s, bytes, &have, &want)) return 0;
    switch (want) {
    case 1:
        *code_point = s[0];
        break;
    case 2:
        *code_point = (s[0] & 0x1Fu) << 6 | (s[1] & 0x3Fu);
        break;
    case 3:
        *code_point = (s[0] & 0x0Fu) << 12 | (s[1] & 0x3Fu) << 6 | (s[2] & 0x3Fu);
        break;
    default:
        *code_point =
            (s[0] & 0x07u) << 18 | (s[1] & 0x3Fu) << 12 | (s[2] & 0x3Fu) << 6 | (s[3] & 0x3Fu);
    }
    return (int)want;
}

int xr_utf8_encode(uint32_t c, char *out) {
    if (c < 0x80) {
        out[0] = (char)c;
        return 1;
    }
    if (c < 0x800) {
        out[0] = (char)(0xC0 | c >> 6);
        out[1] = (char)(0x80 | (c & 0x3F));
        return 2;
    }
    if (c < 0x10000) {
        out[0] = (char)(0xE0 | c >> 12);
        out[1] = (char)(0x80 | (c >> 6 & 0x3F));
        out[2] = (char)(0x80 | (c & 0x3F));
        return 3;
    }
    out[0] = (char)(0xF0 | c >> 18);
    out[1] = (char)(0x80 | (c >> 12 & 0x3F));
    out[2] = (char)(0x80 | (c >> 6 & 0x3F));
    out[3] = (char)(0x80 | (c & 0x3F));
    return 4;
}

size_t xr_utf8_mark(const char *text, size_t bytes) {
    return bytes >= 3 && memcmp(text, "\xEF\xBB\xBF", 3) == 0 ? 3 : 0;
}

size_t xr_utf8_valid_prefix(const char *text, size_t bytes) {
    const unsigned char *s = (const unsigned char *)text;
    size_t at = 0, have, want;
    while (at < bytes) {
        uint64_t eight;
        if (bytes - at >= sizeof eight) {
            memcpy(&eight, s + at, sizeof eight);
            if ((eight & 0x8080808080808080u) == 0) {
                at += sizeof eight;
                continue;
            }
        }
        if (!scan(s + at, bytes - at, &have, &want)) break;
        at += want;
    }
    return at;
}

size_t xr_utf8_invalid_length(const char *text, size_t bytes, bool *incomplete) {
    size_t have, want;
    bool whole = scan((const unsigned char *)text, bytes, &have, &want);
    *incomplete = !whole && have > 0 && have == bytes;
    return have > 0 ? have : 1;
}

const char *xr_utf8_shown(const char *text) {
    static _Thread_local char shown[8][128];
    static _Thread_local unsigned next;
    char *out = shown[next++ % 8];
    size_t length = 0;
    for (size_t left = strlen(text); left > 0;) {
        uint32_t c;
        int size = xr_utf8_decode(text, left, &c);
        bool plain = size > 0 && c >= 0x20 && !(c >= 0x7F && c < 0xA0);
        size_t step = size > 0 ? (size_t)size : 1;
        if (length + step > 117) {
            memcpy(out + length, "...", 3);
            length += 3;
            break;
        }
        if (plain)
            memcpy(out + length, text, step);
        else
            out[length] = '?';
        length += plain ? step : 1;
        text += step;
        left -= step;
    }
    out[length] = '\0';
    return out;
}
