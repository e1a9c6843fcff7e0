// The CPU backend: host memory, a pool of threads, and the table of operations.
#include "ref/cpu.h"

#include "shared/base/file.h"
#include "shared/base/memory.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct Scratch {
    void *memory;
    size_t bytes;
} Scratch;

typedef struct Cpu {
    XrBackend base;
    Scratch *scratch; // one a thread
    Scratch shared, product;
} Cpu;

#define CPU_OP_FIELD(name, parameters, arguments) .name = xr_cpu_##name,
static const XrOps CPU_OPS = {XR_OPS(CPU_OP_FIELD)};

static void *cpu_alloc(XrBackend *b, size_t bytes, const char *what, XrError *err) {
    return xr_try_alloc(bytes, what, err);
}

static void cpu_free(XrBackend *b, void *memory) {
    free(memory);
}

static void *cpu_offload_alloc(XrBackend *b, size_t bytes, const char *folder, const char *what,
                               XrError *err) {
    return xr_file_memory(folder, bytes, what, err);
}

static void cpu_offload_release(XrBackend *b, void *begin, size_t bytes) {
    xr_file_memory_release(begin, bytes);
}

static void cpu_offload_free(XrBackend *b, void *memory, size_t bytes) {
    xr_file_memory_free(memory, bytes);
}

static void cpu_copy(XrBackend *b, void *to, const void *from, size_t bytes) {
    if (bytes) memmove(to, from, bytes);
}

static void cpu_download(XrBackend *b, void *host, const void *from, size_t bytes) {
    cpu_copy(b, host, from, bytes);
    b->waits++;
}

static bool cpu_pin(XrBackend *b, XrPinned *out, size_t bytes, const char *what, XrError *err) {
    *out = (XrPinned){.host = xr_try_alloc(bytes, what, err), .bytes = bytes};
    return out->host != NULL;
}

static void cpu_unpin(XrBackend *b, XrPinned *pinned) {
    free(pinned->host);
    *pinned = (XrPinned){0};
}

static void cpu_send(XrBackend *b, void *to, XrPinned *from, size_t bytes) {
    cpu_copy(b, to, from->host, bytes);
}

static void cpu_receive(XrBackend *b, XrPinned *to, const void *from, size_t bytes) {
    cpu_copy(b, to->host, from, bytes);
}

static void cpu_wait(XrBackend *b, XrPinned *pinned) {
    b->waits++;
}

static void zero_pages(void *context, int64_t begin, int64_t end, int thread) {
    memset((char *)context + begin, 0, (size_t)(end - begin));
}

static void cpu_zero(XrBackend *b, void *memory, size_t bytes) {
    enum { PIECE = 1 << 20 };
    xr_cpu_parallel(b, (int64_t)bytes, PIECE, zero_pages, memory);
}

static size_t cpu_memory(XrBackend *b) {
    return (size_t)sysconf(_SC_PHYS_PAGES) * (size_t)sysconf(_SC_PAGESIZE);
}

static void *cpu_import(XrBackend *b, const void *host, size_t bytes, const char *what,
                        XrError *err) {
    return (void *)host;
}

static void cpu_unimport(XrBackend *b, void *memory) {
}

static void cpu_synchronize(XrBackend *b) {
    b->waits++;
}

static void cpu_destroy(XrBackend *b) {
    Cpu *cpu = (Cpu *)b;
    for (int i = 0; i < xr_threads_count(b->threads); i++) free(cpu->scratch[i].memory);
    free(cpu->scratch);
    free(cpu->shared.memory);
    free(cpu->product.memory);
    xr_threads_free(b->threads);
    free(cpu);
}

XrBackend *xr_cpu_create(int threads) {
    Cpu *cpu = xr_calloc(1, sizeof *cpu);
    cpu->base = (XrBackend){
        .name = "cpu",
        .ops = &CPU_OPS,
        .activations = XR_F32,
        .batch_invariant = true,
        .threads = xr_threads_create(threads),
        .alloc = cpu_alloc,
        .free = cpu_free,
        .offload_alloc = cpu_offload_alloc,
        .offload_release = cpu_offload_release,
        .offload_free = cpu_offload_free,
        .offload_grain = 256 << 10,
        .memory = cpu_memory,
        .upload = cpu_copy,
        .download = cpu_download,
        .zero = cpu_zero,
        .copy = cpu_copy,
        .import = cpu_import,
        .unimport = cpu_unimport,
        .pin = cpu_pin,
        .unpin = cpu_unpin,
        .send = cpu_send,
        .receive = cpu_receive,
        .wait = cpu_wait,
        .kv_page_bytes = xr_cpu_kv_page_bytes,
        .synchronize = cpu_synchronize,
        .destroy = cpu_destroy,
    };
    size_t count = (size_t)xr_threads_count(cpu->base.threads);
    cpu->scratch = xr_calloc(count, sizeof *cpu->scratch);
    return &cpu->base;
}

// At least as much as xr_alloc_aligned lays on huge pages: what is read from scratch memory is read
// often.
enum { LEAST_SCRATCH = 4 << 20 };

static void *grow(Scratch *scratch, size_t bytes) {
    if (scratch->bytes < bytes) {
        bytes = XR_MAX(bytes, LEAST_SCRATCH);
        free(scratch->memory);
        scratch->memory = xr_alloc_aligned(bytes);
        scratch->bytes = bytes;
    }
    return scratch->memory;
}

void *xr_cpu_scratch(XrBackend *b, int thread, size_t bytes) {
    return grow(&((Cpu *)b)->scratch[thread], bytes);
}

void *xr_cpu_shared_scratch(XrBackend *b, size_t bytes) {
    return grow(&((Cpu *)b)->shared, bytes);
}

void *xr_cpu_product_scratch(XrBackend *b, size_t bytes) {
    return grow(&((Cpu *)b)->product, bytes);
}

void xr_cpu_parallel(XrBackend *b, int64_t count, int64_t grain, XrLoopBody *body, void *context) {
    xr_parallel(b->threads, count, grain, body, context);
}
