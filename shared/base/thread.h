// A pool of threads for loops whose iterations are independent. Results never depend on the number
// of threads: a loop body writes only what belongs to its own iterations.
#ifndef XR_BASE_THREAD_H
#define XR_BASE_THREAD_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct XrThreads XrThreads;

// `count` threads in all, the caller's included; 0 takes one for each processor that this process
// may run on. While loop bodies run, every thread (the caller's too) has denormal numbers flushed
// to zero; the caller's setting is put back afterwards.
XrThreads *xr_threads_create(int count);
void xr_threads_free(XrThreads *threads);
int xr_threads_count(const XrThreads *threads);

// Calls body(context, begin, end, thread) on pieces of at most `grain` iterations that together
// cover [0, count) once, on all threads, and returns when all are done. `thread` is in [0, count of
// threads) and names the thread, for scratch memory. Loops do not nest.
typedef void XrLoopBody(void *context, int64_t begin, int64_t end, int thread);
void xr_parallel(XrThreads *threads, int64_t count, int64_t grain, XrLoopBody *body, void *context);

#ifdef __cplusplus
}
#endif

#endif
