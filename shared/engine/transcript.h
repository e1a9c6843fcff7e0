// What a sample has said: the bytes of its tokens, of which whole characters are shown as soon as
// no stop string can still take them back.
#ifndef XR_ENGINE_TRANSCRIPT_H
#define XR_ENGINE_TRANSCRIPT_H

#include "shared/base/buffer.h"

#include <stdbool.h>

typedef struct XrTranscript {
    XrBuffer raw;  // bytes of all tokens, special ones left out
    XrBuffer text; // UTF-8: raw[0..shown), each maximal invalid part as one U+FFFD
    size_t shown;
} XrTranscript;

// A list of strings, none of them empty.
typedef struct XrStopStrings {
    const char *const *strings;
    int count;
} XrStopStrings;

// Looks for stop strings whose last byte is at `from` or later. The one that starts first (of
// those, the first in the list) is returned, and the transcript is cut in front of it; -1 when
// there is none.
int xr_transcript_stop(XrTranscript *t, XrStopStrings stops, size_t from);

// Appends to `text` what can be shown; with `final`, everything, an unfinished character as U+FFFD.
// Returns the length of `text` before.
size_t xr_transcript_show(XrTranscript *t, XrStopStrings stops, bool final);

void xr_transcript_free(XrTranscript *t);

// The length of the longest proper prefix of `whole` that `bytes` end with.
size_t xr_unfinished(const char *bytes, size_t count, const char *whole);

#endif
