// Rewrites the text of an answer without reading it as mathematics: changes that keep what it says,
// and changes that do not.
#ifndef XR_TESTS_REWRITE_H
#define XR_TESTS_REWRITE_H

#include "shared/base/buffer.h"

#include <stdbool.h>
#include <stdint.h>

typedef struct XrDraw {
    uint64_t seed, stream, position;
} XrDraw;

// A number below `bound` (at least 1) of a fixed sequence.
uint32_t xr_draw(XrDraw *draw, uint32_t bound);

// Writes to `out` the text with one harmless change; false when the drawn change does not apply.
bool xr_rewrite_same(XrDraw *draw, const char *text, XrBuffer *out);
// The same with a change after which the answer is another one.
bool xr_rewrite_other(XrDraw *draw, const char *text, XrBuffer *out);

#endif
