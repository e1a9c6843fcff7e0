// The rows of a benchmark's data files, whatever the form in which they are published: JSON Lines,
// a JSON array, a JSON object whose keys are ids, CSV or TSV with a line of names; one file or
// several.
#ifndef XR_EVAL_SOURCE_H
#define XR_EVAL_SOURCE_H

#include "shared/base/json.h"

typedef struct XrSource XrSource;

// One row. `root` holds the row's values; of CSV all are texts, and an empty one is null.
typedef struct XrSourceRow {
    const XrJson *json; // the document that holds it
    const cJSON *root;
    const char *key; // of an object by id: the row's key; else NULL
    XrJson own;      // the document, where it is the row's alone
} XrSourceRow;

// Opens a file, or in a folder the files that `patterns` names: alternatives between ";", each a
// path or a glob pattern within the folder; the first that matches anything gives the files, in the
// order of their names.
bool xr_source_open(XrSource **out, const char *path, const char *patterns, XrError *err);
void xr_source_close(XrSource *source);
int64_t xr_source_count(const XrSource *source);
// XXH3 of all files' bytes.
uint64_t xr_source_hash(const XrSource *source);

// "FILE:LINE", or "FILE: KEY", of a row, and the folder of its file. `place` is replaced.
void xr_source_place(const XrSource *source, int64_t row, XrBuffer *place);
const char *xr_source_folder(const XrSource *source, int64_t row);

// Parses a row; free it with xr_source_row_free. Errors name the file and the line.
bool xr_source_row(const XrSource *source, int64_t row, XrSourceRow *out, XrError *err);
void xr_source_row_free(XrSourceRow *row);

#endif
