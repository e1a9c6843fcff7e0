// The model folder of a run: opened as its configuration asks, and known by what it holds.
#ifndef XR_TRAIN_RUN_MODEL_H
#define XR_TRAIN_RUN_MODEL_H

#include "shared/prompt/chat_model.h"
#include "shared/train/checkpoint.h"
#include "shared/train/run_config.h"

// Opens model_name_or_path with weights of `dtype`; what had to be assumed goes to stderr. A model
// `to_train` gets its weights from xr_train_state_create.
bool xr_run_model_open(XrChatModel **out, XrBackend *backend, const XrRunConfig *config,
                       bool to_train, XrError *err);

// How the state of a run in `folder`, which must stay while it is made, is to be kept.
XrTrainStateOptions xr_run_state_options(const XrRunConfig *config, const char *folder);

// Adds the folder's config.json and tokenizer.json to the files that a resumed run must find as
// they were.
bool xr_run_model_fingerprint(XrCheckpointInfo *info, const XrChatModel *chat_model, XrError *err);

#endif
