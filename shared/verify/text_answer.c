#include "shared/verify/text_answer.h"

#include "shared/base/utf8.h"

#include <utf8proc.h> // defines: utf8proc_decompose_char, utf8proc_category

// ---- folding ----

// Whether a plain text is words only: no digits, no operators, no commands.
static bool only_words(XrSpan plain) {
    for (size_t i = 0; i < plain.bytes; i++) {
        char c = plain.data[i];
        if (xr_is_digit(c) || (c && strchr("\\=<>^+|~*", c))) return false;
    }
    return true;
}

static bool is_wide_punctuation(utf8proc_int32_t c) {
    utf8proc_category_t category = utf8proc_category(c);
    return (category >= UTF8PROC_CATEGORY_PC && category <= UTF8PROC_CATEGORY_PO) ||
           category == UTF8PROC_CATEGORY_ZS;
}

// Appends one character outside ASCII in lower case, without accents where `words`.
static size_t fold_wide(XrSpan plain, size_t at, bool words, XrBuffer *out) {
    uint32_t c = 0;
    int length = xr_utf8_decode(plain.data + at, plain.bytes - at, &c);
    if (!length) {
        xr_buffer_text(out, "\uFFFD");
        return 1;
    }
    utf8proc_option_t how = UTF8PROC_CASEFOLD;
    if (words)
        how = (utf8proc_option_t)(UTF8PROC_CASEFOLD | UTF8PROC_DECOMPOSE | UTF8PROC_STRIPMARK);
    utf8proc_int32_t folded[8];
    int last = 0;
    utf8proc_ssize_t count = utf8proc_decompose_char((utf8proc_int32_t)c, folded, 8, how, &last);
    for (utf8proc_ssize_t i = 0; i < count && i < 8; i++) {
        char bytes[4];
        if (words && is_wide_punctuation(folded[i]))
            xr_buffer_byte(out, ' ');
        else
            xr_buffer_append(out, bytes, (size_t)xr_utf8_encode((uint32_t)folded[i], bytes));
    }
    return (size_t)length;
}

// What an ASCII character of words becomes: 0 for nothing.
static char fold_byte(char c) {
    if (c == '\'') return 0;
    if (xr_is_letter(c) || (c && strchr("%#&@", c))) return xr_lower(c);
    return ' ';
}

// Puts single spaces between the words of out[begin..] and drops articles, in place; a leading "a"
// only where it is one.
static void tidy_words(XrBuffer *out, size_t begin, bool articles, bool leading_a) {
    size_t from = begin, to = begin;
    while (out->length > begin && xr_is_space(out->data[out->length - 1])) out->length--;
    while (from < out->length) {
        while (from < out->length && xr_is_space(out->data[from])) from++;
        size_t end = from;
        while (end < out->length && !xr_is_space(out->data[end])) end++;
        XrSpan word = xr_span(out->data + from, end - from);
        bool article = articles && (xr_span_is(word, "the") || xr_span_is(word, "an") ||
                                    (leading_a && to == begin && xr_span_is(word, "a")));
        if (word.bytes && !(article && (end < out->length || to > begin))) {
            if (to > begin) out->data[to++] = ' ';
            memmove(out->data + to, word.data, word.bytes);
            to += word.bytes;
        }
        from = end;
    }
    out->length = to;
    if (out->data) out->data[to] = '\0';
}

void xr_fold_text(XrSpan plain, XrBuffer *out) {
    plain = xr_span_trim(plain);
    bool words = only_words(plain);
    size_t begin = out->length;
    for (size_t at = 0; at < plain.bytes;) {
        char c = plain.data[at];
        if (c & 0x80) {
            at += fold_wide(plain, at, words, out);
            continue;
        }
        char folded = words ? fold_byte(c) : xr_lower(c);
        if (folded || !words) xr_buffer_byte(out, folded);
        at++;
    }
    // "A: text" begins with a label rather than an article
    tidy_words(out, begin, words, plain.bytes > 1 && plain.data[1] == ' ');
    if (out->length == begin && plain.bytes) xr_buffer_append(out, plain.data, plain.bytes);
    while (!words && out->length > begin + 1 && strchr(".,;", out->data[out->length - 1]))
        out->data[--out->length] = '\0';
}

// ---- what is words ----

static bool is_word_of_mathematics(XrSpan word) {
    static const char *const names[] = {
        "sin",  "cos",  "tan",    "cot",      "sec", "csc", "log",    "exp",   "sqrt",  "arcsin",
        "sinh", "cosh", "tanh",   "lim",      "max", "min", "arccos", "gcd",   "lcm",   "mod",
        "abs",  "det",  "arctan", "infinity", "inf", "deg", "sum",    "binom", "floor", "ceil"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (word.bytes == strlen(names[i]) && xr_span_has_at(word, 0, names[i])) return true;
    }
    return false;
}

bool xr_is_wordy(XrSpan gold) {
    XrBuffer plain = {0};
    xr_plain_text(gold, &plain);
    XrSpan text = xr_span_trim(xr_span(plain.data, plain.length));
    bool wordy = false, possible = only_words(text);
    for (size_t at = 0; possible && at < text.bytes;) {
        size_t end = at;
        while (end < text.bytes && xr_is_letter(text.data[end])) end++;
        XrSpan word = xr_span_cut(text, at, end);
        if (is_word_of_mathematics(word)) possible = false;
        wordy |= word.bytes >= 3 || (text.bytes == 2 && xr_span_word_at(word, 0, "no"));
        bool plain_mark =
            end < text.bytes && ((text.data[end] & 0x80) ||
                                 (text.data[end] && strchr(" ,.;:'\"-!?&()", text.data[end])));
        if (end < text.bytes && !plain_mark) possible = false;
        at = end + 1;
    }
    xr_buffer_free(&plain);
    return possible && wordy;
}

// ---- comparison ----

// 1 for yes and true, -1 for no and false, 0 for any other word.
static int polarity(XrSpan word) {
    if (xr_span_is(word, "yes") || xr_span_is(word, "true")) return 1;
    if (xr_span_is(word, "no") || xr_span_is(word, "false")) return -1;
    return 0;
}

static bool takes_back(XrSpan word) {
    static const char *const words[] = {"not",      "but",    "however", "or",
                                        "although", "though", "except",  "unless",
                                        "actually", "maybe",  "cannot",  "wrong"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (xr_span_is(word, words[i])) return true;
    }
    return word.bytes > 2 && memcmp(word.data + word.bytes - 2, "nt", 2) == 0 && word.bytes < 8 &&
           (word.data[0] == 'i' || word.data[0] == 'd' || word.data[0] == 'c' ||
            word.data[0] == 'w');
}

// The lower-case letters of the word at `*at` in `word`, apostrophes left out; moves `*at` past it.
static XrSpan next_word(XrSpan text, size_t *at, char word[16]) {
    size_t length = 0;
    while (*at < text.bytes && !xr_is_letter(text.data[*at])) ++*at;
    for (; *at < text.bytes && (xr_is_letter(text.data[*at]) || text.data[*at] == '\''); ++*at) {
        if (text.data[*at] != '\'' && length < 15) word[length++] = xr_lower(text.data[*at]);
    }
    return xr_span(word, length);
}

// The answer to a yes-or-no question: its first word's polarity, if a comma, full stop or dash
// follows it and no later word is of the other polarity or takes it back; else 0.
static int yes_or_no(XrSpan plain) {
    char letters[16];
    size_t at = 0;
    plain = xr_span_trim(plain);
    int result = polarity(next_word(plain, &at, letters));
    bool ended = at == plain.bytes || strchr(",.;:-!\n", plain.data[at]) ||
                 (plain.bytes > at + 1 && plain.data[at + 1] == '-');
    if (!ended) return 0;
    while (at < plain.bytes && result) {
        XrSpan word = next_word(plain, &at, letters);
        if (polarity(word) * result < 0 || takes_back(word)) result = 0;
    }
    return result;
}

static void say(XrBuffer *explain, const char *what, const XrBuffer *gold, const XrBuffer *answer) {
    if (!explain) return;
    xr_buffer_format(explain, "text: gold \"%s\", answer \"%s\": %s\n",
                     gold->length ? gold->data : "", answer->length ? answer->data : "", what);
}

XrVerdict xr_text_compare(XrSpan gold, XrSpan answer, XrBuffer *explain) {
    XrBuffer plain[2] = {{0}, {0}}, folded[2] = {{0}, {0}};
    xr_plain_text(gold, &plain[0]);
    xr_plain_text(answer, &plain[1]);
    for (int i = 0; i < 2; i++) xr_fold_text(xr_span(plain[i].data, plain[i].length), &folded[i]);
    XrSpan a = xr_span(folded[0].data, folded[0].length),
           b = xr_span(folded[1].data, folded[1].length);
    XrVerdict verdict = XR_VERDICT_DIFFERENT;
    int wanted = polarity(a);
    if (!a.bytes) {
        verdict = XR_VERDICT_UNPARSED_GOLD;
        say(explain, "the gold answer is blank", &folded[0], &folded[1]);
    } else if (!b.bytes) {
        verdict = XR_VERDICT_EMPTY;
        say(explain, "the answer is blank", &folded[0], &folded[1]);
    } else if (xr_span_equal(a, b)) {
        verdict = XR_VERDICT_EQUAL;
        say(explain, "the same words", &folded[0], &folded[1]);
    } else if (wanted && yes_or_no(xr_span(plain[1].data, plain[1].length)) == wanted) {
        verdict = XR_VERDICT_EQUAL;
        say(explain, "the same answer to a yes-or-no question", &folded[0], &folded[1]);
    } else {
        say(explain, "other words", &folded[0], &folded[1]);
    }
    for (int i = 0; i < 2; i++) xr_buffer_free(&plain[i]), xr_buffer_free(&folded[i]);
    return verdict;
}
