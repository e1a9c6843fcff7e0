#include "tests/support/rewrite.h"

#include "shared/base/memory.h"
#include "shared/base/rng.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

uint32_t xr_draw(XrDraw *draw, uint32_t bound) {
    uint32_t out[4];
    xr_philox(draw->seed, draw->stream, draw->position++, out);
    return out[0] % bound;
}

// ---- looking at the text ----

static bool only_digits(const char *text) {
    size_t digits = strspn(text, "0123456789");
    return digits > 0 && !text[digits];
}

static bool begins(const char *text, const char *with) {
    return !strncmp(text, with, strlen(with));
}

// Whether the text is words: then only wrappers apply.
static bool is_words(const char *text) {
    return begins(text, "\\text{");
}

static bool has_unit(const char *text) {
    return strstr(text, "\\text{") || strstr(text, "\\mbox{");
}

static int depth_change(char c) {
    return c == '(' || c == '[' || c == '{' ? 1 : c == ')' || c == ']' || c == '}' ? -1 : 0;
}

// Positions of `c` outside all brackets; returns how many (at most 32).
static int find_top(const char *text, char c, size_t at[32]) {
    int depth = 0, count = 0;
    for (size_t i = 0; text[i]; i++) {
        depth += depth_change(text[i]);
        if (text[i] == c && depth == 0 && count < 32) at[count++] = i;
    }
    return count;
}

// "1,2" and "3, 5, 7", but not 58,500 or 10,\!080.
static int list_commas(const char *text, size_t at[32]) {
    if (strstr(text, "\\!") || strchr(text, '_')) return 0;
    int count = find_top(text, ',', at);
    for (int i = 0; i < count; i++)
        if (strspn(text + at[i] + 1, "0123456789") == 3) return 0;
    return count;
}

// ---- changes that keep the meaning ----

static void replace_all(XrBuffer *out, const char *text, const char *from, const char *to) {
    size_t length = strlen(from);
    while (*text) {
        bool here = begins(text, from) && !(isalpha((unsigned char)from[length - 1]) &&
                                            isalpha((unsigned char)text[length]));
        if (here) {
            xr_buffer_text(out, to);
            text += length;
        } else {
            xr_buffer_byte(out, *text++);
        }
    }
}

static bool swap(XrDraw *draw, const char *text, XrBuffer *out) {
    static const char *const pairs[][2] = {
        {"\\frac", "\\dfrac"},
        {"\\frac", "\\tfrac"},
        {"\\dfrac", "\\frac"},
        {"\\pi", "π"},
        {"\\pi", "\\pi "},
        {"\\infty", "∞"},
        {"\\cup", "∪"},
        {"\\pm", "±"},
        {"^\\circ", "^{\\circ}"},
        {"^\\circ", "°"},
        {"\\pmatrix", "\\bmatrix"},
        {"\\begin{pmatrix}", "\\left(\\begin{matrix}"},
        {"\\sqrt", " \\sqrt"},
        {"\\infty", "+\\infty"},
        {"\\mbox", "\\text"},
        {"-", "−"},
        {" ", "\\ "},
        {" ", "~"},
        {"+", " + "},
        {"=", " = "},
        {"-", " - "},
        {"\\le", "\\leq"},
    };
    size_t i = xr_draw(draw, XR_COUNT(pairs));
    const char *from = pairs[i][0];
    if (!strstr(text, from)) return false;
    if (begins(from, "\\infty") && strstr(text, "-\\infty")) return false;
    if (begins(from, "\\begin")) {
        XrBuffer half = {0};
        xr_buffer_text(&half, "");
        replace_all(&half, text, from, pairs[i][1]);
        replace_all(out, half.data, "\\end{pmatrix}", "\\end{matrix}\\right)");
        xr_buffer_free(&half);
        return true;
    }
    // Spaces between digits would be thousands; inside \text they are words.
    if (from[0] == ' ' && (has_unit(text) || strchr(text, '!') || strstr(text, "\\ ")))
        return false;
    if (strchr("+-=", from[0]) && has_unit(text)) return false;
    replace_all(out, text, from, pairs[i][1]);
    return true;
}

static bool sized_brackets(const char *text, XrBuffer *out) {
    if (strstr(text, "\\left") || !strpbrk(text, "([") || is_words(text)) return false;
    for (; *text; text++) {
        if (*text == '(' || *text == '[') xr_buffer_text(out, "\\left");
        if (*text == ')' || *text == ']') xr_buffer_text(out, "\\right");
        xr_buffer_byte(out, *text);
    }
    return true;
}

static bool wrap(XrDraw *draw, const char *text, XrBuffer *out) {
    static const char *const wraps[][2] = {
        {"$", "$"}, {"\\boxed{", "}"},       {"\\(", "\\)"},      {"  ", "  "},
        {"", "."},  {"\\displaystyle ", ""}, {"$\\boxed{", "}$"}, {"**", "**"},
        {"{", "}"}, {"\\,", "\\,"}};
    size_t i = xr_draw(draw, XR_COUNT(wraps));
    // Inside its own braces a list would be a set; a dollar sign means money; a star a product.
    size_t commas[32];
    if (wraps[i][0][0] == '{' && (list_commas(text, commas) || is_words(text))) return false;
    if ((strchr(text, '$') && strchr(wraps[i][0], '$')) || strstr(text, "**")) return false;
    xr_buffer_format(out, "%s%s%s", wraps[i][0], text, wraps[i][1]);
    return true;
}

// One \frac{a}{b} of whole numbers: with both multiplied, as a/b, or as an exact decimal.
static bool other_fraction(XrDraw *draw, const char *text, XrBuffer *out) {
    const char *at = strstr(text, "frac{");
    if (!at) return false;
    int top, bottom, length = 0;
    if (sscanf(at, "frac{%d}{%d}%n", &top, &bottom, &length) != 2 || !length) return false;
    const char *start = at;
    while (*start != '\\') start--;
    const char *rest = at + length;
    // 2\frac12 is a mixed number, which the fraction has to stay part of.
    const char *before = start;
    while (before > text && before[-1] == ' ') before--;
    bool mixed = before > text && isdigit((unsigned char)before[-1]);
    xr_buffer_append(out, text, (size_t)(start - text));
    int way = (int)xr_draw(draw, mixed ? 1 : 3);
    int k = 2 + (int)xr_draw(draw, 7);
    int64_t scale = 1;
    int places = 0;
    while (scale % bottom && places < 7) scale *= 10, places++;
    if (way == 2 && !(scale % bottom) && !isalnum((unsigned char)*rest)) {
        int64_t digits = top * (scale / bottom);
        xr_buffer_format(out, "%lld.%0*lld", (long long)(digits / scale), places ? places : 1,
                         (long long)(digits % scale));
    } else if (way == 1) {
        xr_buffer_format(out, "(%d/%d)", top, bottom);
    } else {
        xr_buffer_format(out, "\\frac{%d}{%d}", top * k, bottom * k);
    }
    xr_buffer_text(out, rest);
    return true;
}

static bool other_integer(XrDraw *draw, const char *text, XrBuffer *out) {
    bool minus = *text == '-';
    const char *digits = text + minus;
    if (!only_digits(digits) || strlen(digits) > 15) return false;
    size_t length = strlen(digits);
    static const char *const separators[] = {",", "{,}", "\\,", ",\\!", " "};
    uint32_t way = xr_draw(draw, 9);
    if (way < 5 && length > 3) {
        if (minus) xr_buffer_byte(out, '-');
        for (size_t i = 0; i < length; i++) {
            if (i && (length - i) % 3 == 0) xr_buffer_text(out, separators[way]);
            xr_buffer_byte(out, digits[i]);
        }
        return true;
    }
    if (way == 5) xr_buffer_format(out, "%s.0", text);
    if (way == 6) xr_buffer_format(out, "x = %s", text);
    if (way == 7) xr_buffer_format(out, "%s\\text{ units}", text);
    if (way == 8) xr_buffer_format(out, "\\text{%s}", text);
    return way >= 5;
}

// Members of a list, or terms of a sum, in another order.
static bool rotate_list(const char *text, XrBuffer *out) {
    size_t commas[32];
    int count = list_commas(text, commas);
    if (!count || strchr(text, '=') || has_unit(text) || strchr(text, '*')) return false;
    xr_buffer_format(out, "%s, ", text + commas[0] + 1);
    xr_buffer_append(out, text, commas[0]);
    return true;
}

static bool rotate_set(const char *text, XrBuffer *out) {
    size_t length = strlen(text), commas[32];
    if (!begins(text, "\\{") || length < 6 || strcmp(text + length - 2, "\\}") != 0) return false;
    char *inside = xr_strndup(text + 2, length - 4);
    int count = list_commas(inside, commas);
    if (count) {
        xr_buffer_format(out, "\\{%s,", inside + commas[0] + 1);
        xr_buffer_append(out, inside, commas[0]);
        xr_buffer_text(out, "\\}");
    }
    free(inside);
    return count > 0;
}

static bool rotate_terms(const char *text, XrBuffer *out) {
    // Not inside what an earlier change put around it.
    static const char *const wrappers[] = {
        "\\,", "\\(", "\\displaystyle", "\\boxed", "$", "{", " ", "*", "-", "−"};
    for (size_t i = 0; i < XR_COUNT(wrappers); i++)
        if (begins(text, wrappers[i])) return false;
    if (strpbrk(text, "=,&") || has_unit(text) || strstr(text, "\\begin") || strstr(text, "\\pm") ||
        strstr(text, "\\cup") || strstr(text, "\\in"))
        return false;
    size_t plus[32], minus[32];
    int pluses = find_top(text, '+', plus), minuses = find_top(text, '-', minus);
    size_t cut = 0;
    if (pluses) cut = plus[pluses - 1];
    if (minuses && minus[minuses - 1] > cut) cut = minus[minuses - 1];
    if (!cut || text[0] == '-') return false;
    // The last term first.
    xr_buffer_format(out, "%s%s", text[cut] == '-' ? "-" : "", text + cut + 1);
    xr_buffer_text(out, " + ");
    xr_buffer_append(out, text, cut);
    return true;
}

// 2\sqrt{5} as 2\cdot\sqrt{5}.
static bool visible_product(XrDraw *draw, const char *text, XrBuffer *out) {
    static const char *const before[] = {"\\sqrt", "\\pi", "x", "i", "r", "k", "a"};
    const char *letter = before[xr_draw(draw, XR_COUNT(before))];
    const char *at = strstr(text, letter);
    if (!at || at == text || !isdigit((unsigned char)at[-1]) || has_unit(text)) return false;
    if (at[1] && letter[1] == 0 && isalpha((unsigned char)at[1])) return false;
    // 2^3x and 1/2x: the product would belong elsewhere.
    const char *number = at;
    while (number > text && isdigit((unsigned char)number[-1])) number--;
    if (number > text && strchr("^/_", number[-1])) return false;
    xr_buffer_append(out, text, (size_t)(at - text));
    xr_buffer_text(out, xr_draw(draw, 2) ? "\\cdot " : " * ");
    xr_buffer_text(out, at);
    return true;
}

bool xr_rewrite_same(XrDraw *draw, const char *text, XrBuffer *out) {
    xr_buffer_clear(out);
    if (is_words(text)) return wrap(draw, text, out);
    switch (xr_draw(draw, 10)) {
    case 0:
    case 1:
        return swap(draw, text, out);
    case 2:
        return sized_brackets(text, out);
    case 3:
        return wrap(draw, text, out);
    case 4:
        return other_fraction(draw, text, out);
    case 5:
        return other_integer(draw, text, out);
    case 6:
        return rotate_list(text, out);
    case 7:
        return rotate_set(text, out);
    case 8:
        return rotate_terms(text, out);
    default:
        return visible_product(draw, text, out);
    }
}

// ---- changes that do not ----

static bool change_digit(XrDraw *draw, const char *text, XrBuffer *out) {
    size_t digits[64];
    uint32_t count = 0;
    for (size_t i = 0; text[i] && count < 64; i++)
        if (isdigit((unsigned char)text[i])) digits[count++] = i;
    if (!count) return false;
    size_t at = digits[xr_draw(draw, count)];
    xr_buffer_text(out, text);
    out->data[at] = (char)('1' + (text[at] - '0') % 9);
    return true;
}

static bool is_value(const char *text) {
    return !strpbrk(text, "([,&=") && !is_words(text) && !strstr(text, "\\in") &&
           strcmp(text, "0") != 0;
}

static bool negate(const char *text, XrBuffer *out) {
    if (!is_value(text) || text[0] == '-' || !strcmp(text, "0")) return false;
    xr_buffer_format(out, "-%s", text);
    return true;
}

static bool add_one(const char *text, XrBuffer *out) {
    if (!is_value(text) || has_unit(text) || strchr(text, '_') || strchr(text, '$')) return false;
    xr_buffer_format(out, "%s+1", text);
    return true;
}

static bool more_members(XrDraw *draw, const char *text, XrBuffer *out) {
    if (is_words(text) || has_unit(text) || strchr(text, '=')) return false;
    static const char *const more[] = {"%s, 77123", "%s \\text{ or } 77123", "77123, %s"};
    const char *form = more[xr_draw(draw, 3)];
    const char *hole = strstr(form, "%s");
    xr_buffer_append(out, form, (size_t)(hole - form));
    xr_buffer_text(out, text);
    xr_buffer_text(out, hole + 2);
    return true;
}

static bool fewer_members(const char *text, XrBuffer *out) {
    size_t commas[32];
    int count = list_commas(text, commas);
    if (!count || has_unit(text)) return false;
    xr_buffer_append(out, text, commas[count - 1]);
    return true;
}

static bool other_ends(const char *text, XrBuffer *out) {
    bool interval = strstr(text, "\\infty") || strstr(text, "\\cup") || strstr(text, "\\in ");
    if (!interval) return false;
    for (const char *start = text; *text; text++) {
        // Ends at infinity are open however they are written.
        bool finite = !(text[0] == '(' && begins(text + 1, "-\\infty")) &&
                      !(text[0] == ')' && text - start >= 5 && begins(text - 5, "infty"));
        char c = *text;
        if (finite) c = c == '(' ? '[' : c == ')' ? ']' : c == '[' ? '(' : c == ']' ? ')' : c;
        xr_buffer_byte(out, c);
    }
    return true;
}

static bool other_letter(const char *text, XrBuffer *out) {
    if (is_words(text) || strchr(text, '\\') || strstr(text, "in")) return false;
    const char *at = strpbrk(text, "xyrkapnR");
    if (!at) return false;
    xr_buffer_text(out, text);
    for (size_t i = 0; i < out->length; i++)
        if (out->data[i] == *at) out->data[i] = 'w';
    return true;
}

bool xr_rewrite_other(XrDraw *draw, const char *text, XrBuffer *out) {
    xr_buffer_clear(out);
    switch (xr_draw(draw, 9)) {
    case 0:
    case 1:
    case 2:
        return change_digit(draw, text, out);
    case 3:
        return negate(text, out);
    case 4:
        return add_one(text, out);
    case 5:
        return more_members(draw, text, out);
    case 6:
        return fewer_members(text, out);
    case 7:
        return other_ends(text, out);
    default:
        return other_letter(text, out);
    }
}
