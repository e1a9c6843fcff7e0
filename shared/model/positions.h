// Three-axis positions of the language model's tokens (Qwen2-VL, arXiv 2409.12191, section 2.1
// "M-RoPE"; docs/model.md).
#ifndef XR_MODEL_POSITIONS_H
#define XR_MODEL_POSITIONS_H

#include "shared/model/config.h"
#include "shared/image/preprocess.h"

// Fills positions[axis * stride + t], axes time, height, width, for the `count` tokens of one
// sequence that starts at position 0. Each run of image tokens takes the next of `grids`. On
// success
// `*next` is the position of the token that would follow. Image tokens that do not match the
// pictures (number or length) are an error that names the place.
bool xr_positions(int32_t *positions, int64_t stride, const int32_t *ids, int64_t count,
                  const XrConfig *config, const XrImageGrid *grids, int grid_count, int32_t *next,
                  XrError *err);

#endif
