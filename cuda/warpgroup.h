// The instructions of a warpgroup: the 128 threads of four warps, the first of them a multiple of
// four, multiply 64 rows at a time, asynchronously (compute capability 9.0, code for sm_90a; PTX
// ISA, "Asynchronous Warpgroup Level Matrix Multiply-Accumulate Instructions").
//
// Order of a round: xr_wgmma_fence over all registers that the products read or add to; products;
// xr_wgmma_commit; xr_wgmma_wait over the registers whose sums are there then, and those that were
// factors. Between a product and its wait nothing may touch its sums, its factors in registers, or
// its operands in shared memory. All lanes of a warp and all warps of a warpgroup go the same way.
#ifndef XR_CUDA_WARPGROUP_H
#define XR_CUDA_WARPGROUP_H

#include "cuda/intrinsics.h"

#ifdef XR_CUDA_EMULATION
#include "cuda/emulation/warpgroup.h"
#else

// Whether the code that runs is sm_90a's. Kernels with these instructions are compiled for other
// GPUs too, with nothing in them.
#ifdef __CUDA_ARCH_FEAT_SM90_ALL
#define XR_WARPGROUPS
#endif

XR_DEVICE bool xr_has_warpgroups() {
#ifdef XR_WARPGROUPS
    return true;
#else
    return false;
#endif
}

// Shared memory that this thread has written, by copies that it has waited for too, may be read by
// products of any thread behind a barrier that follows.
XR_DEVICE void xr_show_to_products() {
    asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
}

// The compiler knows of an asynchronous product no more than that it takes and gives registers. It
// may neither move the making of an operand behind the fence, nor the use of a sum before the wait.
template <int N> XR_DEVICE void xr_settle(float (&x)[N][4]) {
#pragma unroll
    for (int i = 0; i < N; i++) {
        asm volatile("" : "+f"(x[i][0]), "+f"(x[i][1]), "+f"(x[i][2]), "+f"(x[i][3])::"memory");
    }
}

template <int N> XR_DEVICE void xr_settle(uint32_t (&x)[N][4]) {
#pragma unroll
    for (int i = 0; i < N; i++) {
        asm volatile("" : "+r"(x[i][0]), "+r"(x[i][1]), "+r"(x[i][2]), "+r"(x[i][3])::"memory");
    }
}

template <typename... Registers> XR_DEVICE void xr_wgmma_fence(Registers &...registers) {
    (xr_settle(registers), ...);
    asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
}

// Closes a group of products.
XR_DEVICE void xr_wgmma_commit() {
    asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory");
}

// Waits for all but the `groups` youngest groups.
template <int groups, typename... Registers> XR_DEVICE void xr_wgmma_wait(Registers &...registers) {
    asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(groups) : "memory");
    (xr_settle(registers), ...);
}

#define XR_R32                                                                                     \
    "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, %16, %17, %18, %19, "   \
    "%20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31"
#define XR_R48                                                                                     \
    XR_R32 ", %32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47"
#define XR_R64                                                                                     \
    XR_R48 ", %48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63"
#define XR_F4(d) "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
#define XR_F16(d, n) XR_F4(d[n]), XR_F4(d[n + 1]), XR_F4(d[n + 2]), XR_F4(d[n + 3])
#define XR_F32(d) XR_F16(d, 0), XR_F16(d, 4)
#define XR_F48(d) XR_F32(d), XR_F16(d, 8)
#define XR_F64(d) XR_F48(d), XR_F16(d, 12)

// d[64,8N] = a[64,16] b[16,8N] in f32, plus d where `add`; a and b in bf16 by descriptors, both
// with 16 successive elements of the inner dimension in a row. Warp w of the warpgroup has rows
// 16w to 16w+15; with g = lane / 4 and t = lane % 4, a thread holds of columns 8n to 8n+7
//   d[n][0], d[n][1] (16w+g, 8n+2t..)        d[n][2], d[n][3] (16w+g+8, 8n+2t..)
XR_DEVICE void xr_wgmma(float (&d)[8][4], uint64_t a, uint64_t b, bool add) {
    asm volatile("{.reg .pred add; setp.ne.b32 add, %34, 0; "
                 "wgmma.mma_async.sync.aligned.m64n64k16.f32.bf16.bf16 {" XR_R32
                 "}, %32, %33, add, 1, 1, 0, 0;}"
                 : XR_F32(d)
                 : "l"(a), "l"(b), "r"((int)add)
                 : "memory");
}

XR_DEVICE void xr_wgmma(float (&d)[16][4], uint64_t a, uint64_t b, bool add) {
    asm volatile("{.reg .pred add; setp.ne.b32 add, %66, 0; "
                 "wgmma.mma_async.sync.aligned.m64n128k16.f32.bf16.bf16 {" XR_R64
                 "}, %64, %65, add, 1, 1, 0, 0;}"
                 : XR_F64(d)
                 : "l"(a), "l"(b), "r"((int)add)
                 : "memory");
}

// d[64,8N] += a[64,16] b[16,8N]: a in registers, for each warp's 16 rows as xr_mma_bf16 has it; b
// by a descriptor, with successive elements of a row of b (not of the inner dimension) together.
XR_DEVICE void xr_wgmma(float (&d)[8][4], const uint32_t (&a)[4], uint64_t b) {
    asm volatile("wgmma.mma_async.sync.aligned.m64n64k16.f32.bf16.bf16 {" XR_R32
                 "}, {%32, %33, %34, %35}, %36, 1, 1, 1, 1;"
                 : XR_F32(d)
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b)
                 : "memory");
}

XR_DEVICE void xr_wgmma(float (&d)[12][4], const uint32_t (&a)[4], uint64_t b) {
    asm volatile("wgmma.mma_async.sync.aligned.m64n96k16.f32.bf16.bf16 {" XR_R48
                 "}, {%48, %49, %50, %51}, %52, 1, 1, 1, 1;"
                 : XR_F48(d)
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b)
                 : "memory");
}

XR_DEVICE void xr_wgmma(float (&d)[16][4], const uint32_t (&a)[4], uint64_t b) {
    asm volatile("wgmma.mma_async.sync.aligned.m64n128k16.f32.bf16.bf16 {" XR_R64
                 "}, {%64, %65, %66, %67}, %68, 1, 1, 1, 1;"
                 : XR_F64(d)
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b)
                 : "memory");
}

#endif

// ---- operands in shared memory ----

// 16-byte chunks lie exchanged (PTX ISA, "Swizzling Modes"): bits 4 to 6 of their addresses are
// turned by bits 7 to 9, in rows of 128 bytes; or bits 4 and 5 by 7 and 8, in rows of 64.
enum XrSwizzle { XR_SWIZZLE_128 = 1, XR_SWIZZLE_64 = 2 };

// The descriptor ("Matrix Descriptor Format") of an operand that begins at `shared`, in patterns of
// 8 rows that are aligned to their size, 1,024 or 512 bytes. `stride`: bytes from 8 rows to the
// next 8. `leading`: bytes from one column of patterns to the next, where a row of the instruction
// goes over several, which it does where rows lie along the inner dimension; no meaning otherwise.
// All are multiples of 16; to add bytes / 16 to a descriptor moves the operand.
XR_DEVICE uint64_t xr_wgmma_operand(const void *shared, int leading, int stride,
                                    XrSwizzle swizzle) {
    return (uint64_t)((xr_shared_address(shared) & 0x3ffff) >> 4) | (uint64_t)(leading >> 4) << 16 |
           (uint64_t)(stride >> 4) << 32 | (uint64_t)swizzle << 62;
}

#endif
