// Which rows of an epoch make up which micro-batch, from their lengths alone: a resumed run finds
// its place by making the same plan again.
#ifndef XR_TRAIN_PACK_H
#define XR_TRAIN_PACK_H

#include <stdbool.h>
#include <stdint.h>

typedef struct XrPackSettings {
    bool packing;       // fill micro-batches with rows up to sequences * max_length tokens ...
    int64_t sequences;  // ... or take this many rows
    int64_t max_length; // tokens; no row is longer
    int64_t accumulate; // micro-batches of an optimiser step, on all ranks together
} XrPackSettings;

// Micro-batch m holds order[begin[m]] ... order[begin[m + 1] - 1]; step s the micro-batches
// [s * accumulate, (s + 1) * accumulate), the last of an epoch maybe fewer.
typedef struct XrPackPlan {
    int64_t *order; // [rows]
    int64_t *begin; // [micro_batches + 1]
    int64_t micro_batches, steps;
} XrPackPlan;

// Takes the rows of tokens[0..count) in the order of `epoch` (shared/train/order.h), or with
// `shuffle` false in their own.
XrPackPlan xr_pack_plan(const int32_t *tokens, int64_t count, const XrPackSettings *settings,
                        bool shuffle, uint64_t seed, uint64_t epoch);
void xr_pack_plan_free(XrPackPlan *plan);

// No micro-batch of any epoch has more tokens.
int64_t xr_pack_most_tokens(const int32_t *tokens, int64_t count, const XrPackSettings *settings);

#endif
