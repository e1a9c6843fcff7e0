// JSON read from front to back without building anything: for files whose tables are large and go
// straight into tables of the reader's own. Stricter than cJSON (RFC 8259 to the letter, but for a
// byte order mark in front), with the caps and messages of shared/base/json.h.
#ifndef XR_BASE_JSON_READER_H
#define XR_BASE_JSON_READER_H

#include "shared/base/json.h"

// A position in a text. A function that returns false has failed, unless it says otherwise; then
// `failed` is set, the error names line and column, and every further call fails at once.
typedef struct XrJsonReader {
    const char *name, *text; // not copied
    const char *at, *end;
    const XrJsonLimits *limits;
    XrError *err;
    XrBuffer scratch; // of the last string with escapes
    size_t nodes;
    int depth;
    bool failed;
} XrJsonReader;

// Starts in front of the first value. Fails where the text is too long or not UTF-8. Whether it
// succeeds or not: xr_json_reader_end.
bool xr_json_reader_start(XrJsonReader *r, const char *name, const char *text, size_t bytes,
                          const XrJsonLimits *limits, XrError *err);
void xr_json_reader_end(XrJsonReader *r);

// What the next value starts with: '"' '{' '[', '-' or a digit, 't' 'f' 'n'; anything else, NUL at
// the end of the text too, is no value.
char xr_json_reader_peek(XrJsonReader *r);
// Steps into the object or array that comes next; `open` is '{' or '['.
bool xr_json_reader_enter(XrJsonReader *r, char open);
// Goes to the next item of an array, or out of it: false, without an error, behind the last item.
bool xr_json_reader_item(XrJsonReader *r);
// Goes to the next member's value of an object, or out of it, as above. The key's bytes are valid
// until the next string is read.
bool xr_json_reader_member(XrJsonReader *r, const char **key, size_t *bytes);
// A string's bytes, NULs among them, valid until the next string is read.
bool xr_json_reader_string(XrJsonReader *r, const char **text, size_t *bytes);
// A value of any kind that `*number` is set to if it is a whole number of at most 15 digits written
// as such (neither 1.0 nor 1e3); `*whole` says whether.
bool xr_json_reader_whole(XrJsonReader *r, int64_t *number, bool *whole);
// Passes over a value; `*count`, unless NULL, becomes the number of its items or members.
bool xr_json_reader_skip(XrJsonReader *r, size_t *count);
// That nothing comes after the value.
bool xr_json_reader_finish(XrJsonReader *r);

#endif
