#include "shared/verify/number_exact.h"

#include <flint/arith.h>
#include <flint/fmpz.h>
#include <math.h>

bool xr_work(XrWork *work, int64_t units) {
    if (work->left < units) {
        work->left = 0;
        work->over = true;
        return false;
    }
    work->left -= units;
    return true;
}

static int64_t bits_of(const fmpq_t value) {
    return (int64_t)fmpz_bits(fmpq_numref(value)) + (int64_t)fmpz_bits(fmpq_denref(value));
}

// Charges for bringing a fraction of that many bits to lowest terms: measured, limbs^1.5 / 40 µs.
static XrExact checked(const fmpq_t value, XrWork *work) {
    int64_t bits = bits_of(value);
    if (bits > 2 * XR_EXACT_BITS) return XR_EXACT_OVER;
    if (bits < 512) return XR_EXACT_YES;
    double limbs = (double)bits / 64;
    bool whole = fmpz_is_one(fmpq_denref(value));
    int64_t cost = whole ? bits / 3000 : (int64_t)(limbs * sqrt(limbs) / 40);
    return xr_work(work, cost) ? XR_EXACT_YES : XR_EXACT_OVER;
}

static XrExact worse(XrExact a, XrExact b) {
    return a > b ? a : b;
}

static XrExact exact_pair(const XrExpr *node, const XrBinding *b, fmpq_t x, fmpq_t y,
                          XrWork *work) {
    XrExact first = xr_number_exact(node->args[0], b, x, work);
    if (first == XR_EXACT_NO) return first;
    return worse(first, xr_number_exact(node->args[1], b, y, work));
}

static XrExact exact_sum(const XrExpr *node, const XrBinding *b, fmpq_t out, XrWork *work) {
    fmpq_t x;
    fmpq_init(x);
    XrExact state = XR_EXACT_YES;
    bool sum = node->op == XR_E_ADD;
    fmpq_set_si(out, sum ? 0 : 1, 1);
    for (uint32_t i = 0; i < node->count && state == XR_EXACT_YES; i++) {
        state = xr_number_exact(node->args[i], b, x, work);
        if (state != XR_EXACT_YES) break;
        if (sum)
            fmpq_add(out, out, x);
        else
            fmpq_mul(out, out, x);
        state = checked(out, work);
    }
    fmpq_clear(x);
    return state;
}

static XrExact exact_quotient(const XrExpr *node, const XrBinding *b, fmpq_t out, XrWork *work) {
    fmpq_t x, y;
    fmpq_init(x);
    fmpq_init(y);
    XrExact state = exact_pair(node, b, x, y, work);
    if (state == XR_EXACT_YES && fmpq_is_zero(y)) state = XR_EXACT_UNDEFINED;
    if (state == XR_EXACT_YES) {
        fmpq_div(out, x, y);
        state = checked(out, work);
    }
    fmpq_clear(x);
    fmpq_clear(y);
    return state;
}

// The exact root of a non-negative rational (or of a negative one when `index` is odd), if it is
// rational.
static XrExact rational_root(fmpq_t out, const fmpq_t x, slong index) {
    bool negative = fmpq_sgn(x) < 0;
    if (index < 1 || index > 1000 || (negative && index % 2 == 0)) return XR_EXACT_NO;
    fmpq_t root;
    fmpq_init(root);
    fmpq_abs(root, x);
    int exact = fmpz_root(fmpq_numref(root), fmpq_numref(root), index);
    exact = exact && fmpz_root(fmpq_denref(root), fmpq_denref(root), index);
    if (exact) {
        if (negative) fmpq_neg(root, root);
        fmpq_set(out, root);
    }
    fmpq_clear(root);
    return exact ? XR_EXACT_YES : XR_EXACT_NO;
}

static XrExact exact_root(const XrExpr *node, const XrBinding *b, fmpq_t out, XrWork *work) {
    slong index;
    fmpq_t x;
    fmpq_init(x);
    XrExact state = xr_number_exact(node->args[0], b, x, work);
    if (state == XR_EXACT_YES) {
        if (!xr_number_small(node->args[1], b, &index, work))
            state = XR_EXACT_NO;
        else
            state = rational_root(out, x, index);
    }
    fmpq_clear(x);
    return state;
}

static XrExact integer_power(fmpq_t out, const fmpq_t x, const fmpz_t power, XrWork *work) {
    if (fmpq_is_zero(x) && fmpz_sgn(power) < 0) return XR_EXACT_UNDEFINED;
    if (fmpq_is_zero(x) && fmpz_is_zero(power)) return XR_EXACT_UNDEFINED;
    if (fmpq_is_one(x) || fmpq_is_zero(x)) {
        fmpq_set(out, x);
        return XR_EXACT_YES;
    }
    if (fmpz_is_one(fmpq_denref(x)) && fmpz_equal_si(fmpq_numref(x), -1)) {
        fmpq_set_si(out, fmpz_is_even(power) ? 1 : -1, 1);
        return XR_EXACT_YES;
    }
    if (!fmpz_fits_si(power)) return XR_EXACT_OVER;
    slong exponent = fmpz_get_si(power);
    if (exponent > XR_EXACT_BITS || exponent < -XR_EXACT_BITS) return XR_EXACT_OVER;
    int64_t bits = bits_of(x) * (exponent < 0 ? -exponent : exponent);
    if (bits > XR_EXACT_BITS) return XR_EXACT_OVER;
    if (!xr_work(work, bits / 1000)) return XR_EXACT_OVER;
    fmpq_pow_si(out, x, exponent);
    return XR_EXACT_YES;
}

static XrExact exact_power(const XrExpr *node, const XrBinding *b, fmpq_t out, XrWork *work) {
    fmpq_t x, y;
    fmpq_init(x);
    fmpq_init(y);
    XrExact state = exact_pair(node, b, x, y, work);
    if (state == XR_EXACT_YES && !fmpz_is_one(fmpq_denref(y))) {
        // x^(p/q): the root first, so that (-8)^(1/3) is -2 and 4^(3/2) is 8.
        fmpq_t root;
        fmpq_init(root);
        state = fmpz_fits_si(fmpq_denref(y)) ? rational_root(root, x, fmpz_get_si(fmpq_denref(y)))
                                             : XR_EXACT_NO;
        if (state == XR_EXACT_YES) state = integer_power(out, root, fmpq_numref(y), work);
        fmpq_clear(root);
    } else if (state == XR_EXACT_YES) {
        state = integer_power(out, x, fmpq_numref(y), work);
    }
    fmpq_clear(x);
    fmpq_clear(y);
    return state;
}

static XrExact exact_factorial(const XrExpr *node, const XrBinding *b, fmpq_t out, XrWork *work) {
    fmpq_t x;
    fmpq_init(x);
    XrExact state = xr_number_exact(node->args[0], b, x, work);
    if (state == XR_EXACT_YES) {
        bool whole = fmpz_is_one(fmpq_denref(x));
        if (whole && fmpz_sgn(fmpq_numref(x)) < 0)
            state = XR_EXACT_UNDEFINED;
        else if (!whole)
            state = XR_EXACT_NO;
        else if (fmpz_cmp_si(fmpq_numref(x), XR_EXACT_FACTORIAL) > 0 || !xr_work(work, 300))
            state = XR_EXACT_OVER;
        else {
            ulong n = fmpz_get_ui(fmpq_numref(x));
            fmpz_one(fmpq_denref(out));
            if (node->id == XR_FN_FACTORIAL)
                fmpz_fac_ui(fmpq_numref(out), n);
            else {
                fmpz_one(fmpq_numref(out));
                for (ulong k = n; k > 1; k -= 2) fmpz_mul_ui(fmpq_numref(out), fmpq_numref(out), k);
            }
        }
    }
    fmpq_clear(x);
    return state;
}

// Binomial coefficients and numbers of arrangements, n whole and not negative.
static XrExact exact_choice(const XrExpr *node, const XrBinding *b, fmpq_t out, XrWork *work) {
    slong n, k;
    if (!xr_number_small(node->args[0], b, &n, work) ||
        !xr_number_small(node->args[1], b, &k, work))
        return XR_EXACT_NO;
    if (n < 0) return XR_EXACT_NO;
    fmpz_one(fmpq_denref(out));
    fmpz_zero(fmpq_numref(out));
    if (k < 0 || k > n) return XR_EXACT_YES;
    bool binomial = node->id == XR_FN_BINOMIAL;
    slong least = binomial && n - k < k ? n - k : k;
    if (least > XR_EXACT_FACTORIAL || !xr_work(work, 10 + least / 4)) return XR_EXACT_OVER;
    if (binomial) {
        fmpz_bin_uiui(fmpq_numref(out), (ulong)n, (ulong)least);
        return checked(out, work);
    }
    fmpz_one(fmpq_numref(out));
    for (slong i = 0; i < k; i++) fmpz_mul_si(fmpq_numref(out), fmpq_numref(out), n - i);
    return checked(out, work);
}

static void floor_of(fmpq_t out, const fmpq_t x, bool up) {
    if (up)
        fmpz_cdiv_q(fmpq_numref(out), fmpq_numref(x), fmpq_denref(x));
    else
        fmpz_fdiv_q(fmpq_numref(out), fmpq_numref(x), fmpq_denref(x));
    fmpz_one(fmpq_denref(out));
}

static XrExact exact_unary(const XrExpr *node, const XrBinding *b, fmpq_t out, XrWork *work) {
    fmpq_t x;
    fmpq_init(x);
    XrExact state = xr_number_exact(node->args[0], b, x, work);
    if (state == XR_EXACT_YES) {
        switch (node->id) {
        case XR_FN_ABS:
            fmpq_abs(out, x);
            break;
        case XR_FN_SIGN:
            fmpq_set_si(out, fmpq_sgn(x), 1);
            break;
        case XR_FN_FLOOR:
            floor_of(out, x, false);
            break;
        case XR_FN_CEIL:
            floor_of(out, x, true);
            break;
        case XR_FN_FRACTION:
            floor_of(out, x, false);
            fmpq_sub(out, x, out);
            break;
        case XR_FN_RE:
        case XR_FN_CONJUGATE:
            fmpq_set(out, x);
            break;
        case XR_FN_IM:
            fmpq_zero(out);
            break;
        default:
            state = XR_EXACT_NO;
        }
    }
    fmpq_clear(x);
    return state;
}

// gcd, lcm, max, min of several, mod of two.
static XrExact exact_several(const XrExpr *node, const XrBinding *b, fmpq_t out, XrWork *work) {
    fmpq_t x;
    fmpq_init(x);
    XrExact state = xr_number_exact(node->args[0], b, out, work);
    for (uint32_t i = 1; i < node->count && state == XR_EXACT_YES; i++) {
        state = xr_number_exact(node->args[i], b, x, work);
        if (state != XR_EXACT_YES) break;
        bool whole = fmpz_is_one(fmpq_denref(x)) && fmpz_is_one(fmpq_denref(out));
        if (node->id == XR_FN_MAX) {
            if (fmpq_cmp(x, out) > 0) fmpq_set(out, x);
        } else if (node->id == XR_FN_MIN) {
            if (fmpq_cmp(x, out) < 0) fmpq_set(out, x);
        } else if (!whole) {
            state = XR_EXACT_NO;
        } else if (node->id == XR_FN_GCD) {
            fmpz_gcd(fmpq_numref(out), fmpq_numref(out), fmpq_numref(x));
        } else if (node->id == XR_FN_LCM) {
            fmpz_lcm(fmpq_numref(out), fmpq_numref(out), fmpq_numref(x));
        } else if (fmpq_is_zero(x)) {
            state = XR_EXACT_UNDEFINED;
        } else {
            fmpz_mod(fmpq_numref(out), fmpq_numref(out), fmpq_numref(x));
        }
    }
    fmpq_clear(x);
    return state;
}

static XrExact exact_function(const XrExpr *node, const XrBinding *b, fmpq_t out, XrWork *work) {
    switch (node->id) {
    case XR_FN_FACTORIAL:
    case XR_FN_DOUBLE_FACTORIAL:
        return exact_factorial(node, b, out, work);
    case XR_FN_BINOMIAL:
    case XR_FN_PERMUTATIONS:
        return node->count == 2 ? exact_choice(node, b, out, work) : XR_EXACT_NO;
    case XR_FN_GCD:
    case XR_FN_LCM:
    case XR_FN_MAX:
    case XR_FN_MIN:
    case XR_FN_MOD:
        return exact_several(node, b, out, work);
    default:
        return node->count == 1 ? exact_unary(node, b, out, work) : XR_EXACT_NO;
    }
}

static XrExact exact_range(const XrExpr *node, const XrBinding *b, fmpq_t out, XrWork *work) {
    slong first, last;
    if (!xr_number_small(node->args[1], b, &first, work) ||
        !xr_number_small(node->args[2], b, &last, work))
        return XR_EXACT_NO;
    bool sum = node->op == XR_E_SUM;
    fmpq_set_si(out, sum ? 0 : 1, 1);
    if (last < first) return XR_EXACT_YES;
    if (last - first >= XR_EXACT_TERMS || first < -1000000000 || last > 1000000000)
        return XR_EXACT_OVER;
    XrBinding bound = {.next = b, .symbol = node->args[0]->id};
    fmpq_t term;
    fmpq_init(bound.value);
    fmpq_init(term);
    XrExact state = XR_EXACT_YES;
    for (slong k = first; k <= last && state == XR_EXACT_YES; k++) {
        fmpq_set_si(bound.value, k, 1);
        state = xr_number_exact(node->args[3], &bound, term, work);
        if (state != XR_EXACT_YES) break;
        if (sum)
            fmpq_add(out, out, term);
        else
            fmpq_mul(out, out, term);
        state = checked(out, work);
    }
    fmpq_clear(term);
    fmpq_clear(bound.value);
    return state;
}

static XrExact exact_symbol(const XrExpr *node, const XrBinding *b, fmpq_t out) {
    for (; b; b = b->next)
        if (b->symbol == node->id) {
            fmpq_set(out, b->value);
            return XR_EXACT_YES;
        }
    return XR_EXACT_NO;
}

XrExact xr_number_exact(const XrExpr *node, const XrBinding *bindings, fmpq_t out, XrWork *work) {
    if (!xr_work(work, 1)) return XR_EXACT_OVER;
    XrExact state;
    switch (node->op) {
    case XR_E_NUMBER:
    case XR_E_BASED:
        fmpq_set(out, node->value);
        return XR_EXACT_YES;
    case XR_E_SYMBOL:
        return exact_symbol(node, bindings, out);
    case XR_E_ADD:
    case XR_E_MUL:
        return exact_sum(node, bindings, out, work);
    case XR_E_NEG:
        state = xr_number_exact(node->args[0], bindings, out, work);
        if (state == XR_EXACT_YES) fmpq_neg(out, out);
        return state;
    case XR_E_RATIO:
        if (node->count != 2) return XR_EXACT_NO;
        return exact_quotient(node, bindings, out, work);
    case XR_E_DIV:
        return exact_quotient(node, bindings, out, work);
    case XR_E_POW:
        return exact_power(node, bindings, out, work);
    case XR_E_ROOT:
        return exact_root(node, bindings, out, work);
    case XR_E_FUNCTION:
        return exact_function(node, bindings, out, work);
    case XR_E_SUM:
    case XR_E_PRODUCT:
        return exact_range(node, bindings, out, work);
    case XR_E_PERCENT:
        state = xr_number_exact(node->args[0], bindings, out, work);
        if (state == XR_EXACT_YES) {
            fmpz_mul_ui(fmpq_denref(out), fmpq_denref(out), 100);
            fmpq_canonicalise(out);
        }
        return state;
    default:
        return XR_EXACT_NO;
    }
}

bool xr_number_small(const XrExpr *node, const XrBinding *bindings, slong *out, XrWork *work) {
    fmpq_t x;
    fmpq_init(x);
    bool small = xr_number_exact(node, bindings, x, work) == XR_EXACT_YES &&
                 fmpz_is_one(fmpq_denref(x)) && fmpz_bits(fmpq_numref(x)) <= 62;
    if (small) *out = fmpz_get_si(fmpq_numref(x));
    fmpq_clear(x);
    return small;
}
