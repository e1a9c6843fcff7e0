// Pictures on the CPU: the two passes of resizing, and cutting into patches. Plain buffers in host
// memory; every result is exact (whole numbers, or a table's entries), so that a backend's twin
// must give the same bits. `threads` may be NULL.
#ifndef XR_REF_IMAGE_H
#define XR_REF_IMAGE_H

#include "shared/base/thread.h"
#include "shared/image/resample.h"

#ifdef __cplusplus
extern "C" {
#endif

// in [height, axis->in, 3] -> out [height, axis->out, 3]: each row resampled by the formula of
// shared/image/resample.h. Fails only for want of memory.
bool xr_cpu_resample_rows(uint8_t *out, const uint8_t *in, int height, const XrResampleAxis *axis,
                          XrThreads *threads, XrError *err);

// in [axis->in, row_bytes] -> out [axis->out, row_bytes]: each column resampled.
void xr_cpu_resample_columns(uint8_t *out, const uint8_t *in, int64_t row_bytes,
                             const XrResampleAxis *axis, XrThreads *threads);

typedef struct XrPatchLayout {
    int64_t h, w; // patches down and across, multiples of merge
    int patch;    // pixels of a patch's side
    int merge;    // patches of a merged cell's side
    int temporal; // copies of a still's pixels in a patch
} XrPatchLayout;

// rgb [h * patch, w * patch, 3] -> out [h * w, 3 * temporal * patch * patch], in the order of
// shared/image/preprocess.h; out = table[channel * 256 + byte].
void xr_cpu_patchify(float *out, const uint8_t *rgb, const float *table,
                     const XrPatchLayout *layout, XrThreads *threads);

#ifdef __cplusplus
}
#endif

#endif
