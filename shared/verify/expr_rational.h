// Rational functions with rational coefficients: exact equality by polynomial arithmetic.
#ifndef XR_VERIFY_EXPR_RATIONAL_H
#define XR_VERIFY_EXPR_RATIONAL_H

#include "shared/verify/math_context.h"

// Whether the expression is built from numbers and variables by + − × ÷ and whole powers alone.
bool xr_expr_is_rational(const XrExpr *node, XrWork *work);
// Equality of two rational functions; undecided when the polynomials would grow too large.
XrTruth xr_rational_equal(XrMath *math, const XrExpr *a, const XrExpr *b);
// Whether a is c·b for a number c ≠ 0; its sign goes to `sign` (which may be NULL).
XrTruth xr_rational_proportional(XrMath *math, const XrExpr *a, const XrExpr *b, int *sign);
// Writes a canonical text of the rational function, for keys; false when it cannot.
bool xr_rational_key(XrMath *math, const XrExpr *node, XrBuffer *out);
// The coefficients of a polynomial in one symbol, if it is one of degree at most `most` with
// rational coefficients: out[0..degree]. Returns the degree, or -1.
int xr_rational_coefficients(XrMath *math, const XrExpr *node, int symbol, fmpq *out, int most);

#endif
