// Token ids to text. Ids decode to bytes; bytes that are not UTF-8 become U+FFFD, one for each
// maximal part of a character, as in tokenizers.
#ifndef XR_TEXT_DECODER_H
#define XR_TEXT_DECODER_H

#include "shared/base/buffer.h"
#include "shared/text/tokenizer.h"

// Appends the text of ids[0..count) to `out`. `skip_special` leaves special tokens out. An id that
// is not in use is an error that names its place.
bool xr_decode(const XrTokenizer *t, const int32_t *ids, size_t count, bool skip_special,
               XrBuffer *out, XrError *err);

// The same, id by id: whole characters come out as soon as their last byte has been seen. All of
// the output together is that of xr_decode.
typedef struct XrDecodeStream {
    const XrTokenizer *tokenizer;
    bool skip_special;
    char held[4]; // the start of a character
    int held_bytes;
} XrDecodeStream;

XrDecodeStream xr_decode_stream(const XrTokenizer *t, bool skip_special);
// Appends to `out` what the id completes.
bool xr_decode_stream_push(XrDecodeStream *stream, int32_t id, XrBuffer *out, XrError *err);
// Appends U+FFFD if the text ends inside a character, and makes the stream as new.
void xr_decode_stream_end(XrDecodeStream *stream, XrBuffer *out);

#endif
