#include "shared/text/tokenizer.h"

#include "shared/base/file.h"
#include "shared/base/memory.h"
#include "shared/text/tokenizer_internal.h"

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

// What is found in passing over a tokenizer.json: where its large tables are.
typedef struct Tables {
    XrJsonReader vocab, merges;         // in front of them
    const char *vocab_end, *merges_end; // NULL: not there, or of another kind
    size_t tokens, pairs;
} Tables;

// Passes over a member's value; remembers it if it is the first of its name, and of this kind.
static bool pass_table(XrJsonReader *r, char kind, XrJsonReader *start, const char **end,
                       size_t *count) {
    if (*end || xr_json_reader_peek(r) != kind) return xr_json_reader_skip(r, NULL);
    *start = *r;
    start->scratch = (XrBuffer){0};
    if (!xr_json_reader_skip(r, count)) return false;
    *end = r->at;
    return true;
}

static bool is(const char *key, size_t bytes, const char *name) {
    return bytes == strlen(name) && memcmp(key, name, bytes) == 0;
}

static bool pass_model(XrJsonReader *r, Tables *out) {
    const char *key;
    size_t bytes;
    if (xr_json_reader_peek(r) != '{') return xr_json_reader_skip(r, NULL);
    bool ok = xr_json_reader_enter(r, '{');
    while (ok && xr_json_reader_member(r, &key, &bytes)) {
        if (is(key, bytes, "vocab"))
            ok = pass_table(r, '{', &out->vocab, &out->vocab_end, &out->tokens);
        else if (is(key, bytes, "merges"))
            ok = pass_table(r, '[', &out->merges, &out->merges_end, &out->pairs);
        else
            ok = xr_json_reader_skip(r, NULL);
    }
    return !r->failed;
}

// Passes over the whole file, so that what is malformed anywhere in it is told first.
static bool find_tables(XrJsonReader *r, Tables *out) {
    const char *key;
    size_t bytes;
    bool model = false, ok = true;
    *out = (Tables){0};
    if (xr_json_reader_peek(r) != '{') {
        return xr_json_reader_skip(r, NULL) && xr_json_reader_finish(r);
    }
    xr_json_reader_enter(r, '{');
    while (ok && xr_json_reader_member(r, &key, &bytes)) {
        bool first = !model && is(key, bytes, "model");
        ok = first ? pass_model(r, out) : xr_json_reader_skip(r, NULL);
        model |= first;
    }
    return !r->failed && xr_json_reader_finish(r);
}

// The text without what is in the tables.
static void write_rest(XrBuffer *out, const char *text, size_t bytes, const Tables *tables) {
    struct {
        const char *start, *end, *instead;
    } vocab = {tables->vocab.at, tables->vocab_end, "{}"},
      merges = {tables->merges.at, tables->merges_end, "[]"}, *cut;
    const char *at = text;
    for (int i = 0; i < 2; i++) {
        cut = (i == 0) == (vocab.start < merges.start) ? &vocab : &merges;
        if (!cut->end) continue;
        xr_buffer_append(out, at, (size_t)(cut->start - at));
        xr_buffer_text(out, cut->instead);
        at = cut->end;
    }
    xr_buffer_append(out, at, (size_t)(text + bytes - at));
}

static bool read_all(XrTokenizer *t, const XrJson *rest, const Tables *tables, XrError *err) {
    if (!cJSON_IsObject(rest->root)) {
        return xr_fail(err, XR_ERR_INPUT, "%s: a tokenizer.json must be a JSON object", t->name);
    }
    if (!xr_tokenizer_check_pipeline(t, rest, err)) return false;
    if (!tables->vocab_end) {
        return xr_fail(err, XR_ERR_INPUT, "%s: \"model.vocab\" is missing or no object", t->name);
    }
    if (!xr_tokenizer_read_vocabulary(t, &tables->vocab, tables->tokens, err)) return false;
    if (!tables->merges_end) {
        return xr_fail(err, XR_ERR_INPUT, "%s: \"model.merges\" is missing or no array", t->name);
    }
    return xr_tokenizer_read_merges(t, &tables->merges, tables->pairs, err) &&
           xr_tokenizer_read_added(t, rest, err);
}

static int32_t id_of_text(const XrTokenizer *t, const char *content) {
    return xr_tokenizer_id(t, content, strlen(content));
}

static XrTokenizer *from_tables(const XrJson *rest, const Tables *tables, XrError *err) {
    XrTokenizer *t = xr_calloc(1, sizeof *t);
    t->name = xr_strdup(rest->name);
    if (!read_all(t, rest, tables, err)) {
        xr_tokenizer_free(t);
        return NULL;
    }
    t->pad = id_of_text(t, "<|endoftext|>");
    t->eos = id_of_text(t, "<|im_end|>");
    if (t->eos < 0) t->eos = t->pad;
    return t;
}

XrTokenizer *xr_tokenizer_parse(const char *name, const char *text, size_t bytes, XrError *err) {
    XrJsonReader reader;
    XrJson json;
    XrBuffer rest = {0};
    Tables tables;
    XrTokenizer *t = NULL;
    if (xr_json_reader_start(&reader, name, text, bytes, &XR_JSON_LARGE, err) &&
        find_tables(&reader, &tables)) {
        write_rest(&rest, text, bytes, &tables);
        if (xr_json_parse(&json, name, rest.data, rest.length, &XR_JSON_LARGE, err)) {
            t = from_tables(&json, &tables, err);
            xr_json_free(&json);
        }
    }
    xr_buffer_free(&rest);
    xr_json_reader_end(&reader);
    return t;
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
    XrBuffer text = {0};
    XrTokenizer *t = NULL;
    if (xr_file_read(file, XR_JSON_LARGE.bytes, &text, err)) {
        t = xr_tokenizer_parse(file, text.data, text.length, err);
    }
    xr_buffer_free(&text);
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
