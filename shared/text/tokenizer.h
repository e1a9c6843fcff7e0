// The byte-level BPE tokenizer of a Qwen2-family model: what tokenizer.json describes. Immutable
// once loaded, so that any number of threads may use it; encoding needs an XrEncoder each
// (shared/text/encoder.h), decoding is in shared/text/decoder.h.
#ifndef XR_TEXT_TOKENIZER_H
#define XR_TEXT_TOKENIZER_H

#include "shared/base/error.h"

#include <stddef.h>
#include <stdint.h>

typedef struct XrTokenizer XrTokenizer;

// Loads tokenizer.json, given itself or by the folder that holds it; the folder's
// tokenizer_config.json, if there, names the end-of-text and padding tokens. NULL and an error
// where a file is malformed, or describes a step that is not implemented.
XrTokenizer *xr_tokenizer_load(const char *path, XrError *err);
// The same from the text of a tokenizer.json; `name` stands for the file in messages.
XrTokenizer *xr_tokenizer_parse(const char *name, const char *text, size_t bytes, XrError *err);
void xr_tokenizer_free(XrTokenizer *t);

// What messages call it: the path of tokenizer.json.
const char *xr_tokenizer_name(const XrTokenizer *t);
// The largest id + 1. Ids below it may be unused.
int32_t xr_tokenizer_size(const XrTokenizer *t);
// The bytes that an id decodes to (not ended by NUL; valid as long as the tokenizer); NULL for an
// id that is not in use. They need not be whole characters.
const char *xr_tokenizer_bytes(const XrTokenizer *t, int32_t id, size_t *bytes);
// The added token with this content, or else the token of the vocabulary that stands for these
// bytes; -1 where there is none.
int32_t xr_tokenizer_id(const XrTokenizer *t, const char *content, size_t bytes);
// Whether an id is an added token, which text is never merged into; and whether it is one that
// decoding leaves out when asked to skip special tokens. False for unused ids.
bool xr_tokenizer_is_added(const XrTokenizer *t, int32_t id);
bool xr_tokenizer_is_special(const XrTokenizer *t, int32_t id);
// The end-of-text and padding tokens that tokenizer_config.json names; without it <|im_end|> (or
// else <|endoftext|>) and <|endoftext|>; -1 where the vocabulary has none.
int32_t xr_tokenizer_eos(const XrTokenizer *t);
int32_t xr_tokenizer_pad(const XrTokenizer *t);

#endif
