#include "shared/text/chat.h"

#include "shared/base/memory.h"

#include <stdlib.h>
#include <string.h>

bool xr_chat_knows_role(const char *role) {
    static const char *const ROLES[] = {"system", "user", "assistant", "tool"};
    for (size_t i = 0; i < XR_COUNT(ROLES); i++) {
        if (strcmp(role, ROLES[i]) == 0) return true;
    }
    return false;
}

void xr_chat_add_message(XrChat *chat, const char *role) {
    size_t count = (size_t)chat->count;
    chat->messages = xr_realloc(chat->messages, (count + 1) * sizeof *chat->messages);
    chat->messages[chat->count++] = (XrChatMessage){.role = xr_strdup(role)};
}

static void add_part(XrChat *chat, XrChatPart part) {
    XR_REQUIRE(chat->count > 0, "a part of a conversation without a message");
    XrChatMessage *message = &chat->messages[chat->count - 1];
    size_t count = (size_t)message->part_count;
    if ((count & (count - 1)) == 0) {
        size_t room = count ? 2 * count : 1;
        message->parts = xr_realloc(message->parts, room * sizeof *message->parts);
    }
    message->parts[message->part_count++] = part;
}

void xr_chat_add_text(XrChat *chat, const char *text, size_t bytes) {
    add_part(chat, (XrChatPart){.text = xr_strndup(text, bytes), .bytes = bytes});
}

void xr_chat_add_image(XrChat *chat, const char *path, int64_t image_tokens) {
    add_part(chat, (XrChatPart){.image = true,
                                .text = xr_strdup(path),
                                .bytes = strlen(path),
                                .image_tokens = image_tokens});
    chat->image_count++;
}

void xr_chat_free(XrChat *chat) {
    for (int i = 0; i < chat->count; i++) {
        XrChatMessage *message = &chat->messages[i];
        for (int k = 0; k < message->part_count; k++) free(message->parts[k].text);
        free(message->parts);
        free(message->role);
    }
    free(chat->messages);
    *chat = (XrChat){0};
}

XrChatPart *xr_chat_image(const XrChat *chat, int index) {
    int seen = 0;
    for (int i = 0; i < chat->count; i++) {
        const XrChatMessage *message = &chat->messages[i];
        for (int k = 0; k < message->part_count; k++) {
            if (message->parts[k].image && seen++ == index) return &message->parts[k];
        }
    }
    XR_BUG("picture %d of a conversation with %d", index, chat->image_count);
}

// ---- from JSON ----

// Where in the messages an error is: "FILE: messages[3].content[1]".
typedef struct Place {
    const XrJson *json;
    int message, part; // part -1: the message itself
} Place;

static bool fail_at(const Place *place, XrStatus status, const char *problem, XrError *err) {
    xr_fail(err, status, "%s", problem);
    if (place->part >= 0) {
        return xr_fail_in(err, "%s: messages[%d].content[%d]", place->json->name, place->message,
                          place->part);
    }
    return xr_fail_in(err, "%s: messages[%d]", place->json->name, place->message);
}

static const cJSON *get(const cJSON *object, const char *key) {
    const cJSON *value = cJSON_GetObjectItemCaseSensitive(object, key);
    return cJSON_IsNull(value) ? NULL : value;
}

static void add_text_value(XrChat *chat, const XrJson *json, const cJSON *value) {
    XrBuffer scratch = {0};
    size_t bytes;
    const char *text = xr_json_string(json, value, &scratch, &bytes);
    xr_chat_add_text(chat, text, bytes);
    xr_buffer_free(&scratch);
}

static bool add_image_value(XrChat *chat, const Place *place, const cJSON *value, XrError *err) {
    if (!cJSON_IsString(value)) {
        return fail_at(place, XR_ERR_INPUT, "\"image\" must be the path of a picture", err);
    }
    const char *path = value->valuestring;
    if (strncmp(path, "file://", 7) == 0) path += 7;
    if (strstr(path, "://") || strncmp(path, "data:", 5) == 0) {
        return fail_at(place, XR_ERR_UNSUPPORTED, "a picture must be given as the path of a file",
                       err);
    }
    if (!*path) return fail_at(place, XR_ERR_INPUT, "the path of the picture is empty", err);
    xr_chat_add_image(chat, path, 0);
    return true;
}

static bool add_part_json(XrChat *chat, const Place *place, const cJSON *part, XrError *err) {
    const cJSON *type = get(part, "type"), *text = get(part, "text"), *image = get(part, "image");
    if (!cJSON_IsObject(part) || !cJSON_IsString(type)) {
        return fail_at(place, XR_ERR_INPUT, "a part must be an object with a \"type\"", err);
    }
    if (strcmp(type->valuestring, "image") == 0) return add_image_value(chat, place, image, err);
    if (strcmp(type->valuestring, "text") == 0) {
        if (!cJSON_IsString(text)) {
            return fail_at(place, XR_ERR_INPUT, "\"text\" must be a string", err);
        }
        add_text_value(chat, place->json, text);
        return true;
    }
    xr_fail(err, XR_ERR_UNSUPPORTED, "parts of type \"%.40s\" are not supported (text, image)",
            type->valuestring);
    return xr_fail_in(err, "%s: messages[%d].content[%d]", place->json->name, place->message,
                      place->part);
}

static bool add_message_json(XrChat *chat, Place place, const cJSON *message, XrError *err) {
    const cJSON *role = get(message, "role"), *content = get(message, "content"), *part;
    const cJSON *calls = get(message, "tool_calls");
    const char *mark = place.json->nul_mark;
    if (!cJSON_IsObject(message)) {
        return fail_at(&place, XR_ERR_INPUT, "a message must be an object", err);
    }
    if (!cJSON_IsString(role) || (mark[0] && strstr(role->valuestring, mark))) {
        return fail_at(&place, XR_ERR_INPUT, "\"role\" must be a string without U+0000", err);
    }
    if (calls && (!cJSON_IsArray(calls) || calls->child)) {
        return fail_at(&place, XR_ERR_UNSUPPORTED, "\"tool_calls\" are not supported", err);
    }
    if (!cJSON_IsString(content) && !cJSON_IsArray(content)) {
        return fail_at(&place, XR_ERR_INPUT, "\"content\" must be a string or an array of parts",
                       err);
    }
    xr_chat_add_message(chat, role->valuestring);
    if (cJSON_IsString(content)) {
        add_text_value(chat, place.json, content);
        return true;
    }
    place.part = 0;
    cJSON_ArrayForEach(part, content) {
        if (!add_part_json(chat, &place, part, err)) return false;
        place.part++;
    }
    return true;
}

bool xr_chat_add_json(XrChat *chat, const XrJson *json, const cJSON *messages, XrError *err) {
    const cJSON *message;
    Place place = {json, 0, -1};
    if (!cJSON_IsArray(messages) || !messages->child) {
        return xr_fail(err, XR_ERR_INPUT, "%s: \"messages\" must be an array that is not empty",
                       json->name);
    }
    cJSON_ArrayForEach(message, messages) {
        if (!add_message_json(chat, place, message, err)) return false;
        place.message++;
    }
    return true;
}
