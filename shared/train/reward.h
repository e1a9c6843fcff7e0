// Rewards of rollouts: the verifier's score, and what is done about responses that were cut off.
#ifndef XR_TRAIN_REWARD_H
#define XR_TRAIN_REWARD_H

#include "shared/train/rollout.h"
#include "shared/verify/verify.h"

typedef enum XrOverlongResponses {
    XR_OVERLONG_SCORE0, // a truncated response scores 0
    XR_OVERLONG_MASK,   // it keeps its score, but stays out of the loss
    XR_OVERLONG_SOFT, // reward less min(1, (length - (most - buffer)) / buffer), DAPO's punishment
} XrOverlongResponses;

typedef struct XrRewardSettings {
    XrVerifyKind kind;
    XrOverlongResponses overlong;
    int64_t most, buffer; // tokens of a response
} XrRewardSettings;

enum { XR_VERDICTS = XR_VERDICT_EMPTY + 1 };

XrRewardSettings xr_reward_settings_of(const XrRunConfig *config);

// Judges one response to `question`: verdict, extracted answer, score. Empties what stood there.
void xr_reward_judge(XrVerifier *verifier, XrVerifyKind kind, const XrQuestion *question,
                     XrRollout *rollout);
// Counts the verdict of a response, if it has one: verdicts[XrVerdict].
void xr_reward_count(int64_t verdicts[XR_VERDICTS], const XrRollout *rollout);
// Sets `reward` from `score` (and, for truncated ones, the score).
void xr_reward_settle(const XrRewardSettings *settings, XrRollout *rollout);

#endif
