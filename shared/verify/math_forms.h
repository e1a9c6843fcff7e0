// Brings answers into forms that can be compared: labels taken off, ± written out, lists flattened.
#ifndef XR_VERIFY_MATH_FORMS_H
#define XR_VERIFY_MATH_FORMS_H

#include "shared/verify/math_context.h"

// Whether the node only names something: x, f(x), (x, y), P(x).
bool xr_is_name(const XrExpr *node);
// The value of "name = value" (also x ∈ S, f(x) = …); `name` is what stood on the left, NULL where
// nothing did. The gold's first side of "a ≈ b" counts; an answer's chain a = b = c must agree
// throughout, else it stays as it is.
XrExpr *xr_strip_name(XrMath *math, XrExpr *node, XrExpr **name);
// The members of a list, a set or a single value: relations between tuples split, a name before
// several values given to all, ± in both versions. Returns a LIST node.
XrExpr *xr_flat_list(XrMath *math, XrExpr *node);
// The versions of an expression with its ± signs chosen: a LIST; one member where there is none.
XrExpr *xr_sign_versions(XrMath *math, XrExpr *node);

#endif
