// Powers, factorials, degrees, percent and bases: what stands behind a value.
#include "shared/verify/math_parser_state.h"

#include <string.h>

// Skips primes (also as ^\prime) and returns how many there were.
static int count_primes(XrParser *p) {
    int count = 0;
    for (;;) {
        if (xr_at_mark(p, XR_M_PRIME)) {
            p->at++;
        } else if (xr_at_mark(p, '^') && xr_is_mark(xr_token(p, 1), XR_M_PRIME)) {
            p->at += 2;
        } else if (xr_at_mark(p, '^') && xr_is_mark(xr_token(p, 1), '{') &&
                   xr_is_mark(xr_token(p, 2), XR_M_PRIME)) {
            p->at += 2;
            while (xr_at_mark(p, XR_M_PRIME)) p->at++, count++;
            xr_parse_expect(p, '}');
            continue;
        } else {
            return count;
        }
        count++;
    }
}

static bool takes_mark_as_power(XrParser *p, int mark) {
    if (xr_is_mark(xr_token(p, 1), mark)) {
        p->at += 2;
        return true;
    }
    if (xr_is_mark(xr_token(p, 1), '{') && xr_is_mark(xr_token(p, 2), mark) &&
        xr_is_mark(xr_token(p, 3), '}')) {
        p->at += 4;
        return true;
    }
    return false;
}

static XrExpr *parse_exponent(XrParser *p) {
    if (!xr_parse_enter(p)) return xr_parse_fail(p);
    p->depth++;
    XrExpr *exponent = xr_parse_argument(p, false);
    if (xr_at_mark(p, '^') && !takes_mark_as_power(p, XR_M_DEGREE)) {
        p->at++;
        exponent = xr_expr_2(p->exprs, XR_E_POW, exponent, parse_exponent(p));
    }
    p->depth--;
    return exponent;
}

static XrExpr *transposed(XrParser *p, const XrExpr *matrix) {
    uint32_t columns = matrix->op == XR_E_MATRIX ? matrix->id : matrix->count;
    uint32_t rows = columns ? matrix->count / columns : 0;
    XrExpr *out = xr_expr_new(p->exprs, XR_E_MATRIX, (int)matrix->count);
    out->id = (uint16_t)rows;
    for (uint32_t i = 0; i < rows; i++)
        for (uint32_t j = 0; j < columns; j++)
            out->args[j * rows + i] = matrix->args[i * columns + j];
    return out;
}

static bool at_transpose(const XrParser *p, const XrExpr *base) {
    bool vector = base->op == XR_E_MATRIX || base->op == XR_E_TUPLE || base->op == XR_E_BRACKETS;
    const XrToken *token = xr_token(p, 1);
    if (xr_is_mark(token, '{')) token = xr_token(p, 2);
    return vector && (xr_is_letter(p, token, 'T') || xr_is_letter(p, token, 't'));
}

// Signs behind the name of a set of numbers: its positive part.
static bool parse_positive_part(XrParser *p, XrExpr *base) {
    if (base->op != XR_E_NAMED_SET) return false;
    int signs[] = {'+', '*', '-'};
    for (int i = 0; i < 3; i++) {
        if (!takes_mark_as_power(p, signs[i])) continue;
        if (i == 2)
            xr_parse_fail(p);
        else
            base->flags |= XR_F_LEFT_OPEN;
        return true;
    }
    return false;
}

static XrExpr *parse_power_of(XrParser *p, XrExpr *base) {
    if (takes_mark_as_power(p, XR_M_DEGREE)) {
        const XrToken *scale = xr_token(p, 0);
        if (xr_is_letter(p, scale, 'C') || xr_is_letter(p, scale, 'F')) {
            p->at++;
            XrExpr *node = xr_expr_2(p->exprs, XR_E_QUANTITY, base, xr_expr_number(p->exprs, 1));
            node->name = xr_token_text(p, scale)[0] == 'C' ? "celsius" : "fahrenheit";
            return node;
        }
        return xr_expr_1(p->exprs, XR_E_DEGREES, base);
    }
    if (at_transpose(p, base)) {
        p->at++;
        xr_parse_argument(p, true);
        return transposed(p, base);
    }
    if (parse_positive_part(p, base)) return base;
    if (xr_is_word(xr_token(p, 1), XR_W_ORDINAL)) {
        p->at += 2;
        return base;
    }
    p->at++;
    return xr_expr_2(p->exprs, XR_E_POW, base, parse_exponent(p));
}

static int based_value(XrExpr *node, const char *digits, size_t count, slong base) {
    fmpz_t value;
    fmpz_init(value);
    for (size_t i = 0; i < count; i++) {
        int digit = digits[i] - '0';
        if (digit < 0 || digit >= base) {
            fmpz_clear(value);
            return 0;
        }
        fmpz_mul_si(value, value, base);
        fmpz_add_ui(value, value, (ulong)digit);
    }
    fmpq_set_fmpz(node->value, value);
    fmpz_clear(value);
    return 1;
}

// 204_5, after the number. `token` is the number's.
static XrExpr *parse_base(XrParser *p, XrExpr *number, const XrToken *token) {
    const char *digits = xr_token_text(p, token);
    size_t count = token->length;
    p->at++;
    XrExpr *base = xr_parse_argument(p, false);
    if (p->failed || base->op != XR_E_NUMBER || fmpq_cmp_si(base->value, 2) < 0 ||
        fmpq_cmp_si(base->value, 10) > 0 || count > 2000)
        return xr_parse_fail(p);
    XrExpr *node = xr_expr_value(p->exprs);
    if (!based_value(node, digits, count, fmpz_get_si(fmpq_numref(base->value))))
        return xr_parse_fail(p);
    XrExpr *out = xr_expr_2(p->exprs, XR_E_BASED, number, base);
    out->value = node->value;
    return out;
}

static XrExpr *parse_factorial(XrParser *p, XrExpr *base) {
    p->at++;
    bool twice = xr_at_mark(p, '!');
    if (twice) p->at++;
    return xr_expr_function(p->exprs, twice ? XR_FN_DOUBLE_FACTORIAL : XR_FN_FACTORIAL, base);
}

XrExpr *xr_parse_power(XrParser *p) {
    if (!xr_parse_enter(p)) return xr_parse_fail(p);
    p->depth++;
    const XrToken number = *xr_token(p, 0);
    XrExpr *base = xr_parse_primary(p);
    bool digits = number.type == XR_T_NUMBER && (number.flags & XR_TF_DIGITS);
    while (!p->failed) {
        if (xr_at_mark(p, '^')) {
            if (count_primes(p)) {
                xr_parse_fail(p);
                break;
            }
            base = parse_power_of(p, base);
        } else if (xr_at_mark(p, '!')) {
            base = parse_factorial(p, base);
        } else if (xr_at_mark(p, XR_M_PERCENT)) {
            p->at++;
            base = xr_expr_1(p->exprs, XR_E_PERCENT, base);
        } else if (xr_at_mark(p, XR_M_DEGREE)) {
            p->at++;
            base = xr_expr_1(p->exprs, XR_E_DEGREES, base);
        } else if (xr_at_mark(p, '_') && digits && base->op == XR_E_NUMBER) {
            base = parse_base(p, base, &number);
        } else if (xr_at_mark(p, '_') && base->op == XR_E_NAMED_SET) {
            p->at++;
            xr_parse_argument(p, false);
            base->flags |= XR_F_LEFT_OPEN;
        } else {
            break;
        }
    }
    p->depth--;
    return base;
}
