// The tables of a tokenizer.json: vocabulary, merges, added tokens.
#include "shared/base/memory.h"
#include "shared/base/utf8.h"
#include "shared/text/tokenizer_internal.h"
#include "shared/text/unicode.h"

#define XXH_INLINE_ALL
#include <xxhash.h> // defines: XXH3_64bits
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// ---- the byte alphabet: bytes that print stand for themselves, the others for U+0100 and up ----

enum { ALPHABET_END = 0x144 };
static int16_t alphabet[ALPHABET_END]; // the byte of a character, or -1
static pthread_once_t alphabet_once = PTHREAD_ONCE_INIT;

static void build_alphabet(void) {
    for (int c = 0; c < ALPHABET_END; c++) alphabet[c] = -1;
    int next = 0x100;
    for (int byte = 0; byte < 256; byte++) {
        bool prints = (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte != 0xAD);
        alphabet[prints ? byte : next++] = (int16_t)byte;
    }
}

bool xr_byte_alphabet_decode(const char *text, size_t bytes, XrBuffer *out) {
    pthread_once(&alphabet_once, build_alphabet);
    size_t before = out->length;
    uint32_t c;
    xr_buffer_reserve(out, bytes);
    for (size_t i = 0; i < bytes;) {
        int length = xr_utf8_decode(text + i, bytes - i, &c);
        if (length == 0 || c >= ALPHABET_END || alphabet[c] < 0) {
            out->length = before;
            return false;
        }
        out->data[out->length++] = (char)alphabet[c];
        i += (size_t)length;
    }
    return true;
}

// ---- tokens ----

// A start of a token's text, quoted as JSON, for messages.
typedef struct Quoted {
    char text[256];
} Quoted;

static Quoted quote(const char *text, size_t bytes) {
    Quoted out;
    XrBuffer buffer = {0};
    size_t shown = XR_MIN(bytes, (size_t)32);
    while (shown < bytes && shown > 0 && ((unsigned char)text[shown] & 0xC0) == 0x80) shown--;
    xr_buffer_json(&buffer, text, shown);
    snprintf(out.text, sizeof out.text, "%s%s", buffer.data, shown < bytes ? "..." : "");
    xr_buffer_free(&buffer);
    return out;
}

// The bytes of an object's key, of which cJSON keeps only the text.
static const char *key_bytes(const XrJson *json, const cJSON *value, XrBuffer *scratch,
                             size_t *bytes) {
    const cJSON key = {.type = cJSON_String, .valuestring = value->string};
    return xr_json_string(json, &key, scratch, bytes);
}

static bool read_id(const XrTokenizer *t, const cJSON *value, const char *text, size_t bytes,
                    int32_t *id, XrError *err) {
    int64_t number;
    if (!xr_json_whole(value, &number) || number < 0 || number > XR_MAX_TOKEN_ID) {
        return xr_fail(err, XR_ERR_INPUT,
                       "%s: the id of token %s must be a whole number from 0 to %d", t->name,
                       quote(text, bytes).text, XR_MAX_TOKEN_ID);
    }
    *id = (int32_t)number;
    return true;
}

static XrToken *reach(XrTokenizer *t, int32_t id) {
    if (id >= t->capacity) {
        int32_t capacity = XR_MAX(id + 1, XR_MIN(2 * t->capacity, XR_MAX_TOKEN_ID + 1));
        t->tokens = xr_realloc(t->tokens, (size_t)capacity * sizeof *t->tokens);
        memset(t->tokens + t->capacity, 0, (size_t)(capacity - t->capacity) * sizeof *t->tokens);
        t->capacity = capacity;
    }
    t->size = XR_MAX(t->size, id + 1);
    return &t->tokens[id];
}

static bool add_to_index(XrTokenizer *t, int32_t id) {
    const char *bytes = t->bytes.data + t->tokens[id].at;
    size_t count = t->tokens[id].length;
    uint32_t at = (uint32_t)XXH3_64bits(bytes, count) & t->index_mask;
    for (; t->index[at] >= 0; at = (at + 1) & t->index_mask) {
        const XrToken *other = &t->tokens[t->index[at]];
        if (other->length == count && !memcmp(t->bytes.data + other->at, bytes, count))
            return false;
    }
    t->index[at] = id;
    return true;
}

static bool add_token(XrTokenizer *t, const char *text, size_t bytes, const cJSON *value,
                      XrError *err) {
    int32_t id = -1;
    if (!read_id(t, value, text, bytes, &id, err)) return false;
    XrToken *token = reach(t, id);
    if (token->flags) {
        return xr_fail(err, XR_ERR_INPUT, "%s: model.vocab gives id %d to %s and to another token",
                       t->name, id, quote(text, bytes).text);
    }
    size_t at = t->bytes.length;
    bool mapped = xr_byte_alphabet_decode(text, bytes, &t->bytes);
    if (!mapped) xr_buffer_append(&t->bytes, text, bytes);
    *token = (XrToken){(uint32_t)at, (uint32_t)(t->bytes.length - at),
                       XR_TOKEN_USED | (mapped ? 0 : XR_TOKEN_FOREIGN)};
    if (!mapped || add_to_index(t, id)) return true;
    return xr_fail(err, XR_ERR_INPUT, "%s: model.vocab holds %s twice", t->name,
                   quote(text, bytes).text);
}

static bool find_bytes(XrTokenizer *t, XrError *err) {
    for (int byte = 0; byte < 256; byte++) {
        char c = (char)byte;
        t->byte_ids[byte] = xr_tokenizer_vocabulary_id(t, &c, 1);
        if (t->byte_ids[byte] < 0) {
            return xr_fail(err, XR_ERR_UNSUPPORTED,
                           "%s: model.vocab has no token for byte 0x%02X; text could be lost",
                           t->name, byte);
        }
    }
    return true;
}

bool xr_tokenizer_read_vocabulary(XrTokenizer *t, const XrJson *json, const cJSON *model,
                                  XrError *err) {
    const cJSON *vocab = cJSON_GetObjectItemCaseSensitive(model, "vocab"), *value;
    if (!cJSON_IsObject(vocab)) {
        return xr_fail(err, XR_ERR_INPUT, "%s: \"model.vocab\" is missing or no object", t->name);
    }
    size_t count = (size_t)cJSON_GetArraySize(vocab), slots = 1024, bytes;
    while (slots < 2 * count) slots *= 2;
    t->index = xr_malloc(slots * sizeof *t->index);
    t->index_mask = (uint32_t)slots - 1;
    memset(t->index, 0xFF, slots * sizeof *t->index);
    reach(t, XR_MIN((int32_t)count, XR_MAX_TOKEN_ID));
    t->size = 0;
    XrBuffer scratch = {0};
    bool ok = true;
    cJSON_ArrayForEach(value, vocab) {
        const char *text = key_bytes(json, value, &scratch, &bytes);
        ok = add_token(t, text, bytes, value, err);
        if (!ok) break;
    }
    xr_buffer_free(&scratch);
    return ok && find_bytes(t, err);
}

// ---- merges ----

static bool bad_merge(const XrTokenizer *t, int32_t rank, const char *problem, XrError *err) {
    return xr_fail(err, XR_ERR_INPUT, "%s: model.merges[%d] %s", t->name, rank, problem);
}

// The two parts of a merge, "a b" or ["a", "b"], as they are spelt.
static bool merge_parts(const cJSON *item, const char *parts[2], size_t bytes[2]) {
    if (cJSON_IsString(item)) {
        const char *space = strchr(item->valuestring, ' ');
        if (!space || strchr(space + 1, ' ')) return false;
        parts[0] = item->valuestring;
        bytes[0] = (size_t)(space - item->valuestring);
        parts[1] = space + 1;
        bytes[1] = strlen(parts[1]);
        return true;
    }
    const cJSON *first = cJSON_IsArray(item) ? item->child : NULL;
    const cJSON *second = first ? first->next : NULL;
    if (!second || second->next || !cJSON_IsString(first) || !cJSON_IsString(second)) {
        return false;
    }
    parts[0] = first->valuestring;
    bytes[0] = strlen(parts[0]);
    parts[1] = second->valuestring;
    bytes[1] = strlen(parts[1]);
    return true;
}

static bool add_merge(XrTokenizer *t, const cJSON *item, int32_t rank, XrBuffer *whole,
                      XrError *err) {
    const char *parts[2];
    size_t bytes[2];
    if (!merge_parts(item, parts, bytes)) {
        return bad_merge(t, rank, "must be \"a b\" or [\"a\", \"b\"]", err);
    }
    int32_t ids[2];
    xr_buffer_clear(whole);
    for (int i = 0; i < 2; i++) {
        size_t before = whole->length;
        bool mapped = xr_byte_alphabet_decode(parts[i], bytes[i], whole);
        ids[i] = !mapped
                     ? -1
                     : xr_tokenizer_vocabulary_id(t, whole->data + before, whole->length - before);
        if (ids[i] < 0 || whole->length == before) {
            return xr_fail(err, XR_ERR_INPUT,
                           "%s: model.merges[%d] joins %s, which is not in model.vocab", t->name,
                           rank, quote(parts[i], bytes[i]).text);
        }
    }
    int32_t merged = xr_tokenizer_vocabulary_id(t, whole->data, whole->length);
    if (merged < 0) return bad_merge(t, rank, "makes a token that is not in model.vocab", err);
    xr_bpe_table_add(&t->merges, (XrBpeMerge){ids[0], ids[1], rank, merged});
    return true;
}

bool xr_tokenizer_read_merges(XrTokenizer *t, const XrJson *json, const cJSON *model,
                              XrError *err) {
    const cJSON *merges = cJSON_GetObjectItemCaseSensitive(model, "merges"), *item;
    if (!cJSON_IsArray(merges)) {
        return xr_fail(err, XR_ERR_INPUT, "%s: \"model.merges\" is missing or no array", t->name);
    }
    xr_bpe_table_create(&t->merges, cJSON_GetArraySize(merges));
    XrBuffer whole = {0};
    int32_t rank = 0;
    bool ok = true;
    cJSON_ArrayForEach(item, merges) {
        if (cJSON_IsString(item) && strncmp(item->valuestring, "#version", 8) == 0) continue;
        ok = add_merge(t, item, rank++, &whole, err);
        if (!ok) break;
    }
    xr_buffer_free(&whole);
    return ok;
}

// ---- added tokens ----

static bool bad_added(const XrTokenizer *t, Quoted token, const char *problem, XrError *err) {
    return xr_fail(err, XR_ERR_INPUT, "%s: added token %s %s", t->name, token.text, problem);
}

typedef struct AddedFlags {
    bool special, normalized;
} AddedFlags;

static bool read_added_flags(const XrTokenizer *t, const XrJson *json, const cJSON *item,
                             Quoted token, AddedFlags *out, XrError *err) {
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
    XrToken *token = reach(t, id);
    if (token->flags & XR_TOKEN_ADDED) {
        return bad_added(t, quote(text, bytes), "has the id of another added token", err);
    }
    size_t at = t->bytes.length;
    bool mapped = xr_byte_alphabet_decode(text, bytes, &t->bytes);
    if (!mapped) xr_buffer_append(&t->bytes, text, bytes);
    size_t length = t->bytes.length - at;
    int32_t known = mapped ? xr_tokenizer_vocabulary_id(t, t->bytes.data + at, length) : -1;
    if (known >= 0 && known != id) {
        return bad_added(t, quote(text, bytes), "has another id in model.vocab", err);
    }
    bool same = token->length == length &&
                memcmp(t->bytes.data + token->at, t->bytes.data + at, length) == 0;
    if (token->flags && !same) {
        return bad_added(t, quote(text, bytes), "has the id of another token of model.vocab", err);
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
    Quoted token = quote(text, bytes);
    AddedFlags flags;
    int32_t id = -1;
    if (bytes == 0 || bytes > XR_MAX_ADDED_BYTES) {
        return bad_added(t, token, "must have from 1 to 1024 bytes", err);
    }
    if (!read_id(t, cJSON_GetObjectItemCaseSensitive(item, "id"), text, bytes, &id, err) ||
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
            return bad_added(t, quote(t->bytes.data + item->at, item->length), "occurs twice", err);
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
