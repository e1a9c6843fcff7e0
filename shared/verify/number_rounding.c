// Decimals against exact values: docs/verifier.md, "Rounding".
#include "shared/verify/math_context.h"
#include "shared/verify/number_ball.h"

#include <stdlib.h>

// What a numeral shows: its value, its last place 10^-places, and how many digits.
typedef struct Shown {
    fmpq *value; // of the arena
    long places;
    int digits;
    bool point; // written with a decimal point
    bool cut;   // "3.14…": the digits go on
} Shown;

// value times 10^power.
static void scale_by_ten(fmpq_t value, long power) {
    fmpz_t scale;
    fmpz_init_set_ui(scale, 10);
    fmpz_pow_ui(scale, scale, (ulong)labs(power));
    if (power < 0)
        fmpz_mul(fmpq_denref(value), fmpq_denref(value), scale);
    else
        fmpz_mul(fmpq_numref(value), fmpq_numref(value), scale);
    fmpq_canonicalise(value);
    fmpz_clear(scale);
}

// A numeral, a negative one, a percentage, or a numeral times a power of ten.
static bool shown_digits(const XrExpr *node, Shown *out, XrWork *work) {
    long shift = 0;
    bool negative = false;
    for (;;) {
        if (node->op == XR_E_NEG) {
            negative = !negative;
            node = node->args[0];
        } else if (node->op == XR_E_PERCENT) {
            shift += 2;
            node = node->args[0];
        } else if (node->op == XR_E_DEGREES) {
            node = node->args[0];
        } else if (node->op == XR_E_MUL && node->count == 2 && node->args[1]->op == XR_E_POW &&
                   node->args[1]->args[0]->op == XR_E_NUMBER &&
                   fmpq_equal_si(node->args[1]->args[0]->value, 10)) {
            slong power;
            if (!xr_number_small(node->args[1]->args[1], NULL, &power, work) || labs(power) > 1000)
                return false;
            shift -= power;
            node = node->args[0];
        } else {
            break;
        }
    }
    if (node->op != XR_E_NUMBER) return false;
    out->point = node->decimals >= 0 || (node->decimals < -1 && node->significant > 0);
    if (!out->point && (node->significant == 0 || !fmpz_is_one(fmpq_denref(node->value))))
        return false;
    out->places = (node->decimals == -1 ? 0 : node->decimals) + shift;
    out->digits = node->significant;
    out->cut = node->flags & XR_F_APPROXIMATE;
    fmpq_set(out->value, node->value);
    if (negative) fmpq_neg(out->value, out->value);
    scale_by_ten(out->value, -shift);
    return true;
}

// |value| within [|decimal| - below, |decimal| + above] units of the last place, in the decimal's
// direction from zero.
static bool within(XrMath *math, const XrExpr *value, const Shown *decimal, double below,
                   double above) {
    arb_t distance, unit, place;
    acb_t x;
    acb_init(x);
    arb_init(distance);
    arb_init(unit);
    arb_init(place);
    arb_set_ui(place, 10);
    arb_pow_ui(place, place, (ulong)labs(decimal->places), 256);
    XrBallPoint point = {.work = &math->work};
    bool inside = false;
    if (xr_number_ball(value, x, 256, &point) && arb_contains_zero(acb_imagref(x))) {
        arb_set_fmpq(unit, decimal->value, 256);
        arb_sub(distance, acb_realref(x), unit, 256);
        if (fmpq_sgn(decimal->value) < 0) arb_neg(distance, distance);
        if (decimal->places > 0)
            arb_mul(distance, distance, place, 256);
        else
            arb_div(distance, distance, place, 256);
        arb_set_d(unit, above);
        bool under = !arb_gt(distance, unit);
        arb_set_d(unit, -below);
        inside = under && !arb_lt(distance, unit);
    }
    arb_clear(place);
    arb_clear(unit);
    arb_clear(distance);
    acb_clear(x);
    return inside;
}

static bool is_integer_value(XrMath *math, const XrExpr *node) {
    fmpq_t x;
    fmpq_init(x);
    bool whole =
        xr_number_exact(node, NULL, x, &math->work) == XR_EXACT_YES && fmpz_is_one(fmpq_denref(x));
    fmpq_clear(x);
    return whole;
}

// Within the tolerance that the caller gave.
static bool tolerated(XrMath *math, const XrExpr *gold, const XrExpr *answer) {
    XrBallPoint point = {.work = &math->work};
    acb_t x, y;
    arb_t bound, distance;
    acb_init(x);
    acb_init(y);
    arb_init(bound);
    arb_init(distance);
    bool close = false;
    if (xr_number_ball(gold, x, 128, &point) && xr_number_ball(answer, y, 128, &point)) {
        acb_sub(y, y, x, 128);
        acb_abs(distance, y, 128);
        acb_abs(bound, x, 128);
        arb_t tolerance;
        arb_init(tolerance);
        arb_set_d(tolerance, math->options.relative_tolerance);
        arb_mul(bound, bound, tolerance, 128);
        arb_clear(tolerance);
        close = arb_le(distance, bound);
    }
    arb_clear(bound);
    arb_clear(distance);
    acb_clear(x);
    acb_clear(y);
    return close;
}

static bool rounds(XrMath *math, const XrExpr *gold, const XrExpr *answer, Shown *g, Shown *a) {
    bool gold_decimal = shown_digits(gold, g, &math->work) && g->point;
    bool answer_shown = shown_digits(answer, a, &math->work);
    bool answer_decimal = answer_shown && a->point;
    if (gold_decimal && !answer_shown) {
        // An exact value has to give the gold's digits; many golds were cut instead of rounded.
        if (g->digits < 2) return false;
        if (within(math, answer, g, 0.5, 0.5)) return true;
        return g->places >= 2 && g->digits >= 3 && within(math, answer, g, 0, 1);
    }
    if (gold_decimal && answer_decimal && a->places > g->places) {
        // More digits than the gold: of a short gold, so many that it must be the rounded one.
        bool finer = g->digits >= 3 || (g->digits == 2 && a->places - g->places >= 2);
        return finer && within(math, answer, g, 0.5, 0.5);
    }
    if (math->options.strict_decimals) return false;
    if (gold_decimal && answer_shown && a->places < g->places && a->places >= g->places - 3) {
        bool close = g->places - a->places == 1 || g->places >= 2;
        bool whole_from_tenths = !answer_decimal && g->places < 2;
        return close && a->digits >= 3 && !whole_from_tenths && within(math, gold, a, 0.5, 0.5);
    }
    // An exact gold that is no whole number: four correct digits behind a point.
    if (!gold_decimal && answer_decimal && !is_integer_value(math, gold))
        return a->digits >= 4 && within(math, gold, a, a->cut ? 0 : 0.5, a->cut ? 1 : 0.5);
    return false;
}

bool xr_number_rounds(XrMath *math, const XrExpr *gold, const XrExpr *answer) {
    if (math->options.relative_tolerance > 0) return tolerated(math, gold, answer);
    Shown g = {.value = xr_expr_value(&math->exprs)->value};
    Shown a = {.value = xr_expr_value(&math->exprs)->value};
    return rounds(math, gold, answer, &g, &a);
}
