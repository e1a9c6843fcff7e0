// Rejection sampling: answers of a teacher that the verifier accepts, as data for supervised
// fine-tuning.
#ifndef XR_TRAIN_DISTILL_H
#define XR_TRAIN_DISTILL_H

#include "shared/tensor/backend.h"
#include "shared/train/run_config.h"

typedef struct XrDistillOptions {
    const XrRunConfig *config;
    XrBackend *backend;
    bool resume; // go on after the questions that are done
} XrDistillOptions;

// Samples num_generations answers to each question of train_dataset from the model in
// model_name_or_path. All of them go to samples.jsonl; those that score and were not cut off go to
// distilled.jsonl, conversations of the format "messages" with where they come from. After an
// interrupt the error's status is XR_ERR_INTERRUPTED, and what was finished stays.
bool xr_distill_run(const XrDistillOptions *options, XrError *err);

#endif
