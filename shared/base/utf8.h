// UTF-8, strictly: no overlong forms, no surrogates, nothing above U+10FFFF.
#ifndef XR_BASE_UTF8_H
#define XR_BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// Reads one character at `text`; returns its length in bytes (1 to 4) and stores the code point, or
// returns 0 when the bytes are not a whole valid character.
int xr_utf8_decode(const char *text, size_t bytes, uint32_t *code_point);
// Writes `code_point` (a valid scalar value) to `out` (4 bytes of room); returns the length.
int xr_utf8_encode(uint32_t code_point, char *out);
// The length of the longest valid prefix; equal to `bytes` when all of it is valid.
size_t xr_utf8_valid_prefix(const char *text, size_t bytes);
// How many bytes at the start of invalid input one U+FFFD stands for (Unicode's "maximal subpart",
// which Rust's and Python's lossy decoders use): at least 1. `*incomplete` says whether the bytes
// are a proper prefix of some character that merely ends too early.
size_t xr_utf8_invalid_length(const char *text, size_t bytes, bool *incomplete);
// The bytes of a byte order mark that the text begins with: 3, or 0 where there is none.
size_t xr_utf8_mark(const char *text, size_t bytes);
// A name from outside as messages show it: at most 120 bytes, in which bytes that are not valid and
// control characters are '?'. Static storage of the thread, eight calls deep.
const char *xr_utf8_shown(const char *text);

#endif
