// Memory of the emulated GPU: device allocations, a block's shared memory, asynchronous copies,
// and, in checked builds (XR_EMULATION_CHECKED), every access that a kernel makes.
//
// In a checked build the files of cuda/ are compiled with -fsanitize=thread, which makes the
// compiler call __tsan_readN and __tsan_writeN before each access; these are defined here instead
// of in the sanitizer's library. Kernels must stay inside one device allocation, their shared
// arrays and their own variables, and two threads may touch a byte of shared memory, one of them
// writing, only with a barrier between. The rest of the program is compiled with AddressSanitizer,
// to which device memory is poisoned: host code that follows a device pointer is found too.
#include "cuda/emulation/block.h"
#include "cuda/emulation/emulation.h"
#include "cuda/emulation/memory.h"
#include "cuda/emulation/warpgroup.h"

#include <dlfcn.h>
#include <stdlib.h>

#ifdef XR_EMULATION_CHECKED
#include <sanitizer/asan_interface.h>
static const bool CHECKED = true;
#else
static const bool CHECKED = false;
#define __asan_poison_memory_region(address, bytes) ((void)(address), (void)(bytes))
#define __asan_unpoison_memory_region(address, bytes) ((void)(address), (void)(bytes))
#endif

bool xr_emulation_checks_accesses(void) {
    return CHECKED;
}

// ---- device memory ----

struct Allocation {
    char *begin, *end;
    bool mapped;
};

enum { ALIGNMENT = 256, PAINT = 0xff }; // NaN in every floating-point type, -1 in every integer
static Allocation *allocations;         // ascending
static size_t allocation_count, allocation_room, memory_used, memory_size = (size_t)16 << 30;

void xr_emulation_set_memory(size_t bytes) {
    memory_size = bytes;
}

size_t xr_emulation_memory_used(void) {
    return memory_used;
}

size_t xr_emulation_memory_size(void) {
    return memory_size;
}

// The first allocation that ends after `address`.
static size_t find(const char *address) {
    size_t low = 0, high = allocation_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (allocations[middle].end > address) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return low;
}

static const Allocation *allocation_of(const void *address) {
    static size_t last;
    const char *at = (const char *)address;
    if (last < allocation_count && allocations[last].begin <= at && at < allocations[last].end) {
        return &allocations[last];
    }
    size_t i = find(at);
    if (i == allocation_count || allocations[i].begin > at) return NULL;
    last = i;
    return &allocations[i];
}

void *xr_emulation_allocate(size_t bytes, bool mapped) {
    void *memory;
    if ((!mapped && bytes > memory_size - memory_used) || bytes == 0) return NULL;
    if (posix_memalign(&memory, ALIGNMENT, bytes) != 0) return NULL;
    memset(memory, PAINT, bytes);
    if (allocation_count == allocation_room) {
        allocation_room = allocation_room * 2 + 64;
        allocations = (Allocation *)realloc(allocations, allocation_room * sizeof *allocations);
        if (!allocations) xr_emulation_error("out of host memory");
    }
    size_t i = find((char *)memory);
    memmove(allocations + i + 1, allocations + i, (allocation_count - i) * sizeof *allocations);
    allocations[i] = Allocation{(char *)memory, (char *)memory + bytes, mapped};
    allocation_count++;
    if (!mapped) memory_used += bytes;
    __asan_poison_memory_region(memory, bytes);
    return memory;
}

bool xr_emulation_release(void *memory) {
    const Allocation *a = allocation_of(memory);
    if (!a || a->begin != memory) return false;
    size_t i = (size_t)(a - allocations), bytes = (size_t)(a->end - a->begin);
    __asan_unpoison_memory_region(memory, bytes);
    if (!a->mapped) memory_used -= bytes;
    allocation_count--;
    memmove(allocations + i, allocations + i + 1, (allocation_count - i) * sizeof *allocations);
    free(memory);
    return true;
}

bool xr_emulation_is_device(const void *address, size_t bytes) {
    const Allocation *a = allocation_of(address);
    return a && bytes <= (size_t)(a->end - (const char *)address);
}

bool xr_emulation_is_mapped(const void *address) {
    const Allocation *a = allocation_of(address);
    return a && a->mapped;
}

// The eighths of a range that AddressSanitizer's shadow knows, within the allocation.
static void open_region(const void *address, size_t bytes, bool open) {
    const Allocation *a = allocation_of(address);
    if (!CHECKED || !a || bytes == 0) return;
    char *begin = (char *)((uintptr_t)address & ~(uintptr_t)7);
    char *end = (char *)(((uintptr_t)address + bytes + 7) & ~(uintptr_t)7);
    if (end > a->end) end = a->end;
    if (open) {
        __asan_unpoison_memory_region(begin, (size_t)(end - begin));
    } else {
        __asan_poison_memory_region(begin, (size_t)(end - begin));
    }
}

void xr_emulation_copy(void *to, const void *from, size_t bytes) {
    open_region(to, bytes, true);
    open_region(from, bytes, true);
    memmove(to, from, bytes);
    open_region(to, bytes, false);
    open_region(from, bytes, false);
}

void xr_emulation_set(void *to, int value, size_t bytes) {
    open_region(to, bytes, true);
    memset(to, value, bytes);
    open_region(to, bytes, false);
}

// ---- shared memory ----

struct Shared {
    const void *key;
    size_t begin, end;
};

enum { MOST_ARRAYS = 64, REDZONE = 128 };
static const size_t ARENA = 2 * XR_MOST_SHARED + (size_t)MOST_ARRAYS * 2 * REDZONE;
alignas(1024) static char arena[ARENA];
static Shared arrays[MOST_ARRAYS];
static int array_count;
static size_t arena_used, shared_used;
static uint32_t block_number; // of those that have begun
static const char DYNAMIC = 0;

static void *add_array(const void *key, size_t bytes, size_t alignment) {
    if (array_count == MOST_ARRAYS) xr_emulation_error("more than %d shared arrays", MOST_ARRAYS);
    size_t begin = (arena_used + REDZONE + alignment - 1) / alignment * alignment;
    shared_used += (bytes + 127) / 128 * 128;
    if (shared_used > xr_emulation_shared_limit()) {
        xr_emulation_error("%zu bytes of shared memory, of which a block has at most %zu",
                           shared_used, xr_emulation_shared_limit());
    }
    arrays[array_count++] = Shared{key, begin, begin + bytes};
    arena_used = begin + bytes;
    memset(arena + begin, PAINT, bytes);
    return arena + begin;
}

void xr_emulation_begin_block(size_t dynamic_shared) {
    array_count = 0;
    arena_used = shared_used = 0;
    block_number++;
    if (dynamic_shared) add_array(&DYNAMIC, dynamic_shared, 1024);
}

void *xr_emulation_shared(const void *key, size_t bytes) {
    for (int i = 0; i < array_count; i++) {
        if (arrays[i].key == key) return arena + arrays[i].begin;
    }
    if (shared_used + bytes > XR_SHARED_UNASKED && key != &DYNAMIC) {
        xr_emulation_error("more than 48 KiB of static shared memory; ask for it at the launch");
    }
    return add_array(key, bytes, 128);
}

void *xr_emulation_dynamic_shared(void) {
    if (array_count == 0 || arrays[0].key != &DYNAMIC) {
        xr_emulation_error("the launch asked for no dynamic shared memory");
    }
    return arena + arrays[0].begin;
}

// Addresses within the block's shared memory, which descriptors of wgmma hold 18 bits of.
uint32_t xr_shared_address(const void *shared) {
    const size_t at = (size_t)((const char *)shared - arena);
    if (at >= (1u << 18)) xr_emulation_error("%p has no address of 18 bits", shared);
    return (uint32_t)at;
}

const void *xr_emulation_shared_at(uint32_t address) {
    return arena + address;
}

// ---- what products of warpgroups may read ----
//
// They read shared memory by another way than threads write it ("async proxy"): what a thread has
// written they see after that thread's fence and a barrier. Known of every 16 bytes are the last
// thread that wrote there (in builds without checked accesses: by an asynchronous copy) and how
// many fences it had passed.

struct Writer {
    uint32_t block, fences;
    uint16_t thread;
};
static Writer writers[ARENA / 16 + 1];
static uint32_t fences[XR_MOST_THREADS];

static void note_write(const void *shared, size_t bytes) {
    const size_t at = (size_t)((const char *)shared - arena);
    for (size_t i = at / 16; i <= (at + bytes - 1) / 16; i++) {
        writers[i] = Writer{block_number, fences[xr_running.thread], (uint16_t)xr_running.thread};
    }
}

void xr_show_to_products(void) {
    fences[xr_running.thread]++;
}

void xr_emulation_read_by_product(const void *chunk, XrSite site) {
    const Writer *w = &writers[((const char *)chunk - arena) / 16];
    if (w->block == block_number && w->fences == fences[w->thread]) {
        xr_emulation_error(
            "%s at %s:%d: it reads shared memory that thread %d has written, with no "
            "fence.proxy.async after it",
            site.operation, site.file, site.line, w->thread);
    }
    xr_emulation_access(chunk, 16, false);
}

// ---- asynchronous copies ----

struct Copy {
    void *shared;
    const void *global;
    int bytes, size; // read, the rest of what is written becomes 0
};
enum { MOST_COPIES = 256, MOST_GROUPS = 32 };
struct Copies {
    Copy copy[MOST_COPIES];
    int count, ends[MOST_GROUPS], groups; // closed groups end before copy[ends[g]]
};
static Copies *copies; // of every thread of the block
static bool any_copies;

void xr_emulation_copy_async(void *shared, const void *global, int bytes, int size, XrSite site) {
    if (!copies) copies = (Copies *)calloc(XR_MOST_THREADS, sizeof *copies);
    if (!copies) xr_emulation_error("out of host memory");
    Copies *c = &copies[xr_running.thread];
    if (((uintptr_t)shared | (uintptr_t)global) % (unsigned)size || bytes < 0 || bytes > size) {
        xr_emulation_error("%s of %d bytes at %s:%d: addresses are not aligned to %d bytes",
                           site.operation, bytes, site.file, site.line, size);
    }
    if (c->count == MOST_COPIES) xr_emulation_error("more than %d copies in flight", MOST_COPIES);
    if (bytes) xr_emulation_access(global, (size_t)bytes, false);
    xr_emulation_access(shared, (size_t)size, true);
    memset(shared, PAINT, (size_t)size);
    c->copy[c->count++] = Copy{shared, global, bytes, size};
    any_copies = true;
}

void xr_emulation_copy_commit(void) {
    if (!copies) copies = (Copies *)calloc(XR_MOST_THREADS, sizeof *copies);
    if (!copies) xr_emulation_error("out of host memory");
    Copies *c = &copies[xr_running.thread];
    if (c->groups == MOST_GROUPS) xr_emulation_error("more than %d groups", MOST_GROUPS);
    c->ends[c->groups++] = c->count;
}

void xr_emulation_copy_wait(int groups) {
    if (!copies) return;
    Copies *c = &copies[xr_running.thread];
    int finished = c->groups - groups;
    if (finished <= 0) return;
    int count = c->ends[finished - 1];
    for (int i = 0; i < count; i++) {
        char bytes[16] = {0};
        const size_t size = (size_t)c->copy[i].size;
        xr_emulation_access(c->copy[i].shared, size, true);
        xr_emulation_copy(bytes, c->copy[i].global, (size_t)c->copy[i].bytes);
        memcpy(c->copy[i].shared, bytes, size);
        note_write(c->copy[i].shared, size);
    }
    memmove(c->copy, c->copy + count, (size_t)(c->count - count) * sizeof *c->copy);
    c->count -= count;
    c->groups = groups < c->groups ? groups : c->groups;
    for (int g = 0; g < c->groups; g++) c->ends[g] = c->ends[finished + g] - count;
}

void xr_emulation_end_block(void) {
    if (!any_copies) return;
    for (int i = 0; i < XR_MOST_THREADS; i++) {
        if (copies[i].count) {
            xr_emulation_error("thread %d ended with copies that it has not waited for", i);
        }
        copies[i].groups = 0;
    }
    any_copies = false;
}

// ---- checking accesses ----

void xr_emulation_atomic_add(unsigned long long *shared, unsigned long long x) {
    const char *at = (const char *)shared;
    size_t begin = (size_t)(at - arena), end = begin + sizeof *shared;
    int i = 0;
    while (i < array_count && !(begin >= arrays[i].begin && end <= arrays[i].end)) i++;
    if (at < arena || i == array_count) {
        xr_emulation_error("out of bounds: an atomic sum at no place of a shared array");
    }
    *shared += x;
}

#ifndef XR_EMULATION_CHECKED
void xr_emulation_access(const void *address, size_t bytes, bool write) {
    (void)address, (void)bytes, (void)write;
}
#else

// Who last touched a granule of shared memory, the smallest piece that threads of a kernel share
// out among them.
enum { GRANULE = 2 };
struct Touch {
    uint32_t write_epoch, write_warp_epoch, read_epoch, read_warp_epoch; // epochs of the block
    uint16_t writer, reader;
    bool several_readers, several_warps;
};
static Touch touches[ARENA / GRANULE];

// Whether an access at these epochs comes after one of `thread`, by order of the program or a
// barrier.
static inline bool is_after(uint32_t epoch, uint32_t warp_epoch, int thread, bool several,
                            bool warps) {
    int self = xr_running.thread;
    if (epoch != xr_running.block_epoch) return true;
    if (!several && thread == self) return true;
    return !warps && thread / 32 == self / 32 && warp_epoch < xr_running.warp_epoch[self / 32];
}

static void race(size_t at, const char *what, int other, const char *before) {
    for (int i = 0; i < array_count; i++) {
        if (at < arrays[i].begin || at >= arrays[i].end) continue;
        xr_emulation_error("race: it %s byte %zu of shared array %d, which thread %d %s, with no "
                           "barrier between",
                           what, at - arrays[i].begin, i, other, before);
    }
}

static inline void touch(size_t at, bool write) {
    Touch *t = &touches[at / GRANULE];
    int self = xr_running.thread;
    uint32_t epoch = xr_running.block_epoch, warp_epoch = xr_running.warp_epoch[self / 32];
    if (!is_after(t->write_epoch, t->write_warp_epoch, t->writer, false, false)) {
        race(at, write ? "writes" : "reads", t->writer, "has written");
    }
    if (write) {
        if (!is_after(t->read_epoch, t->read_warp_epoch, t->reader, t->several_readers,
                      t->several_warps)) {
            race(at, "writes", t->reader, "has read");
        }
        t->write_epoch = epoch;
        t->write_warp_epoch = warp_epoch;
        t->writer = (uint16_t)self;
        return;
    }
    // Readers of this warp alone, before its last barrier, are covered by the new one.
    bool covered =
        !t->several_warps && t->reader / 32 == self / 32 && t->read_warp_epoch < warp_epoch;
    if (t->read_epoch != epoch || covered) {
        t->several_readers = t->several_warps = false;
    } else if (t->reader != self) {
        t->several_readers = true;
        if (t->reader / 32 != self / 32) t->several_warps = true;
    }
    t->read_epoch = epoch;
    t->read_warp_epoch = warp_epoch;
    t->reader = (uint16_t)self;
}

static void shared_access(size_t at, size_t bytes, bool write) {
    int i = 0;
    while (i < array_count && !(at >= arrays[i].begin && at + bytes <= arrays[i].end)) i++;
    if (i == array_count) {
        xr_emulation_error("out of bounds: it %s %zu bytes of shared memory past an array's end",
                           write ? "writes" : "reads", bytes);
    }
    for (size_t k = at / GRANULE * GRANULE; k < at + bytes; k += GRANULE) touch(k, write);
    if (write) note_write(arena + at, bytes);
}

// Constants of the program: what its file holds.
static bool is_constant(const void *address) {
    Dl_info info;
    return dladdr(address, &info) != 0;
}

void xr_emulation_access(const void *address, size_t bytes, bool write) {
    const char *at = (const char *)address;
    if (!xr_running.inside) {
        if (allocation_of(at)) xr_emulation_error("host code follows a device pointer");
        return;
    }
    if (at >= xr_running.stack && at + bytes <= xr_running.stack_end) return;
    if (at >= arena && at < arena + sizeof arena) {
        shared_access((size_t)(at - arena), bytes, write);
        return;
    }
    const Allocation *a = allocation_of(at);
    if (a && at + bytes <= a->end) return;
    if (at >= xr_running.closure && at + bytes <= xr_running.closure_end) return;
    if (a) {
        xr_emulation_error("out of bounds: it %s %zu bytes at %zu of an allocation of %zu",
                           write ? "writes" : "reads", bytes, (size_t)(at - a->begin),
                           (size_t)(a->end - a->begin));
    }
    if (!write && is_constant(at)) return;
    size_t i = find(at);
    if (i > 0 && at < allocations[i - 1].end + 65536) {
        const Allocation *before = &allocations[i - 1];
        xr_emulation_error(
            "out of bounds: it %s %zu bytes %zu past the end of an allocation of %zu",
            write ? "writes" : "reads", bytes, (size_t)(at - before->end),
            (size_t)(before->end - before->begin));
    }
    xr_emulation_error("out of bounds: it %s %zu bytes at %p, which is no device memory",
                       write ? "writes" : "reads", bytes, address);
}

static inline void aligned_access(const void *address, size_t bytes, bool write) {
    if (xr_running.inside && (uintptr_t)address % bytes != 0) {
        xr_emulation_error("misaligned: it %s %zu bytes at %p", write ? "writes" : "reads", bytes,
                           address);
    }
    xr_emulation_access(address, bytes, write);
}

// The names that the compiler's instrumentation calls; declared by these asm labels, since the
// compiler has declarations of its own for them.
#define HOOK(result, name, parameters)                                                             \
    result hook_##name parameters asm("__tsan_" #name);                                            \
    result hook_##name parameters

#define ACCESS(n)                                                                                  \
    HOOK(void, read##n, (void *address)) {                                                         \
        aligned_access(address, n, false);                                                         \
    }                                                                                              \
    HOOK(void, write##n, (void *address)) {                                                        \
        aligned_access(address, n, true);                                                          \
    }                                                                                              \
    HOOK(void, unaligned_read##n, (void *address)) {                                               \
        xr_emulation_access(address, n, false);                                                    \
    }                                                                                              \
    HOOK(void, unaligned_write##n, (void *address)) {                                              \
        xr_emulation_access(address, n, true);                                                     \
    }

ACCESS(1)
ACCESS(2)
ACCESS(4)
ACCESS(8)
ACCESS(16)
HOOK(void, read_range, (void *address, size_t bytes)) {
    xr_emulation_access(address, bytes, false);
}
HOOK(void, write_range, (void *address, size_t bytes)) {
    xr_emulation_access(address, bytes, true);
}
HOOK(void, init, (void)) {
}
HOOK(void, func_entry, (void *)) {
}
HOOK(void, func_exit, (void)) {
}
HOOK(void, vptr_update, (void *, void *)) {
}
#endif
