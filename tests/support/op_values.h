// Numbers of a tensor's element types, and the numbers that tests are made of.
#ifndef XR_TESTS_OP_VALUES_H
#define XR_TESTS_OP_VALUES_H

#include "shared/tensor/tensor.h"

// Rounds to the nearest number of the type, ties to even.
double xr_round_to(XrDType dtype, double value);
// One element of the type at `bytes`, which need not be aligned.
void xr_store(XrDType dtype, void *bytes, double value);
double xr_load(XrDType dtype, const void *bytes);

// A number in [0,1) that depends on the name and the index alone, with no period.
double xr_noise(const char *name, int64_t i);

// `count` numbers of [-1, 1), freed by the caller with free.
float *xr_test_numbers(int64_t count);

#endif
