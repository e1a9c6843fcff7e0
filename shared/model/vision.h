// The vision tower: patches to rows of the language model.
#ifndef XR_MODEL_VISION_H
#define XR_MODEL_VISION_H

#include "shared/model/block.h"
#include "shared/model/windows.h"

// Embeds the pictures whose patches are the rows of `pixels`, f32 [N,
// channels*temporal*patch*patch] on the host, `grids` their shapes in order. `out` receives a new
// f32 tensor [cells, out_hidden] in the backend's memory, cells in raster order picture after
// picture; free it with xr_tensor_free. Fails only for want of memory. `observer` sees
// "vision.embed", "vision.block.I" (both in window order) and "vision.merger" (raster order).
bool xr_vision_forward(const XrModel *model, XrTensor *out, const float *pixels,
                       const XrImageGrid *grids, int grid_count, const XrObserver *observer,
                       XrError *err);

#endif
