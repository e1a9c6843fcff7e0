#include "shared/base/memory.h"

#include <stdlib.h>
#include <string.h>

static void *need(void *memory, size_t bytes) {
    XR_REQUIRE(memory || bytes == 0, "out of memory asking for %zu bytes", bytes);
    return memory;
}

void *xr_malloc(size_t bytes) {
    return need(malloc(bytes ? bytes : 1), bytes);
}

void *xr_calloc(size_t count, size_t bytes) {
    return need(calloc(count ? count : 1, bytes ? bytes : 1), count);
}

void *xr_realloc(void *old, size_t bytes) {
    return need(realloc(old, bytes ? bytes : 1), bytes);
}

char *xr_strndup(const char *text, size_t bytes) {
    char *copy = xr_malloc(bytes + 1);
    memcpy(copy, text, bytes);
    copy[bytes] = '\0';
    return copy;
}

char *xr_strdup(const char *text) {
    return xr_strndup(text, strlen(text));
}

void *xr_try_alloc(size_t bytes, const char *what, XrError *err) {
    void *memory = NULL;
    size_t rounded = (bytes + 63) & ~(size_t)63;
    if (rounded < bytes || posix_memalign(&memory, 64, rounded ? rounded : 64) != 0) {
        xr_fail(err, XR_ERR_MEMORY, "cannot allocate %zu bytes for %s; free memory or ask for less",
                bytes, what);
        return NULL;
    }
    return memory;
}

void *xr_alloc_aligned(size_t bytes) {
    return need(xr_try_alloc(bytes, "", NULL), bytes);
}

bool xr_mul_size(size_t a, size_t b, size_t *product) {
    return !__builtin_mul_overflow(a, b, product);
}
