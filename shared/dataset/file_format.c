#include "shared/dataset/file_format.h"

#include "shared/base/memory.h"

#include <string.h>

static const XrFormat *of_row(const XrRows *rows, int64_t row, XrError *err) {
    XrJson json;
    if (!xr_rows_parse(rows, row, &json, err)) return NULL;
    const XrFormat *format = xr_format_find("auto", json.root, rows->path, err);
    xr_json_free(&json);
    return format;
}

const XrFormat *xr_file_format(const XrRows *rows, const char *name, int64_t first, int64_t end,
                               bool tolerant, XrError *err) {
    if (strcmp(name, "auto") != 0) return xr_format_find(name, NULL, rows->path, err);
    first = XR_MIN(first, rows->count - 1);
    const XrFormat *format = of_row(rows, first, err);
    XrError later;
    for (int64_t row = first + 1; tolerant && !format && row < end; row++) {
        format = of_row(rows, row, &later);
    }
    return format;
}
