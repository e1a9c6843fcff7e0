#include "shared/eval/endpoint_message.h"

#include "shared/base/file.h"
#include "shared/base/json.h"
#include "shared/base/memory.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static void add_base64(XrBuffer *out, const unsigned char *bytes, size_t count) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    xr_buffer_reserve(out, (count + 2) / 3 * 4);
    for (size_t i = 0; i < count; i += 3) {
        size_t have = XR_MIN(count - i, 3);
        uint32_t group = (uint32_t)bytes[i] << 16;
        if (have > 1) group |= (uint32_t)bytes[i + 1] << 8;
        if (have > 2) group |= bytes[i + 2];
        char four[4];
        for (int k = 0; k < 4; k++) four[k] = digits[group >> (18 - 6 * k) & 63];
        if (have < 3) four[3] = '=';
        if (have < 2) four[2] = '=';
        xr_buffer_append(out, four, 4);
    }
}

// By content: names of published files lie.
static const char *media_type(const XrMapping *file) {
    const unsigned char *b = file->data;
    if (file->bytes > 8 && memcmp(b, "\x89PNG", 4) == 0) return "image/png";
    if (file->bytes > 3 && memcmp(b, "\xff\xd8\xff", 3) == 0) return "image/jpeg";
    if (file->bytes > 12 && memcmp(b + 8, "WEBP", 4) == 0) return "image/webp";
    if (file->bytes > 4 && memcmp(b, "GIF8", 4) == 0) return "image/gif";
    return NULL;
}

static bool add_picture(XrBuffer *out, const char *path, XrError *err) {
    XrMapping file;
    if (!xr_file_map(path, &file, err)) return false;
    const char *type = media_type(&file);
    if (type) {
        xr_buffer_format(
            out, "{\"type\": \"image_url\", \"image_url\": {\"url\": \"data:%s;base64,", type);
        add_base64(out, file.data, file.bytes);
        xr_buffer_text(out, "\"}}");
    }
    xr_file_unmap(&file);
    return type ||
           xr_fail(err, XR_ERR_UNSUPPORTED,
                   "%s: is no picture that servers take; convert it to PNG, JPEG or WebP", path);
}

static bool add_content(XrBuffer *out, const cJSON *content, XrError *err) {
    const cJSON *part;
    bool ok = true, first = true;
    if (cJSON_IsString(content)) {
        xr_buffer_json(out, content->valuestring, strlen(content->valuestring));
        return true;
    }
    xr_buffer_byte(out, '[');
    cJSON_ArrayForEach(part, content) {
        const char *image = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(part, "image"));
        const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(part, "text"));
        if (!first) xr_buffer_text(out, ", ");
        first = false;
        if (image) {
            ok = ok && add_picture(out, image, err);
        } else {
            xr_buffer_text(out, "{\"type\": \"text\", \"text\": ");
            xr_buffer_json(out, text ? text : "", text ? strlen(text) : 0);
            xr_buffer_byte(out, '}');
        }
    }
    xr_buffer_byte(out, ']');
    return ok;
}

static bool add_messages(XrBuffer *out, const char *messages, XrError *err) {
    XrJson json;
    const cJSON *message;
    bool ok = xr_json_parse(&json, "conversation", messages, strlen(messages), &XR_JSON_LARGE, err);
    if (!ok) return false;
    xr_buffer_byte(out, '[');
    cJSON_ArrayForEach(message, json.root) {
        const char *role = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(message, "role"));
        xr_buffer_text(out, message->prev && message != json.root->child ? ", " : "");
        xr_buffer_text(out, "{\"role\": ");
        xr_buffer_json(out, role, strlen(role));
        xr_buffer_text(out, ", \"content\": ");
        ok = ok && add_content(out, cJSON_GetObjectItemCaseSensitive(message, "content"), err);
        xr_buffer_byte(out, '}');
    }
    xr_buffer_byte(out, ']');
    xr_json_free(&json);
    return ok;
}

bool xr_endpoint_request(XrBuffer *out, const XrRunConfig *c, const char *model,
                         const char *messages, int sample, XrError *err) {
    xr_buffer_text(out, "{\"model\": ");
    xr_buffer_json(out, model, strlen(model));
    xr_buffer_format(out,
                     ", \"max_tokens\": %" PRId64 ", \"temperature\": %.9g, \"top_p\": %.9g, "
                     "\"seed\": %" PRId64,
                     c->max_completion_length, c->temperature, c->top_p, c->seed + sample);
    if (c->top_k) xr_buffer_format(out, ", \"top_k\": %" PRId64, c->top_k);
    if (c->repetition_penalty != 1) {
        xr_buffer_format(out, ", \"repetition_penalty\": %.9g", c->repetition_penalty);
    }
    if (c->min_pixels || c->max_pixels) {
        xr_buffer_text(out, ", \"mm_processor_kwargs\": {");
        if (c->min_pixels) xr_buffer_format(out, "\"min_pixels\": %" PRId64, c->min_pixels);
        if (c->min_pixels && c->max_pixels) xr_buffer_text(out, ", ");
        if (c->max_pixels) xr_buffer_format(out, "\"max_pixels\": %" PRId64, c->max_pixels);
        xr_buffer_byte(out, '}');
    }
    xr_buffer_text(out, ", \"messages\": ");
    bool ok = add_messages(out, messages, err);
    xr_buffer_byte(out, '}');
    return ok;
}

// ---- replies ----

static void add_text(XrBuffer *out, const XrJson *json, const cJSON *value) {
    XrBuffer scratch = {0};
    size_t bytes;
    if (!cJSON_IsString(value)) return;
    const char *text = xr_json_string(json, value, &scratch, &bytes);
    xr_buffer_append(out, text, bytes);
    xr_buffer_free(&scratch);
}

static void read_message(XrEndpointReply *out, const XrJson *json, const cJSON *message) {
    const char *const names[] = {"reasoning_content", "reasoning"};
    const cJSON *reasoning = NULL;
    for (size_t i = 0; i < XR_COUNT(names) && !cJSON_IsString(reasoning); i++) {
        reasoning = cJSON_GetObjectItemCaseSensitive(message, names[i]);
    }
    const cJSON *content = cJSON_GetObjectItemCaseSensitive(message, "content");
    const char *thinking = cJSON_GetStringValue(reasoning);
    if (thinking && *thinking) {
        xr_buffer_text(&out->text, "<think>\n");
        add_text(&out->text, json, reasoning);
        // Without content, thinking has not ended.
        const char *answer = cJSON_GetStringValue(content);
        bool ended = answer && *answer;
        if (ended) xr_buffer_text(&out->text, "\n</think>\n");
    }
    add_text(&out->text, json, content);
    xr_buffer_reserve(&out->text, 1);
}

bool xr_endpoint_reply(XrEndpointReply *out, const char *name, const XrBuffer *body, XrError *err) {
    XrJson json;
    *out = (XrEndpointReply){.tokens = -1, .prompt_tokens = -1};
    if (!xr_json_parse(&json, name, body->data ? body->data : "", body->length, &XR_JSON_LARGE,
                       err)) {
        return false;
    }
    const cJSON *choices = cJSON_GetObjectItemCaseSensitive(json.root, "choices");
    const cJSON *choice = cJSON_GetArrayItem(choices, 0);
    const cJSON *message = cJSON_GetObjectItemCaseSensitive(choice, "message");
    const char *finish =
        cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(choice, "finish_reason"));
    const cJSON *usage = cJSON_GetObjectItemCaseSensitive(json.root, "usage");
    bool ok = cJSON_IsObject(message) ||
              xr_fail(err, XR_ERR_INPUT,
                      "%s: the reply has no choices[0].message; is this an OpenAI-compatible chat "
                      "server?",
                      name);
    if (ok) {
        read_message(out, &json, message);
        out->finish = xr_strdup(finish ? finish : "");
        xr_json_whole(cJSON_GetObjectItemCaseSensitive(usage, "completion_tokens"), &out->tokens);
        xr_json_whole(cJSON_GetObjectItemCaseSensitive(usage, "prompt_tokens"),
                      &out->prompt_tokens);
    }
    xr_json_free(&json);
    return ok;
}

void xr_endpoint_reply_free(XrEndpointReply *reply) {
    xr_buffer_free(&reply->text);
    free(reply->finish);
    *reply = (XrEndpointReply){0};
}

void xr_endpoint_complaint(XrBuffer *out, const XrBuffer *body) {
    XrJson json;
    const char *text = NULL;
    bool parsed = body->length &&
                  xr_json_parse(&json, "reply", body->data, body->length, &XR_JSON_SMALL, NULL);
    if (parsed) {
        const cJSON *error = cJSON_GetObjectItemCaseSensitive(json.root, "error");
        if (cJSON_IsObject(error)) error = cJSON_GetObjectItemCaseSensitive(error, "message");
        if (!error) error = cJSON_GetObjectItemCaseSensitive(json.root, "message");
        if (!error) error = cJSON_GetObjectItemCaseSensitive(json.root, "detail");
        text = cJSON_GetStringValue(error);
    }
    if (!text) text = body->length ? body->data : "no explanation";
    for (size_t i = 0; text[i] && i < 300; i++) {
        xr_buffer_byte(out, (unsigned char)text[i] < ' ' ? ' ' : text[i]);
    }
    if (parsed) xr_json_free(&json);
}
