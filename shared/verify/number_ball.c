#include "shared/verify/number_ball.h"

#include <flint/fmpz.h>
#include <string.h>

enum { TERMS = 300, EXPONENT_BITS = 200 };

// Whether an exponent is small enough for its power to be worked out at all.
static bool moderate(const acb_t x) {
    mag_t size;
    mag_init(size);
    acb_get_mag(size, x);
    bool small = mag_cmp_2exp_si(size, EXPONENT_BITS) < 0;
    mag_clear(size);
    return small;
}

static bool ball(const XrExpr *node, acb_t out, slong prec, const XrBallPoint *p) {
    return xr_number_ball(node, out, prec, p);
}

// A result in real mode must be finite and have no imaginary part.
static bool acceptable(const acb_t x, const XrBallPoint *p) {
    return acb_is_finite(x) && (!p->real || arb_contains_zero(acb_imagref(x)));
}

static bool ball_terms(const XrExpr *node, acb_t out, slong prec, const XrBallPoint *p) {
    acb_t x;
    acb_init(x);
    bool sum = node->op == XR_E_ADD, good = true;
    acb_set_si(out, sum ? 0 : 1);
    for (uint32_t i = 0; i < node->count && good; i++) {
        good = ball(node->args[i], x, prec, p);
        if (sum)
            acb_add(out, out, x, prec);
        else
            acb_mul(out, out, x, prec);
    }
    acb_clear(x);
    return good;
}

static bool ball_quotient(const XrExpr *node, acb_t out, slong prec, const XrBallPoint *p) {
    acb_t x;
    acb_init(x);
    bool good =
        ball(node->args[0], out, prec, p) && ball(node->args[1], x, prec, p) && !acb_is_zero(x);
    if (good) acb_div(out, out, x, prec);
    acb_clear(x);
    return good && acb_is_finite(out);
}

// x^(1/n): the real root of a real number when n is odd, the principal one otherwise.
static bool root_of(acb_t out, const acb_t x, ulong n, slong prec, const XrBallPoint *p) {
    if (n == 0 || n > 100000) return false;
    if (n == 1 || acb_is_zero(x)) {
        acb_set(out, x);
        return true;
    }
    bool real = acb_is_real(x);
    if (real && !arb_is_negative(acb_realref(x)) && !p->analytic) {
        if (p->real && arb_contains_negative(acb_realref(x)) && !arb_contains_zero(acb_realref(x)))
            return false;
        arb_t y;
        arb_init(y);
        arb_set(y, acb_realref(x));
        if (n == 2)
            arb_sqrtpos(y, y, prec);
        else
            arb_root_ui(y, y, n, prec);
        acb_set_arb(out, y);
        arb_clear(y);
        return acb_is_finite(out);
    }
    if (real && n % 2 == 1 && !p->analytic) {
        acb_neg(out, x);
        arb_root_ui(acb_realref(out), acb_realref(out), n, prec);
        arb_zero(acb_imagref(out));
        acb_neg(out, out);
        return acb_is_finite(out);
    }
    if (p->real && !p->analytic) return false;
    if (n == 2) {
        acb_sqrt_analytic(out, x, p->analytic, prec);
    } else {
        acb_t power;
        acb_init(power);
        acb_set_si(power, 1);
        acb_div_ui(power, power, n, prec);
        acb_pow_analytic(out, x, power, p->analytic, prec);
        acb_clear(power);
    }
    return acb_is_finite(out);
}

static bool ball_root(const XrExpr *node, acb_t out, slong prec, const XrBallPoint *p) {
    slong n;
    if (xr_number_small(node->args[1], p->bindings, &n, p->work)) {
        acb_t x;
        acb_init(x);
        bool good = n > 0 && ball(node->args[0], x, prec, p) && root_of(out, x, (ulong)n, prec, p);
        acb_clear(x);
        return good;
    }
    acb_t x, y;
    acb_init(x);
    acb_init(y);
    bool good = ball(node->args[0], x, prec, p) && ball(node->args[1], y, prec, p) &&
                (!p->real || arb_is_positive(acb_realref(x))) && !acb_contains_zero(y);
    if (good) {
        acb_inv(y, y, prec);
        acb_pow(out, x, y, prec);
    }
    acb_clear(x);
    acb_clear(y);
    return good && acb_is_finite(out);
}

static bool general_power(acb_t out, const acb_t x, const XrExpr *exponent, slong prec,
                          const XrBallPoint *p) {
    acb_t y;
    acb_init(y);
    bool good = ball(exponent, y, prec, p) && moderate(y);
    if (good && acb_is_int(y) && !p->analytic) {
        // A whole exponent (a variable that stands for one) is defined for negative bases too.
        good = !(acb_contains_zero(x) && !arb_is_positive(acb_realref(y)));
        if (good) acb_pow(out, x, y, prec);
    } else if (good && acb_is_zero(x)) {
        good = arb_is_positive(acb_realref(y));
        acb_zero(out);
    } else if (good) {
        good = !p->real || arb_is_positive(acb_realref(x));
        if (good) acb_pow_analytic(out, x, y, p->analytic, prec);
    }
    acb_clear(y);
    return good && acb_is_finite(out);
}

static bool rational_power(acb_t out, const acb_t x, const fmpq_t power, slong prec,
                           const XrBallPoint *p) {
    if (!fmpz_fits_si(fmpq_denref(power)) || fmpz_bits(fmpq_numref(power)) > EXPONENT_BITS)
        return false;
    ulong n = fmpz_get_ui(fmpq_denref(power));
    if (fmpz_sgn(fmpq_numref(power)) <= 0 && acb_is_zero(x)) return false;
    if (n == 1) {
        acb_pow_fmpz(out, x, fmpq_numref(power), prec);
        return acb_is_finite(out);
    }
    bool real_root = acb_is_real(x) && (n % 2 == 1 || !arb_is_negative(acb_realref(x)));
    if (real_root && !p->analytic) {
        if (!root_of(out, x, n, prec, p)) return false;
        acb_pow_fmpz(out, out, fmpq_numref(power), prec);
        return acb_is_finite(out);
    }
    if (p->real && !p->analytic) return false;
    acb_t y;
    acb_init(y);
    acb_set_fmpq(y, power, prec);
    acb_pow_analytic(out, x, y, p->analytic, prec);
    acb_clear(y);
    return acb_is_finite(out);
}

static bool ball_power(const XrExpr *node, acb_t out, slong prec, const XrBallPoint *p) {
    const XrExpr *base = node->args[0], *exponent = node->args[1];
    if (base->op == XR_E_EULER) {
        bool good = ball(exponent, out, prec, p) && moderate(out);
        if (good) acb_exp(out, out, prec);
        return good && acb_is_finite(out);
    }
    acb_t x;
    fmpq_t power;
    acb_init(x);
    fmpq_init(power);
    XrExact exact = xr_number_exact(exponent, p->bindings, power, p->work);
    bool good = exact != XR_EXACT_UNDEFINED && ball(base, x, prec, p);
    if (good && exact == XR_EXACT_YES)
        good = rational_power(out, x, power, prec, p);
    else if (good)
        good = general_power(out, x, exponent, prec, p);
    fmpq_clear(power);
    acb_clear(x);
    return good;
}

static bool ball_trigonometric(XrFunction f, acb_t y, const acb_t x, slong prec) {
    switch (f) {
    case XR_FN_SIN:
        acb_sin(y, x, prec);
        break;
    case XR_FN_COS:
        acb_cos(y, x, prec);
        break;
    case XR_FN_TAN:
        acb_tan(y, x, prec);
        break;
    case XR_FN_COT:
        acb_cot(y, x, prec);
        break;
    case XR_FN_SEC:
        acb_sec(y, x, prec);
        break;
    case XR_FN_CSC:
        acb_csc(y, x, prec);
        break;
    case XR_FN_SINH:
        acb_sinh(y, x, prec);
        break;
    case XR_FN_COSH:
        acb_cosh(y, x, prec);
        break;
    case XR_FN_TANH:
        acb_tanh(y, x, prec);
        break;
    case XR_FN_COTH:
        acb_coth(y, x, prec);
        break;
    case XR_FN_SECH:
        acb_sech(y, x, prec);
        break;
    case XR_FN_CSCH:
        acb_csch(y, x, prec);
        break;
    default:
        return false;
    }
    return acb_is_finite(y);
}

static bool ball_inverse(XrFunction f, acb_t y, const acb_t x, slong prec) {
    acb_t z;
    acb_init(z);
    acb_set(z, x);
    bool reciprocal = f == XR_FN_ASEC || f == XR_FN_ACSC || f == XR_FN_ACOT;
    if (reciprocal && f != XR_FN_ACOT) acb_inv(z, z, prec);
    switch (f) {
    case XR_FN_ASIN:
    case XR_FN_ACSC:
        acb_asin(y, z, prec);
        break;
    case XR_FN_ACOS:
    case XR_FN_ASEC:
        acb_acos(y, z, prec);
        break;
    case XR_FN_ATAN:
        acb_atan(y, z, prec);
        break;
    case XR_FN_ACOT: { // pi/2 - atan(x), so that it is continuous
        acb_atan(y, z, prec);
        acb_const_pi(z, prec);
        acb_mul_2exp_si(z, z, -1);
        acb_sub(y, z, y, prec);
        break;
    }
    case XR_FN_ASINH:
        acb_asinh(y, z, prec);
        break;
    case XR_FN_ACOSH:
        acb_acosh(y, z, prec);
        break;
    case XR_FN_ATANH:
        acb_atanh(y, z, prec);
        break;
    default:
        acb_indeterminate(y);
    }
    acb_clear(z);
    return acb_is_finite(y);
}

// Functions of real numbers alone, and parts of complex ones.
static bool ball_part(XrFunction f, acb_t y, const acb_t x, slong prec, const XrBallPoint *p) {
    switch (f) {
    case XR_FN_ABS:
        if (p->analytic)
            acb_real_abs(y, x, p->analytic, prec);
        else {
            acb_abs(acb_realref(y), x, prec);
            arb_zero(acb_imagref(y));
        }
        return acb_is_finite(y);
    case XR_FN_RE:
        acb_set(y, x);
        arb_zero(acb_imagref(y));
        return true;
    case XR_FN_IM:
        arb_set(acb_realref(y), acb_imagref(x));
        arb_zero(acb_imagref(y));
        return true;
    case XR_FN_CONJUGATE:
        acb_conj(y, x);
        return true;
    case XR_FN_ARG:
        acb_arg(acb_realref(y), x, prec);
        arb_zero(acb_imagref(y));
        return acb_is_finite(y);
    default:
        break;
    }
    if (!acb_is_real(x) || p->analytic) return false;
    switch (f) {
    case XR_FN_SIGN:
        acb_real_sgn(y, x, 0, prec);
        break;
    case XR_FN_FLOOR:
        acb_real_floor(y, x, 0, prec);
        break;
    case XR_FN_CEIL:
        acb_real_ceil(y, x, 0, prec);
        break;
    case XR_FN_FRACTION:
        acb_real_floor(y, x, 0, prec);
        acb_sub(y, x, y, prec);
        break;
    default:
        return false;
    }
    return acb_is_finite(y);
}

// n! and n!! through the gamma function; whole n only where n!! is concerned.
static bool ball_factorial(XrFunction f, acb_t y, const acb_t x, slong prec) {
    if (f == XR_FN_DOUBLE_FACTORIAL || !acb_is_real(x)) return false;
    acb_add_ui(y, x, f == XR_FN_FACTORIAL ? 1 : 0, prec);
    acb_gamma(y, y, prec);
    return acb_is_finite(y);
}

// n!/(k!(n-k)!) and n!/(n-k)!
static bool ball_choice(const XrExpr *node, acb_t out, slong prec, const XrBallPoint *p) {
    acb_t n, k, z;
    acb_init(n);
    acb_init(k);
    acb_init(z);
    bool good = ball(node->args[0], n, prec, p) && ball(node->args[1], k, prec, p);
    if (good) {
        acb_sub(z, n, k, prec);
        acb_add_ui(n, n, 1, prec);
        acb_add_ui(k, k, 1, prec);
        acb_add_ui(z, z, 1, prec);
        acb_gamma(out, n, prec);
        acb_rgamma(z, z, prec);
        acb_mul(out, out, z, prec);
        acb_rgamma(k, k, prec);
        if (node->id == XR_FN_BINOMIAL) acb_mul(out, out, k, prec);
    }
    acb_clear(n);
    acb_clear(k);
    acb_clear(z);
    return good && acb_is_finite(out);
}

static bool ball_logarithm(const XrExpr *node, acb_t out, slong prec, const XrBallPoint *p) {
    if (!ball(node->args[0], out, prec, p) || acb_contains_zero(out)) return false;
    if (p->real && !p->analytic && arb_is_negative(acb_realref(out))) return false;
    acb_log_analytic(out, out, p->analytic, prec);
    if (node->id == XR_FN_LOG) {
        acb_t base;
        acb_init(base);
        bool good = ball(node->args[1], base, prec, p) && !acb_contains_zero(base) &&
                    (!p->real || arb_is_positive(acb_realref(base)));
        if (good) {
            acb_log(base, base, prec);
            acb_div(out, out, base, prec);
        }
        acb_clear(base);
        if (!good) return false;
    }
    return acb_is_finite(out);
}

static bool ball_extreme(const XrExpr *node, acb_t out, slong prec, const XrBallPoint *p) {
    if (!ball(node->args[0], out, prec, p) || !acb_is_real(out)) return false;
    acb_t x;
    acb_init(x);
    bool good = true;
    for (uint32_t i = 1; i < node->count && good; i++) {
        good = ball(node->args[i], x, prec, p) && acb_is_real(x);
        if (good && node->id == XR_FN_MAX)
            arb_max(acb_realref(out), acb_realref(out), acb_realref(x), prec);
        if (good && node->id == XR_FN_MIN)
            arb_min(acb_realref(out), acb_realref(out), acb_realref(x), prec);
    }
    acb_clear(x);
    return good;
}

// Determinant by expansion along the first row: matrices are small.
static bool ball_determinant(const XrExpr *matrix, acb_t out, slong prec, const XrBallPoint *p) {
    slong n = matrix->id;
    if (!n || (slong)matrix->count != n * n || n > 8) return false;
    acb_mat_t m;
    acb_mat_init(m, n, n);
    bool good = true;
    for (slong i = 0; i < n * n && good; i++)
        good = ball(matrix->args[i], acb_mat_entry(m, i / n, i % n), prec, p);
    if (good) acb_mat_det(out, m, prec);
    acb_mat_clear(m);
    return good && acb_is_finite(out);
}

static bool ball_function(const XrExpr *node, acb_t out, slong prec, const XrBallPoint *p) {
    XrFunction f = (XrFunction)node->id;
    switch (f) {
    case XR_FN_LN:
    case XR_FN_LOG:
        return ball_logarithm(node, out, prec, p);
    case XR_FN_MAX:
    case XR_FN_MIN:
        return ball_extreme(node, out, prec, p);
    case XR_FN_BINOMIAL:
    case XR_FN_PERMUTATIONS:
        return node->count == 2 && ball_choice(node, out, prec, p);
    case XR_FN_DET:
        return ball_determinant(node->args[0], out, prec, p);
    case XR_FN_GCD:
    case XR_FN_LCM:
    case XR_FN_MOD:
        return false;
    default:
        break;
    }
    if (node->count != 1) return false;
    acb_t x;
    acb_init(x);
    bool good = ball(node->args[0], x, prec, p) && moderate(x);
    if (!good)
        ;
    else if (f == XR_FN_EXP) {
        good = moderate(x);
        if (good) acb_exp(out, x, prec);
        good = good && acb_is_finite(out);
    } else if (f == XR_FN_FACTORIAL || f == XR_FN_DOUBLE_FACTORIAL || f == XR_FN_GAMMA)
        good = ball_factorial(f, out, x, prec);
    else if (f <= XR_FN_CSC || (f >= XR_FN_SINH && f <= XR_FN_CSCH))
        good = ball_trigonometric(f, out, x, prec);
    else if (f <= XR_FN_ATANH)
        good = !p->analytic && ball_inverse(f, out, x, prec) && acceptable(out, p);
    else
        good = ball_part(f, out, x, prec, p);
    acb_clear(x);
    return good;
}

static bool ball_range(const XrExpr *node, acb_t out, slong prec, const XrBallPoint *p) {
    slong first, last;
    if (!xr_number_small(node->args[1], p->bindings, &first, p->work) ||
        !xr_number_small(node->args[2], p->bindings, &last, p->work) || last - first > TERMS)
        return false;
    bool sum = node->op == XR_E_SUM, good = true;
    acb_set_si(out, sum ? 0 : 1);
    XrBinding bound = {.next = p->bindings, .symbol = node->args[0]->id};
    XrBallPoint inner = *p;
    inner.bindings = &bound;
    acb_t term;
    acb_init(term);
    fmpq_init(bound.value);
    for (slong k = first; k <= last && good; k++) {
        fmpq_set_si(bound.value, k, 1);
        good = ball(node->args[3], term, prec, &inner);
        if (sum)
            acb_add(out, out, term, prec);
        else
            acb_mul(out, out, term, prec);
    }
    fmpq_clear(bound.value);
    acb_clear(term);
    return good;
}

typedef struct Integrand {
    const XrExpr *node;
    const XrBallPoint *point;
    bool failed;
} Integrand;

static int integrand(acb_ptr out, const acb_t x, void *context, slong order, slong prec) {
    Integrand *in = context;
    acb_struct values[XR_EXPR_SYMBOLS];
    bool known[XR_EXPR_SYMBOLS];
    int symbol = in->node->args[0]->id;
    for (int i = 0; i < XR_EXPR_SYMBOLS; i++) {
        known[i] = in->point->known && in->point->known[i];
        if (known[i]) values[i] = in->point->values[i];
    }
    values[symbol] = *x;
    known[symbol] = true;
    XrBallPoint inner = *in->point;
    inner.values = values;
    inner.known = known;
    inner.real = false;
    inner.analytic = order == 1;
    if (!ball(in->node->args[3], out, prec, &inner)) acb_indeterminate(out);
    return 0;
}

static bool ball_integral(const XrExpr *node, acb_t out, slong prec, const XrBallPoint *p) {
    if (p->analytic || !xr_work(p->work, 500)) return false;
    acb_t from, to;
    acb_init(from);
    acb_init(to);
    bool good = ball(node->args[1], from, prec, p) && ball(node->args[2], to, prec, p);
    if (good) {
        acb_calc_integrate_opt_t options;
        acb_calc_integrate_opt_init(options);
        options->eval_limit = 1500;
        options->depth_limit = 100;
        mag_t tolerance;
        mag_init(tolerance);
        mag_set_ui_2exp_si(tolerance, 1, -prec);
        Integrand context = {.node = node, .point = p};
        acb_calc_integrate(out, integrand, &context, from, to, prec, tolerance, options, prec);
        mag_clear(tolerance);
        if (p->real) arb_zero(acb_imagref(out));
    }
    acb_clear(from);
    acb_clear(to);
    return good && acb_is_finite(out);
}

static bool ball_symbol(const XrExpr *node, acb_t out, slong prec, const XrBallPoint *p) {
    for (const XrBinding *b = p->bindings; b; b = b->next)
        if (b->symbol == node->id) {
            acb_set_fmpq(out, b->value, prec);
            return true;
        }
    if (!p->known || !p->known[node->id]) return false;
    acb_set(out, p->values + node->id);
    return true;
}

// An unknown function's value at some argument: a fixed smooth function of it, another one for each
// name. Equal arguments give equal values, different ones different values.
static bool ball_call(const XrExpr *node, acb_t out, slong prec, const XrBallPoint *p) {
    if (p->analytic) return false;
    acb_t x;
    acb_init(x);
    bool good = true;
    acb_set_si(out, node->id + 1);
    for (uint32_t i = 0; i < node->count && good; i++) {
        good = ball(node->args[i], x, prec, p);
        acb_mul_si(out, out, 3 + 2 * (slong)node->id, prec);
        acb_div_si(x, x, 7 + node->id, prec);
        acb_add(out, out, x, prec);
        acb_sin(x, out, prec);
        acb_mul_2exp_si(x, x, -1);
        acb_add(out, out, x, prec);
    }
    acb_clear(x);
    return good && acb_is_finite(out);
}

static bool ball_degrees(const XrExpr *node, acb_t out, slong prec, const XrBallPoint *p) {
    acb_t pi;
    acb_init(pi);
    bool good = ball(node->args[0], out, prec, p);
    acb_const_pi(pi, prec);
    acb_mul(out, out, pi, prec);
    acb_div_ui(out, out, 180, prec);
    acb_clear(pi);
    return good;
}

bool xr_number_ball(const XrExpr *node, acb_t out, slong precision, const XrBallPoint *p) {
    if (!xr_work(p->work, 1 + precision / 128)) return false;
    bool good;
    switch (node->op) {
    case XR_E_NUMBER:
    case XR_E_BASED:
        acb_set_fmpq(out, node->value, precision);
        return true;
    case XR_E_SYMBOL:
        return ball_symbol(node, out, precision, p);
    case XR_E_PI:
        acb_const_pi(out, precision);
        return true;
    case XR_E_EULER:
        acb_zero(out);
        arb_const_e(acb_realref(out), precision);
        return true;
    case XR_E_I:
        acb_onei(out);
        return !p->real;
    case XR_E_ADD:
    case XR_E_MUL:
        return ball_terms(node, out, precision, p);
    case XR_E_NEG:
        good = ball(node->args[0], out, precision, p);
        acb_neg(out, out);
        return good;
    case XR_E_DIV:
        return ball_quotient(node, out, precision, p);
    case XR_E_RATIO:
        return node->count == 2 && ball_quotient(node, out, precision, p);
    case XR_E_POW:
        return ball_power(node, out, precision, p);
    case XR_E_ROOT:
        return ball_root(node, out, precision, p);
    case XR_E_FUNCTION:
        return ball_function(node, out, precision, p);
    case XR_E_CALL:
        return ball_call(node, out, precision, p);
    case XR_E_SUM:
    case XR_E_PRODUCT:
        return ball_range(node, out, precision, p);
    case XR_E_INTEGRAL:
        return ball_integral(node, out, precision, p);
    case XR_E_PERCENT:
        good = ball(node->args[0], out, precision, p);
        acb_div_ui(out, out, 100, precision);
        return good;
    case XR_E_DEGREES:
        return ball_degrees(node, out, precision, p);
    default:
        return false;
    }
}
