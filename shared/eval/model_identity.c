#include "shared/eval/model_identity.h"

#include "shared/base/file.h"
#include "shared/base/memory.h"

#define XXH_INLINE_ALL
#include <xxhash.h> // defines: XXH3_64bits_withSeed

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK = 64 << 10, BLOCKS = 256 };

static bool ends_with(const char *name, const char *end) {
    size_t length = strlen(name), tail = strlen(end);
    return length >= tail && strcmp(name + length - tail, end) == 0;
}

static int matters(const struct dirent *entry) {
    const char *name = entry->d_name;
    return name[0] != '.' && (ends_with(name, ".safetensors") || ends_with(name, ".json") ||
                              ends_with(name, ".jinja") || ends_with(name, ".txt"));
}

static uint64_t hash_of(const XrMapping *file) {
    uint64_t hash = 0;
    if (file->bytes <= (size_t)BLOCK * BLOCKS) {
        return XXH3_64bits_withSeed(file->data, file->bytes, hash);
    }
    size_t stride = (file->bytes - BLOCK) / (BLOCKS - 1);
    for (size_t i = 0; i < BLOCKS; i++) {
        hash = XXH3_64bits_withSeed(file->data + i * stride, BLOCK, hash);
    }
    return hash;
}

static bool add_file(XrBuffer *out, const char *folder, const char *name, XrError *err) {
    char *path = xr_path_join(folder, name);
    XrMapping file;
    bool ok = xr_file_map(path, &file, err);
    if (ok) {
        xr_buffer_format(out, "%s %zu %016" PRIx64 "\n", name, file.bytes, hash_of(&file));
        xr_file_unmap(&file);
    }
    free(path);
    return ok;
}

bool xr_model_identity(XrBuffer *out, const char *folder, XrError *err) {
    struct dirent **entries;
    int count = scandir(folder, &entries, matters, alphasort);
    if (count < 0) {
        return xr_fail(err, XR_ERR_IO, "%s: cannot list the folder: %s", folder, strerror(errno));
    }
    bool ok = true;
    for (int i = 0; i < count; i++) {
        ok = ok && add_file(out, folder, entries[i]->d_name, err);
        free(entries[i]);
    }
    free((void *)entries);
    return ok;
}
