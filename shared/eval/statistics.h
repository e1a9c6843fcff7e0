// Statistics of evaluations: intervals, pass@k, comparison of two runs on the same questions.
// docs/evaluation.md says when which is used.
#ifndef XR_EVAL_STATISTICS_H
#define XR_EVAL_STATISTICS_H

#include <stdint.h>

typedef struct XrInterval {
    double low, high;
} XrInterval;

// Wilson's 95% score interval (Wilson, JASA 1927) of a share `p` among `n` independent answers; `n`
// need not be whole. Without answers: 0 to 1.
XrInterval xr_wilson(double p, double n);

// The mean of one value a question, each in [0, 1].
typedef struct XrMean {
    double mean;
    double stderr_; // sample standard deviation / sqrt(count); 0 for fewer than two
    XrInterval interval;
    int64_t count;
} XrMean;

// values[q] is what question q scored: 0 or 1, or the mean over its samples, which makes the
// interval one that is clustered by question. The interval is Wilson's at the effective number of
// answers p(1-p) / (sum (x-p)^2 / count^2) (Dean and Pagano, J. Survey Stat. Methodol. 2015), which
// is `count` for values of 0 and 1; where all values are alike, it is taken to be `count` too.
XrMean xr_mean(const double *values, int64_t count);

// Unbiased pass@k of a question of whose `n` samples `right` are right: the chance that among k
// of them, drawn without replacement, is a right one: 1 - prod_{i=n-right+1..n} (1 - k/i) (Chen et
// al., arXiv 2107.03374). 1 <= k <= n.
double xr_pass_at_k(int64_t n, int64_t right, int64_t k);

// Two-sided exact p of McNemar's test: `only_a` questions that only the first run has right,
// `only_b` that only the second has.
double xr_mcnemar(int64_t only_a, int64_t only_b);

// The difference of two runs' means over the same questions, first minus second.
typedef struct XrPaired {
    double difference;
    XrInterval interval; // 95%, percentiles (linear interpolation) of the bootstrap's means
    double p;            // two-sided: 2 (1 + min(#means <= 0, #means >= 0)) / (replicates + 1)
} XrPaired;

// Bootstraps questions `replicates` times: question of draw i of replicate r is
// floor(u * count / 2^32), u being word i % 4 of xr_philox(seed, r, i / 4). count >= 1.
XrPaired xr_paired_bootstrap(const double *a, const double *b, int64_t count, int64_t replicates,
                             uint64_t seed);

#endif
