#include "shared/train/advantage.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

static const double EPSILON = 1e-4;

XrScaleRewards xr_scale_rewards_of(const char *name) {
    return strcmp(name, "batch") == 0  ? XR_SCALE_BATCH
           : strcmp(name, "none") == 0 ? XR_SCALE_NONE
                                       : XR_SCALE_GROUP;
}

static double mean_of(const double *values, int64_t count) {
    double sum = 0;
    for (int64_t i = 0; i < count; i++) sum += values[i];
    return count ? sum / (double)count : 0;
}

static bool all_equal(const double *values, int64_t count) {
    for (int64_t i = 1; i < count; i++) {
        if (values[i] != values[0]) return false;
    }
    return true;
}

// With n - 1; 0 where all are equal, whatever rounding makes of their mean.
static double deviation(const double *values, int64_t count) {
    if (all_equal(values, count)) return 0;
    double mean = mean_of(values, count), sum = 0;
    for (int64_t i = 0; i < count; i++) sum += (values[i] - mean) * (values[i] - mean);
    return sqrt(sum / (double)(count - 1));
}

void xr_advantages(float *advantages, const double *rewards, const int64_t *begin, int64_t groups,
                   XrScaleRewards scale, XrAdvantageStats *stats) {
    int64_t all = begin[groups] - begin[0];
    *stats = (XrAdvantageStats){.reward = mean_of(rewards + begin[0], all)};
    double batch = deviation(rewards + begin[0], all), deviations = 0;
    for (int64_t g = 0; g < groups; g++) {
        const double *own = rewards + begin[g];
        int64_t count = begin[g + 1] - begin[g];
        double std = deviation(own, count), mean = mean_of(own, count);
        double divisor = scale == XR_SCALE_NONE    ? 1
                         : scale == XR_SCALE_BATCH ? batch + EPSILON
                                                   : std + EPSILON;
        bool zero = all_equal(own, count);
        stats->zero_groups += zero;
        deviations += std;
        for (int64_t i = 0; i < count; i++) {
            advantages[begin[g] + i] = zero ? 0 : (float)((own[i] - mean) / divisor);
        }
    }
    stats->reward_std = groups ? deviations / (double)groups : 0;
}
