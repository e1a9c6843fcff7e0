// How kernels are written and launched. Every file of cuda/ compiles twice: by nvcc for GPUs, and
// as ordinary C++ against cuda/emulation/ (docs/cuda.md).
#ifndef XR_CUDA_LAUNCH_H
#define XR_CUDA_LAUNCH_H

#include <cuda_runtime.h>
#include <stdint.h>

#ifdef XR_CUDA_EMULATION
#include "cuda/emulation/device.h"
#else

#define XR_DEVICE static __device__ __forceinline__
// A function of a struct that device code calls.
#define XR_DEVICE_MEMBER __device__ __forceinline__
// A kernel of at most `threads` threads a block: XR_KERNEL(256) add(float *x, int64_t n) {...}
#define XR_KERNEL(threads) static __global__ void __launch_bounds__(threads)

// Shared memory of a block, aligned to 128 bytes and uninitialised.
#define XR_SHARED(type, name, count) __shared__ __align__(128) type name[count]
// What the launch asked for beyond that.
#define XR_DYNAMIC_SHARED(type, name)                                                              \
    extern __shared__ __align__(1024) unsigned char xr_dynamic_shared[];                           \
    type *name = (type *)xr_dynamic_shared

// Ends the program with a message where `condition` does not hold: an index from outside the table
// that it points into, say.
#define XR_DEVICE_REQUIRE(condition, format, ...)                                                  \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            printf("xreasoner: bug on the GPU at %s:%d: " format "\n", __FILE__, __LINE__,         \
                   ##__VA_ARGS__);                                                                 \
            __trap();                                                                              \
        }                                                                                          \
    } while (0)

// XR_LAUNCH((kernel<float>), grid, block, shared bytes, stream, arguments...). Block sizes are
// multiples of 32. XR_LAUNCH_UNCHECKED leaves the status to cudaGetLastError.
#define XR_LAUNCH_UNCHECKED(kernel, grid, block, shared, stream, ...)                              \
    kernel<<<(grid), (block), (shared), (stream)>>>(__VA_ARGS__)

#include <stdio.h> // defines: printf, for XR_DEVICE_REQUIRE
#endif

#define XR_LAUNCH(kernel, grid, block, shared, stream, ...)                                        \
    do {                                                                                           \
        XR_LAUNCH_UNCHECKED(kernel, grid, block, shared, stream, ##__VA_ARGS__);                   \
        xr_cuda_check(cudaGetLastError(), #kernel);                                                \
    } while (0)

// Where a CUDA call failed inside an operation, what was being done is named with what to do about
// it, and the program ends (cuda/cuda.cu): the GPU's memory cannot be trusted any more.
void xr_cuda_check(cudaError_t status, const char *what);

#endif
