// Mathematical equivalence of two bare answers: parse both, decide exactly where that can be done,
// at random points where it cannot. docs/verifier.md has the rules by kind of answer.
#ifndef XR_VERIFY_MATH_H
#define XR_VERIFY_MATH_H

#include "shared/base/buffer.h"
#include "shared/verify/verdict.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// A reusable context (arenas, number fields). Used by one thread at a time. The thread that used it
// should call xr_math_thread_end when it ends, so that the arithmetic library's caches are freed.
typedef struct XrMath XrMath;

XrMath *xr_math_create(void);
void xr_math_free(XrMath *math);
void xr_math_thread_end(void);

typedef struct XrMathOptions {
    double relative_tolerance; // 0: the rounding rules alone; otherwise numbers within it are equal
    double max_milliseconds;   // of processor time, the last resort; over it: over_limit. 0: 20
    uint64_t seed;             // of the random points
    bool strict_decimals;      // the answer must show every digit that a decimal gold shows
} XrMathOptions;

// What an answer is read as.
typedef enum XrMathKind {
    XR_MATH_NONE, // empty or unreadable
    XR_MATH_NUMBER,
    XR_MATH_EXPRESSION, // with variables
    XR_MATH_TUPLE,
    XR_MATH_LIST, // several values, in no order
    XR_MATH_SET,
    XR_MATH_INTERVAL, // and unions of intervals
    XR_MATH_MATRIX,
    XR_MATH_EQUATION,
    XR_MATH_INEQUALITY,
    XR_MATH_DATE,
    XR_MATH_TIME,
    XR_MATH_TEXT,
} XrMathKind;

const char *xr_math_kind_name(XrMathKind kind);

// Compares two bare answers: LaTeX or plain text, `$`, `\boxed` and the like allowed, UTF-8 of any
// validity, not ended by a NUL. The gold answer is trusted; the answer may be written to deceive.
// `options` may be NULL (all zero). `explain` may be NULL; otherwise lines of text that say how the
// verdict came about are appended. Never fails otherwise than by its verdict.
XrVerdict xr_math_compare(XrMath *math, const char *gold, size_t gold_bytes, const char *answer,
                          size_t answer_bytes, const XrMathOptions *options, XrBuffer *explain);

// The kind that the text is read as. `key` may be NULL; otherwise receives a text that is the same
// for equal answers of most spellings (exact numbers, polynomials, lists of them), for voting among
// answers; two answers with different keys may still be equal.
XrMathKind xr_math_kind(XrMath *math, const char *text, size_t bytes, XrBuffer *key);

// The real number that the text stands for, nearest double: a numeral or an expression without
// variables, units or relations. False where it is anything else.
bool xr_math_value(XrMath *math, const char *text, size_t bytes, double *out);

#endif
