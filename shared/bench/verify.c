// The verifier on one thread: made pairs of every kind in responses of 2 kB and of a million bytes,
// the same through a worker process, and real responses where XR_DATA_DIR names the folder of data.
// After each case the distribution over its pairs goes to standard error.
#include "shared/bench/bench.h"
#include "shared/bench/verify_data.h"

#include "shared/base/memory.h"
#include "shared/verify/batch.h"

#include <stdlib.h>

typedef struct Job {
    const XrBenchCase *self;
    XrBenchPairs pairs;
    XrVerifyPool *pool;
    XrVerifyResult *results;
    double *least; // microseconds of each pair, the least of all runs
} Job;

static void run(void *state) {
    Job *job = state;
    xr_verify_batch(job->pool, job->pairs.requests, job->results, job->pairs.count);
    for (int64_t i = 0; i < job->pairs.count; i++) {
        job->least[i] = XR_MIN(job->least[i], job->results[i].microseconds);
    }
}

static int compare_times(const void *a, const void *b) {
    double left = *(const double *)a, right = *(const double *)b;
    return (left > right) - (left < right);
}

static void finish(void *state) {
    Job *job = state;
    int64_t count = job->pairs.count;
    qsort(job->least, (size_t)count, sizeof *job->least, compare_times);
    fprintf(stderr, "%s: %lld pairs, microseconds: median %.1f, 90%% %.1f, 99%% %.1f, most %.1f\n",
            job->self->name, (long long)count, job->least[count / 2], job->least[count * 9 / 10],
            job->least[count * 99 / 100], job->least[count - 1]);
    for (int64_t i = 0; i < count; i++) xr_verify_result_free(&job->results[i]);
    free(job->results);
    free(job->least);
    xr_verify_pool_free(job->pool);
    xr_bench_pairs_free(&job->pairs);
    free(job);
}

// n: bytes of a made response, or 0 for real ones; whether in a worker process.
static void *start(const XrBenchCase *self, XrBackend *b, XrBenchWork *work, XrError *err) {
    Job *job = xr_calloc(1, sizeof *job);
    XrVerifyPoolOptions options = {.threads = 1, .isolate = self->n[1] != 0};
    job->self = self;
    if (self->n[0]) {
        xr_bench_pairs_make(&job->pairs, (size_t)self->n[0]);
    } else if (!xr_bench_pairs_read(&job->pairs, getenv("XR_DATA_DIR"), self->path, err)) {
        free(job);
        return NULL;
    }
    job->pool = xr_verify_pool_create(&options, err);
    bool any = job->pairs.count > 0;
    if (!any) xr_fail(err, XR_ERR_INPUT, "%s: no pairs in %s", self->name, getenv("XR_DATA_DIR"));
    if (!job->pool || !any) {
        xr_verify_pool_free(job->pool);
        xr_bench_pairs_free(&job->pairs);
        free(job);
        return NULL;
    }
    job->results = xr_calloc((size_t)job->pairs.count, sizeof *job->results);
    job->least = xr_calloc((size_t)job->pairs.count, sizeof *job->least);
    for (int64_t i = 0; i < job->pairs.count; i++) job->least[i] = 1e9;
    *work = (XrBenchWork){.units = (double)job->pairs.count, .unit = "pairs"};
    return job;
}

void xr_bench_verify(XrBenchList *list) {
    static const struct {
        const char *name;
        int64_t bytes, apart;
        const char *set;
    } cases[] = {
        {"verify/2kB", 2048, 0, NULL},
        {"verify/2kB/worker", 2048, 1, NULL},
        {"verify/1MB", 1000000, 0, NULL},
        {"verify/gsm8k", 0, 0, "gsm8k"},
        {"verify/mathvision", 0, 0, "mathvision"},
        {"verify/mmlu-pro", 0, 0, "mmlu-pro"},
    };
    for (size_t i = 0; i < XR_COUNT(cases); i++) {
        if (cases[i].set && !getenv("XR_DATA_DIR")) continue;
        XrBenchCase item = {.n = {cases[i].bytes, cases[i].apart},
                            .path = cases[i].set,
                            .start = start,
                            .run = run,
                            .finish = finish};
        snprintf(item.name, sizeof item.name, "%s", cases[i].name);
        xr_bench_add(list, &item);
    }
}
