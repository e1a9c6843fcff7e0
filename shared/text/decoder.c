#include "shared/text/decoder.h"

#include "shared/base/utf8.h"

#include <string.h>

static const char REPLACEMENT[] = "\xEF\xBF\xBD"; // U+FFFD

XrDecodeStream xr_decode_stream(const XrTokenizer *t, bool skip_special) {
    return (XrDecodeStream){.tokenizer = t, .skip_special = skip_special};
}

// Completes the character that is held with bytes of `text`; returns how many of them it took.
static size_t complete(XrDecodeStream *stream, const char *text, size_t bytes, XrBuffer *out) {
    uint32_t c;
    bool incomplete;
    size_t taken = 0;
    while (stream->held_bytes && taken < bytes) {
        stream->held[stream->held_bytes] = text[taken];
        size_t count = (size_t)stream->held_bytes + 1;
        if (xr_utf8_decode(stream->held, count, &c)) {
            xr_buffer_append(out, stream->held, count);
            stream->held_bytes = 0;
            return taken + 1;
        }
        xr_utf8_invalid_length(stream->held, count, &incomplete);
        if (!incomplete) { // the byte belongs to what follows
            xr_decode_stream_end(stream, out);
            return taken;
        }
        stream->held_bytes++;
        taken++;
    }
    return taken;
}

static void append(XrDecodeStream *stream, const char *text, size_t bytes, XrBuffer *out) {
    size_t at = complete(stream, text, bytes, out);
    while (at < bytes) {
        size_t valid = xr_utf8_valid_prefix(text + at, bytes - at);
        xr_buffer_append(out, text + at, valid);
        at += valid;
        if (at == bytes) return;
        bool incomplete;
        size_t wrong = xr_utf8_invalid_length(text + at, bytes - at, &incomplete);
        if (incomplete) {
            memcpy(stream->held, text + at, wrong);
            stream->held_bytes = (int)wrong;
        } else {
            xr_buffer_text(out, REPLACEMENT);
        }
        at += wrong;
    }
}

bool xr_decode_stream_push(XrDecodeStream *stream, int32_t id, XrBuffer *out, XrError *err) {
    size_t bytes;
    const char *text = xr_tokenizer_bytes(stream->tokenizer, id, &bytes);
    if (!text) {
        return xr_fail(err, XR_ERR_INPUT, "%d is not the id of a token of %s", id,
                       xr_tokenizer_name(stream->tokenizer));
    }
    if (stream->skip_special && xr_tokenizer_is_special(stream->tokenizer, id)) return true;
    append(stream, text, bytes, out);
    return true;
}

void xr_decode_stream_end(XrDecodeStream *stream, XrBuffer *out) {
    if (stream->held_bytes) xr_buffer_text(out, REPLACEMENT);
    stream->held_bytes = 0;
}

bool xr_decode(const XrTokenizer *t, const int32_t *ids, size_t count, bool skip_special,
               XrBuffer *out, XrError *err) {
    XrDecodeStream stream = xr_decode_stream(t, skip_special);
    for (size_t i = 0; i < count; i++) {
        if (!xr_decode_stream_push(&stream, ids[i], out, err)) {
            return xr_fail_in(err, "token %zu", i);
        }
    }
    xr_decode_stream_end(&stream, out);
    return true;
}
