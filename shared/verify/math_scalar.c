// Single values: units, percent, degrees, ratios, bases, rounding.
#include "shared/verify/math_scalar.h"
#include "shared/verify/unit_sum.h"

#include <string.h>

static bool is_unit(const XrExpr *node) {
    return node->op == XR_E_QUANTITY && node->name[0] != '?';
}

static bool is_temperature(const XrExpr *node) {
    return !strcmp(node->name, "celsius") || !strcmp(node->name, "fahrenheit");
}

// The node as a quantity where the other side is one and this one may be: "5 m" next to "5 cm".
static XrExpr *as_quantity(XrMath *math, XrExpr *node, const XrExpr *like) {
    if (!is_unit(like) || (node->op != XR_E_MUL && node->op != XR_E_DIV)) return node;
    XrExpr *quantity = xr_unit_of_letters(&math->exprs, node);
    return quantity ? quantity : node;
}

// 10 m/s, with signs of units below the line, next to a number.
static XrExpr *as_rate(XrMath *math, XrExpr *node, const XrExpr *other) {
    bool letters = node->op == XR_E_DIV && xr_expr_has_symbols(node);
    if (!letters || xr_expr_has_symbols(other)) return node;
    XrExpr *quantity = xr_unit_of_letters(&math->exprs, node);
    return quantity ? quantity : node;
}

static bool is_radian(const XrExpr *node) {
    return node->op == XR_E_QUANTITY && !strcmp(node->name, "radian");
}

static XrTruth quantities_same(XrMath *math, XrExpr *gold, XrExpr *answer) {
    if (is_radian(gold) && answer->op == XR_E_DEGREES)
        return xr_value_equal(math, gold->args[0], answer);
    if (is_radian(answer) && gold->op == XR_E_DEGREES)
        return xr_value_equal(math, gold, answer->args[0]);
    if (is_unit(gold) && is_unit(answer)) {
        if (strcmp(gold->name, answer->name) != 0) {
            xr_math_explain(math, "units of different kinds");
            return XR_FALSE;
        }
        if (is_temperature(gold)) return xr_scalar_same(math, gold->args[0], answer->args[0]);
        if (fmpq_equal(gold->args[1]->value, answer->args[1]->value))
            return xr_scalar_same(math, gold->args[0], answer->args[0]);
        xr_math_explain(math, "units converted");
        XrExpr *factor = xr_expr_value(&math->exprs);
        fmpq_div(factor->value, answer->args[1]->value, gold->args[1]->value);
        XrExpr *converted = xr_expr_2(&math->exprs, XR_E_MUL, answer->args[0], factor);
        if (gold->args[0]->op == XR_E_NUMBER && gold->args[0]->decimals >= 0)
            return xr_scalar_same(math, gold->args[0], converted);
        return xr_value_equal(math, gold->args[0], converted);
    }
    XrExpr *g = gold->op == XR_E_QUANTITY ? gold->args[0] : gold;
    XrExpr *a = answer->op == XR_E_QUANTITY ? answer->args[0] : answer;
    xr_math_explain(math, "a unit on one side only");
    return xr_scalar_same(math, g, a);
}

// 50% is 0.5; where one side has no sign the bare numbers may agree instead.
static XrTruth percent_same(XrMath *math, XrExpr *gold, XrExpr *answer) {
    bool both = gold->op == XR_E_PERCENT && answer->op == XR_E_PERCENT;
    XrExpr *g = gold->op == XR_E_PERCENT ? gold->args[0] : gold;
    XrExpr *a = answer->op == XR_E_PERCENT ? answer->args[0] : answer;
    if (both) return xr_scalar_same(math, g, a);
    XrTruth value = xr_value_equal(math, gold, answer);
    if (value == XR_TRUE || xr_number_rounds(math, gold, answer)) return XR_TRUE;
    xr_math_explain(math, "percent sign on one side only");
    return xr_scalar_same(math, g, a);
}

static XrTruth degrees_same(XrMath *math, XrExpr *gold, XrExpr *answer) {
    XrExpr *g = gold->op == XR_E_DEGREES ? gold->args[0] : gold;
    XrExpr *a = answer->op == XR_E_DEGREES ? answer->args[0] : answer;
    if (gold->op == XR_E_DEGREES && answer->op == XR_E_DEGREES) return xr_scalar_same(math, g, a);
    bool noun = g->op == XR_E_QUANTITY || a->op == XR_E_QUANTITY;
    if (!noun && xr_value_equal(math, gold, answer) == XR_TRUE) return XR_TRUE;
    xr_math_explain(math, "degree sign on one side only");
    return xr_scalar_same(math, g, a);
}

static XrTruth ratios_same(XrMath *math, const XrExpr *gold, const XrExpr *answer) {
    if (gold->count != answer->count) return XR_FALSE;
    for (uint32_t i = 1; i < gold->count; i++) {
        XrExpr *left = xr_expr_2(&math->exprs, XR_E_MUL, gold->args[i], answer->args[0]);
        XrExpr *right = xr_expr_2(&math->exprs, XR_E_MUL, answer->args[i], gold->args[0]);
        XrTruth truth = xr_value_equal(math, left, right);
        if (truth != XR_TRUE) return truth;
    }
    return XR_TRUE;
}

// Digits without a base are read in the gold's.
static XrTruth based_same(XrMath *math, const XrExpr *gold, const XrExpr *answer) {
    if (gold->op == XR_E_BASED && answer->op == XR_E_BASED)
        return fmpq_equal(gold->value, answer->value) ? XR_TRUE : XR_FALSE;
    const XrExpr *based = gold->op == XR_E_BASED ? gold : answer;
    const XrExpr *other = gold->op == XR_E_BASED ? answer : gold;
    if (gold->op == XR_E_BASED && other->op == XR_E_NUMBER)
        return fmpq_equal(based->args[0]->value, other->value) ? XR_TRUE : XR_FALSE;
    XrExpr *value = xr_expr_value(&math->exprs);
    fmpq_set(value->value, based->value);
    return xr_value_equal(math, value, other);
}

XrTruth xr_scalar_same(XrMath *math, XrExpr *gold, XrExpr *answer) {
    if (xr_math_late(math)) return XR_UNDECIDED;
    if (answer->op == XR_E_QUANTITY) gold = as_quantity(math, gold, answer);
    if (gold->op == XR_E_QUANTITY) answer = as_quantity(math, answer, gold);
    gold = as_rate(math, gold, answer);
    answer = as_rate(math, answer, gold);
    if (gold->op == XR_E_QUANTITY || answer->op == XR_E_QUANTITY)
        return quantities_same(math, gold, answer);
    if (gold->op == XR_E_PERCENT || answer->op == XR_E_PERCENT)
        return percent_same(math, gold, answer);
    if (gold->op == XR_E_DEGREES || answer->op == XR_E_DEGREES)
        return degrees_same(math, gold, answer);
    if (gold->op == XR_E_RATIO && answer->op == XR_E_RATIO) return ratios_same(math, gold, answer);
    if (gold->op == XR_E_BASED || answer->op == XR_E_BASED) return based_same(math, gold, answer);
    bool values = (xr_expr_is_scalar(gold) || gold->op == XR_E_INFINITY) &&
                  (xr_expr_is_scalar(answer) || answer->op == XR_E_INFINITY);
    if (!values) return xr_expr_same(gold, answer) ? XR_TRUE : XR_FALSE;
    XrTruth truth = xr_value_equal(math, gold, answer);
    if (truth == XR_TRUE) return truth;
    bool numbers = !xr_expr_has_symbols(gold) && !xr_expr_has_symbols(answer);
    if (numbers && xr_number_rounds(math, gold, answer)) {
        xr_math_explain(math, "equal by the rounding rules");
        return XR_TRUE;
    }
    return truth;
}
