#include "shared/verify/math_parser_state.h"

#include <string.h>

static XrExpr *parse_root(XrParser *p, XrBuild build) {
    p->at++;
    XrExpr *index = NULL;
    if (build == XR_B_ROOT && xr_at_mark(p, '[')) {
        int closing = 0;
        index = xr_parse_members(p, &closing);
        if (closing != ']') return xr_parse_fail(p);
    }
    if (build == XR_B_CUBE_ROOT) index = xr_expr_number(p->exprs, 3);
    if (!index) index = xr_expr_number(p->exprs, 2);
    return xr_expr_2(p->exprs, XR_E_ROOT, xr_parse_argument(p, false), index);
}

static XrExpr *parse_fraction(XrParser *p) {
    p->at++;
    XrExpr *numerator = xr_parse_argument(p, true);
    XrExpr *denominator = xr_parse_argument(p, true);
    // Brackets of their own, as far as mixed numbers and ratios are concerned.
    return xr_expr_2(p->exprs, XR_E_DIV, numerator, denominator);
}

// Lower and upper bounds behind ∑, ∏ and ∫, in either order.
static void parse_bounds(XrParser *p, XrExpr **lower, XrExpr **upper) {
    *lower = *upper = NULL;
    for (int i = 0; i < 2; i++) {
        bool down = xr_at_mark(p, '_');
        if (!down && !xr_at_mark(p, '^')) break;
        p->at++;
        XrExpr **bound = down ? lower : upper;
        if (xr_at_mark(p, '{')) {
            p->at++;
            *bound = xr_parse_relation(p);
            xr_parse_expect(p, '}');
        } else {
            *bound = xr_parse_argument(p, true);
        }
    }
}

static XrExpr *bound_node(XrParser *p, XrExprOp op, XrExpr *symbol, XrExpr *from, XrExpr *to,
                          XrExpr *term) {
    XrExpr *node = xr_expr_new(p->exprs, op, 4);
    node->args[0] = symbol;
    node->args[1] = from;
    node->args[2] = to;
    node->args[3] = term;
    return node;
}

static XrExpr *parse_sum(XrParser *p, XrExprOp op) {
    p->at++;
    XrExpr *lower, *upper;
    parse_bounds(p, &lower, &upper);
    if (!lower || !upper || lower->op != XR_E_RELATION || lower->count != 2 ||
        lower->relations[0] != XR_R_EQUAL ||
        (lower->args[0]->op != XR_E_SYMBOL && lower->args[0]->op != XR_E_I))
        return xr_parse_fail(p);
    XrExpr *symbol = lower->args[0];
    XrExpr *term = xr_parse_product(p);
    if (symbol->op == XR_E_I) return xr_parse_fail(p);
    return bound_node(p, op, symbol, lower->args[1], upper, term);
}

static XrExpr *parse_integral(XrParser *p) {
    p->at++;
    XrExpr *lower, *upper;
    parse_bounds(p, &lower, &upper);
    if (!lower || !upper) return xr_parse_fail(p);
    p->integrals++;
    bool none = xr_is_letter(p, xr_token(p, 0), 'd');
    XrExpr *term = none ? xr_expr_number(p->exprs, 1) : xr_parse_additive(p);
    p->integrals--;
    if (!xr_is_letter(p, xr_token(p, 0), 'd') || xr_token(p, 1)->type != XR_T_SYMBOL)
        return xr_parse_fail(p);
    p->at++;
    return bound_node(p, XR_E_INTEGRAL, xr_parse_symbol(p), lower, upper, term);
}

static XrExpr *parse_double_struck(XrParser *p) {
    p->at++;
    bool braces = xr_at_mark(p, '{');
    if (braces) p->at++;
    const XrToken *token = xr_token(p, 0);
    char letter = token->length == 1 ? xr_token_text(p, token)[0] : 0;
    if (!letter || !strchr("NZQRC", letter)) return xr_parse_fail(p);
    p->at++;
    if (braces) xr_parse_expect(p, '}');
    XrExpr *node = xr_expr_new(p->exprs, XR_E_NAMED_SET, 0);
    node->id = (uint16_t)letter;
    return node;
}

// \vec{a}, \overline{AB}, \angle ABC: a variable whose name is all of that.
static XrExpr *parse_decorated(XrParser *p, const char *what, bool group) {
    XrBuffer name = {0};
    xr_buffer_text(&name, what);
    p->at++;
    int depth = 0;
    while (name.length < 60) {
        const XrToken *token = xr_token(p, 0);
        bool letter = token->type == XR_T_SYMBOL || token->type == XR_T_WORD ||
                      token->type == XR_T_CONSTANT || token->type == XR_T_NUMBER;
        if (xr_is_mark(token, '{') && group)
            depth++;
        else if (xr_is_mark(token, '}') && depth)
            depth--;
        else if (letter || xr_is_mark(token, '_'))
            xr_buffer_append(&name, xr_token_text(p, token), token->length);
        else
            break;
        p->at++;
        if (group && !depth) break;
    }
    XrExpr *node = xr_expr_symbol(p->exprs, name.data, name.length);
    bool complete = name.length > strlen(what) && !depth;
    xr_buffer_free(&name);
    return complete ? node : xr_parse_fail(p);
}

static XrExpr *parse_overline(XrParser *p) {
    bool sum = false;
    for (int i = 1; i < 8 && !xr_is_mark(xr_token(p, i), '}'); i++)
        sum |= xr_is_mark(xr_token(p, i), '+') || xr_is_mark(xr_token(p, i), '-');
    if (!sum) return parse_decorated(p, "overline ", true);
    p->at++;
    return xr_expr_function(p->exprs, XR_FN_CONJUGATE, xr_parse_argument(p, true));
}

static void skip_environment_name(XrParser *p, XrBuffer *name) {
    p->at++;
    xr_parse_expect(p, '{');
    while (!xr_at_mark(p, '}') && xr_token(p, 0)->type != XR_T_END) {
        if (name) xr_buffer_append(name, xr_token_text(p, xr_token(p, 0)), xr_token(p, 0)->length);
        p->at++;
    }
    xr_parse_expect(p, '}');
}

// Rows of cells up to \end. The matrix has as many columns as its first row.
static XrExpr *parse_rows(XrParser *p) {
    XrExpr *matrix = xr_expr_new(p->exprs, XR_E_MATRIX, 0);
    uint32_t column = 0, columns = 0;
    int bars = p->bars;
    p->bars = 0;
    while (!p->failed) {
        XrToken *token = xr_token(p, 0);
        if (token->type == XR_T_BUILD && token->id == XR_B_END) break;
        if (xr_is_mark(token, XR_M_ROW) || xr_is_mark(token, '&')) {
            xr_parse_fail(p);
            break;
        }
        xr_expr_push(p->exprs, matrix, xr_parse_relation(p));
        column++;
        if (xr_at_mark(p, ',')) p->at++;
        token = xr_token(p, 0);
        if (xr_is_mark(token, '&')) {
            p->at++;
            continue;
        }
        if (!columns) columns = column;
        if (column != columns || columns > 1000) xr_parse_fail(p);
        column = 0;
        if (xr_is_mark(token, XR_M_ROW))
            p->at++;
        else if (!(token->type == XR_T_BUILD && token->id == XR_B_END))
            xr_parse_fail(p);
    }
    p->bars = bars;
    matrix->id = (uint16_t)columns;
    return matrix;
}

static XrExpr *parse_environment(XrParser *p) {
    XrBuffer name = {0};
    xr_buffer_text(&name, "");
    skip_environment_name(p, &name);
    if (!strncmp(name.data, "array", 5) || !strncmp(name.data, "tabular", 7)) {
        if (xr_at_mark(p, '{')) {
            while (!xr_at_mark(p, '}') && xr_token(p, 0)->type != XR_T_END) p->at++;
            xr_parse_expect(p, '}');
        }
    }
    p->brackets++;
    XrExpr *node = parse_rows(p);
    p->brackets--;
    if (!p->failed) skip_environment_name(p, NULL);
    // One column of relations is a system: equations in any order, or inequalities that all hold.
    bool relations = node->id == 1, equations = relations;
    for (uint32_t i = 0; i < node->count; i++) {
        relations &= node->args[i]->op == XR_E_RELATION;
        equations &= relations && node->args[i]->relations[0] == XR_R_EQUAL;
    }
    if (relations) node->op = equations ? XR_E_LIST : XR_E_AND;
    if (!strncmp(name.data, "vmatrix", 7)) node = xr_expr_function(p->exprs, XR_FN_DET, node);
    xr_buffer_free(&name);
    if (!node->count) return xr_parse_fail(p);
    return node;
}

XrExpr *xr_parse_build(XrParser *p) {
    XrToken *token = xr_token(p, 0);
    switch (token->id) {
    case XR_B_FRACTION:
        return parse_fraction(p);
    case XR_B_ROOT:
    case XR_B_SURD:
    case XR_B_CUBE_ROOT:
        return parse_root(p, (XrBuild)token->id);
    case XR_B_BINOMIAL: {
        p->at++;
        XrExpr *n = xr_parse_argument(p, true);
        return xr_expr_function_2(p->exprs, XR_FN_BINOMIAL, n, xr_parse_argument(p, true));
    }
    case XR_B_SUM:
        return parse_sum(p, XR_E_SUM);
    case XR_B_PRODUCT:
        return parse_sum(p, XR_E_PRODUCT);
    case XR_B_INTEGRAL:
        return parse_integral(p);
    case XR_B_OVERLINE:
        return parse_overline(p);
    case XR_B_ACCENT:
        return parse_decorated(p, "accent ", true);
    case XR_B_ANGLE:
        return parse_decorated(p, "angle ", false);
    case XR_B_TRIANGLE:
        return parse_decorated(p, "triangle ", false);
    case XR_B_DOUBLE_STRUCK:
        return parse_double_struck(p);
    case XR_B_BEGIN:
        return parse_environment(p);
    default:
        return xr_parse_fail(p);
    }
}

static bool has_pi(const XrExpr *node) {
    return xr_expr_has_op(node, XR_E_PI) && !xr_expr_has_symbols(node);
}

// The argument of a function without brackets: the factors that run on, up to a sign, another
// function or an opening bracket.
static XrExpr *parse_tight_argument(XrParser *p) {
    bool minus = xr_at_mark(p, '-');
    if (minus) p->at++;
    XrExpr *argument = xr_parse_power(p);
    while (!p->failed) {
        XrToken *token = xr_token(p, 0);
        bool slash =
            xr_is_mark(token, '/') && has_pi(argument) && xr_token(p, 1)->type == XR_T_NUMBER;
        if (slash) {
            p->at++;
            argument = xr_expr_2(p->exprs, XR_E_DIV, argument, xr_parse_power(p));
            continue;
        }
        bool runs_on =
            token->type == XR_T_SYMBOL || token->type == XR_T_CONSTANT ||
            token->type == XR_T_NUMBER ||
            (token->type == XR_T_BUILD &&
             (token->id == XR_B_FRACTION || token->id == XR_B_ROOT || token->id == XR_B_SURD));
        bool bracket = xr_is_mark(token, '(') && argument->op == XR_E_NUMBER;
        if ((!runs_on && !bracket) || !xr_parse_starts_factor(p)) break;
        argument = xr_expr_2(p->exprs, XR_E_MUL, argument, xr_parse_power(p));
    }
    return minus ? xr_expr_1(p->exprs, XR_E_NEG, argument) : argument;
}

static XrFunction inverse_of(XrFunction function) {
    if (function <= XR_FN_CSC) return (XrFunction)(function + (XR_FN_ASIN - XR_FN_SIN));
    if (function == XR_FN_SINH) return XR_FN_ASINH;
    if (function == XR_FN_COSH) return XR_FN_ACOSH;
    if (function == XR_FN_TANH) return XR_FN_ATANH;
    return XR_FN_COUNT;
}

static XrExpr *apply(XrParser *p, XrFunction function, XrExpr *argument, XrExpr *base) {
    bool several = argument->op == XR_E_TUPLE || argument->op == XR_E_LIST;
    if (several && !argument->count) return xr_parse_fail(p);
    if (several &&
        (function == XR_FN_BINOMIAL || function == XR_FN_PERMUTATIONS || function == XR_FN_LOG) &&
        argument->count != 2)
        return xr_parse_fail(p);
    if (function == XR_FN_LOG && !several) {
        bool natural = !base && (p->tokens->reading & XR_READ_NATURAL_LOG);
        if (!base) p->tokens->ambiguous |= XR_READ_NATURAL_LOG;
        if (natural) return xr_expr_function(p->exprs, XR_FN_LN, argument);
        if (!base) base = xr_expr_number(p->exprs, 10);
        return xr_expr_function_2(p->exprs, XR_FN_LOG, argument, base);
    }
    if (!several) return xr_expr_function(p->exprs, function, argument);
    bool takes_several = (function >= XR_FN_GCD && function <= XR_FN_MOD) ||
                         function == XR_FN_BINOMIAL || function == XR_FN_PERMUTATIONS ||
                         function == XR_FN_LOG;
    if (!takes_several) return xr_parse_fail(p);
    XrExpr *node = xr_expr_copy(p->exprs, argument);
    node->op = XR_E_FUNCTION;
    node->id = function;
    node->flags = 0;
    return node;
}

// Whether the exponent between the function's name and its argument is -1.
static bool is_minus_one(const XrExpr *node) {
    return node->op == XR_E_NEG && node->args[0]->op == XR_E_NUMBER &&
           fmpq_is_one(node->args[0]->value);
}

XrExpr *xr_parse_function(XrParser *p) {
    XrFunction function = (XrFunction)xr_token(p, 0)->id;
    bool lg = xr_token(p, 0)->length == 2 && function == XR_FN_LOG;
    p->at++;
    XrExpr *power = NULL, *base = lg ? xr_expr_number(p->exprs, 10) : NULL;
    for (int i = 0; i < 2; i++) {
        bool up = xr_at_mark(p, '^');
        if (!up && !xr_at_mark(p, '_')) break;
        p->at++;
        XrExpr *script = xr_parse_argument(p, true);
        if (up)
            power = script;
        else
            base = script;
    }
    if (base && function != XR_FN_LOG) return xr_parse_fail(p);
    XrExpr *argument;
    bool brackets = xr_at_mark(p, '(') || xr_at_mark(p, '[') || xr_at_mark(p, '{');
    if (brackets)
        argument = xr_parse_primary(p);
    else
        argument = parse_tight_argument(p);
    if (p->failed) return argument;
    if (argument->op == XR_E_MATRIX && function != XR_FN_DET) return xr_parse_fail(p);
    if (power && is_minus_one(power) && inverse_of(function) != XR_FN_COUNT) {
        function = inverse_of(function);
        power = NULL;
    }
    XrExpr *node = apply(p, function, argument, base);
    return power ? xr_expr_2(p->exprs, XR_E_POW, node, power) : node;
}
