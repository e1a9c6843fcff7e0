#include "shared/verify/unit_sum.h"

#include <string.h>

void xr_unit_sum_init(XrUnitSum *sum) {
    *sum = (XrUnitSum){.any = false};
    fmpq_init(sum->scale);
    fmpz_one(fmpq_numref(sum->scale));
}

void xr_unit_sum_clear(XrUnitSum *sum) {
    fmpq_clear(sum->scale);
}

void xr_unit_sum_take(XrUnitSum *sum, const XrUnit *unit, int power) {
    fmpq_t size;
    fmpq_init(size);
    fmpq_set_si(size, unit->numerator, (ulong)unit->denominator);
    fmpq_pow_si(size, size, power);
    fmpq_mul(sum->scale, sum->scale, size);
    for (int i = 0; i < XR_DIMS; i++) sum->dims[i] += unit->dims[i] * power;
    fmpq_clear(size);
    sum->any = true;
}

XrExpr *xr_unit_quantity(XrExprs *exprs, XrExpr *value, const XrUnitSum *sum) {
    static const char *const names[] = {"m",   "kg",  "s",   "A",   "K",   "mol", "bit",
                                        "usd", "eur", "gbp", "jpy", "inr", "cny", "rub"};
    XrBuffer name = {0};
    xr_buffer_text(&name, sum->any ? "" : "?");
    for (int i = 0; i < XR_DIMS; i++)
        if (sum->dims[i]) xr_buffer_format(&name, "%s%d ", names[i], sum->dims[i]);
    XrExpr *scale = xr_expr_value(exprs);
    fmpq_set(scale->value, sum->scale);
    XrExpr *node = xr_expr_2(exprs, XR_E_QUANTITY, value, scale);
    node->name = xr_exprs_text(exprs, name.data, name.length);
    xr_buffer_free(&name);
    return node;
}

// Takes the letters of a product into `sum` and the one number into `value`.
static bool take_letters(XrExprs *exprs, XrExpr *node, int power, XrUnitSum *sum, XrExpr **value) {
    switch (node->op) {
    case XR_E_SYMBOL: {
        const char *name = exprs->symbols[node->id];
        const XrUnit *unit = xr_unit_find(name, strlen(name));
        if (!unit) return false;
        xr_unit_sum_take(sum, unit, power);
        return true;
    }
    case XR_E_MUL:
        for (uint32_t i = 0; i < node->count; i++)
            if (!take_letters(exprs, node->args[i], power, sum, value)) return false;
        return true;
    case XR_E_DIV:
        if (!xr_expr_has_symbols(node)) break;
        return take_letters(exprs, node->args[0], power, sum, value) &&
               take_letters(exprs, node->args[1], -power, sum, value);
    case XR_E_POW: {
        const XrExpr *exponent = node->args[1];
        bool small = exponent->op == XR_E_NUMBER && fmpz_is_one(fmpq_denref(exponent->value)) &&
                     fmpz_cmp_ui(fmpq_numref(exponent->value), 4) <= 0;
        if (node->args[0]->op != XR_E_SYMBOL) break;
        return small &&
               take_letters(exprs, node->args[0],
                            power * (int)fmpz_get_si(fmpq_numref(exponent->value)), sum, value);
    }
    default:
        break;
    }
    if (*value || power < 0 || xr_expr_has_symbols(node)) return false;
    *value = node;
    return true;
}

XrExpr *xr_unit_of_letters(XrExprs *exprs, XrExpr *node) {
    XrUnitSum sum;
    xr_unit_sum_init(&sum);
    XrExpr *value = NULL, *out = NULL;
    if (take_letters(exprs, node, 1, &sum, &value) && value && sum.any)
        out = xr_unit_quantity(exprs, value, &sum);
    xr_unit_sum_clear(&sum);
    return out;
}
