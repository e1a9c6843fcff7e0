// Lays tensors one after the other into one piece of backend memory. A layout function is run
// twice: with `base` NULL it measures (tensors get no data), then it places.
#ifndef XR_MODEL_ARENA_H
#define XR_MODEL_ARENA_H

#include "shared/tensor/backend.h"

typedef struct XrArena {
    char *base;
    size_t used, peak;
} XrArena;

XrTensor xr_arena_1d(XrArena *arena, XrDType dtype, int64_t d0);
XrTensor xr_arena_2d(XrArena *arena, XrDType dtype, int64_t d0, int64_t d1);

// What is placed after `used` was read and then restored shares memory with what comes after:
//   size_t mark = arena.used; ...; arena.used = mark;

// Runs `layout` twice and allocates in between. Free `arena->base` with backend->free.
typedef void XrLayout(void *context, XrArena *arena);
bool xr_arena_create(XrArena *arena, XrBackend *b, XrLayout *layout, void *context,
                     const char *what, XrError *err);

#endif
