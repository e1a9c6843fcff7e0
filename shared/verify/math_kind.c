// What kind of answer a text is, and a key that equal answers share.
#include "shared/verify/expr_rational.h"
#include "shared/verify/latex_clean.h"
#include "shared/verify/math_forms.h"

#include <string.h>

static XrMathKind kind_of(const XrExpr *node) {
    switch (node->op) {
    case XR_E_TUPLE:
    case XR_E_BRACKETS:
        return XR_MATH_TUPLE;
    case XR_E_LIST:
        return XR_MATH_LIST;
    case XR_E_SET:
    case XR_E_EMPTY_SET:
        return XR_MATH_SET;
    case XR_E_MATRIX:
        return XR_MATH_MATRIX;
    case XR_E_DATE:
        return XR_MATH_DATE;
    case XR_E_TIME:
        return XR_MATH_TIME;
    case XR_E_TEXT:
        return XR_MATH_TEXT;
    case XR_E_RELATION:
        for (uint32_t i = 0; i + 1 < node->count; i++)
            if (node->relations[i] >= XR_R_NOT_EQUAL && node->relations[i] <= XR_R_GREATER_EQUAL)
                return XR_MATH_INEQUALITY;
        return XR_MATH_EQUATION;
    case XR_E_OR:
    case XR_E_AND:
        return XR_MATH_INEQUALITY;
    default:
        break;
    }
    if (xr_is_real_set(node)) return XR_MATH_INTERVAL;
    return xr_expr_has_symbols(node) ? XR_MATH_EXPRESSION : XR_MATH_NUMBER;
}

static void write_key(XrMath *math, XrExpr *node, XrBuffer *out) {
    XrExpr *name;
    node = xr_strip_name(math, node, &name);
    if (node->op == XR_E_QUANTITY && node->name[0] == '?') node = node->args[0];
    if (xr_expr_is_scalar(node) && node->op != XR_E_BASED) {
        size_t before = out->length;
        if (xr_rational_key(math, node, out)) return;
        out->length = before;
    }
    bool several = node->op == XR_E_TUPLE || node->op == XR_E_LIST || node->op == XR_E_SET;
    if (!several) {
        xr_expr_print(&math->exprs, node, out);
        return;
    }
    xr_buffer_byte(out, node->op == XR_E_TUPLE ? '(' : '{');
    for (uint32_t i = 0; i < node->count && out->length < 4000; i++) {
        if (i) xr_buffer_byte(out, ',');
        write_key(math, node->args[i], out);
    }
    xr_buffer_byte(out, node->op == XR_E_TUPLE ? ')' : '}');
}

XrMathKind xr_math_kind(XrMath *math, const char *text, size_t bytes, XrBuffer *key) {
    xr_math_begin(math, NULL, NULL);
    if (bytes > 300000) return XR_MATH_NONE;
    XrParse parse;
    xr_latex_clean(text, bytes, &math->answer);
    xr_buffer_text(&math->answer, "");
    xr_math_parse(&math->exprs, &math->tokens, math->answer.data, math->answer.length, 0, &parse);
    if (parse.status == XR_PARSE_EMPTY || parse.status == XR_PARSE_OVER) return XR_MATH_NONE;
    if (key) write_key(math, parse.root, key);
    XrExpr *name, *value = xr_strip_name(math, parse.root, &name);
    return kind_of(name && name->op == XR_E_SYMBOL ? value : parse.root);
}
