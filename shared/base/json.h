// JSON on top of cJSON, with what a program that reads other people's files needs besides: caps on
// size, depth and number of values before anything is built; errors that name file, line and
// column; typed getters that name the key; and strings that may hold NUL, which cJSON alone cuts
// short.
#ifndef XR_BASE_JSON_H
#define XR_BASE_JSON_H

#include "shared/base/buffer.h"
#include "shared/base/error.h"

#include <cjson/cJSON.h> // defines: cJSON, cJSON_GetObjectItemCaseSensitive, cJSON_ArrayForEach
#include <stddef.h>
#include <stdint.h>

typedef struct XrJsonLimits {
    size_t bytes; // of text
    int depth;    // of nesting
    size_t nodes; // values of any kind
} XrJsonLimits;

// 16 MiB, 64 levels, 1 million values: configurations and request files.
extern const XrJsonLimits XR_JSON_SMALL;
// 512 MiB, 64 levels, 16 million values: tokenizers, indexes, datasets.
extern const XrJsonLimits XR_JSON_LARGE;

typedef struct XrJson {
    cJSON *root;
    char *name;       // what error messages call the document
    char nul_mark[5]; // stands for U+0000 inside strings of `root`; empty when there is none
} XrJson;

// Parses `bytes` bytes of text, all of which must be one JSON value in valid UTF-8 (a byte order
// mark in front is skipped). `name` is copied; one that ends with the line of a larger file on which
// the text begins ("FILE:LINE", "..., line LINE") is counted on from. On failure `*out` is empty.
bool xr_json_parse(XrJson *out, const char *name, const char *text, size_t bytes,
                   const XrJsonLimits *limits, XrError *err);
bool xr_json_read_file(XrJson *out, const char *path, const XrJsonLimits *limits, XrError *err);
void xr_json_free(XrJson *json);

// The bytes of a string value, NULs included. `scratch` holds them when the document has NULs;
// otherwise they are cJSON's own. Valid until the document or the scratch goes or changes.
const char *xr_json_string(const XrJson *json, const cJSON *value, XrBuffer *scratch,
                           size_t *bytes);

// Getters. Each returns false with an error when the key has the wrong type or an impossible value.
// A missing key, or null, leaves `*out` as it was, and is an error only for the `need` forms.
bool xr_json_get_int(const XrJson *json, const cJSON *object, const char *key, int64_t *out,
                     XrError *err);
bool xr_json_need_int(const XrJson *json, const cJSON *object, const char *key, int64_t *out,
                      XrError *err);
bool xr_json_get_double(const XrJson *json, const cJSON *object, const char *key, double *out,
                        XrError *err);
bool xr_json_get_bool(const XrJson *json, const cJSON *object, const char *key, bool *out,
                      XrError *err);
// The string stays cJSON's.
bool xr_json_get_text(const XrJson *json, const cJSON *object, const char *key, const char **out,
                      XrError *err);
// What every JSON text must be before it is read: within the limit of bytes, and UTF-8.
bool xr_json_check_text(const char *name, const char *text, size_t bytes,
                        const XrJsonLimits *limits, XrError *err);
// An error that names the line and column of text[at]; returns false.
bool xr_json_fail(XrError *err, XrStatus status, const char *name, const char *text, size_t at,
                  const char *problem);
// Whether `value` is a number that is a whole number of at most 2^53 in size; stores it.
bool xr_json_whole(const cJSON *value, int64_t *out);

#endif
