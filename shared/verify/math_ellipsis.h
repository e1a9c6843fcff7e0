// a_1 + a_2 + … + a_n and (1 − x_1)(1 − x_2)⋯(1 − x_n): sums and products with an ellipsis.
#ifndef XR_VERIFY_MATH_ELLIPSIS_H
#define XR_VERIFY_MATH_ELLIPSIS_H

#include "shared/verify/math_context.h"

// Whether two values with an ellipsis in a sum or product are the same, judged by writing them out
// for two small values of the variable that counts the terms. The term before the ellipsis, the one
// before that and the last one have to be of one form, whose whole numbers run in equal steps.
// XR_FALSE also where they are not of one form: then only the same structure would be equal.
XrTruth xr_ellipsis_same(XrMath *math, XrExpr *gold, XrExpr *answer);

#endif
