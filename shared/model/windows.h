// The order in which the vision tower sees patches, and which of them attend to each other
// (docs/model.md, "Windows").
#ifndef XR_MODEL_WINDOWS_H
#define XR_MODEL_WINDOWS_H

#include "shared/model/config.h"
#include "shared/image/preprocess.h"

// For several pictures one after the other. A cell is merge x merge patches, four rows that stay
// together. All arrays belong to the plan.
typedef struct XrVisionPlan {
    int64_t patches, cells;
    int32_t *order;     // [cells] the k-th cell in window order is cell order[k] in raster order
    int32_t *positions; // [2, patches] row and column of each patch, in window order
    int32_t *windows;   // [window_count+1] where each window's patches start, in window order
    int32_t *frames;    // [frame_count+1] where each frame's patches start
    int window_count, frame_count;
    int64_t longest_window, longest_frame; // in patches
} XrVisionPlan;

XrVisionPlan xr_vision_plan(const XrVisionConfig *vision, const XrImageGrid *grids, int count);
void xr_vision_plan_free(XrVisionPlan *plan);

#endif
