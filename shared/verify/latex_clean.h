// Brings an answer's bytes into one alphabet before it is read: typographic Unicode, HTML tags and
// entities and damaged escapes become the LaTeX or ASCII that they stand for.
#ifndef XR_VERIFY_LATEX_CLEAN_H
#define XR_VERIFY_LATEX_CLEAN_H

#include "shared/base/buffer.h"

#include <stdbool.h>
#include <stdint.h>

// Replaces `out` by the cleaned text. Returns false when the bytes are not valid UTF-8 or hold
// control characters that stand for nothing; `out` then holds what was readable.
bool xr_latex_clean(const char *text, size_t bytes, XrBuffer *out);

// What a character stands for, or NULL: "\\pi " for U+03C0.
const char *xr_latex_of_character(uint32_t code_point);

#endif
