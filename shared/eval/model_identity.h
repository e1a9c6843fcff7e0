// What tells the model of one folder from that of another.
#ifndef XR_EVAL_MODEL_IDENTITY_H
#define XR_EVAL_MODEL_IDENTITY_H

#include "shared/base/buffer.h"
#include "shared/base/error.h"

// Appends a line for each file that answers depend on (config.json, tokenizer and processor files,
// weights): its name, size and a hash, of small files of all bytes, of large ones of blocks of
// 64 KiB spread over them, so that two checkpoints of one training run differ. The folder's own
// name does not matter.
bool xr_model_identity(XrBuffer *out, const char *folder, XrError *err);

#endif
