// The CPU backend's own matters, shared by the files of ref/.
#ifndef XR_REF_CPU_H
#define XR_REF_CPU_H

#include "shared/tensor/backend.h"

#ifdef __cplusplus
extern "C" {
#endif

// Every operation of the table is xr_cpu_NAME in the file of its family.
#define XR_DECLARE_CPU_OP(name, parameters, arguments)                                             \
    void xr_cpu_##name(XrBackend *b, XR_UNWRAP parameters);
XR_OPS(XR_DECLARE_CPU_OP)

size_t xr_cpu_kv_page_bytes(XrBackend *b, XrDType dtype, int kv_heads, int head_dim);

// Scratch memory of one thread (an index as xr_parallel passes it), 64-byte aligned, at least
// `bytes` long; its contents last until the next call for the same thread. It grows and is kept, so
// that steps after the first allocate nothing.
void *xr_cpu_scratch(XrBackend *b, int thread, size_t bytes);
// Scratch for an operation as a whole, apart from the threads'; that of ref/product.c, which other
// operations are made of, is apart from theirs.
void *xr_cpu_shared_scratch(XrBackend *b, size_t bytes);
void *xr_cpu_product_scratch(XrBackend *b, size_t bytes);

// Runs a loop on the backend's threads; see xr_parallel.
void xr_cpu_parallel(XrBackend *b, int64_t count, int64_t grain, XrLoopBody *body, void *context);

#ifdef __cplusplus
}
#endif

#endif
