// Cutting text into the pieces that byte-pair merging works on: the matches, one after the other,
// of
//
//   (?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*
//   |\s*[\r\n]+|\s+(?!\S)|\s+
//
// with the meaning that a backtracking matcher gives it. Every character belongs to a match.
#ifndef XR_TEXT_PRETOKENIZE_H
#define XR_TEXT_PRETOKENIZE_H

#include <stddef.h>
#include <stdint.h>

// The one regular expression that this implements, as tokenizer.json spells it.
extern const char XR_PRETOKEN_REGEX[];

// Where the piece that starts at `at` < bytes ends. `text` is valid UTF-8, `classes` is
// xr_unicode_classes(). Linear in the length of the piece and of the white space that follows.
size_t xr_pretoken_end(const uint8_t *classes, const char *text, size_t bytes, size_t at);

#endif
