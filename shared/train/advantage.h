// How much better than its group a response did: Shao et al., "DeepSeekMath" (2024), section 4.1;
// without the division: Liu et al., "Understanding R1-Zero-like training" (2025).
#ifndef XR_TRAIN_ADVANTAGE_H
#define XR_TRAIN_ADVANTAGE_H

#include <stdint.h>

// The standard deviation that a difference from the group's mean is divided by.
typedef enum XrScaleRewards {
    XR_SCALE_GROUP, // the group's own
    XR_SCALE_BATCH, // that of all rewards of the batch
    XR_SCALE_NONE,  // no division
} XrScaleRewards;

// "group", "batch" or "none", which the configuration has checked.
XrScaleRewards xr_scale_rewards_of(const char *name);

typedef struct XrAdvantageStats {
    double reward;       // mean of all rewards
    double reward_std;   // mean over groups of each group's standard deviation
    int64_t zero_groups; // groups whose rewards are all the same
} XrAdvantageStats;

// advantages[i] = (rewards[i] - mean) / (std + 1e-4) with the mean of the group that i is in: group
// g has the rewards begin[g] to begin[g+1]. Standard deviations divide by n - 1; that, and the
// 1e-4, are TRL's choice. Groups whose rewards are all equal, a group of one among them, get
// exactly 0.
void xr_advantages(float *advantages, const double *rewards, const int64_t *begin, int64_t groups,
                   XrScaleRewards scale, XrAdvantageStats *stats);

#endif
