#!/usr/bin/env python3
"""Make golden/statistics.json: intervals, means, McNemar's test, pass@k, paired bootstraps, two runs.

usage: make_statistics.py
Versions: Python 3.11, numpy 1.26.4, scipy 1.13.1, statsmodels 0.14.2.
The random numbers of the bootstrap are Philox4x32-10 written after its paper (SC11).
"""
import json
import math
import os

import numpy
import scipy
import statsmodels
from scipy import stats
from statsmodels.stats.proportion import proportion_confint

HERE = os.path.dirname(os.path.abspath(__file__))
assert (numpy.__version__, scipy.__version__, statsmodels.__version__) == (
    "1.26.4", "1.13.1", "0.14.2")
MASK = 0xFFFFFFFF


def philox(seed, stream, position):
    counter = [position & MASK, position >> 32, stream & MASK, stream >> 32]
    key = [seed & MASK, seed >> 32]
    for _ in range(10):
        a, b = 0xD2511F53 * counter[0], 0xCD9E8D57 * counter[2]
        counter = [b >> 32 ^ counter[1] ^ key[0], b & MASK, a >> 32 ^ counter[3] ^ key[1], a & MASK]
        key = [key[0] + 0x9E3779B9 & MASK, key[1] + 0xBB67AE85 & MASK]
    return counter


def bootstrap(a, b, replicates, seed):
    d = numpy.asarray(a) - numpy.asarray(b)
    n = len(d)
    means = []
    for r in range(replicates):
        words = [w for i in range((n + 3) // 4) for w in philox(seed, r, i)][:n]
        means.append(d[[w * n >> 32 for w in words]].mean())
    means = numpy.array(means)
    low, high = numpy.percentile(means, [2.5, 97.5])
    extreme = 2 * (1 + min((means <= 0).sum(), (means >= 0).sum())) / (replicates + 1)
    return dict(a=a, b=b, replicates=replicates, seed=seed, difference=d.mean(), low=low, high=high,
                p=min(1.0, extreme))


def mean_case(values):
    x = numpy.asarray(values, float)
    p, n = x.mean(), len(x)
    variance = ((x - p) ** 2).sum() / n / n
    effective = p * (1 - p) / variance if variance > 0 else n
    low, high = proportion_confint(p * effective, effective, method="wilson")
    return dict(values=values, mean=p, stderr=stats.sem(x) if n > 1 else 0.0, low=low, high=high)


def wilson_case(right, n):
    ci = stats.binomtest(right, n).proportion_ci(0.95, method="wilson")
    return dict(right=right, n=n, low=ci.low, high=ci.high)


rng = numpy.random.default_rng(7)


def shares(count, samples):
    skill = rng.beta(0.5, 0.5, count)
    return [float(k) / samples for k in rng.binomial(samples, skill)]


golden = dict(
    wilson=[wilson_case(k, n) for n in (1, 2, 7, 30, 304, 12032)
            for k in sorted({0, 1, n // 3, n - 1, n}) if k <= n],
    mean=[mean_case(v) for v in ([1.0], [0.0, 0.0, 0.0], [1.0] * 5, shares(30, 1), shares(41, 5),
                                 shares(304, 8), [0.2] * 10)],
    mcnemar=[dict(a=a, b=b, p=stats.binomtest(a, a + b, 0.5).pvalue if a + b else 1.0)
             for a, b in ((0, 0), (1, 0), (0, 6), (3, 9), (20, 20), (41, 17), (700, 612), (5, 300))],
    pass_at_k=[dict(n=n, right=c, k=k, value=1 - math.comb(n - c, k) / math.comb(n, k))
               for n in (1, 4, 5, 20, 200) for c in sorted({0, 1, n // 2, n}) if c <= n
               for k in sorted({1, 2, n // 2, n - 1, n}) if 1 <= k <= n],
    bootstrap=[bootstrap(shares(30, 1), shares(30, 1), 999, 42),
               bootstrap(shares(57, 5), shares(57, 5), 400, 2**40 + 3),
               bootstrap([1.0, 0.0], [1.0, 0.0], 50, 0)])


def comparison(items):
    """Two runs' samples of the same items, each item's as a list of 0 and 1, in order of ids."""
    a, b = ([float(numpy.mean(i[run])) for i in items] for run in ("a", "b"))
    out = bootstrap(a, b, 10000, 42)
    only_a = sum(any(i["a"]) and not any(i["b"]) for i in items)
    only_b = sum(any(i["b"]) and not any(i["a"]) for i in items)
    one = all(len(i["a"]) == len(i["b"]) == 1 for i in items)
    p = stats.binomtest(only_a, only_a + only_b, 0.5).pvalue if one and only_a + only_b else 1.0
    return dict(items=len(items), only_a=only_a, only_b=only_b, one=one, mcnemar=p,
                **{k: out[k] for k in ("difference", "low", "high", "p")})


def compared_runs(count, samples_a, samples_b):
    """Runs on items of three subjects, "pi" the same in both; every seventh item has no subject."""
    subjects = ["algebra", "logic", "pi"]
    items = []
    for i in range(count):
        subject = None if i % 7 == 6 else subjects[i % 3]
        a, b = (rng.integers(0, 2, n).tolist() for n in (samples_a, samples_b))
        items.append(dict(id=f"q{i:03d}", subject=subject, a=a, b=a if subject == "pi" else b))
    named = [s for s in subjects if any(i["subject"] == s for i in items)]
    return dict(runs=items, all=comparison(items),
                subjects=[dict(subject=s, **comparison([i for i in items if i["subject"] == s]))
                          for s in named])


golden["compare"] = [compared_runs(30, 1, 1), compared_runs(17, 3, 2), compared_runs(2, 1, 1)]
with open(os.path.join(HERE, "statistics.json"), "w") as f:
    json.dump(golden, f, indent=0, default=float)
    f.write("\n")
