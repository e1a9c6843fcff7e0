// The added tokens of a tokenizer.json.
#include "shared/base/memory.h"
#include "shared/text/tokenizer_internal.h"
#include "shared/text/unicode.h"

#include <stdlib.h>
#include <string.h>

static bool bad_added(const XrTokenizer *t, XrQuoted token, const char *problem, XrError *err) {
    return xr_fail(err, XR_ERR_INPUT, "%s: added token %s %s", t->name, token.text, problem);
}

typedef struct AddedFlags {
    bool special, normalized;
} AddedFlags;

static bool read_added_flags(const XrTokenizer *t, const XrJson *json, const cJSON *item,
                             XrQuoted token, AddedFlags *out, XrError *err) {
    bool special = false, normalized = false, single_word = false, lstrip = false, rstrip = false;
    if (!xr_json_get_bool(json, item, "special", &special, err) ||
        !xr_json_get_bool(json, item, "normalized", &normalized, err) ||
        !xr_json_get_bool(json, item, "single_word", &single_word, err) ||
        !xr_json_get_bool(json, item, "lstrip", &lstrip, err) ||
        !xr_json_get_bool(json, item, "rstrip", &rstrip, err)) {
        return false;
    }
    *out = (AddedFlags){special, normalized};
    if (!single_word && !lstrip && !rstrip) return true;
    return xr_fail(err, XR_ERR_UNSUPPORTED,
                   "%s: added token %s has \"%s\" set, which is not implemented", t->name,
                   token.text,
                   single_word ? "single_word"
                   : lstrip    ? "lstrip"
                               : "rstrip");
}

// Enters an added token's id. Its decoded form follows tokenizers, which reads even added tokens in
// the byte alphabet where every character is in it.
static bool enter_added(XrTokenizer *t, const char *text, size_t bytes, int32_t id, bool special,
                        XrError *err) {
    XrToken *token = xr_tokenizer_reach(t, id);
    if (token->flags & XR_TOKEN_ADDED) {
        return bad_added(t, xr_token_quote(text, bytes), "has the id of another added token", err);
    }
    size_t at = t->bytes.length;
    bool mapped = xr_byte_alphabet_decode(text, bytes, &t->bytes);
    if (!mapped) xr_buffer_append(&t->bytes, text, bytes);
    size_t length = t->bytes.length - at;
    int32_t known = mapped ? xr_tokenizer_vocabulary_id(t, t->bytes.data + at, length) : -1;
    if (known >= 0 && known != id) {
        return bad_added(t, xr_token_quote(text, bytes), "has another id in model.vocab", err);
    }
    bool same = token->length == length &&
                memcmp(t->bytes.data + token->at, t->bytes.data + at, length) == 0;
    if (token->flags && !same) {
        return bad_added(t, xr_token_quote(text, bytes),
                         "has the id of another token of model.vocab", err);
    }
    token->at = (uint32_t)at;
    token->length = (uint32_t)length;
    token->flags |= XR_TOKEN_USED | XR_TOKEN_ADDED | (special ? XR_TOKEN_SPECIAL : 0);
    return true;
}

static bool add_added(XrTokenizer *t, const XrJson *json, const cJSON *item, XrBuffer *scratch,
                      XrError *err) {
    const cJSON *content = cJSON_GetObjectItemCaseSensitive(item, "content");
    if (!cJSON_IsObject(item) || !cJSON_IsString(content)) {
        return xr_fail(err, XR_ERR_INPUT, "%s: an entry of \"added_tokens\" has no \"content\"",
                       t->name);
    }
    size_t bytes;
    const char *text = xr_json_string(json, content, scratch, &bytes);
    XrQuoted token = xr_token_quote(text, bytes);
    AddedFlags flags;
    int32_t id = -1;
    if (bytes == 0 || bytes > XR_MAX_ADDED_BYTES) {
        return bad_added(t, token, "must have from 1 to 1024 bytes", err);
    }
    int64_t number = -1;
    xr_json_whole(cJSON_GetObjectItemCaseSensitive(item, "id"), &number);
    if (!xr_tokenizer_check_id(t, number, text, bytes, &id, err) ||
        !read_added_flags(t, json, item, token, &flags, err) ||
        !enter_added(t, text, bytes, id, flags.special, err)) {
        return false;
    }
    XrAddedList *list = flags.normalized ? &t->normalized : &t->verbatim;
    size_t at = t->bytes.length;
    if (flags.normalized && t->nfc)
        xr_unicode_nfc(text, bytes, &t->bytes);
    else
        xr_buffer_append(&t->bytes, text, bytes);
    list->items[list->count++] = (XrAddedToken){(uint32_t)at, (uint32_t)(t->bytes.length - at), id};
    list->starts[(unsigned char)t->bytes.data[at]] = true;
    return true;
}

static int compare_added(const void *a, const void *b, void *context) {
    const XrAddedToken *x = a, *y = b;
    const char *bytes = context;
    int order = memcmp(bytes + x->at, bytes + y->at, XR_MIN(x->length, y->length));
    return order ? order : (x->length > y->length) - (x->length < y->length);
}

static bool sort_added(XrTokenizer *t, XrAddedList *list, XrError *err) {
    if (list->count == 0) return true;
    qsort_r(list->items, (size_t)list->count, sizeof *list->items, compare_added, t->bytes.data);
    for (int32_t i = 1; i < list->count; i++) {
        const XrAddedToken *item = &list->items[i];
        if (compare_added(item - 1, item, t->bytes.data) == 0) {
            return bad_added(t, xr_token_quote(t->bytes.data + item->at, item->length),
                             "occurs twice", err);
        }
    }
    return true;
}

bool xr_tokenizer_read_added(XrTokenizer *t, const XrJson *json, XrError *err) {
    const cJSON *added = cJSON_GetObjectItemCaseSensitive(json->root, "added_tokens"), *item;
    if (!added || cJSON_IsNull(added)) return true;
    if (!cJSON_IsArray(added)) {
        return xr_fail(err, XR_ERR_INPUT, "%s: \"added_tokens\" must be an array", t->name);
    }
    size_t count = (size_t)cJSON_GetArraySize(added);
    t->verbatim.items = xr_calloc(count + 1, sizeof *t->verbatim.items);
    t->normalized.items = xr_calloc(count + 1, sizeof *t->normalized.items);
    XrBuffer scratch = {0};
    bool ok = true;
    cJSON_ArrayForEach(item, added) {
        ok = add_added(t, json, item, &scratch, err);
        if (!ok) break;
    }
    xr_buffer_free(&scratch);
    return ok && sort_added(t, &t->verbatim, err) && sort_added(t, &t->normalized, err);
}
