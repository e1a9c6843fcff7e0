#include "shared/engine/transcript.h"

#include "shared/base/memory.h"
#include "shared/base/utf8.h"

#include <stdint.h>
#include <string.h>

size_t xr_unfinished(const char *bytes, size_t count, const char *whole) {
    size_t length = strlen(whole);
    for (size_t n = length ? XR_MIN(length - 1, count) : 0; n > 0; n--) {
        if (memcmp(bytes + count - n, whole, n) == 0) return n;
    }
    return 0;
}

int xr_transcript_stop(XrTranscript *t, XrStopStrings stops, size_t from) {
    int found = -1;
    size_t first = SIZE_MAX;
    for (int i = 0; i < stops.count; i++) {
        size_t length = strlen(stops.strings[i]);
        size_t begin = from + 1 > length ? from + 1 - length : 0;
        if (begin >= t->raw.length) continue;
        const char *at =
            memmem(t->raw.data + begin, t->raw.length - begin, stops.strings[i], length);
        if (at && (size_t)(at - t->raw.data) < first) {
            first = (size_t)(at - t->raw.data);
            found = i;
        }
    }
    if (found >= 0) {
        XR_REQUIRE(first >= t->shown, "a stop string starts at byte %zu, but %zu were shown", first,
                   t->shown);
        t->raw.length = first;
        t->raw.data[first] = '\0';
    }
    return found;
}

size_t xr_transcript_show(XrTranscript *t, XrStopStrings stops, bool final) {
    size_t before = t->text.length, held = 0;
    for (int i = 0; i < stops.count && !final; i++) {
        held = XR_MAX(held, xr_unfinished(t->raw.data, t->raw.length, stops.strings[i]));
    }
    size_t end = t->raw.length - held;
    while (t->shown < end) {
        const char *at = t->raw.data + t->shown;
        size_t valid = xr_utf8_valid_prefix(at, end - t->shown);
        xr_buffer_append(&t->text, at, valid);
        t->shown += valid;
        if (t->shown == end) break;
        bool incomplete;
        size_t bad = xr_utf8_invalid_length(at + valid, end - t->shown, &incomplete);
        if (incomplete && !final) break;
        xr_buffer_text(&t->text, "\xEF\xBF\xBD");
        t->shown += bad;
    }
    return before;
}

void xr_transcript_free(XrTranscript *t) {
    xr_buffer_free(&t->raw);
    xr_buffer_free(&t->text);
    *t = (XrTranscript){0};
}
