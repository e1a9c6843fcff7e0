#include "shared/eval/source.h"

#include "shared/base/memory.h"
#include "shared/dataset/rows.h"
#include "shared/eval/csv.h"

#include <glob.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

typedef enum Form { FORM_ROWS, FORM_OBJECT, FORM_CSV } Form;

typedef struct SourceFile {
    Form form;
    char *path, *folder;
    int64_t count;
    XrRows rows;           // FORM_ROWS
    XrCsv csv;             // FORM_CSV
    XrJson document;       // FORM_OBJECT
    const cJSON **members; // FORM_OBJECT: [count]
} SourceFile;

struct XrSource {
    SourceFile *files;
    int file_count;
    int64_t count;
    uint64_t hash;
};

// Whether every member of an object is itself an object: rows under their ids.
static bool holds_rows(const cJSON *object) {
    const cJSON *member;
    if (!cJSON_IsObject(object) || !object->child) return false;
    cJSON_ArrayForEach(member, object) {
        if (!cJSON_IsObject(member)) return false;
    }
    return true;
}

static void take_members(SourceFile *file) {
    const cJSON *member;
    file->form = FORM_OBJECT;
    file->count = cJSON_GetArraySize(file->document.root);
    file->members = xr_calloc((size_t)file->count, sizeof(cJSON *));
    int64_t at = 0;
    cJSON_ArrayForEach(member, file->document.root) file->members[at++] = member;
}

// A file of JSON: rows, unless it is one object whose members are rows.
static bool open_json(SourceFile *file, XrError *err) {
    XrJson first;
    XrError ignored;
    if (!xr_rows_open(&file->rows, file->path, err)) return false;
    file->count = file->rows.count;
    bool parsed = xr_rows_parse(&file->rows, 0, &first, &ignored);
    bool one_line = parsed && file->count == 1 && holds_rows(first.root);
    if (parsed) xr_json_free(&first);
    if (parsed && !one_line) return true;
    if (!xr_json_parse(&file->document, file->path, (const char *)file->rows.file.data,
                       file->rows.file.bytes, &XR_JSON_LARGE, &ignored)) {
        return true; // the first row is malformed
    }
    if (holds_rows(file->document.root))
        take_members(file);
    else
        xr_json_free(&file->document);
    return true;
}

static bool ends_with(const char *text, const char *end) {
    size_t length = strlen(text), tail = strlen(end);
    return length >= tail && strcmp(text + length - tail, end) == 0;
}

static bool open_file(XrSource *source, const char *path, XrError *err) {
    SourceFile file = {.form = FORM_ROWS, .path = xr_strdup(path)};
    const char *slash = strrchr(path, '/');
    file.folder = slash ? xr_strndup(path, (size_t)(slash - path)) : xr_strdup(".");
    bool csv = ends_with(path, ".csv"), tsv = ends_with(path, ".tsv"), ok;
    if (csv || tsv) {
        file.form = FORM_CSV;
        ok = xr_csv_open(&file.csv, path, csv ? ',' : '\t', err);
        file.count = file.csv.count;
        if (ok) source->hash ^= XXH3_64bits(file.csv.file.data, file.csv.file.bytes);
    } else {
        ok = open_json(&file, err);
        if (ok) source->hash ^= file.rows.hash;
    }
    source->hash = source->hash << 1 | source->hash >> 63; // the order of the files counts
    size_t count = (size_t)source->file_count;
    source->files = xr_realloc(source->files, (count + 1) * sizeof *source->files);
    source->files[source->file_count++] = file;
    source->count += file.count;
    return ok;
}

// Opens what one pattern matches in the folder; *any says whether it matched.
static bool open_matches(XrSource *source, const char *folder, const char *pattern, size_t bytes,
                         bool *any, XrError *err) {
    char *name = xr_strndup(pattern, bytes);
    char *path = xr_path_join(folder, name);
    glob_t found;
    bool ok = true;
    *any = glob(path, 0, NULL, &found) == 0;
    for (size_t i = 0; *any && i < found.gl_pathc && ok; i++) {
        ok = open_file(source, found.gl_pathv[i], err);
    }
    if (*any) globfree(&found);
    free(path);
    free(name);
    return ok;
}

static bool open_folder(XrSource *source, const char *folder, const char *patterns, XrError *err) {
    for (const char *at = patterns; *at;) {
        size_t bytes = strcspn(at, ";");
        bool any;
        if (!open_matches(source, folder, at, bytes, &any, err)) return false;
        if (any) return true;
        at += bytes + (at[bytes] == ';');
    }
    XrBuffer names = {0};
    for (const char *at = patterns; *at; at++) {
        if (*at == ';')
            xr_buffer_text(&names, ", ");
        else
            xr_buffer_byte(&names, *at);
    }
    xr_fail(err, XR_ERR_IO,
            "%s: the folder holds none of %s; name the data file itself, or fetch it with "
            "datasets/fetch.py",
            folder, names.data);
    xr_buffer_free(&names);
    return false;
}

bool xr_source_open(XrSource **out, const char *path, const char *patterns, XrError *err) {
    XrSource *source = xr_calloc(1, sizeof *source);
    bool ok = xr_path_is_folder(path) ? open_folder(source, path, patterns, err)
                                      : open_file(source, path, err);
    if (!ok) {
        xr_source_close(source);
        source = NULL;
    }
    *out = source;
    return ok;
}

void xr_source_close(XrSource *source) {
    if (!source) return;
    for (int i = 0; i < source->file_count; i++) {
        SourceFile *file = &source->files[i];
        xr_rows_close(&file->rows);
        xr_csv_close(&file->csv);
        if (file->members) xr_json_free(&file->document);
        free(file->members);
        free(file->path);
        free(file->folder);
    }
    free(source->files);
    free(source);
}

int64_t xr_source_count(const XrSource *source) {
    return source->count;
}

uint64_t xr_source_hash(const XrSource *source) {
    return source->hash;
}

// The file that holds the row, whose number within that file replaces *row.
static const SourceFile *file_of(const XrSource *source, int64_t *row) {
    for (int i = 0; i < source->file_count; i++) {
        if (*row < source->files[i].count) return &source->files[i];
        *row -= source->files[i].count;
    }
    XR_BUG("a row beyond the %lld of the data", (long long)source->count);
}

void xr_source_place(const XrSource *source, int64_t row, XrBuffer *place) {
    const SourceFile *file = file_of(source, &row);
    xr_buffer_clear(place);
    if (file->form == FORM_OBJECT) {
        xr_buffer_format(place, "%s: \"%s\"", file->path, file->members[row]->string);
    } else {
        int64_t line = file->form == FORM_CSV ? file->csv.line[row] : file->rows.line[row];
        xr_buffer_format(place, "%s:%lld", file->path, (long long)line);
    }
}

const char *xr_source_folder(const XrSource *source, int64_t row) {
    return file_of(source, &row)->folder;
}

bool xr_source_row(const XrSource *source, int64_t row, XrSourceRow *out, XrError *err) {
    const SourceFile *file = file_of(source, &row);
    *out = (XrSourceRow){0};
    if (file->form == FORM_OBJECT) {
        out->json = &file->document;
        out->root = file->members[row];
        out->key = file->members[row]->string;
        return true;
    }
    bool ok = file->form == FORM_CSV ? xr_csv_row(&file->csv, row, &out->own, err)
                                     : xr_rows_parse(&file->rows, row, &out->own, err);
    out->json = &out->own;
    out->root = out->own.root;
    return ok;
}

void xr_source_row_free(XrSourceRow *row) {
    if (row->json == &row->own) xr_json_free(&row->own);
    *row = (XrSourceRow){0};
}
