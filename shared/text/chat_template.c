#include "shared/text/chat_template.h"

#include "shared/base/file.h"
#include "shared/base/json.h"
#include "shared/base/memory.h"

#define XXH_INLINE_ALL
#include <xxhash.h> // defines: XXH3_64bits
#include <stdlib.h>
#include <string.h>

// A published template by the hash of its text without the default system message (which differs
// between models) and without white space at the end. golden/make_chat.py prints them.
typedef struct Known {
    uint64_t hash;
    const char *name;
    bool pictures, fixed_roles;
    bool escaped; // the system message stands in a Jinja string
} Known;

static const Known KNOWN[] = {
    {0x3d15537b282f2491, "Qwen2.5-VL", true, false, false},
    {0x24fca39d4d4f80c4, "Qwen2.5-VL", true, false, false}, // without a default system message
    {0xf7ae9931dce686d3, "Qwen2", false, false, true},
    {0xeabb709d63012ada, "Qwen2.5", false, true, true},
};
static const char QWEN25_VL_SYSTEM[] = "You are a helpful assistant.";

enum { MAX_TEMPLATE = 1 << 20 };

// The default system message in a template's text: what follows "<|im_start|>system" and a line
// end, written out or as an escape, up to "<|im_end|>". Where that is no plain text, there is none.
static bool find_system(const char *text, const char **system, size_t *bytes) {
    static const char HEAD[] = "<|im_start|>system";
    for (const char *at = text; (at = strstr(at, HEAD));) {
        at += sizeof HEAD - 1;
        if (*at == '\n')
            at += 1;
        else if (strncmp(at, "\\n", 2) == 0)
            at += 2;
        else
            continue;
        const char *end = strstr(at, "<|im_end|>");
        if (!end) return false;
        size_t length = (size_t)(end - at);
        if (memchr(at, '\'', length)) continue;
        *system = at;
        *bytes = length;
        return length > 0;
    }
    return false;
}

// The text without any copy of the system message.
static void cut(const char *text, const char *system, size_t bytes, XrBuffer *out) {
    for (const char *at = text; *at;) {
        if (bytes && strncmp(at, system, bytes) == 0)
            at += bytes;
        else
            xr_buffer_byte(out, *at++);
    }
}

// A system message as it stands in a Jinja string; NULL where an escape is not known.
static char *unescape(const char *text, size_t bytes) {
    char *out = xr_malloc(bytes + 1);
    size_t to = 0;
    for (size_t i = 0; i < bytes; i++) {
        char c = text[i];
        if (c == '\\') {
            char escape = ++i < bytes ? text[i] : '\0';
            c = escape == 'n' ? '\n' : escape;
            if (!strchr("n\\\"", escape) || !escape) {
                free(out);
                return NULL;
            }
        }
        out[to++] = c;
    }
    out[to] = '\0';
    return out;
}

static const Known *find_known(uint64_t hash) {
    for (size_t i = 0; i < XR_COUNT(KNOWN); i++) {
        if (KNOWN[i].hash == hash) return &KNOWN[i];
    }
    return NULL;
}

bool xr_chat_template_recognise(XrChatTemplate *out, const char *text, size_t bytes) {
    *out = (XrChatTemplate){0};
    while (bytes && strchr(" \t\r\n", text[bytes - 1])) bytes--;
    if (bytes > MAX_TEMPLATE || memchr(text, '\0', bytes)) return false;
    char *copy = xr_strndup(text, bytes);
    const char *system = copy;
    size_t length = 0;
    bool has_system = find_system(copy, &system, &length);
    XrBuffer rest = {0};
    cut(copy, system, has_system ? length : 0, &rest);
    const Known *known = find_known(XXH3_64bits(rest.data, rest.length));
    bool ok = known != NULL;
    if (ok) {
        *out = (XrChatTemplate){known->name, NULL, known->pictures, known->fixed_roles};
        if (has_system) {
            out->system = known->escaped ? unescape(system, length) : xr_strndup(system, length);
            ok = out->system && (known->escaped || !strchr(out->system, '{'));
        }
    }
    if (!ok) xr_chat_template_free(out);
    xr_buffer_free(&rest);
    free(copy);
    return ok;
}

void xr_chat_template_free(XrChatTemplate *chat_template) {
    free(chat_template->system);
    *chat_template = (XrChatTemplate){0};
}

// ---- the folder's files ----

// A template's text in a JSON file: "chat_template": TEXT, or a list of {"name", "template"} of
// which the one called default counts.
static const cJSON *template_value(const cJSON *root) {
    const cJSON *value = cJSON_GetObjectItemCaseSensitive(root, "chat_template"), *item;
    if (!cJSON_IsArray(value)) return value;
    cJSON_ArrayForEach(item, value) {
        const cJSON *name = cJSON_GetObjectItemCaseSensitive(item, "name");
        if (cJSON_IsString(name) && strcmp(name->valuestring, "default") == 0) {
            return cJSON_GetObjectItemCaseSensitive(item, "template");
        }
    }
    return NULL;
}

static bool read_json(const char *path, XrBuffer *text, XrError *err) {
    XrJson json;
    if (!xr_json_read_file(&json, path, &XR_JSON_SMALL, err)) return false;
    const cJSON *value = template_value(json.root);
    if (cJSON_IsString(value)) xr_buffer_text(text, value->valuestring);
    xr_json_free(&json);
    return true;
}

static bool read_template(const char *folder, XrBuffer *text, XrError *err) {
    static const char *const FILES[] = {"chat_template.jinja", "chat_template.json",
                                        "tokenizer_config.json"};
    bool ok = true;
    for (size_t i = 0; ok && text->length == 0 && i < XR_COUNT(FILES); i++) {
        char *path = xr_path_join(folder, FILES[i]);
        if (xr_path_exists(path)) {
            ok = i == 0 ? xr_file_read(path, MAX_TEMPLATE, text, err) : read_json(path, text, err);
        }
        free(path);
    }
    return ok;
}

bool xr_chat_template_load(XrChatTemplate *out, const char *folder, XrBuffer *notice,
                           XrError *err) {
    XrBuffer text = {0};
    *out = (XrChatTemplate){0};
    bool ok = read_template(folder, &text, err);
    bool known = ok && text.length && xr_chat_template_recognise(out, text.data, text.length);
    if (ok && !known) {
        *out = (XrChatTemplate){KNOWN[0].name, xr_strdup(QWEN25_VL_SYSTEM), true, false};
        if (text.length) {
            xr_buffer_format(notice,
                             "%s: the chat template is not one of the known ones (Qwen2, Qwen2.5, "
                             "Qwen2.5-VL); conversations are laid out as Qwen2.5-VL's does it\n",
                             folder);
        }
    }
    xr_buffer_free(&text);
    return ok;
}
