#include "shared/train/lost_rows.h"

#include "shared/base/file.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

bool xr_lost_row_write(XrLineFile *lost, const XrRows *rows, int64_t row, XrLostRow fate,
                       XrError *err) {
    if (!lost->file) return true;
    XrBuffer line = {0};
    xr_buffer_text(&line, "{\"file\": ");
    xr_buffer_json(&line, rows->path, strlen(rows->path));
    xr_buffer_format(&line, ", \"line\": %" PRId64 ", \"row\": %" PRId64 ", \"what\": \"%s\"",
                     rows->line[row], row, fate.what);
    if (fate.tokens >= 0) xr_buffer_format(&line, ", \"tokens\": %" PRId64, fate.tokens);
    if (fate.why) {
        xr_buffer_text(&line, ", \"why\": ");
        xr_buffer_json(&line, fate.why, strlen(fate.why));
    }
    xr_buffer_byte(&line, '}');
    bool ok = xr_line_file_append(lost, line.data, line.length, err);
    xr_buffer_free(&line);
    return ok;
}

bool xr_lost_rows_open(XrLineFile *out, const char *folder, XrError *err) {
    char *path = xr_path_join(folder, "lost_rows.jsonl");
    bool ok = xr_line_file_open(out, path, 0, err);
    free(path);
    return ok;
}

bool xr_lost_row_may_drop(const XrError *err) {
    return err->status != XR_ERR_MEMORY && err->status != XR_ERR_INTERRUPTED;
}
