#include "shared/model/folder.h"

#include "shared/base/file.h"
#include "shared/base/memory.h"
#include "shared/format/folder_listing.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

// The largest file that is copied: tokenizers have tens of megabytes.
static const size_t COPY_LIMIT = (size_t)256 << 20;

static bool describes_model(const char *name) {
    static const char *const ends[] = {".json", ".jinja", ".txt", ".model", ".md"};
    static const char index_end[] = ".index.json";
    size_t length = strlen(name);
    if (name[0] == '.') return false;
    if (strcmp(name, "LICENSE") == 0 || strcmp(name, "NOTICE") == 0) return true;
    if (length >= sizeof index_end &&
        strcmp(name + length - (sizeof index_end - 1), index_end) == 0) {
        return false;
    }
    for (size_t i = 0; i < XR_COUNT(ends); i++) {
        size_t end = strlen(ends[i]);
        if (length > end && strcmp(name + length - end, ends[i]) == 0) return true;
    }
    return false;
}

static bool copy_file(const char *from_folder, const char *to_folder, const char *name,
                      XrError *err) {
    char *from = xr_path_join(from_folder, name), *to = xr_path_join(to_folder, name);
    XrBuffer bytes = {0};
    bool ok = xr_path_is_folder(from) || (xr_file_read(from, COPY_LIMIT, &bytes, err) &&
                                          xr_file_write(to, bytes.data, bytes.length, err));
    xr_buffer_free(&bytes);
    free(from);
    free(to);
    return ok;
}

static bool copy_descriptions(const char *source, const char *folder, XrError *err) {
    DIR *handle = opendir(source);
    if (!handle) {
        return xr_fail(err, XR_ERR_IO, "%s: cannot list the folder: %s; check the path", source,
                       strerror(errno));
    }
    bool ok = true;
    for (struct dirent *entry; ok && (entry = readdir(handle));) {
        if (describes_model(entry->d_name)) ok = copy_file(source, folder, entry->d_name, err);
    }
    closedir(handle);
    return ok;
}

static bool same_folder(const char *a, const char *b) {
    struct stat x, y;
    return stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

bool xr_model_folder_write(const char *folder, const char *source, const XrSaveTensor *tensors,
                           int count, size_t max_shard_bytes, XrError *err) {
    if (!xr_make_folders(folder, err)) return false;
    if (same_folder(folder, source)) {
        return xr_fail(err, XR_ERR_INPUT,
                       "%s: is the folder that the model comes from; choose another to write to",
                       folder);
    }
    return copy_descriptions(source, folder, err) &&
           xr_safetensors_write_folder(folder, tensors, count, max_shard_bytes, err);
}
