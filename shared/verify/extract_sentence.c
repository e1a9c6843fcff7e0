#include "shared/verify/extract_sentence.h"

static const size_t MAX_SENTENCE = 240;

typedef struct Words {
    const char *const *items;
    size_t count;
} Words;

#define WORDS(...)                                                                                 \
    ((Words){(const char *const[]){__VA_ARGS__},                                                   \
             sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *)})

static bool is_word_of(XrSpan text, size_t at, Words words) {
    for (size_t i = 0; i < words.count; i++) {
        if (xr_span_word_at(text, at, words.items[i])) return true;
    }
    return false;
}

// Whether any of the words stands in the sentence.
static bool has_word_of(XrSpan sentence, Words words) {
    for (size_t at = 0; at < sentence.bytes; at++) {
        if (at > 0 && xr_is_letter(sentence.data[at - 1])) continue;
        if (is_word_of(sentence, at, words)) return true;
    }
    return false;
}

static bool concludes(XrSpan sentence) {
    return is_word_of(sentence, 0,
                      WORDS("so", "thus", "therefore", "hence", "in total", "altogether", "overall",
                            "consequently", "in conclusion", "as a result"));
}

// Numbers in words, bounds, and plans: with any of them a number is not all that the sentence says.
static bool says_more(XrSpan sentence) {
    return xr_is_hedged(sentence) ||
           has_word_of(sentence,
                       WORDS("one", "two", "three", "four", "five", "six", "seven", "eight", "nine",
                             "ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen",
                             "sixteen", "seventeen", "eighteen", "nineteen", "twenty", "thirty",
                             "forty", "fifty", "sixty", "seventy", "eighty", "ninety", "hundred",
                             "hundreds", "thousands", "half", "third", "thirds", "quarter",
                             "quarters", "both", "twice", "double", "triple", "no", "zero")) ||
           has_word_of(sentence,
                       WORDS("more", "less", "fewer", "greater", "larger", "smaller", "than",
                             "least", "most", "over", "under", "above", "below", "between",
                             "exceed", "exceeds", "within", "up to", "at last", "plus", "minus",
                             "times", "divided by", "multiplied by", "multiple", "multiples")) ||
           has_word_of(sentence, WORDS("need to", "have to", "to find", "except", "first", "second",
                                       "next", "let", "let's", "consider", "suppose", "assume",
                                       "assuming", "given", "recall", "note", "check", "i")) ||
           is_word_of(sentence, 0,
                      WORDS("now", "since", "using", "from", "for", "step", "case", "when",
                            "because", "example"));
}

// Whether the number at `at` is part of a name: "step 3", "Figure 2", "#3", "x2", "(3)".
static bool is_named(XrSpan sentence, size_t at) {
    if (at == 0) return false;
    char before = sentence.data[at - 1];
    if (before != ' ') return true;
    XrSpan so_far = xr_span_trim(xr_span_cut(sentence, 0, at));
    size_t space = xr_span_find_last(so_far, " ", so_far.bytes);
    return is_word_of(so_far, space == XR_NOT_FOUND ? 0 : space + 1,
                      WORDS("step", "figure", "fig", "table", "theorem", "lemma", "equation",
                            "example", "problem", "question", "section", "chapter", "part", "case",
                            "page", "option", "choice", "statement", "condition", "item", "number",
                            "no", "grade", "row", "column", "line", "rule", "axiom", "method"));
}

static bool is_in_number(char c) {
    return xr_is_digit(c) || c == ',' || c == '.';
}

// The end of the number that begins at `at`, without the sentence's punctuation.
static size_t number_end(XrSpan text, size_t at) {
    while (at < text.bytes && is_in_number(text.data[at])) at++;
    while (!xr_is_digit(text.data[at - 1])) at--;
    return at;
}

// The beginning of the number whose first digit stands at `at`: a sign or a currency before it.
static size_t number_begin(XrSpan text, size_t at) {
    while (at > 0 && text.data[at - 1] && strchr("-+$.", text.data[at - 1])) at--;
    static const char *const signs[] = {"−", "£", "€", "¥"};
    for (size_t i = 0; i < sizeof signs / sizeof *signs; i++) {
        size_t bytes = strlen(signs[i]);
        if (at >= bytes && xr_span_is(xr_span_cut(text, at - bytes, at), signs[i])) at -= bytes;
    }
    return at;
}

// The number with what may be its unit: "%", "°C", or the next word.
static size_t with_unit(XrSpan text, size_t end) {
    size_t at = end;
    bool spaced = at < text.bytes && text.data[at] == ' ';
    if (spaced) at++;
    if (is_word_of(text, at,
                   WORDS("in", "on", "at", "of", "for", "to", "from", "by", "with", "can", "is",
                         "are", "was", "were", "will", "and", "as", "per", "that", "which", "who",
                         "when", "after", "before", "during", "each", "every", "left", "a", "an",
                         "the", "if", "into", "has", "have", "had"))) {
        return end;
    }
    bool compound = is_word_of(
        text, at, WORDS("square", "cubic", "million", "billion", "thousand", "trillion", "dozen"));
    for (int words = compound ? 2 : 1; words > 0; words--) {
        while (at < text.bytes && !xr_is_space(text.data[at]) && text.data[at] != ',') at++;
        if (words > 1 && at < text.bytes && text.data[at] == ' ') at++;
    }
    return at;
}

static size_t skip_spaces(XrSpan text, size_t at) {
    while (at < text.bytes && text.data[at] == ' ') at++;
    return at;
}

// The bytes of an operator between two numbers, 0 where there is none.
static size_t operator_at(XrSpan text, size_t at) {
    static const char *const signs[] = {"+", "-", "*", "/", "−", "×", "÷", "·", "x"};
    for (size_t i = 0; i < sizeof signs / sizeof *signs; i++) {
        size_t bytes = strlen(signs[i]);
        if (at + bytes <= text.bytes && xr_span_is(xr_span_cut(text, at, at + bytes), signs[i])) {
            return bytes;
        }
    }
    return 0;
}

// Steps over numbers with operators between them; false where there is none.
static bool skip_terms(XrSpan text, size_t *at, int *terms, size_t *last) {
    for (*terms = 0;; ++*terms) {
        size_t digit = skip_spaces(text, *at);
        if (digit < text.bytes && text.data[digit] == '$') digit++;
        if (digit >= text.bytes || !xr_is_digit(text.data[digit])) return false;
        *last = digit;
        *at = number_end(text, digit);
        size_t sign = skip_spaces(text, *at), bytes = operator_at(text, sign);
        if (!bytes) break;
        *at = sign + bytes;
    }
    ++*terms;
    return true;
}

// "3 x 4 = 12", whose first digit stands at `at`: moves it to the first digit of the result.
static void skip_calculation(XrSpan text, size_t *at) {
    size_t to = *at, last = to, equals = 0;
    for (int terms, sides = 1;; sides++) {
        if (!skip_terms(text, &to, &terms, &last)) return;
        equals = skip_spaces(text, to);
        bool more = equals < text.bytes && text.data[equals] == '=';
        if (!more && (sides == 1 || terms > 1)) return;
        if (!more) break;
        to = equals + 1;
    }
    *at = last;
}

// The sentence's only number, which may be the result of a calculation; false where there is none,
// or something that is not one alone.
static bool find_number(XrSpan s, XrSpan *out) {
    size_t begin = 0, end = 0;
    for (size_t at = 0; at < s.bytes; at++) {
        if (s.data[at] && strchr("=\\^<>[]{}|~/*:", s.data[at]) && !(end && s.data[at] == '/')) {
            return false;
        }
        if (!xr_is_digit(s.data[at])) continue;
        if (end) return false;
        bool named = is_named(s, number_begin(s, at));
        skip_calculation(s, &at);
        begin = number_begin(s, at);
        end = number_end(s, at);
        bool ordinal = end < s.bytes && xr_is_letter(s.data[end]);
        if (ordinal || named) return false;
        at = end - 1;
    }
    if (!end) return false;
    *out = xr_span_cut(s, begin, with_unit(s, end));
    return true;
}

// What follows from what: "Since …, there are 3", without the reason.
static XrSpan without_reason(XrSpan sentence) {
    if (!is_word_of(sentence, 0, WORDS("since", "because"))) return sentence;
    size_t comma = xr_span_find_last(sentence, ", ", sentence.bytes);
    return comma == XR_NOT_FOUND ? sentence : xr_span_cut(sentence, comma + 2, sentence.bytes);
}

// Whether the line is a paragraph of its own: all of the text, or after a blank line.
static bool is_paragraph(XrSpan text, XrSpan line) {
    size_t at = (size_t)(line.data - text.data), newlines = 0;
    while (at > 0 && xr_is_space(text.data[at - 1])) newlines += text.data[--at] == '\n';
    return at == 0 || newlines >= 2;
}

bool xr_find_sole_number(XrSpan text, XrStatement *out) {
    XrSpan line = xr_last_line(text), sentence = xr_last_sentence(line);
    if (!sentence.bytes || sentence.bytes > MAX_SENTENCE) return false;
    char first = line.data[0], last = sentence.data[sentence.bytes - 1];
    bool whole = sentence.bytes == line.bytes && is_paragraph(text, line);
    bool listed = first == '-' || first == '#';
    sentence = xr_strip_marks(sentence);
    bool ended = last == '.' || last == '!' || last == '*';
    XrSpan said = without_reason(sentence);
    bool follows = said.bytes < sentence.bytes || concludes(sentence);
    if (!ended || listed || !(whole || follows) || says_more(said)) return false;
    *out = (XrStatement){.begin = (size_t)(sentence.data - text.data)};
    sentence = said;
    if (!find_number(sentence, &out->value)) return false;
    out->value = xr_strip_marks(out->value);
    return out->value.bytes > 0;
}
