// The tiny world's own tokenizer: Qwen2's byte-level pipeline with a few hundred tokens, in which
// each word that the world's texts hold is one token.
#ifndef XR_TINY_WORLD_TOKENS_H
#define XR_TINY_WORLD_TOKENS_H

#include "shared/base/buffer.h"

#include <stdint.h>

// Appends tokenizer.json: 256 bytes, the merges that byte-pair training on the world's words makes,
// and Qwen2.5-VL's added tokens.
void xr_world_tokenizer(XrBuffer *out);
// Appends tokenizer_config.json, with Qwen2.5-VL's chat template, less its system message.
void xr_world_tokenizer_config(XrBuffer *out);
// The number of tokens, and the id of an added token ("<|im_end|>"), which must be one.
int32_t xr_world_token_count(void);
int32_t xr_world_added_token(const char *content);

#endif
