// Pages of the key/value cache: who holds which. A page holds XR_KV_PAGE tokens of every layer.
// Pages that several sequences hold (the N samples of one prompt) are counted, never copied unless
// written to.
#ifndef XR_ENGINE_PAGES_H
#define XR_ENGINE_PAGES_H

#include <stdbool.h>
#include <stdint.h>

typedef struct XrPagePool {
    int32_t total, free;
    int32_t least_free; // the fewest that were ever free
    int32_t *stack;     // [total] the first `free` entries are the free pages
    int32_t *holders;   // [total] how many hold each page
} XrPagePool;

// The pages of one sequence, in order: token t is in pages[t / XR_KV_PAGE].
typedef struct XrPageList {
    int32_t *pages;
    int32_t count, capacity;
} XrPageList;

void xr_pages_create(XrPagePool *pool, int32_t total);
void xr_pages_destroy(XrPagePool *pool);

// Pages that `tokens` tokens take.
int64_t xr_pages_for(int64_t tokens);

// Appends free pages until the list has `count`; false, with nothing changed, when there are too
// few.
bool xr_pages_grow(XrPagePool *pool, XrPageList *list, int64_t count);
// Appends the first `count` pages of `from`, held once more.
void xr_pages_share(XrPagePool *pool, XrPageList *list, const XrPageList *from, int64_t count);
// Gives back all pages of a list and frees it; those that nobody else holds become free.
void xr_pages_release(XrPagePool *pool, XrPageList *list);

#endif
