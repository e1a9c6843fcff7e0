// Control over the emulated GPU, for tests. docs/cuda.md says what the emulation is.
#ifndef XR_EMULATION_EMULATION_H
#define XR_EMULATION_EMULATION_H

#include <cuda_runtime.h>
#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

// Blocks, and the threads in them, run in ascending order, or backwards. A kernel whose result
// changes with it has a race.
void xr_emulation_run_backwards(bool backwards);

// The `count`-th call of that runtime function from now on, and all after it, return `status`;
// NULL ends it. "launch" stands for kernels.
void xr_emulation_fail(const char *function, int count, cudaError_t status);

// So many kernels and products of cuBLASLt have been launched, those of graphs at each launch.
int64_t xr_emulation_launches(void);

// Bytes of device memory (16 GiB at first), and those in use.
void xr_emulation_set_memory(size_t bytes);
size_t xr_emulation_memory_used(void);

// The compute capability that the device says it has (8.0 at first).
void xr_emulation_set_capability(int major, int minor);

// Whether kernels' accesses are checked one by one (races in shared memory, bounds, host memory):
// so in builds with XR_SANITIZE.
bool xr_emulation_checks_accesses(void);

#ifdef __cplusplus
}
#endif

#endif
