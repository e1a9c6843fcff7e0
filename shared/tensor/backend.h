// A backend: a place that has memory and carries out the operations of shared/tensor/ops.h.
#ifndef XR_TENSOR_BACKEND_H
#define XR_TENSOR_BACKEND_H

#include "shared/base/error.h"
#include "shared/base/thread.h"
#include "shared/tensor/ops.h"

#ifdef __cplusplus
extern "C" {
#endif

// Host memory that can be copied from and to while the host goes on (pinned, for a GPU).
typedef struct XrPinned {
    void *host;
    size_t bytes;
    void *reached; // the backend's own
} XrPinned;

struct XrBackend {
    const char *name; // "cpu", "cuda"
    const XrOps *ops;
    XrDType activations; // the narrowest type that activations and caches can have: f32 or bf16
    XrThreads *threads;  // host threads, for what is computed on the host

    // Memory, 64-byte aligned, uninitialised; NULL and an error that names `what` when there is
    // none.
    void *(*alloc)(XrBackend *b, size_t bytes, const char *what, XrError *err);
    void (*free)(XrBackend *b, void *memory);
    // Memory, zeroed, for what is seldom used: further away and plentiful, the host's for a GPU,
    // and for the CPU that of a nameless file in `folder`. Operations and copies take it as any
    // other.
    void *(*offload_alloc)(XrBackend *b, size_t bytes, const char *folder, const char *what,
                           XrError *err);
    // These bytes of it will not be used soon; to be said after every `offload_grain` bytes, if it
    // is not 0.
    void (*offload_release)(XrBackend *b, void *begin, size_t bytes);
    void (*offload_free)(XrBackend *b, void *memory, size_t bytes);
    void (*upload)(XrBackend *b, void *to, const void *host, size_t bytes);
    void (*download)(XrBackend *b, void *host, const void *from, size_t bytes);
    // Bytes by which a cache may be sized: all of the host's, what is free of a GPU's.
    size_t (*memory)(XrBackend *b);
    void (*zero)(XrBackend *b, void *memory, size_t bytes);
    void (*copy)(XrBackend *b, void *to, const void *from, size_t bytes);
    // Makes read-only host memory (a mapped file) usable as operand; returns the backend's address
    // for it, which is the host's own where the backend can read that. Released by unimport.
    void *(*import)(XrBackend *b, const void *host, size_t bytes, const char *what, XrError *err);
    void (*unimport)(XrBackend *b, void *memory);
    // Bytes of a page of a layer's cache of that type.
    size_t (*kv_page_bytes)(XrBackend *b, XrDType dtype, int kv_heads, int head_dim);
    // Waits until everything asked for is done.
    void (*synchronize)(XrBackend *b);
    void (*destroy)(XrBackend *b);
    // Pinned memory: `send` and `receive` ask for a copy, which is made in the order of the
    // operations. The host leaves the memory alone until the copy has been made, which is so when
    // `wait` returns for this memory, or for other memory that was used later.
    bool (*pin)(XrBackend *b, XrPinned *out, size_t bytes, const char *what, XrError *err);
    void (*unpin)(XrBackend *b, XrPinned *pinned); // one without memory is left alone
    void (*send)(XrBackend *b, void *to, XrPinned *from, size_t bytes);
    void (*receive)(XrBackend *b, XrPinned *to, const void *from, size_t bytes);
    void (*wait)(XrBackend *b, XrPinned *pinned);
    // Graphs, NULL where the backend has none: operations, `zero` and `copy` between graph_begin
    // and graph_end are recorded instead of being carried out, and each graph_launch carries them
    // out, in the order of all other operations, with the addresses and numbers of the recording
    // and on what lies there by then. In between nothing may be allocated, freed, uploaded,
    // downloaded, pinned or waited for; so operations of the same types and shapes must have been
    // carried out before, and have found their scratch memory. graph_begin returns false where
    // nothing can be recorded now, graph_end NULL where there is no memory for the graph, and
    // graph_launch false, having done nothing, where scratch memory has moved since. graph_free
    // waits for launches.
    bool (*graph_begin)(XrBackend *b);
    void *(*graph_end)(XrBackend *b);
    bool (*graph_launch)(XrBackend *b, void *graph);
    void (*graph_free)(XrBackend *b, void *graph);
    int64_t offload_grain;
    int64_t waits; // so often has the host waited for results: download, wait, synchronize
    // Whether operations may return before they are done, so that it pays to ask for the next ones
    // before the results of the last have been looked at.
    bool asynchronous;
    // Whether every row of a result is to be summed in one order, whatever the other rows are,
    // where a faster way does not promise that (products of matrices on a GPU; attention in bf16 on
    // one of compute capability 9.0). The CPU always does.
    bool batch_invariant;
};

// The CPU (ref/cpu.c). threads 0: one a processor.
XrBackend *xr_cpu_create(int threads);

// A GPU (cuda/cuda.cu), by the number that CUDA gives it, with activations f32 or bf16. NULL and an
// error that says what to do where there is no such device, driver or build. It is not
// batch_invariant unless the caller says so: what relies on the bits of rows in different batches
// (that the trainer's log-probabilities are the sampler's) sets it before the first operation.
XrBackend *xr_cuda_create(int device, XrDType activations, int threads, XrError *err);
// What this build has of CUDA, in words; NULL where it has nothing.
const char *xr_cuda_build(void);

// By the name that users give: "cpu", or "cuda", the first GPU that CUDA_VISIBLE_DEVICES leaves,
// with activations in bf16 for models whose weights are not f32. NULL and an error as above, and
// for every other name.
XrBackend *xr_backend_open(const char *device, int threads, XrError *err);
void xr_backend_free(XrBackend *b);

// A contiguous tensor in new backend memory; free with xr_tensor_free. False without memory.
bool xr_tensor_alloc(XrBackend *b, XrTensor *out, XrDType dtype, int ndim, const int64_t *shape,
                     const char *what, XrError *err);
void xr_tensor_free(XrBackend *b, XrTensor *t);
// Whole contiguous tensors from and to host memory; `_f32`: of floats on the host, whatever the
// tensor's type (f32, bf16 or f16).
void xr_upload(XrBackend *b, const XrTensor *to, const void *host);
void xr_download(XrBackend *b, void *host, const XrTensor *from);
void xr_upload_f32(XrBackend *b, const XrTensor *to, const float *host);
void xr_download_f32(XrBackend *b, float *host, const XrTensor *from);

#ifdef __cplusplus
}
#endif

#endif
