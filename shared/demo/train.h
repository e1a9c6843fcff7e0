// The demo's training runs on the tiny world, by the trainers that `xreasoner sft` and `grpo` run.
#ifndef XR_DEMO_TRAIN_H
#define XR_DEMO_TRAIN_H

#include "shared/demo/demo.h"
#include "shared/demo/findings.h"
#include "shared/train/run_config.h"

typedef enum XrDemoRun {
    XR_DEMO_RUN_ANSWER,
    XR_DEMO_RUN_SFT,
    XR_DEMO_RUN_RL,
    XR_DEMO_RUN_SFT_RL,
    XR_DEMO_RUN_SPECIAL_SFT,
    XR_DEMO_RUN_SPECIAL,
    XR_DEMO_RUNS,
} XrDemoRun;

// The run's folder in the demo's: "sft-rl".
const char *xr_demo_run_name(XrDemoRun run);
// What it trains from, where, on what.
const char *xr_demo_run_title(XrDemoRun run);
bool xr_demo_run_is_rl(XrDemoRun run);

// The learning curve's file of a run with rollouts, in its folder.
#define XR_DEMO_CURVE "curve.jsonl"

// Writes the run's data unless it is there, and trains to the end, from the newest checkpoint where
// one was left. Runs with rollouts note accuracy on the development split in every cell now and
// then, in XR_DEMO_CURVE.
bool xr_demo_train(const XrDemoOptions *options, XrDemoRun run, XrError *err);

#endif
