// Text to token ids.
#ifndef XR_TEXT_ENCODER_H
#define XR_TEXT_ENCODER_H

#include "shared/text/tokenizer.h"

// A growing list of token ids. Zero-initialise, append, free.
typedef struct XrIds {
    int32_t *data;
    size_t count, capacity;
} XrIds;

void xr_ids_reserve(XrIds *ids, size_t more);
void xr_ids_append(XrIds *ids, const int32_t *data, size_t count);
void xr_ids_free(XrIds *ids);

// Work memory for encoding, among it a cache of fixed size (2 MiB) of frequent pieces: one a
// thread. The tokenizer must outlive it.
typedef struct XrEncoder XrEncoder;

XrEncoder *xr_encoder_create(const XrTokenizer *t);
void xr_encoder_free(XrEncoder *encoder);
const XrTokenizer *xr_encoder_tokenizer(const XrEncoder *encoder);

typedef enum XrEncodeMode {
    XR_ENCODE_TEXT,    // added tokens are not looked for: "<|im_end|>" becomes ordinary pieces
    XR_ENCODE_CONTROL, // added tokens are found, leftmost and longest, as tokenizers' encode does
} XrEncodeMode;

// Appends the ids of `text` to `out`. Text that is not UTF-8 (an error that names the byte) or over
// XR_MAX_ENCODE_BYTES leaves `out` as it was and returns false. U+0000 is text like any other.
enum { XR_MAX_ENCODE_BYTES = 64 << 20 };
bool xr_encode(XrEncoder *encoder, const char *text, size_t bytes, XrEncodeMode mode, XrIds *out,
               XrError *err);

#endif
