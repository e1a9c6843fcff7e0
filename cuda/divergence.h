// The debug mode of the CUDA backend that compares each operation with the CPU's (docs/cuda.md).
#ifndef XR_CUDA_DIVERGENCE_H
#define XR_CUDA_DIVERGENCE_H

#include "shared/tensor/backend.h"

#ifdef __cplusplus
extern "C" {
#endif

// From now on every operation of this CUDA backend is followed by the CPU's on copies of the same
// data. The first difference beyond `factor` times the tolerance (shared/tensor/tolerance.c) ends
// the program with exit status 1 and a message: operation, shapes and types, where, both values.
void xr_cuda_find_divergence(XrBackend *b, double factor);
// Says on stderr how many operations agreed, and goes back; nothing where the mode is off.
void xr_cuda_end_divergence(XrBackend *b);

// Turns the mode on where the environment variable XR_CUDA_CHECK is set, to the factor. False where
// that is no positive number.
bool xr_cuda_divergence_from_environment(XrBackend *b, XrError *err);

#ifdef __cplusplus
}
#endif

#endif
