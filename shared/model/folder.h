// Writing a Hugging Face model folder that transformers and vLLM load.
#ifndef XR_MODEL_FOLDER_H
#define XR_MODEL_FOLDER_H

#include "shared/format/safetensors.h"

// Copies what describes the model in `source` (configuration, tokenizer, processor, chat template,
// licence: every .json, .jinja, .txt, .model and .md file and LICENSE and NOTICE, but no index of
// weights) byte for byte to `folder`, which is created, and writes the tensors beside them.
// `source` and `folder` must differ.
bool xr_model_folder_write(const char *folder, const char *source, const XrSaveTensor *tensors,
                           int count, size_t max_shard_bytes, XrError *err);

#endif
