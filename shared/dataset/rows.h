// The rows of a published data file: JSON Lines, or one JSON array. The file is mapped; a row's
// text is looked at when it is asked for.
#ifndef XR_DATASET_ROWS_H
#define XR_DATASET_ROWS_H

#include "shared/base/file.h"
#include "shared/base/json.h"

typedef struct XrRows {
    XrMapping file;
    char *path;
    uint64_t *begin, *end; // [count] where each row's JSON stands
    int64_t *line;         // [count] the line it starts on, from 1
    int64_t count;
    uint64_t hash; // XXH3 of the whole file: a resumed run refuses a changed one
} XrRows;

// Finds the rows. Empty lines are no rows. A file of a single line that is an array is the array. A
// file that is neither form is an error.
bool xr_rows_open(XrRows *out, const char *path, XrError *err);
void xr_rows_close(XrRows *rows);

// Parses one row; errors name the file and the line.
bool xr_rows_parse(const XrRows *rows, int64_t row, XrJson *out, XrError *err);

#endif
