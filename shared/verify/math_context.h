// What one comparison works with; shared by the parts that decide.
#ifndef XR_VERIFY_MATH_CONTEXT_H
#define XR_VERIFY_MATH_CONTEXT_H

#include "shared/verify/flint_compat.h"
#include "shared/verify/math.h"
#include "shared/verify/math_parser.h"
#include "shared/verify/number_exact.h"

#include <time.h>

struct XrMath {
    XrExprs exprs;
    XrTokens tokens;
    XrBuffer gold, answer; // cleaned texts
    XrWork work;
    XrMathOptions options;
    XrBuffer *explain;     // or NULL
    ca_ctx_struct *fields; // made when first needed, made anew after many uses
    int field_uses;
    struct timespec start; // processor time of the thread, so that a busy machine changes nothing
    int64_t looked_at;     // work left when the clock was last read
    unsigned looks;
};

typedef enum XrTruth { XR_FALSE, XR_TRUE, XR_UNDECIDED } XrTruth;

// Appends a line to the explanation, if one is wanted.
void xr_math_explain(XrMath *math, const char *format, ...) __attribute__((format(printf, 2, 3)));
// Whether the time allowed is used up (then so is the work).
bool xr_math_late(XrMath *math);
// Empties the context and starts its clock.
void xr_math_begin(XrMath *math, const XrMathOptions *options, XrBuffer *explain);

// number_compare.c. Both without variables.
XrTruth xr_number_equal(XrMath *math, const XrExpr *a, const XrExpr *b);
// -1, 0, 1 as a is less, equal, greater; false when that cannot be decided. Real numbers only;
// infinities are allowed.
bool xr_number_order(XrMath *math, const XrExpr *a, const XrExpr *b, int *order);
// number_calcium.c
XrTruth xr_number_calcium(XrMath *math, const XrExpr *a, const XrExpr *b);
void xr_number_calcium_free(XrMath *math);
// number_rounding.c: whether the answer's number is the gold's under the rules for decimals.
bool xr_number_rounds(XrMath *math, const XrExpr *gold, const XrExpr *answer);
// expr_identity.c: with variables.
XrTruth xr_expr_identical(XrMath *math, const XrExpr *a, const XrExpr *b);
// Values equal, by whichever of the two.
XrTruth xr_value_equal(XrMath *math, const XrExpr *a, const XrExpr *b);
// math_compare.c: any two answers by the rules of their kinds. `gold` is the trusted side.
XrTruth xr_math_same(XrMath *math, XrExpr *gold, XrExpr *answer);
// math_relation.c
XrTruth xr_relation_same(XrMath *math, XrExpr *gold, XrExpr *answer);
// math_set.c: sets of real numbers in any notation.
XrTruth xr_set_same(XrMath *math, XrExpr *gold, XrExpr *answer);
bool xr_is_real_set(const XrExpr *node);

#endif
