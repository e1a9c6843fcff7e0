// xreasoner eval: a model's answers to benchmarks, judged and counted. docs/evaluation.md describes
// what a run writes.
#ifndef XR_EVAL_RUN_H
#define XR_EVAL_RUN_H

#include "shared/tensor/backend.h"
#include "shared/train/run_config.h"

typedef struct XrEvalOptions {
    const XrRunConfig *config;
    XrBackend *backend;
    bool resume; // go on after the answers that are there
} XrEvalOptions;

// Answers all items, or judges those of `responses`. After an interrupt the error's status is
// XR_ERR_INTERRUPTED, and what was answered stays. Appends the tables as text.
bool xr_eval_run(const XrEvalOptions *options, XrBuffer *tables, XrError *err);

// Judges the answers of the run in `folder` again: samples.jsonl is replaced as a whole,
// rescored.jsonl lists the answers whose score, verdict or extraction changed, summary.json and
// left_out.jsonl are made anew. `config` is the run's, maybe with other `items` or `denominator`;
// answers to items that are not chosen stay as they are and enter no table. Appends a line of
// counts and the tables.
bool xr_eval_rescore(const char *folder, const XrRunConfig *config, XrBuffer *tables, XrError *err);

#endif
