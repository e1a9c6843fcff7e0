// What the model is given: token ids and the pictures that stand among them.
#ifndef XR_PROMPT_PROMPT_H
#define XR_PROMPT_PROMPT_H

#include "shared/image/preprocess.h"
#include "shared/prompt/chat_model.h"
#include "shared/text/chat_render.h"

typedef struct XrPrompt {
    XrChatTokens tokens; // of prompts made from ids, `tokens.tokens` is NULL
    XrPixels pixels;
} XrPrompt;

// Renders a conversation, reading the pictures that it names; their image_tokens in `chat` are set.
bool xr_prompt_from_chat(XrPrompt *out, const XrChatModel *chat_model, XrChat *chat,
                         XrChatOptions options, XrError *err);

// Takes ids as they are and reads `image_count` picture files in order. Ids that the model does not
// have are an error; whether pictures and image tokens match shows when positions are made.
bool xr_prompt_from_ids(XrPrompt *out, const XrChatModel *chat_model, const int32_t *ids,
                        size_t count, const char *const *images, int image_count, XrError *err);
void xr_prompt_free(XrPrompt *prompt);

#endif
