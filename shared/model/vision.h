// The vision tower: patches to rows of the language model.
#ifndef XR_MODEL_VISION_H
#define XR_MODEL_VISION_H

#include "shared/model/block.h"
#include "shared/model/windows.h"

// A pass over some pictures: their plan, activations and result.
typedef struct XrVisionPass XrVisionPass;

// Embeds the pictures whose patches are the rows of `pixels`, f32 [N,
// channels*temporal*patch*patch] on the host, `grids` their shapes in order. With `keep`, what a
// backward pass needs is kept. Fails only for want of memory. `observer` sees "vision.embed",
// "vision.blocks.I" (both in window order) and "image_embeds" (raster order).
bool xr_vision_begin(XrVisionPass **out, const XrModel *model, const float *pixels,
                     const XrImageGrid *grids, int grid_count, bool keep,
                     const XrObserver *observer, XrError *err);
// The result, [cells, out_hidden], cells in raster order picture after picture. Lives as long as
// the pass.
XrTensor xr_vision_result(const XrVisionPass *pass);
// Adds the gradients of the tower's and the merger's weights, where wanted, given that of the
// result.
void xr_vision_backward(XrVisionPass *pass, const XrTensor *dresult, const XrGradients *gradients);
void xr_vision_end(XrVisionPass *pass);

// The result alone, as a new tensor [cells, out_hidden]; free it with xr_tensor_free.
bool xr_vision_forward(const XrModel *model, XrTensor *out, const float *pixels,
                       const XrImageGrid *grids, int grid_count, const XrObserver *observer,
                       XrError *err);

#endif
