// Recorded rollouts instead of sampled ones, so that an optimiser step can be repeated, audited and
// compared with another trainer's.
#ifndef XR_TRAIN_REPLAY_H
#define XR_TRAIN_REPLAY_H

#include "shared/train/rollout.h"

// Rollouts that were one batch: groups[begin[i]] to groups[begin[i + 1] - 1].
typedef struct XrReplay {
    XrRolloutGroup *groups;
    int group_count;
    int *begin; // [batches + 1]
    int batches;
    int64_t longest; // tokens of the longest prompt and response together
    uint64_t hash;   // of the file
} XrReplay;

// Reads samples.jsonl. Needed in each line are prompt_ids, token_ids and score (or reward, which is
// then what advantages are made of); id, forced, logprobs, finish_reason and truncated are used
// where they are. Lines in a row with one id and prompt are a group; groups in a row of one "step"
// (or without one) are a batch. Ids that the model (`vocab` ids) does not have, and lines that
// cannot be, are errors that name file and line.
bool xr_replay_open(XrReplay *out, const char *path, int64_t vocab, XrError *err);
void xr_replay_close(XrReplay *replay);

#endif
