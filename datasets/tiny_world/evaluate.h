// How well a model reads, knows and answers the tiny world.
#ifndef XR_TINY_WORLD_EVALUATE_H
#define XR_TINY_WORLD_EVALUATE_H

#include "datasets/tiny_world/tasks.h"
#include "shared/base/error.h"
#include "shared/tensor/backend.h"

typedef struct XrWorldExam {
    XrWorldSplit split; // of the lists, and of the pictures' looks
    int64_t items;      // of each task, domain and medium
    uint64_t seed;
    int64_t think_budget; // forced exit after so many tokens; -1: never
} XrWorldExam;

// Appends a table: for each task, domain and medium the share of right responses with its 95%
// interval, the mean number of tokens, the share that ran into the limit of tokens, and the share
// that ended by itself with thinking left open. Greedy. What is right: exam.h.
bool xr_world_evaluate(XrBuffer *table, XrBackend *backend, const char *folder,
                       const XrWorldExam *exam, XrError *err);

#endif
