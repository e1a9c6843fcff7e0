// A model that has learnt nothing yet: a Hugging Face folder of given sizes with random weights.
#ifndef XR_MODEL_INIT_H
#define XR_MODEL_INIT_H

#include "shared/base/buffer.h"
#include "shared/model/config.h"

// Appends config.json of a Qwen2.5-VL model.
void xr_config_json(XrBuffer *out, const XrConfig *config);

// Writes config.json, preprocessor_config.json (whose smallest picture is one cell of merged
// patches), generation_config.json (greedy) and model.safetensors in f32; the tokenizer's files are
// the caller's to add. Matrices and the embedding are drawn from a normal distribution of variance
// 1 / (3 columns), which is that of PyTorch's nn.Linear; those whose products are added to the
// residual stream are divided by sqrt(2 layers) (GPT-2, Radford et al. 2019). Norms are 1, biases
// 0. A weight is a pure function of seed, parameter and place. The configuration must have vision.
bool xr_model_init_write(const char *folder, const XrConfig *config, uint64_t seed, XrError *err);

#endif
