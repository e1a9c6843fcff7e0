// Fuzzes the tokenizer: input that starts with '{' is loaded as a tokenizer.json; other input is
// text (or, after a byte 1, ids) for a small tokenizer that the target carries. The first run of
// the regular tests' files is in tests/fuzz/corpus/tokenizer.
#include "shared/base/error.h"
#include "shared/base/memory.h"
#include "shared/base/utf8.h"
#include "shared/text/decoder.h"
#include "shared/text/encoder.h"
#include "shared/text/pretokenize.h"

#include <stdlib.h>
#include <string.h>

// A tokenizer.json of the bytes, a few merges and a few added tokens.
static void write_byte(XrBuffer *out, int byte, int *next) {
    char character[5] = {0};
    bool prints = (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte != 0xAD);
    xr_utf8_encode(prints ? (uint32_t)byte : (uint32_t)(*next)++, character);
    xr_buffer_json(out, character, strlen(character));
    xr_buffer_format(out, ":%d,", byte);
}

static XrTokenizer *make_tokenizer(void) {
    XrBuffer json = {0};
    XrError err;
    xr_buffer_text(&json,
                   "{\"added_tokens\":[{\"id\":300,\"content\":\"<|x|>\"},{\"id\":301,"
                   "\"content\":\"<|\"},{\"id\":302,\"content\":\"\u00e9e\",\"normalized\":true}],"
                   "\"normalizer\":{\"type\":\"NFC\"},\"pre_tokenizer\":{\"type\":\"Sequence\","
                   "\"pretokenizers\":[{\"type\":\"Split\",\"pattern\":{\"Regex\":");
    xr_buffer_json(&json, XR_PRETOKEN_REGEX, strlen(XR_PRETOKEN_REGEX));
    xr_buffer_text(&json, "},\"behavior\":\"Isolated\",\"invert\":false},{\"type\":\"ByteLevel\","
                          "\"add_prefix_space\":false,\"use_regex\":false}]},\"decoder\":{\"type\":"
                          "\"ByteLevel\"},\"model\":{\"vocab\":{");
    int next = 0x100;
    for (int byte = 0; byte < 256; byte++) write_byte(&json, byte, &next);
    xr_buffer_text(&json,
                   "\"aa\":256,\"ab\":257,\"aaaa\":258,\"\u0120a\":259,\"aab\":260},\"merges\":["
                   "[\"a\",\"b\"],[\"a\",\"a\"],[\"aa\",\"aa\"],\"aa b\",[\"a\",\"ab\"],"
                   "[\"\u0120\",\"a\"]]}}");
    XrTokenizer *t = xr_tokenizer_parse("fuzz", json.data, json.length, &err);
    XR_REQUIRE(t, "the fuzz target's tokenizer: %s", err.message);
    xr_buffer_free(&json);
    return t;
}

// What is encoded decodes to valid text, and encodes to the same again.
static void fuzz_text(const XrTokenizer *t, XrEncoder *encoder, const char *text, size_t bytes) {
    for (int mode = 0; mode < 2; mode++) {
        XrIds ids = {0}, again = {0};
        XrBuffer out = {0};
        XrError err;
        if (xr_encode(encoder, text, bytes, (XrEncodeMode)mode, &ids, &err)) {
            XR_REQUIRE(xr_decode(t, ids.data, ids.count, false, &out, &err), "%s", err.message);
            XR_REQUIRE(xr_encode(encoder, out.data, out.length, XR_ENCODE_TEXT, &again, &err), "%s",
                       err.message);
            XR_REQUIRE(mode == XR_ENCODE_CONTROL ||
                           (ids.count == again.count &&
                            (ids.count == 0 ||
                             !memcmp(ids.data, again.data, ids.count * sizeof *ids.data))),
                       "text encodes otherwise the second time");
        }
        xr_ids_free(&ids);
        xr_ids_free(&again);
        xr_buffer_free(&out);
    }
}

// Any ids stream as they decode whole.
static void fuzz_ids(const XrTokenizer *t, const uint8_t *data, size_t size) {
    XrBuffer whole = {0}, streamed = {0};
    XrError err;
    int32_t *ids = xr_calloc(size + 1, sizeof *ids);
    for (size_t i = 0; i < size; i++) ids[i] = data[i];
    XrDecodeStream stream = xr_decode_stream(t, true);
    for (size_t i = 0; i < size; i++) {
        XR_REQUIRE(xr_decode_stream_push(&stream, ids[i], &streamed, &err), "%s", err.message);
    }
    xr_decode_stream_end(&stream, &streamed);
    XR_REQUIRE(xr_decode(t, ids, size, true, &whole, &err), "%s", err.message);
    XR_REQUIRE(whole.length == streamed.length &&
                   (!whole.length || !memcmp(whole.data, streamed.data, whole.length)) &&
                   xr_utf8_valid_prefix(whole.data, whole.length) == whole.length,
               "a stream decodes otherwise");
    xr_buffer_free(&whole);
    xr_buffer_free(&streamed);
    free(ids);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static XrTokenizer *tokenizer;
    static XrEncoder *encoder;
    if (!tokenizer) {
        tokenizer = make_tokenizer();
        encoder = xr_encoder_create(tokenizer);
    }
    const char *text = (const char *)data;
    if (size && data[0] == '{') {
        XrError err;
        XrTokenizer *t = xr_tokenizer_parse("fuzz", text, size, &err);
        if (t) {
            XrEncoder *other = xr_encoder_create(t);
            fuzz_text(t, other, text, size);
            xr_encoder_free(other);
        }
        xr_tokenizer_free(t);
    } else if (size && data[0] == 1) {
        fuzz_ids(tokenizer, data + 1, size - 1);
    } else {
        fuzz_text(tokenizer, encoder, text, size);
    }
    return 0;
}
