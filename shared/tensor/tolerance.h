// How far an operation's output may be from the value in double (or from golden data): the one
// table that tests and the debug mode of the CUDA backend go by. An element passes when |got -
// want| <= relative |want| + absolute rms(want), rms over the whole output, or the size of the
// terms that cancel in it, where a test gives that, of all elements or of each, or the debug mode
// finds it element by element (cuda/divergence_terms.cu).
//
// A row names an operation and, where its outputs differ, one output. f32 has a rounding error of
// 6e-8. An output in bf16 may be off by its rounding, 2^-8 |want|, beside; where activations are
// bf16 and the operation rounds what lies between to bf16 too, `low` rms(want) is added. Another
// backend's result must be as near to the CPU's. Nothing here is loosened without its reason beside
// it.
#ifndef XR_TENSOR_TOLERANCE_H
#define XR_TENSOR_TOLERANCE_H

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct XrTolerance {
    const char *op, *arg; // arg NULL: the outputs that have no row of their own
    double relative, absolute, low;
} XrTolerance;

extern const XrTolerance XR_TOLERANCES[]; // ends with op NULL

// The row of an output; aborts where there is none.
XrTolerance xr_tolerance_of(const char *op, const char *arg);
// The same with `roundings` to bf16 added, and without `low` where activations are not bf16.
XrTolerance xr_tolerance_for(const char *op, const char *arg, bool low_activations, int roundings);

// How many times the tolerance two numbers are apart; infinite where only one is finite.
double xr_tolerance_excess(double got, double want, const XrTolerance *t, double scale);

#ifdef __cplusplus
}
#endif

#endif
