// Host memory. Small allocations whose size the program itself chose abort when the system has no
// memory left; sizes that come from input go through xr_try_alloc, which reports an error.
#ifndef XR_BASE_MEMORY_H
#define XR_BASE_MEMORY_H

#include "shared/base/error.h"

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

// As malloc, calloc, realloc and strdup, but never NULL: without memory the program aborts.
void *xr_malloc(size_t bytes);
void *xr_calloc(size_t count, size_t bytes);
void *xr_realloc(void *old, size_t bytes);
char *xr_strdup(const char *text);
char *xr_strndup(const char *text, size_t bytes);

// 64-byte aligned, uninitialised; NULL and an error that names `what` when it cannot be had.
// Free with free().
void *xr_try_alloc(size_t bytes, const char *what, XrError *err);
// The same, aborting.
void *xr_alloc_aligned(size_t bytes);

// Returns false where a*b overflows.
bool xr_mul_size(size_t a, size_t b, size_t *product);

#define XR_MIN(a, b) ((a) < (b) ? (a) : (b))
#define XR_MAX(a, b) ((a) > (b) ? (a) : (b))
#define XR_COUNT(array) (sizeof(array) / sizeof((array)[0]))

#ifdef __cplusplus
}
#endif

#endif
