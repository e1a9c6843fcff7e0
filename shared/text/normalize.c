// Normalisation form C (The Unicode Standard, section 3.11): decompose canonically, sort marks by
// combining class, compose. Done only where a character needs it: from the last stable character
// before an unstable one to the next stable one.
#include "shared/text/unicode.h"

#include "shared/base/memory.h"
#include "shared/base/utf8.h"
#include "shared/text/unicode_internal.h"

#include <stdlib.h>
#include <string.h>

// A sequence of decomposed characters; `sorted` is room for sorting.
typedef struct Sequence {
    uint32_t *code, *sorted;
    size_t count, capacity;
} Sequence;

static void push(Sequence *s, uint32_t c) {
    if (s->count == s->capacity) {
        s->capacity = s->capacity ? 2 * s->capacity : 64;
        s->code = xr_realloc(s->code, s->capacity * sizeof *s->code);
        s->sorted = xr_realloc(s->sorted, s->capacity * sizeof *s->sorted);
    }
    s->code[s->count++] = c;
}

static void decompose(Sequence *s, uint32_t c) {
    if (c >= XR_HANGUL_S && c < XR_HANGUL_S + XR_HANGUL_SS) {
        uint32_t index = c - XR_HANGUL_S, last = index % XR_HANGUL_TS;
        push(s, XR_HANGUL_L + index / (XR_HANGUL_VS * XR_HANGUL_TS));
        push(s, XR_HANGUL_V + index / XR_HANGUL_TS % XR_HANGUL_VS);
        if (last) push(s, XR_HANGUL_T + last);
        return;
    }
    const uint32_t *row = xr_unicode_decomposition(c);
    if (!row) {
        push(s, c);
        return;
    }
    decompose(s, row[1]);
    if (row[2]) decompose(s, row[2]);
}

// Sorts marks[0..count) by class, equal ones in their order.
static void sort_marks(uint32_t *marks, uint32_t *room, size_t count) {
    if (count <= 16) {
        for (size_t i = 1; i < count; i++) {
            uint32_t c = marks[i];
            size_t to = i;
            for (; to && xr_unicode_combining(marks[to - 1]) > xr_unicode_combining(c); to--) {
                marks[to] = marks[to - 1];
            }
            marks[to] = c;
        }
        return;
    }
    size_t start[257] = {0};
    for (size_t i = 0; i < count; i++) start[xr_unicode_combining(marks[i]) + 1]++;
    for (int class = 1; class < 257; class ++) start[class] += start[class - 1];
    for (size_t i = 0; i < count; i++) room[start[xr_unicode_combining(marks[i])]++] = marks[i];
    memcpy(marks, room, count * sizeof *marks);
}

static void reorder(Sequence *s) {
    for (size_t i = 0; i < s->count;) {
        size_t end = i;
        while (end < s->count && xr_unicode_combining(s->code[end])) end++;
        if (end - i > 1) sort_marks(s->code + i, s->sorted + i, end - i);
        i = end + 1;
    }
}

static uint32_t compose_pair(uint32_t first, uint32_t second) {
    uint32_t lead = first - XR_HANGUL_L, vowel = second - XR_HANGUL_V;
    if (lead < XR_HANGUL_LS && vowel < XR_HANGUL_VS) {
        return XR_HANGUL_S + (lead * XR_HANGUL_VS + vowel) * XR_HANGUL_TS;
    }
    uint32_t index = first - XR_HANGUL_S, last = second - XR_HANGUL_T;
    if (index < XR_HANGUL_SS && index % XR_HANGUL_TS == 0 && last && last < XR_HANGUL_TS) {
        return first + last;
    }
    return xr_unicode_composite(first, second);
}

// Joins characters to the last starter unless one of the same or a higher class stands between.
static void compose(Sequence *s) {
    size_t starter = SIZE_MAX, out = 0;
    int last = 0; // class of the character before, 256 where it blocks a starter
    for (size_t i = 0; i < s->count; i++) {
        uint32_t c = s->code[i];
        int class = xr_unicode_combining(c);
        bool free = starter != SIZE_MAX && (out == starter + 1 || last < class);
        uint32_t whole = free ? compose_pair(s->code[starter], c) : 0;
        if (whole) {
            s->code[starter] = whole;
            continue;
        }
        if (class == 0) starter = out;
        last = class;
        s->code[out++] = c;
    }
    s->count = out;
}

static void flush(Sequence *s, XrBuffer *out) {
    reorder(s);
    compose(s);
    for (size_t i = 0; i < s->count; i++) {
        char bytes[4];
        xr_buffer_append(out, bytes, (size_t)xr_utf8_encode(s->code[i], bytes));
    }
    s->count = 0;
}

void xr_unicode_nfc(const char *text, size_t bytes, XrBuffer *out) {
    const uint8_t *class = xr_unicode_classes();
    Sequence s = {0};
    size_t copied = 0, stable = 0, i = 0; // `stable`: where the last stable character starts
    xr_buffer_reserve(out, bytes);
    while (i < bytes) {
        uint32_t c;
        int length = xr_utf8_decode(text + i, bytes - i, &c);
        XR_REQUIRE(length, "text that is not UTF-8 at byte %zu", i);
        if (!(class[c] & XR_CHAR_UNSTABLE)) {
            stable = i;
            i += (size_t)length;
            continue;
        }
        xr_buffer_append(out, text + copied, stable - copied);
        for (i = stable; i < bytes; i += (size_t)length) {
            length = xr_utf8_decode(text + i, bytes - i, &c);
            if (i > stable && !(class[c] & XR_CHAR_UNSTABLE)) break;
            decompose(&s, c);
        }
        flush(&s, out);
        copied = stable = i;
    }
    xr_buffer_append(out, text + copied, bytes - copied);
    free(s.code);
    free(s.sorted);
}
