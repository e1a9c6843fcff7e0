#include "shared/cli/verify_input.h"

#include "shared/base/json.h"
#include "shared/base/memory.h"

#include <errno.h>
#include <poll.h>
#include <unistd.h>

enum { READ_BYTES = 1 << 16 };

// ---- lines ----

// Drops what was read, once that is cheap or the buffer is to grow.
static void compact(XrLineSource *source) {
    if (!source->at) return;
    source->pending.length -= source->at;
    memmove(source->pending.data, source->pending.data + source->at, source->pending.length);
    source->scanned -= source->at;
    source->at = 0;
}

// Reads some more. XR_LINE_READ: there is more, or the end was reached.
static XrLineStatus read_more(XrLineSource *source, bool wait) {
    struct pollfd ready = {.fd = source->descriptor, .events = POLLIN};
    if (!wait && poll(&ready, 1, 0) == 0) return XR_LINE_WAIT;
    compact(source);
    xr_buffer_reserve(&source->pending, READ_BYTES + 1);
    ssize_t got;
    do {
        got = read(source->descriptor, source->pending.data + source->pending.length, READ_BYTES);
    } while (got < 0 && errno == EINTR);
    if (got < 0) return XR_LINE_FAILED;
    source->ended = got == 0;
    source->pending.length += (size_t)got;
    return XR_LINE_READ;
}

// Passes over the rest of a line that is longer than allowed.
static XrLineStatus pass_over(XrLineSource *source) {
    for (;;) {
        source->at = source->scanned = source->pending.length;
        if (source->ended) break;
        XrLineStatus status = read_more(source, true);
        if (status != XR_LINE_READ) return status;
        size_t rest = source->pending.length - source->at;
        const char *newline = rest ? memchr(source->pending.data + source->at, '\n', rest) : NULL;
        if (!newline) continue;
        source->at = source->scanned = (size_t)(newline - source->pending.data) + 1;
        break;
    }
    source->number++;
    return XR_LINE_TOO_LONG;
}

static XrLineStatus take(XrLineSource *source, size_t end, size_t next, XrSpan *line) {
    *line = xr_span(source->pending.data + source->at, end - source->at);
    source->at = source->scanned = next;
    source->number++;
    return XR_LINE_READ;
}

XrLineStatus xr_next_line(XrLineSource *source, size_t limit, bool wait, XrSpan *line) {
    for (;;) {
        size_t length = source->pending.length, rest = length - source->scanned;
        const char *newline =
            rest ? memchr(source->pending.data + source->scanned, '\n', rest) : NULL;
        size_t end = newline ? (size_t)(newline - source->pending.data) : length;
        if (newline && end - source->at <= limit) return take(source, end, end + 1, line);
        source->scanned = length;
        if (end - source->at > limit) {
            if (!newline) return pass_over(source);
            source->at = source->scanned = end + 1;
            source->number++;
            return XR_LINE_TOO_LONG;
        }
        if (source->ended) {
            return length > source->at ? take(source, length, length, line) : XR_LINE_END;
        }
        XrLineStatus status = read_more(source, wait);
        if (status != XR_LINE_READ) return status;
    }
}

void xr_line_source_free(XrLineSource *source) {
    xr_buffer_free(&source->pending);
}

// ---- pairs ----

typedef struct Place {
    size_t begin, bytes;
} Place;

// Appends the text of a string, a number or a truth value.
static bool add_text(XrVerifyLine *line, const XrJson *json, const cJSON *value, const char *what,
                     Place *out, XrError *err) {
    XrBuffer scratch = {0};
    out->begin = line->texts.length;
    int64_t whole;
    if (cJSON_IsString(value)) {
        size_t bytes;
        const char *text = xr_json_string(json, value, &scratch, &bytes);
        xr_buffer_append(&line->texts, text, bytes);
    } else if (xr_json_whole(value, &whole)) {
        xr_buffer_format(&line->texts, "%lld", (long long)whole);
    } else if (cJSON_IsNumber(value)) {
        char *text = cJSON_PrintUnformatted(value);
        XR_REQUIRE(text, "no memory for a number's text");
        xr_buffer_text(&line->texts, text);
        cJSON_free(text);
    } else if (cJSON_IsBool(value)) {
        xr_buffer_text(&line->texts, cJSON_IsTrue(value) ? "true" : "false");
    } else if (!cJSON_IsNull(value)) {
        return xr_fail(err, XR_ERR_INPUT, "%s: \"%s\" must be a string or a number", json->name,
                       what);
    }
    xr_buffer_free(&scratch);
    out->bytes = line->texts.length - out->begin;
    return true;
}

// Options as an array of texts, or as an object from letters to texts.
static bool add_options(XrVerifyLine *line, const XrJson *json, const cJSON *options, Place *places,
                        XrError *err) {
    const cJSON *value;
    int count = 0;
    if (!options || cJSON_IsNull(options)) return true;
    if (!cJSON_IsArray(options) && !cJSON_IsObject(options)) {
        return xr_fail(err, XR_ERR_INPUT, "%s: \"options\" must be an array of texts", json->name);
    }
    cJSON_ArrayForEach(value, options) {
        if (count == XR_VERIFY_MOST_OPTIONS) {
            return xr_fail(err, XR_ERR_LIMIT, "%s: \"options\" has more than %d members",
                           json->name, XR_VERIFY_MOST_OPTIONS);
        }
        if (value->string && (value->string[0] != 'A' + count || value->string[1])) {
            return xr_fail(err, XR_ERR_INPUT,
                           "%s: the keys of \"options\" must be A, B, C … in order", json->name);
        }
        if (!add_text(line, json, value, "options", &places[count++], err)) return false;
    }
    line->request.option_count = count;
    return true;
}

static bool read_kind(const XrJson *json, XrVerifyKind *kind, XrError *err) {
    const char *name = NULL;
    if (!xr_json_get_text(json, json->root, "kind", &name, err)) return false;
    if (!name || xr_verify_kind_find(name, kind)) return true;
    return xr_fail(err, XR_ERR_INPUT,
                   "%s: \"kind\" is \"%.32s\"; known are auto, math, choice, text", json->name,
                   name);
}

static XrSpan at_place(const XrVerifyLine *line, Place place) {
    return xr_span(place.bytes ? line->texts.data + place.begin : "", place.bytes);
}

static bool read_fields(XrVerifyLine *line, const XrJson *json, XrError *err) {
    const cJSON *root = json->root;
    if (!cJSON_IsObject(root))
        return xr_fail(err, XR_ERR_INPUT, "%s: an object is needed", json->name);
    const cJSON *gold = cJSON_GetObjectItemCaseSensitive(root, "gold");
    const cJSON *answer = cJSON_GetObjectItemCaseSensitive(root, "answer");
    const cJSON *response = cJSON_GetObjectItemCaseSensitive(root, "response");
    const cJSON *question = cJSON_GetObjectItemCaseSensitive(root, "question");
    const cJSON *options = cJSON_GetObjectItemCaseSensitive(root, "options");
    if (!gold) return xr_fail(err, XR_ERR_INPUT, "%s: \"gold\" is missing", json->name);
    if (!answer == !response) {
        return xr_fail(err, XR_ERR_INPUT, "%s: one of \"answer\" and \"response\" is needed",
                       json->name);
    }
    Place places[3] = {{0, 0}, {0, 0}, {0, 0}}, option_places[XR_VERIFY_MOST_OPTIONS] = {{0, 0}};
    XrVerifyRequest *request = &line->request;
    if (!add_text(line, json, gold, "gold", &places[0], err) ||
        !add_text(line, json, answer ? answer : response, answer ? "answer" : "response",
                  &places[1], err) ||
        (question && !add_text(line, json, question, "question", &places[2], err)) ||
        !add_options(line, json, options, option_places, err) ||
        !read_kind(json, &request->kind, err))
        return false;
    request->gold = at_place(line, places[0]);
    request->answer = at_place(line, places[1]);
    request->question = at_place(line, places[2]);
    request->is_response = response != NULL;
    for (int i = 0; i < request->option_count; i++) {
        line->options[i] = at_place(line, option_places[i]);
    }
    request->options = line->options;
    return true;
}

bool xr_verify_line_parse(XrVerifyLine *line, const char *name, XrSpan text, XrVerifyKind kind,
                          XrError *err) {
    XrJson json;
    xr_buffer_clear(&line->texts);
    line->request = (XrVerifyRequest){.kind = kind};
    if (!xr_json_parse(&json, name, text.data, text.bytes, &XR_JSON_LARGE, err)) return false;
    bool ok = read_fields(line, &json, err);
    xr_json_free(&json);
    return ok;
}

void xr_verify_line_free(XrVerifyLine *line) {
    xr_buffer_free(&line->texts);
}
