// Rows of activation functions, compiled for each instruction set (ref/isa.h).
#ifndef XR_REF_ACTIVATION_KERNELS_H
#define XR_REF_ACTIVATION_KERNELS_H

#include "ref/isa.h"

#include <stdint.h>

typedef struct XrActivationKernels {
    // h[i] = silu(gate[i]) up[i].
    void (*swiglu)(float *h, const float *gate, const float *up, int64_t n);
    // Its gradients; outputs may be the inputs' memory.
    void (*swiglu_backward)(float *dgate, float *dup, const float *dh, const float *gate,
                            const float *up, int64_t n);
    // y[i] = x[i] Phi(x[i]), and dx[i] = dy[i] (Phi(x[i]) + x[i] phi(x[i])); outputs may be inputs.
    void (*gelu)(float *y, const float *x, int64_t n);
    void (*gelu_backward)(float *dx, const float *dy, const float *x, int64_t n);
} XrActivationKernels;

XR_DECLARE_KERNELS(XrActivationKernels, xr_activation_kernels);

#endif
