#include "shared/text/chat_render.h"

#include "shared/base/memory.h"
#include "shared/text/tokenizer_internal.h"
#include "shared/text/unicode.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_IMAGE_TOKENS = 1 << 20 };

// A stretch of the run: up to `end` it has this kind and message.
typedef struct Segment {
    size_t end;
    XrChatToken token;
} Segment;

// Text between two control tokens is encoded in one go, as tokenizers does. Pieces are normalised
// before they are joined, so that the ends of segments are known in the text that is encoded; they
// meet at characters that do not compose (a line end, a space, a capital P).
typedef struct Render {
    const XrChatTemplate *chat_template;
    const XrTokenizer *tokenizer;
    XrEncoder *encoder;
    const XrChat *chat;
    XrChatOptions options;
    XrChatTokens *out;
    XrBuffer run, content;
    Segment *segments;
    int segment_count, segment_capacity;
    int images;
    XrError *err;
} Render;

static void append_token(XrChatTokens *out, int32_t id, XrChatToken token) {
    xr_ids_append(&out->ids, &id, 1);
    if (out->capacity < out->ids.capacity) {
        out->capacity = out->ids.capacity;
        out->tokens = xr_realloc(out->tokens, out->capacity * sizeof *out->tokens);
    }
    out->tokens[out->ids.count - 1] = token;
}

// Encodes the run and says of each id which segments its bytes come from.
static bool end_run(Render *r) {
    XrIds ids = {0};
    if (!r->segments || r->segment_count == 0) return true;
    if (!xr_encode(r->encoder, r->run.data, r->run.length, XR_ENCODE_TEXT, &ids, r->err)) {
        xr_ids_free(&ids);
        return false;
    }
    size_t at = 0, bytes;
    int segment = 0;
    for (size_t i = 0; i < ids.count; i++) {
        while (r->segments[segment].end <= at) segment++;
        int first = segment;
        xr_tokenizer_bytes(r->tokenizer, ids.data[i], &bytes);
        at += bytes;
        while (r->segments[segment].end < at) segment++;
        XrChatToken token = r->segments[segment].token;
        if (segment != first) token.kind = XR_CHAT_STRUCTURE;
        append_token(r->out, ids.data[i], token);
    }
    xr_ids_free(&ids);
    xr_buffer_clear(&r->run);
    r->segment_count = 0;
    return true;
}

static bool add_text(Render *r, XrChatToken token, const char *text, size_t bytes) {
    size_t wrong;
    if (bytes == 0) return true;
    if (!xr_unicode_scan(text, bytes, &wrong)) {
        return xr_fail(r->err, XR_ERR_INPUT, "text is not UTF-8 at byte %zu", wrong);
    }
    if (r->tokenizer->nfc && wrong < bytes)
        xr_unicode_nfc(text, bytes, &r->run);
    else
        xr_buffer_append(&r->run, text, bytes);
    if (r->segment_count == r->segment_capacity) {
        r->segment_capacity = XR_MAX(16, 2 * r->segment_capacity);
        r->segments = xr_realloc(r->segments, (size_t)r->segment_capacity * sizeof *r->segments);
    }
    r->segments[r->segment_count++] = (Segment){r->run.length, token};
    return true;
}

static bool add_control(Render *r, XrChatToken token, int32_t id) {
    if (!end_run(r)) return false;
    append_token(r->out, id, token);
    return true;
}

// The added token that is all of `text`, or -1.
static int32_t control_id(const XrTokenizer *t, const char *text) {
    size_t length, bytes = strlen(text);
    int32_t id = xr_added_match(t, &t->verbatim, text, bytes, &length);
    return id >= 0 && length == bytes ? id : -1;
}

// Text of the template itself, in which control tokens are found.
static bool add_structure(Render *r, XrChatToken token, const char *text) {
    size_t bytes = strlen(text), from = 0, length;
    for (size_t at = 0; at < bytes;) {
        int32_t id =
            xr_added_match(r->tokenizer, &r->tokenizer->verbatim, text + at, bytes - at, &length);
        if (id < 0) {
            at++;
            continue;
        }
        if (!add_text(r, token, text + from, at - from) || !add_control(r, token, id)) return false;
        from = at += length;
    }
    return add_text(r, token, text + from, bytes - from);
}

static bool add_image(Render *r, int message, const XrChatPart *part) {
    XrChatToken token = {message, -1, XR_CHAT_STRUCTURE};
    XR_REQUIRE(part->image_tokens > 0 && part->image_tokens <= MAX_IMAGE_TOKENS,
               "chat: picture %d has %lld tokens", r->images, (long long)part->image_tokens);
    if (r->options.add_vision_id) {
        char text[32];
        snprintf(text, sizeof text, "Picture %d: ", r->images + 1);
        if (!add_text(r, token, text, strlen(text))) return false;
    }
    if (!add_structure(r, token, "<|vision_start|>")) return false;
    int32_t pad = control_id(r->tokenizer, "<|image_pad|>");
    XrChatToken image = {message, r->images++, XR_CHAT_IMAGE};
    for (int64_t i = 0; i < part->image_tokens; i++) append_token(r->out, pad, image);
    return add_structure(r, token, "<|vision_end|>");
}

// Texts in a row are joined before they are normalised, since a character may be split over them.
static bool add_content(Render *r, int index) {
    const XrChatMessage *message = &r->chat->messages[index];
    XrChatToken token = {index, -1, XR_CHAT_CONTENT};
    xr_buffer_clear(&r->content);
    for (int i = 0; i < message->part_count; i++) {
        const XrChatPart *part = &message->parts[i];
        if (!part->image) {
            xr_buffer_append(&r->content, part->text, part->bytes);
            continue;
        }
        if (!add_text(r, token, r->content.data, r->content.length)) return false;
        xr_buffer_clear(&r->content);
        if (!add_image(r, index, part)) return false;
    }
    return add_text(r, token, r->content.data, r->content.length);
}

static bool is_tool(const Render *r, int index) {
    return r->chat_template->fixed_roles && index >= 0 && index < r->chat->count &&
           strcmp(r->chat->messages[index].role, "tool") == 0;
}

// What tools answered goes into one user's message for each row of them.
static bool add_tool(Render *r, int index) {
    XrChatToken token = {index, -1, XR_CHAT_STRUCTURE}, end = {index, -1, XR_CHAT_END};
    return (is_tool(r, index - 1) || add_structure(r, token, "<|im_start|>user")) &&
           add_structure(r, token, "\n<tool_response>\n") && add_content(r, index) &&
           add_structure(r, token, "\n</tool_response>") &&
           (is_tool(r, index + 1) || add_structure(r, end, "<|im_end|>\n"));
}

static bool add_message(Render *r, int index) {
    const char *role = r->chat->messages[index].role;
    XrChatToken token = {index, -1, XR_CHAT_STRUCTURE}, end = {index, -1, XR_CHAT_END};
    if (is_tool(r, index)) return add_tool(r, index);
    return add_structure(r, token, "<|im_start|>") && add_text(r, token, role, strlen(role)) &&
           add_text(r, token, "\n", 1) && add_content(r, index) &&
           add_structure(r, end, "<|im_end|>\n");
}

static bool add_all(Render *r) {
    const XrChatToken none = {-1, -1, XR_CHAT_STRUCTURE};
    const char *system = r->chat_template->system;
    if (system && strcmp(r->chat->messages[0].role, "system") != 0) {
        if (!add_structure(r, none, "<|im_start|>system\n") || !add_structure(r, none, system) ||
            !add_structure(r, none, "<|im_end|>\n")) {
            return false;
        }
    }
    for (int i = 0; i < r->chat->count; i++) {
        if (!add_message(r, i)) return xr_fail_in(r->err, "messages[%d]", i);
    }
    return (!r->options.add_generation_prompt ||
            add_structure(r, none, "<|im_start|>assistant\n")) &&
           end_run(r);
}

static bool check_roles(const XrChatTemplate *chat_template, const XrChat *chat, XrError *err) {
    for (int i = 0; chat_template->fixed_roles && i < chat->count; i++) {
        if (!xr_chat_knows_role(chat->messages[i].role)) {
            return xr_fail(err, XR_ERR_INPUT,
                           "messages[%d]: the chat template of %s leaves out messages of role "
                           "\"%.40s\" (it has system, user, assistant, tool)",
                           i, chat_template->name, chat->messages[i].role);
        }
    }
    return true;
}

static bool check_controls(const XrTokenizer *t, bool pictures, XrError *err) {
    static const char *const CONTROLS[] = {"<|im_start|>", "<|im_end|>", "<|vision_start|>",
                                           "<|vision_end|>", "<|image_pad|>"};
    for (size_t i = 0; i < (pictures ? XR_COUNT(CONTROLS) : 2); i++) {
        if (control_id(t, CONTROLS[i]) < 0) {
            return xr_fail(err, XR_ERR_UNSUPPORTED,
                           "%s: the chat template needs the added token %s", xr_tokenizer_name(t),
                           CONTROLS[i]);
        }
    }
    return true;
}

bool xr_chat_render(const XrChatTemplate *chat_template, XrEncoder *encoder, const XrChat *chat,
                    XrChatOptions options, XrChatTokens *out, XrError *err) {
    const XrTokenizer *t = xr_encoder_tokenizer(encoder);
    out->ids.count = 0;
    if (chat->count == 0) return xr_fail(err, XR_ERR_INPUT, "a conversation without messages");
    if (chat->image_count && !chat_template->pictures) {
        return xr_fail(err, XR_ERR_INPUT, "the chat template of %s takes no pictures",
                       chat_template->name);
    }
    if (!check_roles(chat_template, chat, err) || !check_controls(t, chat->image_count > 0, err)) {
        return false;
    }
    Render r = {.chat_template = chat_template,
                .tokenizer = t,
                .encoder = encoder,
                .chat = chat,
                .options = options,
                .out = out,
                .err = err};
    bool ok = add_all(&r);
    xr_buffer_free(&r.run);
    xr_buffer_free(&r.content);
    free(r.segments);
    return ok;
}

void xr_chat_tokens_free(XrChatTokens *tokens) {
    xr_ids_free(&tokens->ids);
    free(tokens->tokens);
    *tokens = (XrChatTokens){0};
}

bool xr_chat_is_target(const XrChat *chat, const XrChatToken *token) {
    return (token->kind == XR_CHAT_CONTENT || token->kind == XR_CHAT_END) && token->message >= 0 &&
           strcmp(chat->messages[token->message].role, "assistant") == 0;
}
