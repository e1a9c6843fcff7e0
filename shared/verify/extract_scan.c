#include "shared/verify/extract_scan.h"

// ---- thinking ----

typedef struct Tag {
    size_t begin, end; // end == begin: none
    bool closes;
} Tag;

static const struct {
    const char *text;
    bool closes;
} THINKING_TAGS[] = {{"<think>", false},
                     {"</think>", true},
                     {"<|begin_of_thought|>", false},
                     {"<|end_of_thought|>", true}};

// The first thinking tag at or after `from`.
static Tag next_tag(XrSpan text, size_t from) {
    while (from < text.bytes) {
        if (text.data[from] != '<') {
            const char *at = memchr(text.data + from, '<', text.bytes - from);
            if (!at) break;
            from = (size_t)(at - text.data);
        }
        char next = from + 1 < text.bytes ? text.data[from + 1] : 0;
        bool may = next == '/' || next == '|' || xr_lower(next) == 't';
        for (int i = 0; may && i < 4; i++) {
            if (!xr_span_has_at(text, from, THINKING_TAGS[i].text)) continue;
            return (Tag){from, from + strlen(THINKING_TAGS[i].text), THINKING_TAGS[i].closes};
        }
        from++;
    }
    return (Tag){text.bytes, text.bytes, false};
}

// Appends `part` to what is kept. A single part stays where it is; `scratch` holds several.
static void keep_part(XrSpan part, XrBuffer *scratch, XrSpan *out) {
    if (!xr_span_trim(part).bytes) return;
    if (!xr_span_trim(*out).bytes) {
        *out = part;
        return;
    }
    if (!scratch->length) xr_buffer_append(scratch, out->data, out->bytes);
    xr_buffer_byte(scratch, '\n');
    xr_buffer_append(scratch, part.data, part.bytes);
    *out = xr_span(scratch->data, scratch->length);
}

// Cuts <!-- … --> out of `*text`; one that never ends hides the rest.
static void cut_comments(XrBuffer *scratch, XrSpan *text) {
    size_t at = xr_span_find(*text, "<!--", 0), kept = 0;
    if (at == XR_NOT_FOUND) return;
    XrBuffer visible = {0};
    while (at != XR_NOT_FOUND) {
        xr_buffer_append(&visible, text->data + kept, at - kept);
        size_t close = xr_span_find(*text, "-->", at + 4);
        kept = close == XR_NOT_FOUND ? text->bytes : close + 3;
        at = xr_span_find(*text, "<!--", kept);
    }
    xr_buffer_append(&visible, text->data + kept, text->bytes - kept);
    xr_buffer_free(scratch);
    *scratch = visible;
    *text = xr_span(visible.data, visible.length);
}

XrFound xr_scan_thinking(XrSpan text, bool inside, XrBuffer *scratch, XrSpan *out) {
    *out = xr_span(text.data, 0);
    size_t from = 0;
    bool any = false, closed = false;
    xr_buffer_clear(scratch);
    for (;;) {
        Tag tag = next_tag(text, from);
        if (!inside && !(tag.closes && !any))
            keep_part(xr_span_cut(text, from, tag.begin), scratch, out);
        if (tag.begin == tag.end) break;
        closed |= tag.closes;
        inside = !tag.closes;
        any = true;
        from = tag.end;
    }
    cut_comments(scratch, out);
    if (inside) return XR_FOUND_UNFINISHED;
    return any && closed ? XR_FOUND_WHOLE : XR_FOUND_NONE;
}

// ---- <answer> ----

// Where "</answer>" first stands in `text`.
static size_t find_answer_end(XrSpan text) {
    for (size_t at = 0; at < text.bytes; at++) {
        if (text.data[at] != '<') {
            const char *angle = memchr(text.data + at, '<', text.bytes - at);
            if (!angle) break;
            at = (size_t)(angle - text.data);
        }
        if (xr_span_has_at(text, at, "</answer>")) return at;
    }
    return XR_NOT_FOUND;
}

XrFound xr_scan_answer_tag(XrSpan text, XrSpan *out) {
    size_t open = xr_span_find_last(text, "<answer>", text.bytes);
    size_t begin = open == XR_NOT_FOUND ? 0 : open + strlen("<answer>");
    XrSpan rest = xr_span_cut(text, begin, text.bytes);
    size_t close = find_answer_end(rest);
    *out = xr_span_cut(rest, 0, close);
    if (close != XR_NOT_FOUND) return XR_FOUND_WHOLE;
    return open == XR_NOT_FOUND ? XR_FOUND_NONE : XR_FOUND_UNFINISHED;
}

// ---- boxes ----

// Whether the byte at `at` comes after an odd number of backslashes.
static bool escaped(XrSpan text, size_t at) {
    size_t slashes = 0;
    while (slashes < at && text.data[at - slashes - 1] == '\\') slashes++;
    return slashes % 2 == 1;
}

size_t xr_scan_group_end(XrSpan text, size_t open) {
    size_t depth = 0;
    for (size_t i = open; i < text.bytes; i++) {
        char c = text.data[i];
        if (c == '\\')
            i++;
        else if (c == '{')
            depth++;
        else if (c == '}' && --depth == 0)
            return i;
    }
    return XR_NOT_FOUND;
}

// If a box's name ends right before `brace`, the index of its backslash.
static size_t box_name_before(XrSpan text, size_t brace) {
    while (brace > 0 && text.data[brace - 1] == ' ') brace--;
    if (brace >= 6 && memcmp(text.data + brace - 6, "\\boxed", 6) == 0) return brace - 6;
    if (brace >= 5 && memcmp(text.data + brace - 5, "\\fbox", 5) == 0) return brace - 5;
    return XR_NOT_FOUND;
}

// The last backslash of \boxed or \fbox before `before`.
static size_t last_box_name(XrSpan text, size_t before) {
    for (size_t at = before < text.bytes ? before : text.bytes; at-- > 0;) {
        if (text.data[at] != '\\') continue;
        size_t after;
        if (xr_span_has_at(text, at + 1, "boxed"))
            after = at + 6;
        else if (xr_span_has_at(text, at + 1, "fbox"))
            after = at + 5;
        else
            continue;
        if (after < text.bytes && !xr_is_letter(text.data[after])) return at;
    }
    return XR_NOT_FOUND;
}

// \boxed without braces: what stands up to the next space, `$`, `\)` or `\]`.
static bool bare_box(XrSpan text, size_t name, size_t after, XrBox *box) {
    size_t end = after;
    while (end < text.bytes && !xr_is_space(text.data[end]) && !strchr("$,;", text.data[end]) &&
           !(text.data[end] == '\\' && end + 1 < text.bytes &&
             (text.data[end + 1] == ')' || text.data[end + 1] == ']')))
        end++;
    while (end > after && text.data[end - 1] == '.') end--;
    *box = (XrBox){xr_span_cut(text, after, end), name, end};
    return end > after;
}

// The box whose backslash is at `name`. False: it never closes.
static bool read_box(XrSpan text, size_t name, XrBox *box) {
    size_t at = name + (text.data[name + 1] == 'f' ? 5 : 6);
    while (at < text.bytes && text.data[at] == ' ') at++;
    if (at >= text.bytes || text.data[at] != '{') return bare_box(text, name, at, box);
    size_t close = xr_scan_group_end(text, at);
    if (close == XR_NOT_FOUND) return false;
    *box = (XrBox){xr_span_cut(text, at + 1, close), name, close + 1};
    return true;
}

// Moves `end` past the next closing brace whose opening one is not after `end`.
static size_t group_end_around(XrSpan text, size_t end) {
    size_t depth = 0;
    for (; end < text.bytes; end++) {
        char c = text.data[end];
        if (c == '\\')
            end++;
        else if (c == '{')
            depth++;
        else if (c == '}' && depth-- == 0)
            return end + 1;
    }
    return XR_NOT_FOUND;
}

// Replaces `*box` by the outermost box that holds it, where boxes nest. Goes outwards group by
// group, to the left and to the right, so that each byte is looked at once.
static void take_outermost(XrSpan text, XrBox *box) {
    size_t depth = 0, end = box->end;
    for (size_t at = box->begin; at-- > 0;) {
        char c = text.data[at];
        if ((c != '{' && c != '}') || escaped(text, at)) continue;
        if (c == '}') {
            depth++;
        } else if (depth) {
            depth--;
        } else {
            end = group_end_around(text, end);
            if (end == XR_NOT_FOUND) return;
            size_t name = box_name_before(text, at);
            if (name != XR_NOT_FOUND) *box = (XrBox){xr_span_cut(text, at + 1, end - 1), name, end};
        }
    }
}

XrFound xr_scan_box(XrSpan text, XrBox *out) {
    XrBox blank = {.end = 0};
    for (size_t before = text.bytes;;) {
        size_t name = last_box_name(text, before);
        if (name == XR_NOT_FOUND) break;
        if (!read_box(text, name, out)) {
            *out = (XrBox){xr_span_cut(text, name, text.bytes), name, text.bytes};
            return XR_FOUND_UNFINISHED;
        }
        if (xr_span_trim(out->content).bytes) {
            take_outermost(text, out);
            return XR_FOUND_WHOLE;
        }
        if (!blank.end) blank = *out;
        before = name;
    }
    *out = blank;
    return blank.end ? XR_FOUND_WHOLE : XR_FOUND_NONE;
}

// ---- lists of boxes ----

enum { MAX_BOXES_OF_LIST = 32, MAX_JOINT = 48, MAX_BOX_OF_LIST = 2048 };

// Whether only what joins the members of a list lies in `joint`.
static bool joins(XrSpan joint) {
    static const char *const words[] = {"and", "or", "\\text", "\\quad", "\\qquad", "\\mathrm"};
    bool any = false;
    for (size_t at = 0; at < joint.bytes;) {
        size_t word = 0;
        for (size_t i = 0; i < sizeof words / sizeof *words && !word; i++) {
            if (xr_span_word_at(joint, at, words[i])) word = strlen(words[i]);
        }
        if (word)
            any = true, at += word;
        else if (joint.data[at] == ',' || joint.data[at] == ';')
            any = true, at++;
        else if (memchr(" \n\t$&{}*\\()[]", joint.data[at], 14))
            at++;
        else
            return false;
    }
    return any;
}

// The box, of bounded length, that ends with the brace at `close`.
static bool box_ending_at(XrSpan text, size_t close, XrBox *out) {
    size_t depth = 0, least = close > MAX_BOX_OF_LIST ? close - MAX_BOX_OF_LIST : 0;
    for (size_t at = close + 1; at-- > least;) {
        char c = text.data[at];
        if ((c != '{' && c != '}') || escaped(text, at)) continue;
        if (c == '}') {
            depth++;
        } else if (--depth == 0) {
            size_t name = box_name_before(text, at);
            *out = (XrBox){xr_span_cut(text, at + 1, close), name, close + 1};
            return name != XR_NOT_FOUND;
        }
    }
    return false;
}

bool xr_scan_box_list(XrSpan text, const XrBox *box, XrBuffer *scratch) {
    XrBox boxes[MAX_BOXES_OF_LIST] = {*box};
    int count = 1;
    for (; count < MAX_BOXES_OF_LIST; count++) {
        size_t begin = boxes[count - 1].begin, least = begin > MAX_JOINT ? begin - MAX_JOINT : 0;
        size_t at = begin;
        while (at > least && text.data[at - 1] != '}') at--;
        // a brace may close \text{ and } rather than a box: go on to the next one to the left
        while (at > least && !(joins(xr_span_cut(text, at, begin)) &&
                               box_ending_at(text, at - 1, &boxes[count]))) {
            at--;
            while (at > least && text.data[at - 1] != '}') at--;
        }
        if (at <= least) break;
    }
    if (count == 1) return false;
    while (count-- > 0) {
        xr_buffer_append(scratch, boxes[count].content.data, boxes[count].content.bytes);
        if (!count) break;
        XrSpan joint = xr_span_cut(text, boxes[count].end, boxes[count - 1].begin);
        bool either = xr_span_find_last(joint, "or", joint.bytes) != XR_NOT_FOUND;
        xr_buffer_text(scratch, either ? " \\text{ or } " : ", ");
    }
    return true;
}
