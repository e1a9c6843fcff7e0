#include "shared/base/json.h"

#include "shared/base/file.h"
#include "shared/base/memory.h"
#include "shared/base/utf8.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

const XrJsonLimits XR_JSON_SMALL = {16u << 20, 64, 1000000};
const XrJsonLimits XR_JSON_LARGE = {512u << 20, 64, 16000000};

// The line with which the name of a row ends ("FILE:LINE", "standard input, line LINE"), or 0; what
// stands before it is `*stem` bytes.
static size_t line_of_row(const char *name, size_t *stem) {
    size_t length = strlen(name), at = length;
    while (at && name[at - 1] >= '0' && name[at - 1] <= '9') at--;
    bool named = at && (name[at - 1] == ':' || (at >= 5 && memcmp(name + at - 5, "line ", 5) == 0));
    *stem = at;
    return named && at < length ? strtoul(name + at, NULL, 10) : 0;
}

bool xr_json_fail(XrError *err, XrStatus status, const char *name, const char *text, size_t at,
                  const char *problem) {
    size_t line = 1, start = 0;
    for (size_t i = 0; i < at; i++) {
        if (text[i] == '\n') {
            line++;
            start = i + 1;
        }
    }
    size_t column = at - start + 1, stem, row = line_of_row(name, &stem);
    if (row) {
        return xr_fail(err, status, "%.*s%zu: column %zu: %s", (int)stem, name, row + line - 1,
                       column, problem);
    }
    return xr_fail(err, status, "%s:%zu:%zu: %s", name, line, column, problem);
}

// One pass over the text before cJSON sees it: depth, number of values, raw NULs, and whether a
// \u0000 escape occurs. Strings are skipped; whether they are well formed is cJSON's business.
static bool scan(const char *name, const char *text, size_t bytes, const XrJsonLimits *limits,
                 bool *has_nul, XrError *err) {
    int depth = 0;
    size_t nodes = 1;
    bool in_string = false;
    *has_nul = false;
    for (size_t i = 0; i < bytes; i++) {
        char c = text[i];
        if (c == '\0') return xr_json_fail(err, XR_ERR_INPUT, name, text, i, "a NUL byte in JSON");
        if (in_string) {
            if (c == '\\' && bytes - i > 5 && memcmp(text + i, "\\u0000", 6) == 0) *has_nul = true;
            if (c == '\\')
                i++;
            else if (c == '"')
                in_string = false;
            continue;
        }
        if (c == '"')
            in_string = true;
        else if (c == '[' || c == '{')
            depth++;
        else if (c == ']' || c == '}')
            depth--;
        nodes += c == ',' || c == '[' || c == '{' || c == ':';
        if (depth > limits->depth) {
            return xr_json_fail(err, XR_ERR_LIMIT, name, text, i, "JSON is nested too deeply");
        }
        if (nodes > limits->nodes) {
            return xr_json_fail(err, XR_ERR_LIMIT, name, text, i, "JSON holds too many values");
        }
    }
    return true;
}

// Finds a private-use character that the text neither holds nor spells in escapes.
static void choose_nul_mark(const char *text, size_t bytes, char mark[5]) {
    for (uint32_t c = 0x10FFFD; c > 0x100000; c--) {
        char escape[13];
        uint32_t v = c - 0x10000;
        snprintf(escape, sizeof escape, "\\u%04x\\u%04x", 0xD800 + (v >> 10), 0xDC00 + (v & 0x3FF));
        mark[xr_utf8_encode(c, mark)] = '\0';
        bool used = memmem(text, bytes, mark, 4) != NULL;
        for (size_t i = 0; !used && i + 12 <= bytes; i++) {
            used = text[i] == '\\' && strncasecmp(text + i, escape, 12) == 0;
        }
        if (!used) return;
    }
    XR_BUG("no private-use character is free");
}

// Copies the text with every \u0000 escape replaced by the mark (4 bytes for 6).
static char *replace_nul(const char *text, size_t *bytes, const char mark[5]) {
    char *copy = xr_malloc(*bytes + 1);
    size_t to = 0;
    for (size_t i = 0; i < *bytes; i++) {
        if (text[i] == '\\' && *bytes - i > 5 && memcmp(text + i, "\\u0000", 6) == 0) {
            memcpy(copy + to, mark, 4);
            to += 4;
            i += 5;
        } else {
            copy[to++] = text[i];
            if (text[i] == '\\' && i + 1 < *bytes) copy[to++] = text[++i];
        }
    }
    copy[to] = '\0';
    *bytes = to;
    return copy;
}

bool xr_json_check_text(const char *name, const char *text, size_t bytes,
                        const XrJsonLimits *limits, XrError *err) {
    if (bytes > limits->bytes) {
        return xr_fail(err, XR_ERR_LIMIT, "%s: %zu bytes of JSON, over the limit of %zu", name,
                       bytes, limits->bytes);
    }
    size_t valid = xr_utf8_valid_prefix(text, bytes);
    return valid == bytes || xr_json_fail(err, XR_ERR_INPUT, name, text, valid, "not valid UTF-8");
}

bool xr_json_parse(XrJson *out, const char *name, const char *text, size_t bytes,
                   const XrJsonLimits *limits, XrError *err) {
    *out = (XrJson){0};
    bool has_nul;
    if (!xr_json_check_text(name, text, bytes, limits, err) ||
        !scan(name, text, bytes, limits, &has_nul, err)) {
        return false;
    }
    char *copy = NULL;
    size_t length = bytes;
    if (has_nul) {
        choose_nul_mark(text, bytes, out->nul_mark);
        copy = replace_nul(text, &length, out->nul_mark);
    }
    const char *source = copy ? copy : text;
    const char *end = NULL;
    // cJSON steps over a byte order mark too, but not in front of a single character.
    size_t mark = xr_utf8_mark(source, length);
    out->root = cJSON_ParseWithLengthOpts(source + mark, length - mark, &end, false);
    size_t at = end && end >= source ? (size_t)(end - source) : 0;
    while (out->root && at < length && strchr(" \t\r\n", source[at])) at++;
    bool ok = out->root && at == length;
    size_t blank = mark;
    while (blank < length && strchr(" \t\r\n", source[blank])) blank++;
    if (blank == length) {
        xr_fail(err, XR_ERR_INPUT, "%s: is empty; JSON is needed here", name);
    } else if (!ok) {
        xr_json_fail(err, XR_ERR_INPUT, name, source, XR_MIN(at, length),
                     out->root ? "more text after the JSON value" : "not valid JSON from here on");
    }
    free(copy);
    if (ok)
        out->name = xr_strdup(name);
    else
        xr_json_free(out);
    return ok;
}

bool xr_json_read_file(XrJson *out, const char *path, const XrJsonLimits *limits, XrError *err) {
    *out = (XrJson){0};
    XrBuffer text = {0};
    bool ok = xr_file_read(path, limits->bytes, &text, err) &&
              xr_json_parse(out, path, text.data, text.length, limits, err);
    xr_buffer_free(&text);
    return ok;
}

void xr_json_free(XrJson *json) {
    cJSON_Delete(json->root);
    free(json->name);
    *json = (XrJson){0};
}

const char *xr_json_string(const XrJson *json, const cJSON *value, XrBuffer *scratch,
                           size_t *bytes) {
    XR_REQUIRE(cJSON_IsString(value), "a JSON string is needed");
    const char *text = value->valuestring;
    *bytes = strlen(text);
    if (!json->nul_mark[0]) return text;
    xr_buffer_clear(scratch);
    for (const char *hit; (hit = strstr(text, json->nul_mark)); text = hit + 4) {
        xr_buffer_append(scratch, text, (size_t)(hit - text));
        xr_buffer_byte(scratch, '\0');
    }
    xr_buffer_text(scratch, text);
    *bytes = scratch->length;
    return scratch->data;
}

static bool wrong_type(const XrJson *json, const char *key, const char *wanted, XrError *err) {
    return xr_fail(err, XR_ERR_INPUT, "%s: \"%s\" must be %s", json->name, key, wanted);
}

// The value of a key; NULL when it is missing or null.
static const cJSON *lookup(const cJSON *object, const char *key) {
    const cJSON *value = cJSON_GetObjectItemCaseSensitive(object, key);
    return cJSON_IsNull(value) ? NULL : value;
}

bool xr_json_whole(const cJSON *value, int64_t *out) {
    if (!cJSON_IsNumber(value)) return false;
    double number = value->valuedouble;
    if (!(fabs(number) <= 9007199254740992.0) || number != floor(number)) return false;
    *out = (int64_t)number;
    return true;
}

bool xr_json_get_int(const XrJson *json, const cJSON *object, const char *key, int64_t *out,
                     XrError *err) {
    const cJSON *value = lookup(object, key);
    if (!value || xr_json_whole(value, out)) return true;
    return wrong_type(json, key, "a whole number", err);
}

bool xr_json_need_int(const XrJson *json, const cJSON *object, const char *key, int64_t *out,
                      XrError *err) {
    if (!lookup(object, key)) {
        return xr_fail(err, XR_ERR_INPUT, "%s: \"%s\" is missing", json->name, key);
    }
    return xr_json_get_int(json, object, key, out, err);
}

bool xr_json_get_double(const XrJson *json, const cJSON *object, const char *key, double *out,
                        XrError *err) {
    const cJSON *value = lookup(object, key);
    if (!value) return true;
    if (!cJSON_IsNumber(value) || !isfinite(value->valuedouble)) {
        return wrong_type(json, key, "a finite number", err);
    }
    *out = value->valuedouble;
    return true;
}

bool xr_json_get_bool(const XrJson *json, const cJSON *object, const char *key, bool *out,
                      XrError *err) {
    const cJSON *value = lookup(object, key);
    if (!value) return true;
    if (!cJSON_IsBool(value)) return wrong_type(json, key, "true or false", err);
    *out = cJSON_IsTrue(value);
    return true;
}

bool xr_json_get_text(const XrJson *json, const cJSON *object, const char *key, const char **out,
                      XrError *err) {
    const cJSON *value = lookup(object, key);
    if (!value) return true;
    if (!cJSON_IsString(value)) return wrong_type(json, key, "a string", err);
    *out = value->valuestring;
    return true;
}
