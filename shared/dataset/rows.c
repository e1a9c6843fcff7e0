#include "shared/dataset/rows.h"

#include "shared/base/memory.h"
#include "shared/base/utf8.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

enum { MOST_ROW_BYTES = 64 << 20 };

static void add_row(XrRows *r, uint64_t begin, uint64_t end, int64_t line) {
    if ((r->count & (r->count - 1)) == 0) { // full: the room doubles at each power of two
        size_t room = r->count ? 2 * (size_t)r->count : 1;
        r->begin = xr_realloc(r->begin, room * sizeof *r->begin);
        r->end = xr_realloc(r->end, room * sizeof *r->end);
        r->line = xr_realloc(r->line, room * sizeof *r->line);
    }
    r->begin[r->count] = begin;
    r->end[r->count] = end;
    r->line[r->count++] = line;
}

static bool is_space(unsigned char c) {
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static void find_lines(XrRows *r) {
    const char *text = (const char *)r->file.data;
    size_t bytes = r->file.bytes;
    int64_t line = 1;
    for (size_t at = 0; at < bytes; line++) {
        const char *newline = memchr(text + at, '\n', bytes - at);
        size_t end = newline ? (size_t)(newline - text) : bytes, first = at;
        while (first < end && is_space((unsigned char)text[first])) first++;
        if (first < end) add_row(r, at, end, line);
        at = end + 1;
    }
}

static bool unbalanced(const XrRows *r, int64_t line, XrError *err) {
    return xr_fail(err, XR_ERR_INPUT, "%s:%lld: the JSON array is not well formed here", r->path,
                   (long long)line);
}

// The elements of the array that starts at `at`: what stands between commas on its own level.
static bool find_elements(XrRows *r, size_t at, XrError *err) {
    const char *text = (const char *)r->file.data;
    int64_t line = 1, first_line = 0, depth = 0;
    size_t first = 0;
    bool in_string = false, closed = false, any = false;
    for (size_t k = 0; k < at; k++) line += text[k] == '\n';
    size_t i = at;
    for (; i < r->file.bytes && !closed; i++) {
        char c = text[i];
        line += c == '\n';
        if (in_string) {
            if (c == '\\')
                i++;
            else if (c == '"')
                in_string = false;
            continue;
        }
        bool ends = depth == 1 && (c == ',' || c == ']');
        if (ends && any) add_row(r, first, i, first_line);
        if (ends && !any && (c == ',' || r->count)) return unbalanced(r, line, err);
        if (ends)
            any = false;
        else if (depth >= 1 && !any && !is_space((unsigned char)c)) {
            any = true;
            first = i;
            first_line = line;
        }
        if (c == '"')
            in_string = true;
        else if (c == '[' || c == '{')
            depth++;
        else if (c == ']' || c == '}')
            depth--;
        closed = depth == 0;
    }
    if (!closed) return unbalanced(r, any ? first_line : line, err);
    while (i < r->file.bytes && is_space((unsigned char)text[i])) line += text[i++] == '\n';
    return i == r->file.bytes || xr_fail(err, XR_ERR_INPUT,
                                         "%s:%lld: something follows the JSON array; the file must "
                                         "be one array, or one row a line",
                                         r->path, (long long)line);
}

// Files that data often comes as, told by their first bytes: refused with what to do.
static bool is_text(const XrRows *r, XrError *err) {
    static const struct {
        const char *begin, *kind, *remedy;
    } others[] = {
        {"PAR1", "a Parquet file",
         "write it as JSON Lines first, in Python with pandas: "
         "read_parquet(FILE).to_json(OUT, orient=\"records\", lines=True)"},
        {"ARROW1", "an Arrow file",
         "write it as JSON Lines first, in Python with datasets: "
         "load_from_disk(FOLDER).to_json(OUT)"},
        {"\x1f\x8b", "compressed by gzip", "unpack it with gunzip first"},
        {"\x28\xb5\x2f\xfd", "compressed by zstd", "unpack it with unzstd first"},
        {"PK\x03\x04", "a zip archive", "unpack it with unzip first"},
    };
    for (size_t i = 0; i < XR_COUNT(others); i++) {
        size_t length = strlen(others[i].begin);
        if (r->file.bytes < length || memcmp(r->file.data, others[i].begin, length) != 0) continue;
        return xr_fail(err, XR_ERR_UNSUPPORTED, "%s: this is %s; %s", r->path, others[i].kind,
                       others[i].remedy);
    }
    return true;
}

// Whether the text that starts with a "[" at `at` is one array. JSON Lines whose rows are arrays
// have more than one line, the first of which ends with a "]".
static bool is_one_array(const unsigned char *text, size_t at, size_t bytes) {
    const unsigned char *newline = memchr(text + at, '\n', bytes - at);
    size_t line_end = newline ? (size_t)(newline - text) : bytes, next = line_end;
    while (next < bytes && is_space(text[next])) next++;
    while (is_space(text[line_end - 1])) line_end--;
    return next == bytes || text[line_end - 1] != ']';
}

bool xr_rows_open(XrRows *out, const char *path, XrError *err) {
    *out = (XrRows){0};
    if (!xr_file_map(path, &out->file, err)) return false;
    out->path = xr_strdup(path);
    const unsigned char *text = out->file.data;
    size_t bytes = out->file.bytes, at = xr_utf8_mark((const char *)text, bytes);
    while (at < bytes && is_space(text[at])) at++;
    bool ok = true;
    if (!is_text(out, err))
        ok = false;
    else if (at == bytes)
        ok = xr_fail(err, XR_ERR_INPUT, "%s: the file holds no rows", path);
    else if (text[at] == '[' && is_one_array(text, at, bytes))
        ok = find_elements(out, at, err);
    else
        find_lines(out);
    if (ok && out->count == 0) ok = xr_fail(err, XR_ERR_INPUT, "%s: the file holds no rows", path);
    if (ok)
        out->hash = XXH3_64bits(text, bytes);
    else
        xr_rows_close(out);
    return ok;
}

void xr_rows_close(XrRows *rows) {
    xr_file_unmap(&rows->file);
    free(rows->path);
    free(rows->begin);
    free(rows->end);
    free(rows->line);
    *rows = (XrRows){0};
}

bool xr_rows_parse(const XrRows *rows, int64_t row, XrJson *out, XrError *err) {
    XR_REQUIRE(row >= 0 && row < rows->count, "row %lld of %lld", (long long)row,
               (long long)rows->count);
    XrBuffer name = {0};
    XrJsonLimits limits = {MOST_ROW_BYTES, 64, 1000000};
    xr_buffer_format(&name, "%s:%lld", rows->path, (long long)rows->line[row]);
    bool ok = xr_json_parse(out, name.data, (const char *)rows->file.data + rows->begin[row],
                            (size_t)(rows->end[row] - rows->begin[row]), &limits, err);
    xr_buffer_free(&name);
    return ok;
}
