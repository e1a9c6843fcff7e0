// Instructions that attention alone uses, beside those of cuda/intrinsics.h, and what the emulation
// has for them.
#ifndef XR_CUDA_ATTENTION_MATH_H
#define XR_CUDA_ATTENTION_MATH_H

#include "cuda/cuda.h"

#ifdef XR_CUDA_EMULATION

XR_DEVICE uint32_t xr_pack_bf16(float low, float high) {
    return xr_device_float_to_bf16(low) | (uint32_t)xr_device_float_to_bf16(high) << 16;
}

XR_DEVICE float xr_exp2(float x) {
    return x < -126 ? 0 : exp2f(x);
}

XR_DEVICE int xr_forget(int x) {
    return x;
}

#else

// Two numbers as bf16, the first in the lower half.
XR_DEVICE uint32_t xr_pack_bf16(float low, float high) {
    uint32_t pair;
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(high), "f"(low));
    return pair;
}

// 2^x with a relative error of 2^-22; below x = -126 it is 0.
XR_DEVICE float xr_exp2(float x) {
    float y;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
}

// x, of which the compiler does not know that it was computed before.
XR_DEVICE int xr_forget(int x) {
    asm volatile("" : "+r"(x));
    return x;
}

#endif

#endif
