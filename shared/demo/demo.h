// The whole recipe on the tiny world: fine-tuning and policy optimisation on text, evaluation in
// text and pictures, and a page that holds the X-Reasoner paper's findings against it.
#ifndef XR_DEMO_DEMO_H
#define XR_DEMO_DEMO_H

#include "shared/base/error.h"
#include "shared/tensor/backend.h"

#include <stdint.h>

// How much is done. Steps are the optimiser's; rollout batches take two each.
typedef struct XrDemoSize {
    int64_t sft_steps, sft_rows;            // fine-tuning on `total`; rows of a step
    int64_t special_steps;                  // fine-tuning on `level`
    int64_t rl_batches, special_rl_batches; // batches of rollouts
    int64_t questions;                      // of a batch of rollouts, eight samples each
    int64_t items;                          // of each cell, test split
    int64_t curve_items, curve_every;       // of each cell, development split; batches between
} XrDemoSize;

// What `xreasoner demo` does.
XrDemoSize xr_demo_size(void);

typedef struct XrDemoOptions {
    XrBackend *backend;
    const char *out; // folder, made if missing; a demo that was interrupted there goes on
    uint64_t seed;
    XrDemoSize size;
} XrDemoOptions;

// Runs everything. <out>/report.html is the page, <out>/results.json its numbers, which are the
// same on every run on one machine; both come last. A folder that holds a demo of another size or
// seed is an error.
bool xr_demo_run(const XrDemoOptions *options, XrError *err);

#endif
