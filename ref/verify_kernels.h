#ifndef XR_REF_VERIFY_KERNELS_H
#define XR_REF_VERIFY_KERNELS_H

#include "ref/isa.h"
#include "ref/verify.h"

typedef struct XrVerifyKernels {
    // One program at one block of points; `lanes` of them count.
    void (*real)(const XrVerifyBatch *batch, int32_t program, const double *at, int lanes,
                 double *value, double *error);
    void (*modular)(const XrVerifyBatch *batch, int32_t program, int bits, const uint64_t *at,
                    int lanes, uint64_t *value);
} XrVerifyKernels;

XR_DECLARE_KERNELS(XrVerifyKernels, xr_verify_kernels);

#endif
