// Checkpoints: folder checkpoint-N with everything that a run needs to go on as if it had never
// stopped. trainer_state.json holds counters and the position in the data; weights, exp_avg and
// exp_avg_sq-RANK-of-RANKS.safetensors hold the trained parameters and AdamW's moments under their
// Hugging Face names, or "NAME[begin:end]" where a rank owns only these elements, so that any
// number of ranks can read what any other number wrote.
#ifndef XR_TRAIN_CHECKPOINT_H
#define XR_TRAIN_CHECKPOINT_H

#include "shared/base/buffer.h"
#include "shared/train/state.h"

// A file that the run depends on, by its contents.
typedef struct XrFingerprint {
    char *name;
    uint64_t hash;
} XrFingerprint;

typedef struct XrCheckpointInfo {
    int64_t step; // of the run: optimiser steps made and skipped; N of the folder's name
    int64_t epoch, epoch_step;            // the next step: which of which epoch
    int64_t num_tokens;                   // trained on so far
    int64_t metrics_bytes, samples_bytes; // lengths of metrics.jsonl and samples.jsonl
    XrFingerprint *files;
    int file_count;
    XrBuffer extra; // a JSON object of the trainer's own, or empty
} XrCheckpointInfo;

void xr_checkpoint_info_free(XrCheckpointInfo *info);
// Adds a file; the name is copied.
void xr_checkpoint_add_file(XrCheckpointInfo *info, const char *name, uint64_t hash);

// Writes <run>/checkpoint-<step>: into a temporary folder, everything fsynced, renamed; only then
// are older checkpoints removed until `keep` are left (0: all stay). On failure, a full disk for
// instance, older checkpoints stay as they are and nothing half-written remains. Collective.
bool xr_checkpoint_write(const char *run, const XrCheckpointInfo *info, const XrTrainState *state,
                         int64_t keep, XrError *err);

// The path of the newest complete checkpoint of a run, to be freed; NULL where there is none.
char *xr_checkpoint_newest(const char *run);

// Reads a checkpoint into `state` and `info` (to be freed). `info->files` says on entry what the
// files are now; a changed one is an error that names it.
bool xr_checkpoint_read(const char *path, XrCheckpointInfo *info, XrTrainState *state,
                        XrError *err);

#endif
