// Exact rational values of expressions, with every growth capped before it happens.
#ifndef XR_VERIFY_NUMBER_EXACT_H
#define XR_VERIFY_NUMBER_EXACT_H

#include "shared/verify/expr.h"

enum {
    XR_EXACT_BITS = 420000, // of a numerator or denominator
    XR_EXACT_FACTORIAL = 5000,
    XR_EXACT_TERMS = 2000, // of a sum or product
};

// What a computation may still spend. One unit is about a microsecond at most.
typedef struct XrWork {
    int64_t left;
    bool over; // it was used up
} XrWork;

// Takes `units` away; false when there are not that many left.
bool xr_work(XrWork *work, int64_t units);

typedef enum XrExact {
    XR_EXACT_YES,
    XR_EXACT_NO,        // irrational, symbolic, or not known to be rational
    XR_EXACT_UNDEFINED, // a division by zero
    XR_EXACT_OVER,      // rational, but too large
} XrExact;

// The value of a bound variable while a sum is evaluated.
typedef struct XrBinding {
    const struct XrBinding *next;
    int symbol;
    fmpq_t value;
} XrBinding;

XrExact xr_number_exact(const XrExpr *node, const XrBinding *bindings, fmpq_t out, XrWork *work);
// The same for a whole number of at most 62 bits.
bool xr_number_small(const XrExpr *node, const XrBinding *bindings, slong *out, XrWork *work);

#endif
