#include "shared/verify/math_parser_state.h"

#include <string.h>

bool xr_parse_starts_factor(const XrParser *p) {
    const XrToken *token = xr_token(p, 0);
    switch (token->type) {
    case XR_T_NUMBER:
        return p->at == 0 || p->tokens->items[p->at - 1].type != XR_T_NUMBER;
    case XR_T_SYMBOL:
        // "dx" at the end of an integral.
        return !(p->integrals && xr_is_letter(p, token, 'd') &&
                 xr_token(p, 1)->type == XR_T_SYMBOL);
    case XR_T_FUNCTION:
    case XR_T_CONSTANT:
        return true;
    case XR_T_WORD:
        return token->length == 1;
    case XR_T_BUILD:
        return token->id != XR_B_END && token->id != XR_B_PMOD && token->id != XR_B_BMOD &&
               token->id != XR_B_NOT && token->id != XR_B_FOR_ALL && token->id != XR_B_EXISTS;
    case XR_T_MARK:
        switch (token->id) {
        case '(':
            return !(xr_token(p, 1)->type == XR_T_BUILD && xr_token(p, 1)->id == XR_B_BMOD);
        case '[':
            return !xr_closes_outward(p);
        case '{':
        case XR_M_LBRACE:
        case XR_M_LFLOOR:
        case XR_M_LCEIL:
        case XR_M_LBAR:
        case XR_M_LANGLE:
            return true;
        case '|':
            return p->bars == 0 && !p->builder;
        default:
            return false;
        }
    default:
        return false;
    }
}

static bool is_fraction_of_digits(const XrExpr *node) {
    return node->op == XR_E_DIV && node->args[0]->op == XR_E_NUMBER &&
           node->args[1]->op == XR_E_NUMBER && fmpz_is_one(fmpq_denref(node->args[0]->value)) &&
           fmpz_is_one(fmpq_denref(node->args[1]->value)) &&
           fmpz_sgn(fmpq_numref(node->args[0]->value)) > 0 &&
           fmpz_cmp(fmpq_numref(node->args[0]->value), fmpq_numref(node->args[1]->value)) < 0;
}

// 2\frac{1}{2} and "2 1/2", after the whole number. NULL when it is not that.
static XrExpr *parse_mixed(XrParser *p, XrExpr *whole) {
    XrToken *token = xr_token(p, 0);
    XrExpr *fraction = NULL;
    if (token->type == XR_T_BUILD && token->id == XR_B_FRACTION) {
        int before = p->at;
        fraction = xr_parse_build(p);
        if (!is_fraction_of_digits(fraction)) {
            if (!p->failed) p->at = before;
            return NULL;
        }
    } else if (token->type == XR_T_NUMBER && (token->flags & XR_TF_SPACE) &&
               (token->flags & XR_TF_DIGITS) && xr_is_mark(xr_token(p, 1), '/') &&
               xr_token(p, 2)->type == XR_T_NUMBER && (xr_token(p, 2)->flags & XR_TF_DIGITS)) {
        XrExpr *numerator = xr_parse_primary(p);
        p->at++;
        fraction = xr_expr_2(p->exprs, XR_E_DIV, numerator, xr_parse_primary(p));
        if (!is_fraction_of_digits(fraction)) return xr_parse_fail(p);
    }
    return fraction ? xr_expr_2(p->exprs, XR_E_ADD, whole, fraction) : NULL;
}

// Products run together; a product in brackets stays one factor.
static XrExpr *multiply(XrParser *p, XrExpr *product, XrExpr *factor) {
    if (product->op == XR_E_MUL && !(product->flags & XR_F_GROUPED)) {
        xr_expr_push(p->exprs, product, factor);
        return product;
    }
    return xr_expr_2(p->exprs, XR_E_MUL, product, factor);
}

static XrExpr *parse_signed_factor(XrParser *p) {
    if (!xr_parse_enter(p)) return xr_parse_fail(p);
    if (xr_at_mark(p, '-')) {
        p->at++;
        p->depth++;
        XrExpr *inner = parse_signed_factor(p);
        p->depth--;
        return xr_expr_1(p->exprs, XR_E_NEG, inner);
    }
    if (xr_at_mark(p, '+')) p->at++;
    if (xr_at_mark(p, XR_M_CURRENCY)) {
        XrToken *mark = xr_token(p, 0);
        p->at++;
        return xr_parse_currency(p, xr_parse_power(p), mark);
    }
    return xr_parse_power(p);
}

// "3 x 10^8": the letter between is a multiplication sign.
static bool at_letter_times(const XrParser *p) {
    if (!xr_is_letter(p, xr_token(p, 0), 'x') || xr_token(p, 1)->type != XR_T_NUMBER) return false;
    bool power_of_ten = xr_token(p, 1)->length == 2 && xr_token_text(p, xr_token(p, 1))[0] == '1' &&
                        xr_token_text(p, xr_token(p, 1))[1] == '0' &&
                        xr_is_mark(xr_token(p, 2), '^');
    return power_of_ten && p->at > 0 && p->tokens->items[p->at - 1].type == XR_T_NUMBER;
}

// (k ∈ Z) behind a value says what k is.
static bool absorb_membership(XrParser *p, const XrExpr *factor) {
    if (factor->op != XR_E_RELATION || factor->relations[0] != XR_R_IN ||
        factor->args[0]->op != XR_E_SYMBOL)
        return false;
    p->out->bound[factor->args[0]->id] = true;
    if (!p->out->clause) p->out->clause = XR_CLAUSE_KINDS;
    return true;
}

static XrExpr *parse_divisor(XrParser *p) {
    XrExpr *divisor = parse_signed_factor(p);
    bool tight = p->tokens->reading & XR_READ_TIGHT;
    if (xr_parse_starts_factor(p) && !xr_at_mark(p, XR_M_CURRENCY)) {
        p->tokens->ambiguous |= XR_READ_TIGHT;
        while (tight && !p->failed && xr_parse_starts_factor(p))
            divisor = multiply(p, divisor, xr_parse_power(p));
    }
    return divisor;
}

static XrExpr *parse_ratio(XrParser *p, XrExpr *left) {
    p->at++;
    XrExpr *right = parse_signed_factor(p);
    if (left->op == XR_E_RATIO && !(left->flags & XR_F_GROUPED)) {
        xr_expr_push(p->exprs, left, right);
        return left;
    }
    return xr_expr_2(p->exprs, XR_E_RATIO, left, right);
}

static bool word_operator(const XrParser *p, char operator) {
    return xr_is_word(xr_token(p, 0), XR_W_OPERATOR) && xr_token(p, 0)->value == operator;
}

// "1 hour 30 minutes" and 10° 30': the second belongs to the first. NULL when it is not that.
static XrExpr *parse_smaller_unit(XrParser *p, XrExpr *left) {
    if (xr_token(p, 0)->type != XR_T_NUMBER) return NULL;
    XrExprs *e = p->exprs;
    if (left->op == XR_E_DEGREES && xr_is_mark(xr_token(p, 1), XR_M_PRIME)) {
        XrExpr *minutes = xr_parse_primary(p);
        p->at++;
        XrExpr *part = xr_expr_2(e, XR_E_DIV, minutes, xr_expr_number(e, 60));
        return xr_expr_1(e, XR_E_DEGREES, xr_expr_2(e, XR_E_ADD, left->args[0], part));
    }
    if (left->op != XR_E_QUANTITY || left->name[0] == '?' || xr_token(p, 1)->type != XR_T_WORD)
        return NULL;
    XrExpr *second = xr_parse_unit(p, xr_parse_primary(p));
    if (second->op != XR_E_QUANTITY || strcmp(second->name, left->name) != 0)
        return xr_parse_fail(p);
    XrExpr *first = xr_expr_2(e, XR_E_MUL, left->args[0], left->args[1]);
    second = xr_expr_2(e, XR_E_MUL, second->args[0], second->args[1]);
    XrExpr *sum =
        xr_expr_2(e, XR_E_QUANTITY, xr_expr_2(e, XR_E_ADD, first, second), xr_expr_number(e, 1));
    sum->name = left->name;
    return sum;
}

// 5 (cm), 5 (approximately): a word in brackets.
static bool at_bracketed_word(const XrParser *p) {
    const XrToken *word = xr_token(p, 1);
    return xr_at_mark(p, '(') && word->type == XR_T_WORD && word->length > 1 &&
           xr_is_mark(xr_token(p, 2), ')') &&
           (word->id == XR_W_UNKNOWN || word->id == XR_W_ABOUT || word->id == XR_W_FILLER ||
            word->id == XR_W_DEGREES);
}

static XrExpr *parse_bracketed_word(XrParser *p, XrExpr *left) {
    p->at++;
    if (xr_is_word(xr_token(p, 0), XR_W_ABOUT))
        p->at++;
    else
        left = xr_parse_unit(p, left);
    xr_parse_expect(p, ')');
    return left;
}

static bool at_word_to(const XrParser *p) {
    const XrToken *token = xr_token(p, 0);
    return token->type == XR_T_WORD && token->length == 2 &&
           !strncmp(xr_token_text(p, token), "to", 2) && xr_token(p, 1)->type == XR_T_NUMBER;
}

XrExpr *xr_parse_product(XrParser *p) {
    if (!xr_parse_enter(p)) return xr_parse_fail(p);
    p->depth++;
    bool digits = xr_token(p, 0)->flags & XR_TF_DIGITS;
    XrExpr *left = parse_signed_factor(p);
    if (digits && left->op == XR_E_NUMBER) {
        XrExpr *mixed = parse_mixed(p, left);
        if (mixed) left = mixed;
    }
    while (!p->failed) {
        XrToken *token = xr_token(p, 0);
        XrExpr *joined = parse_smaller_unit(p, left);
        if (joined) {
            left = joined;
        } else if (at_bracketed_word(p)) {
            left = parse_bracketed_word(p, left);
        } else if (xr_is_mark(token, '*') || at_letter_times(p) || word_operator(p, '*')) {
            p->at++;
            left = multiply(p, left, parse_signed_factor(p));
        } else if (xr_is_mark(token, '/') || word_operator(p, '/')) {
            p->at++;
            left = xr_expr_2(p->exprs, XR_E_DIV, left, parse_divisor(p));
        } else if (at_word_to(p) ||
                   (xr_is_mark(token, ':') && !p->builder && xr_token(p, 1)->type != XR_T_END)) {
            left = parse_ratio(p, left);
        } else if (xr_is_mark(token, XR_M_CURRENCY)) {
            p->at++;
            left = xr_parse_currency(p, left, token);
        } else if (xr_is_mark(token, XR_M_ELLIPSIS)) {
            p->at++;
            left = multiply(p, left, xr_expr_new(p->exprs, XR_E_ELLIPSIS, 0));
        } else if (token->type == XR_T_BUILD && token->id == XR_B_BMOD) {
            p->at++;
            left = xr_expr_function_2(p->exprs, XR_FN_MOD, left, parse_signed_factor(p));
        } else if (xr_parse_starts_unit(p, left)) {
            left = xr_parse_unit(p, left);
        } else if (xr_parse_starts_factor(p)) {
            XrExpr *factor = xr_parse_power(p);
            if (!absorb_membership(p, factor)) left = multiply(p, left, factor);
        } else {
            break;
        }
    }
    p->depth--;
    return left;
}

typedef enum Sign { SIGN_NONE, SIGN_PLUS, SIGN_MINUS, SIGN_BOTH, SIGN_LOWER } Sign;

static Sign sign_here(const XrParser *p) {
    if (xr_at_mark(p, '+') || word_operator(p, '+')) return SIGN_PLUS;
    if (xr_at_mark(p, '-') || word_operator(p, '-') || word_operator(p, 'n')) return SIGN_MINUS;
    if (xr_at_mark(p, XR_M_PLUS_MINUS)) return SIGN_BOTH;
    if (xr_at_mark(p, XR_M_MINUS_PLUS)) return SIGN_LOWER;
    return SIGN_NONE;
}

static XrExpr *plus_minus(XrParser *p, XrExpr *left, XrExpr *right, Sign sign) {
    XrExpr *node = left ? xr_expr_2(p->exprs, XR_E_PLUS_MINUS, left, right)
                        : xr_expr_1(p->exprs, XR_E_PLUS_MINUS, right);
    if (sign == SIGN_LOWER) node->flags |= XR_F_LOWER;
    return node;
}

// The minus of a quantity, a percentage or an angle belongs to its number.
static XrExpr *negate(XrParser *p, XrExpr *node) {
    bool outside =
        node->op == XR_E_QUANTITY || node->op == XR_E_PERCENT || node->op == XR_E_DEGREES;
    if (!outside) return xr_expr_1(p->exprs, XR_E_NEG, node);
    node->args[0] = xr_expr_1(p->exprs, XR_E_NEG, node->args[0]);
    return node;
}

static XrExpr *parse_signed_term(XrParser *p) {
    if (!xr_parse_enter(p)) return xr_parse_fail(p);
    Sign sign = sign_here(p);
    if (sign == SIGN_NONE) return xr_parse_product(p);
    p->at++;
    p->depth++;
    XrExpr *inner = parse_signed_term(p);
    p->depth--;
    if (sign == SIGN_PLUS) return inner;
    if (sign == SIGN_MINUS) return negate(p, inner);
    return plus_minus(p, NULL, inner, sign);
}

static bool is_set(const XrExpr *node) {
    return node->op == XR_E_SET || node->op == XR_E_BUILDER || node->op == XR_E_NAMED_SET ||
           node->op == XR_E_DIFFERENCE || node->op == XR_E_INTERVAL;
}

static XrExpr *add(XrParser *p, XrExpr *left, XrExpr *right) {
    if (left->op == XR_E_ADD && !(left->flags & XR_F_GROUPED)) {
        xr_expr_push(p->exprs, left, right);
        return left;
    }
    return xr_expr_2(p->exprs, XR_E_ADD, left, right);
}

XrExpr *xr_parse_additive(XrParser *p) {
    if (!xr_parse_enter(p)) return xr_parse_fail(p);
    p->depth++;
    XrExpr *left = parse_signed_term(p);
    while (!p->failed) {
        Sign sign = sign_here(p);
        if (sign == SIGN_NONE) break;
        p->at++;
        if (xr_at_mark(p, XR_M_ELLIPSIS)) {
            p->at++;
            left = add(p, left, xr_expr_new(p->exprs, XR_E_ELLIPSIS, 0));
            continue;
        }
        XrExpr *right = parse_signed_term(p);
        if (sign == SIGN_PLUS)
            left = add(p, left, right);
        else if (sign == SIGN_MINUS && is_set(left))
            left = xr_expr_2(p->exprs, XR_E_DIFFERENCE, left, right);
        else if (sign == SIGN_MINUS)
            left = add(p, left, xr_expr_1(p->exprs, XR_E_NEG, right));
        else
            left = plus_minus(p, left, right, sign);
    }
    p->depth--;
    return left;
}
