// Any two answers: what each is, and which rule compares them.
#include "shared/verify/math_ellipsis.h"
#include "shared/verify/math_forms.h"
#include "shared/verify/math_scalar.h"
#include "shared/verify/number_ball.h"

#include <ctype.h>
#include <math.h>
#include <string.h>

enum { MEMBERS = 600 };

static XrTruth both(XrTruth a, XrTruth b) {
    return a == XR_FALSE || b == XR_FALSE           ? XR_FALSE
           : a == XR_UNDECIDED || b == XR_UNDECIDED ? XR_UNDECIDED
                                                    : XR_TRUE;
}

static XrTruth in_order(XrMath *math, XrExpr *gold, XrExpr *answer) {
    if (gold->count != answer->count) return XR_FALSE;
    XrTruth truth = XR_TRUE;
    for (uint32_t i = 0; i < gold->count && truth != XR_FALSE; i++)
        truth = both(truth, xr_math_same(math, gold->args[i], answer->args[i]));
    return truth;
}

static bool same_symbols(const XrExpr *a, const XrExpr *b) {
    bool used[2][XR_EXPR_SYMBOLS] = {{false}};
    xr_expr_symbols(a, used[0]);
    xr_expr_symbols(b, used[1]);
    return !memcmp(used[0], used[1], sizeof used[0]);
}

// An approximate value of a member, at one fixed point of its variables, so that most pairs of
// members need no comparison; NaN where there is none.
static double fingerprint(XrMath *math, XrExpr *node, acb_srcptr values, const bool *known) {
    XrExpr *name;
    node = xr_strip_name(math, node, &name);
    if (!xr_expr_is_scalar(node) || node->op == XR_E_PERCENT || node->op == XR_E_DEGREES ||
        node->op == XR_E_BASED)
        return NAN;
    XrBallPoint point = {.values = values, .known = known, .work = &math->work};
    acb_t x;
    acb_init(x);
    double out = NAN;
    if (xr_number_ball(node, x, 64, &point) && acb_is_real(x))
        out = arf_get_d(arb_midref(acb_realref(x)), ARF_RND_NEAR);
    acb_clear(x);
    return out;
}

static double *fingerprints(XrMath *math, XrExpr *list) {
    double *out = xr_exprs_alloc(&math->exprs, sizeof(double) * (list->count + 1));
    acb_ptr values = _acb_vec_init(XR_EXPR_SYMBOLS);
    bool known[XR_EXPR_SYMBOLS];
    for (int i = 0; i < XR_EXPR_SYMBOLS; i++) {
        known[i] = true;
        acb_set_d(values + i, 1.3 + 0.37 * i);
    }
    for (uint32_t i = 0; i < list->count; i++)
        out[i] = fingerprint(math, list->args[i], values, known);
    _acb_vec_clear(values, XR_EXPR_SYMBOLS);
    return out;
}

// Whether the fingerprints leave it open that two members are the same: the rounding rules, for
// numbers, stay far within one part in fifty.
static bool may_be_same(double a, double b, bool numbers) {
    double part = numbers ? 0.02 : 1e-9;
    return isnan(a) || isnan(b) || fabs(a - b) <= part * (fabs(a) + fabs(b)) + 1e-9;
}

// Members in any order, each used once.
static XrTruth unordered(XrMath *math, XrExpr *gold, XrExpr *answer) {
    if (gold->count != answer->count) return XR_FALSE;
    if (gold->count > MEMBERS) return XR_UNDECIDED;
    bool used[MEMBERS] = {false}, many = gold->count > 8, numbers = !xr_expr_has_symbols(gold);
    bool same_variables = !many || same_symbols(gold, answer);
    double *g = many && same_variables && !math->options.relative_tolerance
                    ? fingerprints(math, gold)
                    : NULL;
    double *a = g ? fingerprints(math, answer) : NULL;
    XrTruth truth = XR_TRUE;
    for (uint32_t i = 0; i < gold->count; i++) {
        bool found = false, unsure = false;
        for (uint32_t k = 0; k < answer->count && !found; k++) {
            uint32_t j = (i + k) % answer->count;
            if (used[j] || (g && !may_be_same(g[i], a[j], numbers))) continue;
            XrTruth here = xr_math_same(math, gold->args[i], answer->args[j]);
            unsure |= here == XR_UNDECIDED;
            found = here == XR_TRUE;
            if (found) used[j] = true;
        }
        if (!found && !unsure) return XR_FALSE;
        if (!found) truth = XR_UNDECIDED;
    }
    return truth;
}

// The members of a set without those that are equal to an earlier one.
static XrExpr *distinct(XrMath *math, XrExpr *list) {
    XrExpr *out = xr_expr_new(&math->exprs, XR_E_LIST, 0);
    for (uint32_t i = 0; i < list->count; i++) {
        bool seen = false;
        for (uint32_t j = 0; j < out->count && !seen && list->count <= 60; j++) {
            const XrExpr *a = list->args[i], *b = out->args[j];
            bool numbers = xr_expr_is_scalar(a) && xr_expr_is_scalar(b);
            seen = xr_expr_same(a, b) || (numbers && xr_value_equal(math, a, b) == XR_TRUE);
        }
        if (!seen) xr_expr_push(&math->exprs, out, list->args[i]);
    }
    return out;
}

static bool is_list(const XrExpr *node) {
    return node->op == XR_E_LIST || node->op == XR_E_SET;
}

static bool is_sequence(const XrExpr *node) {
    return node->op == XR_E_TUPLE || node->op == XR_E_BRACKETS || node->op == XR_E_MATRIX;
}

// A point P(1, 2) is the tuple behind its name.
static XrExpr *without_point_name(XrMath *math, XrExpr *node) {
    if (node->op != XR_E_CALL || node->count < 2) return node;
    XrExpr *tuple = xr_expr_copy(&math->exprs, node);
    tuple->op = XR_E_TUPLE;
    tuple->id = 0;
    return tuple;
}

// The names of a list whose members are all "name = value", taken off; NULL when they are not.
static XrExpr *without_names(XrMath *math, XrExpr *list) {
    XrExpr *out = xr_expr_new(&math->exprs, XR_E_LIST, 0);
    for (uint32_t i = 0; i < list->count; i++) {
        XrExpr *name, *value = xr_strip_name(math, list->args[i], &name);
        xr_expr_push(&math->exprs, out, value);
    }
    return out;
}

static XrTruth lists_same(XrMath *math, XrExpr *gold, XrExpr *answer) {
    XrExpr *g = xr_flat_list(math, gold), *a = xr_flat_list(math, answer);
    if (math->exprs.full) return XR_UNDECIDED;
    bool sets = gold->op == XR_E_SET || answer->op == XR_E_SET;
    if (sets && g->count != a->count) {
        g = distinct(math, g);
        a = distinct(math, a);
    }
    // A gold that says one value twice ("5/2 or 2.5") says it once.
    if (a->count == 1 && g->count > 1) g = distinct(math, g);
    xr_math_explain(math, "lists of %u and %u members", g->count, a->count);
    if (xr_expr_has_op(gold, XR_E_ELLIPSIS) || xr_expr_has_op(answer, XR_E_ELLIPSIS))
        return in_order(math, g, a);
    return unordered(math, g, a);
}

// A tuple against something that is no tuple.
static XrTruth sequence_same(XrMath *math, XrExpr *gold, XrExpr *answer) {
    if (is_sequence(gold) && is_sequence(answer)) {
        bool matrices = gold->op == XR_E_MATRIX && answer->op == XR_E_MATRIX;
        if (matrices && gold->id != answer->id) return XR_FALSE;
        bool ends = (gold->op == XR_E_BRACKETS) != (answer->op == XR_E_BRACKETS) &&
                    gold->count == 2 && gold->op != XR_E_MATRIX && answer->op != XR_E_MATRIX;
        if (ends) return XR_FALSE; // closed and open interval
        bool thick = (gold->op == XR_E_MATRIX && gold->id != 1 && gold->id != gold->count) ||
                     (answer->op == XR_E_MATRIX && answer->id != 1 && answer->id != answer->count);
        if (thick && !matrices) return XR_FALSE;
        return in_order(math, gold, answer);
    }
    // [1, 2, 3] as programs write sets; with two members it would be an interval.
    if (gold->op == XR_E_SET && answer->op == XR_E_BRACKETS && answer->count > 2) {
        XrExpr *members = xr_expr_copy(&math->exprs, answer);
        members->op = XR_E_SET;
        return xr_math_same(math, gold, members);
    }
    if (answer->op == XR_E_SET || gold->op == XR_E_SET) return XR_FALSE;
    // (1, 2) against "1, 2" or "x = 1, y = 2": in that order.
    XrExpr *g = gold->op == XR_E_LIST ? xr_flat_list(math, gold) : gold;
    XrExpr *a = answer->op == XR_E_LIST ? xr_flat_list(math, answer) : answer;
    if (g->op == XR_E_LIST && a->op == XR_E_LIST) return XR_UNDECIDED;
    if (g->op == XR_E_LIST) g = without_names(math, g);
    if (a->op == XR_E_LIST) a = without_names(math, a);
    if (!(is_sequence(g) || g->op == XR_E_LIST) || !(is_sequence(a) || a->op == XR_E_LIST))
        return XR_FALSE;
    return in_order(math, g, a);
}

// Rows in brackets, [[1, 2], [3, 4]], as a matrix.
static XrExpr *as_matrix(XrMath *math, XrExpr *node) {
    if (node->op != XR_E_BRACKETS && node->op != XR_E_TUPLE) return node;
    uint32_t columns = node->count ? node->args[0]->count : 0;
    XrExpr *matrix = xr_expr_new(&math->exprs, XR_E_MATRIX, 0);
    matrix->id = (uint16_t)columns;
    for (uint32_t i = 0; i < node->count; i++) {
        const XrExpr *row = node->args[i];
        if ((row->op != XR_E_BRACKETS && row->op != XR_E_TUPLE) || row->count != columns)
            return node;
        for (uint32_t j = 0; j < columns; j++) xr_expr_push(&math->exprs, matrix, row->args[j]);
    }
    return matrix->count ? matrix : node;
}

// A number times a matrix, and sums of matrices, worked out; otherwise the node itself.
static XrExpr *matrix_value(XrMath *math, XrExpr *node) {
    XrExprs *e = &math->exprs;
    if (!xr_expr_has_op(node, XR_E_MATRIX)) return node;
    if (node->op == XR_E_NEG) {
        XrExpr *inner = matrix_value(math, node->args[0]);
        if (inner->op != XR_E_MATRIX) return node;
        XrExpr *out = xr_expr_copy(e, inner);
        for (uint32_t i = 0; i < out->count; i++)
            out->args[i] = xr_expr_1(e, XR_E_NEG, inner->args[i]);
        return out;
    }
    if (node->op == XR_E_DIV) {
        XrExpr *inner = matrix_value(math, node->args[0]);
        if (inner->op != XR_E_MATRIX || !xr_expr_is_scalar(node->args[1])) return node;
        XrExpr *out = xr_expr_copy(e, inner);
        for (uint32_t i = 0; i < out->count; i++)
            out->args[i] = xr_expr_2(e, XR_E_DIV, inner->args[i], node->args[1]);
        return out;
    }
    if (node->op != XR_E_MUL && node->op != XR_E_ADD) return node;
    XrExpr *matrix = NULL, *out = NULL;
    for (uint32_t i = 0; i < node->count; i++) {
        XrExpr *value = matrix_value(math, node->args[i]);
        if (value->op != XR_E_MATRIX) {
            if (node->op == XR_E_ADD || !xr_expr_is_scalar(value)) return node;
            continue;
        }
        if (!matrix) {
            matrix = value;
            out = xr_expr_copy(e, value);
        } else if (node->op == XR_E_ADD && value->count == matrix->count &&
                   value->id == matrix->id) {
            for (uint32_t k = 0; k < out->count; k++)
                out->args[k] = xr_expr_2(e, XR_E_ADD, out->args[k], value->args[k]);
        } else {
            return node;
        }
    }
    if (!matrix || node->op == XR_E_ADD) return matrix ? out : node;
    for (uint32_t i = 0; i < node->count; i++) {
        if (!xr_expr_is_scalar(node->args[i])) continue;
        for (uint32_t k = 0; k < out->count; k++)
            out->args[k] = xr_expr_2(e, XR_E_MUL, node->args[i], out->args[k]);
    }
    return out;
}

static XrTruth modular_same(XrMath *math, XrExpr *gold, XrExpr *answer) {
    bool two = gold->op == XR_E_MODULAR && answer->op == XR_E_MODULAR;
    if (!two) {
        XrExpr *g = gold->op == XR_E_MODULAR ? gold->args[0] : gold;
        XrExpr *a = answer->op == XR_E_MODULAR ? answer->args[0] : answer;
        return xr_math_same(math, g, a);
    }
    XrTruth moduli = xr_value_equal(math, gold->args[1], answer->args[1]);
    if (moduli != XR_TRUE) return moduli;
    XrExpr *g = xr_expr_function_2(&math->exprs, XR_FN_MOD, gold->args[0], gold->args[1]);
    XrExpr *a = xr_expr_function_2(&math->exprs, XR_FN_MOD, answer->args[0], answer->args[1]);
    return xr_value_equal(math, g, a);
}

static XrTruth times_same(XrMath *math, XrExpr *gold, XrExpr *answer) {
    if (gold->op == XR_E_TIME && answer->op == XR_E_TIME)
        return fmpq_equal(gold->value, answer->value) ? XR_TRUE : XR_FALSE;
    XrExpr *g = gold->op == XR_E_TIME && gold->count ? gold->args[0] : gold;
    XrExpr *a = answer->op == XR_E_TIME && answer->count ? answer->args[0] : answer;
    if (g->op == XR_E_TIME || a->op == XR_E_TIME) return XR_FALSE;
    return xr_math_same(math, g, a);
}

static XrTruth dates_same(const XrExpr *gold, const XrExpr *answer) {
    if (gold->op != answer->op) return XR_FALSE;
    if (fmpq_equal(gold->value, answer->value)) return XR_TRUE;
    slong g = fmpz_get_si(fmpq_numref(gold->value)), a = fmpz_get_si(fmpq_numref(answer->value));
    return g < 10000 && g == a % 10000 ? XR_TRUE : XR_FALSE;
}

// x_1 of the gold against x: numbered solutions.
static bool is_numbered(const XrMath *math, const XrExpr *gold, const XrExpr *answer) {
    const char *numbered = math->exprs.symbols[gold->id], *plain = math->exprs.symbols[answer->id];
    size_t length = strlen(plain);
    return !strncmp(numbered, plain, length) && numbered[length] == '_' &&
           isdigit((unsigned char)numbered[length + 1]);
}

// Whether the names on the left of both can stand for the same thing.
static bool names_agree(const XrMath *math, const XrExpr *gold, const XrExpr *answer) {
    if (!gold || !answer) return true;
    if (gold->op == XR_E_SYMBOL && answer->op == XR_E_SYMBOL)
        return gold->id == answer->id || is_numbered(math, gold, answer);
    if (gold->op == XR_E_CALL && answer->op == XR_E_CALL)
        return gold->id == answer->id && gold->count == answer->count;
    if (gold->op == XR_E_TUPLE && answer->op == XR_E_TUPLE) {
        if (gold->count != answer->count) return false;
        for (uint32_t i = 0; i < gold->count; i++)
            if (!names_agree(math, gold->args[i], answer->args[i])) return false;
    }
    return true;
}

// f(t) = … as f(x) = …, where the gold says f(x).
static XrExpr *rename_arguments(XrMath *math, const XrExpr *gold, const XrExpr *name,
                                XrExpr *value) {
    if (!gold || !name || gold->op != XR_E_CALL || name->op != XR_E_CALL ||
        gold->count != name->count)
        return value;
    for (uint32_t i = 0; i < gold->count; i++) {
        XrExpr *from = name->args[i], *to = gold->args[i];
        bool symbols = from->op == XR_E_SYMBOL && to->op == XR_E_SYMBOL && from->id != to->id;
        if (symbols && !xr_expr_has_symbol(value, to->id))
            value = xr_expr_substitute(&math->exprs, value, from->id, to);
    }
    return value;
}

// The gold is an equation, the answer an expression: it solves the equation for the one variable
// that it lacks, in which the equation is linear.
static XrTruth solves(XrMath *math, XrExpr *equation, XrExpr *value) {
    if (equation->count != 2 || equation->relations[0] != XR_R_EQUAL || !xr_expr_is_scalar(value) ||
        !xr_expr_is_scalar(equation->args[0]) || !xr_expr_is_scalar(equation->args[1]))
        return XR_FALSE;
    XrExprs *e = &math->exprs;
    bool used[XR_EXPR_SYMBOLS] = {false};
    xr_expr_symbols(equation, used);
    int symbol = -1;
    for (int i = 0; i < XR_EXPR_SYMBOLS; i++) {
        if (!used[i] || xr_expr_has_symbol(value, i)) continue;
        if (symbol >= 0) return XR_FALSE;
        symbol = i;
    }
    if (symbol < 0) return XR_FALSE;
    XrExpr *f =
        xr_expr_2(e, XR_E_ADD, equation->args[0], xr_expr_1(e, XR_E_NEG, equation->args[1]));
    XrExpr *at[3];
    for (int i = 0; i < 3; i++) at[i] = xr_expr_substitute(e, f, symbol, xr_expr_number(e, i));
    XrExpr *bend = xr_expr_2(e, XR_E_ADD, at[0], at[2]);
    XrExpr *middle = xr_expr_2(e, XR_E_MUL, xr_expr_number(e, 2), at[1]);
    if (xr_value_equal(math, bend, middle) != XR_TRUE) return XR_FALSE;
    if (xr_value_equal(math, at[0], at[1]) != XR_FALSE) return XR_FALSE;
    xr_math_explain(math, "does the answer solve the gold's equation?");
    return xr_value_equal(math, xr_expr_substitute(e, f, symbol, value), xr_expr_number(e, 0));
}

static XrTruth named_same(XrMath *math, XrExpr *gold, XrExpr *answer) {
    XrExpr *gold_name, *answer_name;
    XrExpr *g = xr_strip_name(math, gold, &gold_name),
           *a = xr_strip_name(math, answer, &answer_name);
    bool relations = gold->op == XR_E_RELATION && answer->op == XR_E_RELATION;
    if (g == gold && a == answer) {
        if (relations) return xr_relation_same(math, gold, answer);
        if (gold->op == XR_E_RELATION) return solves(math, gold, answer);
        return XR_FALSE; // an unsolved equation against a value
    }
    if (names_agree(math, gold_name, answer_name)) {
        a = rename_arguments(math, gold_name, answer_name, a);
        XrTruth truth = xr_math_same(math, g, a);
        if (truth != XR_FALSE || !relations) return truth;
    }
    return relations ? xr_relation_same(math, gold, answer) : XR_FALSE;
}

static XrTruth ellipsis_same(XrMath *math, XrExpr *gold, XrExpr *answer) {
    bool sequences =
        (is_list(gold) || is_sequence(gold)) && (is_list(answer) || is_sequence(answer));
    if (sequences) return in_order(math, gold, answer);
    XrExpr *name;
    gold = xr_strip_name(math, gold, &name);
    answer = xr_strip_name(math, answer, &name);
    bool values = gold->op != XR_E_RELATION && answer->op != XR_E_RELATION && !is_list(gold) &&
                  !is_list(answer) && !is_sequence(gold) && !is_sequence(answer);
    return values ? xr_ellipsis_same(math, gold, answer) : XR_FALSE;
}

static bool has(const XrExpr *a, const XrExpr *b, XrExprOp op) {
    return a->op == op || b->op == op;
}

// b < a < d < c against the list b, a, d, c.
static XrTruth chain_same(XrMath *math, const XrExpr *gold, XrExpr *answer) {
    if (gold->op != XR_E_RELATION || answer->op != XR_E_LIST || gold->count != answer->count ||
        gold->count < 3)
        return XR_FALSE;
    for (uint32_t i = 0; i < gold->count; i++) {
        if (gold->args[i]->op != XR_E_SYMBOL) return XR_FALSE;
        if (i && gold->relations[i - 1] != XR_R_LESS) return XR_FALSE;
    }
    return in_order(math, (XrExpr *)gold, answer);
}

static XrTruth set_or_parts(XrMath *math, XrExpr *gold, XrExpr *answer) {
    XrTruth truth = xr_set_same(math, gold, answer);
    if (truth != XR_UNDECIDED) return truth;
    if (gold->op == XR_E_RELATION && answer->op == XR_E_RELATION)
        return named_same(math, gold, answer);
    XrExpr *name, *g = xr_strip_name(math, gold, &name), *a = xr_strip_name(math, answer, &name);
    if (g != gold || a != answer) return xr_math_same(math, g, a);
    bool united = g->op == XR_E_UNION || a->op == XR_E_UNION; // "(0, 1) and (2, 3)" lists the parts
    if (united && (g->op == a->op || g->op == XR_E_LIST || a->op == XR_E_LIST))
        return unordered(math, g, a);
    if ((g->op == XR_E_AND || g->op == XR_E_OR) && g->op == a->op) return unordered(math, g, a);
    // Ends with variables: piece by piece.
    bool intervals = (g->op == XR_E_INTERVAL || g->op == XR_E_TUPLE || g->op == XR_E_BRACKETS) &&
                     (a->op == XR_E_INTERVAL || a->op == XR_E_TUPLE || a->op == XR_E_BRACKETS);
    if (intervals) {
        bool open[2][2];
        for (int i = 0; i < 2; i++) {
            const XrExpr *n = i ? a : g;
            open[i][0] =
                n->op == XR_E_TUPLE || (n->op == XR_E_INTERVAL && (n->flags & XR_F_LEFT_OPEN));
            open[i][1] =
                n->op == XR_E_TUPLE || (n->op == XR_E_INTERVAL && (n->flags & XR_F_RIGHT_OPEN));
        }
        if (open[0][0] != open[1][0] || open[0][1] != open[1][1]) return XR_FALSE;
        return in_order(math, g, a);
    }
    if (g->op == a->op && g->count && g->count == a->count && !is_list(g))
        return in_order(math, g, a);
    return chain_same(math, g, a);
}

static XrTruth dispatch(XrMath *math, XrExpr *gold, XrExpr *answer) {
    if (has(gold, answer, XR_E_TIME)) return times_same(math, gold, answer);
    if (has(gold, answer, XR_E_DATE)) return dates_same(gold, answer);
    if (gold->op == XR_E_FOR_ALL && answer->op == XR_E_FOR_ALL) return in_order(math, gold, answer);
    if (gold->op == XR_E_FOR_ALL) return xr_math_same(math, gold->args[1], answer);
    if (xr_is_real_set(gold) || xr_is_real_set(answer)) return set_or_parts(math, gold, answer);
    if (has(gold, answer, XR_E_RELATION) && !is_list(gold) && !is_list(answer))
        return named_same(math, gold, answer);
    if (has(gold, answer, XR_E_MODULAR)) return modular_same(math, gold, answer);
    if (gold->op == XR_E_BRACKETS && answer->op == XR_E_MATRIX) gold = as_matrix(math, gold);
    if (answer->op == XR_E_BRACKETS && gold->op == XR_E_MATRIX) answer = as_matrix(math, answer);
    if (is_sequence(gold)) answer = without_point_name(math, answer);
    if (is_sequence(answer)) gold = without_point_name(math, gold);
    if (is_sequence(gold) || is_sequence(answer)) {
        XrTruth truth = sequence_same(math, gold, answer);
        if (truth != XR_UNDECIDED) return truth;
    }
    if (is_list(gold) || is_list(answer)) return lists_same(math, gold, answer);
    if (gold->op == XR_E_CALL && gold->count == 2) {
        XrExpr *choice =
            xr_expr_function_2(&math->exprs, XR_FN_PERMUTATIONS, gold->args[0], gold->args[1]);
        if (!xr_expr_has_symbols(choice)) gold = choice;
    }
    return xr_scalar_same(math, gold, answer);
}

// {x | x = …} and {… | k ∈ Z} by what they hold; {a} as a where the other side is no set.
static XrExpr *without_braces(XrExpr *node, const XrExpr *other) {
    if (node->op == XR_E_SET && node->count == 1 && other->op != XR_E_SET &&
        other->op != XR_E_LIST && !xr_is_real_set(other))
        return node->args[0];
    if (node->op != XR_E_BUILDER) return node;
    XrExpr *what = node->args[0], *condition = node->args[1];
    if (condition->op != XR_E_RELATION || condition->count != 2) return node;
    bool member = condition->relations[0] == XR_R_IN && condition->args[1]->op == XR_E_NAMED_SET;
    if (member && what->op != XR_E_SYMBOL) return what;
    bool equation = condition->relations[0] == XR_R_EQUAL && xr_expr_same(what, condition->args[0]);
    return equation ? condition->args[1] : node;
}

XrTruth xr_math_same(XrMath *math, XrExpr *gold, XrExpr *answer) {
    if (xr_math_late(math) || math->exprs.full) return XR_UNDECIDED;
    if (xr_expr_same(gold, answer)) return XR_TRUE;
    gold = without_braces(gold, answer);
    answer = without_braces(answer, gold);
    gold = matrix_value(math, gold);
    answer = matrix_value(math, answer);
    if (xr_expr_has_op(gold, XR_E_ELLIPSIS) || xr_expr_has_op(answer, XR_E_ELLIPSIS))
        return ellipsis_same(math, gold, answer);
    bool signs = xr_expr_has_op(gold, XR_E_PLUS_MINUS) || xr_expr_has_op(answer, XR_E_PLUS_MINUS);
    if (signs) {
        XrExpr *g = xr_flat_list(math, gold), *a = xr_flat_list(math, answer);
        if (!xr_expr_has_op(g, XR_E_PLUS_MINUS) && !xr_expr_has_op(a, XR_E_PLUS_MINUS))
            return unordered(math, g, a);
        return XR_UNDECIDED;
    }
    return dispatch(math, gold, answer);
}
