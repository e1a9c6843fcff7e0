// What a loaded tokenizer holds.
#ifndef XR_TEXT_TOKENIZER_INTERNAL_H
#define XR_TEXT_TOKENIZER_INTERNAL_H

#include "ref/bpe.h"
#include "shared/base/buffer.h"
#include "shared/base/json_reader.h"
#include "shared/text/tokenizer.h"

enum {
    XR_TOKEN_USED = 1,
    XR_TOKEN_ADDED = 2,
    XR_TOKEN_SPECIAL = 4,
    XR_TOKEN_FOREIGN = 8, // spelt with characters outside the byte alphabet: never merged into
};

// Caps on what a file may ask for.
enum { XR_MAX_TOKEN_ID = (1 << 22) - 1, XR_MAX_ADDED_BYTES = 1024 };

typedef struct XrToken {
    uint32_t at, length; // in XrTokenizer.bytes
    uint32_t flags;
} XrToken;

typedef struct XrAddedToken {
    uint32_t at, length; // of the text to be found, in XrTokenizer.bytes
    int32_t id;
} XrAddedToken;

// Added tokens in order of their bytes.
typedef struct XrAddedList {
    XrAddedToken *items;
    int32_t count;
    bool starts[256]; // whether some token starts with this byte
} XrAddedList;

// A token of the vocabulary by the hash of its bytes: id -1 in a free slot.
typedef struct XrIndexSlot {
    int32_t id;
    uint32_t tag; // the upper half of the hash, whose lower half chooses the slot
} XrIndexSlot;

struct XrTokenizer {
    char *name;
    XrToken *tokens; // [size]
    int32_t size, capacity;
    XrBuffer bytes;
    XrIndexSlot *index; // [index_mask + 1], open addressing with linear probing
    uint32_t index_mask;
    int32_t byte_ids[256];
    XrBpeTable merges;
    bool nfc, ignore_merges;
    XrAddedList verbatim;   // found in the text as it comes
    XrAddedList normalized; // found in normalised text ("normalized": true)
    int32_t eos, pad;
};

// The id of the vocabulary's token with these bytes, added tokens apart, or -1.
int32_t xr_tokenizer_vocabulary_id(const XrTokenizer *t, const char *bytes, size_t count);

// The longest of the list's tokens that text[0..bytes) starts with: its id and length, or -1.
int32_t xr_added_match(const XrTokenizer *t, const XrAddedList *list, const char *text,
                       size_t bytes, size_t *length);

// Checks every part of a tokenizer.json but the model's tables and the added tokens: whether the
// steps are those that this program implements. Sets t->nfc and t->ignore_merges.
bool xr_tokenizer_check_pipeline(XrTokenizer *t, const XrJson *json, XrError *err);
// Read model.vocab and model.merges, of `count` entries, each from a reader that stands in front of
// it (in a text that was passed over once without an error, since the position's error is lost),
// and added_tokens.
bool xr_tokenizer_read_vocabulary(XrTokenizer *t, const XrJsonReader *vocab, size_t count,
                                  XrError *err);
bool xr_tokenizer_read_merges(XrTokenizer *t, const XrJsonReader *merges, size_t count,
                              XrError *err);
bool xr_tokenizer_read_added(XrTokenizer *t, const XrJson *json, XrError *err);

// A start of a token's text, quoted as JSON, for messages.
typedef struct XrQuoted {
    char text[256];
} XrQuoted;

XrQuoted xr_token_quote(const char *text, size_t bytes);
// Whether a number can be a token's id; stores it.
bool xr_tokenizer_check_id(const XrTokenizer *t, int64_t number, const char *text, size_t bytes,
                           int32_t *id, XrError *err);
// The entry of an id, for which room is made.
XrToken *xr_tokenizer_reach(XrTokenizer *t, int32_t id);

// The bytes that a spelling in the byte alphabet stands for, appended to `out`; false, with nothing
// appended, where a character is outside it.
bool xr_byte_alphabet_decode(const char *text, size_t bytes, XrBuffer *out);

#endif
