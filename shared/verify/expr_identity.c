// Whether two expressions with variables are the same function: polynomial arithmetic where both
// are rational, otherwise values at seeded random points, as balls of high precision.
#include "shared/verify/expr_program.h"
#include "shared/verify/expr_rational.h"
#include "shared/verify/number_ball.h"

#include <string.h>

enum { TRIALS = 24, WANTED = 5, BITS = 128, MORE_BITS = 640 };

typedef struct Points {
    acb_ptr values;
    bool known[XR_EXPR_SYMBOLS];
    bool whole[XR_EXPR_SYMBOLS];
    XrBinding bindings[XR_EXPR_SYMBOLS];
    int binding_count;
    bool negative; // some variable is negative at this point
} Points;

static bool is_negative_constant(const XrExpr *node) {
    if (node->op == XR_E_NEG) return !xr_expr_has_symbols(node);
    return node->op == XR_E_NUMBER && fmpq_sgn(node->value) < 0;
}

static void mark_symbols(const XrExpr *node, bool whole[XR_EXPR_SYMBOLS]) {
    xr_expr_symbols(node, whole);
}

// Variables that stand for whole numbers: exponents of negative constants, bounds of sums,
// arguments of gcd and the like.
static void find_whole(const XrExpr *node, bool whole[XR_EXPR_SYMBOLS]) {
    if (node->op == XR_E_POW && is_negative_constant(node->args[0]))
        mark_symbols(node->args[1], whole);
    if (node->op == XR_E_SUM || node->op == XR_E_PRODUCT) {
        mark_symbols(node->args[1], whole);
        mark_symbols(node->args[2], whole);
    }
    bool function = node->op == XR_E_FUNCTION;
    if (function && (node->id == XR_FN_GCD || node->id == XR_FN_LCM || node->id == XR_FN_MOD ||
                     node->id == XR_FN_DOUBLE_FACTORIAL))
        mark_symbols(node, whole);
    for (uint32_t i = 0; i < node->count; i++) find_whole(node->args[i], whole);
}

// A point of the trial: small positive values first, then below 1, negative, larger ones.
static void choose(XrMath *math, Points *points, int trial) {
    points->binding_count = 0;
    points->negative = false;
    for (int s = 0; s < XR_EXPR_SYMBOLS; s++) {
        if (!points->known[s] && !points->whole[s]) continue;
        double value = xr_point_value(math->options.seed, s, trial, points->whole[s]);
        if (points->whole[s]) {
            XrBinding *b = &points->bindings[points->binding_count];
            b->next = points->binding_count ? b - 1 : NULL;
            b->symbol = s;
            fmpq_set_si(b->value, (slong)value, 1);
            points->binding_count++;
            continue;
        }
        if (value < 0) points->negative = true;
        acb_set_d(points->values + s, value);
    }
}

typedef enum Here {
    HERE_SAME,
    HERE_DIFFERENT,
    HERE_NEITHER,
    HERE_GOLD_ONLY,
    HERE_ANSWER_ONLY,
    HERE_VAGUE
} Here;

// Whether the values agree so far that a difference of the functions would show.
static bool close_enough(const acb_t x, const acb_t y, slong bits) {
    mag_t size;
    acb_t d;
    mag_init(size);
    acb_init(d);
    acb_sub(d, x, y, bits);
    acb_get_mag(size, d);
    bool close = mag_cmp_2exp_si(size, -bits / 4) < 0;
    acb_clear(d);
    mag_clear(size);
    return close;
}

static Here at_point(const XrExpr *a, const XrExpr *b, const XrBallPoint *point, slong bits) {
    acb_t x, y;
    acb_init(x);
    acb_init(y);
    bool first = xr_number_ball(a, x, bits, point), second = xr_number_ball(b, y, bits, point);
    Here here = HERE_SAME;
    if (!first || !second)
        here = first ? HERE_GOLD_ONLY : second ? HERE_ANSWER_ONLY : HERE_NEITHER;
    else if (!acb_overlaps(x, y))
        here = HERE_DIFFERENT;
    else if (!close_enough(x, y, bits))
        here = HERE_VAGUE;
    acb_clear(x);
    acb_clear(y);
    return here;
}

static XrTruth try_points(XrMath *math, const XrExpr *a, const XrExpr *b, Points *points,
                          bool real) {
    int same = 0;
    bool sizes = !xr_expr_has_function(a, XR_FN_ABS); // the gold speaks of positive values
    for (int trial = 0; trial < TRIALS && same < WANTED; trial++) {
        if (xr_math_late(math)) return XR_UNDECIDED;
        choose(math, points, trial);
        XrBallPoint point = {
            .values = points->values,
            .known = points->known,
            .bindings = points->binding_count ? &points->bindings[points->binding_count - 1] : NULL,
            .real = real,
            .work = &math->work};
        Here here = at_point(a, b, &point, BITS);
        if (here == HERE_VAGUE) here = at_point(a, b, &point, MORE_BITS);
        if (math->work.over) return XR_UNDECIDED;
        if (here == HERE_DIFFERENT) return XR_FALSE;
        if (here == HERE_GOLD_ONLY && !(points->negative && sizes)) return XR_FALSE;
        same += here == HERE_SAME;
    }
    return same >= 3 ? XR_TRUE : XR_UNDECIDED;
}

static XrTruth random_points(XrMath *math, const XrExpr *a, const XrExpr *b) {
    Points *points = xr_exprs_alloc(&math->exprs, sizeof *points);
    memset(points, 0, sizeof *points);
    points->values = _acb_vec_init(XR_EXPR_SYMBOLS);
    for (int i = 0; i < XR_EXPR_SYMBOLS; i++) fmpq_init(points->bindings[i].value);
    xr_expr_symbols(a, points->known);
    xr_expr_symbols(b, points->known);
    find_whole(a, points->whole);
    find_whole(b, points->whole);
    for (int i = 0; i < XR_EXPR_SYMBOLS; i++)
        if (points->whole[i]) points->known[i] = false;
    bool complex = xr_expr_has_op(a, XR_E_I) || xr_expr_has_op(b, XR_E_I);
    XrTruth truth = XR_UNDECIDED;
    if (!complex) truth = xr_points_real(math, a, b, points->whole);
    if (!complex && truth == XR_UNDECIDED) truth = try_points(math, a, b, points, true);
    if (truth == XR_UNDECIDED && !math->work.over) truth = try_points(math, a, b, points, false);
    for (int i = 0; i < XR_EXPR_SYMBOLS; i++) fmpq_clear(points->bindings[i].value);
    _acb_vec_clear(points->values, XR_EXPR_SYMBOLS);
    return truth;
}

XrTruth xr_expr_identical(XrMath *math, const XrExpr *a, const XrExpr *b) {
    if (xr_expr_same(a, b)) return XR_TRUE;
    if (xr_expr_is_rational(a, &math->work) && xr_expr_is_rational(b, &math->work)) {
        XrTruth points = xr_points_modular(math, a, b);
        if (points == XR_FALSE) {
            xr_math_explain(math, "residues at random points: different");
            return XR_FALSE;
        }
        XrTruth truth = xr_rational_equal(math, a, b);
        if (truth == XR_UNDECIDED && points == XR_TRUE) {
            xr_math_explain(math, "residues at random points of two fields: equal");
            return XR_TRUE;
        }
        if (truth != XR_UNDECIDED) {
            xr_math_explain(math, "polynomial arithmetic: %s",
                            truth == XR_TRUE ? "equal" : "different");
            return truth;
        }
    }
    XrTruth truth = random_points(math, a, b);
    xr_math_explain(math, "values at random points: %s",
                    truth == XR_TRUE    ? "equal"
                    : truth == XR_FALSE ? "different"
                                        : "undecided");
    return truth;
}

XrTruth xr_value_equal(XrMath *math, const XrExpr *a, const XrExpr *b) {
    if (xr_math_late(math)) return XR_UNDECIDED;
    if (xr_expr_has_symbols(a) || xr_expr_has_symbols(b)) return xr_expr_identical(math, a, b);
    return xr_number_equal(math, a, b);
}
