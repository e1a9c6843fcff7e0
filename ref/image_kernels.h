// The inner loops of ref/image.c, compiled for several instruction sets.
#ifndef XR_REF_IMAGE_KERNELS_H
#define XR_REF_IMAGE_KERNELS_H

#include "ref/image.h"
#include "ref/isa.h"

enum { XR_ROW_BLOCK = 64 }; // rows that are resampled together, at most

typedef struct XrImageKernels {
    // Resamples `rows` (1 to XR_ROW_BLOCK) rows of RGB. `scratch` has XR_ROW_BLOCK * (3 * axis->in
    // + 32) bytes, 64-byte aligned.
    void (*rows)(uint8_t *out, const uint8_t *in, int rows, const XrResampleAxis *axis,
                 uint8_t *scratch);
    // Output row `i` of `axis`, `bytes` long, from rows `stride` bytes apart.
    void (*column)(uint8_t *out, const uint8_t *in, int64_t stride, int64_t bytes,
                   const XrResampleAxis *axis, int i);
    // One merged row: patch * merge rows of pixels to merge * w rows of patches.
    void (*patches)(float *out, const uint8_t *rgb, const float *table,
                    const XrPatchLayout *layout);
} XrImageKernels;

XR_DECLARE_KERNELS(XrImageKernels, xr_image_kernels);

#endif
