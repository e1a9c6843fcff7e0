#ifndef XR_REF_YARDSTICK_KERNELS_H
#define XR_REF_YARDSTICK_KERNELS_H

#include "ref/isa.h"

#include <stdint.h>

typedef struct XrYardstickKernels {
    int64_t operations; // of a round of `multiply`
    // The sum of `count` numbers.
    float (*read)(const float *numbers, int64_t count);
    // Rounds of independent multiply-adds; returns something that depends on all of them.
    float (*multiply)(int64_t rounds);
} XrYardstickKernels;

XR_DECLARE_KERNELS(XrYardstickKernels, xr_yardstick_kernels);

#endif
