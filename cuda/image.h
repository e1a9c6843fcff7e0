// Pictures on the GPU: the twins of ref/image.h on buffers in device memory, with the same bytes.
// `in`, `out`, `rgb` are device memory; `axis`, `table` and `layout` are the host's. Work goes to
// the backend's stream.
#ifndef XR_CUDA_IMAGE_H
#define XR_CUDA_IMAGE_H

#include "ref/image.h"
#include "shared/tensor/backend.h"

#ifdef __cplusplus
extern "C" {
#endif

void xr_cuda_resample_rows(XrBackend *b, uint8_t *out, const uint8_t *in, int height,
                           const XrResampleAxis *axis);
void xr_cuda_resample_columns(XrBackend *b, uint8_t *out, const uint8_t *in, int64_t row_bytes,
                              const XrResampleAxis *axis);
void xr_cuda_patchify(XrBackend *b, float *out, const uint8_t *rgb, const float *table,
                      const XrPatchLayout *layout);

#ifdef __cplusplus
}
#endif
#endif
