// The order in which data is seen: a function of seed and epoch alone, so that a resumed run, or
// one with another number of ranks, sees the same.
#ifndef XR_TRAIN_ORDER_H
#define XR_TRAIN_ORDER_H

#include <stdint.h>

// Fills order[0..count) with a uniformly random permutation (Fisher-Yates on counter-based
// numbers).
void xr_shuffled_order(int64_t *order, int64_t count, uint64_t seed, uint64_t epoch);

#endif
