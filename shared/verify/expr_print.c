#include "shared/verify/expr.h"

#include <string.h>

static const char *const op_names[] = {
    [XR_E_PI] = "pi",
    [XR_E_EULER] = "e",
    [XR_E_I] = "i",
    [XR_E_INFINITY] = "infinity",
    [XR_E_ADD] = "add",
    [XR_E_MUL] = "mul",
    [XR_E_NEG] = "neg",
    [XR_E_DIV] = "div",
    [XR_E_POW] = "pow",
    [XR_E_ROOT] = "root",
    [XR_E_SUM] = "sum",
    [XR_E_PRODUCT] = "product",
    [XR_E_INTEGRAL] = "integral",
    [XR_E_PLUS_MINUS] = "plus_minus",
    [XR_E_PERCENT] = "percent",
    [XR_E_DEGREES] = "degrees",
    [XR_E_QUANTITY] = "quantity",
    [XR_E_BASED] = "based",
    [XR_E_RATIO] = "ratio",
    [XR_E_MODULAR] = "modular",
    [XR_E_TUPLE] = "tuple",
    [XR_E_BRACKETS] = "brackets",
    [XR_E_SET] = "set",
    [XR_E_LIST] = "list",
    [XR_E_INTERVAL] = "interval",
    [XR_E_MATRIX] = "matrix",
    [XR_E_UNION] = "union",
    [XR_E_INTERSECTION] = "intersection",
    [XR_E_DIFFERENCE] = "difference",
    [XR_E_BUILDER] = "builder",
    [XR_E_NAMED_SET] = "named_set",
    [XR_E_EMPTY_SET] = "empty_set",
    [XR_E_RELATION] = "relation",
    [XR_E_OR] = "or",
    [XR_E_AND] = "and",
    [XR_E_FOR_ALL] = "for_all",
    [XR_E_ELLIPSIS] = "ellipsis",
    [XR_E_DATE] = "date",
    [XR_E_TIME] = "time",
};

static const char *const function_names[XR_FN_COUNT] = {
    "sin",      "cos",          "tan",        "cot",  "sec",       "csc",
    "asin",     "acos",         "atan",       "acot", "asec",      "acsc",
    "sinh",     "cosh",         "tanh",       "coth", "sech",      "csch",
    "asinh",    "acosh",        "atanh",      "exp",  "ln",        "log",
    "abs",      "sign",         "floor",      "ceil", "fraction",  "gcd",
    "lcm",      "max",          "min",        "mod",  "factorial", "double_factorial",
    "binomial", "permutations", "gamma",      "re",   "im",        "conjugate",
    "arg",      "det",          "derivative",
};

static const char *const relation_names[] = {
    "=", "!=", "<", "<=", ">", ">=", "~=", "in", "notin", "==(mod)", "subset", "=>", "rel"};

static void print_value(const fmpq *value, XrBuffer *out) {
    if (fmpz_bits(fmpq_numref(value)) + fmpz_bits(fmpq_denref(value)) > 4000) {
        xr_buffer_format(out, "number_of_%d_bits", (int)fmpz_bits(fmpq_numref(value)));
        return;
    }
    char *text = fmpq_get_str(NULL, 10, value);
    xr_buffer_text(out, text);
    flint_free(text);
}

static void print_head(const XrExprs *exprs, const XrExpr *node, XrBuffer *out) {
    switch (node->op) {
    case XR_E_FUNCTION:
        xr_buffer_text(out, function_names[node->id]);
        break;
    case XR_E_CALL:
        xr_buffer_format(out, "call %s", exprs->symbols[node->id]);
        break;
    case XR_E_NAMED_SET:
        xr_buffer_format(out, "set %c", node->id);
        break;
    case XR_E_MATRIX:
        xr_buffer_format(out, "matrix of %d columns", node->id);
        break;
    case XR_E_INTERVAL:
        xr_buffer_format(out, "interval%c%c", node->flags & XR_F_LEFT_OPEN ? '(' : '[',
                         node->flags & XR_F_RIGHT_OPEN ? ')' : ']');
        break;
    case XR_E_QUANTITY:
        xr_buffer_format(out, "quantity %s", node->name ? node->name : "");
        break;
    default:
        xr_buffer_text(out, op_names[node->op]);
    }
}

void xr_expr_print(const XrExprs *exprs, const XrExpr *node, XrBuffer *out) {
    if (out->length > 4000) return;
    switch (node->op) {
    case XR_E_NUMBER:
        print_value(node->value, out);
        return;
    case XR_E_SYMBOL:
        xr_buffer_text(out, exprs->symbols[node->id]);
        return;
    case XR_E_TEXT:
        xr_buffer_byte(out, '"');
        xr_buffer_append(out, node->name, strnlen(node->name, 200));
        xr_buffer_byte(out, '"');
        return;
    default:
        print_head(exprs, node, out);
    }
    if (node->value) {
        xr_buffer_byte(out, ' ');
        print_value(node->value, out);
    }
    if (!node->count) return;
    xr_buffer_byte(out, '(');
    for (uint32_t i = 0; i < node->count; i++) {
        if (i)
            xr_buffer_format(out, " %s ",
                             node->relations ? relation_names[node->relations[i - 1]] : "");
        xr_expr_print(exprs, node->args[i], out);
    }
    xr_buffer_byte(out, ')');
}
