// What Hugging Face tokenizers knows about every code point, measured by golden/make_unicode.py.
// docs/tokenizer.md says why these are not a library's tables. shared/text/unicode.h gives access.
#ifndef XR_TEXT_UNICODE_TABLES_H
#define XR_TEXT_UNICODE_TABLES_H

#include <stdint.h>

extern const uint32_t XR_UNICODE_LETTERS[][2], XR_UNICODE_NUMBERS[][2], XR_UNICODE_SPACES[][2];
extern const uint32_t XR_UNICODE_COMBINING[][3];
extern const uint32_t XR_UNICODE_COMPOSITES[][3], XR_UNICODE_DECOMPOSITIONS[][3];
extern const int XR_UNICODE_LETTERS_COUNT, XR_UNICODE_NUMBERS_COUNT, XR_UNICODE_SPACES_COUNT;
extern const int XR_UNICODE_COMBINING_COUNT;
extern const int XR_UNICODE_COMPOSITES_COUNT, XR_UNICODE_DECOMPOSITIONS_COUNT;

#endif
