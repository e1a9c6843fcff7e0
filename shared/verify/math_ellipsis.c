#include "shared/verify/math_ellipsis.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

enum { TERMS = 12 };

typedef struct Expansion {
    XrMath *math;
    int symbol; // counts the terms
    long value; // stands for it
    bool failed;
} Expansion;

static XrExpr *expand(Expansion *x, XrExpr *node);

static XrExpr *fail(Expansion *x, XrExpr *node) {
    x->failed = true;
    return node;
}

// The name of a variable as what it is called and the number or letter behind its "_": a_12, a_n.
static size_t subscript(const char *name, const char **behind) {
    const char *mark = strchr(name, '_');
    *behind = mark ? mark + 1 : name + strlen(name);
    return mark ? (size_t)(mark - name) : strlen(name);
}

static XrExpr *numbered(Expansion *x, const char *name, size_t length, long number) {
    char text[80];
    if (length > 40) length = 40;
    int written = snprintf(text, sizeof text, "%.*s_%ld", (int)length, name, number);
    return xr_expr_symbol(&x->math->exprs, text, (size_t)written);
}

// Where the three terms differ: how far `last`, at the value that stands for the counter, lies from
// `first` in steps of the distance between the first two. Must agree everywhere; -1 at first.
static bool steps_to(Expansion *x, long first, long second, long last, long *steps) {
    long step = second - first;
    if (step == 0 || (last - first) % step != 0) return false;
    long here = (last - first) / step;
    if (here < 1 || here > TERMS || (*steps >= 0 && *steps != here)) return false;
    *steps = here;
    return true;
}

static bool small_number(Expansion *x, XrExpr *node, long *out) {
    slong value;
    XrExpr *counter = xr_expr_number(&x->math->exprs, x->value);
    XrExpr *known =
        x->symbol < 0 ? node : xr_expr_substitute(&x->math->exprs, node, x->symbol, counter);
    if (!xr_number_small(known, NULL, &value, &x->math->work) || labs(value) > 1000000)
        return false;
    *out = value;
    return true;
}

static XrExpr *unify(Expansion *x, XrExpr *first, XrExpr *second, XrExpr *last, long *steps,
                     long at);

// Three variables that differ in what stands behind "_".
static XrExpr *unify_symbols(Expansion *x, XrExpr *first, XrExpr *second, XrExpr *last, long *steps,
                             long at) {
    XrExprs *e = &x->math->exprs;
    const char *names[3] = {e->symbols[first->id], e->symbols[second->id], e->symbols[last->id]};
    const char *behind[3];
    size_t length = subscript(names[0], &behind[0]);
    for (int i = 1; i < 3; i++)
        if (subscript(names[i], &behind[i]) != length || strncmp(names[i], names[0], length) != 0)
            return fail(x, first);
    bool counter = x->symbol >= 0 && !strcmp(behind[2], e->symbols[x->symbol]);
    if (!isdigit((unsigned char)behind[0][0]) || !isdigit((unsigned char)behind[1][0]) ||
        (!counter && !isdigit((unsigned char)behind[2][0])))
        return fail(x, first);
    long a = strtol(behind[0], NULL, 10), b = strtol(behind[1], NULL, 10);
    long c = counter ? x->value : strtol(behind[2], NULL, 10);
    if (!steps_to(x, a, b, c, steps)) return fail(x, first);
    return numbered(x, names[0], length, a + (b - a) * at);
}

// The three member by member; NULL, with everything as before, when that fails.
static XrExpr *unify_members(Expansion *x, XrExpr *first, XrExpr *second, XrExpr *last, long *steps,
                             long at) {
    bool alike = first->op == second->op && first->op == last->op &&
                 first->count == second->count && first->count == last->count &&
                 first->id == second->id && first->id == last->id && first->count;
    if (!alike) return NULL;
    long before = *steps;
    XrExpr *copy = xr_expr_copy(&x->math->exprs, first);
    for (uint32_t i = 0; i < copy->count && !x->failed; i++)
        copy->args[i] = unify(x, first->args[i], second->args[i], last->args[i], steps, at);
    if (!x->failed) return copy;
    x->failed = false;
    *steps = before;
    return NULL;
}

// The term that is `at` steps from the first, where the second is one step from it and the last
// `*steps` (-1: not known yet).
static XrExpr *unify(Expansion *x, XrExpr *first, XrExpr *second, XrExpr *last, long *steps,
                     long at) {
    XrExprs *e = &x->math->exprs;
    if (!xr_work(&x->math->work, 1)) return fail(x, first);
    if (xr_expr_same(first, second) && xr_expr_same(first, last)) return first;
    if (first->op == XR_E_SYMBOL && second->op == XR_E_SYMBOL && last->op == XR_E_SYMBOL)
        return unify_symbols(x, first, second, last, steps, at);
    XrExpr *members = unify_members(x, first, second, last, steps, at);
    if (members) return members;
    long a, b, c;
    if (small_number(x, first, &a) && small_number(x, second, &b) && small_number(x, last, &c)) {
        if (a == b && b == c) return first;
        if (!steps_to(x, a, b, c, steps)) return fail(x, first);
        return xr_expr_number(e, a + (b - a) * at);
    }
    // The first of x, x^2, …, x^n is x^1.
    bool powers = second->op == XR_E_POW && last->op == XR_E_POW && first->op != XR_E_POW &&
                  xr_expr_same(first, second->args[0]);
    if (!powers) return fail(x, first);
    XrExpr *power = xr_expr_2(e, XR_E_POW, first, xr_expr_number(e, 1));
    return unify(x, power, second, last, steps, at);
}

// The members of a sum or product with the ellipsis at `dots` written out.
static XrExpr *write_out(Expansion *x, const XrExpr *node, uint32_t dots) {
    XrExprs *e = &x->math->exprs;
    if (dots < 2 || dots + 1 >= node->count) return fail(x, (XrExpr *)node);
    XrExpr *first = node->args[dots - 2], *second = node->args[dots - 1],
           *last = node->args[dots + 1];
    long steps = -1;
    unify(x, first, second, last, &steps, 0);
    if (x->failed || steps < 1) return fail(x, (XrExpr *)node);
    XrExpr *out = xr_expr_new(e, (XrExprOp)node->op, 0);
    for (uint32_t i = 0; i + 2 < dots; i++) xr_expr_push(e, out, expand(x, node->args[i]));
    for (long k = 0; k <= steps && !x->failed; k++)
        xr_expr_push(e, out, unify(x, first, second, last, &steps, k));
    for (uint32_t i = dots + 2; i < node->count; i++)
        xr_expr_push(e, out, expand(x, node->args[i]));
    return out;
}

static XrExpr *expand(Expansion *x, XrExpr *node) {
    XrExprs *e = &x->math->exprs;
    if (x->failed || e->full) return fail(x, node);
    if (node->op == XR_E_SYMBOL) {
        if (node->id == x->symbol) return xr_expr_number(e, x->value);
        const char *behind, *name = e->symbols[node->id];
        size_t length = subscript(name, &behind);
        bool counter = x->symbol >= 0 && *behind && !strcmp(behind, e->symbols[x->symbol]);
        return counter ? numbered(x, name, length, x->value) : node;
    }
    if (node->op == XR_E_ADD || node->op == XR_E_MUL)
        for (uint32_t i = 0; i < node->count; i++)
            if (node->args[i]->op == XR_E_ELLIPSIS) return write_out(x, node, i);
    if (node->op == XR_E_ELLIPSIS) return fail(x, node);
    if (!node->count) return node;
    XrExpr *copy = xr_expr_copy(e, node);
    for (uint32_t i = 0; i < copy->count; i++) copy->args[i] = expand(x, copy->args[i]);
    return copy;
}

// The letter that counts: a variable, or the subscript of one, that is n, m or k.
static int counter_of(XrExprs *e, const XrExpr *node) {
    static const char *const letters[] = {"n", "m", "k", "N"};
    for (int l = 0; l < 4; l++) {
        int symbol = xr_exprs_symbol(e, letters[l], 1);
        if (xr_expr_has_symbol(node, symbol)) return symbol;
        bool used[XR_EXPR_SYMBOLS] = {false};
        xr_expr_symbols(node, used);
        for (int i = 0; i < e->symbol_count; i++) {
            const char *behind;
            subscript(e->symbols[i], &behind);
            if (used[i] && !strcmp(behind, letters[l])) return symbol;
        }
    }
    return -1;
}

XrTruth xr_ellipsis_same(XrMath *math, XrExpr *gold, XrExpr *answer) {
    int symbol = counter_of(&math->exprs, gold);
    for (long value = 4; value <= 5; value++) {
        Expansion x = {.math = math, .symbol = symbol, .value = value};
        XrExpr *g = expand(&x, gold), *a = expand(&x, answer);
        if (x.failed) return XR_FALSE;
        XrTruth truth = xr_value_equal(math, g, a);
        if (truth != XR_TRUE) return truth;
    }
    xr_math_explain(math, "sums or products written out for 4 and 5");
    return XR_TRUE;
}
