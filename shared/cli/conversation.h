// A conversation as token ids: what the model said stays as the ids that were sampled, and each
// turn of the user is rendered behind it.
#ifndef XR_CLI_CONVERSATION_H
#define XR_CLI_CONVERSATION_H

#include "shared/prompt/prompt.h"

// Zero-initialise but for `model` and `system`.
typedef struct XrConversation {
    const XrChatModel *model;
    const char *system; // NULL: the template's own
    XrIds ids;
    XrPixels pixels;
} XrConversation;

// Appends a message of the user, pictures before the text, and the start of the answer. On failure
// nothing is changed.
bool xr_conversation_ask(XrConversation *c, const char *text, size_t bytes,
                         const char *const *pictures, int picture_count, XrError *err);
// Appends an answer; its end-of-message token is added where it has none.
void xr_conversation_answer(XrConversation *c, const int32_t *ids, int64_t count);
// Forgets what came after the conversation had `count` ids and `pictures` pictures.
void xr_conversation_cut(XrConversation *c, size_t count, int64_t pictures);
void xr_conversation_free(XrConversation *c);

#endif
