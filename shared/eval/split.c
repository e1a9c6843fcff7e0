// Options that stand at the end of the question's own text.
#include "shared/base/memory.h"
#include "shared/eval/adapter.h"

#include <stdlib.h>
#include <string.h>

// Whether a label of the option `index` stands at `at`; its length, or 0. Style '(' is "(A) ", ':'
// is "A: ".
static size_t label_at(const char *text, const char *at, char style, int index) {
    bool apart = at == text || at[-1] == ' ' || at[-1] == '\n';
    char letter = (char)('A' + index);
    if (!apart) return 0;
    if (style == '(') return at[0] == '(' && at[1] == letter && at[2] == ')' ? 3 : 0;
    return at[0] == letter && at[1] == ':' ? 2 : 0;
}

static const char *find_label(const char *text, const char *from, char style, int index) {
    char first = style == '(' ? '(' : (char)('A' + index);
    for (const char *at = from; (at = strchr(at, first)); at++) {
        if (label_at(text, at, style, index)) return at;
    }
    return NULL;
}

// Where the last of the known headings begins, with its length; NULL: none.
static const char *find_heading(const char *text, size_t *bytes) {
    static const char *const headings[] = {"Answer Choices:", "Options:", "Choices:"};
    const char *found = NULL;
    for (size_t i = 0; i < XR_COUNT(headings) && !found; i++) {
        for (const char *at = text; (at = strstr(at, headings[i])); at++) {
            if (at != text && at[-1] != '\n') continue;
            found = at;
            *bytes = strlen(headings[i]);
        }
    }
    return found;
}

typedef struct Split {
    size_t stem; // bytes of the question before heading and options
    XrSpan options[XR_ITEM_MOST_OPTIONS];
    int count;
} Split;

// The options from `from` on, in one style; false where fewer than two follow each other.
static bool split_from(const char *text, const char *from, char style, Split *out) {
    const char *at = find_label(text, from, style, 0);
    out->count = 0;
    while (at && out->count < XR_ITEM_MOST_OPTIONS) {
        const char *begin = at + label_at(text, at, style, out->count);
        const char *next = find_label(text, begin, style, out->count + 1);
        XrSpan option = xr_span_trim(xr_span(begin, next ? (size_t)(next - begin) : strlen(begin)));
        bool comma = next && style == ':' && option.bytes && option.data[option.bytes - 1] == ',';
        if (comma) option.bytes--;
        out->options[out->count++] = option;
        at = next;
    }
    return out->count > 1;
}

static bool find_split(const char *text, Split *out) {
    size_t heading_bytes = 0;
    const char *heading = find_heading(text, &heading_bytes);
    const char *from = heading ? heading + heading_bytes : text;
    char style = find_label(text, from, '(', 0) ? '(' : ':';
    if (!split_from(text, from, style, out)) return false;
    const char *first = find_label(text, from, style, 0);
    // Between a heading and the first option, and before one without a heading, there is only
    // space.
    const char *end = heading ? heading : first;
    if (heading && xr_span_trim(xr_span(from, (size_t)(first - from))).bytes) return false;
    if (!heading && (first == text || first[-1] != '\n')) return false;
    while (end > text && xr_is_space(end[-1])) end--;
    out->stem = (size_t)(end - text);
    return true;
}

static bool same_options(const XrItem *item, const Split *split) {
    bool same = split->count == item->option_count;
    for (int i = 0; i < item->option_count && same; i++) {
        same = xr_span_equal(split->options[i], xr_span_trim(xr_span_of(item->options[i].text)));
    }
    return same;
}

char *xr_item_split_question(XrItem *item) {
    Split split;
    if (!find_split(item->question_text, &split)) return NULL;
    if (item->option_count && !same_options(item, &split)) return NULL;
    bool known = item->option_count > 0;
    for (int i = 0; i < split.count && !known; i++) {
        char *text = xr_strndup(split.options[i].data, split.options[i].bytes);
        xr_item_add_option(item, text, NULL);
        free(text);
    }
    return xr_strndup(item->question_text, split.stem);
}
