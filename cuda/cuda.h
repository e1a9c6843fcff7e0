// The CUDA backend's own matters, shared by the files of cuda/.
#ifndef XR_CUDA_CUDA_H
#define XR_CUDA_CUDA_H

#include <cublasLt.h>

#include "cuda/launch.h"
#include "cuda/types.h"
#include "shared/base/memory.h" // defines: XR_MIN, XR_MAX
#include "shared/tensor/backend.h"

// Every operation of the table is xr_cuda_NAME in the file of its family.
#define XR_DECLARE_CUDA_OP(name, parameters, arguments)                                            \
    extern "C" void xr_cuda_##name(XrBackend *b, XR_UNWRAP parameters);
XR_OPS(XR_DECLARE_CUDA_OP)

// The stream that all of a backend's work goes to, in order.
cudaStream_t xr_cuda_stream(XrBackend *b);
// What cuda/divergence.cu knows; NULL where its mode is off.
struct XrCudaDivergence *&xr_cuda_divergence(XrBackend *b);
int xr_cuda_multiprocessors(XrBackend *b);
// Whether kernels may use the instructions of cuda/warpgroup.h.
bool xr_cuda_has_warpgroups(XrBackend *b);

// cuBLASLt, opened at first use, and what cuda/linear.cu remembers of its algorithms. A backend is
// driven by one thread, so that these, like its stream and its scratch memory, need no lock.
typedef struct XrCudaBlas {
    cublasLtHandle_t handle;
    struct XrBlasChoice *choices; // by malloc; NULL before the first product
} XrCudaBlas;
XrCudaBlas *xr_cuda_blas(XrBackend *b);

size_t xr_cuda_kv_page_bytes(XrBackend *b, XrDType dtype, int kv_heads, int head_dim);

// Scratch memory on the device, aligned to 256 bytes, at least `bytes` long; its contents last
// until the next call for the same slot. It grows and is kept, so that steps after the first
// allocate nothing. An operation takes at most one piece from each slot.
typedef enum XrScratch {
    XR_SCRATCH_PARTIAL, // partial sums, lists
    XR_SCRATCH_SUMS,    // of blocks, which another kernel adds
    XR_SCRATCH_ALIGNED, // what xr_cuda_aligned copies
    XR_SCRATCH_OPERAND, // converted operands
    XR_SCRATCH_OPERAND_2,
    XR_SCRATCH_BIAS,
    XR_SCRATCH_LOGITS, // logits of a block, what is known of its rows
    XR_SCRATCH_BLAS,   // cuBLASLt's workspace
    XR_SCRATCH_COUNT,
} XrScratch;
void *xr_cuda_scratch(XrBackend *b, XrScratch slot, size_t bytes);
// So often has scratch memory moved: graphs from before hold addresses that are void.
int64_t xr_cuda_scratch_moves(XrBackend *b);

// Graphs (cuda/graph.cu, XrBackend.graph_begin and so on).
bool xr_cuda_graph_begin(XrBackend *b);
void *xr_cuda_graph_end(XrBackend *b);
bool xr_cuda_graph_launch(XrBackend *b, void *graph);
void xr_cuda_graph_free(XrBackend *b, void *graph);

// `t` itself, or, where its data is not aligned to its element type (a mapped file may lay it so),
// a contiguous copy in scratch memory of the slot XR_SCRATCH_ALIGNED (or the one given).
XrTensor xr_cuda_aligned(XrBackend *b, const XrTensor *t);
XrTensor xr_cuda_aligned_in(XrBackend *b, XrScratch slot, const XrTensor *t);

// Whether every row of a 2-D tensor, or a 1-D tensor, may be read and written in 16-byte accesses.
bool xr_cuda_is_wide(const XrTensor *t);

// Runs the code once with T standing for the element type; XR_ACTIVATION_TYPES for f32 and bf16,
// XR_WEIGHT_TYPES for f16 too.
#define XR_TYPE_CASE(constant, type, T, ...)                                                       \
    case constant: {                                                                               \
        using T = type;                                                                            \
        __VA_ARGS__;                                                                               \
        break;                                                                                     \
    }
#define XR_ACTIVATION_TYPES(tensor, T, ...)                                                        \
    switch ((tensor)->dtype) {                                                                     \
        XR_TYPE_CASE(XR_F32, float, T, __VA_ARGS__)                                                \
        XR_TYPE_CASE(XR_BF16, XrBf16, T, __VA_ARGS__)                                              \
    default:                                                                                       \
        XR_BUG("%s: activations %s", __func__, xr_shape_text(tensor));                             \
    }
#define XR_WEIGHT_TYPES(tensor, T, ...)                                                            \
    switch ((tensor)->dtype) {                                                                     \
        XR_TYPE_CASE(XR_F32, float, T, __VA_ARGS__)                                                \
        XR_TYPE_CASE(XR_BF16, XrBf16, T, __VA_ARGS__)                                              \
        XR_TYPE_CASE(XR_F16, XrHalf, T, __VA_ARGS__)                                               \
    default:                                                                                       \
        XR_BUG("%s: weights %s", __func__, xr_shape_text(tensor));                                 \
    }

// Rows of elements of type T as a kernel sees them.
template <typename T> struct XrRows {
    T *data;
    int64_t stride; // elements from row to row
};
template <typename T> XrRows<T> xr_cuda_rows(const XrTensor *t) {
    return XrRows<T>{t ? (T *)t->data : NULL, t ? t->row_stride : 0};
}

static inline int64_t xr_pieces(int64_t count, int64_t size) {
    return (count + size - 1) / size;
}

#endif
