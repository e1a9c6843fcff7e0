#include "ref/yardstick.h"

#include "ref/cpu.h"
#include "ref/yardstick_kernels.h"
#include "shared/base/memory.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { PASSES = 5, PIECES = 16, ROUNDS = 1 << 16 };
static const size_t BYTES = (size_t)512 << 20;

typedef struct Measurement {
    const XrYardstickKernels *kernels;
    float *numbers; // NULL: multiply
    int64_t count;  // numbers of a piece
    float results[PIECES];
} Measurement;

static double seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void fill(void *context, int64_t begin, int64_t end, int thread) {
    const Measurement *m = context;
    memset(m->numbers + begin * m->count, 0, (size_t)((end - begin) * m->count) * sizeof(float));
}

static void measure(void *context, int64_t begin, int64_t end, int thread) {
    Measurement *m = context;
    for (int64_t i = begin; i < end; i++) {
        m->results[i] = m->numbers ? m->kernels->read(m->numbers + i * m->count, m->count)
                                   : m->kernels->multiply(ROUNDS);
    }
}

static double best_time(XrBackend *b, Measurement *m) {
    double best = 1e30;
    for (int pass = 0; pass < PASSES; pass++) {
        double start = seconds();
        xr_cpu_parallel(b, PIECES, 1, measure, m);
        double time = seconds() - start;
        best = XR_MIN(best, time);
    }
    return best;
}

double xr_cpu_read_rate(XrBackend *b) {
    Measurement m = {.kernels = XR_CHOOSE_KERNELS(xr_yardstick_kernels),
                     .numbers = xr_alloc_aligned(BYTES),
                     .count = (int64_t)(BYTES / sizeof(float) / PIECES)};
    xr_cpu_parallel(b, PIECES, 1, fill, &m);
    double time = best_time(b, &m);
    free(m.numbers);
    return (double)BYTES / time;
}

double xr_cpu_multiply_rate(XrBackend *b) {
    Measurement m = {.kernels = XR_CHOOSE_KERNELS(xr_yardstick_kernels)};
    return (double)m.kernels->operations * ROUNDS * PIECES / best_time(b, &m);
}
