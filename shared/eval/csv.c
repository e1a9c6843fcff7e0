#include "shared/eval/csv.h"

#include "shared/base/memory.h"
#include "shared/base/utf8.h"

#include <stdlib.h>
#include <string.h>

// Where the record that starts at `at` ends: at a line end outside quotes.
static size_t record_end(const XrCsv *csv, size_t at) {
    const char *text = (const char *)csv->file.data;
    bool quoted = false;
    for (; at < csv->file.bytes; at++) {
        if (text[at] == '"') quoted = !quoted;
        if (text[at] == '\n' && !quoted) break;
    }
    return at;
}

static void add_record(XrCsv *csv, size_t begin, size_t end, int64_t line) {
    if ((csv->count & (csv->count - 1)) == 0) { // full: the room doubles at each power of two
        size_t room = csv->count ? 2 * (size_t)csv->count : 1;
        csv->begin = xr_realloc(csv->begin, room * sizeof *csv->begin);
        csv->end = xr_realloc(csv->end, room * sizeof *csv->end);
        csv->line = xr_realloc(csv->line, room * sizeof *csv->line);
    }
    csv->begin[csv->count] = begin;
    csv->end[csv->count] = end;
    csv->line[csv->count++] = line;
}

// Reads the cell at *at and moves past its separator; *last says whether the record ends with it.
static bool next_cell(const XrCsv *csv, size_t *at, size_t end, XrBuffer *cell, bool *last) {
    const char *text = (const char *)csv->file.data;
    size_t i = *at;
    xr_buffer_clear(cell);
    xr_buffer_text(cell, "");
    if (i < end && text[i] == '"') {
        for (i++; i < end; i++) {
            if (text[i] == '"' && (i + 1 == end || text[i + 1] != '"')) break;
            if (text[i] == '"') i++;
            xr_buffer_byte(cell, text[i]);
        }
        if (i >= end) return false; // never closed
        i++;
    }
    while (i < end && text[i] != csv->separator) xr_buffer_byte(cell, text[i++]);
    *last = i >= end;
    *at = i + 1;
    return true;
}

static bool read_names(XrCsv *csv, size_t begin, size_t end, XrError *err) {
    XrBuffer cell = {0};
    bool last = false, ok = true;
    while (!last && ok) {
        ok = next_cell(csv, &begin, end, &cell, &last);
        if (!ok) break;
        size_t count = (size_t)csv->name_count;
        csv->names = xr_realloc(csv->names, (count + 1) * sizeof *csv->names);
        csv->names[csv->name_count++] = xr_strdup(cell.data);
    }
    xr_buffer_free(&cell);
    return ok || xr_fail(err, XR_ERR_INPUT, "%s:1: a quote never closes", csv->path);
}

bool xr_csv_open(XrCsv *out, const char *path, char separator, XrError *err) {
    *out = (XrCsv){.separator = separator};
    if (!xr_file_map(path, &out->file, err)) return false;
    out->path = xr_strdup(path);
    const char *text = (const char *)out->file.data;
    size_t bytes = out->file.bytes, at = xr_utf8_mark(text, bytes);
    int64_t line = 1;
    bool named = false, ok = true;
    while (at < bytes && ok) {
        size_t end = record_end(out, at), stop = end;
        if (stop > at && text[stop - 1] == '\r') stop--;
        if (stop > at && !named) {
            ok = read_names(out, at, stop, err);
            named = true;
        } else if (stop > at) {
            add_record(out, at, stop, line);
        }
        for (size_t i = at; i < end; i++) line += text[i] == '\n';
        line++;
        at = end + 1;
    }
    if (ok && !out->count) ok = xr_fail(err, XR_ERR_INPUT, "%s: the file holds no rows", path);
    if (!ok) xr_csv_close(out);
    return ok;
}

void xr_csv_close(XrCsv *csv) {
    xr_file_unmap(&csv->file);
    for (int i = 0; i < csv->name_count; i++) free(csv->names[i]);
    free(csv->names);
    free(csv->path);
    free(csv->begin);
    free(csv->end);
    free(csv->line);
    *csv = (XrCsv){0};
}

bool xr_csv_row(const XrCsv *csv, int64_t row, XrJson *out, XrError *err) {
    XrBuffer cell = {0}, name = {0};
    size_t at = csv->begin[row], end = csv->end[row];
    int cells = 0;
    bool last = false, ok = true;
    xr_buffer_format(&name, "%s:%lld", csv->path, (long long)csv->line[row]);
    *out = (XrJson){.root = cJSON_CreateObject(), .name = name.data};
    XR_REQUIRE(out->root, "out of memory");
    while (!last && ok) {
        ok = next_cell(csv, &at, end, &cell, &last);
        if (!ok) {
            xr_fail(err, XR_ERR_INPUT, "%s: a quote never closes", name.data);
        } else if (xr_utf8_valid_prefix(cell.data, cell.length) != cell.length ||
                   memchr(cell.data, 0, cell.length)) {
            ok = xr_fail(err, XR_ERR_INPUT, "%s: a cell is not UTF-8 text", name.data);
        } else if (cells < csv->name_count && cell.length) {
            cJSON_AddStringToObject(out->root, csv->names[cells], cell.data);
        } else if (cells < csv->name_count) {
            cJSON_AddNullToObject(out->root, csv->names[cells]);
        }
        cells++;
    }
    if (ok && cells != csv->name_count) {
        ok = xr_fail(err, XR_ERR_INPUT, "%s: %d cells under %d names", name.data, cells,
                     csv->name_count);
    }
    if (!ok) xr_json_free(out);
    xr_buffer_free(&cell);
    return ok;
}
