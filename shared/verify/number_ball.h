// Values of expressions as balls (midpoint and radius) of any precision: rigorous enclosures.
#ifndef XR_VERIFY_NUMBER_BALL_H
#define XR_VERIFY_NUMBER_BALL_H

#include "shared/verify/flint_compat.h"
#include "shared/verify/number_exact.h"

typedef struct XrBallPoint {
    acb_srcptr values;         // by symbol; NULL: there are no symbols
    const bool *known;         // which symbols have a value
    const XrBinding *bindings; // of sums
    bool real;    // every intermediate value must be real, else the expression is undefined here
    int analytic; // inside an integral: branch cuts make the value indeterminate
    XrWork *work;
} XrBallPoint;

// False when the expression has no value there, or holds what cannot be evaluated.
bool xr_number_ball(const XrExpr *node, acb_t out, slong precision, const XrBallPoint *point);

#endif
