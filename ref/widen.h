// Weights as they lie in a file, read as f32.
#ifndef XR_REF_WIDEN_H
#define XR_REF_WIDEN_H

#include "shared/tensor/tensor.h"

// out[i] = from[first + i], i < count, of an f32, bf16 or f16 tensor's elements, which need not be
// aligned for their type. Exact.
void xr_cpu_widen(float *out, const XrTensor *from, int64_t first, int64_t count);

// The CPU computes with f32 activations: aborts, naming the operation, where `t` is of another
// type.
void xr_cpu_require_f32(const XrTensor *t, const char *operation);

#endif
