#include "shared/verify/expr_rational.h"

#include <flint/fmpz_mpoly.h>
#include <string.h>

enum { VARIABLES = 12, TERMS = 600, PRODUCT = 40000, POWER = 100, COEFFICIENT_BITS = 20000 };

typedef struct Ring {
    fmpz_mpoly_ctx_t ctx;
    int index[XR_EXPR_SYMBOLS]; // of a symbol among the variables, or -1
    const char *names[VARIABLES];
    int count;
    XrWork *work;
} Ring;

// numerator / denominator, without cancelling.
typedef struct Fraction {
    fmpz_mpoly_t top, bottom;
} Fraction;

static void fraction_init(Fraction *f, const Ring *r) {
    fmpz_mpoly_init(f->top, r->ctx);
    fmpz_mpoly_init(f->bottom, r->ctx);
    fmpz_mpoly_one(f->bottom, r->ctx);
}

static void fraction_clear(Fraction *f, const Ring *r) {
    fmpz_mpoly_clear(f->top, r->ctx);
    fmpz_mpoly_clear(f->bottom, r->ctx);
}

static bool multiply(fmpz_mpoly_t out, const fmpz_mpoly_t a, const fmpz_mpoly_t b, const Ring *r) {
    slong terms = fmpz_mpoly_length(a, r->ctx) * fmpz_mpoly_length(b, r->ctx);
    if (terms > PRODUCT || !xr_work(r->work, 1 + terms / 16)) return false;
    fmpz_mpoly_mul(out, a, b, r->ctx);
    return fmpz_mpoly_length(out, r->ctx) <= TERMS &&
           FLINT_ABS(fmpz_mpoly_max_bits(out)) <= COEFFICIENT_BITS;
}

static bool add(Fraction *out, const Fraction *b, const Ring *r) {
    if (fmpz_mpoly_equal(out->bottom, b->bottom, r->ctx)) {
        fmpz_mpoly_add(out->top, out->top, b->top, r->ctx);
        return fmpz_mpoly_length(out->top, r->ctx) <= TERMS;
    }
    fmpz_mpoly_t x;
    fmpz_mpoly_init(x, r->ctx);
    bool good = multiply(x, out->bottom, b->top, r) && multiply(out->top, out->top, b->bottom, r) &&
                multiply(out->bottom, out->bottom, b->bottom, r);
    if (good) fmpz_mpoly_add(out->top, out->top, x, r->ctx);
    fmpz_mpoly_clear(x, r->ctx);
    return good;
}

static bool times(Fraction *out, const Fraction *b, const Ring *r) {
    return multiply(out->top, out->top, b->top, r) &&
           multiply(out->bottom, out->bottom, b->bottom, r);
}

static bool convert(Fraction *out, const XrExpr *node, const Ring *r);

static bool convert_terms(Fraction *out, const XrExpr *node, const Ring *r) {
    bool sum = node->op == XR_E_ADD, good = true;
    if (!sum) fmpz_mpoly_one(out->top, r->ctx);
    Fraction x;
    for (uint32_t i = 0; i < node->count && good; i++) {
        fraction_init(&x, r);
        good = convert(&x, node->args[i], r) && (sum ? add(out, &x, r) : times(out, &x, r));
        fraction_clear(&x, r);
    }
    return good;
}

static bool convert_quotient(Fraction *out, const XrExpr *node, const Ring *r) {
    Fraction x;
    fraction_init(&x, r);
    bool good = convert(out, node->args[0], r) && convert(&x, node->args[1], r) &&
                !fmpz_mpoly_is_zero(x.top, r->ctx);
    fmpz_mpoly_swap(x.top, x.bottom, r->ctx);
    good = good && times(out, &x, r);
    fraction_clear(&x, r);
    return good;
}

static bool convert_power(Fraction *out, const XrExpr *node, const Ring *r) {
    slong power;
    if (!xr_number_small(node->args[1], NULL, &power, r->work) || power > POWER || power < -POWER)
        return false;
    Fraction x;
    fraction_init(&x, r);
    bool good = convert(&x, node->args[0], r);
    if (power < 0) {
        good = good && !fmpz_mpoly_is_zero(x.top, r->ctx);
        fmpz_mpoly_swap(x.top, x.bottom, r->ctx);
        power = -power;
    }
    fmpz_mpoly_one(out->top, r->ctx);
    for (slong bit = 64; bit > 0 && good; bit /= 2) {
        good = times(out, out, r);
        if (good && (power & bit)) good = times(out, &x, r);
    }
    fraction_clear(&x, r);
    return good;
}

static bool convert(Fraction *out, const XrExpr *node, const Ring *r) {
    if (!xr_work(r->work, 1)) return false;
    switch (node->op) {
    case XR_E_NUMBER:
    case XR_E_BASED:
        if (fmpz_bits(fmpq_numref(node->value)) > COEFFICIENT_BITS) return false;
        fmpz_mpoly_set_fmpz(out->top, fmpq_numref(node->value), r->ctx);
        fmpz_mpoly_set_fmpz(out->bottom, fmpq_denref(node->value), r->ctx);
        return true;
    case XR_E_SYMBOL:
        fmpz_mpoly_gen(out->top, r->index[node->id], r->ctx);
        return true;
    case XR_E_ADD:
    case XR_E_MUL:
        return convert_terms(out, node, r);
    case XR_E_NEG:
        if (!convert(out, node->args[0], r)) return false;
        fmpz_mpoly_neg(out->top, out->top, r->ctx);
        return true;
    case XR_E_RATIO:
    case XR_E_DIV:
        return convert_quotient(out, node, r);
    case XR_E_POW:
        return convert_power(out, node, r);
    case XR_E_PERCENT:
        if (!convert(out, node->args[0], r)) return false;
        fmpz_mpoly_scalar_mul_ui(out->bottom, out->bottom, 100, r->ctx);
        return true;
    default: {
        fmpq_t exact;
        fmpq_init(exact);
        bool known = xr_number_exact(node, NULL, exact, r->work) == XR_EXACT_YES &&
                     fmpz_bits(fmpq_numref(exact)) < COEFFICIENT_BITS;
        if (known) {
            fmpz_mpoly_set_fmpz(out->top, fmpq_numref(exact), r->ctx);
            fmpz_mpoly_set_fmpz(out->bottom, fmpq_denref(exact), r->ctx);
        }
        fmpq_clear(exact);
        return known;
    }
    }
}

bool xr_expr_is_rational(const XrExpr *node, XrWork *work) {
    switch (node->op) {
    case XR_E_NUMBER:
    case XR_E_BASED:
    case XR_E_SYMBOL:
        return true;
    case XR_E_POW: {
        slong power;
        return xr_expr_is_rational(node->args[0], work) &&
               xr_number_small(node->args[1], NULL, &power, work);
    }
    case XR_E_RATIO:
        if (node->count != 2) return false;
        break;
    case XR_E_ADD:
    case XR_E_MUL:
    case XR_E_NEG:
    case XR_E_DIV:
    case XR_E_PERCENT:
        break;
    default: {
        if (xr_expr_has_symbols(node)) return false;
        fmpq_t exact;
        fmpq_init(exact);
        bool known = xr_number_exact(node, NULL, exact, work) == XR_EXACT_YES;
        fmpq_clear(exact);
        return known;
    }
    }
    for (uint32_t i = 0; i < node->count; i++)
        if (!xr_expr_is_rational(node->args[i], work)) return false;
    return true;
}

// The ring of the variables of both expressions; false when there are too many.
static bool ring_init(Ring *r, XrMath *math, const XrExpr *a, const XrExpr *b) {
    bool used[XR_EXPR_SYMBOLS] = {false};
    xr_expr_symbols(a, used);
    if (b) xr_expr_symbols(b, used);
    r->count = 0;
    r->names[0] = "x"; // a ring has one variable at least
    r->work = &math->work;
    for (int i = 0; i < XR_EXPR_SYMBOLS; i++) {
        r->index[i] = -1;
        if (!used[i]) continue;
        if (r->count == VARIABLES) return false;
        r->names[r->count] = math->exprs.symbols[i];
        r->index[i] = r->count++;
    }
    // In the order of names, so that keys do not depend on which came first.
    for (int i = 1; i < r->count; i++)
        for (int j = i; j > 0 && strcmp(r->names[j - 1], r->names[j]) > 0; j--) {
            const char *name = r->names[j];
            r->names[j] = r->names[j - 1];
            r->names[j - 1] = name;
            for (int s = 0; s < XR_EXPR_SYMBOLS; s++) {
                if (r->index[s] == j)
                    r->index[s] = j - 1;
                else if (r->index[s] == j - 1)
                    r->index[s] = j;
            }
        }
    fmpz_mpoly_ctx_init(r->ctx, r->count ? r->count : 1, ORD_DEGLEX);
    return true;
}

// Brings both to cross products x = a.top·b.bottom, y = b.top·a.bottom.
static bool cross(Ring *r, const XrExpr *a, const XrExpr *b, fmpz_mpoly_t x, fmpz_mpoly_t y) {
    Fraction f, g;
    fraction_init(&f, r);
    fraction_init(&g, r);
    bool good = convert(&f, a, r) && convert(&g, b, r) && multiply(x, f.top, g.bottom, r) &&
                multiply(y, g.top, f.bottom, r);
    fraction_clear(&f, r);
    fraction_clear(&g, r);
    return good;
}

XrTruth xr_rational_equal(XrMath *math, const XrExpr *a, const XrExpr *b) {
    Ring r;
    if (!ring_init(&r, math, a, b)) return XR_UNDECIDED;
    fmpz_mpoly_t x, y;
    fmpz_mpoly_init(x, r.ctx);
    fmpz_mpoly_init(y, r.ctx);
    XrTruth truth = XR_UNDECIDED;
    if (cross(&r, a, b, x, y)) truth = fmpz_mpoly_equal(x, y, r.ctx) ? XR_TRUE : XR_FALSE;
    fmpz_mpoly_clear(x, r.ctx);
    fmpz_mpoly_clear(y, r.ctx);
    fmpz_mpoly_ctx_clear(r.ctx);
    return truth;
}

XrTruth xr_rational_proportional(XrMath *math, const XrExpr *a, const XrExpr *b, int *sign) {
    Ring r;
    if (!ring_init(&r, math, a, b)) return XR_UNDECIDED;
    fmpz_mpoly_t x, y;
    fmpz_t c, d;
    fmpz_init(c);
    fmpz_init(d);
    fmpz_mpoly_init(x, r.ctx);
    fmpz_mpoly_init(y, r.ctx);
    XrTruth truth = XR_UNDECIDED;
    if (cross(&r, a, b, x, y)) {
        truth = XR_FALSE;
        if (!fmpz_mpoly_is_zero(x, r.ctx) && !fmpz_mpoly_is_zero(y, r.ctx)) {
            fmpz_mpoly_get_term_coeff_fmpz(c, x, 0, r.ctx);
            fmpz_mpoly_get_term_coeff_fmpz(d, y, 0, r.ctx);
            fmpz_mpoly_scalar_mul_fmpz(x, x, d, r.ctx);
            fmpz_mpoly_scalar_mul_fmpz(y, y, c, r.ctx);
            if (fmpz_mpoly_equal(x, y, r.ctx)) truth = XR_TRUE;
            if (sign) *sign = fmpz_sgn(c) * fmpz_sgn(d);
        }
    }
    fmpz_mpoly_clear(x, r.ctx);
    fmpz_mpoly_clear(y, r.ctx);
    fmpz_clear(c);
    fmpz_clear(d);
    fmpz_mpoly_ctx_clear(r.ctx);
    return truth;
}

// Divides out what both have in common and makes the leading coefficient below positive.
static void normalise(Fraction *f, const Ring *r) {
    fmpz_mpoly_t g;
    fmpz_mpoly_init(g, r->ctx);
    if (fmpz_mpoly_gcd(g, f->top, f->bottom, r->ctx) && !fmpz_mpoly_is_zero(g, r->ctx)) {
        fmpz_mpoly_divides(f->top, f->top, g, r->ctx);
        fmpz_mpoly_divides(f->bottom, f->bottom, g, r->ctx);
    }
    fmpz_t c;
    fmpz_init(c);
    if (!fmpz_mpoly_is_zero(f->bottom, r->ctx))
        fmpz_mpoly_get_term_coeff_fmpz(c, f->bottom, 0, r->ctx);
    if (fmpz_sgn(c) < 0) {
        fmpz_mpoly_neg(f->top, f->top, r->ctx);
        fmpz_mpoly_neg(f->bottom, f->bottom, r->ctx);
    }
    fmpz_clear(c);
    fmpz_mpoly_clear(g, r->ctx);
}

bool xr_rational_key(XrMath *math, const XrExpr *node, XrBuffer *out) {
    Ring r;
    if (!xr_expr_is_rational(node, &math->work) || !ring_init(&r, math, node, NULL)) return false;
    Fraction f;
    fraction_init(&f, &r);
    bool good = convert(&f, node, &r) && fmpz_mpoly_length(f.top, r.ctx) < 60 &&
                fmpz_mpoly_length(f.bottom, r.ctx) < 60;
    if (good) {
        normalise(&f, &r);
        char *top = fmpz_mpoly_get_str_pretty(f.top, r.names, r.ctx);
        char *bottom = fmpz_mpoly_get_str_pretty(f.bottom, r.names, r.ctx);
        xr_buffer_text(out, top);
        if (strcmp(bottom, "1") != 0) xr_buffer_format(out, "/(%s)", bottom);
        flint_free(top);
        flint_free(bottom);
    }
    fraction_clear(&f, &r);
    fmpz_mpoly_ctx_clear(r.ctx);
    return good;
}

int xr_rational_coefficients(XrMath *math, const XrExpr *node, int symbol, fmpq *out, int most) {
    Ring r;
    if (!xr_expr_is_rational(node, &math->work) || !ring_init(&r, math, node, NULL)) return -1;
    Fraction f;
    fraction_init(&f, &r);
    int degree = -1;
    bool alone = r.count == 1 && r.index[symbol] == 0;
    if (alone && convert(&f, node, &r) && fmpz_mpoly_is_fmpz(f.bottom, r.ctx) &&
        !fmpz_mpoly_is_zero(f.bottom, r.ctx) && fmpz_mpoly_degree_si(f.top, 0, r.ctx) <= most) {
        degree = (int)fmpz_mpoly_degree_si(f.top, 0, r.ctx);
        fmpz_t c;
        fmpz_init(c);
        fmpz_mpoly_get_fmpz(c, f.bottom, r.ctx);
        for (int i = 0; i <= degree; i++) {
            ulong power = (ulong)i;
            fmpz_mpoly_get_coeff_fmpz_ui(fmpq_numref(out + i), f.top, &power, r.ctx);
            fmpz_set(fmpq_denref(out + i), c);
            fmpq_canonicalise(out + i);
        }
        fmpz_clear(c);
    }
    fraction_clear(&f, &r);
    fmpz_mpoly_ctx_clear(r.ctx);
    return degree;
}
