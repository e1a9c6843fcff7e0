// The tiny world's model before any training.
#ifndef XR_TINY_WORLD_BASE_H
#define XR_TINY_WORLD_BASE_H

#include "shared/model/config.h"

// Sizes: language model of width 128, 4 layers, 4 heads and 2 of keys and values, of 32 each;
// vision tower of width 64 and 2 layers, whose attention stays within a cell of 28 x 28 pixels.
XrConfig xr_world_config(void);

// Writes a Hugging Face folder with random weights of that seed and the world's tokenizer.
bool xr_world_write_model(const char *folder, uint64_t seed, XrError *err);

#endif
