// The block that is running, as the emulation's files share it.
#ifndef XR_EMULATION_BLOCK_H
#define XR_EMULATION_BLOCK_H

#include "cuda/emulation/device.h"

enum { XR_MOST_THREADS = 1024, XR_STACK_BYTES = 128 << 10 };
// Shared memory of a block: on the largest devices; and what a kernel has that has asked for no
// more.
enum { XR_MOST_SHARED = 227 << 10, XR_SHARED_UNASKED = 48 << 10 };

// Where the running fiber is. `block_epoch` counts block barriers, `warp_epoch` the warp's
// synchronisations: two accesses of one block epoch are unordered unless they are one thread's, or
// one warp's with different warp epochs.
typedef struct XrRunning {
    bool inside; // a kernel is running
    const char *kernel;
    int thread; // within the block
    uint32_t block_epoch;
    uint32_t warp_epoch[XR_MOST_THREADS / 32];
    const char *stack, *stack_end; // of the running fiber
    const char *closure, *closure_end;
} XrRunning;
extern XrRunning xr_running;

// memory.cpp: a block begins with shared memory of unknown contents.
void xr_emulation_begin_block(size_t dynamic_shared);
void xr_emulation_end_block(void);
// Checks an access by the running thread; does nothing where accesses are not checked.
void xr_emulation_access(const void *address, size_t bytes, bool write);

// What products of warpgroups read (warpgroup.cpp): shared memory by its address, 16 bytes a time.
const void *xr_emulation_shared_at(uint32_t address);
void xr_emulation_read_by_product(const void *chunk, XrSite site);
// warpgroup.cpp: a block ends with nothing on its way.
void xr_emulation_end_warpgroups(void);

// runtime.cpp: the status that the test asked for, or success.
cudaError_t xr_emulation_status(const char *function);
void xr_emulation_remember(cudaError_t status); // for cudaGetLastError
// What a block may have on this device, and what launches of a kernel may ask for.
size_t xr_emulation_shared_limit(void);
size_t xr_emulation_shared_allowed(const void *kernel);

#endif
