// Sets of real numbers in any notation (intervals, unions, inequalities in one variable, builders)
// as sorted pieces, and their equality.
#include "shared/verify/expr_rational.h"
#include "shared/verify/math_scalar.h"

#include <string.h>

enum { PIECES = 40 };

typedef struct Piece {
    XrExpr *low, *high; // NULL: unbounded
    bool low_open, high_open;
} Piece;

typedef struct RealSet {
    Piece pieces[PIECES];
    int count;
    int symbol; // the variable that inequalities spoke of, or -1
} RealSet;

static bool convert(XrMath *math, XrExpr *node, RealSet *out);

bool xr_is_real_set(const XrExpr *node) {
    switch (node->op) {
    case XR_E_INTERVAL:
    case XR_E_UNION:
    case XR_E_INTERSECTION:
    case XR_E_DIFFERENCE:
    case XR_E_BUILDER:
    case XR_E_NAMED_SET:
    case XR_E_EMPTY_SET:
    case XR_E_OR:
    case XR_E_AND:
        return true;
    case XR_E_RELATION:
        for (uint32_t i = 0; i + 1 < node->count; i++) {
            XrRelation r = (XrRelation)node->relations[i];
            if (r == XR_R_IN)
                return xr_is_real_set(node->args[1]) || node->args[1]->op == XR_E_BRACKETS ||
                       node->args[1]->op == XR_E_TUPLE;
            if (r == XR_R_EQUAL && node->count == 2 && node->args[0]->op == XR_E_SYMBOL)
                return xr_is_real_set(node->args[1]) && node->args[1]->op != XR_E_RELATION;
            if (!(r >= XR_R_NOT_EQUAL && r <= XR_R_GREATER_EQUAL) && r != XR_R_NOT_IN) return false;
        }
        return true;
    default:
        return false;
    }
}

static bool push(RealSet *set, Piece piece) {
    if (set->count == PIECES) return false;
    set->pieces[set->count++] = piece;
    return true;
}

// Infinite ends become NULL; `sign` says which of the two is allowed there.
static bool end_of(XrExpr *node, int sign, XrExpr **end) {
    *end = node;
    bool minus = node->op == XR_E_NEG;
    const XrExpr *inner = minus ? node->args[0] : node;
    if (inner->op == XR_E_INFINITY) {
        *end = NULL;
        return minus == (sign < 0);
    }
    return xr_expr_is_scalar(node) && !xr_expr_has_symbols(node);
}

static bool order(XrMath *math, const XrExpr *a, const XrExpr *b, int *out) {
    if (a == b) {
        *out = 0;
        return true;
    }
    return xr_number_order(math, a, b, out);
}

// Whether the piece holds no number. false through `good` when that cannot be told.
static bool is_empty(XrMath *math, const Piece *p, bool *good) {
    if (!p->low || !p->high) return false;
    int o;
    if (!order(math, p->low, p->high, &o)) {
        *good = false;
        return false;
    }
    return o > 0 || (o == 0 && (p->low_open || p->high_open));
}

// -1, 0, 1: the place where the first piece begins against where the second does.
static bool compare_lows(XrMath *math, const Piece *a, const Piece *b, int *out) {
    if (!a->low || !b->low) {
        *out = (a->low != NULL) - (b->low != NULL);
        return true;
    }
    if (!order(math, a->low, b->low, out)) return false;
    if (*out == 0) *out = (int)a->low_open - (int)b->low_open;
    return true;
}

// Sorts the pieces, drops empty ones and joins those that touch.
static bool normalise(XrMath *math, RealSet *set) {
    bool good = true;
    int kept = 0;
    for (int i = 0; i < set->count; i++)
        if (!is_empty(math, &set->pieces[i], &good)) set->pieces[kept++] = set->pieces[i];
    set->count = kept;
    for (int i = 1; i < kept && good; i++)
        for (int j = i; j > 0; j--) {
            int o;
            if (!compare_lows(math, &set->pieces[j - 1], &set->pieces[j], &o)) return false;
            if (o <= 0) break;
            Piece piece = set->pieces[j];
            set->pieces[j] = set->pieces[j - 1];
            set->pieces[j - 1] = piece;
        }
    if (!good) return false;
    int last = 0;
    for (int i = 1; i < kept; i++) {
        Piece *a = &set->pieces[last], *b = &set->pieces[i];
        int gap = -1, o;
        if (a->high && b->low && !order(math, b->low, a->high, &gap)) return false;
        if (gap > 0 || (gap == 0 && a->high_open && b->low_open)) {
            set->pieces[++last] = *b;
            continue;
        }
        if (!a->high) continue;
        if (!b->high) {
            a->high = NULL;
            continue;
        }
        if (!order(math, b->high, a->high, &o)) return false;
        if (o > 0) {
            a->high = b->high;
            a->high_open = b->high_open;
        } else if (o == 0) {
            a->high_open = a->high_open && b->high_open;
        }
    }
    set->count = kept ? last + 1 : 0;
    return true;
}

// The complement of a normalised set.
static bool complement(RealSet *set) {
    RealSet out = {.symbol = set->symbol};
    Piece gap = {.low = NULL};
    bool open_end = true;
    for (int i = 0; i < set->count; i++) {
        const Piece *p = &set->pieces[i];
        if (p->low) {
            gap.high = p->low;
            gap.high_open = !p->low_open;
            if (!push(&out, gap)) return false;
        }
        gap = (Piece){.low = p->high, .low_open = !p->high_open};
        if (!p->high) open_end = false;
    }
    if (open_end && !push(&out, gap)) return false;
    *set = out;
    return true;
}

static bool same_symbol(RealSet *a, const RealSet *b) {
    if (a->symbol < 0) a->symbol = b->symbol;
    return b->symbol < 0 || a->symbol == b->symbol;
}

static bool unite(XrMath *math, RealSet *a, const RealSet *b) {
    if (!same_symbol(a, b)) return false;
    for (int i = 0; i < b->count; i++)
        if (!push(a, b->pieces[i])) return false;
    return normalise(math, a);
}

// a ∩ b is the complement of the union of the complements.
static bool intersect(XrMath *math, RealSet *a, RealSet *b) {
    return normalise(math, a) && normalise(math, b) && complement(a) && complement(b) &&
           unite(math, a, b) && complement(a);
}

static bool point_set(RealSet *out, XrExpr *at) {
    if (!xr_expr_is_scalar(at) || xr_expr_has_symbols(at)) return false;
    return push(out, (Piece){.low = at, .high = at});
}

static XrRelation mirrored(XrRelation r) {
    switch (r) {
    case XR_R_LESS:
        return XR_R_GREATER;
    case XR_R_LESS_EQUAL:
        return XR_R_GREATER_EQUAL;
    case XR_R_GREATER:
        return XR_R_LESS;
    case XR_R_GREATER_EQUAL:
        return XR_R_LESS_EQUAL;
    default:
        return r;
    }
}

// {x : x r at}
static bool ray(RealSet *out, XrRelation r, XrExpr *at) {
    switch (r) {
    case XR_R_LESS:
        return push(out, (Piece){.high = at, .high_open = true});
    case XR_R_LESS_EQUAL:
        return push(out, (Piece){.high = at});
    case XR_R_GREATER:
        return push(out, (Piece){.low = at, .low_open = true});
    case XR_R_GREATER_EQUAL:
        return push(out, (Piece){.low = at});
    case XR_R_EQUAL:
        return push(out, (Piece){.low = at, .high = at});
    case XR_R_NOT_EQUAL:
        return push(out, (Piece){.high = at, .high_open = true}) &&
               push(out, (Piece){.low = at, .low_open = true});
    default:
        return false;
    }
}

static int only_symbol(const XrExpr *a, const XrExpr *b) {
    bool used[XR_EXPR_SYMBOLS] = {false};
    xr_expr_symbols(a, used);
    xr_expr_symbols(b, used);
    int found = -1;
    for (int i = 0; i < XR_EXPR_SYMBOLS; i++) {
        if (!used[i]) continue;
        if (found >= 0) return -1;
        found = i;
    }
    return found;
}

// difference r 0 where the difference is c0 + c1 x.
static bool solve_linear(XrMath *math, RealSet *out, XrExpr *difference, XrRelation r, int symbol) {
    XrExprs *e = &math->exprs;
    XrExpr *zero = xr_expr_number(e, 0), *one = xr_expr_number(e, 1);
    XrExpr *c0 = xr_expr_substitute(e, difference, symbol, zero);
    XrExpr *at_one = xr_expr_substitute(e, difference, symbol, one);
    XrExpr *c1 = xr_expr_2(e, XR_E_ADD, at_one, xr_expr_1(e, XR_E_NEG, c0));
    XrExpr *x = xr_expr_new(e, XR_E_SYMBOL, 0);
    x->id = (uint16_t)symbol;
    XrExpr *line = xr_expr_2(e, XR_E_ADD, c0, xr_expr_2(e, XR_E_MUL, c1, x));
    int sign;
    if (xr_expr_identical(math, difference, line) != XR_TRUE) return false;
    if (!xr_number_order(math, c1, zero, &sign) || sign == 0) return false;
    XrExpr *root = xr_expr_1(e, XR_E_NEG, xr_expr_2(e, XR_E_DIV, c0, c1));
    return ray(out, sign > 0 ? r : mirrored(r), root);
}

// difference r 0 where the difference is a quadratic polynomial with rational coefficients.
static bool solve_quadratic(XrMath *math, RealSet *out, XrExpr *difference, XrRelation r,
                            int symbol) {
    XrExprs *e = &math->exprs;
    XrExpr *c[3];
    fmpq coefficients[3];
    for (int i = 0; i < 3; i++) fmpq_init(coefficients + i);
    int degree = xr_rational_coefficients(math, difference, symbol, coefficients, 2);
    for (int i = 0; i < 3; i++) {
        c[i] = xr_expr_value(e);
        fmpq_set(c[i]->value, coefficients + i);
        fmpq_clear(coefficients + i);
    }
    if (degree != 2 || r == XR_R_EQUAL) return false;
    if (fmpq_sgn(c[2]->value) < 0) {
        for (int i = 0; i < 3; i++) fmpq_neg(c[i]->value, c[i]->value);
        r = mirrored(r);
    }
    XrExpr *discriminant = xr_expr_value(e), *product = xr_expr_value(e);
    fmpq_mul(discriminant->value, c[1]->value, c[1]->value);
    fmpq_mul(product->value, c[0]->value, c[2]->value);
    fmpq_mul_si(product->value, product->value, 4);
    fmpq_sub(discriminant->value, discriminant->value, product->value);
    if (fmpq_sgn(discriminant->value) <= 0) return false;
    XrExpr *half = xr_expr_2(e, XR_E_ROOT, discriminant, xr_expr_number(e, 2));
    XrExpr *minus_b = xr_expr_1(e, XR_E_NEG, c[1]), *bottom = xr_expr_value(e);
    fmpq_mul_si(bottom->value, c[2]->value, 2);
    XrExpr *low = xr_expr_2(e, XR_E_ADD, minus_b, xr_expr_1(e, XR_E_NEG, half));
    XrExpr *high = xr_expr_2(e, XR_E_ADD, minus_b, half);
    low = xr_expr_2(e, XR_E_DIV, low, bottom);
    high = xr_expr_2(e, XR_E_DIV, high, bottom);
    bool strict = r == XR_R_LESS || r == XR_R_GREATER || r == XR_R_NOT_EQUAL;
    Piece between = {.low = low, .high = high, .low_open = strict, .high_open = strict};
    if (r == XR_R_LESS || r == XR_R_LESS_EQUAL) return push(out, between);
    Piece left = {.high = low, .high_open = strict}, right = {.low = high, .low_open = strict};
    return push(out, left) && push(out, right) && (r != XR_R_NOT_EQUAL || push(out, between));
}

static bool pair(XrMath *math, RealSet *out, XrExpr *left, XrRelation r, XrExpr *right);

// |u| < c is -c < u < c; |u| > c is u < -c or u > c.
static bool solve_absolute(XrMath *math, RealSet *out, XrExpr *inside, XrRelation r,
                           XrExpr *bound) {
    XrExpr *minus = xr_expr_1(&math->exprs, XR_E_NEG, bound);
    RealSet other = {.symbol = -1};
    if (!pair(math, out, inside, r, bound) || !pair(math, &other, inside, mirrored(r), minus))
        return false;
    if (r == XR_R_LESS || r == XR_R_LESS_EQUAL) return intersect(math, out, &other);
    return (r == XR_R_GREATER || r == XR_R_GREATER_EQUAL) && unite(math, out, &other);
}

static bool pair(XrMath *math, RealSet *out, XrExpr *left, XrRelation r, XrExpr *right) {
    if (!xr_expr_is_scalar(left) && left->op != XR_E_INFINITY && left->op != XR_E_NEG) return false;
    int symbol = only_symbol(left, right);
    if (symbol < 0) return false;
    out->symbol = symbol;
    XrExpr *end;
    if (left->op == XR_E_SYMBOL && !xr_expr_has_symbols(right)) {
        bool below = r == XR_R_LESS || r == XR_R_LESS_EQUAL;
        return end_of(right, below ? 1 : -1, &end) &&
               (end ? ray(out, r, end) : push(out, (Piece){0}));
    }
    if (right->op == XR_E_SYMBOL && !xr_expr_has_symbols(left))
        return pair(math, out, right, mirrored(r), left);
    bool absolute =
        left->op == XR_E_FUNCTION && left->id == XR_FN_ABS && !xr_expr_has_symbols(right);
    if (absolute) return solve_absolute(math, out, left->args[0], r, right);
    if (!xr_expr_is_scalar(left) || !xr_expr_is_scalar(right)) return false;
    XrExpr *difference =
        xr_expr_2(&math->exprs, XR_E_ADD, left, xr_expr_1(&math->exprs, XR_E_NEG, right));
    return solve_linear(math, out, difference, r, symbol) ||
           solve_quadratic(math, out, difference, r, symbol);
}

static bool convert_relation(XrMath *math, XrExpr *node, RealSet *out) {
    for (uint32_t i = 0; i + 1 < node->count; i++) {
        RealSet part = {.symbol = -1};
        XrRelation r = (XrRelation)node->relations[i];
        if (r == XR_R_IN || r == XR_R_NOT_IN ||
            (r == XR_R_EQUAL && xr_is_real_set(node->args[i + 1]))) {
            if (node->args[i]->op != XR_E_SYMBOL || !convert(math, node->args[i + 1], &part))
                return false;
            part.symbol = node->args[i]->id;
            if (r == XR_R_NOT_IN && !complement(&part)) return false;
        } else if (!pair(math, &part, node->args[i], r, node->args[i + 1])) {
            return false;
        }
        if (!normalise(math, &part)) return false;
        if (i == 0)
            *out = part;
        else if (!same_symbol(out, &part) || !intersect(math, out, &part))
            return false;
    }
    return true;
}

static bool convert_several(XrMath *math, XrExpr *node, RealSet *out) {
    bool meet = node->op == XR_E_AND || node->op == XR_E_INTERSECTION;
    for (uint32_t i = 0; i < node->count; i++) {
        RealSet part = {.symbol = -1};
        if (!convert(math, node->args[i], &part)) return false;
        if (i == 0)
            *out = part;
        else if (!same_symbol(out, &part) ||
                 !(meet ? intersect(math, out, &part) : unite(math, out, &part)))
            return false;
    }
    return true;
}

static bool convert_interval(XrMath *math, XrExpr *node, RealSet *out) {
    Piece p = {.low_open = node->flags & XR_F_LEFT_OPEN,
               .high_open = node->flags & XR_F_RIGHT_OPEN};
    if (node->op == XR_E_TUPLE) p.low_open = p.high_open = true;
    if (node->count != 2 || !end_of(node->args[0], -1, &p.low) ||
        !end_of(node->args[1], 1, &p.high))
        return false;
    return push(out, p) && normalise(math, out);
}

static bool convert_builder(XrMath *math, XrExpr *node, RealSet *out) {
    XrExpr *what = node->args[0];
    bool member = what->op == XR_E_RELATION && what->count == 2 && what->relations[0] == XR_R_IN &&
                  what->args[1]->op == XR_E_NAMED_SET && what->args[1]->id == 'R';
    if (member) what = what->args[0];
    if (what->op != XR_E_SYMBOL || !convert(math, node->args[1], out)) return false;
    out->symbol = -1; // the variable is bound
    return true;
}

static bool convert(XrMath *math, XrExpr *node, RealSet *out) {
    if (xr_math_late(math)) return false;
    switch (node->op) {
    case XR_E_INTERVAL:
    case XR_E_TUPLE:
    case XR_E_BRACKETS:
        return convert_interval(math, node, out);
    case XR_E_EMPTY_SET:
        return true;
    case XR_E_SET:
        for (uint32_t i = 0; i < node->count; i++)
            if (!point_set(out, node->args[i])) return false;
        return normalise(math, out);
    case XR_E_NAMED_SET: {
        Piece p = {.low_open = true};
        if (node->id != 'R') return false;
        if (node->flags & XR_F_LEFT_OPEN) p.low = xr_expr_number(&math->exprs, 0);
        return push(out, p);
    }
    case XR_E_UNION:
    case XR_E_OR:
    case XR_E_AND:
    case XR_E_INTERSECTION:
        return convert_several(math, node, out);
    case XR_E_DIFFERENCE: {
        RealSet other = {.symbol = -1};
        return convert(math, node->args[0], out) && convert(math, node->args[1], &other) &&
               normalise(math, &other) && complement(&other) && intersect(math, out, &other);
    }
    case XR_E_BUILDER:
        return convert_builder(math, node, out);
    case XR_E_RELATION:
        return convert_relation(math, node, out);
    default:
        return point_set(out, node);
    }
}

static XrTruth ends_same(XrMath *math, XrExpr *gold, XrExpr *answer) {
    if (!gold || !answer) return gold == answer ? XR_TRUE : XR_FALSE;
    return xr_scalar_same(math, gold, answer);
}

XrTruth xr_set_same(XrMath *math, XrExpr *gold, XrExpr *answer) {
    RealSet *g = xr_exprs_alloc(&math->exprs, sizeof *g),
            *a = xr_exprs_alloc(&math->exprs, sizeof *a);
    memset(g, 0, sizeof *g);
    memset(a, 0, sizeof *a);
    g->symbol = a->symbol = -1;
    if (!convert(math, gold, g) || !convert(math, answer, a)) return XR_UNDECIDED;
    if (!normalise(math, g) || !normalise(math, a)) return XR_UNDECIDED;
    xr_math_explain(math, "sets of %d and %d pieces", g->count, a->count);
    if (!same_symbol(g, a) || g->count != a->count) return XR_FALSE;
    for (int i = 0; i < g->count; i++) {
        const Piece *p = &g->pieces[i], *q = &a->pieces[i];
        if (p->low && q->low && p->low_open != q->low_open) return XR_FALSE;
        if (p->high && q->high && p->high_open != q->high_open) return XR_FALSE;
        XrTruth low = ends_same(math, p->low, q->low);
        if (low != XR_TRUE) return low;
        XrTruth high = ends_same(math, p->high, q->high);
        if (high != XR_TRUE) return high;
    }
    return XR_TRUE;
}
