// Equality and order of numbers: exact rationals first, then balls that separate, then a proof.
#include "shared/verify/math_context.h"
#include "shared/verify/number_ball.h"

// A number that is equal to at least this many bits, and that no field can hold, counts as equal.
enum { FIRST_BITS = 64, SECOND_BITS = 256, LAST_BITS = 2048, INTEGRAL_BITS = 160 };

// The sign of an infinite value: 1, -1, or 0 for a finite one.
static int infinity_of(const XrExpr *node) {
    if (node->op == XR_E_INFINITY) return 1;
    if (node->op == XR_E_NEG) return -infinity_of(node->args[0]);
    return 0;
}

// Whether the difference is small by itself (so that no whole number hides in it) and beside the
// values (so that tiny ones do not all look alike).
static bool agree(const acb_t x, const acb_t y, slong bits) {
    acb_t d;
    mag_t difference, size;
    acb_init(d);
    mag_init(difference);
    mag_init(size);
    acb_sub(d, x, y, bits);
    acb_get_mag(difference, d);
    acb_get_mag_lower(size, x);
    bool small = mag_cmp_2exp_si(difference, -bits / 3) < 0;
    mag_mul_2exp_si(size, size, -bits / 3);
    bool beside = mag_cmp(difference, size) <= 0 || acb_contains_zero(x);
    mag_clear(size);
    mag_clear(difference);
    acb_clear(d);
    return small && beside;
}

// Whether the difference of the two can be told from zero with that many bits: XR_FALSE then
// (not equal), XR_TRUE when they agree as far as the bits go, XR_UNDECIDED without values.
static XrTruth separate(XrMath *math, const XrExpr *a, const XrExpr *b, slong bits, bool *finite) {
    XrBallPoint point = {.work = &math->work};
    acb_t x, y;
    acb_init(x);
    acb_init(y);
    XrTruth truth = XR_UNDECIDED;
    *finite = xr_number_ball(a, x, bits, &point) && xr_number_ball(b, y, bits, &point);
    if (*finite) {
        if (!acb_overlaps(x, y))
            truth = XR_FALSE;
        else if (agree(x, y, bits))
            truth = XR_TRUE;
    }
    acb_clear(x);
    acb_clear(y);
    return truth;
}

static XrTruth exact_equal(XrMath *math, const XrExpr *a, const XrExpr *b) {
    fmpq_t x, y;
    fmpq_init(x);
    fmpq_init(y);
    XrTruth truth = XR_UNDECIDED;
    XrExact first = xr_number_exact(a, NULL, x, &math->work);
    XrExact second = xr_number_exact(b, NULL, y, &math->work);
    if (first == XR_EXACT_YES && second == XR_EXACT_YES)
        truth = fmpq_equal(x, y) ? XR_TRUE : XR_FALSE;
    if (first == XR_EXACT_UNDEFINED || second == XR_EXACT_UNDEFINED) truth = XR_FALSE;
    fmpq_clear(x);
    fmpq_clear(y);
    return truth;
}

XrTruth xr_number_equal(XrMath *math, const XrExpr *a, const XrExpr *b) {
    int first = infinity_of(a), second = infinity_of(b);
    if (first || second) return first == second ? XR_TRUE : XR_FALSE;
    if (a->op == XR_E_NUMBER && b->op == XR_E_NUMBER)
        return fmpq_equal(a->value, b->value) ? XR_TRUE : XR_FALSE;
    XrTruth truth = exact_equal(math, a, b);
    if (truth != XR_UNDECIDED) return truth;
    if (xr_expr_same(a, b)) return XR_TRUE;
    bool integral = xr_expr_has_op(a, XR_E_INTEGRAL) || xr_expr_has_op(b, XR_E_INTEGRAL);
    slong bits = integral ? INTEGRAL_BITS : FIRST_BITS;
    bool finite = false; // otherwise it is too large for any precision
    truth = separate(math, a, b, bits, &finite);
    if (truth == XR_FALSE || integral || !finite) return truth;
    truth = xr_number_calcium(math, a, b);
    if (truth != XR_UNDECIDED) return truth;
    truth = separate(math, a, b, SECOND_BITS, &finite);
    if (truth != XR_TRUE) return truth;
    truth = separate(math, a, b, LAST_BITS, &finite);
    if (truth == XR_TRUE) xr_math_explain(math, "equal to %d bits", LAST_BITS / 3);
    return truth;
}

bool xr_number_order(XrMath *math, const XrExpr *a, const XrExpr *b, int *order) {
    int first = infinity_of(a), second = infinity_of(b);
    if (first || second) {
        *order = first - second > 0 ? 1 : first - second < 0 ? -1 : 0;
        return true;
    }
    fmpq_t p, q;
    fmpq_init(p);
    fmpq_init(q);
    bool exact = xr_number_exact(a, NULL, p, &math->work) == XR_EXACT_YES &&
                 xr_number_exact(b, NULL, q, &math->work) == XR_EXACT_YES;
    if (exact) *order = fmpq_cmp(p, q) > 0 ? 1 : fmpq_cmp(p, q) < 0 ? -1 : 0;
    fmpq_clear(p);
    fmpq_clear(q);
    if (exact) return true;
    XrBallPoint point = {.work = &math->work};
    acb_t x, y;
    acb_init(x);
    acb_init(y);
    bool decided = false;
    if (xr_number_ball(a, x, FIRST_BITS, &point) && xr_number_ball(b, y, FIRST_BITS, &point) &&
        arb_contains_zero(acb_imagref(x)) && arb_contains_zero(acb_imagref(y))) {
        decided = true;
        if (arb_lt(acb_realref(x), acb_realref(y)))
            *order = -1;
        else if (arb_gt(acb_realref(x), acb_realref(y)))
            *order = 1;
        else {
            *order = 0;
            decided = xr_number_equal(math, a, b) == XR_TRUE;
        }
    }
    acb_clear(x);
    acb_clear(y);
    return decided;
}
