// The tables of a tokenizer.json's model, from the file's text: vocabulary and merges.
#include "shared/base/json_reader.h"
#include "shared/base/memory.h"
#include "shared/text/tokenizer_internal.h"

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
    xr_buffer_reserve(out, bytes);
    const unsigned char *p = (const unsigned char *)text, *end = p + bytes;
    char *to = out->data + out->length;
    while (p < end) {
        unsigned c = *p++;
        if (c >= 0x80) { // the alphabet's others have two bytes each
            if (c < 0xC2 || c > 0xC5 || p == end || (*p & 0xC0) != 0x80) return false;
            c = (c & 0x1F) << 6 | (*p++ & 0x3F);
        }
        if (c >= ALPHABET_END || alphabet[c] < 0) return false;
        *to++ = (char)alphabet[c];
    }
    out->length = (size_t)(to - out->data);
    return true;
}

// ---- tokens ----

XrQuoted xr_token_quote(const char *text, size_t bytes) {
    XrQuoted out;
    XrBuffer buffer = {0};
    size_t shown = XR_MIN(bytes, (size_t)32);
    while (shown < bytes && shown > 0 && ((unsigned char)text[shown] & 0xC0) == 0x80) shown--;
    xr_buffer_json(&buffer, text, shown);
    snprintf(out.text, sizeof out.text, "%s%s", buffer.data, shown < bytes ? "..." : "");
    xr_buffer_free(&buffer);
    return out;
}

bool xr_tokenizer_check_id(const XrTokenizer *t, int64_t number, const char *text, size_t bytes,
                           int32_t *id, XrError *err) {
    if (number < 0 || number > XR_MAX_TOKEN_ID) {
        return xr_fail(err, XR_ERR_INPUT,
                       "%s: the id of token %s must be a whole number from 0 to %d", t->name,
                       xr_token_quote(text, bytes).text, XR_MAX_TOKEN_ID);
    }
    *id = (int32_t)number;
    return true;
}

XrToken *xr_tokenizer_reach(XrTokenizer *t, int32_t id) {
    if (id >= t->capacity) {
        int32_t capacity = XR_MAX(id + 1, XR_MIN(2 * t->capacity, XR_MAX_TOKEN_ID + 1));
        t->tokens = xr_realloc(t->tokens, (size_t)capacity * sizeof *t->tokens);
        memset(t->tokens + t->capacity, 0, (size_t)(capacity - t->capacity) * sizeof *t->tokens);
        t->capacity = capacity;
    }
    t->size = XR_MAX(t->size, id + 1);
    return &t->tokens[id];
}

static inline bool has_bytes(const XrTokenizer *t, int32_t id, const char *bytes, size_t count) {
    const XrToken *token = &t->tokens[id];
    return token->length == count && memcmp(t->bytes.data + token->at, bytes, count) == 0;
}

// The slot of a token of the vocabulary, or the free slot where it would stand.
static inline XrIndexSlot *find(const XrTokenizer *t, uint64_t hash, const char *bytes,
                                size_t count) {
    uint32_t at = (uint32_t)hash & t->index_mask, tag = (uint32_t)(hash >> 32);
    while (t->index[at].id >= 0 &&
           (t->index[at].tag != tag || !has_bytes(t, t->index[at].id, bytes, count))) {
        at = (at + 1) & t->index_mask;
    }
    return &t->index[at];
}

int32_t xr_tokenizer_vocabulary_id(const XrTokenizer *t, const char *bytes, size_t count) {
    return find(t, XXH3_64bits(bytes, count), bytes, count)->id;
}

// ---- vocabulary ----

static bool add_to_index(XrTokenizer *t, int32_t id) {
    const char *bytes = t->bytes.data + t->tokens[id].at;
    uint64_t hash = XXH3_64bits(bytes, t->tokens[id].length);
    XrIndexSlot *slot = find(t, hash, bytes, t->tokens[id].length);
    if (slot->id >= 0) return false;
    *slot = (XrIndexSlot){.id = id, .tag = (uint32_t)(hash >> 32)};
    return true;
}

static bool add_token(XrTokenizer *t, const char *text, size_t bytes, int64_t number,
                      XrError *err) {
    int32_t id = -1;
    if (!xr_tokenizer_check_id(t, number, text, bytes, &id, err)) return false;
    XrToken *token = xr_tokenizer_reach(t, id);
    if (token->flags) {
        return xr_fail(err, XR_ERR_INPUT, "%s: model.vocab gives id %d to %s and to another token",
                       t->name, id, xr_token_quote(text, bytes).text);
    }
    size_t at = t->bytes.length;
    bool mapped = xr_byte_alphabet_decode(text, bytes, &t->bytes);
    if (!mapped) xr_buffer_append(&t->bytes, text, bytes);
    *token = (XrToken){(uint32_t)at, (uint32_t)(t->bytes.length - at),
                       XR_TOKEN_USED | (mapped ? 0 : XR_TOKEN_FOREIGN)};
    if (!mapped || add_to_index(t, id)) return true;
    return xr_fail(err, XR_ERR_INPUT, "%s: model.vocab holds %s twice", t->name,
                   xr_token_quote(text, bytes).text);
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

static void make_index(XrTokenizer *t, size_t count) {
    size_t slots = 1024;
    while (slots < 2 * count) slots *= 2;
    t->index = xr_alloc_aligned(slots * sizeof *t->index); // on huge pages where it is large
    t->index_mask = (uint32_t)slots - 1;
    memset(t->index, 0xFF, slots * sizeof *t->index);
}

bool xr_tokenizer_read_vocabulary(XrTokenizer *t, const XrJsonReader *vocab, size_t count,
                                  XrError *err) {
    XrJsonReader r = *vocab;
    make_index(t, count);
    xr_tokenizer_reach(t, (int32_t)XR_MIN(count, (size_t)XR_MAX_TOKEN_ID));
    t->size = 0;
    const char *text;
    size_t bytes;
    bool ok = xr_json_reader_enter(&r, '{');
    while (ok && xr_json_reader_member(&r, &text, &bytes)) {
        int64_t id = -1;
        bool whole;
        ok = xr_json_reader_whole(&r, &id, &whole) && add_token(t, text, bytes, id, err);
    }
    xr_json_reader_end(&r);
    return ok && !r.failed && find_bytes(t, err);
}

// ---- merges ----

static bool bad_merge(const XrTokenizer *t, int32_t rank, const char *problem, XrError *err) {
    return xr_fail(err, XR_ERR_INPUT, "%s: model.merges[%d] %s", t->name, rank, problem);
}

// What is read of one merge.
typedef struct Merge {
    XrBuffer spelling; // of both parts, one after the other
    XrBuffer bytes;    // what these stand for
    size_t counts[2],
        lengths[2];   // bytes of a part's spelling; of what it stands for, 0 for nothing
    uint64_t hash[2]; // of the parts' bytes
} Merge;

// The two parts of a merge, "a b" or ["a", "b"], as they are spelt. False where it is neither.
static bool read_parts(XrJsonReader *r, Merge *m) {
    const char *text, *space;
    size_t bytes;
    int parts = 0;
    xr_buffer_clear(&m->spelling);
    if (xr_json_reader_peek(r) == '"') {
        if (!xr_json_reader_string(r, &text, &bytes)) return false;
        space = memchr(text, ' ', bytes);
        if (!space || memchr(space + 1, ' ', bytes - (size_t)(space + 1 - text))) return false;
        m->counts[0] = (size_t)(space - text);
        m->counts[1] = bytes - m->counts[0] - 1;
        xr_buffer_append(&m->spelling, text, m->counts[0]);
        xr_buffer_append(&m->spelling, space + 1, m->counts[1]);
        return true;
    }
    if (xr_json_reader_peek(r) != '[' || !xr_json_reader_enter(r, '[')) return false;
    while (xr_json_reader_item(r)) {
        if (parts == 2 || xr_json_reader_peek(r) != '"') return false;
        if (!xr_json_reader_string(r, &text, &bytes)) return false;
        m->counts[parts++] = bytes;
        xr_buffer_append(&m->spelling, text, bytes);
    }
    return parts == 2;
}

// The first step with a merge that was read: what its parts stand for, and where to look for them.
static void prepare(const XrTokenizer *t, Merge *m) {
    const char *part = m->spelling.data;
    xr_buffer_clear(&m->bytes);
    for (int i = 0; i < 2; part += m->counts[i++]) {
        size_t before = m->bytes.length;
        m->lengths[i] = 0;
        if (!xr_byte_alphabet_decode(part, m->counts[i], &m->bytes)) continue;
        m->lengths[i] = m->bytes.length - before;
        m->hash[i] = XXH3_64bits(m->bytes.data + before, m->lengths[i]);
        __builtin_prefetch(&t->index[(uint32_t)m->hash[i] & t->index_mask]);
    }
}

// The second step: the tokens that probably stand there.
static void fetch_tokens(const XrTokenizer *t, const Merge *m) {
    for (int i = 0; i < 2; i++) {
        int32_t id = t->index[(uint32_t)m->hash[i] & t->index_mask].id;
        if (id >= 0) __builtin_prefetch(&t->tokens[id]);
    }
}

// The last step; `*last` is the token that the merge before made.
static bool add_merge(XrTokenizer *t, const Merge *m, int32_t rank, int32_t *last, XrError *err) {
    int32_t ids[2];
    const char *bytes = m->bytes.data;
    for (int i = 0; i < 2; bytes += m->lengths[i++]) {
        ids[i] = m->lengths[i] ? find(t, m->hash[i], bytes, m->lengths[i])->id : -1;
        if (ids[i] < 0) {
            const char *part = m->spelling.data + (i ? m->counts[0] : 0);
            return xr_fail(err, XR_ERR_INPUT,
                           "%s: model.merges[%d] joins %s, which is not in model.vocab", t->name,
                           rank, xr_token_quote(part, m->counts[i]).text);
        }
    }
    // A trained vocabulary has its tokens in the order of the merges that make them.
    int32_t merged = *last + 1;
    bool next = merged < t->size && has_bytes(t, merged, m->bytes.data, m->bytes.length) &&
                (t->tokens[merged].flags & XR_TOKEN_FOREIGN) == 0;
    if (!next) merged = xr_tokenizer_vocabulary_id(t, m->bytes.data, m->bytes.length);
    if (merged < 0) return bad_merge(t, rank, "makes a token that is not in model.vocab", err);
    *last = merged;
    xr_bpe_table_add(&t->merges, (XrBpeMerge){ids[0], ids[1], rank, merged});
    return true;
}

// Whether the next item is a line such as "#version: 0.2", which is passed over.
static bool pass_version(XrJsonReader *r) {
    static const char START[] = "\"#version";
    size_t length = sizeof START - 1;
    return xr_json_reader_peek(r) == '"' && (size_t)(r->end - r->at) > length &&
           memcmp(r->at, START, length) == 0 && xr_json_reader_skip(r, NULL);
}

// Merges on their way: the tables are larger than the caches, so that their lines are asked for
// some merges before they are needed.
enum { AHEAD = 16, TOKENS_AHEAD = 6 };

typedef struct Queue {
    Merge merges[AHEAD];
    int32_t read, added, last;
} Queue;

static bool add_first(XrTokenizer *t, Queue *q, XrError *err) {
    const Merge *m = &q->merges[q->added % AHEAD];
    return add_merge(t, m, q->added++, &q->last, err);
}

static bool push(XrTokenizer *t, Queue *q, XrError *err) {
    prepare(t, &q->merges[q->read++ % AHEAD]);
    if (q->read - q->added < AHEAD) return true;
    fetch_tokens(t, &q->merges[(q->added + TOKENS_AHEAD) % AHEAD]);
    return add_first(t, q, err);
}

bool xr_tokenizer_read_merges(XrTokenizer *t, const XrJsonReader *merges, size_t count,
                              XrError *err) {
    XrJsonReader r = *merges;
    xr_bpe_table_create(&t->merges, (int64_t)count);
    Queue q = {.last = -1};
    bool ok = xr_json_reader_enter(&r, '['), formed = true;
    while (ok && formed && xr_json_reader_item(&r)) {
        if (pass_version(&r)) continue;
        formed = read_parts(&r, &q.merges[q.read % AHEAD]);
        if (formed) ok = push(t, &q, err);
    }
    while (ok && q.added < q.read) ok = add_first(t, &q, err);
    if (ok && !formed) ok = bad_merge(t, q.read, "must be \"a b\" or [\"a\", \"b\"]", err);
    for (int i = 0; i < AHEAD; i++) {
        xr_buffer_free(&q.merges[i].spelling);
        xr_buffer_free(&q.merges[i].bytes);
    }
    xr_json_reader_end(&r);
    return ok && !r.failed;
}
