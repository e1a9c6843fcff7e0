// Sums and maxima over the threads of a warp or a block, in one order that depends on the number of
// threads alone.
#ifndef XR_CUDA_REDUCE_H
#define XR_CUDA_REDUCE_H

#include "cuda/intrinsics.h"

enum { XR_MOST_WARPS = 32 };

// Every lane gets the sum: the lanes in pairs at distance 16, 8, 4, 2, 1.
template <typename T> XR_DEVICE T xr_warp_sum(T x) {
#pragma unroll
    for (int lanes = 16; lanes > 0; lanes /= 2) x += xr_shuffle_xor(x, lanes);
    return x;
}

// Not a number where any lane's is not.
XR_DEVICE float xr_warp_max(float x) {
#pragma unroll
    for (int lanes = 16; lanes > 0; lanes /= 2) {
        float other = xr_shuffle_xor(x, lanes);
        x = other > x || other != other ? other : x;
    }
    return x;
}

// Every thread of the (one-dimensional) block gets the sum: of each warp, then of the warps in
// order. `scratch` is shared memory of XR_MOST_WARPS elements that nobody else uses until the
// block's next barrier.
template <typename T> XR_DEVICE T xr_block_sum(T x, T *scratch) {
    int warp = (int)threadIdx.x / 32, warps = (int)blockDim.x / 32;
    x = xr_warp_sum(x);
    __syncthreads(); // the scratch may still be read from the time before
    if (threadIdx.x % 32 == 0) scratch[warp] = x;
    __syncthreads();
    T total = scratch[0];
    for (int i = 1; i < warps; i++) total += scratch[i];
    return total;
}

#endif
