// Caches of finished samples, kept for a later request that starts with the same tokens and
// pictures (the next turn of a conversation). They are given up, the least recently used first,
// before any running sample has to make room.
#ifndef XR_ENGINE_KEPT_H
#define XR_ENGINE_KEPT_H

#include "shared/engine/sequence.h"

enum { XR_MOST_KEPT = 8 };

typedef struct XrKeptCache {
    uint64_t *content; // [cached] as XrJob.content
    int64_t cached;
    XrPageList pages;
    uint64_t used; // larger: more recently
} XrKeptCache;

typedef struct XrKept {
    XrKeptCache caches[XR_MOST_KEPT];
    int count;
    uint64_t clock;
} XrKept;

// Takes over the pages of a sequence.
void xr_kept_add(XrKept *kept, XrPagePool *pool, XrSequence *s);
// Lets the sequence, which has no pages yet, hold the whole pages that some kept cache has in
// common with its prompt, and returns how many tokens that are: always fewer than the prompt has.
int64_t xr_kept_share(XrKept *kept, XrPagePool *pool, XrSequence *s);
// Gives one cache up; false when there is none.
bool xr_kept_evict(XrKept *kept, XrPagePool *pool);

#endif
