#include "shared/engine/forced_exit.h"

#include "shared/base/buffer.h"
#include "shared/base/memory.h"
#include "shared/base/utf8.h"
#include "shared/engine/transcript.h"

#include <string.h>

static const char OPENING[] = "<think>";
static const char CLOSING[] = "</think>";
static const char EMPTY_THOUGHT[] = "<think>\n\n</think>";

static bool starts_with(const char *bytes, size_t count, const char *tag) {
    size_t length = strlen(tag);
    return count >= length && memcmp(bytes, tag, length) == 0;
}

// Whether the bytes are a tag that merely ends too early.
static bool may_become(const char *bytes, size_t count, const char *tag) {
    return count < strlen(tag) && memcmp(bytes, tag, count) == 0;
}

void xr_thinking_follow(XrThinking *t, const char *bytes, size_t count) {
    while (t->scanned < count) {
        const char *at = memchr(bytes + t->scanned, '<', count - t->scanned);
        if (!at) {
            t->scanned = count;
            return;
        }
        t->scanned = (size_t)(at - bytes);
        size_t left = count - t->scanned;
        bool opens = starts_with(at, left, OPENING), closes = starts_with(at, left, CLOSING);
        if (opens || closes) {
            t->open = opens;
            t->tagged = true;
        } else if (may_become(at, left, OPENING) || may_become(at, left, CLOSING)) {
            return;
        }
        t->scanned++;
    }
}

// Bytes that make a character of which the text has only the start: the smallest that are valid.
static int missing_bytes(const char *text, size_t count, unsigned char out[3]) {
    for (size_t have = 1; have <= XR_MIN(count, 3); have++) {
        const unsigned char *lead = (const unsigned char *)text + count - have;
        if (*lead < 0xC2 || *lead > 0xF4) continue;
        bool incomplete = false;
        size_t bad = xr_utf8_invalid_length((const char *)lead, have, &incomplete);
        if (xr_utf8_valid_prefix((const char *)lead, have) == have || !incomplete || bad != have) {
            return 0;
        }
        size_t length = *lead < 0xE0 ? 2 : *lead < 0xF0 ? 3 : 4;
        int missing = (int)(length - have);
        memset(out, 0x80, 3);
        if (have == 1 && *lead == 0xE0) out[0] = 0xA0;
        if (have == 1 && *lead == 0xF0) out[0] = 0x90;
        return missing;
    }
    return 0;
}

static bool append_bytes(XrIds *out, const XrTokenizer *tokenizer, const unsigned char *bytes,
                         int count, XrError *err) {
    for (int i = 0; i < count; i++) {
        int32_t id = xr_tokenizer_id(tokenizer, (const char *)&bytes[i], 1);
        if (id < 0) {
            return xr_fail(err, XR_ERR_UNSUPPORTED, "%s: there is no token for the byte 0x%02X",
                           xr_tokenizer_name(tokenizer), bytes[i]);
        }
        xr_ids_append(out, &id, 1);
    }
    return true;
}

// What the injected text says, completed characters apart.
static void compose(XrBuffer *text, const XrExitPlace *p, bool completed) {
    size_t half = completed ? 0 : xr_unfinished(p->raw, p->raw_bytes, CLOSING);
    char last = '\n';
    if (p->raw_bytes)
        last = p->raw[p->raw_bytes - 1];
    else if (p->tail_bytes)
        last = p->tail[p->tail_bytes - 1];
    if (half) {
        xr_buffer_text(text, CLOSING + half);
    } else if (p->raw_bytes == 0 && !p->tail_tagged) {
        xr_buffer_text(text, EMPTY_THOUGHT);
    } else {
        if (last != '\n') xr_buffer_byte(text, '\n');
        xr_buffer_text(text, CLOSING);
    }
    xr_buffer_text(text, p->suffix);
}

bool xr_forced_exit(XrIds *out, XrEncoder *encoder, const XrTokenizer *tokenizer,
                    const XrExitPlace *place, XrError *err) {
    unsigned char missing[3];
    int completed = missing_bytes(place->raw, place->raw_bytes, missing);
    if (!append_bytes(out, tokenizer, missing, completed, err)) return false;
    XrBuffer text = {0};
    compose(&text, place, completed > 0);
    bool ok = xr_encode(encoder, text.data, text.length, XR_ENCODE_CONTROL, out, err);
    xr_buffer_free(&text);
    return ok || xr_fail_in(err, "the text of the forced exit");
}

// Every way in which compose() can begin: the empty thought, each unfinished tag, a new line or
// none; a completed character is always followed by a new line.
bool xr_forced_exit_longest(int64_t *out, XrEncoder *encoder, const XrTokenizer *tokenizer,
                            const char *suffix, XrError *err) {
    enum { CLOSED = sizeof CLOSING - 1, MOST_MISSING = 3 };
    XrIds ids = {0};
    bool ok = true;
    *out = 0;
    for (size_t half = 0; ok && half <= CLOSED + 1; half++) {
        XrExitPlace place = {.tail = "", .suffix = suffix, .raw = CLOSING, .raw_bytes = half};
        if (half >= CLOSED) {
            place.raw = half == CLOSED ? "\n" : "x";
            place.raw_bytes = 1;
        }
        ids.count = 0;
        ok = xr_forced_exit(&ids, encoder, tokenizer, &place, err);
        *out = XR_MAX(*out, (int64_t)ids.count + (half > CLOSED ? MOST_MISSING : 0));
    }
    xr_ids_free(&ids);
    return ok;
}
