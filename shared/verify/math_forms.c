#include "shared/verify/math_forms.h"

enum { SIGNS = 4 };

// AB of geometry: capital letters side by side.
static bool is_segment(const XrExpr *node) {
    if (node->op != XR_E_MUL || node->count > 4) return false;
    for (uint32_t i = 0; i < node->count; i++)
        if (node->args[i]->op != XR_E_SYMBOL || !(node->args[i]->flags & XR_F_CAPITAL))
            return false;
    return true;
}

bool xr_is_name(const XrExpr *node) {
    if (node->op == XR_E_SYMBOL || is_segment(node)) return true;
    bool part = node->op == XR_E_FUNCTION && node->count == 1 &&
                (node->id <= XR_FN_CSC || node->id == XR_FN_ABS ||
                 (node->id >= XR_FN_RE && node->id <= XR_FN_ARG));
    if (part && (node->args[0]->op == XR_E_SYMBOL || is_segment(node->args[0]))) return true;
    if (node->op == XR_E_UNION || node->op == XR_E_INTERSECTION || node->op == XR_E_RATIO) {
        for (uint32_t i = 0; i < node->count; i++)
            if (node->args[i]->op != XR_E_SYMBOL) return false;
        return true;
    }
    if (node->op != XR_E_CALL && node->op != XR_E_TUPLE && node->op != XR_E_LIST) return false;
    for (uint32_t i = 0; i < node->count; i++) {
        bool argument = node->op == XR_E_CALL && node->args[i]->op == XR_E_NUMBER;
        if (!argument && !xr_is_name(node->args[i])) return false;
    }
    return node->count > 0;
}

static bool name_is_used(const XrExpr *name, const XrExpr *value) {
    if (name->op == XR_E_SYMBOL) return xr_expr_has_symbol(value, name->id);
    if (name->op == XR_E_CALL) return xr_expr_has_symbol(value, name->id);
    for (uint32_t i = 0; i < name->count; i++)
        if (name_is_used(name->args[i], value)) return true;
    return false;
}

static bool only_relations(const XrExpr *node, XrRelation one, XrRelation other) {
    for (uint32_t i = 0; i + 1 < node->count; i++)
        if (node->relations[i] != one && node->relations[i] != other) return false;
    return true;
}

// Whether all sides from `first` on are the same value, as far as "=" joins them.
static bool sides_agree(XrMath *math, const XrExpr *node, uint32_t first) {
    for (uint32_t i = first + 1; i < node->count; i++) {
        if (node->relations[i - 1] == XR_R_APPROX) continue;
        XrExpr *a = node->args[i - 1], *b = node->args[i];
        if (!xr_expr_is_scalar(a) || !xr_expr_is_scalar(b)) return false;
        if (xr_value_equal(math, a, b) != XR_TRUE) return false;
    }
    return true;
}

// 72 = 72: the same written twice is no calculation whose last side is its result.
static bool says_nothing(const XrExpr *relation) {
    for (uint32_t i = 1; i < relation->count; i++) {
        if (!xr_expr_same(relation->args[0], relation->args[i])) return false;
    }
    return true;
}

XrExpr *xr_strip_name(XrMath *math, XrExpr *node, XrExpr **name) {
    *name = NULL;
    if (node->op != XR_E_RELATION) return node;
    XrExpr *left = node->args[0];
    bool named = xr_is_name(left);
    if (node->count == 2 && named && !name_is_used(left, node->args[1])) {
        XrRelation relation = (XrRelation)node->relations[0];
        bool value = relation == XR_R_EQUAL || relation == XR_R_APPROX;
        bool member = relation == XR_R_IN || relation == XR_R_CONGRUENT;
        if (value || member) {
            *name = left;
            return node->args[1];
        }
    }
    if (!only_relations(node, XR_R_EQUAL, XR_R_APPROX)) return node;
    uint32_t first = named && node->count > 2 && !name_is_used(left, node->args[1]) ? 1 : 0;
    if (!sides_agree(math, node, first)) return node;
    if (!first && says_nothing(node)) return node;
    // An equation with a genuine unknown is not a value: all of its sides would be the same.
    if (first) *name = left;
    return node->args[first];
}

// A copy with the `index`-th ± (in order of reading) replaced by its sign in `bits`.
static XrExpr *choose_signs(XrMath *math, XrExpr *node, unsigned bits, int *index) {
    if (!xr_expr_has_op(node, XR_E_PLUS_MINUS)) return node;
    if (node->op == XR_E_PLUS_MINUS) {
        bool minus = bits >> (*index)++ & 1;
        if (node->flags & XR_F_LOWER) minus = !minus;
        XrExpr *last = choose_signs(math, node->args[node->count - 1], bits, index);
        if (minus) last = xr_expr_1(&math->exprs, XR_E_NEG, last);
        if (node->count == 1) return last;
        XrExpr *first = choose_signs(math, node->args[0], bits, index);
        return xr_expr_2(&math->exprs, XR_E_ADD, first, last);
    }
    XrExpr *copy = xr_expr_copy(&math->exprs, node);
    for (uint32_t i = 0; i < copy->count; i++)
        copy->args[i] = choose_signs(math, copy->args[i], bits, index);
    return copy;
}

static void count_signs(const XrExpr *node, int *signs, bool *lower) {
    if (node->op == XR_E_PLUS_MINUS) {
        ++*signs;
        if (node->flags & XR_F_LOWER) *lower = true;
    }
    for (uint32_t i = 0; i < node->count; i++) count_signs(node->args[i], signs, lower);
}

XrExpr *xr_sign_versions(XrMath *math, XrExpr *node) {
    XrExpr *list = xr_expr_new(&math->exprs, XR_E_LIST, 0);
    int signs = 0;
    bool lower = false;
    count_signs(node, &signs, &lower);
    if (!signs || signs > SIGNS) {
        xr_expr_push(&math->exprs, list, node);
        return list;
    }
    // With ∓ the upper signs belong together; without, each ± is free.
    unsigned versions = lower ? 2 : 1u << signs;
    for (unsigned v = 0; v < versions; v++) {
        int index = 0;
        unsigned bits = lower ? (v ? ~0u : 0) : v;
        xr_expr_push(&math->exprs, list, choose_signs(math, node, bits, &index));
    }
    return list;
}

static XrExpr *relate(XrMath *math, XrExpr *name, XrExpr *value) {
    XrExpr *node = xr_expr_2(&math->exprs, XR_E_RELATION, name, value);
    node->relations = xr_exprs_alloc(&math->exprs, 1);
    node->relations[0] = XR_R_EQUAL;
    return node;
}

static void flatten(XrMath *math, XrExpr *node, XrExpr *out);

// (x, y) = (1, 2) as x = 1, y = 2.
static bool flatten_tuple_relation(XrMath *math, XrExpr *node, XrExpr *out) {
    if (node->op != XR_E_RELATION || node->count != 2 || node->relations[0] != XR_R_EQUAL)
        return false;
    XrExpr *names = node->args[0], *values = node->args[1];
    bool shapes = (names->op == XR_E_TUPLE || names->op == XR_E_LIST) && xr_is_name(names) &&
                  (values->op == XR_E_TUPLE || values->op == XR_E_LIST) &&
                  names->count == values->count;
    if (!shapes) return false;
    for (uint32_t i = 0; i < names->count; i++)
        xr_expr_push(&math->exprs, out, relate(math, names->args[i], values->args[i]));
    return true;
}

// x = 1, 2, 3: the name belongs to all.
static bool shares_name(const XrExpr *list) {
    if (list->count < 2 || list->args[0]->op != XR_E_RELATION || list->args[0]->count != 2)
        return false;
    if (list->args[0]->relations[0] != XR_R_EQUAL || !xr_is_name(list->args[0]->args[0]))
        return false;
    for (uint32_t i = 1; i < list->count; i++)
        if (list->args[i]->op == XR_E_RELATION) return false;
    return true;
}

static void flatten(XrMath *math, XrExpr *node, XrExpr *out) {
    if (math->exprs.full) return;
    bool several = node->op == XR_E_LIST || node->op == XR_E_SET || node->op == XR_E_OR;
    if (several) {
        XrExpr *name = shares_name(node) ? node->args[0]->args[0] : NULL;
        for (uint32_t i = 0; i < node->count; i++) {
            XrExpr *member = node->args[i];
            if (name && i) member = relate(math, name, member);
            if (member->op == XR_E_SET)
                xr_expr_push(&math->exprs, out, member);
            else
                flatten(math, member, out);
        }
        return;
    }
    if (xr_expr_has_op(node, XR_E_PLUS_MINUS)) {
        XrExpr *versions = xr_sign_versions(math, node);
        for (uint32_t i = 0; i < versions->count; i++)
            xr_expr_push(&math->exprs, out, versions->args[i]);
        return;
    }
    // x = {1, 2} or x ∈ {1, 2}
    bool set = node->op == XR_E_RELATION && node->count == 2 && xr_is_name(node->args[0]) &&
               (node->relations[0] == XR_R_EQUAL || node->relations[0] == XR_R_IN) &&
               (node->args[1]->op == XR_E_SET || node->args[1]->op == XR_E_LIST);
    if (set) {
        for (uint32_t i = 0; i < node->args[1]->count; i++)
            flatten(math, relate(math, node->args[0], node->args[1]->args[i]), out);
        return;
    }
    xr_expr_push(&math->exprs, out, node);
}

XrExpr *xr_flat_list(XrMath *math, XrExpr *node) {
    XrExpr *out = xr_expr_new(&math->exprs, XR_E_LIST, 0);
    flatten(math, node, out);
    // One equation of tuples says what each name is; several are several solutions.
    if (out->count == 1) {
        XrExpr *parts = xr_expr_new(&math->exprs, XR_E_LIST, 0);
        if (flatten_tuple_relation(math, out->args[0], parts)) return parts;
    }
    return out;
}
