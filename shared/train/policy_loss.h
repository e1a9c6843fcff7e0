// The loss of policy optimisation: the clipped objective and the divergence of each trained token
// (operation grpo_loss), added up over an optimiser step in one of the ways in use.
// docs/grpo.md has the formulas and says who uses which.
#ifndef XR_TRAIN_POLICY_LOSS_H
#define XR_TRAIN_POLICY_LOSS_H

#include "shared/tensor/backend.h"
#include "shared/train/run_config.h"

// How much a token of a sequence counts. S sequences and N trained tokens are in the whole step, T
// trained tokens in the sequence.
typedef enum XrLossType {
    XR_LOSS_DAPO,            // 1/N
    XR_LOSS_GRPO,            // 1/(T S)
    XR_LOSS_DR_GRPO,         // 1/(max_completion_length S)
    XR_LOSS_VERL_TOKEN_MEAN, // s/(n S), s and n those of the micro-batch
} XrLossType;

typedef struct XrPolicyLoss {
    XrLossType type;
    XrGrpo objective;
    int64_t max_completion_length;
} XrPolicyLoss;

XrPolicyLoss xr_policy_loss_of(const XrRunConfig *config);

// Sequences and trained tokens. Of an optimiser step: those of all micro-batches and ranks.
// Sequences without a trained token are counted as sequences.
typedef struct XrLossSize {
    int64_t sequences, tokens;
} XrLossSize;

// The weight of each trained token of a sequence that has `tokens` of them, at least 1.
double xr_policy_weight(const XrPolicyLoss *loss, XrLossSize step, XrLossSize micro,
                        int64_t tokens);

// The tokens of a micro-batch, host memory, [count]. A weight of 0 leaves a token out of
// everything, whatever else is said of it.
typedef struct XrPolicyTokens {
    int64_t count;
    const float *old;       // log-probabilities under the policy that sampled
    const float *reference; // under the reference model; NULL where objective.kl is XR_KL_NONE
    const float *advantage, *weight;
} XrPolicyTokens;

// Sums over trained tokens, to be added up over micro-batches and ranks, and divided by `tokens`
// (the loss excepted).
typedef struct XrPolicySums {
    double loss; // weighted: its sum is the step's loss
    double tokens, kl, entropy;
    double clipped_low, clipped_high, clipped, clipped_dual; // numbers of tokens
    double ratio;                                            // of probabilities, new to old
} XrPolicySums;

// Adds the loss of a micro-batch to `sums`. logprob and entropy f32 [count] are the current
// policy's, in the backend's memory; dlogprob f32 [count] receives the derivative of the loss.
// Fails for want of memory.
bool xr_policy_loss(XrBackend *b, const XrPolicyLoss *loss, const XrPolicyTokens *tokens,
                    const XrTensor *logprob, const XrTensor *entropy, const XrTensor *dlogprob,
                    XrPolicySums *sums, XrError *err);

#endif
