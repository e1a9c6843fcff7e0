// Packs whole sequences into one ragged batch: no padding, positions and attention of each sequence
// its own.
#ifndef XR_MODEL_BATCH_H
#define XR_MODEL_BATCH_H

#include "shared/image/preprocess.h"
#include "shared/model/language.h"

// One sequence on the host. Each run of image tokens is one of its pictures, in order.
typedef struct XrPackedSequence {
    const int32_t *ids;
    int64_t count;
    const XrImageGrid *grids;
    int grid_count;
} XrPackedSequence;

typedef struct XrBatch {
    XrBackend *backend;
    XrLanguageInput input;
    XrTensor cu; // what input.segments points to
} XrBatch;

// Positions, borders and picture rows of `count` sequences, in the backend's memory. `images` is
// the vision tower's result for all their pictures in order, or NULL when there are none; it must
// outlive the batch. Fails on sequences whose image tokens do not match their pictures or whose ids
// the model does not have, naming sequence and place.
bool xr_batch_create(XrBatch *out, const XrModel *model, const XrPackedSequence *sequences,
                     int count, const XrTensor *images, XrError *err);
void xr_batch_free(XrBatch *batch);

#endif
