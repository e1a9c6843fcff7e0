// A conversation: messages of a role and a content of texts and pictures in order.
#ifndef XR_TEXT_CHAT_H
#define XR_TEXT_CHAT_H

#include "shared/base/json.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct XrChatPart {
    bool image;
    char *text; // the text, or the path of a picture (which may be ""); owned, ended by NUL
    size_t bytes;
    int64_t image_tokens; // tokens that the picture takes; set by the caller before rendering
} XrChatPart;

typedef struct XrChatMessage {
    char *role; // owned
    XrChatPart *parts;
    int part_count;
} XrChatMessage;

// Zero-initialise, add, free.
typedef struct XrChat {
    XrChatMessage *messages;
    int count;
    int image_count;
} XrChat;

// Whether chat templates have messages of that role: system, user, assistant, tool.
bool xr_chat_knows_role(const char *role);

// Starts a message; what is added next belongs to it. Everything is copied.
void xr_chat_add_message(XrChat *chat, const char *role);
void xr_chat_add_text(XrChat *chat, const char *text, size_t bytes);
void xr_chat_add_image(XrChat *chat, const char *path, int64_t image_tokens);
void xr_chat_free(XrChat *chat);

// The `index`-th picture of the conversation, from 0; index < image_count.
XrChatPart *xr_chat_image(const XrChat *chat, int index);

// Adds the messages of an array in transformers' form: {"role": TEXT, "content": TEXT or PARTS},
// parts {"type": "text", "text": TEXT} or {"type": "image", "image": PATH}, where "file://" before
// the path is dropped. `json` is the document that holds `messages`. Videos, tool calls and
// pictures from elsewhere are refused; an error names the message and the part. On failure the chat
// holds what came before, and must still be freed.
bool xr_chat_add_json(XrChat *chat, const XrJson *json, const cJSON *messages, XrError *err);

#endif
