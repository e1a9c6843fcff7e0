// Byte-pair merging, a warp a piece. A piece is a linked list in shared memory; every step the
// lanes look for the pair of lowest rank, leftmost among equals, and one lane joins it.
#include "cuda/bpe.h"

#include "cuda/cuda.h"
#include "shared/base/memory.h"

#include <stdlib.h>

enum { WARPS = 4, MOST = XR_CUDA_BPE_MOST };

struct XrCudaBpe {
    XrBpeTable rules; // slots in device memory
    const XrBpeTable *host;
};

XR_DEVICE const XrBpeMerge *find(const XrBpeTable &table, int32_t left, int32_t right) {
    uint32_t at = xr_bpe_hash(left, right) >> table.shift;
    while (table.slots[at].left != -1 &&
           (table.slots[at].left != left || table.slots[at].right != right)) {
        at = (at + 1) & table.mask;
    }
    return &table.slots[at];
}

XR_DEVICE int32_t rank_of(const XrBpeTable &table, int32_t left, int32_t right) {
    const XrBpeMerge *merge = find(table, left, right);
    return merge->left == -1 ? INT32_MAX : merge->rank;
}

struct Piece {
    int32_t symbol[MOST], rank[MOST]; // rank: of symbol i and the next one
    int32_t next[MOST], before[MOST]; // -1: none
};

// The lane's part of the search: rank * 2^32 + position of its best pair.
XR_DEVICE uint64_t lowest(const Piece &p, int n) {
    uint64_t best = (uint64_t)INT32_MAX << 32;
    for (int i = (int)threadIdx.x % 32; i < n; i += 32) {
        const uint64_t own = (uint64_t)(uint32_t)p.rank[i] << 32 | (uint32_t)i;
        best = own < best ? own : best;
    }
    for (int lanes = 16; lanes > 0; lanes /= 2) {
        const uint64_t other = xr_shuffle_xor(best, lanes);
        best = other < best ? other : best;
    }
    return best;
}

// By one lane: symbols `at` and the next become one, whose pairs get their ranks.
XR_DEVICE void join(Piece *p, const XrBpeTable &table, int at) {
    const int gone = p->next[at], after = p->next[gone];
    p->symbol[at] = find(table, p->symbol[at], p->symbol[gone])->merged;
    p->rank[gone] = INT32_MAX;
    p->symbol[gone] = -1;
    p->next[at] = after;
    p->rank[at] = INT32_MAX;
    if (after >= 0) {
        p->before[after] = at;
        p->rank[at] = rank_of(table, p->symbol[at], p->symbol[after]);
    }
    const int before = p->before[at];
    if (before >= 0) p->rank[before] = rank_of(table, p->symbol[before], p->symbol[at]);
}

XR_KERNEL(WARPS * 32)
merge(XrBpeTable table, int64_t pieces, const int64_t *offsets, int32_t *symbols, int32_t *counts) {
    XR_SHARED(Piece, work, WARPS);
    const int64_t at = (int64_t)blockIdx.x * WARPS + threadIdx.x / 32;
    const int lane = (int)threadIdx.x % 32;
    if (at >= pieces) return;
    Piece *p = &work[threadIdx.x / 32];
    int32_t *own = symbols + offsets[at];
    if (offsets[at + 1] - offsets[at] > MOST) return; // the CPU's
    const int n = (int)(offsets[at + 1] - offsets[at]);
    for (int i = lane; i < n; i += 32) {
        p->symbol[i] = own[i];
        p->next[i] = i + 1 < n ? i + 1 : -1;
        p->before[i] = i - 1;
        p->rank[i] = i + 1 < n ? rank_of(table, own[i], own[i + 1]) : INT32_MAX;
    }
    xr_sync_warp();
    for (;;) {
        const uint64_t best = lowest(*p, n);
        if (best >> 32 == INT32_MAX) break;
        xr_sync_warp(); // all have read the ranks
        if (lane == 0) join(p, table, (int)(uint32_t)best);
        xr_sync_warp();
    }
    int written = 0;
    for (int first = 0; first < n; first += 32) {
        const int i = first + lane;
        const bool alive = i < n && p->symbol[i] >= 0;
        const uint32_t others = xr_ballot(alive);
        if (alive) own[written + __popc(others & ((1u << lane) - 1))] = p->symbol[i];
        written += __popc(others);
    }
    if (lane == 0) counts[at] = written;
}

extern "C" XrCudaBpe *xr_cuda_bpe_create(XrBackend *b, const XrBpeTable *table, XrError *err) {
    size_t bytes = ((size_t)table->mask + 1) * sizeof *table->slots;
    XrBpeMerge *slots = (XrBpeMerge *)b->import(b, table->slots, bytes, "the merge rules", err);
    if (!slots) return NULL;
    XrCudaBpe *bpe = (XrCudaBpe *)xr_calloc(1, sizeof *bpe);
    bpe->rules = *table;
    bpe->rules.slots = slots;
    bpe->host = table;
    return bpe;
}

extern "C" void xr_cuda_bpe_free(XrBackend *b, XrCudaBpe *bpe) {
    if (!bpe) return;
    b->unimport(b, bpe->rules.slots);
    free(bpe);
}

// The pieces that are too long for a warp.
static void merge_long(const XrCudaBpe *bpe, int64_t pieces, const int64_t *offsets,
                       int32_t *symbols, int32_t *counts) {
    XrBpeScratch scratch = {};
    for (int64_t i = 0; i < pieces; i++) {
        const int64_t ends[] = {0, offsets[i + 1] - offsets[i]};
        if (ends[1] <= MOST) continue;
        xr_cpu_bpe_merge(bpe->host, 1, ends, symbols + offsets[i], counts + i, &scratch);
    }
    xr_bpe_scratch_free(&scratch);
}

extern "C" void xr_cuda_bpe_merge(XrBackend *b, const XrCudaBpe *bpe, int64_t pieces,
                                  const int64_t *offsets, int32_t *symbols, int32_t *counts) {
    if (pieces == 0) return;
    size_t ends = (size_t)(pieces + 1) * sizeof *offsets;
    size_t text = (size_t)offsets[pieces] * sizeof *symbols;
    char *memory = (char *)xr_cuda_scratch(b, XR_SCRATCH_PARTIAL,
                                           ends + text + (size_t)pieces * sizeof *counts);
    int32_t *device_symbols = (int32_t *)(memory + ends);
    int32_t *device_counts = (int32_t *)(memory + ends + text);
    b->upload(b, memory, offsets, ends);
    b->upload(b, device_symbols, symbols, text);
    XR_LAUNCH(merge, (unsigned)xr_pieces(pieces, WARPS), WARPS * 32, 0, xr_cuda_stream(b),
              bpe->rules, pieces, (const int64_t *)memory, device_symbols, device_counts);
    // Downloads leave the long pieces as they came, so that the CPU starts from them.
    b->download(b, symbols, device_symbols, text);
    b->download(b, counts, device_counts, (size_t)pieces * sizeof *counts);
    merge_long(bpe, pieces, offsets, symbols, counts);
}
