#include "shared/engine/pages.h"

#include "shared/base/memory.h"
#include "shared/tensor/ops.h"

#include <stdlib.h>
#include <string.h>

void xr_pages_create(XrPagePool *pool, int32_t total) {
    *pool = (XrPagePool){.total = total, .free = total, .least_free = total};
    pool->stack = xr_malloc(sizeof *pool->stack * (size_t)total);
    pool->holders = xr_calloc((size_t)total, sizeof *pool->holders);
    for (int32_t i = 0; i < total; i++) pool->stack[i] = total - 1 - i;
}

void xr_pages_destroy(XrPagePool *pool) {
    free(pool->stack);
    free(pool->holders);
    *pool = (XrPagePool){0};
}

int64_t xr_pages_for(int64_t tokens) {
    return (tokens + XR_KV_PAGE - 1) / XR_KV_PAGE;
}

static void reserve(XrPageList *list, int64_t count) {
    if (count <= list->capacity) return;
    list->capacity = (int32_t)XR_MAX(count, 2 * (int64_t)list->capacity);
    list->pages = xr_realloc(list->pages, sizeof *list->pages * (size_t)list->capacity);
}

bool xr_pages_grow(XrPagePool *pool, XrPageList *list, int64_t count) {
    if (count - list->count > pool->free) return false;
    reserve(list, count);
    while (list->count < count) {
        int32_t page = pool->stack[--pool->free];
        XR_REQUIRE(pool->holders[page] == 0, "page %d is free but held %d times", page,
                   pool->holders[page]);
        pool->holders[page] = 1;
        list->pages[list->count++] = page;
    }
    pool->least_free = XR_MIN(pool->least_free, pool->free);
    return true;
}

void xr_pages_share(XrPagePool *pool, XrPageList *list, const XrPageList *from, int64_t count) {
    XR_REQUIRE(count <= from->count, "%lld pages of a list of %d", (long long)count, from->count);
    reserve(list, list->count + count);
    for (int64_t i = 0; i < count; i++) {
        pool->holders[from->pages[i]]++;
        list->pages[list->count++] = from->pages[i];
    }
}

void xr_pages_release(XrPagePool *pool, XrPageList *list) {
    for (int32_t i = 0; i < list->count; i++) {
        int32_t page = list->pages[i];
        XR_REQUIRE(pool->holders[page] > 0, "page %d is given back but nobody holds it", page);
        if (--pool->holders[page] == 0) pool->stack[pool->free++] = page;
    }
    free(list->pages);
    *list = (XrPageList){0};
}
