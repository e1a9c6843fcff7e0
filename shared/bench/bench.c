#include "shared/bench/bench.h"

#include "ref/isa.h"
#include "ref/yardstick.h"
#include "shared/base/memory.h"
#include "shared/bench/numbers.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { LEAST_RUNS = 5, MOST_RUNS = 1000 };
static const double LEAST_SECONDS = 0.5, ENOUGH_SECONDS = 20;

void xr_bench_add(XrBenchList *list, const XrBenchCase *item) {
    list->items = xr_realloc(list->items, ((size_t)list->count + 1) * sizeof *list->items);
    list->items[list->count++] = *item;
}

void xr_bench_add_all(XrBenchList *list, const XrBenchCase *items, size_t count,
                      const XrBenchCase *usual) {
    for (size_t i = 0; i < count; i++) {
        XrBenchCase item = items[i];
        item.path = usual->path;
        item.finish = usual->finish;
        if (!item.start) {
            item.start = usual->start;
            item.run = usual->run;
        }
        xr_bench_add(list, &item);
    }
}

void xr_bench_list_free(XrBenchList *list) {
    free(list->items);
    *list = (XrBenchList){0};
}

static double seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

// The most memory that the process has held since the last call, in bytes; 0 where the system does
// not say (Linux does, in /proc).
static double peak_since_last_call(void) {
    double kilobytes = 0;
    char line[256];
    FILE *status = fopen("/proc/self/status", "r");
    while (status && fgets(line, sizeof line, status)) {
        if (strncmp(line, "VmHWM:", 6) == 0) kilobytes = strtod(line + 6, NULL);
    }
    if (status) fclose(status);
    FILE *reset = fopen("/proc/self/clear_refs", "w");
    if (reset) {
        fputs("5", reset);
        fclose(reset);
    }
    return 1024 * kilobytes;
}

static int by_size(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

// Once to warm up, then until there are enough runs and enough time was spent.
bool xr_bench_run(const XrBenchCase *item, XrBackend *b, XrBenchResult *result, XrError *err) {
    *result = (XrBenchResult){0};
    bool gpu = strcmp(b->name, "cpu") != 0;
    size_t free_before = gpu ? b->memory(b) : 0;
    peak_since_last_call();
    void *state = item->start(item, b, &result->work, err);
    if (!state) return xr_fail_in(err, "%s", item->name);
    item->run(state);
    b->synchronize(b);
    double times[MOST_RUNS], total = 0;
    int runs = 0;
    while (runs < MOST_RUNS && total < ENOUGH_SECONDS &&
           (runs < LEAST_RUNS || total < LEAST_SECONDS)) {
        double start = seconds();
        item->run(state);
        b->synchronize(b);
        times[runs] = seconds() - start;
        total += times[runs++];
    }
    size_t free_now = gpu ? b->memory(b) : 0;
    item->finish(state);
    result->peak_bytes =
        gpu ? (double)(free_before - XR_MIN(free_now, free_before)) : peak_since_last_call();
    qsort(times, (size_t)runs, sizeof *times, by_size);
    result->runs = runs;
    result->median = times[runs / 2];
    result->least = times[0];
    return true;
}

enum { GPU_ROUNDS = 10, GPU_SIZE = 8192 };
static const size_t GPU_COPY = (size_t)1 << 30;

static double copy_rate(XrBackend *b) {
    XrError err;
    char *memory = b->alloc(b, 2 * GPU_COPY, "the rate of copies", &err);
    XR_REQUIRE(memory, "%s", err.message);
    double best = 0;
    for (int i = 0; i < GPU_ROUNDS; i++) {
        double start = seconds();
        b->copy(b, memory, memory + GPU_COPY, GPU_COPY);
        b->synchronize(b);
        best = fmax(best, 2 * (double)GPU_COPY / (seconds() - start));
    }
    b->free(b, memory);
    return best;
}

static double multiply_rate(XrBackend *b) {
    XrTensor t[3];
    for (int i = 0; i < 3; i++) t[i] = xr_bench_tensor(b, b->activations, GPU_SIZE, GPU_SIZE);
    double best = 0;
    for (int i = 0; i < GPU_ROUNDS; i++) {
        double start = seconds();
        xr_linear(b, &t[0], &t[1], &t[2], NULL);
        b->synchronize(b);
        best = fmax(best, 2 * pow(GPU_SIZE, 3) / (seconds() - start));
    }
    for (int i = 0; i < 3; i++) xr_tensor_free(b, &t[i]);
    return best;
}

XrBenchYardstick xr_bench_yardstick(XrBackend *b) {
    if (strcmp(b->name, "cpu") == 0) {
        return (XrBenchYardstick){xr_cpu_read_rate(b), xr_cpu_multiply_rate(b)};
    }
    return (XrBenchYardstick){copy_rate(b), multiply_rate(b)};
}

void xr_bench_print_head(FILE *out, bool json, const XrBenchYardstick *yardstick,
                         const XrBackend *b) {
    bool cpu = strcmp(b->name, "cpu") == 0;
    const char *isa = cpu ? xr_isa_name(xr_isa()) : xr_dtype_name(b->activations);
    int threads = xr_threads_count(b->threads);
    if (json) {
        fprintf(out,
                "{\"yardstick\": {\"isa\": \"%s\", \"threads\": %d, \"read_bytes_per_s\": %.4g, "
                "\"flop_per_s\": %.4g}}\n",
                isa, threads, yardstick->bytes, yardstick->operations);
        return;
    }
    if (cpu) {
        fprintf(out, "%d threads, %s kernels; the hardware reads", threads, isa);
    } else {
        fprintf(out, "%s, activations %s; the hardware copies", b->name, isa);
    }
    fprintf(out, " %.1f GB/s and multiplies %.1f GFLOP/s\n\n", yardstick->bytes * 1e-9,
            yardstick->operations * 1e-9);
    fprintf(out, "%-44s %5s %10s %10s %9s %5s %8s %5s %6s  %s\n", "case", "runs", "median ms",
            "least ms", "GFLOP/s", "peak", "GB/s", "read", "MB", "rate");
}

static void print_json(FILE *out, const XrBenchCase *item, const XrBenchResult *r,
                       const XrBenchYardstick *y) {
    fprintf(out, "{\"name\": \"%s\", \"runs\": %d, \"median_s\": %.6g, \"least_s\": %.6g",
            item->name, r->runs, r->median, r->least);
    if (r->work.operations > 0) {
        double rate = r->work.operations / r->median;
        fprintf(out, ", \"flop_per_s\": %.4g", rate);
        if (y->operations > 0) fprintf(out, ", \"of_peak\": %.3f", rate / y->operations);
    }
    if (r->work.bytes > 0) {
        double rate = r->work.bytes / r->median;
        fprintf(out, ", \"bytes_per_s\": %.4g", rate);
        if (y->bytes > 0) fprintf(out, ", \"of_read_rate\": %.3f", rate / y->bytes);
    }
    if (r->work.unit) {
        fprintf(out, ", \"%s_per_s\": %.5g", r->work.unit, r->work.units / r->median);
    }
    fprintf(out, ", \"peak_bytes\": %.0f}\n", r->peak_bytes);
}

// Billions a second, and the part of the best rate that this is.
static void print_rate(FILE *out, int width, double rate, double best) {
    if (rate > 0)
        fprintf(out, " %*.1f", width, rate * 1e-9);
    else
        fprintf(out, " %*s", width, "");
    if (rate > 0 && best > 0)
        fprintf(out, " %4.0f%%", 100 * rate / best);
    else
        fprintf(out, " %5s", "");
}

void xr_bench_print(FILE *out, bool json, const XrBenchCase *item, const XrBenchResult *r,
                    const XrBenchYardstick *y) {
    if (json) {
        print_json(out, item, r, y);
        return;
    }
    fprintf(out, "%-44s %5d %10.3f %10.3f", item->name, r->runs, r->median * 1e3, r->least * 1e3);
    print_rate(out, 9, r->work.operations / r->median, y->operations);
    print_rate(out, 8, r->work.bytes / r->median, y->bytes);
    fprintf(out, " %6.0f", r->peak_bytes * 1e-6);
    if (r->work.unit) fprintf(out, "  %.1f %s/s", r->work.units / r->median, r->work.unit);
    fprintf(out, "\n");
}
