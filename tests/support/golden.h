// Tensors that an independent implementation computed (golden/README.md), and comparison with them.
#ifndef XR_TESTS_GOLDEN_H
#define XR_TESTS_GOLDEN_H

#include "shared/format/safetensors.h"

typedef struct XrGolden {
    XrSafetensors *files;
} XrGolden;

// Opens golden/<name>, e.g. "reference/gqa2_tied.two.safetensors"; fails the test if it cannot.
XrGolden xr_golden_open(const char *name);
void xr_golden_close(XrGolden *golden);

bool xr_golden_has(const XrGolden *golden, const char *name);
// The tensor; the test fails when there is none of that name and type. Belongs to `golden`.
XrTensor xr_golden_tensor(const XrGolden *golden, const char *name, XrDType dtype);
// "<prefix>/<name>": the tensors of one case of golden/ops.safetensors.
XrTensor xr_golden_of(const XrGolden *golden, const char *prefix, const char *name, XrDType dtype);
// The only element of a F64 or I64 tensor.
double xr_golden_number(const XrGolden *golden, const char *prefix, const char *name);
int64_t xr_golden_whole(const XrGolden *golden, const char *prefix, const char *name);

// Calls check(context, golden, prefix) for each case of an operation: for every distinct
// "<operation>/<case>" of the file, in order. Fails when there is none.
typedef void XrGoldenCase(void *context, const XrGolden *golden, const char *prefix);
void xr_golden_each_case(const XrGolden *golden, const char *operation, XrGoldenCase *check,
                         void *context);

// The largest |actual - expected| divided by the largest |expected|; infinite where actual holds
// NaN. Both are f32 in host memory.
double xr_relative_error(const float *actual, const float *expected, size_t count);

// Fails the test, naming `stage`, the place and the values, unless `actual` (f32, contiguous, host
// memory) has the shape of `expected` up to leading dimensions that multiply to the same number,
// and the relative error is at most `tolerance`.
void xr_assert_close(const char *stage, const XrTensor *actual, const XrTensor *expected,
                     double tolerance);
// Fails unless both hold the same whole numbers.
void xr_assert_same_ids(const char *stage, const int64_t *actual, size_t count,
                        const XrTensor *expected);

#endif
