#include "shared/verify/number_literal.h"

#include "shared/base/memory.h"
#include "shared/verify/math_lexer.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

static bool digit_at(const XrTokens *t, size_t at) {
    return at < t->bytes && isdigit((unsigned char)t->text[at]);
}

static bool starts(const XrTokens *t, size_t at, const char *with) {
    size_t length = strlen(with);
    return at + length <= t->bytes && !memcmp(t->text + at, with, length);
}

static size_t digits_end(const XrTokens *t, size_t at) {
    while (digit_at(t, at)) at++;
    return at;
}

// The end of a group of exactly three digits after a separator at `at`, or 0.
static size_t group_end(const XrTokens *t, size_t at, bool comma) {
    size_t digits = 0;
    if (starts(t, at, "{,}"))
        digits = at + 3;
    else if (starts(t, at, ",\\!"))
        digits = at + 3;
    else if (starts(t, at, ",{\\!}"))
        digits = at + 5;
    else if (starts(t, at, "\\,") || starts(t, at, "\\ "))
        digits = at + 2;
    else if (at < t->bytes && t->text[at] == ' ')
        digits = at + 1;
    else if (comma && at < t->bytes && t->text[at] == ',')
        digits = at + 1;
    if (!digits) return 0;
    while (starts(t, at, ",") && digits < t->bytes && digits > at + 1 && t->text[digits] == ' ')
        digits++;
    return digits_end(t, digits) == digits + 3 ? digits + 3 : 0;
}

static size_t integer_end(XrTokens *t, size_t at, int depth, bool spaced_commas) {
    size_t first = digits_end(t, at), end = first;
    if (first - at > 3 || first == at || t->text[at] == '0') return first;
    bool comma = !(t->reading & XR_READ_COMMA_LIST) && (depth == 0 || spaced_commas);
    bool used_comma = false, zero = false;
    for (;;) {
        size_t next = group_end(t, end, comma);
        if (!next) break;
        if (t->text[end] == ',' && digit_at(t, end + 1)) {
            used_comma = true;
            zero |= t->text[end + 1] == '0';
        }
        end = next;
    }
    if (!used_comma) return end;
    // A comma with another number of digits after it shows that these are members of a list.
    if (end < t->bytes && t->text[end] == ',' && digit_at(t, end + 1)) return first;
    // As members of a list they would not begin with a zero.
    if (!zero) t->ambiguous |= XR_READ_COMMA_LIST;
    return end;
}

// The end of a repeating part that starts at `at`, or `at`.
static size_t repeating_end(const XrTokens *t, size_t at) {
    static const char *const bars[] = {"\\overline{", "\\bar{", "\\overline {"};
    for (size_t i = 0; i < XR_COUNT(bars); i++) {
        if (!starts(t, at, bars[i])) continue;
        size_t end = digits_end(t, at + strlen(bars[i]));
        return end < t->bytes && t->text[end] == '}' ? end + 1 : at;
    }
    size_t end = at;
    while (starts(t, end, "\\dot{") && digit_at(t, end + 5) && starts(t, end + 6, "}"))
        end = digits_end(t, end + 7);
    while (starts(t, end, "\\dot") && digit_at(t, end + 4)) end = digits_end(t, end + 5);
    if (end > at) return end;
    if (starts(t, at, "(") && digit_at(t, at + 1)) {
        end = digits_end(t, at + 1);
        return end < t->bytes && t->text[end] == ')' ? end + 1 : at;
    }
    static const char *const dots[] = {"...", "\\ldots", "\\dots", "\\cdots"};
    for (size_t i = 0; i < XR_COUNT(dots); i++)
        if (starts(t, at, dots[i])) return at + strlen(dots[i]);
    return at;
}

static size_t exponent_end(const XrTokens *t, size_t at) {
    if (at >= t->bytes || (t->text[at] != 'e' && t->text[at] != 'E')) return at;
    size_t digits = at + 1;
    if (digits < t->bytes && (t->text[digits] == '+' || t->text[digits] == '-')) digits++;
    size_t end = digits_end(t, digits);
    if (end == digits || (end < t->bytes && isalpha((unsigned char)t->text[end]))) return at;
    return end;
}

size_t xr_number_literal_end(XrTokens *tokens, size_t at, int depth, bool spaced_commas) {
    size_t end = at;
    if (tokens->text[at] != '.') end = integer_end(tokens, at, depth, spaced_commas);
    bool comma = end < tokens->bytes && tokens->text[end] == ',' && digit_at(tokens, end + 1);
    if (comma && depth == 0) tokens->ambiguous |= XR_READ_DECIMAL_COMMA;
    bool point = (end < tokens->bytes && tokens->text[end] == '.') ||
                 (comma && (tokens->reading & XR_READ_DECIMAL_COMMA));
    if (point) {
        size_t decimals = digits_end(tokens, end + 1), repeating = repeating_end(tokens, decimals);
        bool dots = repeating > decimals && tokens->text[repeating - 1] != '}' &&
                    !isdigit((unsigned char)tokens->text[repeating - 1]) &&
                    tokens->text[repeating - 1] != ')';
        if (decimals == end + 1 && (repeating == decimals || dots)) return end;
        end = repeating;
    }
    return exponent_end(tokens, end);
}

typedef struct Literal {
    XrBuffer digits; // without point or repeating part
    int decimals;    // of them, how many stand behind the point
    XrBuffer repeat; // the repeating digits
    bool point, dots;
    bool comma; // a comma is the point
    long exponent;
} Literal;

// Splits the text. Digits after an opening bar, dot or bracket are the repeating ones.
static void split(Literal *l, const char *text, size_t bytes) {
    bool repeating = false;
    for (size_t i = 0; i < bytes; i++) {
        char c = text[i];
        if (isdigit((unsigned char)c)) {
            xr_buffer_byte(repeating ? &l->repeat : &l->digits, c);
            if (l->point && !repeating) l->decimals++;
        } else if ((c == '.' && !(i + 2 < bytes && text[i + 1] == '.')) || (c == ',' && l->comma)) {
            l->point = true;
        } else if (c == '.') {
            l->dots = true;
            return;
        } else if (c == 'e' || c == 'E') {
            l->exponent = strtol(text + i + 1, NULL, 10);
            return;
        } else if (c == '\\' && i + 1 < bytes && isalpha((unsigned char)text[i + 1])) {
            if (!strncmp(text + i, "\\ldots", 6) || !strncmp(text + i, "\\cdots", 6) ||
                !strncmp(text + i, "\\dots", 5)) {
                l->dots = true;
                return;
            }
            repeating = true;
            while (i + 1 < bytes && isalpha((unsigned char)text[i + 1])) i++;
        } else if (c == '(') {
            repeating = true;
        }
    }
}

// 0.333… and 0.1666…: the shortest period that the last digits show at least three times (a longer
// one: twice). Moves it to `repeat`. 3.14159… has none and stays a cut decimal.
static void find_period(Literal *l) {
    for (int period = 1; period <= 12; period++) {
        int times = period == 1 ? 3 : 2;
        if (period * times > l->decimals) return;
        const char *last = l->digits.data + l->digits.length - period;
        bool fits = true;
        for (int i = 1; i < times && fits; i++)
            fits = !memcmp(last, last - (ptrdiff_t)i * period, (size_t)period);
        if (!fits) continue;
        xr_buffer_append(&l->repeat, last, (size_t)period);
        return;
    }
}

static void count_digits(XrExpr *node, const Literal *l) {
    size_t zeros = 0;
    while (zeros < l->digits.length && l->digits.data[zeros] == '0') zeros++;
    node->significant = (int32_t)(l->digits.length - zeros);
    node->decimals = l->decimals - (int32_t)l->exponent;
    if (l->repeat.length) node->decimals = -1;
    if (!l->point) node->decimals = -1;
}

// value = digits / 10^decimals + repeat / (10^decimals (10^length - 1)), times 10^exponent.
static void set_value(fmpq_t value, Literal *l) {
    fmpz_t power, nines;
    fmpz_init(power);
    fmpz_init(nines);
    fmpz_set_str(fmpq_numref(value), l->digits.length ? l->digits.data : "0", 10);
    if (l->repeat.length) {
        fmpz_t repeat;
        fmpz_init(repeat);
        fmpz_set_str(repeat, l->repeat.data, 10);
        fmpz_set_ui(nines, 10);
        fmpz_pow_ui(nines, nines, l->repeat.length);
        fmpz_sub_ui(nines, nines, 1);
        fmpz_mul(fmpq_numref(value), fmpq_numref(value), nines);
        fmpz_add(fmpq_numref(value), fmpq_numref(value), repeat);
        fmpz_set(fmpq_denref(value), nines);
        fmpz_clear(repeat);
    }
    long scale = l->exponent - l->decimals;
    fmpz_set_ui(power, 10);
    fmpz_pow_ui(power, power, (ulong)labs(scale));
    if (scale > 0) fmpz_mul(fmpq_numref(value), fmpq_numref(value), power);
    if (scale < 0) fmpz_mul(fmpq_denref(value), fmpq_denref(value), power);
    fmpq_canonicalise(value);
    fmpz_clear(power);
    fmpz_clear(nines);
}

// Plain integers of few digits, which most are.
static XrExpr *read_small(XrExprs *exprs, const char *text, size_t bytes) {
    if (bytes > 17) return NULL;
    slong number = 0;
    for (size_t i = 0; i < bytes; i++) {
        if (!isdigit((unsigned char)text[i])) return NULL;
        number = number * 10 + (text[i] - '0');
    }
    XrExpr *node = xr_expr_number(exprs, number);
    size_t zeros = 0;
    while (zeros < bytes && text[zeros] == '0') zeros++;
    node->significant = (int32_t)(bytes - zeros);
    return node;
}

// Whether the literal's comma stands for a point: not where it parts off thousands.
static bool comma_is_point(const char *text, size_t bytes) {
    const char *comma = memchr(text, ',', bytes);
    if (!comma || memchr(text, '.', bytes) || memchr(text, '\\', bytes)) return false;
    size_t behind = (size_t)(text + bytes - comma - 1);
    return text[0] == '0' || behind != 3 || comma - text > 3;
}

XrExpr *xr_number_read(XrExprs *exprs, const char *text, size_t bytes, bool decimal_comma) {
    XrExpr *node = read_small(exprs, text, bytes);
    if (node) return node;
    Literal l = {.comma = decimal_comma && comma_is_point(text, bytes)};
    split(&l, text, bytes);
    bool fits = l.digits.length + l.repeat.length <= XR_NUMBER_DIGITS &&
                l.decimals <= XR_NUMBER_DECIMALS && l.repeat.length <= 2000 &&
                labs(l.exponent) <= XR_NUMBER_EXPONENT;
    if (fits) {
        if (l.dots) find_period(&l);
        node = xr_expr_value(exprs);
        set_value(node->value, &l);
        count_digits(node, &l);
        if (l.dots && !l.repeat.length) node->flags |= XR_F_APPROXIMATE;
    }
    xr_buffer_free(&l.digits);
    xr_buffer_free(&l.repeat);
    return node;
}
