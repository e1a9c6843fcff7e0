// Number literals: 1,000 · 10\,000 · .5 · 0.1\overline{6} · 0.\dot{3} · 0.(3) · 0.333... · 6.02e23.
#ifndef XR_VERIFY_NUMBER_LITERAL_H
#define XR_VERIFY_NUMBER_LITERAL_H

#include "shared/verify/expr.h"

enum { XR_NUMBER_DIGITS = 120000, XR_NUMBER_DECIMALS = 10000, XR_NUMBER_EXPONENT = 5000 };

// The node of the literal in text[0, bytes), as xr_number_literal_end delimits it, with the digits
// that it shows; `decimal_comma`: a comma that cannot part thousands is the point. Returns NULL
// when it has more than XR_NUMBER_DIGITS digits or an exponent over XR_NUMBER_EXPONENT in size.
XrExpr *xr_number_read(XrExprs *exprs, const char *text, size_t bytes, bool decimal_comma);

#endif
