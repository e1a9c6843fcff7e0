// Tables of text as RFC 4180 has them: cells between commas (or tabs), quoted where they hold the
// separator, quotes (doubled) or line ends. The first record names the columns.
#ifndef XR_EVAL_CSV_H
#define XR_EVAL_CSV_H

#include "shared/base/file.h"
#include "shared/base/json.h"

typedef struct XrCsv {
    XrMapping file;
    char *path;
    char separator;
    char **names; // [name_count]
    int name_count;
    size_t *begin, *end; // [count] where each record after the first stands
    int64_t *line;       // [count] from 1
    int64_t count;
} XrCsv;

// `separator` is ',' or '\t'. Empty lines are no records.
bool xr_csv_open(XrCsv *out, const char *path, char separator, XrError *err);
void xr_csv_close(XrCsv *csv);

// A record as an object of texts; an empty cell is null. A record with too few or too many cells,
// or with a quote that never closes, is an error that names the line.
bool xr_csv_row(const XrCsv *csv, int64_t row, XrJson *out, XrError *err);

#endif
