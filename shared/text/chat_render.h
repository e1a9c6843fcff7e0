// Conversations to token ids, as the model's chat template and tokenizer make them together: equal
// to transformers' apply_chat_template with tokenize=True, except that control tokens come from the
// template alone. Text, roles included, that spells a control token becomes ordinary pieces.
#ifndef XR_TEXT_CHAT_RENDER_H
#define XR_TEXT_CHAT_RENDER_H

#include "shared/text/chat.h"
#include "shared/text/chat_template.h"
#include "shared/text/encoder.h"

typedef enum XrChatKind {
    XR_CHAT_STRUCTURE, // what the template puts around contents
    XR_CHAT_CONTENT,   // text of a message's content
    XR_CHAT_END,       // <|im_end|> and the line end after a message
    XR_CHAT_IMAGE,     // stands for a picture's features
} XrChatKind;

typedef struct XrChatToken {
    int32_t message; // index; -1: the default system message, the generation prompt
    int32_t image;   // index of the picture where kind is XR_CHAT_IMAGE, otherwise -1
    XrChatKind kind;
} XrChatToken;

// ids.count entries each. A token that covers both structure and content (a content that starts
// with line ends) counts as structure. Zero-initialise, render, free.
typedef struct XrChatTokens {
    XrIds ids;
    XrChatToken *tokens;
    size_t capacity; // of `tokens`
} XrChatTokens;

typedef struct XrChatOptions {
    bool add_generation_prompt; // end with the start of an assistant's message
    bool add_vision_id;         // "Picture N: " before each picture
} XrChatOptions;

// Replaces what `out` holds. Every picture's image_tokens must be set (at least 1). Fails where the
// template renders no such role or no pictures, where the tokenizer lacks a control token, or where
// text is not UTF-8; errors name the message.
bool xr_chat_render(const XrChatTemplate *chat_template, XrEncoder *encoder, const XrChat *chat,
                    XrChatOptions options, XrChatTokens *out, XrError *err);
void xr_chat_tokens_free(XrChatTokens *tokens);

// Whether supervised training has this token as a target: the contents of assistants' messages and
// their <|im_end|> with its line end, as the official recipe does it.
bool xr_chat_is_target(const XrChat *chat, const XrChatToken *token);

#endif
