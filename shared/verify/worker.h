// A function run in a process of its own, so that whatever it does (crash, hang, take all memory)
// the calling process lives on. The process is started again after each loss.
#ifndef XR_VERIFY_WORKER_H
#define XR_VERIFY_WORKER_H

#include "shared/base/buffer.h"
#include "shared/base/error.h"
#include "shared/verify/span.h"

#include <stddef.h>
#include <stdint.h>

// Runs in the worker's process: answers `request` by appending to `reply`. `context` is as it was
// when the process was started; what the function changes there stays in that process.
typedef void XrWorkerBody(void *context, XrSpan request, XrBuffer *reply);

typedef struct XrWorkerLimits {
    size_t memory;  // bytes of address space beyond what the process starts with; 0: 256 MiB
    double seconds; // of processor time for one request; 0: 0.1. Twenty times that, and at least a
                    // second, of time on the clock
} XrWorkerLimits;

typedef struct XrWorker XrWorker;

// Starts the process. NULL and an error where the system refuses.
XrWorker *xr_worker_create(XrWorkerBody *body, void *context, const XrWorkerLimits *limits,
                           XrError *err);
// Ends the process.
void xr_worker_free(XrWorker *worker);

// Sends `request` and waits for the reply, which replaces what `reply` held. False: the process
// died or was killed at a limit; a new one is started for the next request. To be called by one
// thread at a time.
bool xr_worker_run(XrWorker *worker, XrSpan request, XrBuffer *reply);

// How many requests ended their process.
int64_t xr_worker_lost(const XrWorker *worker);

#endif
