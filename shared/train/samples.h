// Lines of samples.jsonl: one rollout each, complete enough to be trained on again (--replay).
#ifndef XR_TRAIN_SAMPLES_H
#define XR_TRAIN_SAMPLES_H

#include "shared/train/rollout.h"
#include "shared/train/run_folder.h"

// Appends all rollouts of a group, as sampled for optimiser step `step` (the first that uses them;
// 0: none). Numbers come back as the same bits. docs/grpo.md lists the keys.
bool xr_samples_write(XrLineFile *file, const XrTokenizer *tokenizer, const XrRolloutGroup *group,
                      int64_t step, XrError *err);

#endif
