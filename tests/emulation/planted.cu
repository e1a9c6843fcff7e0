#include "tests/emulation/planted.h"

#include "cuda/reduce.h"
#include "cuda/types.h"

XR_KERNEL(64) neighbours(float *out, bool with_barrier) {
    XR_SHARED(float, shared, 64);
    shared[threadIdx.x] = (float)threadIdx.x;
    if (with_barrier) __syncthreads();
    out[threadIdx.x] = shared[(threadIdx.x + 1) % 64];
}

extern "C" void xr_planted_neighbours(float *out, bool with_barrier) {
    XR_LAUNCH(neighbours, 2, 64, 0, NULL, out, with_barrier);
}

XR_KERNEL(64) warp_neighbours(float *out, bool with_barrier) {
    XR_SHARED(float, shared, 64);
    const unsigned first = threadIdx.x / 32 * 32;
    shared[threadIdx.x] = (float)threadIdx.x;
    if (with_barrier) xr_sync_warp();
    out[threadIdx.x] = shared[first + (threadIdx.x + 1) % 32];
}

extern "C" void xr_planted_warp_neighbours(float *out, bool with_barrier) {
    XR_LAUNCH(warp_neighbours, 1, 64, 0, NULL, out, with_barrier);
}

XR_KERNEL(64) two_barriers() {
    if (threadIdx.x < 32) {
        __syncthreads();
    } else {
        __syncthreads();
    }
}

extern "C" void xr_planted_two_barriers(void) {
    XR_LAUNCH(two_barriers, 1, 64, 0, NULL);
}

XR_KERNEL(64) missing_threads() {
    if (threadIdx.x >= 32) return;
    __syncthreads();
}

extern "C" void xr_planted_missing_threads(void) {
    XR_LAUNCH(missing_threads, 1, 64, 0, NULL);
}

XR_KERNEL(32) half_shuffle(float *out) {
    if (threadIdx.x < 16) out[threadIdx.x] = xr_shuffle_xor((float)threadIdx.x, 1);
}

extern "C" void xr_planted_half_shuffle(float *out) {
    XR_LAUNCH(half_shuffle, 1, 32, 0, NULL, out);
}

XR_KERNEL(32) write(float *out, int64_t at) {
    if (threadIdx.x == 3) out[at] = 1;
}

extern "C" void xr_planted_write(float *out, int64_t at) {
    XR_LAUNCH(write, 1, 32, 0, NULL, out, at);
}

XR_KERNEL(32) read(float *out, const float *in, int64_t at) {
    if (threadIdx.x == 3) out[0] = in[at];
}

extern "C" void xr_planted_read(float *out, const float *in, int64_t at) {
    XR_LAUNCH(read, 1, 32, 0, NULL, out, in, at);
}

XR_KERNEL(32) shared_write(int64_t at) {
    XR_SHARED(float, first, 64);
    XR_SHARED(float, second, 64);
    first[threadIdx.x] = second[threadIdx.x] = 0;
    if (threadIdx.x == 3) first[at] = 1;
}

extern "C" void xr_planted_shared_write(int64_t at) {
    XR_LAUNCH(shared_write, 1, 32, 0, NULL, at);
}

template <bool asked> XR_KERNEL(32) much_shared() {
    XR_DYNAMIC_SHARED(float, memory);
    memory[threadIdx.x] = 0;
}

extern "C" bool xr_planted_much_shared(int bytes, bool asked) {
    auto kernel = asked ? much_shared<true> : much_shared<false>;
    if (asked && cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, bytes) !=
                     cudaSuccess) {
        return false;
    }
    XR_LAUNCH_UNCHECKED(kernel, 1, 32, (size_t)bytes, NULL);
    return cudaGetLastError() == cudaSuccess;
}

XR_KERNEL(64) copy(float *out, const float *in, bool wait) {
    XR_SHARED(float, shared, 256);
    xr_copy_async(shared + threadIdx.x * 4, in + threadIdx.x * 4, 16);
    xr_copy_commit();
    if (wait) xr_copy_wait<0>();
    __syncthreads();
    for (unsigned i = 0; i < 4; i++) out[threadIdx.x + 64 * i] = shared[threadIdx.x + 64 * i];
    __syncthreads();
    xr_copy_wait<0>();
}

extern "C" void xr_planted_copy(float *out, const float *in, bool wait) {
    XR_LAUNCH(copy, 1, 64, 0, NULL, out, in, wait);
}

XR_KERNEL(32) mma(float *d, const uint16_t *a, const uint16_t *b, bool transposed) {
    XR_SHARED(uint16_t, tile_a, 256);
    XR_SHARED(uint16_t, tile_b, 128);
    const int lane = (int)threadIdx.x;
    for (int i = lane; i < 256; i += 32) tile_a[i] = a[i];
    for (int i = lane; i < 128; i += 32) tile_b[i] = b[i];
    __syncthreads();
    uint32_t x[4], y[4];
    xr_load_matrices(x, tile_a + (lane % 16) * 16 + lane / 16 * 8);
    // Two matrices are wanted; the other two repeat them.
    if (transposed) {
        xr_load_matrices_transposed(y, tile_b + (lane % 16) * 8);
    } else {
        xr_load_matrices(y, tile_b + (lane % 8) * 16 + lane / 8 % 2 * 8);
    }
    float sum[4] = {0, 0, 0, 0};
    xr_mma_bf16(sum, x, y);
    for (int i = 0; i < 4; i++) d[(lane / 4 + i / 2 * 8) * 8 + lane % 4 * 2 + i % 2] = sum[i];
}

extern "C" void xr_planted_mma(float *d, const uint16_t *a, const uint16_t *b, bool transposed) {
    XR_LAUNCH(mma, 1, 32, 0, NULL, d, a, b, transposed);
}

XR_KERNEL(32) shuffles(float *out, uint32_t *ballot) {
    const int lane = (int)threadIdx.x;
    out[lane] = xr_warp_sum((float)(lane * lane));
    out[32 + lane] = xr_shuffle_down((float)lane, 1);
    out[64 + lane] = xr_shuffle_up((float)lane, 1);
    out[96 + lane] = xr_shuffle_from((float)lane, 5);
    const uint32_t odd = xr_ballot(lane % 2 == 1);
    if (lane == 0) *ballot = odd;
}

extern "C" void xr_planted_shuffles(float *out, uint32_t *ballot) {
    XR_LAUNCH(shuffles, 1, 32, 0, NULL, out, ballot);
}

XR_KERNEL(256) halves(float *out, uint16_t *back) {
    const unsigned i = blockIdx.x * 256 + threadIdx.x;
    XrHalf half;
    out[i] = xr_to_float(XrHalf{(uint16_t)i});
    xr_assign(half, out[i]);
    back[i] = half.bits;
}

extern "C" void xr_planted_halves(float *out, uint16_t *back) {
    XR_LAUNCH(halves, 256, 256, 0, NULL, out, back);
}
