#include "shared/text/tokenizer.h"

#include "shared/base/file.h"
#include "shared/base/memory.h"
#include "shared/text/tokenizer_internal.h"

#define XXH_INLINE_ALL
#include <xxhash.h> // defines: XXH3_64bits
#include <stdlib.h>
#include <string.h>

void xr_tokenizer_free(XrTokenizer *t) {
    if (!t) return;
    xr_bpe_table_free(&t->merges);
    xr_buffer_free(&t->bytes);
    free(t->verbatim.items);
    free(t->normalized.items);
    free(t->index);
    free(t->tokens);
    free(t->name);
    free(t);
}

static bool read_all(XrTokenizer *t, const XrJson *json, XrError *err) {
    if (!cJSON_IsObject(json->root)) {
        return xr_fail(err, XR_ERR_INPUT, "%s: a tokenizer.json must be a JSON object", t->name);
    }
    const cJSON *model = cJSON_GetObjectItemCaseSensitive(json->root, "model");
    return xr_tokenizer_check_pipeline(t, json, err) &&
           xr_tokenizer_read_vocabulary(t, json, model, err) &&
           xr_tokenizer_read_merges(t, json, model, err) && xr_tokenizer_read_added(t, json, err);
}

static int32_t id_of_text(const XrTokenizer *t, const char *content) {
    return xr_tokenizer_id(t, content, strlen(content));
}

// Takes over `json`.
static XrTokenizer *from_json(XrJson *json, XrError *err) {
    XrTokenizer *t = xr_calloc(1, sizeof *t);
    t->name = xr_strdup(json->name);
    bool ok = read_all(t, json, err);
    xr_json_free(json);
    if (!ok) {
        xr_tokenizer_free(t);
        return NULL;
    }
    t->pad = id_of_text(t, "<|endoftext|>");
    t->eos = id_of_text(t, "<|im_end|>");
    if (t->eos < 0) t->eos = t->pad;
    return t;
}

XrTokenizer *xr_tokenizer_parse(const char *name, const char *text, size_t bytes, XrError *err) {
    XrJson json;
    if (!xr_json_parse(&json, name, text, bytes, &XR_JSON_LARGE, err)) return NULL;
    return from_json(&json, err);
}

// "eos_token": "text", or {"content": "text", ...}, or null.
static bool read_named(XrTokenizer *t, const XrJson *json, const char *key, int32_t *id,
                       XrError *err) {
    const cJSON *value = cJSON_GetObjectItemCaseSensitive(json->root, key);
    if (!value || cJSON_IsNull(value)) return true;
    if (cJSON_IsObject(value)) value = cJSON_GetObjectItemCaseSensitive(value, "content");
    if (!cJSON_IsString(value)) {
        return xr_fail(err, XR_ERR_INPUT, "%s: \"%s\" must be a string or hold a \"content\"",
                       json->name, key);
    }
    *id = id_of_text(t, value->valuestring);
    if (*id >= 0) return true;
    return xr_fail(err, XR_ERR_INPUT, "%s: \"%s\" names \"%.100s\", which is no token of %s",
                   json->name, key, value->valuestring, t->name);
}

// "added_tokens_decoder": {"ID": {"content": TEXT, ...}}, which must say what tokenizer.json says:
// transformers would add what is only here, with ids of its own choice.
static bool check_added(const XrTokenizer *t, const XrJson *json, XrError *err) {
    const cJSON *added = cJSON_GetObjectItemCaseSensitive(json->root, "added_tokens_decoder"),
                *item;
    if (!cJSON_IsObject(added)) return true;
    cJSON_ArrayForEach(item, added) {
        const cJSON *content = cJSON_GetObjectItemCaseSensitive(item, "content");
        char *end;
        long id = strtol(item->string, &end, 10);
        bool known = cJSON_IsString(content) && *end == '\0' &&
                     id_of_text(t, content->valuestring) == id &&
                     xr_tokenizer_is_added(t, (int32_t)id);
        if (!known) {
            return xr_fail(
                err, XR_ERR_INPUT,
                "%s: \"added_tokens_decoder\" has a token %.20s that %s has otherwise or "
                "not at all; save the tokenizer again",
                json->name, item->string, t->name);
        }
    }
    return true;
}

static bool read_config(XrTokenizer *t, const char *path, XrError *err) {
    XrJson json;
    if (!xr_path_exists(path)) return true;
    if (!xr_json_read_file(&json, path, &XR_JSON_SMALL, err)) return false;
    bool ok = read_named(t, &json, "eos_token", &t->eos, err) &&
              read_named(t, &json, "pad_token", &t->pad, err) && check_added(t, &json, err);
    xr_json_free(&json);
    return ok;
}

XrTokenizer *xr_tokenizer_load(const char *path, XrError *err) {
    bool folder = xr_path_is_folder(path);
    char *file = folder ? xr_path_join(path, "tokenizer.json") : xr_strdup(path);
    XrJson json;
    XrTokenizer *t = NULL;
    if (xr_json_read_file(&json, file, &XR_JSON_LARGE, err)) t = from_json(&json, err);
    free(file);
    if (!t || !folder) return t;
    char *config = xr_path_join(path, "tokenizer_config.json");
    bool ok = read_config(t, config, err);
    free(config);
    if (ok) return t;
    xr_tokenizer_free(t);
    return NULL;
}

const char *xr_tokenizer_name(const XrTokenizer *t) {
    return t->name;
}

int32_t xr_tokenizer_size(const XrTokenizer *t) {
    return t->size;
}

static uint32_t flags_of(const XrTokenizer *t, int32_t id) {
    return id >= 0 && id < t->size ? t->tokens[id].flags : 0;
}

const char *xr_tokenizer_bytes(const XrTokenizer *t, int32_t id, size_t *bytes) {
    *bytes = 0;
    if (!flags_of(t, id)) return NULL;
    *bytes = t->tokens[id].length;
    return t->bytes.data + t->tokens[id].at;
}

bool xr_tokenizer_is_added(const XrTokenizer *t, int32_t id) {
    return flags_of(t, id) & XR_TOKEN_ADDED;
}

bool xr_tokenizer_is_special(const XrTokenizer *t, int32_t id) {
    return flags_of(t, id) & XR_TOKEN_SPECIAL;
}

int32_t xr_tokenizer_eos(const XrTokenizer *t) {
    return t->eos;
}

int32_t xr_tokenizer_pad(const XrTokenizer *t) {
    return t->pad;
}

int32_t xr_tokenizer_vocabulary_id(const XrTokenizer *t, const char *bytes, size_t count) {
    uint32_t at = (uint32_t)XXH3_64bits(bytes, count) & t->index_mask;
    for (int32_t id; (id = t->index[at]) >= 0; at = (at + 1) & t->index_mask) {
        const XrToken *token = &t->tokens[id];
        if (token->length == count && memcmp(t->bytes.data + token->at, bytes, count) == 0) {
            return id;
        }
    }
    return -1;
}

// The first item from `low` on whose byte at `offset` is at least `byte`; items from `low` to
// `high` agree before that.
static int32_t bound(const XrTokenizer *t, const XrAddedList *list, int32_t low, int32_t high,
                     size_t offset, int byte) {
    while (low < high) {
        int32_t middle = low + (high - low) / 2;
        const XrAddedToken *item = &list->items[middle];
        int here = item->length > offset ? (unsigned char)t->bytes.data[item->at + offset] : -1;
        if (here < byte)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

int32_t xr_added_match(const XrTokenizer *t, const XrAddedList *list, const char *text,
                       size_t bytes, size_t *length) {
    int32_t low = 0, high = list->count, found = -1;
    for (size_t i = 0; i < bytes && low < high; i++) {
        int byte = (unsigned char)text[i];
        low = bound(t, list, low, high, i, byte);
        high = bound(t, list, low, high, i, byte + 1);
        if (low < high && list->items[low].length == i + 1) {
            found = list->items[low].id;
            *length = i + 1;
        }
    }
    return found;
}

int32_t xr_tokenizer_id(const XrTokenizer *t, const char *content, size_t bytes) {
    const XrAddedList *lists[] = {&t->verbatim, &t->normalized};
    for (size_t i = 0; i < XR_COUNT(lists); i++) {
        size_t length;
        int32_t id = xr_added_match(t, lists[i], content, bytes, &length);
        if (id >= 0 && length == bytes) return id;
    }
    return xr_tokenizer_vocabulary_id(t, content, bytes);
}
