// Runs of the trainers in tests, in this process, on golden models.
#ifndef XR_TESTS_TRAINING_H
#define XR_TESTS_TRAINING_H

#include "shared/base/error.h"

#include <stdbool.h>

typedef struct XrTestTraining {
    int command;                 // XR_RUN_SFT or XR_RUN_GRPO
    const char *model;           // of golden/models
    const char *folder;          // the run's
    const char *data;            // train_dataset, or NULL
    const char *const *settings; // assignments, ended by NULL
    const char *const *more;     // further ones, which win; NULL: none
    const char *replay;          // recorded rollouts of grpo, or NULL
    const char *backend;         // as xr_test_backend has them
    bool resume;
} XrTestTraining;

// A wrong setting fails the test, what the run says is returned.
bool xr_test_try_training(const XrTestTraining *training, XrError *err);
// The run must succeed.
void xr_test_train(const XrTestTraining *training);

// "<scratch>/<name>-<number>", another each time; to be freed.
char *xr_test_fresh_folder(const char *name);

// Assignments for three steps of `sft`, a row each, with a checkpoint after every one; ends with
// NULL.
extern const char *const XR_TEST_THREE_SAVED_STEPS[];

// Removes what such a run left after its first checkpoint, as if it had been killed there.
void xr_test_back_to_first(const char *folder);

#endif
