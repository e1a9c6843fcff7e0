#include "shared/verify/math_parser_state.h"
#include "shared/verify/number_literal.h"

#include <string.h>

static XrExpr *parse_number(XrParser *p) {
    XrToken *token = xr_token(p, 0);
    p->at++;
    XrExpr *node = xr_number_read(p->exprs, xr_token_text(p, token), token->length,
                                  p->tokens->reading & XR_READ_DECIMAL_COMMA);
    if (!node) {
        p->exprs->full = true;
        return xr_parse_fail(p);
    }
    return node;
}

// Takes the first digit of a number token as a number of its own, as TeX does in \frac12.
static XrExpr *parse_one_digit(XrParser *p) {
    XrToken *token = xr_token(p, 0);
    XrExpr *node = xr_expr_number(p->exprs, xr_token_text(p, token)[0] - '0');
    if (token->length == 1) {
        p->at++;
    } else {
        token->start++;
        token->length--;
    }
    return node;
}

XrExpr *xr_parse_group(XrParser *p) {
    xr_parse_expect(p, '{');
    bool builder = p->builder;
    int bars = p->bars, integrals = p->integrals;
    p->builder = false;
    p->bars = p->integrals = 0;
    p->brackets++;
    XrExpr *node = xr_parse_sequence(p);
    p->brackets--;
    p->builder = builder;
    p->bars = bars;
    p->integrals = integrals;
    xr_parse_expect(p, '}');
    if (node->op == XR_E_LIST && !node->count) return xr_parse_fail(p);
    // A list in plain braces is a set whose backslashes were lost.
    if (node->op == XR_E_LIST && node->count > 1) node->op = XR_E_SET;
    return node;
}

XrExpr *xr_parse_argument(XrParser *p, bool one_digit) {
    if (!xr_parse_enter(p)) return xr_parse_fail(p);
    XrToken *token = xr_token(p, 0);
    if (xr_is_mark(token, '{')) return xr_parse_group(p);
    if (token->type == XR_T_NUMBER && one_digit && (token->flags & XR_TF_DIGITS))
        return parse_one_digit(p);
    bool sign = xr_is_mark(token, '-') || xr_is_mark(token, '+');
    if (sign && !one_digit) {
        p->at++;
        p->depth++;
        XrExpr *inner = xr_parse_argument(p, false);
        p->depth--;
        return xr_is_mark(token, '-') ? xr_expr_1(p->exprs, XR_E_NEG, inner) : inner;
    }
    p->depth++;
    XrExpr *node = xr_parse_primary(p);
    p->depth--;
    return node;
}

XrExpr *xr_parse_members(XrParser *p, int *closing) {
    p->at++;
    bool builder = p->builder;
    int bars = p->bars, integrals = p->integrals;
    p->builder = false;
    p->bars = p->integrals = 0;
    p->brackets++;
    XrExpr *inside = xr_parse_sequence(p);
    p->brackets--;
    p->builder = builder;
    p->bars = bars;
    p->integrals = integrals;
    XrToken *token = xr_token(p, 0);
    *closing = token->type == XR_T_MARK ? token->id : 0;
    if (!p->failed) p->at++;
    return inside;
}

static XrExpr *make_interval(XrParser *p, XrExpr *list, bool left_open, bool right_open) {
    if (list->op != XR_E_LIST || list->count != 2) return xr_parse_fail(p);
    list->op = XR_E_INTERVAL;
    list->flags |= (left_open ? XR_F_LEFT_OPEN : 0) | (right_open ? XR_F_RIGHT_OPEN : 0);
    return list;
}

static XrExpr *parse_brackets(XrParser *p, int opening) {
    int closing = 0;
    XrExpr *inside = xr_parse_members(p, &closing);
    if (p->failed) return inside;
    bool round = opening == '(', round_close = closing == ')';
    if (closing != ')' && closing != ']' && closing != '[') return xr_parse_fail(p);
    if (opening == ']') // ]1, 2[ and ]1, 2]
        return make_interval(p, inside, true, closing == '[');
    if (closing == '[') return make_interval(p, inside, round, true);
    bool several = inside->op == XR_E_LIST && !(inside->flags & XR_F_GROUPED);
    if (round != round_close) return make_interval(p, inside, round, round_close);
    if (several && !inside->count) return xr_parse_fail(p);
    if (several) {
        inside->op = round ? XR_E_TUPLE : XR_E_BRACKETS;
        return inside;
    }
    inside->flags |= XR_F_GROUPED;
    return inside;
}

static XrExpr *parse_set(XrParser *p) {
    p->at++;
    if (xr_token(p, 0)->type == XR_T_BUILD && xr_token(p, 0)->id == XR_B_BEGIN) {
        // \left\{ before a system of equations; \right. leaves nothing behind.
        XrExpr *system = xr_parse_build(p);
        if (xr_at_mark(p, XR_M_RBRACE)) p->at++;
        return system;
    }
    bool builder = p->builder;
    int bars = p->bars;
    p->builder = true;
    p->bars = 0;
    p->brackets++;
    XrExpr *inside = xr_parse_sequence(p);
    if (xr_at_mark(p, '|') || xr_at_mark(p, XR_M_MID) || xr_at_mark(p, ':')) {
        p->at++;
        p->builder = false;
        XrExpr *condition = xr_parse_sequence(p);
        inside = xr_expr_2(p->exprs, XR_E_BUILDER, inside, condition);
    } else if (inside->op == XR_E_LIST) {
        inside->op = inside->count ? XR_E_SET : XR_E_EMPTY_SET;
    } else {
        inside = xr_expr_1(p->exprs, XR_E_SET, inside);
    }
    p->brackets--;
    p->builder = builder;
    p->bars = bars;
    if (xr_at_mark(p, '}'))
        p->at++;
    else
        xr_parse_expect(p, XR_M_RBRACE);
    return inside;
}

static XrExpr *parse_between(XrParser *p, int closing, XrFunction function) {
    p->at++;
    bool builder = p->builder;
    int integrals = p->integrals;
    p->builder = false;
    p->integrals = 0;
    XrExpr *inside = xr_parse_additive(p);
    p->builder = builder;
    p->integrals = integrals;
    xr_parse_expect(p, closing);
    return xr_expr_function(p->exprs, function, inside);
}

static XrExpr *parse_bars(XrParser *p, int closing) {
    int bars = p->bars;
    p->bars = 1;
    XrExpr *node = parse_between(p, closing, XR_FN_ABS);
    p->bars = bars;
    // |A| of a matrix is its determinant.
    if (node->args[0]->op == XR_E_MATRIX) node->id = XR_FN_DET;
    return node;
}

static XrExpr *parse_angles(XrParser *p) {
    p->at++;
    p->brackets++;
    XrExpr *inside = xr_parse_sequence(p);
    p->brackets--;
    bool sign = xr_token(p, 0)->type == XR_T_RELATION && xr_token(p, 0)->id == XR_R_GREATER;
    if (sign)
        p->at++;
    else
        xr_parse_expect(p, XR_M_RANGLE);
    if (inside->op != XR_E_LIST) return xr_expr_1(p->exprs, XR_E_TUPLE, inside);
    inside->op = XR_E_TUPLE;
    return inside;
}

static XrExpr *parse_mark(XrParser *p, int mark) {
    switch (mark) {
    case '(':
    case '[':
    case ']':
        return parse_brackets(p, mark);
    case '{':
        if (xr_token(p, 1)->type == XR_T_SYMBOL && xr_is_mark(xr_token(p, 2), '}') &&
            (xr_is_mark(xr_token(p, 3), '_') || xr_is_mark(xr_token(p, 3), XR_M_PRIME))) {
            *xr_token(p, 2) = *xr_token(p, 1); // {a}_n is a_n
            p->at += 2;
            return xr_parse_symbol(p);
        }
        if (!xr_is_mark(xr_token(p, 1), '}')) return xr_parse_group(p);
        p->at += 2; // the empty group of {}_5C_2
        return xr_parse_primary(p);
    case XR_M_LBRACE:
        return parse_set(p);
    case '|':
        return parse_bars(p, '|');
    case XR_M_LBAR:
        return parse_bars(p, XR_M_RBAR);
    case XR_M_NORM:
        return parse_between(p, XR_M_NORM, XR_FN_ABS);
    case XR_M_LFLOOR:
        return parse_between(p, XR_M_RFLOOR, XR_FN_FLOOR);
    case XR_M_LCEIL:
        return parse_between(p, XR_M_RCEIL, XR_FN_CEIL);
    case XR_M_LANGLE:
        return parse_angles(p);
    case '_':
    case '^':
        return xr_parse_prescript(p);
    case XR_M_ELLIPSIS:
        p->at++;
        return xr_expr_new(p->exprs, XR_E_ELLIPSIS, 0);
    default:
        return xr_parse_fail(p);
    }
}

static bool is_this_word(const XrParser *p, const XrToken *token, const char *word) {
    return token->type == XR_T_WORD && token->length == strlen(word) &&
           !strncasecmp(xr_token_text(p, token), word, token->length);
}

static bool at_words(const XrParser *p, const char *first, const char *second) {
    return is_this_word(p, xr_token(p, 0), first) && is_this_word(p, xr_token(p, 1), second);
}

static XrExpr *parse_word(XrParser *p) {
    XrToken *token = xr_token(p, 0);
    if (token->id == XR_W_DIGIT || token->id == XR_W_TENS) return xr_parse_number_words(p);
    const char *text = xr_token_text(p, token);
    bool words = token->flags & (XR_TF_TEXT | XR_TF_ROMAN);
    if (token->length == 1 && (token->flags & XR_TF_ROMAN) && (*text == 'e' || *text == 'i')) {
        p->at++;
        return xr_expr_new(p->exprs, *text == 'e' ? XR_E_EULER : XR_E_I, 0);
    }
    if (token->length == 1) return xr_parse_symbol(p);
    if (at_words(p, "real", "numbers") || at_words(p, "real", "number")) {
        p->at += 2;
        XrExpr *reals = xr_expr_new(p->exprs, XR_E_NAMED_SET, 0);
        reals->id = 'R';
        return reals;
    }
    if (at_words(p, "no", "solution") || at_words(p, "no", "solutions")) {
        p->at += 2;
        return xr_expr_new(p->exprs, XR_E_EMPTY_SET, 0);
    }
    if (token->id == XR_W_PART && token->value == 2) { // half
        p->at++;
        return xr_expr_2(p->exprs, XR_E_DIV, xr_expr_number(p->exprs, 1),
                         xr_expr_number(p->exprs, 2));
    }
    if (token->id == XR_W_NONE) {
        p->at++;
        return xr_expr_new(p->exprs, XR_E_EMPTY_SET, 0);
    }
    // "km" without a number before it is k·m.
    if (token->id != XR_W_UNKNOWN || words || token->length > 3) return xr_parse_fail(p);
    XrExpr *product = xr_expr_new(p->exprs, XR_E_MUL, 0);
    for (uint32_t i = 0; i < token->length; i++) {
        if ((unsigned char)text[i] >= 0x80) return xr_parse_fail(p);
        xr_expr_push(p->exprs, product, xr_expr_symbol(p->exprs, text + i, 1));
    }
    p->at++;
    return product;
}

XrExpr *xr_parse_primary(XrParser *p) {
    if (!xr_parse_enter(p)) return xr_parse_fail(p);
    XrToken *token = xr_token(p, 0);
    p->depth++;
    XrExpr *node;
    switch (token->type) {
    case XR_T_NUMBER:
        node = parse_number(p);
        break;
    case XR_T_SYMBOL:
        node = xr_parse_symbol(p);
        break;
    case XR_T_CONSTANT:
        p->at++;
        node = xr_expr_new(p->exprs, (XrExprOp)token->id, 0);
        break;
    case XR_T_FUNCTION:
        node = xr_parse_function(p);
        break;
    case XR_T_BUILD:
        node = xr_parse_build(p);
        break;
    case XR_T_WORD:
        node = parse_word(p);
        break;
    case XR_T_RELATION:
        // <1, 2> in plain signs.
        if (token->id == XR_R_LESS) {
            node = parse_angles(p);
            break;
        }
        node = xr_parse_fail(p);
        break;
    case XR_T_MARK:
        node = parse_mark(p, token->id);
        break;
    default:
        node = xr_parse_fail(p);
    }
    p->depth--;
    return node;
}
