#include "shared/base/file.h"

#include "shared/base/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *remedy(int code) {
    switch (code) {
    case ENOENT:
        return "check the path";
    case EACCES:
    case EPERM:
        return "check the permissions";
    case ENOTDIR:
        return "a part of the path before the last is not a folder";
    case EISDIR:
        return "a folder has that name; choose another";
    case EEXIST:
        return "a file has that name; choose another";
    case ENAMETOOLONG:
        return "choose a shorter name";
    case EMFILE:
    case ENFILE:
        return "raise the limit of open files (ulimit -n)";
    case ENOMEM:
        return "free some memory";
    case ENOSPC:
    case EDQUOT:
        return "free some space";
    case EROFS:
        return "choose a writable folder";
    default:
        return "see the system's message";
    }
}

static bool fail_errno(XrError *err, const char *what, const char *path, int code) {
    return xr_fail(err, XR_ERR_IO, "%s: cannot %s: %s; %s", path, what, strerror(code),
                   remedy(code));
}

// Opens a regular file for reading and finds its size; -1 with an error otherwise.
static int open_regular(const char *path, struct stat *info, XrError *err) {
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
        fail_errno(err, "open", path, errno);
        return -1;
    }
    if (fstat(fd, info) != 0) {
        fail_errno(err, "inspect", path, errno);
    } else if (S_ISDIR(info->st_mode)) {
        xr_fail(err, XR_ERR_IO, "%s: is a folder, a file is needed here", path);
    } else if (!S_ISREG(info->st_mode)) {
        xr_fail(err, XR_ERR_IO, "%s: is not a regular file", path);
    } else {
        return fd;
    }
    close(fd);
    return -1;
}

bool xr_file_read(const char *path, size_t limit, XrBuffer *out, XrError *err) {
    struct stat info;
    int fd = open_regular(path, &info, err);
    if (fd < 0) return false;
    xr_buffer_clear(out);
    bool ok = true;
    if ((uint64_t)info.st_size > limit) {
        ok = xr_fail(err, XR_ERR_LIMIT, "%s: has %lld bytes, more than the %zu that are read here",
                     path, (long long)info.st_size, limit);
    }
    if (ok) xr_buffer_reserve(out, (size_t)info.st_size + 1);
    while (ok) {
        xr_buffer_reserve(out, 1);
        ssize_t got = read(fd, out->data + out->length, out->capacity - out->length - 1);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) ok = fail_errno(err, "read", path, errno);
        if (got <= 0) break;
        out->length += (size_t)got;
        if (out->length > limit) {
            ok = xr_fail(err, XR_ERR_LIMIT, "%s: grew over %zu bytes while read", path, limit);
        }
    }
    if (ok) xr_buffer_append(out, "", 0);
    close(fd);
    return ok;
}

bool xr_file_map(const char *path, XrMapping *out, XrError *err) {
    *out = (XrMapping){0};
    struct stat info;
    int fd = open_regular(path, &info, err);
    if (fd < 0) return false;
    bool ok = true;
    if (info.st_size > 0) {
        void *data = mmap(NULL, (size_t)info.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (data == MAP_FAILED)
            ok = fail_errno(err, "map", path, errno);
        else
            *out = (XrMapping){data, (size_t)info.st_size};
    }
    close(fd);
    return ok;
}

void xr_file_unmap(XrMapping *mapping) {
    if (mapping->data) munmap((void *)mapping->data, mapping->bytes);
    *mapping = (XrMapping){0};
}

bool xr_writer_open(XrWriter *writer, const char *path, XrError *err) {
    *writer = (XrWriter){0};
    XrBuffer name = {0};
    xr_buffer_format(&name, "%s.tmp-%ld", path, (long)getpid());
    FILE *file = fopen(name.data, "wbe");
    if (!file) {
        fail_errno(err, "create", path, errno);
        xr_buffer_free(&name);
        return false;
    }
    *writer = (XrWriter){.file = file, .path = xr_strdup(path), .temporary = name.data};
    return true;
}

void xr_writer_write(XrWriter *writer, const void *bytes, size_t count) {
    if (writer->failure || count == 0) return;
    errno = 0;
    if (fwrite(bytes, 1, count, writer->file) != count) writer->failure = errno ? errno : EIO;
}

static void writer_end(XrWriter *writer) {
    free(writer->path);
    free(writer->temporary);
    *writer = (XrWriter){0};
}

// Makes a rename durable: the folder that holds `path` is fsynced too.
static int sync_folder_of(const char *path) {
    const char *slash = strrchr(path, '/');
    char *folder =
        slash ? xr_strndup(path, (size_t)(slash - path) + (slash == path)) : xr_strdup(".");
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int code = fd < 0 || fsync(fd) != 0 ? errno : 0;
    if (fd >= 0) close(fd);
    free(folder);
    return code == EINVAL ? 0 : code; // some file systems cannot sync folders
}

bool xr_writer_commit(XrWriter *writer, XrError *err) {
    int code = writer->failure;
    if (!code && fflush(writer->file) != 0) code = errno;
    if (!code && fsync(fileno(writer->file)) != 0 && errno != EINVAL) code = errno;
    if (fclose(writer->file) != 0 && !code) code = errno;
    if (!code && rename(writer->temporary, writer->path) != 0) code = errno;
    if (!code) code = sync_folder_of(writer->path);
    if (code) {
        unlink(writer->temporary);
        fail_errno(err, "write", writer->path, code);
    }
    writer_end(writer);
    return code == 0;
}

void xr_writer_abort(XrWriter *writer) {
    if (!writer->file) return;
    fclose(writer->file);
    unlink(writer->temporary);
    writer_end(writer);
}

bool xr_file_write(const char *path, const void *bytes, size_t count, XrError *err) {
    XrWriter writer;
    if (!xr_writer_open(&writer, path, err)) return false;
    xr_writer_write(&writer, bytes, count);
    return xr_writer_commit(&writer, err);
}

// Every byte has its place on the disk before it is used: a full disk would be a SIGBUS later.
static int make_nameless(const char *folder, size_t bytes, int *code) {
    char *path = xr_path_join(folder, ".offload-XXXXXX");
    int fd = mkostemp(path, O_CLOEXEC);
    *code = fd < 0 ? errno : 0;
    if (fd >= 0) {
        unlink(path);
        do *code = posix_fallocate(fd, 0, (off_t)bytes);
        while (*code == EINTR);
    }
    free(path);
    return fd;
}

void *xr_file_memory(const char *folder, size_t bytes, const char *what, XrError *err) {
    int code;
    size_t some = bytes ? bytes : 1;
    int fd = make_nameless(folder, some, &code);
    void *memory = MAP_FAILED;
    if (!code) {
        memory = mmap(NULL, some, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        if (memory == MAP_FAILED) code = errno;
    }
    if (fd >= 0) close(fd);
    if (!code) return memory;
    xr_fail(err, XR_ERR_IO, "%s: cannot make a file of %zu bytes for %s: %s; %s", folder, bytes,
            what, strerror(code), remedy(code));
    return NULL;
}

void xr_file_memory_release(void *begin, size_t bytes) {
    size_t page = (size_t)sysconf(_SC_PAGESIZE), before = (size_t)((uintptr_t)begin % page);
    // Of a shared file, whatever its name says, this forgets nothing.
    if (bytes) madvise((char *)begin - before, bytes + before, MADV_DONTNEED);
}

void xr_file_memory_free(void *memory, size_t bytes) {
    if (memory) munmap(memory, bytes ? bytes : 1);
}

char *xr_path_join(const char *folder, const char *name) {
    XrBuffer path = {0};
    size_t length = strlen(folder);
    xr_buffer_format(&path, "%s%s%s", folder, length && folder[length - 1] == '/' ? "" : "/", name);
    return path.data;
}

bool xr_path_exists(const char *path) {
    struct stat info;
    return stat(path, &info) == 0;
}

bool xr_path_is_folder(const char *path) {
    struct stat info;
    return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

bool xr_make_folders(const char *path, XrError *err) {
    char *copy = xr_strdup(path);
    bool ok = true;
    for (char *at = copy + 1; ok; ++at) {
        if (*at != '/' && *at != '\0') continue;
        char end = *at;
        *at = '\0';
        if (mkdir(copy, 0777) != 0 && !xr_path_is_folder(copy)) {
            ok = fail_errno(err, "create folder", copy, errno);
        }
        *at = end;
        if (end == '\0') break;
    }
    free(copy);
    return ok;
}

int xr_read_line(FILE *file, size_t limit, XrBuffer *line, XrError *err) {
    xr_buffer_clear(line);
    bool any = false;
    for (;;) {
        int c = getc_unlocked(file);
        if (c == EOF) {
            if (!ferror(file)) return any ? 1 : 0;
            xr_fail(err, XR_ERR_IO, "cannot read the next line: %s", strerror(errno));
            return -1;
        }
        any = true;
        if (c == '\n') {
            xr_buffer_append(line, "", 0);
            return 1;
        }
        if (line->length >= limit) {
            xr_fail(err, XR_ERR_LIMIT, "a line has over %zu bytes, the most that is read here",
                    limit);
            return -1;
        }
        xr_buffer_reserve(line, 1);
        line->data[line->length++] = (char)c;
        line->data[line->length] = '\0';
    }
}
