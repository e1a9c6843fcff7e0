// Values of many expressions at many points on the GPU, the twin of ref/verify.h: the same bits,
// hence the same verdicts.
#ifndef XR_CUDA_VERIFY_H
#define XR_CUDA_VERIFY_H

#include "ref/verify.h"
#include "shared/tensor/backend.h"

#ifdef __cplusplus
extern "C" {
#endif

// As xr_verify_real and xr_verify_modular; all pointers are to host memory.
void xr_cuda_verify_real(XrBackend *b, const XrVerifyBatch *batch, const double *at, double *value,
                         double *error);
void xr_cuda_verify_modular(XrBackend *b, const XrVerifyBatch *batch, int bits, const uint64_t *at,
                            uint64_t *value);

#ifdef __cplusplus
}
#endif
#endif
