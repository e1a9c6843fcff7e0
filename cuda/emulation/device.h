// What device code sees in the emulation: built-in variables, barriers, the instructions of
// cuda/intrinsics.h with the operands laid out over the lanes as the PTX manual says. A block's
// threads are fibers (cuda/emulation/fibers.cpp), which run one at a time until they wait.
#ifndef XR_EMULATION_DEVICE_H
#define XR_EMULATION_DEVICE_H

#include <cuda_runtime.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define XR_DEVICE static inline
#define XR_DEVICE_MEMBER inline
#define XR_KERNEL(threads) static void

struct XrPlace3 {
    unsigned x, y, z;
};
struct dim3 {
    unsigned x, y, z;
    constexpr dim3(unsigned x = 1, unsigned y = 1, unsigned z = 1) : x(x), y(y), z(z) {
    }
};

extern XrPlace3 threadIdx, blockIdx;
extern dim3 blockDim, gridDim;

// Where device code waits: barriers and collectives must be the same one for all who come.
struct XrSite {
    const char *operation, *file;
    int line;
};
#define XR_HERE(name)                                                                              \
    XrSite {                                                                                       \
        name, file, line                                                                           \
    }
#define XR_CALLER const char *file = __builtin_FILE(), int line = __builtin_LINE()

// ---- cuda/emulation/fibers.cpp ----

// `kernel` is a kernel's name, `function` its address; `closure` may be copied byte by byte.
void xr_emulation_launch(const char *kernel, const void *function, dim3 grid, dim3 block,
                         size_t shared, cudaStream_t stream, void (*run)(void *), void *closure,
                         size_t closure_bytes);
void xr_emulation_barrier(XrSite site);
// Every lane of the warp hands in and receives data; the last to come runs combine(in, out) over
// the 32 lanes' pointers.
typedef void XrCombine(const void *const in[32], void *const out[32]);
void xr_emulation_collective(XrSite site, const void *in, void *out, XrCombine *combine);
void xr_emulation_sync_warp(XrSite site);
int xr_emulation_lane(void);
[[noreturn]] void xr_emulation_error(const char *format, ...) __attribute__((format(printf, 1, 2)));

// ---- cuda/emulation/memory.cpp ----

// The block's shared array that belongs to `key`.
void *xr_emulation_shared(const void *key, size_t bytes);
void *xr_emulation_dynamic_shared(void);
void xr_emulation_copy_async(void *shared, const void *global, int bytes, int size, XrSite site);
void xr_emulation_copy_commit(void);
void xr_emulation_copy_wait(int groups);

#define XR_SHARED(type, name, count)                                                               \
    static const char name##_key = 0;                                                              \
    type *name = (type *)xr_emulation_shared(&name##_key, sizeof(type) * (size_t)(count))
#define XR_DYNAMIC_SHARED(type, name) type *name = (type *)xr_emulation_dynamic_shared()
#define XR_DEVICE_REQUIRE(condition, format, ...)                                                  \
    do {                                                                                           \
        if (!(condition))                                                                          \
            xr_emulation_error("bug on the GPU at %s:%d: " format, __FILE__, __LINE__,             \
                               ##__VA_ARGS__);                                                     \
    } while (0)

template <typename Closure> static void xr_emulation_run_closure(void *closure) {
    (*(Closure *)closure)();
}
// Arguments are copied at the launch, as a GPU has them.
template <typename... Parameters, typename... Arguments>
static void xr_emulation_launch_call(const char *name, dim3 grid, dim3 block, size_t shared,
                                     cudaStream_t stream, void (*kernel)(Parameters...),
                                     Arguments... arguments) {
    auto closure = [=] { kernel((Parameters)arguments...); };
    static_assert(__is_trivially_copyable(decltype(closure)), "arguments are copied as bytes");
    xr_emulation_launch(name, (const void *)kernel, grid, block, shared, stream,
                        xr_emulation_run_closure<decltype(closure)>, &closure, sizeof closure);
}
#define XR_LAUNCH_UNCHECKED(kernel, grid, block, shared, stream, ...)                              \
    xr_emulation_launch_call(#kernel, (grid), (block), (shared), (stream), (kernel), ##__VA_ARGS__)

static inline void __syncthreads(XR_CALLER) {
    xr_emulation_barrier(XR_HERE("__syncthreads"));
}

// ---- arithmetic ----

static inline float __uint_as_float(uint32_t bits) {
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}
static inline uint32_t __float_as_uint(float x) {
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}
static inline float rsqrtf(float x) {
    return 1 / sqrtf(x);
}
static inline int __popc(uint32_t x) {
    return __builtin_popcount(x);
}
static inline int __ffs(int x) {
    return __builtin_ffs(x);
}
static inline int __clz(int x) {
    return x ? __builtin_clz((unsigned)x) : 32;
}
template <typename T> static inline T min(T a, T b) {
    return b < a ? b : a;
}
template <typename T> static inline T max(T a, T b) {
    return a < b ? b : a;
}

static inline uint16_t xr_device_float_to_bf16(float x) {
    uint32_t bits = __float_as_uint(x);
    if (x != x) return 0x7fff;
    return (uint16_t)((bits + 0x7fffu + (bits >> 16 & 1)) >> 16);
}
uint16_t xr_device_float_to_half(float x);
float xr_device_half_to_float(uint16_t bits);
static inline uint32_t xr_pack_bf16(float low, float high) {
    return xr_device_float_to_bf16(low) | (uint32_t)xr_device_float_to_bf16(high) << 16;
}
static inline float xr_exp2(float x) {
    return x < -126 ? 0 : exp2f(x);
}
static inline void xr_keep_order() {
}

static inline int xr_forget(int x) {
    return x;
}

// ---- a warp ----

template <typename T> struct XrShuffle {
    T value;
    int from;
};

// Reads other lanes' variables, which kernels may not.
template <typename T>
__attribute__((no_sanitize("thread"))) static void xr_combine_shuffle(const void *const in[32],
                                                                      void *const out[32]) {
    for (int lane = 0; lane < 32; lane++) {
        int from = ((const XrShuffle<T> *)in[lane])->from;
        *(T *)out[lane] = ((const XrShuffle<T> *)in[from])->value;
    }
}

template <typename T> static T xr_emulation_shuffle(T x, int from, XrSite site) {
    XrShuffle<T> in = {x, from};
    T out = x;
    xr_emulation_collective(site, &in, &out, xr_combine_shuffle<T>);
    return out;
}

template <typename T> static inline T xr_shuffle_xor(T x, int lanes, XR_CALLER) {
    return xr_emulation_shuffle(x, xr_emulation_lane() ^ lanes, XR_HERE("shuffle"));
}
template <typename T> static inline T xr_shuffle_from(T x, int lane, XR_CALLER) {
    return xr_emulation_shuffle(x, lane & 31, XR_HERE("shuffle"));
}
template <typename T> static inline T xr_shuffle_up(T x, int lanes, XR_CALLER) {
    int lane = xr_emulation_lane();
    return xr_emulation_shuffle(x, lane >= lanes ? lane - lanes : lane, XR_HERE("shuffle"));
}
template <typename T> static inline T xr_shuffle_down(T x, int lanes, XR_CALLER) {
    int lane = xr_emulation_lane();
    return xr_emulation_shuffle(x, lane + lanes < 32 ? lane + lanes : lane, XR_HERE("shuffle"));
}

void xr_combine_ballot(const void *const in[32], void *const out[32]);
static inline uint32_t xr_ballot(bool condition, XR_CALLER) {
    uint32_t out = 0;
    xr_emulation_collective(XR_HERE("ballot"), &condition, &out, xr_combine_ballot);
    return out;
}
static inline void xr_sync_warp(XR_CALLER) {
    xr_emulation_sync_warp(XR_HERE("sync_warp"));
}

// ---- atomics: threads run one at a time; the access is checked, but is no race ----

void xr_emulation_atomic_add(unsigned long long *shared, unsigned long long x);
static inline void xr_atomic_add(unsigned long long *shared, unsigned long long x) {
    xr_emulation_atomic_add(shared, x);
}

// ---- tensor cores ----

struct XrMma {
    const float *d;
    const uint32_t *a, *b;
};
void xr_combine_mma(const void *const in[32], void *const out[32]);
static inline void xr_mma_bf16(float d[4], const uint32_t a[4], const uint32_t b[2], XR_CALLER) {
    XrMma in = {d, a, b};
    xr_emulation_collective(XR_HERE("mma"), &in, d, xr_combine_mma);
}

void xr_emulation_load_matrices(uint32_t out[4], const void *row, bool transposed, XrSite site);
static inline void xr_load_matrices(uint32_t out[4], const void *row, XR_CALLER) {
    xr_emulation_load_matrices(out, row, false, XR_HERE("ldmatrix"));
}
static inline void xr_load_matrices_transposed(uint32_t out[4], const void *row, XR_CALLER) {
    xr_emulation_load_matrices(out, row, true, XR_HERE("ldmatrix"));
}

// ---- asynchronous copies: made only when they are waited for, so that reading too early shows
// ----

static inline void xr_copy_async(void *shared, const void *global, int bytes, XR_CALLER) {
    xr_emulation_copy_async(shared, global, bytes, 16, XR_HERE("cp.async"));
}
static inline void xr_copy_word_async(void *shared, const void *global, int bytes, XR_CALLER) {
    xr_emulation_copy_async(shared, global, bytes, 4, XR_HERE("cp.async"));
}
static inline void xr_copy_commit() {
    xr_emulation_copy_commit();
}
template <int groups> static inline void xr_copy_wait() {
    xr_emulation_copy_wait(groups);
}

#endif
