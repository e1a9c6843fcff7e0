// Many pairs at once, on several threads, each with a process of its own as a backstop.
#ifndef XR_VERIFY_BATCH_H
#define XR_VERIFY_BATCH_H

#include "shared/base/error.h"
#include "shared/verify/verify.h"
#include "shared/verify/worker.h"

#include <stdint.h>

typedef struct XrVerifyPoolOptions {
    XrVerifyOptions verify;
    int threads;           // 0: one for each processor
    bool isolate;          // judge in worker processes
    XrWorkerLimits limits; // of those
} XrVerifyPoolOptions;

typedef struct XrVerifyPool XrVerifyPool;

// Best created early, while the process is small: it is forked. `options` may be NULL (all zero).
XrVerifyPool *xr_verify_pool_create(const XrVerifyPoolOptions *options, XrError *err);
void xr_verify_pool_free(XrVerifyPool *pool);

// Judges requests[i] into results[i] (zero-initialised, or holding earlier results). The results do
// not depend on the number of threads, microseconds aside. A pair that ends its worker process gets
// the verdict over_limit.
void xr_verify_batch(XrVerifyPool *pool, const XrVerifyRequest *requests, XrVerifyResult *results,
                     int64_t count);

// How many worker processes were lost so far.
int64_t xr_verify_pool_lost(const XrVerifyPool *pool);

#endif
