// Single values by the rules for units, percent, degrees, ratios, bases and rounding.
#ifndef XR_VERIFY_MATH_SCALAR_H
#define XR_VERIFY_MATH_SCALAR_H

#include "shared/verify/math_context.h"

XrTruth xr_scalar_same(XrMath *math, XrExpr *gold, XrExpr *answer);

#endif
