// Reinforcement learning with verifiable rewards: Shao et al., "DeepSeekMath" (2024), with the
// changes of Yu et al., "DAPO" (2025), by choice. docs/grpo.md follows a step.
#ifndef XR_TRAIN_GRPO_H
#define XR_TRAIN_GRPO_H

#include "shared/comm/comm.h"
#include "shared/prompt/chat_model.h"
#include "shared/train/run_config.h"

// Sees the policy before the first batch of rollouts and after each batch; `step` is the number of
// optimiser steps so far. The model must be left as it is. A resumed run begins with its
// checkpoint's step: what was seen after it is seen again, and is the same.
typedef bool XrGrpoWatch(void *context, int64_t step, const XrChatModel *policy, XrError *err);

typedef struct XrGrpoOptions {
    const XrRunConfig *config;
    XrBackend *backend;
    XrComm *comm;
    bool resume;        // go on from the newest checkpoint
    const char *replay; // samples.jsonl to train on instead of sampling, or NULL
    XrGrpoWatch *watch; // or NULL
    void *context;      // of `watch`
} XrGrpoOptions;

// Runs to the end, or to the next safe point after an interrupt (shared/base/interrupt.h), where a
// checkpoint is written and the error's status is XR_ERR_INTERRUPTED.
bool xr_grpo_run(const XrGrpoOptions *options, XrError *err);

#endif
