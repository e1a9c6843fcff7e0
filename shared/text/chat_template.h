// Which of the published chat templates a model folder has. A template is a Jinja program; the
// known ones are recognised by their text and rendered natively (shared/text/chat_render.h).
#ifndef XR_TEXT_CHAT_TEMPLATE_H
#define XR_TEXT_CHAT_TEMPLATE_H

#include "shared/base/buffer.h"
#include "shared/base/error.h"

#include <stdbool.h>

typedef struct XrChatTemplate {
    const char *name; // "Qwen2.5-VL", "Qwen2", "Qwen2.5"
    char *system;     // what a conversation without a system message starts with; NULL: nothing
    bool pictures;    // whether contents may hold pictures
    bool fixed_roles; // only system, user, assistant and tool; any role otherwise
} XrChatTemplate;

// Finds the folder's template where transformers looks for it: chat_template.jinja,
// chat_template.json, tokenizer_config.json. A folder without one gets Qwen2.5-VL's. So does one
// whose template is none of the known ones; `notice` then receives a line of text that says so.
// Fails only where a file is malformed. Free with xr_chat_template_free.
bool xr_chat_template_load(XrChatTemplate *out, const char *folder, XrBuffer *notice, XrError *err);
void xr_chat_template_free(XrChatTemplate *chat_template);

// Recognises the text of a template; false (and nothing to free) for one that is not known.
bool xr_chat_template_recognise(XrChatTemplate *out, const char *text, size_t bytes);

#endif
