// Backends by name, for tests of whole models.
#ifndef XR_TESTS_BACKENDS_H
#define XR_TESTS_BACKENDS_H

#include "shared/tensor/backend.h"

// Whole models are run on an emulated GPU but where every access of its kernels is checked, which
// takes a hundred times as long; there the rows of operations are.
#if defined XR_TEST_CUDA && !defined XR_SANITIZED
#define XR_TEST_MODELS_ON_CUDA
#endif

// "3": the CPU on three threads. "cuda": a GPU with activations in f32, on which rows do not depend
// on each other; "cuda.bf16": in bf16 where the weights are not f32; "cuda.bf16.invariant": rows do
// not depend on each other there either. The emulated GPU has products of warpgroups. Skips the
// calling test, saying why, where there is no GPU. Free it with xr_backend_free.
XrBackend *xr_test_backend(const char *name);

#endif
