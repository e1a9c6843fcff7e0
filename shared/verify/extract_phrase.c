#include "shared/verify/extract_phrase.h"

static const size_t MAX_SENTENCE = 2000;

enum {
    MAX_QUALIFIER = 80,
    MAX_SHORT = 120,
    MAX_CONCLUSION = 100,
    MAX_NOUNS = 1000, // looked at, from the end, until one is in a phrase
};

// ---- the value that follows ----

static bool is_mark(char c) {
    return c == '*' || c == '_' || c == '`' || c == '"';
}

// "**5**" without its stars; also stars on one side, whose other side was cut away.
static XrSpan strip_stars(XrSpan value) {
    bool before = xr_span_has_at(value, 0, "**");
    bool after = value.bytes > 2 && memcmp(value.data + value.bytes - 2, "**", 2) == 0;
    size_t next = before ? xr_span_find(value, "**", 2) : XR_NOT_FOUND;
    if (before && (next == XR_NOT_FOUND || next + 2 == value.bytes)) {
        value = xr_span_cut(value, 2, value.bytes);
        after = next != XR_NOT_FOUND;
    } else if (before) {
        return value;
    }
    if (after && value.bytes >= 2) value.bytes -= 2;
    return value;
}

XrSpan xr_strip_marks(XrSpan value) {
    for (;;) {
        size_t before = value.bytes;
        value = xr_span_trim(value);
        if (value.bytes > 3 && memcmp(value.data + value.bytes - 3, "。", 3) == 0) value.bytes -= 3;
        while (value.bytes && value.data[value.bytes - 1] &&
               strchr(".,;", value.data[value.bytes - 1]))
            value.bytes--;
        value = strip_stars(value);
        while (value.bytes > 1 && is_mark(value.data[0]) &&
               value.data[0] == value.data[value.bytes - 1])
            value = xr_span_cut(value, 1, value.bytes - 1);
        if (value.bytes == before) return value;
    }
}

bool xr_looks_like_value(XrSpan value) {
    if (!value.bytes) return false;
    char c = value.data[0];
    static const char *const others[] = {"£", "€", "¥", "√", "π", "∞", "−", "±", "∅"};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        if (xr_span_find(xr_span_cut(value, 0, 4), others[i], 0) == 0) return true;
    }
    return xr_is_digit(c) || (c && strchr("$\\-+(.[{|", c));
}

size_t xr_count_words(XrSpan text) {
    size_t words = 0;
    for (size_t i = 0; i < text.bytes; i++) {
        words += !xr_is_space(text.data[i]) && (i == 0 || xr_is_space(text.data[i - 1]));
    }
    return words;
}

bool xr_is_short_value(XrSpan value) {
    value = xr_span_trim(value);
    if (!value.bytes || value.bytes > MAX_SHORT) return false;
    for (size_t i = 0; i < value.bytes; i++) {
        if (xr_is_digit(value.data[i]) || value.data[i] == '\\') return true;
    }
    return xr_count_words(value) <= 4;
}

// Whether an explanation begins at `at`, which follows a space or a comma.
static bool explains_at(XrSpan text, size_t at) {
    static const char *const words[] = {"because", "since", "which", "as it", "as the", "due to"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (xr_span_word_at(text, at, words[i])) return true;
    }
    return false;
}

// Whether what came so far is a label such as "B" or "**B".
static bool is_label(XrSpan so_far) {
    so_far = xr_span_trim(so_far);
    while (so_far.bytes && (is_mark(so_far.data[0]) || so_far.data[0] == '\'')) {
        so_far.data++;
        so_far.bytes--;
    }
    return so_far.bytes == 1 && xr_is_letter(so_far.data[0]);
}

// Whether the full stop at `at` ends a single capital letter: an option's, or one of a name's.
static bool ends_initial(XrSpan text, size_t at) {
    return at > 0 && xr_is_upper(text.data[at - 1]) &&
           (at == 1 || xr_is_space(text.data[at - 2]) || is_mark(text.data[at - 2]));
}

// Whether a sentence ends with the full stop at `at`.
static bool ends_sentence(XrSpan text, size_t at) {
    if (text.data[at] == '?') return true;
    if (text.data[at] == (char)0xe3) return xr_span_is(xr_span_cut(text, at, at + 3), "。");
    if (text.data[at] != '.') return false;
    size_t next = at + 1;
    while (next < text.bytes && is_mark(text.data[next])) next++;
    return next >= text.bytes || xr_is_space(text.data[next]);
}

// Whether the dollar sign at `at` is a currency's rather than one that opens a formula: a digit
// follows it, and the next dollar sign, if there is one, is of the same kind.
static bool is_currency(XrSpan text, size_t at) {
    if (at + 1 >= text.bytes || !xr_is_digit(text.data[at + 1])) return false;
    const char *next = memchr(text.data + at + 1, '$', text.bytes - at - 1);
    if (!next) return true;
    const char *newline = memchr(text.data + at + 1, '\n', (size_t)(next - text.data) - at - 1);
    return newline || (next + 1 < text.data + text.bytes && xr_is_digit(next[1]));
}

// The end of a value that begins at `from` within a line.
static size_t line_value_end(XrSpan text, size_t from, bool choice, bool *cut) {
    size_t depth = 0;
    bool dollars = false;
    for (size_t at = from; at < text.bytes; at++) {
        char c = text.data[at];
        if (c == '\n') return at;
        if (c == '\\')
            at++;
        else if (c == '{')
            depth++;
        else if (c == '}' && depth-- == 0)
            return at; // of the group that holds the statement: \text{Answer: 5}
        else if (c == '$')
            dollars = !dollars && !is_currency(text, at);
        if (depth || dollars || c == '\\') continue;
        bool label = choice && (is_label(xr_span_cut(text, from, at)) || ends_initial(text, at));
        bool stop = !label && ends_sentence(text, at);
        stop |=
            !choice && at > from &&
            (text.data[at - 1] == ' ' || text.data[at - 1] == ',' || text.data[at - 1] == '(') &&
            explains_at(text, at);
        if (!stop) continue;
        XrSpan rest = xr_span_cut(text, at + 1, text.bytes);
        const char *line_end = rest.bytes ? memchr(rest.data, '\n', rest.bytes) : NULL;
        if (line_end) rest.bytes = (size_t)(line_end - rest.data);
        *cut = xr_strip_marks(rest).bytes > 0;
        return at;
    }
    return text.bytes;
}

// The content of a display that opens at `from` with `open` and ends with `close`.
static bool display_value(XrSpan text, size_t from, const char *open, const char *close,
                          XrSpan *out) {
    if (!xr_span_has_at(text, from, open)) return false;
    size_t begin = from + strlen(open), end = xr_span_find(text, close, begin);
    if (end == XR_NOT_FOUND) return false;
    *out = xr_span_cut(text, begin, end);
    return true;
}

// The content of a fenced code block.
static bool fenced_value(XrSpan text, size_t from, XrSpan *out) {
    if (!xr_span_has_at(text, from, "```")) return false;
    size_t line = xr_span_find(text, "\n", from), end = XR_NOT_FOUND;
    if (line != XR_NOT_FOUND) end = xr_span_find(text, "```", line);
    if (end == XR_NOT_FOUND) return false;
    *out = xr_span_cut(text, line + 1, end);
    return true;
}

// Skips spaces, colons, closing braces (\text{Answer: } 5) and emphasis that ends here
// ("**Answer:** 5") rather than begins ("**5**").
static size_t skip_closing_marks(XrSpan text, size_t at) {
    for (;;) {
        while (at < text.bytes &&
               (xr_is_space(text.data[at]) || text.data[at] == ':' || text.data[at] == '}'))
            at++;
        size_t marks = at;
        while (marks < text.bytes && is_mark(text.data[marks])) marks++;
        if (marks == at || marks - at > 3 || (marks < text.bytes && !xr_is_space(text.data[marks])))
            return at;
        at = marks;
    }
}

// Reads the value at `from` into `out`.
static void read_value(XrSpan text, size_t from, bool choice, XrStatement *out) {
    from = skip_closing_marks(text, from);
    if (!fenced_value(text, from, &out->value) &&
        !display_value(text, from, "\\[", "\\]", &out->value) &&
        !display_value(text, from, "$$", "$$", &out->value)) {
        size_t end = line_value_end(text, from, choice, &out->cut);
        out->value = xr_span_cut(text, from, end);
    }
    out->value = xr_strip_marks(out->value);
    out->unfinished = out->value.bytes == 0;
    out->negated = xr_span_word_at(out->value, 0, "not") || xr_span_word_at(out->value, 0, "none");
}

// ---- phrases ----

static size_t skip_spaces(XrSpan text, size_t at) {
    while (at < text.bytes && (text.data[at] == ' ' || text.data[at] == '\t')) at++;
    return at;
}

// Skips any of `words` at `at`; returns where it got to.
static size_t skip_words(XrSpan text, size_t at, const char *const *words, size_t count) {
    for (bool again = true; again;) {
        again = false;
        at = skip_spaces(text, at);
        for (size_t i = 0; i < count; i++) {
            if (!xr_span_word_at(text, at, words[i])) continue;
            at += strlen(words[i]);
            again = true;
        }
    }
    return at;
}

// The end of a verb or sign that makes a statement of what went before, or XR_NOT_FOUND.
static size_t verb_end(XrSpan text, size_t at) {
    static const char *const verbs[] = {"is",        "are",     "would be",     "should be",
                                        "must be",   "will be", "can be",       "equals",
                                        "has to be", "becomes", "therefore is", "thus is"};
    static const char *const fillers[] = {
        "therefore", "thus",          "then",  "simply",   "just",        "indeed",  "clearly",
        "also",      "now",           "hence", "given by", "equal to",    "exactly", "option",
        "choice",    "approximately", "about", "roughly",  "most likely", "likely"};
    size_t marked = at;
    while (marked < text.bytes && (is_mark(text.data[marked]) || text.data[marked] == ')'))
        marked++;
    marked = skip_spaces(text, marked);
    if (marked < text.bytes && (text.data[marked] == ':' || text.data[marked] == '='))
        return marked + 1;
    if (xr_span_find(xr_span_cut(text, marked, marked + 3), "：", 0) == 0) return marked + 3;
    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++) {
        if (!xr_span_word_at(text, marked, verbs[i])) continue;
        return skip_words(text, marked + strlen(verbs[i]), fillers,
                          sizeof fillers / sizeof *fillers);
    }
    return XR_NOT_FOUND;
}

// After the noun: a verb at once, a verb after a qualifier ("to the question"), or the end of a
// line that is a heading.
static size_t statement_end(XrSpan text, size_t noun, size_t at) {
    size_t end = verb_end(text, at);
    if (end != XR_NOT_FOUND) return end;
    static const char *const links[] = {"to",   "for", "of",     "in",    "from",
                                        "that", "we",  "choice", "option"};
    size_t word = skip_spaces(text, at);
    bool linked = false;
    for (size_t i = 0; i < sizeof links / sizeof *links; i++) {
        linked |= word > at && xr_span_word_at(text, word, links[i]);
    }
    for (size_t i = word; linked && i < text.bytes && i < word + MAX_QUALIFIER; i++) {
        char c = text.data[i];
        if (c == '\n' || c == '.' || c == ',') break;
        bool boundary = c == ' ' && i + 1 < text.bytes;
        size_t found = boundary || c == ':' ? verb_end(text, i + boundary) : XR_NOT_FOUND;
        if (found != XR_NOT_FOUND) return found;
    }
    // a heading: nothing but marks up to the ends of the line
    while (at < text.bytes && (is_mark(text.data[at]) || text.data[at] == ' ')) at++;
    if (at >= text.bytes || text.data[at] != '\n') return XR_NOT_FOUND;
    size_t begin = noun;
    while (begin > 0 && text.data[begin - 1] != '\n' && noun - begin < 32) begin--;
    XrSpan lead = xr_span_cut(text, begin, noun);
    while (lead.bytes && (is_mark(lead.data[0]) || lead.data[0] == '#' || lead.data[0] == ' '))
        lead.data++, lead.bytes--;
    lead = xr_span_trim(lead);
    bool heading = !lead.bytes || (xr_span_word_at(lead, 0, "final") && lead.bytes == 5) ||
                   (xr_span_word_at(lead, 0, "the final") && lead.bytes == 9);
    return heading ? at : XR_NOT_FOUND;
}

// Whether "correct", "best" or the like stands right before the noun at `noun`.
static bool is_singled_out(XrSpan text, size_t noun) {
    static const char *const words[] = {"correct",  "right",    "best",   "closest", "appropriate",
                                        "suitable", "accurate", "likely", "valid",   "final"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        size_t length = strlen(words[i]) + 1;
        if (noun >= length && xr_span_has_at(text, noun - length, words[i])) return true;
    }
    return false;
}

// If a phrase's noun stands at `at`, its length.
static size_t noun_at(XrSpan text, size_t at, bool choice) {
    static const char *const chinese[] = {
        "答案是", "答案为", "答案：", "答案:", "答案选", "故选", "应选"};
    if ((text.data[at] & 0x80) != 0) {
        for (size_t i = 0; i < sizeof chinese / sizeof *chinese; i++) {
            XrSpan here = xr_span_cut(text, at, at + strlen(chinese[i]));
            if (xr_span_is(here, chinese[i])) return here.bytes;
        }
        return 0;
    }
    if (at > 0 &&
        (xr_is_letter(text.data[at - 1]) || text.data[at - 1] == '<' || text.data[at - 1] == '/'))
        return 0;
    char second = at + 1 < text.bytes ? xr_lower(text.data[at + 1]) : 0;
    if (second != 'n' && second != 'p' && second != 'h') return 0; // most letters end here
    static const char *const nouns[] = {"answers", "answer", "option", "choice", "ans"};
    for (int i = 0; i < 5; i++) {
        if (!xr_span_word_at(text, at, nouns[i])) continue;
        if ((i == 2 || i == 3) && !(choice && is_singled_out(text, at))) continue;
        return strlen(nouns[i]);
    }
    return 0;
}

bool xr_find_phrase(XrSpan text, bool choice, XrStatement *out) {
    int nouns = 0;
    for (size_t at = text.bytes; at-- > 0 && nouns < MAX_NOUNS;) {
        char c = xr_lower(text.data[at]);
        bool chinese = c == (char)0xe7 || c == (char)0xe6 || c == (char)0xe5; // 答, 故, 应
        if (c != 'a' && c != 'o' && c != 'c' && !chinese) continue;
        size_t length = noun_at(text, at, choice);
        if (!length) continue;
        nouns++;
        size_t end = chinese ? at + length : statement_end(text, at, at + length);
        if (end == XR_NOT_FOUND) continue;
        *out = (XrStatement){.begin = at};
        read_value(text, end, choice, out);
        return true;
    }
    return false;
}

bool xr_find_hashes(XrSpan text, XrStatement *out) {
    if (xr_span_find(text, "####", 0) == XR_NOT_FOUND) return false;
    for (size_t end = text.bytes; end > 0;) {
        const char *newline = memrchr(text.data, '\n', end - 1);
        size_t begin = newline ? (size_t)(newline - text.data) + 1 : 0;
        XrSpan line = xr_span_cut(text, begin, end);
        end = begin;
        if (!xr_span_has_at(line, 0, "####")) continue;
        XrStatement found = {.begin = begin};
        read_value(line, 4, false, &found);
        if (!xr_looks_like_value(found.value) || found.value.bytes > MAX_SHORT) continue;
        *out = found;
        return true;
    }
    return false;
}

// ---- last lines and sentences ----

XrSpan xr_last_line(XrSpan text) {
    text = xr_span_trim(text);
    const char *newline = text.bytes ? memrchr(text.data, '\n', text.bytes) : NULL;
    if (!newline) return text;
    return xr_span_trim(xr_span_cut(text, (size_t)(newline - text.data) + 1, text.bytes));
}

XrSpan xr_last_sentence(XrSpan line) {
    line = xr_span_trim(line);
    if (line.bytes > 2 * MAX_SENTENCE)
        line = xr_span_cut(line, line.bytes - 2 * MAX_SENTENCE, line.bytes);
    size_t last = line.bytes;
    while (last > 0 && (is_mark(line.data[last - 1]) || strchr(".!?", line.data[last - 1]))) last--;
    for (size_t at = last; at-- > 1;) {
        if (xr_is_space(line.data[at]) && strchr(".!?", line.data[at - 1]) && line.data[at - 1])
            return xr_span_trim(xr_span_cut(line, at, line.bytes));
    }
    return line;
}

bool xr_find_label(XrSpan text, XrStatement *out) {
    XrSpan line = xr_last_line(text);
    if (line.bytes < 3 || line.data[0] != 'A' || line.data[1] != ':') return false;
    *out = (XrStatement){.begin = (size_t)(line.data - text.data)};
    out->value = xr_strip_marks(xr_span_cut(line, 2, line.bytes));
    return xr_looks_like_value(out->value);
}

bool xr_find_last_line(XrSpan text, XrStatement *out) {
    XrSpan line = xr_strip_marks(xr_last_line(text));
    *out = (XrStatement){.value = line, .begin = line.bytes ? (size_t)(line.data - text.data) : 0};
    return line.bytes <= MAX_SHORT && xr_looks_like_value(line) && xr_count_words(line) <= 4;
}

// Whether the "not" at `at` belongs to a relative clause: "the number that was not used".
static bool describes(XrSpan sentence, size_t at) {
    XrSpan before = xr_span_trim(xr_span_cut(sentence, at > 12 ? at - 12 : 0, at));
    size_t verb = xr_span_find_last(before, " ", before.bytes);
    if (verb == XR_NOT_FOUND) return false;
    before = xr_span_trim(xr_span_cut(before, 0, verb));
    static const char *const words[] = {"that", "which", "who"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        size_t length = strlen(words[i]);
        if (before.bytes >= length && xr_span_has_at(before, before.bytes - length, words[i]))
            return true;
    }
    return false;
}

bool xr_is_hedged(XrSpan sentence) {
    enum { NOT = 0 };
    static const char *const words[] = {"not",    "or",      "either", "neither", "cannot",
                                        "maybe",  "perhaps", "if",     "wrong",   "incorrect",
                                        "unless", "could",   "might",  "may"};
    for (size_t at = 0; at < sentence.bytes; at++) {
        if (xr_span_word_at(sentence, at, "n't")) return true;
        if (at > 0 && xr_is_letter(sentence.data[at - 1])) continue;
        for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
            if (xr_span_word_at(sentence, at, words[i]) && !(i == NOT && describes(sentence, at)))
                return true;
        }
    }
    return false;
}

bool xr_find_conclusion(XrSpan text, bool any_words, XrStatement *out) {
    XrSpan line = xr_last_line(text), sentence = xr_last_sentence(line);
    if (!sentence.bytes || sentence.bytes > MAX_SENTENCE || xr_is_hedged(sentence)) return false;
    char end = sentence.data[sentence.bytes - 1];
    bool ended = strchr(".!$*)", end) || sentence.data + sentence.bytes < text.data + text.bytes;
    if (!ended) return false; // it may have been cut off in the middle of a number
    static const char *const verbs[] = {" is ", " are ", " equals ", " be "};
    size_t verb = 0;
    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++) {
        size_t at = xr_span_find_last(sentence, verbs[i], sentence.bytes);
        if (at != XR_NOT_FOUND && at + strlen(verbs[i]) > verb) verb = at + strlen(verbs[i]);
    }
    if (!verb) return false;
    *out = (XrStatement){.begin = (size_t)(sentence.data - text.data)};
    out->value = xr_strip_marks(xr_span_cut(sentence, verb, sentence.bytes));
    if (!out->value.bytes || out->value.bytes > MAX_CONCLUSION) return false;
    return any_words || xr_looks_like_value(out->value);
}
