#include "shared/eval/statistics.h"

#include "shared/base/memory.h"
#include "shared/base/rng.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

static const double Z = 1.959963984540054; // 97.5% of the normal distribution

XrInterval xr_wilson(double p, double n) {
    if (n <= 0) return (XrInterval){0, 1};
    double z2 = Z * Z / n;
    double centre = (p + z2 / 2) / (1 + z2);
    double half = Z / (1 + z2) * sqrt(p * (1 - p) / n + z2 / (4 * n));
    return (XrInterval){XR_MAX(centre - half, 0.0), XR_MIN(centre + half, 1.0)};
}

XrMean xr_mean(const double *values, int64_t count) {
    XrMean m = {.count = count};
    double n = (double)count, squares = 0;
    for (int64_t i = 0; i < count; i++) m.mean += values[i];
    if (count) m.mean /= n;
    for (int64_t i = 0; i < count; i++) squares += (values[i] - m.mean) * (values[i] - m.mean);
    if (count > 1) m.stderr_ = sqrt(squares / (n - 1) / n);
    double variance = count ? squares / n / n : 0, effective = n;
    bool all_alike = squares <= 1e-24 * n; // but for rounding
    if (!all_alike) effective = m.mean * (1 - m.mean) / variance;
    m.interval = xr_wilson(m.mean, effective);
    return m;
}

double xr_pass_at_k(int64_t n, int64_t right, int64_t k) {
    XR_REQUIRE(0 <= right && right <= n && 1 <= k && k <= n, "pass@%lld of %lld right of %lld",
               (long long)k, (long long)right, (long long)n);
    if (n - right < k) return 1;
    double fail = 1;
    for (int64_t i = n - right + 1; i <= n; i++) fail *= 1 - (double)k / (double)i;
    return 1 - fail;
}

double xr_mcnemar(int64_t only_a, int64_t only_b) {
    int64_t n = only_a + only_b, least = XR_MIN(only_a, only_b);
    double tail = 0;
    for (int64_t i = 0; i <= least; i++) {
        double ways = lgamma((double)n + 1) - lgamma((double)i + 1) - lgamma((double)(n - i) + 1);
        tail += exp(ways - (double)n * log(2));
    }
    return XR_MIN(2 * tail, 1.0);
}

static int by_size(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double percentile(const double *sorted, int64_t count, double share) {
    double at = share * (double)(count - 1);
    int64_t low = (int64_t)at, high = XR_MIN(low + 1, count - 1);
    return sorted[low] + (at - (double)low) * (sorted[high] - sorted[low]);
}

static double resampled_mean(const double *d, int64_t count, uint64_t seed, uint64_t replicate) {
    double sum = 0;
    uint32_t random[4] = {0};
    for (int64_t i = 0; i < count; i++) {
        if (i % 4 == 0) xr_philox(seed, replicate, (uint64_t)i / 4, random);
        sum += d[(uint64_t)random[i % 4] * (uint64_t)count >> 32];
    }
    return sum / (double)count;
}

XrPaired xr_paired_bootstrap(const double *a, const double *b, int64_t count, int64_t replicates,
                             uint64_t seed) {
    XR_REQUIRE(count >= 1 && replicates >= 1, "bootstrap of %lld questions, %lld times",
               (long long)count, (long long)replicates);
    XrPaired out = {0};
    double *d = xr_malloc(sizeof *d * (size_t)count);
    double *means = xr_malloc(sizeof *means * (size_t)replicates);
    int64_t below = 0, above = 0;
    for (int64_t i = 0; i < count; i++) {
        d[i] = a[i] - b[i];
        out.difference += d[i] / (double)count;
    }
    for (int64_t r = 0; r < replicates; r++) {
        means[r] = resampled_mean(d, count, seed, (uint64_t)r);
        below += means[r] <= 0;
        above += means[r] >= 0;
    }
    qsort(means, (size_t)replicates, sizeof *means, by_size);
    out.interval.low = percentile(means, replicates, 0.025);
    out.interval.high = percentile(means, replicates, 0.975);
    double extreme = 2.0 * (double)(1 + XR_MIN(below, above)) / (double)(replicates + 1);
    out.p = XR_MIN(extreme, 1.0);
    free(d);
    free(means);
    return out;
}
