#include "shared/text/encoder.h"

#include "shared/base/memory.h"
#include "shared/text/pretokenize.h"
#include "shared/text/tokenizer_internal.h"
#include "shared/text/unicode.h"

#include <stdlib.h>
#include <string.h>

void xr_ids_reserve(XrIds *ids, size_t more) {
    if (ids->capacity - ids->count >= more) return;
    ids->capacity = XR_MAX(ids->count + more, 2 * ids->capacity);
    ids->data = xr_realloc(ids->data, ids->capacity * sizeof *ids->data);
}

void xr_ids_append(XrIds *ids, const int32_t *data, size_t count) {
    if (count == 0) return;
    xr_ids_reserve(ids, count);
    memcpy(ids->data + ids->count, data, count * sizeof *data);
    ids->count += count;
}

void xr_ids_free(XrIds *ids) {
    free(ids->data);
    *ids = (XrIds){0};
}

// ---- the cache: pieces of up to 31 bytes that become up to 7 ids, a processor's cache line each
// ----

enum { CACHE_LINES = 1 << 15, KEY_BYTES = 31, KEY_IDS = 7, KEY_WORDS = 4 };

typedef struct Key {
    uint64_t words[KEY_WORDS]; // the bytes, zeros, and the length in the last byte
} Key;

typedef struct Line {
    Key key;
    int32_t count;
    int32_t ids[KEY_IDS];
} Line;

static inline uint64_t load_word(const char *text) {
    uint64_t word;
    memcpy(&word, text, sizeof word);
    return word;
}

// `readable` bytes may be read at `text`; 1 <= bytes <= KEY_BYTES. Most pieces are one word long.
static inline Key key_of(const char *text, size_t bytes, size_t readable) {
    Key key = {0};
    size_t whole = bytes / 8, rest = bytes % 8;
    if (readable < sizeof key) {
        memcpy(&key, text, bytes);
    } else if (bytes <= 8) {
        key.words[0] = load_word(text) & ~0ull >> (64 - 8 * bytes);
    } else {
        for (size_t i = 0; i < whole; i++) key.words[i] = load_word(text + 8 * i);
        key.words[whole] = load_word(text + 8 * whole) & ((1ull << (8 * rest)) - 1);
    }
    key.words[KEY_WORDS - 1] |= (uint64_t)bytes << 56;
    return key;
}

static bool same_key(const Key *a, const Key *b) {
    return ((a->words[0] ^ b->words[0]) | (a->words[1] ^ b->words[1]) |
            (a->words[2] ^ b->words[2]) | (a->words[3] ^ b->words[3])) == 0;
}

// Where the pair of lines starts that a key may lie in.
static size_t pair_of(const Key *key) {
    uint64_t h = key->words[0] * 0x9E3779B97F4A7C15u ^ key->words[1] * 0xC2B2AE3D27D4EB4Fu ^
                 key->words[2] * 0x165667B19E3779F9u ^ key->words[3] * 0xD6E8FEB86659FD93u;
    return (h ^ h >> 29) * 0x9E3779B97F4A7C15u >> 49 & ~1ull;
}

// ---- pieces, a batch of them at a time ----

enum { BATCH = 512 };

typedef struct Piece {
    const char *text;
    size_t bytes;
    const Line *hit; // NULL: among the batch's misses, in order
    Line *pair;      // the lines that it may lie in; NULL for long pieces
    Key key;
} Piece;

struct XrEncoder {
    const XrTokenizer *tokenizer;
    const uint8_t *classes;
    Line *cache; // pairs of lines: the newer one first
    Piece pieces[BATCH];
    int piece_count, miss_count;
    int64_t offsets[BATCH + 1];
    int32_t counts[BATCH];
    XrIds symbols;
    XrBpeScratch scratch;
    XrBuffer normalized;
};

_Static_assert(sizeof(Line) == 64, "a cache line");

XrEncoder *xr_encoder_create(const XrTokenizer *t) {
    XrEncoder *e = xr_calloc(1, sizeof *e);
    e->tokenizer = t;
    e->classes = xr_unicode_classes();
    e->cache = xr_calloc(CACHE_LINES, sizeof *e->cache);
    return e;
}

void xr_encoder_free(XrEncoder *e) {
    if (!e) return;
    xr_bpe_scratch_free(&e->scratch);
    xr_buffer_free(&e->normalized);
    xr_ids_free(&e->symbols);
    free(e->cache);
    free(e);
}

const XrTokenizer *xr_encoder_tokenizer(const XrEncoder *e) {
    return e->tokenizer;
}

static void remember(const Piece *piece, const int32_t *ids, int32_t count) {
    if (count > KEY_IDS || !piece->pair) return;
    piece->pair[1] = piece->pair[0];
    piece->pair[0].key = piece->key;
    piece->pair[0].count = count;
    memcpy(piece->pair[0].ids, ids, (size_t)count * sizeof *ids);
}

static void add_miss(XrEncoder *e, const char *text, size_t bytes) {
    const XrTokenizer *t = e->tokenizer;
    XrIds *symbols = &e->symbols;
    int32_t whole = t->ignore_merges ? xr_tokenizer_vocabulary_id(t, text, bytes) : -1;
    e->offsets[e->miss_count++] = (int64_t)symbols->count;
    if (whole >= 0) {
        xr_ids_append(symbols, &whole, 1);
    } else {
        xr_ids_reserve(symbols, bytes);
        for (size_t i = 0; i < bytes; i++) {
            symbols->data[symbols->count++] = t->byte_ids[(unsigned char)text[i]];
        }
    }
    e->offsets[e->miss_count] = (int64_t)symbols->count;
}

static void find_pieces(XrEncoder *e) {
    for (int i = 0; i < e->piece_count; i++) {
        Piece *piece = &e->pieces[i];
        piece->hit = NULL;
        if (piece->pair && same_key(&piece->pair[0].key, &piece->key))
            piece->hit = piece->pair;
        else if (piece->pair && same_key(&piece->pair[1].key, &piece->key))
            piece->hit = piece->pair + 1;
        else
            add_miss(e, piece->text, piece->bytes);
    }
}

// Merges the misses and appends the ids of the batch's pieces in order. Hits are read before the
// cache changes.
static void finish_batch(XrEncoder *e, XrIds *out) {
    if (e->piece_count == 0) return;
    find_pieces(e);
    int32_t *symbols = e->symbols.data;
    xr_cpu_bpe_merge(&e->tokenizer->merges, e->miss_count, e->offsets, symbols, e->counts,
                     &e->scratch);
    xr_ids_reserve(out, (size_t)e->piece_count * KEY_IDS + e->symbols.count);
    int32_t *to = out->data + out->count;
    int miss = 0;
    for (int i = 0; i < e->piece_count; i++) {
        const Line *hit = e->pieces[i].hit;
        if (hit) {
            memcpy(to, hit->ids, sizeof hit->ids); // there is room for all
            to += hit->count;
        } else {
            int32_t count = e->counts[miss];
            memcpy(to, symbols + e->offsets[miss++], (size_t)count * sizeof *to);
            to += count;
        }
    }
    out->count = (size_t)(to - out->data);
    miss = 0;
    for (int i = 0; i < e->piece_count && miss < e->miss_count; i++) {
        const Piece *piece = &e->pieces[i];
        if (piece->hit) continue;
        remember(piece, symbols + e->offsets[miss], e->counts[miss]);
        miss++;
    }
    e->piece_count = e->miss_count = 0;
    e->symbols.count = 0;
}

// The cache's memory is asked for early, since most of a batch passes before it is needed.
static void add_piece(XrEncoder *e, const char *text, size_t bytes, size_t readable) {
    Piece *piece = &e->pieces[e->piece_count++];
    piece->text = text;
    piece->bytes = bytes;
    piece->pair = NULL;
    if (bytes <= KEY_BYTES) {
        piece->key = key_of(text, bytes, readable);
        piece->pair = &e->cache[pair_of(&piece->key)];
        __builtin_prefetch(&piece->pair[0]);
        __builtin_prefetch(&piece->pair[1]);
    }
}

// Text in normal form, without added tokens.
static void encode_pieces(XrEncoder *e, const char *text, size_t bytes, XrIds *out) {
    for (size_t at = 0; at < bytes;) {
        size_t end = xr_pretoken_end(e->classes, text, bytes, at);
        add_piece(e, text + at, end - at, bytes - at);
        if (e->piece_count == BATCH) finish_batch(e, out);
        at = end;
    }
    finish_batch(e, out);
}

// ---- from text to pieces: added tokens, normal form, added tokens that are found in that ----

typedef void Stage(XrEncoder *e, const char *text, size_t bytes, XrEncodeMode mode, XrIds *out);

// Gives what lies between the tokens of a list to the next stage.
static void split_added(XrEncoder *e, const XrAddedList *list, const char *text, size_t bytes,
                        XrEncodeMode mode, Stage *next, XrIds *out) {
    size_t from = 0, length = 0;
    for (size_t at = 0; mode == XR_ENCODE_CONTROL && list->count && at < bytes;) {
        int32_t id = list->starts[(unsigned char)text[at]]
                         ? xr_added_match(e->tokenizer, list, text + at, bytes - at, &length)
                         : -1;
        if (id < 0) {
            at++;
            continue;
        }
        next(e, text + from, at - from, mode, out);
        xr_ids_append(out, &id, 1);
        from = at += length;
    }
    next(e, text + from, bytes - from, mode, out);
}

static void encode_plain(XrEncoder *e, const char *text, size_t bytes, XrEncodeMode mode,
                         XrIds *out) {
    encode_pieces(e, text, bytes, out);
}

static void encode_normalized(XrEncoder *e, const char *text, size_t bytes, XrEncodeMode mode,
                              XrIds *out) {
    size_t unstable = bytes;
    if (e->tokenizer->nfc) xr_unicode_scan(text, bytes, &unstable);
    if (unstable < bytes) {
        xr_buffer_clear(&e->normalized);
        xr_unicode_nfc(text, bytes, &e->normalized);
        text = e->normalized.data;
        bytes = e->normalized.length;
    }
    split_added(e, &e->tokenizer->normalized, text, bytes, mode, encode_plain, out);
}

bool xr_encode(XrEncoder *e, const char *text, size_t bytes, XrEncodeMode mode, XrIds *out,
               XrError *err) {
    size_t at;
    if (bytes > XR_MAX_ENCODE_BYTES) {
        return xr_fail(err, XR_ERR_LIMIT, "text of %zu bytes is over the limit of %d for one piece",
                       bytes, XR_MAX_ENCODE_BYTES);
    }
    if (bytes == 0) return true;
    if (!xr_unicode_scan(text, bytes, &at)) {
        return xr_fail(err, XR_ERR_INPUT, "text is not UTF-8 at byte %zu", at);
    }
    split_added(e, &e->tokenizer->verbatim, text, bytes, mode, encode_normalized, out);
    return true;
}
