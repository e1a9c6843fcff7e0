// Kernels with faults that the emulation must find, and kernels without that it must run as a GPU
// does (planted.cu). Arguments are device memory.
#ifndef XR_TESTS_PLANTED_H
#define XR_TESTS_PLANTED_H

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

// out[i] = i of the neighbour's, through shared memory; without the barrier it is a race.
void xr_planted_neighbours(float *out, bool with_barrier);
// The same inside each warp, with or without its barrier.
void xr_planted_warp_neighbours(float *out, bool with_barrier);
// A barrier in two branches; a barrier that half the threads never reach.
void xr_planted_two_barriers(void);
void xr_planted_missing_threads(void);
// A shuffle that half a warp takes part in.
void xr_planted_half_shuffle(float *out);
// out[at] = 1; reads out[at]; writes element `at` of a shared array of 64.
void xr_planted_write(float *out, int64_t at);
void xr_planted_read(float *out, const float *in, int64_t at);
void xr_planted_shared_write(int64_t at);
// A launch with that much dynamic shared memory, which the kernel has `asked` for or not: whether
// it was accepted.
bool xr_planted_much_shared(int bytes, bool asked);
// 64 asynchronous copies of 16 bytes, read with or without waiting.
void xr_planted_copy(float *out, const float *in, bool wait);

// d[16,8] = a[16,16] b[16,8] in bf16, by ldmatrix and mma: a row-major; b row-major where
// `transposed`, otherwise column-major.
void xr_planted_mma(float *d, const uint16_t *a, const uint16_t *b, bool transposed);
// out[0..31]: sums over the warp; [32..]: the neighbour above; [64..]: below; [96..]: of lane 5;
// [128]: the ballot of odd lanes.
void xr_planted_shuffles(float *out, uint32_t *ballot);
// out[i] = the number of half bits i, back[i] = its half bits again, for all 65,536.
void xr_planted_halves(float *out, uint16_t *back);

#ifdef __cplusplus
}
#endif

#endif
