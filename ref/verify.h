// Values of many expressions at many points: the test of identities. An expression is a program in
// postfix form; all programs of a batch share variables and points. Results depend on nothing but
// the arguments: every operation is one of IEEE 754 or built here from them, without library
// functions and without contraction, so that any device gives the same bits.
#ifndef XR_REF_VERIFY_H
#define XR_REF_VERIFY_H

#include <stdint.h>

enum {
    XR_VERIFY_STACK = 32,      // values on the stack at most
    XR_VERIFY_BLOCK = 16,      // points that are worked on together
    XR_VERIFY_POWER = 1 << 20, // exponents of XR_V_POWER at most
};

typedef enum XrVerifyOp {
    XR_V_CONSTANT, // argument: index of the constant
    XR_V_VARIABLE, // argument: index of the variable
    XR_V_ADD,
    XR_V_SUBTRACT,
    XR_V_MULTIPLY,
    XR_V_DIVIDE,
    XR_V_NEGATE,
    XR_V_POWER, // argument: the exponent, a whole number
    // The others are for real numbers alone.
    XR_V_RAISE, // x^y: x positive, or y whole
    XR_V_ROOT,  // argument: the index; the real root of a negative number when it is odd
    XR_V_EXP,
    XR_V_LN,
    XR_V_SIN,
    XR_V_COS,
    XR_V_ATAN,
    XR_V_ASIN,
    XR_V_ABS,
} XrVerifyOp;

typedef struct XrVerifyStep {
    int32_t op, argument;
} XrVerifyStep;

typedef struct XrVerifyBatch {
    const XrVerifyStep *steps;
    const int32_t *begins; // (programs + 1) the steps of program i are [begins[i], begins[i + 1])
    int32_t programs, variables, points;
    const double *constants;  // correctly rounded
    const uint64_t *residues; // of the same constants
} XrVerifyBatch;

#ifdef __cplusplus
extern "C" {
#endif

// at (points, variables) -> value, error (programs, points). `error` bounds the distance from the
// exact value of the expression at exactly that point; it is infinite where nothing is known, and
// both are NaN where the expression has no real value (logarithm or even root of a negative number,
// division by zero).
void xr_verify_real(const XrVerifyBatch *batch, const double *at, double *value, double *error);

// The same in the field of 2^bits - 1 elements, bits 31 or 61, for programs of the first eight
// operations. at (points, variables), reduced; value (programs, points), XR_VERIFY_UNDEFINED where
// a division by zero occurs.
#define XR_VERIFY_UNDEFINED UINT64_MAX
void xr_verify_modular(const XrVerifyBatch *batch, int bits, const uint64_t *at, uint64_t *value);

// Aborts where a program has an operation above `most_op`, takes more from the stack than there is,
// or does not leave one value: its caller built it.
void xr_verify_check(const XrVerifyBatch *batch, int32_t most_op);

#ifdef __cplusplus
}
#endif

#endif
