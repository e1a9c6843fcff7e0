// Products of units: km/h, m^2, $ per hour.
#ifndef XR_VERIFY_UNIT_SUM_H
#define XR_VERIFY_UNIT_SUM_H

#include "shared/verify/expr.h"
#include "shared/verify/unit_table.h"

typedef struct XrUnitSum {
    int dims[XR_DIMS];
    fmpq_t scale;
    bool any;
} XrUnitSum;

void xr_unit_sum_init(XrUnitSum *sum);
void xr_unit_sum_clear(XrUnitSum *sum);
// Multiplies by the unit to that power.
void xr_unit_sum_take(XrUnitSum *sum, const XrUnit *unit, int power);
// The quantity node of a value in those units; "?" for its dimensions when no unit was taken.
XrExpr *xr_unit_quantity(XrExprs *exprs, XrExpr *value, const XrUnitSum *sum);
// 5 m/s without \text reads as a product of letters: the quantity that it is when every letter in
// it is the sign of a unit and the rest a number; NULL otherwise.
XrExpr *xr_unit_of_letters(XrExprs *exprs, XrExpr *node);

#endif
