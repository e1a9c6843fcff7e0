// Training runs in tests: configurations from key=value lists, what a run left behind.
#ifndef XR_TESTS_RUNS_H
#define XR_TESTS_RUNS_H

#include "shared/base/json.h"
#include "shared/train/run_config.h"
#include "tests/support/golden.h"

// A configuration of `command` (an XR_RUN_x bit) with these assignments; fails the test on a wrong
// one. `assignments` ends with NULL.
XrRunConfig xr_test_config(int command, const char *const *assignments);

// Writes so many sums with their answers, as questions for `grpo`; returns the assignment
// "train_dataset=PATH", which the caller frees.
char *xr_test_questions(const char *path, int count);

// Assignments for two short steps of `grpo` with forced exits; ends with NULL.
extern const char *const XR_TEST_TWO_SAMPLED_STEPS[];

// A file of a run's folder, whole; fails the test when it is missing.
void xr_test_read(XrBuffer *out, const char *folder, const char *name);

// metrics.jsonl without the values that differ between two runs of one configuration.
void xr_test_metrics(XrBuffer *out, const char *folder);

// The value under `key` of the line of metrics.jsonl whose "step" is `step`, the first that has it.
double xr_test_metric(const char *folder, int64_t step, const char *key);

// Compares the weights in model/ of a run's folder with the golden tensors "after.NAME".
void xr_test_weights(const XrGolden *golden, const char *folder, double tolerance);

// Compares the weights in model/ of two runs' folders.
void xr_test_close_weights(const char *folder, const char *expected, double tolerance);

// Fails the test unless these files (the list ends with NULL) and metrics.jsonl, times aside, are
// the same in both runs.
void xr_test_same_runs(const char *a, const char *b, const char *const *files);

// Fails the test unless <a>/<name> and <b>/<name> hold the same bytes.
void xr_test_same_file(const char *a, const char *b, const char *name);

#endif
