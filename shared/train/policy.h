// Rollouts through a model: log-probabilities of what was sampled, and the gradients of a policy's
// loss, in micro-batches of whole responses packed without padding.
#ifndef XR_TRAIN_POLICY_H
#define XR_TRAIN_POLICY_H

#include "shared/train/pass.h"
#include "shared/train/policy_loss.h"
#include "shared/train/rollout.h"

// A response with its prompt.
typedef struct XrPolicyItem {
    const XrRolloutGroup *group;
    XrRollout *rollout;
    int64_t trained; // tokens that enter the loss
} XrPolicyItem;

typedef struct XrPolicy {
    XrTrainState *state; // not owned; of a reference model, its `model` alone is looked at
    XrKeep keep;
    float temperature;
    bool mask_truncated;
    int micro;        // responses of a micro-batch
    int64_t capacity; // tokens that `pass` has memory for
    XrTrainPass pass;
} XrPolicy;

// Memory is taken by the first micro-batch, and again when a larger one comes. keep is
// XR_KEEP_NOTHING for a model that is not trained.
XrPolicy xr_policy_create(XrTrainState *state, const XrRunConfig *config, XrKeep keep);
void xr_policy_free(XrPolicy *policy);

// Lists the responses of groups; the caller frees *items.
int xr_policy_items(const XrPolicy *policy, XrRolloutGroup *groups, int count,
                    XrPolicyItem **items);

// Log-probabilities of the trained tokens go to each rollout's `reference`, or its `logprobs`,
// which are allocated; others get 0.
bool xr_policy_evaluate(XrPolicy *policy, const XrPolicyItem *items, int count, bool reference,
                        XrError *err);

// What an optimiser step found, on all ranks.
typedef struct XrPolicyStep {
    XrPolicySums sums;
    double difference; // sum over trained tokens of |sampler's - trainer's log-probability|
    double largest;    // of them; NaN where one is
} XrPolicyStep;

// Adds the gradients of the loss of all items, one optimiser step's, to the state's. Rollouts have
// advantages, logprobs and, where the loss needs it, reference.
bool xr_policy_accumulate(XrPolicy *policy, const XrPolicyLoss *loss, const XrPolicyItem *items,
                          int count, XrPolicyStep *out, XrError *err);

#endif
