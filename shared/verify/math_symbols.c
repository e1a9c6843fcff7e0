#include "shared/verify/math_parser_state.h"

#include <string.h>

// Appends the texts of the tokens of a subscript, without spaces, and steps over it.
static void append_script(XrParser *p, XrBuffer *name) {
    if (!xr_at_mark(p, '{')) {
        xr_buffer_append(name, xr_token_text(p, xr_token(p, 0)), xr_token(p, 0)->length);
        p->at++;
        return;
    }
    int depth = 0;
    do {
        const XrToken *token = xr_token(p, 0);
        if (token->type == XR_T_END || name->length > 200) {
            xr_parse_fail(p);
            return;
        }
        if (xr_is_mark(token, '{')) {
            depth++;
        } else if (xr_is_mark(token, '}')) {
            depth--;
        } else {
            xr_buffer_append(name, xr_token_text(p, token), token->length);
        }
        p->at++;
    } while (depth > 0);
}

static XrExpr *combination(XrParser *p, char letter, XrExpr *n, XrExpr *k) {
    return xr_expr_function_2(p->exprs, letter == 'C' ? XR_FN_BINOMIAL : XR_FN_PERMUTATIONS, n, k);
}

// C_5^2, C^2_5, A_n^k, P_n^k: NULL when it is not one of these.
static XrExpr *parse_scripts(XrParser *p, char letter) {
    bool lower_first = xr_at_mark(p, '_');
    if (!lower_first && !xr_at_mark(p, '^')) return NULL;
    int before = p->at;
    p->at++;
    XrExpr *first = xr_parse_argument(p, true);
    if (!p->failed && xr_at_mark(p, lower_first ? '^' : '_')) {
        p->at++;
        XrExpr *second = xr_parse_argument(p, true);
        XrExpr *n = lower_first ? first : second, *k = lower_first ? second : first;
        bool numbers = n->op == XR_E_NUMBER && k->op == XR_E_NUMBER;
        if (!p->failed && (!numbers || fmpq_cmp(n->value, k->value) >= 0))
            return combination(p, letter, n, k);
    }
    if (!p->failed) p->at = before;
    return NULL;
}

// Whether `name(` starts the application of an unknown function rather than a product.
static bool is_call(const XrParser *p, const char *name, size_t length) {
    const XrToken *open = xr_token(p, 0);
    if (!xr_is_mark(open, '(')) return false;
    bool equation = false; // name(t) =
    for (int i = 1; i < 12; i++) {
        const XrToken *token = xr_token(p, i);
        if (xr_is_mark(token, ')')) {
            equation = xr_token(p, i + 1)->type == XR_T_RELATION;
            break;
        }
        if (token->type != XR_T_SYMBOL && !xr_is_mark(token, ',') && token->type != XR_T_CONSTANT)
            break;
    }
    if (equation) return true;
    p->tokens->ambiguous |= XR_READ_PRODUCT;
    if (p->tokens->reading & XR_READ_PRODUCT) return false;
    if (strchr("fghFGH", name[0]) || (length > 1 && name[length - 1] == '\'')) return true;
    const XrToken *inside = xr_token(p, 1), *after = xr_token(p, 2);
    bool single =
        (inside->type == XR_T_SYMBOL || inside->type == XR_T_CONSTANT) && xr_is_mark(after, ')');
    bool several = false;
    for (int i = 1; i < 8 && !xr_is_mark(xr_token(p, i), ')'); i++)
        several |= xr_is_mark(xr_token(p, i), ',');
    return name[0] >= 'A' && name[0] <= 'Z' && (single || several);
}

static XrExpr *parse_call(XrParser *p, const char *name, size_t length) {
    int closing = 0;
    XrExpr *inside = xr_parse_members(p, &closing);
    if (closing != ')') return xr_parse_fail(p);
    XrExpr *call = xr_expr_new(p->exprs, XR_E_CALL, 0);
    call->id = (uint16_t)xr_exprs_symbol(p->exprs, name, length);
    if (inside->op != XR_E_LIST) {
        xr_expr_push(p->exprs, call, inside);
        return call;
    }
    for (uint32_t i = 0; i < inside->count; i++) xr_expr_push(p->exprs, call, inside->args[i]);
    if (length == 1 && name[0] == 'C' && call->count == 2)
        return combination(p, 'C', call->args[0], call->args[1]);
    return call;
}

XrExpr *xr_parse_symbol(XrParser *p) {
    const XrToken *token = xr_token(p, 0);
    char letter = token->length == 1 ? xr_token_text(p, token)[0] : 0;
    XrBuffer name = {0};
    xr_buffer_append(&name, xr_token_text(p, token), token->length);
    p->at++;
    XrExpr *node = NULL;
    if (letter == 'C' || letter == 'A' || letter == 'P') node = parse_scripts(p, letter);
    if (!node && xr_at_mark(p, '_')) {
        p->at++;
        xr_buffer_byte(&name, '_');
        append_script(p, &name);
    }
    while (!node && xr_at_mark(p, XR_M_PRIME)) {
        xr_buffer_byte(&name, '\'');
        p->at++;
    }
    while (!node && xr_at_mark(p, '^') &&
           (xr_is_mark(xr_token(p, 1), XR_M_PRIME) ||
            (xr_is_mark(xr_token(p, 1), '{') && xr_is_mark(xr_token(p, 2), XR_M_PRIME)))) {
        p->at++;
        bool braces = xr_at_mark(p, '{');
        if (braces) p->at++;
        while (xr_at_mark(p, XR_M_PRIME)) {
            xr_buffer_byte(&name, '\'');
            p->at++;
        }
        if (braces) xr_parse_expect(p, '}');
    }
    if (!node && !p->failed) {
        if (is_call(p, name.data, name.length))
            node = parse_call(p, name.data, name.length);
        else
            node = xr_expr_symbol(p->exprs, name.data, name.length);
    }
    xr_buffer_free(&name);
    return node ? node : xr_parse_fail(p);
}

// {}_5C_2 and _5C_2, ^5C_2.
XrExpr *xr_parse_prescript(XrParser *p) {
    p->at++;
    XrExpr *n = xr_parse_argument(p, false);
    const XrToken *token = xr_token(p, 0);
    bool letter = xr_is_letter(p, token, 'C') || xr_is_letter(p, token, 'P');
    if (p->failed || !letter || !xr_is_mark(xr_token(p, 1), '_')) return xr_parse_fail(p);
    char which = xr_token_text(p, token)[0];
    p->at += 2;
    return combination(p, which, n, xr_parse_argument(p, false));
}
