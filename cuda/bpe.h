// Byte-pair merging on the GPU, the twin of ref/bpe.h: the same symbols.
#ifndef XR_CUDA_BPE_H
#define XR_CUDA_BPE_H

#include "ref/bpe.h"
#include "shared/tensor/backend.h"

#ifdef __cplusplus
extern "C" {
#endif

// A copy of the rules in device memory. The table must outlive it.
typedef struct XrCudaBpe XrCudaBpe;
XrCudaBpe *xr_cuda_bpe_create(XrBackend *b, const XrBpeTable *table, XrError *err);
void xr_cuda_bpe_free(XrBackend *b, XrCudaBpe *bpe);

// As xr_cpu_bpe_merge; offsets, symbols and counts are host memory. Pieces of more than
// XR_CUDA_BPE_MOST symbols are merged by the CPU meanwhile, in n log n steps.
enum { XR_CUDA_BPE_MOST = 512 };
void xr_cuda_bpe_merge(XrBackend *b, const XrCudaBpe *bpe, int64_t pieces, const int64_t *offsets,
                       int32_t *symbols, int32_t *counts);

#ifdef __cplusplus
}
#endif
#endif
