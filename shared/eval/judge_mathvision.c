// MathVision's official rule: what it takes out of a response, and how it compares.
#include "shared/base/memory.h"
#include "shared/eval/official.h"
#include "shared/eval/python_text.h"
#include "shared/verify/math.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static XrSpan span_of(const XrBuffer *text) {
    return xr_span(text->data, text->length);
}

static void set(XrBuffer *text, XrSpan to) {
    XrBuffer copy = {0};
    xr_buffer_text(&copy, "");
    xr_buffer_append(&copy, to.data, to.bytes);
    xr_buffer_free(text);
    *text = copy;
}

static bool has(const XrBuffer *text, const char *part) {
    return xr_py_contains(span_of(text), xr_span_of(part));
}

static XrSpan before_first(XrSpan text, const char *mark) {
    size_t at = xr_span_find(text, mark, 0);
    return at == XR_NOT_FOUND ? text : xr_span_cut(text, 0, at);
}

static XrSpan without_final(XrSpan text, char c) {
    while (text.bytes && text.data[text.bytes - 1] == c) text.bytes--;
    return text;
}

// ---- which part of the response ----

static bool begins(XrSpan text, const char *with) {
    return text.bytes >= strlen(with) && memcmp(text.data, with, strlen(with)) == 0;
}

static bool ends(XrSpan text, const char *with) {
    size_t length = strlen(with);
    return text.bytes >= length && memcmp(text.data + text.bytes - length, with, length) == 0;
}

// A response that ends in " X." or " (X)." or begins with "X", "(X)" or "(X) X" on a line is that
// letter.
static void take_letter(XrBuffer *text) {
    for (int letter = 'A'; letter <= 'E'; letter++) {
        const char c = (char)letter;
        const char closings[][6] = {{' ', c, '.'}, {' ', '(', c, ')', '.'}};
        const char openings[][7] = {{c, '\n'}, {'(', c, ')', '\n'}, {'(', c, ')', ' ', c, '\n'}};
        bool found = false;
        for (size_t i = 0; i < XR_COUNT(closings); i++) found |= ends(span_of(text), closings[i]);
        for (size_t i = 0; i < XR_COUNT(openings); i++) found |= begins(span_of(text), openings[i]);
        if (found) set(text, xr_span(&c, 1));
    }
}

// What follows the last of each of these phrases, up to the end of line or sentence.
static void take_phrases(XrBuffer *text) {
    static const char *const phrases[] = {"the final answer is",   "The final answer is",
                                          "the answer is",         "The answer is",
                                          "the correct answer is", "The correct answer is",
                                          "the answer should be",  "The answer should be"};
    for (size_t i = 0; i < XR_COUNT(phrases); i++) {
        bool found = has(text, phrases[i]);
        XrSpan tail = xr_py_strip(xr_py_after_last(span_of(text), phrases[i]));
        if (found) tail = before_first(before_first(tail, "\n"), ". ");
        set(text, tail);
    }
}

static void keep_last_box(XrBuffer *text) {
    XrBuffer kept = {0};
    XrSpan tail = xr_py_after_last(span_of(text), "oxed{");
    size_t first = xr_span_find(span_of(text), "oxed{", 0);
    if (xr_span_find(span_of(text), "oxed{", first + 1) == XR_NOT_FOUND) return;
    xr_buffer_text(&kept, "\\boxed{");
    xr_buffer_append(&kept, tail.data, tail.bytes);
    xr_buffer_free(text);
    *text = kept;
}

// ---- what is cleaned off it ----

typedef struct Replacement {
    const char *from, *to;
} Replacement;

static void replace_all(XrBuffer *text, const Replacement *list, size_t count) {
    for (size_t i = 0; i < count; i++) xr_py_replace(text, list[i].from, list[i].to);
}

// oxed{(.*)}: up to the last closing brace.
static void open_box(XrBuffer *text) {
    size_t box = xr_span_find(span_of(text), "oxed{", 0);
    size_t close = xr_py_rfind(span_of(text), xr_span_of("}"));
    if (box != XR_NOT_FOUND && close != XR_NOT_FOUND && close >= box + 5) {
        set(text, xr_span_cut(span_of(text), box + 5, close));
    }
    // A closing brace before any opening one ends the answer.
    size_t open = xr_span_find(span_of(text), "{", 0);
    close = xr_span_find(span_of(text), "}", 0);
    if (close != XR_NOT_FOUND && (open == XR_NOT_FOUND || close < open)) {
        set(text, xr_span_cut(span_of(text), 0, close));
    }
}

// "\sqrt2" becomes "\sqrt{2}".
static void brace_roots(XrBuffer *text) {
    static const char root[] = "\\sqrt";
    XrBuffer out = {0};
    XrSpan in = span_of(text);
    xr_buffer_text(&out, "");
    for (size_t at = 0; at < in.bytes;) {
        bool here =
            in.bytes - at >= sizeof root - 1 && memcmp(in.data + at, root, sizeof root - 1) == 0;
        if (!here) {
            xr_buffer_byte(&out, in.data[at++]);
            continue;
        }
        xr_buffer_text(&out, root);
        at += sizeof root - 1;
        bool next_root =
            in.bytes - at >= sizeof root - 1 && memcmp(in.data + at, root, sizeof root - 1) == 0;
        if (at < in.bytes && in.data[at] != '{' && !next_root) {
            xr_buffer_format(&out, "{%c}", in.data[at++]);
        }
    }
    xr_buffer_free(text);
    *text = out;
}

// "\frac12" becomes "\frac{1}{2}"; left alone where an argument is missing.
static void brace_fractions(XrBuffer *text) {
    static const char mark[] = "\\frac";
    XrBuffer out = {0};
    XrSpan in = span_of(text);
    size_t at = xr_span_find(in, mark, 0);
    if (at == XR_NOT_FOUND) return;
    xr_buffer_append(&out, in.data, at);
    while (at < in.bytes) {
        at += sizeof mark - 1;
        size_t next = xr_span_find(in, mark, at), end = next == XR_NOT_FOUND ? in.bytes : next;
        XrSpan piece = xr_span_cut(in, at, end);
        xr_buffer_text(&out, mark);
        if (piece.bytes && piece.data[0] == '{') {
            xr_buffer_append(&out, piece.data, piece.bytes);
        } else if (piece.bytes < 2) {
            xr_buffer_free(&out);
            return;
        } else {
            bool braced = piece.data[1] == '{';
            xr_buffer_format(&out, braced ? "{%c}%c" : "{%c}{%c}", piece.data[0], piece.data[1]);
            xr_buffer_append(&out, piece.data + 2, piece.bytes - 2);
        }
        at = end;
    }
    xr_buffer_free(text);
    *text = out;
}

// "3/4", both integers as Python would print them, becomes a fraction.
static void fraction_of_slash(XrBuffer *text) {
    long long a, b;
    char printed[64];
    if (text->length >= sizeof printed - 1 || sscanf(text->data, "%lld/%lld", &a, &b) != 2) return;
    snprintf(printed, sizeof printed, "%lld/%lld", a, b);
    if (strcmp(printed, text->data) != 0) return;
    xr_buffer_clear(text);
    xr_buffer_format(text, "\\frac{%lld}{%lld}", a, b);
}

static void after_only(XrBuffer *text, const char *mark) {
    size_t first = xr_span_find(span_of(text), mark, 0);
    if (first == XR_NOT_FOUND) return;
    if (xr_span_find(span_of(text), mark, first + strlen(mark)) != XR_NOT_FOUND) return;
    set(text, xr_py_after_last(span_of(text), mark));
}

static void strip_units(XrBuffer *text) {
    static const Replacement list[] = {{"\n", ""},        {"\\!", ""},       {"\\\\", "\\"},
                                       {"tfrac", "frac"}, {"dfrac", "frac"}, {"\\left", ""},
                                       {"\\right", ""},   {"^{\\circ}", ""}, {"^\\circ", ""},
                                       {"\\$", ""},       {"$", ""}};
    static const Replacement decimals[] = {{"\\%", ""}, {" .", " 0."}, {"{.", "{0."}};
    replace_all(text, list, XR_COUNT(list));
    set(text, before_first(span_of(text), "\\text{ "));
    replace_all(text, decimals, XR_COUNT(decimals));
    if (!text->length) return;
    if (text->data[0] == '.') {
        XrBuffer zero = {0};
        xr_buffer_format(&zero, "0%s", text->data);
        xr_buffer_free(text);
        *text = zero;
    }
    after_only(text, "=");
    after_only(text, "\\approx");
    bool roots = has(text, "sqrt");
    if (roots) brace_roots(text);
    xr_py_replace(text, " ", "");
    if (roots) brace_fractions(text);
    if (strcmp(text->data, "0.5") == 0) set(text, xr_span_of("\\frac{1}{2}"));
    fraction_of_slash(text);
}

static void clean(XrBuffer *text) {
    static const Replacement list[] = {{" ", ""},
                                       {"\\,", ""},
                                       {"∞", "\\infty"},
                                       {"+\\infty", "\\infty"},
                                       {"\\\\", "\\"},
                                       {"\n", ""},
                                       {"\\text", ""},
                                       {"\\mbox", ""},
                                       {"bmatrix", "pmatrix"},
                                       {"\\left", ""},
                                       {"\\right", ""},
                                       {"^{\\circ}", ""},
                                       {"^\\circ", ""},
                                       {"{m}^3", ""},
                                       {"m^3", ""},
                                       {"{units}", ""},
                                       {"units", ""},
                                       {"{km}", ""},
                                       {"km", ""}};
    XrBuffer lower = {0};
    xr_buffer_text(&lower, "");
    xr_py_lower(span_of(text), &lower);
    xr_buffer_free(text);
    *text = lower;
    xr_py_replace(text, "{}", "");
    open_box(text);
    set(text, xr_py_after_last(span_of(text), "="));
    set(text, xr_py_after_last(span_of(text), "\\approx"));
    replace_all(text, list, XR_COUNT(list));
    strip_units(text);
}

static void extract(XrSpan response, XrBuffer *text) {
    static const Replacement letters[] = {{"(a)", "a"}, {"(b)", "b"}, {"(c)", "c"}, {"(d)", "d"},
                                          {"(e)", "e"}, {"{a}", "a"}, {"{b}", "b"}, {"{c}", "c"},
                                          {"{d}", "d"}, {"{e}", "e"}};
    double value;
    set(text, xr_py_strip(response));
    take_letter(text);
    XrSpan tail = without_final(xr_py_after_last(span_of(text), "is "), '.');
    if (xr_py_float(tail, &value)) set(text, tail);
    if (has(text, "oxed{"))
        keep_last_box(text);
    else
        take_phrases(text);
    clean(text);
    replace_all(text, letters, XR_COUNT(letters));
    tail = without_final(span_of(text), '.');
    while (tail.bytes && tail.data[0] == ':') tail = xr_span_cut(tail, 1, tail.bytes);
    set(text, xr_py_strip(tail));
}

// ---- comparison ----

static const char FRACTION[] = "\\frac";

// Reads "8:5", which is a division there, and never a time.
static bool read_ratio(XrSpan text, double *out) {
    size_t colon = xr_span_find(text, ":", 0);
    double a, b;
    if (colon == XR_NOT_FOUND || !xr_py_float(xr_span_cut(text, 0, colon), &a) ||
        !xr_py_float(xr_span_cut(text, colon + 1, text.bytes), &b) || b == 0) {
        return false;
    }
    *out = a / b;
    return true;
}

// What the official LaTeX reader makes of an expression: it stops at a closing brace that nothing
// opened, knows \frac with braces only, and multiplies a fraction by a number before it.
static bool latex_value(XrMath *math, XrSpan text, double *out) {
    int depth = 0;
    text = xr_py_strip_any(text, "$ ");
    for (size_t at = 0; at < text.bytes; at++) {
        depth += (text.data[at] == '{') - (text.data[at] == '}');
        if (depth < 0) text.bytes = at;
    }
    XrBuffer spelled = {0};
    size_t from = 0, end = strlen(FRACTION);
    bool known = true;
    for (size_t at = 0; (at = xr_span_find(text, FRACTION, at)) != XR_NOT_FOUND; at += end) {
        size_t before = at;
        while (before > 0 && text.data[before - 1] == ' ') before--;
        xr_buffer_append(&spelled, text.data + from, at - from);
        if (before > 0 && xr_is_digit(text.data[before - 1])) xr_buffer_text(&spelled, "\\cdot");
        known &= at + end < text.bytes && strchr("{ ", text.data[at + end]);
        from = at;
    }
    xr_buffer_append(&spelled, text.data + from, text.bytes - from);
    xr_buffer_text(&spelled, "");
    known =
        known && (read_ratio(text, out) || xr_math_value(math, spelled.data, spelled.length, out));
    xr_buffer_free(&spelled);
    return known;
}

// round(value, 2).
static bool rounded_value(XrMath *math, XrSpan text, double *out) {
    if (!latex_value(math, text, out)) return false;
    *out = xr_py_round(*out, 2);
    return true;
}

// A tuple or list of values as Python prints them rounded; what cannot be evaluated stays whole.
static void evaluate_tuple(XrMath *math, XrBuffer *text) {
    XrSpan in = span_of(text);
    bool round = begins(in, "(") && ends(in, ")"), square = begins(in, "[") && ends(in, "]");
    if (in.bytes < 2 || (!round && !square) || !memchr(in.data, ',', in.bytes)) return;
    XrSpan inner = xr_span_cut(in, 1, in.bytes - 1);
    XrBuffer out = {0};
    xr_buffer_byte(&out, in.data[0]);
    for (size_t at = 0; at <= inner.bytes;) {
        size_t comma = xr_span_find(inner, ",", at);
        if (comma == XR_NOT_FOUND) comma = inner.bytes;
        XrSpan part = xr_span_cut(inner, at, comma);
        double value;
        bool kept = xr_span_find(part, "infty", 0) != XR_NOT_FOUND || xr_span_is(part, "a") ||
                    xr_span_is(part, "-a");
        if (at) xr_buffer_byte(&out, ',');
        if (kept) {
            xr_buffer_append(&out, part.data, part.bytes);
        } else if (latex_value(math, part, &value)) {
            xr_py_round_text(value, 2, &out);
        } else {
            xr_buffer_free(&out);
            return;
        }
        at = comma + 1;
    }
    xr_buffer_byte(&out, in.data[in.bytes - 1]);
    xr_buffer_free(text);
    *text = out;
}

static bool is_equal(XrMath *math, const char *gold, XrSpan answer) {
    XrBuffer left = {0}, right = {0};
    double a, b;
    xr_buffer_text(&left, "");
    xr_buffer_text(&right, "");
    xr_py_lower(xr_span_of(gold), &left);
    xr_py_lower(answer, &right);
    bool some =
        xr_py_strip_any(span_of(&left), " ").bytes && xr_py_strip_any(span_of(&right), " ").bytes;
    bool equal = some && xr_span_equal(xr_py_strip(span_of(&left)), xr_py_strip(span_of(&right)));
    if (some && !equal) {
        evaluate_tuple(math, &left);
        evaluate_tuple(math, &right);
        equal = xr_span_equal(span_of(&left), span_of(&right)) ||
                (rounded_value(math, span_of(&left), &a) &&
                 rounded_value(math, span_of(&right), &b) && a == b);
    }
    xr_buffer_free(&left);
    xr_buffer_free(&right);
    return equal;
}

void xr_official_mathvision(const XrItem *item, XrSpan response, XrOfficialResult *out) {
    XrMath *math = xr_math_create();
    extract(response, &out->extracted);
    out->status = out->extracted.length ? XR_OFFICIAL_READ : XR_OFFICIAL_NOT_FOUND;
    out->right = is_equal(math, item->published_gold, span_of(&out->extracted));
    int index = item->published_gold[0] - 'A';
    if (!out->right && item->option_count && index >= 0 && index < item->option_count) {
        out->right = is_equal(math, item->options[index].text, span_of(&out->extracted));
    }
    xr_math_free(math);
}
