#include "ref/bpe.h"

#include "shared/base/memory.h"

#include <stdlib.h>
#include <string.h>

// Up to this many symbols the lowest rank is found by looking at all of them.
enum { SHORT_PIECE = 40 };
static const int32_t NO_RANK = INT32_MAX;

void xr_bpe_table_create(XrBpeTable *table, int64_t merges) {
    uint32_t slots = 16;
    int shift = 28;
    XR_REQUIRE(merges < (1 << 29), "%lld merges", (long long)merges);
    while (slots < merges + merges / 3 + 1) {
        slots *= 2;
        shift--;
    }
    *table = (XrBpeTable){xr_alloc_aligned(slots * sizeof *table->slots), slots - 1, shift};
    for (uint32_t i = 0; i < slots; i++) table->slots[i].left = -1;
}

void xr_bpe_table_free(XrBpeTable *table) {
    free(table->slots);
    *table = (XrBpeTable){0};
}

// The slot of a pair, or the free slot where it would stand.
static inline XrBpeMerge *find(const XrBpeTable *table, int32_t left, int32_t right) {
    uint32_t at = xr_bpe_hash(left, right) >> table->shift;
    while (table->slots[at].left != -1 &&
           (table->slots[at].left != left || table->slots[at].right != right)) {
        at = (at + 1) & table->mask;
    }
    return &table->slots[at];
}

void xr_bpe_table_add(XrBpeTable *table, XrBpeMerge merge) {
    *find(table, merge.left, merge.right) = merge;
}

static inline int32_t rank_of(const XrBpeTable *table, int32_t left, int32_t right) {
    const XrBpeMerge *merge = find(table, left, right);
    return merge->left == -1 ? NO_RANK : merge->rank;
}

// ---- short pieces: symbols and ranks in two arrays that close up ----

static int32_t merge_short(const XrBpeTable *table, int32_t *symbols, int32_t n, int64_t *steps) {
    int32_t ranks[SHORT_PIECE]; // of (symbol i, symbol i + 1)
    for (int32_t i = 0; i + 1 < n; i++) ranks[i] = rank_of(table, symbols[i], symbols[i + 1]);
    *steps += n;
    while (n > 1) {
        int32_t best = 0;
        for (int32_t i = 1; i < n - 1; i++) best = ranks[i] < ranks[best] ? i : best;
        if (ranks[best] == NO_RANK) break;
        symbols[best] = find(table, symbols[best], symbols[best + 1])->merged;
        n--;
        for (int32_t i = best + 1; i < n; i++) symbols[i] = symbols[i + 1];
        for (int32_t i = best; i + 1 < n; i++) ranks[i] = ranks[i + 1];
        if (best + 1 < n) ranks[best] = rank_of(table, symbols[best], symbols[best + 1]);
        if (best > 0) ranks[best - 1] = rank_of(table, symbols[best - 1], symbols[best]);
        *steps += n;
    }
    return n;
}

// ---- long pieces: a linked list of symbols and a heap of candidate merges ----

typedef struct Candidate {
    int32_t rank, at;    // of the left symbol
    int32_t left, right; // the pair that was seen, to notice when it has gone
} Candidate;

typedef struct Work {
    const XrBpeTable *table;
    Candidate *heap; // room for 2 n: each merge takes one out and puts at most two in
    int32_t *next, *before;
    int64_t size, steps;
} Work;

static inline bool earlier(Candidate a, Candidate b) {
    return a.rank < b.rank || (a.rank == b.rank && a.at < b.at);
}

static void sift_down(Work *w, int64_t at) {
    Candidate *heap = w->heap, c = heap[at];
    for (int64_t child; (child = 2 * at + 1) < w->size; at = child, w->steps++) {
        if (child + 1 < w->size && earlier(heap[child + 1], heap[child])) child++;
        if (!earlier(heap[child], c)) break;
        heap[at] = heap[child];
    }
    heap[at] = c;
}

static void heap_push(Work *w, Candidate c) {
    int64_t at = w->size++;
    for (; at > 0 && earlier(c, w->heap[(at - 1) / 2]); at = (at - 1) / 2, w->steps++) {
        w->heap[at] = w->heap[(at - 1) / 2];
    }
    w->heap[at] = c;
}

static Candidate heap_pop(Work *w) {
    Candidate top = w->heap[0];
    w->heap[0] = w->heap[--w->size];
    if (w->size) sift_down(w, 0);
    return top;
}

static bool candidate_at(Work *w, const int32_t *symbols, int32_t at, Candidate *out) {
    int32_t right = w->next[at];
    if (right < 0) return false;
    *out = (Candidate){0, at, symbols[at], symbols[right]};
    out->rank = rank_of(w->table, out->left, out->right);
    w->steps++;
    return out->rank != NO_RANK;
}

static int32_t merge_long(Work *w, int32_t *symbols, int32_t n) {
    Candidate c;
    for (int32_t i = 0; i < n; i++) {
        w->next[i] = i + 1 < n ? i + 1 : -1;
        w->before[i] = i - 1;
    }
    w->size = 0;
    for (int32_t i = 0; i < n; i++) {
        if (candidate_at(w, symbols, i, &c)) w->heap[w->size++] = c;
    }
    for (int64_t i = w->size / 2 - 1; i >= 0; i--) sift_down(w, i);
    while (w->size) {
        c = heap_pop(w);
        int32_t right = symbols[c.at] == c.left ? w->next[c.at] : -1;
        if (right < 0 || symbols[right] != c.right) continue;
        symbols[c.at] = find(w->table, c.left, c.right)->merged;
        symbols[right] = -1; // absorbed
        w->next[c.at] = w->next[right];
        if (w->next[right] >= 0) w->before[w->next[right]] = c.at;
        Candidate new;
        if (candidate_at(w, symbols, c.at, &new)) heap_push(w, new);
        if (w->before[c.at] >= 0 && candidate_at(w, symbols, w->before[c.at], &new)) {
            heap_push(w, new);
        }
    }
    int32_t count = 0;
    for (int32_t i = 0; i >= 0; i = w->next[i]) symbols[count++] = symbols[i];
    return count;
}

static void reserve(XrBpeScratch *scratch, int64_t n) {
    if (n <= scratch->symbols) return;
    free(scratch->memory);
    scratch->memory = xr_malloc((size_t)n * (2 * sizeof(Candidate) + 2 * sizeof(int32_t)));
    scratch->symbols = n;
}

void xr_bpe_scratch_free(XrBpeScratch *scratch) {
    free(scratch->memory);
    *scratch = (XrBpeScratch){0};
}

int64_t xr_cpu_bpe_merge(const XrBpeTable *table, int64_t pieces, const int64_t *offsets,
                         int32_t *symbols, int32_t *counts, XrBpeScratch *scratch) {
    Work w = {.table = table};
    for (int64_t p = 0; p < pieces; p++) {
        int64_t n = offsets[p + 1] - offsets[p];
        XR_REQUIRE(n >= 0 && n < INT32_MAX / 4, "a piece of %lld symbols", (long long)n);
        int32_t *piece = symbols + offsets[p];
        if (n <= SHORT_PIECE) {
            counts[p] = merge_short(table, piece, (int32_t)n, &w.steps);
            continue;
        }
        reserve(scratch, n);
        w.heap = scratch->memory;
        w.next = (int32_t *)(w.heap + 2 * n);
        w.before = w.next + n;
        counts[p] = merge_long(&w, piece, (int32_t)n);
    }
    return w.steps;
}
