// The instructions that CUDA C has no word for, or that differ between GPU and emulation: one
// inline function each. cuda/emulation/device.h has the same functions for the CPU.
#ifndef XR_CUDA_INTRINSICS_H
#define XR_CUDA_INTRINSICS_H

#include "cuda/launch.h"

#ifndef XR_CUDA_EMULATION

XR_DEVICE uint16_t xr_device_float_to_bf16(float x) {
    uint16_t bits;
    asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(bits) : "f"(x));
    return bits;
}

XR_DEVICE uint16_t xr_device_float_to_half(float x) {
    uint16_t bits;
    asm("cvt.rn.f16.f32 %0, %1;" : "=h"(bits) : "f"(x));
    return bits;
}

XR_DEVICE float xr_device_half_to_float(uint16_t bits) {
    float x;
    asm("cvt.f32.f16 %0, %1;" : "=f"(x) : "h"(bits));
    return x;
}

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

// x, of which the compiler does not know that it was computed before: what is made from it is made
// anew and takes no register in between.
XR_DEVICE int xr_forget(int x) {
    asm volatile("" : "+r"(x));
    return x;
}

// ---- a warp's 32 threads; all of them must come here ----

// What is written before is not put off until after what is written behind: without it ptxas lets
// products run ahead of the sums that they are for, as far as registers go and further.
XR_DEVICE void xr_keep_order() {
    __syncwarp();
}

enum : unsigned { XR_WARP = 0xffffffffu };

template <typename T> XR_DEVICE T xr_shuffle_xor(T x, int lanes) {
    return __shfl_xor_sync(XR_WARP, x, lanes);
}

template <typename T> XR_DEVICE T xr_shuffle_from(T x, int lane) {
    return __shfl_sync(XR_WARP, x, lane);
}

template <typename T> XR_DEVICE T xr_shuffle_up(T x, int lanes) {
    return __shfl_up_sync(XR_WARP, x, lanes); // the lowest `lanes` lanes keep their own
}

template <typename T> XR_DEVICE T xr_shuffle_down(T x, int lanes) {
    return __shfl_down_sync(XR_WARP, x, lanes); // the highest `lanes` lanes keep their own
}

XR_DEVICE uint32_t xr_ballot(bool condition) {
    return __ballot_sync(XR_WARP, condition);
}

XR_DEVICE void xr_sync_warp() {
    __syncwarp();
}

// ---- sums of whole numbers in shared memory, which no order of threads changes ----

XR_DEVICE void xr_atomic_add(unsigned long long *shared, unsigned long long x) {
    atomicAdd(shared, x);
}

// ---- tensor cores (sm_80) ----

XR_DEVICE uint32_t xr_shared_address(const void *shared) {
    return (uint32_t)__cvta_generic_to_shared(shared);
}

// d[16,8] += a[16,16] b[16,8] in f32, a row-major and b column-major in bf16. With g = lane / 4 and
// t = lane % 4, a thread holds
//   a[0] (g, 2t..)  a[1] (g+8, 2t..)  a[2] (g, 2t+8..)  a[3] (g+8, 2t+8..)     two columns each
//   b[0] rows 2t.. of column g        b[1] rows 2t+8.. of column g             two rows each
//   d[0], d[1] (g, 2t..)              d[2], d[3] (g+8, 2t..)
XR_DEVICE void xr_mma_bf16(float d[4], const uint32_t a[4], const uint32_t b[2]) {
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 "
                 "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
                 : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

// Loads four 8 x 8 matrices of 2-byte elements: lane 8 m + r gives the address (16-byte aligned, in
// shared memory) of row r of matrix m; out[m] of lane l holds elements 2 (l % 4) and the next of
// row l / 4 of matrix m. `transposed`: elements l / 4 of rows 2 (l % 4) and the next.
XR_DEVICE void xr_load_matrices(uint32_t out[4], const void *row) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(out[0]), "=r"(out[1]), "=r"(out[2]), "=r"(out[3])
                 : "r"(xr_shared_address(row))
                 : "memory");
}

XR_DEVICE void xr_load_matrices_transposed(uint32_t out[4], const void *row) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(out[0]), "=r"(out[1]), "=r"(out[2]), "=r"(out[3])
                 : "r"(xr_shared_address(row))
                 : "memory");
}

// ---- copies from global to shared memory that run beside the computation (sm_80) ----

// 16 bytes, both sides aligned to them; only the first `bytes` (0..16) are read, the rest become 0.
XR_DEVICE void xr_copy_async(void *shared, const void *global, int bytes) {
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(xr_shared_address(shared)),
                 "l"(global), "r"(bytes)
                 : "memory");
}

// 4 bytes, both sides aligned to them.
XR_DEVICE void xr_copy_word_async(void *shared, const void *global, int bytes) {
    asm volatile("cp.async.ca.shared.global [%0], [%1], 4, %2;" ::"r"(xr_shared_address(shared)),
                 "l"(global), "r"(bytes)
                 : "memory");
}

// Closes a group of this thread's copies.
XR_DEVICE void xr_copy_commit() {
    asm volatile("cp.async.commit_group;" ::: "memory");
}

// Waits until all but the `groups` youngest groups of this thread have arrived. Other threads'
// copies are visible after a __syncthreads() that follows.
template <int groups> XR_DEVICE void xr_copy_wait() {
    asm volatile("cp.async.wait_group %0;" ::"n"(groups) : "memory");
}

#endif
#endif
