#include "shared/verify/choice_label.h"

static size_t skip_spaces(XrSpan text, size_t at) {
    while (at < text.bytes && xr_is_space(text.data[at])) at++;
    return at;
}

// The index of the option that the letter at `at` stands for, or -1.
static int letter_at(XrSpan text, size_t at, int count) {
    if (at >= text.bytes || !xr_is_letter(text.data[at])) return -1;
    int index = (text.data[at] | 32) - 'a';
    return index < (count ? count : 26) ? index : -1;
}

static char closing(char open) {
    return open == '(' ? ')' : open == '[' ? ']' : open == '<' ? '>' : open == '{' ? '}' : 0;
}

static bool word_after(XrSpan text, size_t at) {
    static const char *const words[] = {"because", "since", "as",     "and",    "or",
                                        "is",      "which", "due",    "with",   "only",
                                        "alone",   "given", "rather", "instead"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (xr_span_word_at(text, at, words[i])) return true;
    }
    return false;
}

// What follows a letter without brackets that ends at `at`. False: it is part of a word or number.
static bool read_after(XrSpan text, size_t at, bool words, XrLabel *out) {
    while (at < text.bytes && text.data[at] == '*') at++;
    out->end = at;
    if (at >= text.bytes) return true;
    char c = text.data[at];
    if (c == '\n' || c == ',' || c == ';' || c == '/' || c == '&') return true;
    if (c == ':' || c == ')') return out->end = at + 1, true;
    if (c == '.') {
        out->end = at + 1;
        // "U.S." and "E.coli" are no labels
        return at + 1 >= text.bytes || xr_is_space(text.data[at + 1]) || text.data[at + 1] == ')';
    }
    if (c == '\'' || c == '"') return out->end = at + 1, at + 1 >= text.bytes;
    if (!xr_is_space(c)) return false;
    size_t next = skip_spaces(text, at);
    if (next >= text.bytes) return out->end = next, true;
    c = text.data[next];
    if ((c == '-' && next + 1 < text.bytes && xr_is_space(text.data[next + 1])) || c == ':')
        return out->end = next + 1, true;
    if (c == '(' || c == ',' || c == '/' || c == '&') return true;
    if (words && word_after(text, next)) return true;
    out->bare = true;
    return true;
}

bool xr_read_label(XrSpan text, size_t at, int count, bool words, XrLabel *out) {
    *out = (XrLabel){.index = -1};
    at = skip_spaces(text, at);
    if (at >= text.bytes) return false;
    char close = closing(text.data[at]);
    size_t letter = close ? skip_spaces(text, at + 1) : at;
    out->index = letter_at(text, letter, count);
    if (out->index < 0) return false;
    out->lower = !xr_is_upper(text.data[letter]);
    size_t after = letter + 1;
    if (close) {
        after = skip_spaces(text, after);
        if (after < text.bytes && text.data[after] == '.') after++;
        if (after >= text.bytes || text.data[after] != close) return false;
        out->enclosed = true;
        out->end = after + 1;
        if (out->end < text.bytes && strchr(".:", text.data[out->end]) && text.data[out->end])
            out->end++;
        return true;
    }
    if (at > 0 && (text.data[at - 1] == '\'' || text.data[at - 1] == '-')) return false;
    if (!read_after(text, after, words, out)) return false;
    return !(out->bare && out->lower);
}

size_t xr_skip_lead(XrSpan text, size_t at) {
    static const char *const words[] = {"the",         "correct",   "right",   "best",   "final",
                                        "answer",      "option",    "choice",  "letter", "is",
                                        "would be",    "should be", "must be", "most",   "likely",
                                        "appropriate", "therefore", "so",      "thus",   "hence"};
    for (bool again = true; again;) {
        again = false;
        at = skip_spaces(text, at);
        for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
            if (!xr_span_word_at(text, at, words[i])) continue;
            at += strlen(words[i]);
            while (at < text.bytes &&
                   (xr_is_space(text.data[at]) || strchr(":,*", text.data[at])) && text.data[at])
                at++;
            again = true;
        }
    }
    return at;
}
