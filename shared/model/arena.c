#include "shared/model/arena.h"

#include "shared/base/memory.h"

static XrTensor take(XrArena *arena, XrTensor t) {
    if (arena->base) t.data = arena->base + arena->used;
    arena->used += (xr_nbytes(&t) + 63) & ~(size_t)63;
    arena->peak = XR_MAX(arena->peak, arena->used);
    return t;
}

XrTensor xr_arena_1d(XrArena *arena, XrDType dtype, int64_t d0) {
    return take(arena, xr_tensor1(dtype, NULL, d0));
}

XrTensor xr_arena_2d(XrArena *arena, XrDType dtype, int64_t d0, int64_t d1) {
    return take(arena, xr_tensor2(dtype, NULL, d0, d1));
}

bool xr_arena_create(XrArena *arena, XrBackend *b, XrLayout *layout, void *context,
                     const char *what, XrError *err) {
    *arena = (XrArena){0};
    layout(context, arena);
    size_t bytes = arena->peak;
    *arena = (XrArena){.base = b->alloc(b, XR_MAX(bytes, 64), what, err)};
    if (!arena->base) return false;
    layout(context, arena);
    return true;
}
