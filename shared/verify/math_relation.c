// Equations and inequalities in several variables.
#include "shared/verify/expr_rational.h"
#include "shared/verify/math_context.h"

static XrExpr *difference(XrMath *math, XrExpr *a, XrExpr *b) {
    return xr_expr_2(&math->exprs, XR_E_ADD, a, xr_expr_1(&math->exprs, XR_E_NEG, b));
}

// left - right, turned round so that < and <= become > and >=.
static XrExpr *as_difference(XrMath *math, const XrExpr *node, XrRelation *relation) {
    *relation = (XrRelation)node->relations[0];
    bool less = *relation == XR_R_LESS || *relation == XR_R_LESS_EQUAL;
    if (less) {
        *relation = *relation == XR_R_LESS ? XR_R_GREATER : XR_R_GREATER_EQUAL;
        return difference(math, node->args[1], node->args[0]);
    }
    return difference(math, node->args[0], node->args[1]);
}

// Whether one difference is a multiple of the other, by a positive number where it matters.
static XrTruth proportional(XrMath *math, XrExpr *a, XrExpr *b, bool positive) {
    if (xr_expr_is_rational(a, &math->work) && xr_expr_is_rational(b, &math->work)) {
        int sign = 1;
        XrTruth truth = xr_rational_proportional(math, a, b, &sign);
        if (truth == XR_TRUE && positive && sign < 0) return XR_FALSE;
        if (truth != XR_UNDECIDED) return truth;
    }
    XrExpr *zero = xr_expr_number(&math->exprs, 0);
    // What holds always says nothing, and is equal to nothing.
    if (xr_value_equal(math, b, zero) != XR_FALSE) return XR_UNDECIDED;
    if (xr_value_equal(math, a, b) == XR_TRUE) return XR_TRUE;
    if (positive) return XR_FALSE;
    return xr_value_equal(math, a, xr_expr_1(&math->exprs, XR_E_NEG, b));
}

static XrTruth sides_same(XrMath *math, XrExpr *gold, XrExpr *answer) {
    for (uint32_t i = 0; i + 1 < gold->count; i++)
        if (gold->relations[i] != answer->relations[i]) return XR_FALSE;
    for (uint32_t i = 0; i < gold->count; i++) {
        XrTruth truth = xr_math_same(math, gold->args[i], answer->args[i]);
        if (truth != XR_TRUE) return truth;
    }
    return XR_TRUE;
}

static const uint8_t mirrored[] = {XR_R_EQUAL, XR_R_NOT_EQUAL,  XR_R_GREATER, XR_R_GREATER_EQUAL,
                                   XR_R_LESS,  XR_R_LESS_EQUAL, XR_R_APPROX};

// a < b < c read from its other end; NULL where a sign has no mirror image.
static XrExpr *read_backwards(XrMath *math, const XrExpr *node) {
    XrExpr *out = xr_expr_copy(&math->exprs, node);
    out->relations = xr_exprs_alloc(&math->exprs, node->count);
    for (uint32_t i = 0; i < node->count; i++) out->args[i] = node->args[node->count - 1 - i];
    for (uint32_t i = 0; i + 1 < node->count; i++) {
        uint8_t relation = node->relations[node->count - 2 - i];
        if (relation > XR_R_APPROX) return NULL;
        out->relations[i] = mirrored[relation];
    }
    return out;
}

XrTruth xr_relation_same(XrMath *math, XrExpr *gold, XrExpr *answer) {
    bool pairs = gold->count == 2 && answer->count == 2;
    bool scalars = pairs && xr_expr_is_scalar(gold->args[0]) && xr_expr_is_scalar(gold->args[1]) &&
                   xr_expr_is_scalar(answer->args[0]) && xr_expr_is_scalar(answer->args[1]);
    bool comparable = scalars && gold->relations[0] <= XR_R_GREATER_EQUAL &&
                      answer->relations[0] <= XR_R_GREATER_EQUAL;
    if (!comparable) {
        if (gold->count != answer->count) return XR_FALSE;
        XrTruth truth = sides_same(math, gold, answer);
        XrExpr *backwards = truth == XR_TRUE ? NULL : read_backwards(math, answer);
        return backwards ? sides_same(math, gold, backwards) : truth;
    }
    XrRelation r, s;
    XrExpr *g = as_difference(math, gold, &r), *a = as_difference(math, answer, &s);
    if (r != s) return XR_FALSE;
    bool either_sign = r == XR_R_EQUAL || r == XR_R_NOT_EQUAL;
    return proportional(math, g, a, !either_sign);
}
