// Files: read whole, mapped, written so that a reader never sees a half-written one, or used as
// memory.
#ifndef XR_BASE_FILE_H
#define XR_BASE_FILE_H

#include "shared/base/buffer.h"
#include "shared/base/error.h"

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

// Reads a regular file of at most `limit` bytes into `out` (replacing what it held; ended by a NUL
// that is not counted). Directories, missing files, devices and larger files are errors.
bool xr_file_read(const char *path, size_t limit, XrBuffer *out, XrError *err);

// A file mapped read-only and private. `data` is NULL for an empty file.
typedef struct XrMapping {
    const unsigned char *data;
    size_t bytes;
} XrMapping;

bool xr_file_map(const char *path, XrMapping *out, XrError *err);
void xr_file_unmap(XrMapping *mapping);

// A file being written under "<path>.tmp-<pid>". xr_writer_commit flushes, fsyncs, renames it to
// `path` and fsyncs the folder; xr_writer_abort removes it. Writing errors are kept and reported by
// commit, so that callers need not check each write. Both end the writer.
typedef struct XrWriter {
    FILE *file;
    char *path, *temporary;
    int failure; // errno of the first failed write, or 0
} XrWriter;

bool xr_writer_open(XrWriter *writer, const char *path, XrError *err);
void xr_writer_write(XrWriter *writer, const void *bytes, size_t count);
bool xr_writer_commit(XrWriter *writer, XrError *err);
void xr_writer_abort(XrWriter *writer);

// Writes a whole file in that way.
bool xr_file_write(const char *path, const void *bytes, size_t count, XrError *err);

// Zeroed memory that lies in a nameless file of `folder`, which is gone with the process: the
// system holds pages of it in memory while there is room, and gives them up for others. NULL and an
// error that names `what` where the folder's disk has no room.
void *xr_file_memory(const char *folder, size_t bytes, const char *what, XrError *err);
// The process lets go of the pages that hold these bytes of such memory; they come again when they
// are touched.
void xr_file_memory_release(void *begin, size_t bytes);
void xr_file_memory_free(void *memory, size_t bytes);

// "<folder>/<name>", to be freed by the caller.
char *xr_path_join(const char *folder, const char *name);
bool xr_path_exists(const char *path);
bool xr_path_is_folder(const char *path);
// Creates the folder and its parents; an existing folder is fine.
bool xr_make_folders(const char *path, XrError *err);

// Reads lines of at most `limit` bytes without their "\n" (a "\r" before it is kept). Returns 1 for
// a line, 0 at the end of the file, -1 with an error. A last line without "\n" counts.
int xr_read_line(FILE *file, size_t limit, XrBuffer *line, XrError *err);

#endif
