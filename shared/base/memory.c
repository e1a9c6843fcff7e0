#include "shared/base/memory.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

// Blocks of at least two huge pages are laid on such pages where the system has them on request:
// matrix products touch many rows at a time, and look up addresses often otherwise.
enum { LINE = 64, HUGE_PAGE = 2 << 20 };

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
    bool huge = bytes >= 2 * (size_t)HUGE_PAGE;
    size_t align = huge ? HUGE_PAGE : LINE, rounded = (bytes + LINE - 1) & ~(size_t)(LINE - 1);
    if (rounded < bytes || posix_memalign(&memory, align, rounded ? rounded : LINE) != 0) {
        xr_fail(err, XR_ERR_MEMORY, "cannot allocate %zu bytes for %s; free memory or ask for less",
                bytes, what);
        return NULL;
    }
#if defined(MADV_HUGEPAGE)
    if (huge) madvise(memory, rounded, MADV_HUGEPAGE); // advice: it may be refused
#endif
    return memory;
}

void *xr_alloc_aligned(size_t bytes) {
    return need(xr_try_alloc(bytes, "", NULL), bytes);
}

bool xr_mul_size(size_t a, size_t b, size_t *product) {
    return !__builtin_mul_overflow(a, b, product);
}
