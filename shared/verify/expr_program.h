// Pairs of expressions as programs in postfix form (ref/verify.h), and what their values at many
// points say.
#ifndef XR_VERIFY_EXPR_PROGRAM_H
#define XR_VERIFY_EXPR_PROGRAM_H

#include "ref/verify.h"
#include "shared/verify/math_context.h"

enum { XR_PROGRAM_STEPS = 600, XR_PROGRAM_CONSTANTS = 120 };

typedef struct XrProgram {
    XrVerifyStep steps[XR_PROGRAM_STEPS];
    int32_t begins[3];
    double constants[XR_PROGRAM_CONSTANTS];
    uint64_t residues[XR_PROGRAM_CONSTANTS];
    int32_t variable[XR_EXPR_SYMBOLS]; // index of a symbol's variable, or -1
    int32_t count, constant_count, variables;
} XrProgram;

// Compiles the pair for real numbers (bits 0) or for the field of 2^bits - 1 elements. false when
// it holds something that has no operation, or is too long.
bool xr_program_compile(XrProgram *program, const XrExpr *a, const XrExpr *b, int bits,
                        XrWork *work);

// Values at points of two prime fields: XR_FALSE when they differ somewhere, XR_TRUE when they
// agree at all points (which different rational functions of degree d do with a chance of d^8/2^488
// at most), undecided when the pair does not compile.
XrTruth xr_points_modular(XrMath *math, const XrExpr *a, const XrExpr *b);

// One point of each kind (small, below 1, negative, larger) for every trial number; `whole` marks
// the variables that stand for whole numbers. A dyadic number of at most 30 bits.
double xr_point_value(uint64_t seed, int symbol, int trial, bool whole);

// Values at real points in double precision with error bounds: XR_FALSE when they certainly differ
// where both are defined, undecided otherwise.
XrTruth xr_points_real(XrMath *math, const XrExpr *a, const XrExpr *b,
                       const bool whole[XR_EXPR_SYMBOLS]);

#endif
