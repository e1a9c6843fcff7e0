// Products of warpgroups, right and with faults that the emulation must find
// (planted_warpgroup.cu). Pointers are to device memory.
#ifndef XR_TESTS_PLANTED_WARPGROUP_H
#define XR_TESTS_PLANTED_WARPGROUP_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum XrPlanted {
    XR_PLANTED_NOTHING,
    XR_PLANTED_NOT_SHOWN,       // copies without fence.proxy.async
    XR_PLANTED_NO_FENCE,        // sums without wgmma.fence
    XR_PLANTED_OLD_FENCE,       // sums written behind the wgmma.fence
    XR_PLANTED_NEW_FACTORS,     // factors in registers written behind the wgmma.fence
    XR_PLANTED_EARLY_READ,      // sums read before wgmma.wait_group
    XR_PLANTED_OVERWRITTEN,     // an operand in shared memory written before wgmma.wait_group
    XR_PLANTED_COPIED_OVER,     // a copy there that has begun, of the same bytes
    XR_PLANTED_EARLY_FACTORS,   // factors in registers written before wgmma.wait_group
    XR_PLANTED_OTHER_REGISTERS, // a wait that names other registers than those of the sums
    XR_PLANTED_NO_WAIT,
    XR_PLANTED_MISSING_WARP,  // one of four issues a product less
    XR_PLANTED_OTHER_PRODUCT, // one of four issues another
    XR_PLANTED_ODD_PATTERN,   // an operand that begins within a pattern
} XrPlanted;

// d[64,128] = a[64,K] b[128,K]^T, both by descriptor, with rows of 128 or 64 bytes (K 64 or 32): as
// they lie in shared memory, chunks exchanged.
void xr_planted_scores(float *d, const void *a, const void *b, int bytes, XrPlanted fault);
// d[64,columns] = a[64,32] b[32,columns], a in registers, from rows in memory; b as it lies in
// shared memory: columns of `bytes` bytes, each of 32 rows. 64 or 128 columns: of 128 bytes;
// 96: 64.
void xr_planted_values(float *d, const uint16_t *a, const void *b, int columns, XrPlanted fault);

#ifdef __cplusplus
}
#endif

#endif
