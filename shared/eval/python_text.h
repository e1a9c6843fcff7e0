// What Python's strings do, on which the official judges are built: their verdicts depend on it.
#ifndef XR_EVAL_PYTHON_TEXT_H
#define XR_EVAL_PYTHON_TEXT_H

#include "shared/base/buffer.h"
#include "shared/verify/span.h"

#include <stdint.h>

// str.strip(), and str.strip(characters) for ASCII characters.
XrSpan xr_py_strip(XrSpan text);
XrSpan xr_py_strip_any(XrSpan text, const char *characters);
// Where the first character at or after `at` is that is no whitespace.
size_t xr_py_skip_space(XrSpan text, size_t at);
// Appends str.lower(), character by character.
void xr_py_lower(XrSpan text, XrBuffer *out);
// Whether a character of \w ends at `at`, or begins there.
bool xr_py_word_before(XrSpan text, size_t at);
bool xr_py_word_at(XrSpan text, size_t at);
// Whether the ASCII letter at `at` stands alone: \bX\b.
bool xr_py_alone(XrSpan text, size_t at);
// Where `needle` last begins; XR_NOT_FOUND where it does not. An empty one is at the end.
size_t xr_py_rfind(XrSpan text, XrSpan needle);
bool xr_py_contains(XrSpan text, XrSpan needle);
// What stands after the last `mark` (text.split(mark)[-1]): all of it where there is none.
XrSpan xr_py_after_last(XrSpan text, const char *mark);
// The number of words, as of text.split().
size_t xr_py_words(XrSpan text);
// The characters of a text, as many as `*count`; bytes that are no character are U+FFFD. Free it.
uint32_t *xr_py_characters(XrSpan text, size_t *count);
// text.replace(from, to), in place.
void xr_py_replace(XrBuffer *text, const char *from, const char *to);
// float(text): false where Python raises. Underscores between digits are allowed, hexadecimal is
// not.
bool xr_py_float(XrSpan text, double *out);
// Appends str(round(value, places)): the shortest text that reads back as the rounded number.
void xr_py_round_text(double value, int places, XrBuffer *out);
// round(value, places), to even in the last of a decimal expansion, as Python rounds.
double xr_py_round(double value, int places);

#endif
