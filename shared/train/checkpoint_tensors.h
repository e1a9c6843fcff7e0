// The tensors of a checkpoint: weights, exp_avg and exp_avg_sq, one file each a rank.
#ifndef XR_TRAIN_CHECKPOINT_TENSORS_H
#define XR_TRAIN_CHECKPOINT_TENSORS_H

#include "shared/train/state.h"

// Writes what this rank owns into `folder`.
bool xr_checkpoint_tensors_write(const char *folder, const XrTrainState *state, XrError *err);

// Reads what this rank owns from the files that `ranks` ranks wrote. Every element must be there.
bool xr_checkpoint_tensors_read(const char *folder, int64_t ranks, XrTrainState *state,
                                XrError *err);

#endif
