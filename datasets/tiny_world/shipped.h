// The base model of the tiny world that the repository carries (datasets/tiny_world/base), as part
// of the program, so that it is found wherever the program is installed.
#ifndef XR_TINY_WORLD_SHIPPED_H
#define XR_TINY_WORLD_SHIPPED_H

#include "shared/base/error.h"

// Writes the Hugging Face folder, model.safetensors last.
bool xr_world_write_shipped(const char *folder, XrError *err);

#endif
