#include "shared/verify/expr.h"

#include "shared/base/memory.h"

#include <stdlib.h>
#include <string.h>

enum { BLOCK = 1 << 16, TOTAL = 16 << 20 };

struct XrExprBlock {
    XrExprBlock *next;
    size_t bytes;
    _Alignas(16) char data[];
};

void xr_exprs_reset(XrExprs *exprs) {
    for (int i = 0; i < exprs->value_count; i++) fmpq_clear(exprs->values[i]);
    exprs->value_count = 0;
    XrExprBlock *first = exprs->blocks;
    while (first && first->next) {
        XrExprBlock *next = first->next;
        first->next = next->next;
        free(next);
    }
    exprs->current = first;
    exprs->used = exprs->total = 0;
    exprs->nodes = 0;
    exprs->full = false;
    exprs->symbol_count = 0;
}

void xr_exprs_free(XrExprs *exprs) {
    xr_exprs_reset(exprs);
    free(exprs->blocks);
    free(exprs->values);
    *exprs = (XrExprs){0};
}

void *xr_exprs_alloc(XrExprs *exprs, size_t bytes) {
    bytes = (bytes + 15) & ~(size_t)15;
    if (!exprs->current || exprs->used + bytes > exprs->current->bytes) {
        size_t room = XR_MAX(bytes, (size_t)BLOCK);
        XrExprBlock *block = xr_malloc(sizeof *block + room);
        block->bytes = room;
        block->next = NULL;
        if (exprs->current)
            exprs->current->next = block;
        else
            exprs->blocks = block;
        exprs->current = block;
        exprs->used = 0;
    }
    void *out = exprs->current->data + exprs->used;
    exprs->used += bytes;
    exprs->total += bytes;
    if (exprs->total > TOTAL) exprs->full = true;
    return out;
}

const char *xr_exprs_text(XrExprs *exprs, const char *bytes, size_t count) {
    char *out = xr_exprs_alloc(exprs, count + 1);
    memcpy(out, bytes, count);
    out[count] = 0;
    return out;
}

int xr_exprs_symbol(XrExprs *exprs, const char *name, size_t bytes) {
    for (int i = 0; i < exprs->symbol_count; i++)
        if (!strncmp(exprs->symbols[i], name, bytes) && !exprs->symbols[i][bytes]) return i;
    if (exprs->symbol_count == XR_EXPR_SYMBOLS) {
        exprs->full = true;
        return 0;
    }
    exprs->symbols[exprs->symbol_count] = xr_exprs_text(exprs, name, bytes);
    return exprs->symbol_count++;
}

// Arrays of arguments have room for the next power of two, so that xr_expr_push needs a new one
// only at powers of two.
static size_t room_for(uint32_t count) {
    size_t room = 1;
    while (room < count) room *= 2;
    return room;
}

XrExpr *xr_expr_new(XrExprs *exprs, XrExprOp op, int count) {
    XrExpr *node = xr_exprs_alloc(exprs, sizeof *node);
    *node = (XrExpr){.op = op, .count = (uint32_t)count, .decimals = -1};
    if (count) {
        size_t room = room_for((uint32_t)count);
        node->args = xr_exprs_alloc(exprs, sizeof(XrExpr *) * room);
        memset(node->args, 0, sizeof(XrExpr *) * room);
    }
    if (++exprs->nodes > XR_EXPR_NODES) exprs->full = true;
    return node;
}

XrExpr *xr_expr_value(XrExprs *exprs) {
    XrExpr *node = xr_expr_new(exprs, XR_E_NUMBER, 0);
    node->value = xr_exprs_alloc(exprs, sizeof(fmpq));
    fmpq_init(node->value);
    if (exprs->value_count == exprs->value_room) {
        exprs->value_room = XR_MAX(64, exprs->value_room * 2);
        exprs->values = xr_realloc(exprs->values, sizeof(fmpq *) * (size_t)exprs->value_room);
    }
    exprs->values[exprs->value_count++] = node->value;
    return node;
}

XrExpr *xr_expr_number(XrExprs *exprs, slong number) {
    XrExpr *node = xr_expr_value(exprs);
    fmpq_set_si(node->value, number, 1);
    return node;
}

XrExpr *xr_expr_symbol(XrExprs *exprs, const char *name, size_t bytes) {
    XrExpr *node = xr_expr_new(exprs, XR_E_SYMBOL, 0);
    node->id = (uint16_t)xr_exprs_symbol(exprs, name, bytes);
    if (bytes == 1 && *name >= 'A' && *name <= 'Z') node->flags |= XR_F_CAPITAL;
    return node;
}

XrExpr *xr_expr_1(XrExprs *exprs, XrExprOp op, XrExpr *a) {
    XrExpr *node = xr_expr_new(exprs, op, 1);
    node->args[0] = a;
    return node;
}

XrExpr *xr_expr_2(XrExprs *exprs, XrExprOp op, XrExpr *a, XrExpr *b) {
    XrExpr *node = xr_expr_new(exprs, op, 2);
    node->args[0] = a;
    node->args[1] = b;
    return node;
}

XrExpr *xr_expr_function(XrExprs *exprs, XrFunction function, XrExpr *a) {
    XrExpr *node = xr_expr_1(exprs, XR_E_FUNCTION, a);
    node->id = function;
    return node;
}

XrExpr *xr_expr_function_2(XrExprs *exprs, XrFunction function, XrExpr *a, XrExpr *b) {
    XrExpr *node = xr_expr_2(exprs, XR_E_FUNCTION, a, b);
    node->id = function;
    return node;
}

void xr_expr_push(XrExprs *exprs, XrExpr *node, XrExpr *arg) {
    uint32_t count = node->count;
    if ((count & (count - 1)) == 0) {
        XrExpr **args = xr_exprs_alloc(exprs, sizeof(XrExpr *) * (count ? count * 2 : 1));
        if (count) memcpy(args, node->args, sizeof(XrExpr *) * count);
        node->args = args;
    }
    node->args[node->count++] = arg;
}

XrExpr *xr_expr_copy(XrExprs *exprs, const XrExpr *node) {
    XrExpr *copy = xr_exprs_alloc(exprs, sizeof *copy);
    *copy = *node;
    if (++exprs->nodes > XR_EXPR_NODES) exprs->full = true;
    if (node->count) {
        copy->args = xr_exprs_alloc(exprs, sizeof(XrExpr *) * room_for(node->count));
        memcpy(copy->args, node->args, sizeof(XrExpr *) * node->count);
    }
    return copy;
}

bool xr_expr_same(const XrExpr *a, const XrExpr *b) {
    if (a == b) return true;
    if (a->op != b->op || a->id != b->id || a->count != b->count) return false;
    if ((a->flags ^ b->flags) & (XR_F_LEFT_OPEN | XR_F_RIGHT_OPEN | XR_F_LOWER)) return false;
    if (a->value && !fmpq_equal(a->value, b->value)) return false;
    if (a->name && strcmp(a->name, b->name) != 0) return false;
    if (a->relations && memcmp(a->relations, b->relations, a->count - 1) != 0) return false;
    for (uint32_t i = 0; i < a->count; i++)
        if (!xr_expr_same(a->args[i], b->args[i])) return false;
    return true;
}

XrExpr *xr_expr_substitute(XrExprs *exprs, XrExpr *node, int symbol, XrExpr *by) {
    if (node->op == XR_E_SYMBOL) return node->id == symbol ? by : node;
    if (!xr_expr_has_symbol(node, symbol) || exprs->full) return node;
    XrExpr *copy = xr_expr_copy(exprs, node);
    for (uint32_t i = 0; i < copy->count; i++)
        copy->args[i] = xr_expr_substitute(exprs, copy->args[i], symbol, by);
    return copy;
}

bool xr_expr_has_op(const XrExpr *node, XrExprOp op) {
    if (node->op == op) return true;
    for (uint32_t i = 0; i < node->count; i++)
        if (xr_expr_has_op(node->args[i], op)) return true;
    return false;
}

bool xr_expr_has_function(const XrExpr *node, XrFunction function) {
    if (node->op == XR_E_FUNCTION && node->id == function) return true;
    for (uint32_t i = 0; i < node->count; i++)
        if (xr_expr_has_function(node->args[i], function)) return true;
    return false;
}

bool xr_expr_has_symbol(const XrExpr *node, int symbol) {
    if ((node->op == XR_E_SYMBOL || node->op == XR_E_CALL) && node->id == symbol) return true;
    for (uint32_t i = 0; i < node->count; i++)
        if (xr_expr_has_symbol(node->args[i], symbol)) return true;
    return false;
}

static bool binds(const XrExpr *node) {
    return node->op == XR_E_SUM || node->op == XR_E_PRODUCT || node->op == XR_E_INTEGRAL;
}

void xr_expr_symbols(const XrExpr *node, bool used[XR_EXPR_SYMBOLS]) {
    if (node->op == XR_E_SYMBOL || node->op == XR_E_CALL) used[node->id] = true;
    if (binds(node)) {
        int bound = node->args[0]->id;
        bool before = used[bound];
        xr_expr_symbols(node->args[3], used);
        used[bound] = before;
        xr_expr_symbols(node->args[1], used);
        xr_expr_symbols(node->args[2], used);
        return;
    }
    for (uint32_t i = 0; i < node->count; i++) xr_expr_symbols(node->args[i], used);
}

bool xr_expr_has_symbols(const XrExpr *node) {
    if (node->op == XR_E_SYMBOL || node->op == XR_E_CALL) return true;
    if (binds(node)) {
        bool used[XR_EXPR_SYMBOLS] = {false};
        xr_expr_symbols(node, used);
        for (int i = 0; i < XR_EXPR_SYMBOLS; i++)
            if (used[i]) return true;
        return false;
    }
    for (uint32_t i = 0; i < node->count; i++)
        if (xr_expr_has_symbols(node->args[i])) return true;
    return false;
}

bool xr_expr_is_scalar(const XrExpr *node) {
    if (node->op > XR_E_INTEGRAL && node->op != XR_E_PERCENT && node->op != XR_E_DEGREES &&
        node->op != XR_E_BASED && node->op != XR_E_RATIO)
        return false;
    if (node->op == XR_E_FUNCTION && node->id == XR_FN_DET) return node->args[0]->op == XR_E_MATRIX;
    if (node->op == XR_E_RATIO && node->count != 2) return false;
    if (node->op == XR_E_BASED) return true;
    for (uint32_t i = 0; i < node->count; i++)
        if (!xr_expr_is_scalar(node->args[i])) return false;
    return true;
}

int xr_expr_size(const XrExpr *node) {
    int size = 1;
    for (uint32_t i = 0; i < node->count; i++) size += xr_expr_size(node->args[i]);
    return size;
}
