// A trained model as a Hugging Face folder.
#ifndef XR_TRAIN_EXPORT_H
#define XR_TRAIN_EXPORT_H

#include "shared/train/state.h"

// Writes the model to `folder` under a temporary name, then puts it in the place of what was there.
// `dtype` "stored": each trained tensor in the type that the model's own files have it in; "f32",
// "bf16": all trained ones so. Frozen tensors come out byte for byte. Tokenizer, configuration and
// the like are copied from the model's folder.
bool xr_train_export(const XrTrainState *state, const char *folder, const char *dtype,
                     XrError *err);

#endif
