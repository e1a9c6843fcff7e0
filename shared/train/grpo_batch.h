// Batches of rollouts with rewards and advantages: sampled for the next questions in the order of
// the data, or recorded.
#ifndef XR_TRAIN_GRPO_BATCH_H
#define XR_TRAIN_GRPO_BATCH_H

#include "shared/train/advantage.h"
#include "shared/train/replay.h"
#include "shared/train/reward.h"

typedef struct XrGrpoBatch {
    XrRolloutGroup *groups; // [count]
    int count;
    XrAdvantageStats rewards;
    int64_t responses, prompt_tokens, tokens, forced, truncated; // tokens: of responses
    int64_t longest, shortest;                                   // response
    int64_t ended, ended_tokens; // responses that came to their own end, and their tokens
    int64_t ended_longest, ended_shortest;
    int64_t forced_responses; // responses whose exit was forced
    double score;             // sum of the verifier's
    int64_t verdicts[XR_VERDICTS];
    int64_t replaced; // groups of one reward that dynamic sampling threw away
    double rollout_seconds, reward_seconds;
} XrGrpoBatch;

// Where batches come from.
typedef struct XrGrpoSource {
    const XrRunConfig *config;
    const XrQuestions *questions; // NULL: recorded ones
    XrReplay *replay;
    XrSampler sampler;
    XrVerifier *verifier;
    XrRewardSettings settings;
    int prompts;    // of a batch
    int64_t *order; // of the questions in epoch `epoch`
    int64_t epoch;
    int64_t cursor; // questions drawn, or batches replayed, so far: the position in the data
} XrGrpoSource;

// Of the next batch. After an error, XR_ERR_INTERRUPTED among them, `cursor` is as it was, and
// `out` needs no freeing.
bool xr_grpo_batch_next(XrGrpoSource *source, XrGrpoBatch *out, XrError *err);
// Frees the groups; recorded ones stay with the replay.
void xr_grpo_batch_free(XrGrpoSource *source, XrGrpoBatch *batch);

// Samples and judges groups whose `number` and `question` are set.
bool xr_grpo_sample(XrGrpoSource *source, XrSampler *sampler, XrRolloutGroup *groups, int count,
                    int samples, XrGrpoBatch *times, XrError *err);

// Epochs that lie behind.
double xr_grpo_source_epoch(const XrGrpoSource *source);
void xr_grpo_source_close(XrGrpoSource *source);

#endif
