// A model's weights in the files of a Hugging Face folder, memory-mapped.
#ifndef XR_MODEL_WEIGHTS_H
#define XR_MODEL_WEIGHTS_H

#include "shared/base/thread.h"
#include "shared/format/safetensors.h"
#include "shared/model/parameters.h"

typedef struct XrWeights {
    XrSafetensors *files; // NULL: the tensors are in somebody's memory
    XrParameterTable table;
    // table.count tensors, read-only, as on disk: f32, bf16 or f16, each in its own type.
    XrTensor *tensors;
    // XR_F32, XR_BF16 or XR_F16 when all tensors have it; `mixed` is set otherwise and dtype is
    // that of the largest tensor.
    XrDType dtype;
    bool mixed;
} XrWeights;

// Opens the folder's safetensors files and finds every parameter of the configuration in them,
// under the hub's names or the other prefixes. Missing, unexpected and wrongly shaped tensors are
// an error that names the first of them and counts the rest. A head beside tied embeddings must
// equal them.
bool xr_weights_open(XrWeights *out, const char *folder, const XrConfig *config, XrError *err);
void xr_weights_close(XrWeights *weights);

// The tensor of a role, or NULL; of a tied model's head: the embedding.
const XrTensor *xr_weights_tensor(const XrWeights *weights, XrRole role, int64_t block);

// Reads all weights and fails on the first that holds NaN or an infinity.
bool xr_weights_check_finite(const XrWeights *weights, XrThreads *threads, XrError *err);

#endif
