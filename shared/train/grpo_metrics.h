// The lines that a GRPO run writes to metrics.jsonl.
#ifndef XR_TRAIN_GRPO_METRICS_H
#define XR_TRAIN_GRPO_METRICS_H

#include "shared/train/grpo_batch.h"
#include "shared/train/metrics.h"
#include "shared/train/policy.h"

// An optimiser step.
typedef struct XrGrpoStep {
    XrPolicyStep policy;
    bool first; // of its batch: the policy is still the one that sampled
    double grad_norm, learning_rate, epoch;
    int64_t num_tokens;       // of prompts and responses so far
    int64_t skipped;          // steps so far
    double update_seconds;    // forward, backward, optimiser
    double reference_seconds; // of the batch; in its first step
} XrGrpoStep;

// `beta` and `dual`: whether there is a divergence, and a dual clip, to report.
void xr_grpo_metrics(XrMetrics *metrics, const XrGrpoBatch *batch, const XrGrpoStep *step, bool kl,
                     bool dual);

// A line of evaluation.
void xr_grpo_eval_metrics(XrMetrics *metrics, const XrGrpoBatch *batch, double accuracy);

#endif
