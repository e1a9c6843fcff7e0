// Unicode as Hugging Face tokenizers sees it: the classes of the pre-tokenizer's regular expression
// and the normalisation form C, both of that package's Unicode versions (docs/tokenizer.md).
#ifndef XR_TEXT_UNICODE_H
#define XR_TEXT_UNICODE_H

#include "shared/base/buffer.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// The classes of \p{L}, \p{N} and \s, which do not overlap.
enum { XR_CHAR_OTHER, XR_CHAR_LETTER, XR_CHAR_NUMBER, XR_CHAR_SPACE, XR_CHAR_CLASS = 3 };
// Set where normalisation may change the character or join it to what stands before it.
enum { XR_CHAR_UNSTABLE = 4 };

// One byte for each of the 0x110000 code points: its class, and XR_CHAR_UNSTABLE. Built on the
// first call, from any thread; never freed.
const uint8_t *xr_unicode_classes(void);

// Checks that text is UTF-8 and looks for work for the normaliser. Returns false where the text is
// not UTF-8; *at is then the offset of the first wrong byte, otherwise that of the first character
// with XR_CHAR_UNSTABLE, or `bytes` when the text is in normalisation form C as it stands.
bool xr_unicode_scan(const char *text, size_t bytes, size_t *at);

// Appends the normalisation form C of text, which must be valid UTF-8, to `out`. Linear in time, up
// to the sorting of marks in a sequence that does not end (counted, not compared).
void xr_unicode_nfc(const char *text, size_t bytes, XrBuffer *out);

#endif
