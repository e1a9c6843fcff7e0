// Learning rates, as transformers' schedulers give them.
#ifndef XR_TRAIN_SCHEDULE_H
#define XR_TRAIN_SCHEDULE_H

#include "shared/train/run_config.h"

typedef enum XrScheduleKind {
    XR_SCHEDULE_CONSTANT,
    XR_SCHEDULE_LINEAR,
    XR_SCHEDULE_COSINE,
    XR_SCHEDULE_EPOCH_DECAY, // x lr_epoch_decay after each epoch, as the paper's SFT
} XrScheduleKind;

typedef struct XrSchedule {
    XrScheduleKind kind;
    double peak, epoch_decay;
    int64_t total, warmup; // steps
} XrSchedule;

// For a run of `total` optimiser steps.
XrSchedule xr_schedule_create(const XrRunConfig *config, int64_t total);

// The rate of optimiser step `step` (from 0) in epoch `epoch` (from 0). During warm-up it is
// peak * step / warmup: the first step has rate 0, as in transformers' get_*_schedule_with_warmup.
double xr_schedule_rate(const XrSchedule *schedule, int64_t step, int64_t epoch);

#endif
