// Loops over parameters, compiled for each instruction set (ref/isa.h).
#ifndef XR_REF_OPTIMIZER_KERNELS_H
#define XR_REF_OPTIMIZER_KERNELS_H

#include "ref/isa.h"

#include <stdint.h>

// A step of AdamW in the numbers that every element needs.
typedef struct XrAdamWFactors {
    float keep;         // 1 - lr weight_decay
    float rate;         // lr / (1 - beta1^step)
    float root;         // 1 / sqrt(1 - beta2^step)
    float take1;        // 1 - beta1
    float beta2, take2; // 1 - beta2
    float eps, grad_scale;
} XrAdamWFactors;

typedef struct XrOptimizerKernels {
    void (*adamw)(float *p, float *m, float *v, const float *grad, int64_t n, XrAdamWFactors f);
} XrOptimizerKernels;

XR_DECLARE_KERNELS(XrOptimizerKernels, xr_optimizer_kernels);

#endif
