// Runs kernels: the threads of a block as fibers on one host thread. A fiber runs until it waits at
// a barrier or a warp collective, so that a launch is deterministic, and what waits for ever or in
// different places is seen.
#include "cuda/emulation/block.h"
#include "cuda/emulation/emulation.h"
#include "cuda/emulation/graph.h"

#include <boost/context/detail/fcontext.hpp>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/mman.h>

using boost::context::detail::fcontext_t;
using boost::context::detail::jump_fcontext;
using boost::context::detail::make_fcontext;
using boost::context::detail::transfer_t;

enum State { READY, AT_COLLECTIVE, AT_BARRIER, DONE };

struct Fiber {
    fcontext_t context;
    State state;
    XrSite site; // where it waits
    const void *in;
    void *out;
};

XrPlace3 threadIdx, blockIdx;
dim3 blockDim, gridDim;
XrRunning xr_running;

// Lanes of a warp that wait at a collective: how many, and the thread that came first.
struct Waiting {
    int count, thread;
};

static Fiber fibers[XR_MOST_THREADS];
static Waiting gathered[XR_MOST_THREADS / 32];
static char *stacks; // XR_MOST_THREADS, each below an inaccessible page
static int thread_count;
static void (*kernel_body)(void *);
static void *kernel_closure;
static fcontext_t scheduler;
static bool backwards;
static int64_t launches;

int64_t xr_emulation_launches(void) {
    return launches;
}

void xr_emulation_count_launch(void) {
    launches++;
}

void xr_emulation_run_backwards(bool on) {
    backwards = on;
}

void xr_emulation_error(const char *format, ...) {
    fflush(stdout);
    fprintf(stderr, "emulation: %s", xr_running.kernel ? xr_running.kernel : "host code");
    if (xr_running.inside) {
        fprintf(stderr, ", block (%u,%u,%u), thread (%u,%u,%u)", blockIdx.x, blockIdx.y, blockIdx.z,
                threadIdx.x, threadIdx.y, threadIdx.z);
    }
    fprintf(stderr, ": ");
    va_list args;
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    abort();
}

// ---- fibers ----

static const size_t GUARD = 4096;

static char *stack_of(int thread) {
    return stacks + (size_t)thread * (XR_STACK_BYTES + GUARD) + GUARD;
}

static void make_stacks(void) {
    size_t bytes = (size_t)XR_MOST_THREADS * (XR_STACK_BYTES + GUARD);
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) xr_emulation_error("no memory for stacks");
    stacks = (char *)memory;
    for (int i = 0; i < XR_MOST_THREADS; i++) mprotect(stack_of(i) - GUARD, GUARD, PROT_NONE);
}

static void leave(void) {
    scheduler = jump_fcontext(scheduler, NULL).fctx;
}

static void fiber_main(transfer_t from) {
    scheduler = from.fctx;
    kernel_body(kernel_closure);
    fibers[xr_running.thread].state = DONE;
    for (;;) leave();
}

static void resume(int thread) {
    unsigned x = (unsigned)thread;
    xr_running.thread = thread;
    xr_running.stack = stack_of(thread);
    xr_running.stack_end = xr_running.stack + XR_STACK_BYTES;
    threadIdx.x = x % blockDim.x;
    threadIdx.y = x / blockDim.x % blockDim.y;
    threadIdx.z = x / blockDim.x / blockDim.y;
    fibers[thread].context = jump_fcontext(fibers[thread].context, NULL).fctx;
}

// ---- waiting ----

static bool same_text(const char *a, const char *b) {
    return a == b || strcmp(a, b) == 0; // mostly one literal
}

static bool same_site(XrSite a, XrSite b) {
    return a.line == b.line && same_text(a.operation, b.operation) && same_text(a.file, b.file);
}

void xr_emulation_barrier(XrSite site) {
    Fiber *f = &fibers[xr_running.thread];
    f->state = AT_BARRIER;
    f->site = site;
    leave();
}

int xr_emulation_lane(void) {
    return xr_running.thread % 32;
}

// All lanes of a warp that wait at a collective wait at the same, the first that came's.
void xr_emulation_collective(XrSite site, const void *in, void *out, XrCombine *combine) {
    int first = xr_running.thread / 32 * 32;
    Fiber *self = &fibers[xr_running.thread];
    Waiting *w = &gathered[first / 32];
    *self = Fiber{self->context, AT_COLLECTIVE, site, in, out};
    if (w->count++ == 0) w->thread = xr_running.thread;
    const XrSite other = fibers[w->thread].site;
    if (!same_site(other, site)) {
        xr_emulation_error("%s at %s:%d, while lane %d of the warp waits in %s at %s:%d",
                           site.operation, site.file, site.line, w->thread - first, other.operation,
                           other.file, other.line);
    }
    if (w->count < 32) {
        leave();
        return;
    }
    w->count = 0;
    if (combine) {
        const void *ins[32];
        void *outs[32];
        for (int i = 0; i < 32; i++) ins[i] = fibers[first + i].in, outs[i] = fibers[first + i].out;
        combine(ins, outs);
    }
    for (int i = first; i < first + 32; i++) fibers[i].state = READY;
}

static void advance_warp(const void *const in[32], void *const out[32]) {
    (void)in, (void)out;
    xr_running.warp_epoch[xr_running.thread / 32]++;
}

void xr_emulation_sync_warp(XrSite site) {
    xr_emulation_collective(site, NULL, NULL, advance_warp);
}

// ---- a block ----

// Runs a warp until all its lanes wait for other warps or are done.
static void run_warp(int first) {
    for (bool progress = true; progress;) {
        progress = false;
        for (int i = 0; i < 32; i++) {
            int thread = first + (backwards ? 31 - i : i);
            if (fibers[thread].state != READY) continue;
            resume(thread);
            progress = true;
        }
    }
    for (int i = first; i < first + 32; i++) {
        if (fibers[i].state != AT_COLLECTIVE) continue;
        xr_emulation_error("lane %d waits in %s at %s:%d, where not all lanes of its warp came",
                           i - first, fibers[i].site.operation, fibers[i].site.file,
                           fibers[i].site.line);
    }
}

// After all have run as far as they can: true when the block is done.
static bool pass_barrier(void) {
    int waiting = -1, done = -1;
    for (int i = 0; i < thread_count; i++) {
        if (fibers[i].state == DONE) {
            done = i;
        } else if (waiting < 0) {
            waiting = i;
        } else if (!same_site(fibers[i].site, fibers[waiting].site)) {
            xr_emulation_error("divergent barrier: thread %d waits at %s:%d, thread %d at %s:%d",
                               waiting, fibers[waiting].site.file, fibers[waiting].site.line, i,
                               fibers[i].site.file, fibers[i].site.line);
        }
    }
    if (waiting < 0) return true;
    if (done >= 0) {
        xr_emulation_error("divergent barrier: thread %d waits at %s:%d, thread %d has ended",
                           waiting, fibers[waiting].site.file, fibers[waiting].site.line, done);
    }
    for (int i = 0; i < thread_count; i++) fibers[i].state = READY;
    xr_running.block_epoch++;
    return false;
}

static void run_block(size_t shared) {
    xr_emulation_begin_block(shared);
    xr_running.block_epoch++;
    memset(gathered, 0, sizeof gathered);
    for (int i = 0; i < thread_count; i++) {
        fibers[i] = Fiber{make_fcontext(stack_of(i) + XR_STACK_BYTES, XR_STACK_BYTES, fiber_main),
                          READY,
                          {},
                          NULL,
                          NULL};
    }
    do {
        for (int i = 0; i < thread_count; i += 32) {
            run_warp(backwards ? thread_count - 32 - i : i);
        }
    } while (!pass_barrier());
    xr_emulation_end_block();
    xr_emulation_end_warpgroups();
}

static bool launch_fits(dim3 grid, dim3 block, size_t shared, size_t allowed) {
    uint64_t threads = (uint64_t)block.x * block.y * block.z;
    return threads > 0 && threads <= XR_MOST_THREADS && block.z <= 64 && grid.x > 0 && grid.y > 0 &&
           grid.z > 0 && grid.x <= INT32_MAX && grid.y <= 65535 && grid.z <= 65535 &&
           shared <= allowed;
}

// A launch, with the kernel's arguments behind it.
struct Launch {
    const char *kernel;
    dim3 grid, block;
    size_t shared;
    void (*run)(void *);
    size_t closure_bytes;
    alignas(16) char closure[];
};

static void run_grid(void *payload) {
    Launch *l = (Launch *)payload;
    xr_emulation_count_launch();
    xr_running.kernel = l->kernel;
    if (xr_running.inside) xr_emulation_error("a launch from inside a kernel, or two host threads");
    if (!stacks) make_stacks();
    dim3 grid = gridDim = l->grid;
    blockDim = l->block;
    thread_count = (int)(l->block.x * l->block.y * l->block.z);
    kernel_body = l->run;
    kernel_closure = l->closure;
    xr_running.closure = l->closure;
    xr_running.closure_end = xr_running.closure + l->closure_bytes;
    xr_running.inside = true;
    uint64_t blocks = (uint64_t)grid.x * grid.y * grid.z;
    for (uint64_t i = 0; i < blocks; i++) {
        uint64_t at = backwards ? blocks - 1 - i : i;
        blockIdx.x = (unsigned)(at % grid.x);
        blockIdx.y = (unsigned)(at / grid.x % grid.y);
        blockIdx.z = (unsigned)(at / grid.x / grid.y);
        run_block(l->shared);
    }
    xr_running.inside = false;
    xr_running.kernel = NULL;
}

void xr_emulation_launch(const char *kernel, const void *function, dim3 grid, dim3 block,
                         size_t shared, cudaStream_t stream, void (*run)(void *), void *closure,
                         size_t closure_bytes) {
    cudaError_t status = xr_emulation_status("launch");
    if (status == cudaSuccess &&
        !launch_fits(grid, block, shared, xr_emulation_shared_allowed(function))) {
        status = cudaErrorInvalidValue;
    }
    xr_emulation_remember(status);
    if (status != cudaSuccess) return;
    if (block.x * block.y * block.z % 32 != 0) {
        xr_running.kernel = kernel;
        xr_emulation_error("%u threads a block, which are no whole warps",
                           block.x * block.y * block.z);
    }
    size_t bytes = sizeof(Launch) + closure_bytes;
    Launch *l = (Launch *)malloc(bytes);
    if (!l) xr_emulation_error("no memory for the arguments of a kernel");
    *l = Launch{kernel, grid, block, shared, run, closure_bytes};
    memcpy(l->closure, closure, closure_bytes);
    if (xr_emulation_captures(stream))
        xr_emulation_keep(run_grid, l, bytes);
    else
        run_grid(l);
    free(l);
}
