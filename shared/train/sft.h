// Supervised fine-tuning: the loss is the mean over all target tokens of an optimiser step of
// -log p(token | what stands before it in its row), one division for all micro-batches and ranks.
#ifndef XR_TRAIN_SFT_H
#define XR_TRAIN_SFT_H

#include "shared/comm/comm.h"
#include "shared/train/run_config.h"

typedef struct XrSftOptions {
    const XrRunConfig *config;
    XrBackend *backend;
    XrComm *comm;
    bool resume; // go on from the newest checkpoint
} XrSftOptions;

// Runs to the end, or to the next safe point after an interrupt (shared/base/interrupt.h), where a
// checkpoint is written and the error's status is XR_ERR_INTERRUPTED.
bool xr_sft_run(const XrSftOptions *options, XrError *err);

#endif
