// Tensors of numbers for cases.
#ifndef XR_BENCH_NUMBERS_H
#define XR_BENCH_NUMBERS_H

#include "shared/tensor/backend.h"

// A new tensor [rows, columns] in the backend's memory, with numbers in [-1,1) (floats) or 0
// (integers). Aborts without memory. Free with xr_tensor_free.
XrTensor xr_bench_tensor(XrBackend *b, XrDType dtype, int64_t rows, int64_t columns);
// [count] i32: 0, step, 2 step, ...
XrTensor xr_bench_range(XrBackend *b, int64_t count, int64_t step);

#endif
