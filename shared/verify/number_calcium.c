// Proofs of equality of numbers in Calcium's fields.
#include "shared/verify/math_context.h"

#include "shared/base/memory.h"

#include <stdlib.h>

enum { USES = 400, NODES = 150, DEGREE = 64, OTHERS = 10 };

static bool build(XrMath *math, ca_t out, const XrExpr *node);

// The largest whole number that something is divided by, DEGREE at most.
static int64_t largest_denominator(const XrExpr *node) {
    int64_t largest = node->op == XR_E_DEGREES ? 12 : 1;
    if (node->op == XR_E_NUMBER && fmpz_cmp_si(fmpq_numref(node->value), DEGREE) <= 0 &&
        fmpz_sgn(fmpq_numref(node->value)) > 0)
        largest = fmpz_get_si(fmpq_numref(node->value));
    if (node->op == XR_E_NUMBER && largest == 1 &&
        fmpz_cmp_si(fmpq_numref(node->value), DEGREE) > 0)
        largest = DEGREE;
    if (node->op == XR_E_DEGREES) return largest;
    for (uint32_t i = 0; i < node->count; i++) {
        int64_t here = largest_denominator(node->args[i]);
        if (here > largest) largest = here;
    }
    return largest;
}

static void make_fields(XrMath *math) {
    if (math->fields && math->field_uses > USES) xr_number_calcium_free(math);
    if (!math->fields) {
        math->fields = xr_malloc(sizeof(ca_ctx_struct));
        ca_ctx_init(math->fields);
        // Bounds on how far a proof may go.
        ca_ctx_set_option(math->fields, CA_OPT_PREC_LIMIT, 1024);
        ca_ctx_set_option(math->fields, CA_OPT_QQBAR_DEG_LIMIT, 48);
        ca_ctx_set_option(math->fields, CA_OPT_GROEBNER_LENGTH_LIMIT, 50);
        ca_ctx_set_option(math->fields, CA_OPT_GROEBNER_POLY_LENGTH_LIMIT, 500);
        ca_ctx_set_option(math->fields, CA_OPT_GROEBNER_POLY_BITS_LIMIT, 5000);
        ca_ctx_set_option(math->fields, CA_OPT_POW_LIMIT, 12);
        math->field_uses = 0;
    }
    math->field_uses++;
}

void xr_number_calcium_free(XrMath *math) {
    if (!math->fields) return;
    ca_ctx_clear(math->fields);
    free(math->fields);
    math->fields = NULL;
}

static bool build_pair(XrMath *math, ca_t x, ca_t y, const XrExpr *node) {
    return build(math, x, node->args[0]) && build(math, y, node->args[1]);
}

static bool build_terms(XrMath *math, ca_t out, const XrExpr *node) {
    ca_t x;
    ca_init(x, math->fields);
    bool sum = node->op == XR_E_ADD, good = true;
    ca_set_si(out, sum ? 0 : 1, math->fields);
    for (uint32_t i = 0; i < node->count && good; i++) {
        good = build(math, x, node->args[i]);
        if (sum)
            ca_add(out, out, x, math->fields);
        else
            ca_mul(out, out, x, math->fields);
    }
    ca_clear(x, math->fields);
    return good;
}

// x^power with the real root of a negative number where the root is odd.
static bool rational_power(XrMath *math, ca_t out, const ca_t x, const fmpq_t power) {
    ca_ctx_struct *c = math->fields;
    bool odd = fmpz_is_odd(fmpq_denref(power)) && !fmpz_is_one(fmpq_denref(power));
    if (fmpz_bits(fmpq_numref(power)) > 20 || fmpz_bits(fmpq_denref(power)) > 6) return false;
    if (!odd) {
        ca_pow_fmpq(out, x, power, c);
        return true;
    }
    truth_t negative = ca_check_is_negative_real(x, c);
    if (negative == T_UNKNOWN) return false;
    if (negative == T_FALSE) {
        ca_pow_fmpq(out, x, power, c);
        return true;
    }
    ca_neg(out, x, c);
    ca_pow_fmpq(out, out, power, c);
    if (fmpz_is_odd(fmpq_numref(power))) ca_neg(out, out, c);
    return true;
}

// Whether the exponent is of a size that a power can be worked out with.
static bool small_exponent(XrMath *math, const XrExpr *exponent) {
    fmpq_t value;
    fmpq_init(value);
    bool known = xr_number_exact(exponent, NULL, value, &math->work) == XR_EXACT_YES;
    bool small = !known || fmpz_bits(fmpq_numref(value)) + fmpz_bits(fmpq_denref(value)) < 64;
    fmpq_clear(value);
    return small;
}

static bool build_power(XrMath *math, ca_t out, const XrExpr *node) {
    ca_ctx_struct *c = math->fields;
    ca_t x, y;
    fmpq_t power;
    ca_init(x, c);
    ca_init(y, c);
    fmpq_init(power);
    bool root = node->op == XR_E_ROOT;
    bool good = build(math, x, node->args[0]);
    if (good && xr_number_exact(node->args[1], NULL, power, &math->work) == XR_EXACT_YES &&
        !(root && fmpq_sgn(power) <= 0)) {
        if (root) fmpq_inv(power, power);
        good = rational_power(math, out, x, power);
    } else if (good && !root && node->args[0]->op == XR_E_EULER) {
        good = build(math, y, node->args[1]);
        if (good) ca_exp(out, y, c);
    } else if (good && !root) {
        good = build(math, y, node->args[1]) && small_exponent(math, node->args[1]);
        if (good) ca_pow(out, x, y, c);
    } else {
        good = false;
    }
    fmpq_clear(power);
    ca_clear(x, c);
    ca_clear(y, c);
    return good;
}

static void reciprocal(ca_t x, ca_ctx_struct *c) {
    ca_inv(x, x, c);
}

// (e^x ± e^-x)/2 and their quotients.
static bool build_hyperbolic(XrMath *math, ca_t out, const ca_t x, XrFunction f) {
    ca_ctx_struct *c = math->fields;
    ca_t e, d;
    ca_init(e, c);
    ca_init(d, c);
    ca_exp(e, x, c);
    ca_inv(d, e, c);
    bool sinh = f == XR_FN_SINH || f == XR_FN_CSCH, cosh = f == XR_FN_COSH || f == XR_FN_SECH;
    ca_t sum, difference;
    ca_init(sum, c);
    ca_init(difference, c);
    ca_add(sum, e, d, c);
    ca_sub(difference, e, d, c);
    if (sinh)
        ca_div_si(out, difference, 2, c);
    else if (cosh)
        ca_div_si(out, sum, 2, c);
    else
        ca_div(out, difference, sum, c);
    if (f == XR_FN_CSCH || f == XR_FN_SECH || f == XR_FN_COTH) reciprocal(out, c);
    ca_clear(sum, c);
    ca_clear(difference, c);
    ca_clear(e, c);
    ca_clear(d, c);
    return true;
}

static bool build_inverse(XrMath *math, ca_t out, const ca_t x, XrFunction f) {
    ca_ctx_struct *c = math->fields;
    ca_t y;
    ca_init(y, c);
    ca_set(y, x, c);
    if (f == XR_FN_ASEC || f == XR_FN_ACSC) reciprocal(y, c);
    switch (f) {
    case XR_FN_ASIN:
    case XR_FN_ACSC:
        ca_asin(out, y, c);
        break;
    case XR_FN_ACOS:
    case XR_FN_ASEC:
        ca_acos(out, y, c);
        break;
    case XR_FN_ATAN:
        ca_atan(out, y, c);
        break;
    default: // acot = pi/2 - atan
        ca_atan(out, y, c);
        ca_pi(y, c);
        ca_div_si(y, y, 2, c);
        ca_sub(out, y, out, c);
    }
    ca_clear(y, c);
    return true;
}

static bool build_unary(XrMath *math, ca_t out, const ca_t x, XrFunction f) {
    ca_ctx_struct *c = math->fields;
    if (f >= XR_FN_SINH && f <= XR_FN_CSCH) return build_hyperbolic(math, out, x, f);
    if (f >= XR_FN_ASIN && f <= XR_FN_ACSC) return build_inverse(math, out, x, f);
    switch (f) {
    case XR_FN_SIN:
    case XR_FN_CSC:
        ca_sin_cos(out, NULL, x, c);
        break;
    case XR_FN_COS:
    case XR_FN_SEC:
        ca_sin_cos(NULL, out, x, c);
        break;
    case XR_FN_TAN:
    case XR_FN_COT:
        ca_tan(out, x, c);
        break;
    case XR_FN_EXP:
        ca_exp(out, x, c);
        break;
    case XR_FN_LN:
        ca_log(out, x, c);
        break;
    case XR_FN_ABS:
        ca_abs(out, x, c);
        break;
    case XR_FN_SIGN:
        ca_sgn(out, x, c);
        break;
    case XR_FN_FLOOR:
        ca_floor(out, x, c);
        break;
    case XR_FN_CEIL:
        ca_ceil(out, x, c);
        break;
    case XR_FN_RE:
        ca_re(out, x, c);
        break;
    case XR_FN_IM:
        ca_im(out, x, c);
        break;
    case XR_FN_CONJUGATE:
        ca_conj(out, x, c);
        break;
    case XR_FN_ARG:
        ca_arg(out, x, c);
        break;
    default:
        return false;
    }
    if (f == XR_FN_CSC || f == XR_FN_SEC || f == XR_FN_COT) reciprocal(out, c);
    return true;
}

static bool build_function(XrMath *math, ca_t out, const XrExpr *node) {
    ca_ctx_struct *c = math->fields;
    fmpq_t exact;
    fmpq_init(exact);
    bool known = xr_number_exact(node, NULL, exact, &math->work) == XR_EXACT_YES &&
                 fmpz_bits(fmpq_numref(exact)) < 20000;
    if (known) ca_set_fmpq(out, exact, c);
    fmpq_clear(exact);
    if (known) return true;
    if (node->count == 0 || node->id == XR_FN_DET) return false;
    ca_t x, y;
    ca_init(x, c);
    ca_init(y, c);
    bool good = build(math, x, node->args[0]);
    if (good && node->id == XR_FN_LOG) {
        good = build(math, y, node->args[1]);
        if (good) {
            ca_log(x, x, c);
            ca_log(y, y, c);
            ca_div(out, x, y, c);
        }
    } else if (good) {
        good = node->count == 1 && build_unary(math, out, x, (XrFunction)node->id);
    }
    ca_clear(x, c);
    ca_clear(y, c);
    return good;
}

static bool build_degrees(XrMath *math, ca_t out, const XrExpr *node) {
    ca_ctx_struct *c = math->fields;
    if (!build(math, out, node->args[0])) return false;
    ca_t pi;
    ca_init(pi, c);
    ca_pi(pi, c);
    ca_mul(out, out, pi, c);
    ca_div_si(out, out, 180, c);
    ca_clear(pi, c);
    return true;
}

static bool build_quotient(XrMath *math, ca_t out, const XrExpr *node) {
    ca_t x, y;
    ca_init(x, math->fields);
    ca_init(y, math->fields);
    bool good = build_pair(math, x, y, node);
    if (good) ca_div(out, x, y, math->fields);
    ca_clear(x, math->fields);
    ca_clear(y, math->fields);
    return good;
}

static bool build(XrMath *math, ca_t out, const XrExpr *node) {
    ca_ctx_struct *c = math->fields;
    if (!xr_work(&math->work, 5)) return false;
    switch (node->op) {
    case XR_E_NUMBER:
    case XR_E_BASED:
        if (fmpz_bits(fmpq_numref(node->value)) + fmpz_bits(fmpq_denref(node->value)) > 20000)
            return false;
        ca_set_fmpq(out, node->value, c);
        return true;
    case XR_E_PI:
        ca_pi(out, c);
        return true;
    case XR_E_EULER: {
        ca_one(out, c);
        ca_exp(out, out, c);
        return true;
    }
    case XR_E_I:
        ca_i(out, c);
        return true;
    case XR_E_ADD:
    case XR_E_MUL:
        return build_terms(math, out, node);
    case XR_E_NEG:
        if (!build(math, out, node->args[0])) return false;
        ca_neg(out, out, c);
        return true;
    case XR_E_RATIO:
        return node->count == 2 && build_quotient(math, out, node);
    case XR_E_DIV:
        return build_quotient(math, out, node);
    case XR_E_POW:
    case XR_E_ROOT:
        return build_power(math, out, node);
    case XR_E_FUNCTION:
        return build_function(math, out, node);
    case XR_E_SUM:
    case XR_E_PRODUCT: {
        fmpq_t exact;
        fmpq_init(exact);
        bool known = xr_number_exact(node, NULL, exact, &math->work) == XR_EXACT_YES;
        if (known) ca_set_fmpq(out, exact, c);
        fmpq_clear(exact);
        return known;
    }
    case XR_E_PERCENT:
        if (!build(math, out, node->args[0])) return false;
        ca_div_si(out, out, 100, c);
        return true;
    case XR_E_DEGREES:
        return build_degrees(math, out, node);
    default:
        return false;
    }
}

// The degree of the field that the expression's roots and angles ask for, at most (DEGREE + 1
// stands for more); `others` counts logarithms, exponentials and the like.
static int64_t degree_of(XrMath *math, const XrExpr *node, int *others) {
    int64_t degree = 1;
    fmpq_t value;
    fmpq_init(value);
    bool angle = node->op == XR_E_FUNCTION && node->id <= XR_FN_CSC;
    if (node->op == XR_E_ROOT || node->op == XR_E_POW) {
        bool known = xr_number_exact(node->args[1], NULL, value, &math->work) == XR_EXACT_YES &&
                     !(node->op == XR_E_ROOT && fmpq_is_zero(value));
        if (known && node->op == XR_E_ROOT) fmpq_inv(value, value);
        if (!known)
            ++*others;
        else
            degree = fmpz_cmp_si(fmpq_denref(value), DEGREE) > 0 ? DEGREE + 1
                                                                 : fmpz_get_si(fmpq_denref(value));
    } else if (angle) {
        // The largest denominator stands for the order of the root of unity.
        degree = 2 * largest_denominator(node->args[0]);
    } else if (node->op == XR_E_FUNCTION) {
        ++*others;
    }
    fmpq_clear(value);
    for (uint32_t i = 0; i < node->count && degree <= DEGREE; i++)
        degree *= degree_of(math, node->args[i], others);
    return degree > DEGREE ? DEGREE + 1 : degree;
}

XrTruth xr_number_calcium(XrMath *math, const XrExpr *a, const XrExpr *b) {
    if (xr_expr_size(a) + xr_expr_size(b) > NODES) return XR_UNDECIDED;
    int others = 0;
    int64_t degree = degree_of(math, a, &others);
    degree *= degree_of(math, b, &others);
    if (degree > DEGREE * DEGREE / 8 || others > OTHERS) return XR_UNDECIDED;
    make_fields(math);
    ca_t x, y;
    ca_init(x, math->fields);
    ca_init(y, math->fields);
    truth_t truth = T_UNKNOWN;
    if (build(math, x, a) && build(math, y, b) && xr_work(&math->work, 200))
        truth = ca_check_equal(x, y, math->fields);
    ca_clear(x, math->fields);
    ca_clear(y, math->fields);
    return truth == T_TRUE ? XR_TRUE : truth == T_FALSE ? XR_FALSE : XR_UNDECIDED;
}
