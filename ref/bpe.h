// Byte-pair merging of many pieces of text at once. The merge rules are a hash table in flat
// arrays, so that a backend can hold a copy in its own memory.
#ifndef XR_REF_BPE_H
#define XR_REF_BPE_H

#include "shared/base/host_device.h"

#include <stdint.h>

// One rule: the symbols `left` and `right` side by side become `merged`. The lower the rank, the
// earlier.
typedef struct XrBpeMerge {
    int32_t left, right; // left -1: a free slot
    int32_t rank, merged;
} XrBpeMerge;

// Open addressing with linear probing from slot xr_bpe_hash(left, right) >> shift. At least a
// quarter of the slots are free.
typedef struct XrBpeTable {
    XrBpeMerge *slots; // [mask + 1], a power of two
    uint32_t mask;
    int shift;
} XrBpeTable;

static inline XR_HOST_DEVICE uint32_t xr_bpe_hash(int32_t left, int32_t right) {
    uint64_t pair = (uint64_t)(uint32_t)left << 32 | (uint32_t)right;
    return (uint32_t)((pair * 0x9E3779B97F4A7C15u) >> 32);
}

#ifdef __cplusplus
extern "C" {
#endif

// An empty table with room for `merges` rules; free with xr_bpe_table_free.
void xr_bpe_table_create(XrBpeTable *table, int64_t merges);
// Adds a rule; one with the same pair is replaced, as in tokenizers.
void xr_bpe_table_add(XrBpeTable *table, XrBpeMerge merge);
void xr_bpe_table_free(XrBpeTable *table);

// Work memory of one thread, grown as needed: zero-initialise.
typedef struct XrBpeScratch {
    void *memory;
    int64_t symbols; // the longest piece that it has room for
} XrBpeScratch;

void xr_bpe_scratch_free(XrBpeScratch *scratch);

// Merges each of `pieces` runs of symbols: while some pair of neighbours has a rule, the one of
// lowest rank, leftmost among equals, becomes one symbol (Sennrich, Haddow, Birch: "Neural machine
// translation of rare words with subword units", 2016).
//
//   symbols  [offsets[pieces]]  in: ids of single bytes; out: piece p is
//                               symbols[offsets[p] .. offsets[p] + counts[p])
//   offsets  [pieces + 1]       where each piece starts
//   counts   [pieces]           out
//
// A piece of n symbols takes O(n log n) steps. Returns the number of steps: rules looked up,
// symbols and candidates passed over.
int64_t xr_cpu_bpe_merge(const XrBpeTable *table, int64_t pieces, const int64_t *offsets,
                         int32_t *symbols, int32_t *counts, XrBpeScratch *scratch);

#ifdef __cplusplus
}
#endif

#endif
