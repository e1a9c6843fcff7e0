#include "shared/format/safetensors.h"

#include "shared/base/file.h"
#include "shared/base/json.h"
#include "shared/base/memory.h"
#include "shared/base/utf8.h"
#include "shared/format/dtype_names.h"
#include "shared/format/folder_listing.h"

#include <stdlib.h>
#include <string.h>

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "safetensors files are little-endian and are read in place"
#endif

// The format's own cap on the header; the number of values bounds the memory that one can ask for.
static const XrJsonLimits HEADER_LIMITS = {100000000, 8, 1000000};
static const XrJsonLimits INDEX_LIMITS = {100000000, 8, 1000000};

typedef struct OpenFile {
    char *path;
    XrMapping map;
} OpenFile;

typedef struct Metadata {
    char *key, *value;
} Metadata;

struct XrSafetensors {
    OpenFile *files;
    int file_count;
    XrStored *tensors;
    int count, capacity;
    const XrStored **by_name;
    void **copies; // of misaligned tensors, made when first asked for
    Metadata *metadata;
    int metadata_count;
};

// ---- one file ----

static bool fail_tensor(XrError *err, const char *path, const char *name, const char *problem) {
    return xr_fail(err, XR_ERR_INPUT,
                   "%s: tensor \"%s\": %s; the file is damaged, fetch or write it again", path,
                   xr_utf8_shown(name), problem);
}

// Finds the one value of a key; a key that is there twice, or not at all, is an error.
static bool only_value(const cJSON *object, const char *key, const cJSON **value) {
    *value = NULL;
    const cJSON *item;
    cJSON_ArrayForEach(item, object) {
        if (strcmp(item->string, key) != 0) continue;
        if (*value) return false;
        *value = item;
    }
    return *value != NULL;
}

// Reads "shape" and counts the elements. Every dimension counts as at least 1 in the check against
// overflow, so that products of parts of the shape are safe too.
static bool read_shape(XrStored *stored, const cJSON *shape, const char *path, int64_t *elements,
                       XrError *err) {
    int64_t bound = 1;
    *elements = 1;
    const cJSON *item;
    cJSON_ArrayForEach(item, shape) {
        int64_t size;
        if (!xr_json_whole(item, &size) || size < 0) {
            return fail_tensor(err, path, stored->name, "a dimension is not a whole number");
        }
        if (stored->ndim == XR_MAX_DIMS) {
            return xr_fail(err, XR_ERR_UNSUPPORTED,
                           "%s: tensor \"%s\" has more than %d dimensions, which no model needs",
                           path, xr_utf8_shown(stored->name), XR_MAX_DIMS);
        }
        if (__builtin_mul_overflow(bound, XR_MAX(size, 1), &bound) || bound > INT64_MAX / 8) {
            return fail_tensor(err, path, stored->name, "the shape is too large to be true");
        }
        stored->shape[stored->ndim++] = size;
        *elements *= size;
    }
    if (stored->ndim == 0) {
        stored->scalar = true;
        stored->ndim = 1;
        stored->shape[0] = 1;
    }
    return true;
}

static bool read_dtype(XrStored *stored, const cJSON *dtype, const char *path, XrError *err) {
    if (!cJSON_IsString(dtype)) return fail_tensor(err, path, stored->name, "dtype is no text");
    if (xr_dtype_from_safetensors(dtype->valuestring, &stored->dtype)) return true;
    return xr_fail(err, XR_ERR_UNSUPPORTED,
                   "%s: tensor \"%s\" has the dtype \"%s\", which is not read here; convert it to "
                   "F32, BF16 or F16",
                   path, xr_utf8_shown(stored->name), xr_utf8_shown(dtype->valuestring));
}

// One entry of the header. `data` is where the tensors' bytes start, `room` how many there are.
static bool read_entry(XrStored *stored, const cJSON *entry, const char *path,
                       const unsigned char *data, size_t room, XrError *err) {
    const cJSON *dtype, *shape, *offsets;
    const char *name = stored->name;
    if (!cJSON_IsObject(entry) || !only_value(entry, "dtype", &dtype) ||
        !only_value(entry, "shape", &shape) || !only_value(entry, "data_offsets", &offsets) ||
        !cJSON_IsArray(shape) || !cJSON_IsArray(offsets)) {
        return fail_tensor(err, path, name, "needs dtype, shape and data_offsets, each once");
    }
    int64_t elements, begin, end;
    if (!read_dtype(stored, dtype, path, err)) return false;
    if (!read_shape(stored, shape, path, &elements, err)) return false;
    const cJSON *first = offsets->child, *second = first ? first->next : NULL;
    if (!second || second->next || !xr_json_whole(first, &begin) || !xr_json_whole(second, &end) ||
        begin < 0) {
        return fail_tensor(err, path, name, "data_offsets must be two whole numbers");
    }
    if (end < begin) return fail_tensor(err, path, name, "data_offsets end before they begin");
    if ((uint64_t)end > room) {
        return fail_tensor(err, path, name, "data_offsets lie beyond the end of the file");
    }
    size_t size = xr_dtype_size(stored->dtype);
    if ((size_t)(end - begin) != (size_t)elements * size) {
        return fail_tensor(err, path, name, "data_offsets do not fit the shape and the dtype");
    }
    stored->bytes = data + begin;
    stored->byte_count = (size_t)(end - begin);
    stored->aligned = stored->byte_count == 0 || (uintptr_t)stored->bytes % size == 0;
    return true;
}

static int compare_metadata(const void *a, const void *b) {
    return strcmp(((const Metadata *)a)->key, ((const Metadata *)b)->key);
}

// Keeps the first file's metadata, sorted by key; in the others only checks it.
static bool read_metadata(XrSafetensors *files, const cJSON *object, const char *path,
                          XrError *err) {
    int count = cJSON_IsObject(object) ? cJSON_GetArraySize(object) : -1;
    bool ok = count >= 0;
    Metadata *items = xr_calloc((size_t)XR_MAX(count, 1), sizeof *items);
    int filled = 0;
    if (ok) {
        const cJSON *item;
        cJSON_ArrayForEach(item, object) {
            ok = ok && cJSON_IsString(item);
            if (!ok) break;
            items[filled++] = (Metadata){xr_strdup(item->string), xr_strdup(item->valuestring)};
        }
        qsort(items, (size_t)filled, sizeof *items, compare_metadata);
        for (int i = 1; i < filled; i++) ok = ok && strcmp(items[i - 1].key, items[i].key) != 0;
    }
    if (ok && files->file_count == 1) {
        files->metadata = items;
        files->metadata_count = filled;
        return true;
    }
    for (int i = 0; i < filled; i++) {
        free(items[i].key);
        free(items[i].value);
    }
    free(items);
    if (ok) return true;
    return xr_fail(err, XR_ERR_INPUT,
                   "%s: \"__metadata__\" must be an object of texts, each key once; the file is "
                   "damaged, fetch or write it again",
                   path);
}

static int compare_place(const void *a, const void *b) {
    const XrStored *x = a, *y = b;
    if (x->bytes != y->bytes) return x->bytes < y->bytes ? -1 : 1;
    if (x->byte_count != y->byte_count) return x->byte_count < y->byte_count ? -1 : 1;
    return strcmp(x->name, y->name);
}

// The tensors `first` and up, all of one file: sorted by place, they must cover the data exactly.
static bool check_places(XrSafetensors *files, int first, const char *path,
                         const unsigned char *data, size_t room, XrError *err) {
    int count = files->count - first;
    XrStored *tensors = count ? files->tensors + first : NULL;
    if (count > 1) qsort(tensors, (size_t)count, sizeof *tensors, compare_place);
    const unsigned char *at = data;
    for (int i = 0; i < count; i++) {
        if (tensors[i].bytes != at) {
            return fail_tensor(err, path, tensors[i].name,
                               tensors[i].bytes < at ? "its bytes overlap another tensor's"
                                                     : "there is a gap before its bytes");
        }
        at += tensors[i].byte_count;
    }
    if (at == data + room) return true;
    return xr_fail(err, XR_ERR_INPUT,
                   "%s: %zu bytes after the last tensor belong to none; the file is damaged, fetch "
                   "or write it again",
                   path, (size_t)(data + room - at));
}

static bool read_entries(XrSafetensors *files, const cJSON *root, const char *path,
                         const unsigned char *data, size_t room, XrError *err) {
    bool metadata_seen = false;
    int first = files->count;
    const cJSON *entry;
    cJSON_ArrayForEach(entry, root) {
        if (strcmp(entry->string, "__metadata__") == 0) {
            if (metadata_seen) {
                return xr_fail(err, XR_ERR_INPUT, "%s: \"__metadata__\" is there twice", path);
            }
            metadata_seen = true;
            if (!read_metadata(files, entry, path, err)) return false;
            continue;
        }
        if (files->count == files->capacity) {
            files->capacity = XR_MAX(64, files->capacity * 2);
            files->tensors =
                xr_realloc(files->tensors, (size_t)files->capacity * sizeof *files->tensors);
        }
        XrStored *stored = &files->tensors[files->count++];
        *stored = (XrStored){.name = xr_strdup(entry->string), .file = files->file_count - 1};
        if (!read_entry(stored, entry, path, data, room, err)) return false;
    }
    return check_places(files, first, path, data, room, err);
}

// Maps the file and reads its header. What was added is freed with `files`, on failure too.
static bool add_file(XrSafetensors *files, const char *path, XrError *err) {
    files->files = xr_realloc(files->files, (size_t)(files->file_count + 1) * sizeof *files->files);
    OpenFile *file = &files->files[files->file_count];
    *file = (OpenFile){0};
    if (!xr_file_map(path, &file->map, err)) return false;
    file->path = xr_strdup(path);
    files->file_count++;
    const unsigned char *data = file->map.data;
    uint64_t length = 0;
    if (file->map.bytes < 8) {
        return xr_fail(err, XR_ERR_INPUT,
                       "%s: has %zu bytes, too few for a safetensors file; fetch it again", path,
                       file->map.bytes);
    }
    memcpy(&length, data, 8);
    if (length > HEADER_LIMITS.bytes || length > file->map.bytes - 8) {
        return xr_fail(
            err, XR_ERR_INPUT,
            "%s: says that its header has %llu bytes, the file has %zu; it is cut off or "
            "no safetensors file, fetch it again",
            path, (unsigned long long)length, file->map.bytes);
    }
    if (length < 2 || data[8] != '{') {
        return xr_fail(err, XR_ERR_INPUT,
                       "%s: the header is no JSON object; this is no safetensors file", path);
    }
    XrJson header;
    if (!xr_json_parse(&header, path, (const char *)data + 8, (size_t)length, &HEADER_LIMITS,
                       err)) {
        return xr_fail_in(err, "header");
    }
    bool ok = !header.nul_mark[0];
    if (!ok) xr_fail(err, XR_ERR_INPUT, "%s: the header has a text that holds NUL", path);
    ok = ok && read_entries(files, header.root, path, data + 8 + length,
                            file->map.bytes - 8 - (size_t)length, err);
    xr_json_free(&header);
    return ok;
}

// ---- several files ----

static int compare_name(const void *a, const void *b) {
    return strcmp((*(const XrStored *const *)a)->name, (*(const XrStored *const *)b)->name);
}

// Sorts all tensors by name; a name that is there twice is an error.
static bool sort_names(XrSafetensors *files, XrError *err) {
    files->by_name = xr_malloc((size_t)XR_MAX(files->count, 1) * sizeof(const XrStored *));
    files->copies = xr_calloc((size_t)XR_MAX(files->count, 1), sizeof *files->copies);
    for (int i = 0; i < files->count; i++) files->by_name[i] = &files->tensors[i];
    qsort(files->by_name, (size_t)files->count, sizeof(const XrStored *), compare_name);
    for (int i = 1; i < files->count; i++) {
        const XrStored *a = files->by_name[i - 1], *b = files->by_name[i];
        if (strcmp(a->name, b->name) != 0) continue;
        return xr_fail(
            err, XR_ERR_INPUT, "%s: tensor \"%s\" is there twice (also in %s); keep one of them",
            files->files[a->file].path, xr_utf8_shown(a->name), files->files[b->file].path);
    }
    return true;
}

typedef struct MapEntry {
    const char *tensor, *file;
} MapEntry;

static int compare_map_file(const void *a, const void *b) {
    return strcmp(((const MapEntry *)a)->file, ((const MapEntry *)b)->file);
}

static int compare_map_tensor(const void *a, const void *b) {
    return strcmp(((const MapEntry *)a)->tensor, ((const MapEntry *)b)->tensor);
}

// Opens each file that the index names, once.
static bool add_shards(XrSafetensors *files, const char *folder, const char *index, MapEntry *map,
                       int count, XrError *err) {
    qsort(map, (size_t)count, sizeof *map, compare_map_file);
    for (int i = 0; i < count; i++) {
        const char *name = map[i].file;
        if (i > 0 && strcmp(name, map[i - 1].file) == 0) continue;
        if (!xr_is_plain_file_name(name)) {
            return xr_fail(err, XR_ERR_INPUT,
                           "%s: names the file \"%s\" for tensor \"%s\"; only files of the same "
                           "folder are opened",
                           index, xr_utf8_shown(name), xr_utf8_shown(map[i].tensor));
        }
        char *path = xr_path_join(folder, name);
        bool ok = xr_path_exists(path);
        if (!ok) {
            xr_fail(err, XR_ERR_IO, "%s: names the shard \"%s\", which is missing; fetch it", index,
                    xr_utf8_shown(name));
        }
        ok = ok && add_file(files, path, err);
        free(path);
        if (!ok) return false;
    }
    return sort_names(files, err);
}

// Index and shards, both sorted by name, must hold the same tensors in the same files.
static bool compare_with_index(const XrSafetensors *files, const char *index, MapEntry *map,
                               int count, XrError *err) {
    qsort(map, (size_t)count, sizeof *map, compare_map_tensor);
    for (int i = 0, j = 0; i < count || j < files->count;) {
        const XrStored *stored = j < files->count ? files->by_name[j] : NULL;
        const char *path = stored ? files->files[stored->file].path : NULL;
        int order = !stored ? -1 : i == count ? 1 : strcmp(map[i].tensor, stored->name);
        if (order > 0) {
            return xr_fail(err, XR_ERR_INPUT,
                           "%s: does not list tensor \"%s\", which %s holds; index and shards do "
                           "not belong together",
                           index, xr_utf8_shown(stored->name), path);
        }
        if (order < 0 || strcmp(strrchr(path, '/') + 1, map[i].file) != 0) {
            return xr_fail(err, XR_ERR_INPUT,
                           "%s: lists tensor \"%s\" in \"%s\", which does not hold it; index and "
                           "shards do not belong together",
                           index, xr_utf8_shown(map[i].tensor), xr_utf8_shown(map[i].file));
        }
        i++;
        j++;
    }
    return true;
}

static bool add_indexed(XrSafetensors *files, const char *folder, const char *index, XrError *err) {
    XrJson json;
    if (!xr_json_read_file(&json, index, &INDEX_LIMITS, err)) return false;
    const cJSON *weight_map = cJSON_GetObjectItemCaseSensitive(json.root, "weight_map");
    int count = cJSON_IsObject(weight_map) ? cJSON_GetArraySize(weight_map) : 0;
    MapEntry *map = xr_calloc((size_t)XR_MAX(count, 1), sizeof *map);
    bool ok = count > 0;
    int filled = 0;
    const cJSON *item;
    if (ok) {
        cJSON_ArrayForEach(item, weight_map) {
            ok = ok && cJSON_IsString(item);
            map[filled++] = (MapEntry){item->string, ok ? item->valuestring : ""};
        }
    }
    if (!ok) {
        xr_fail(err, XR_ERR_INPUT, "%s: \"weight_map\" must give a file name for each tensor",
                index);
    }
    ok = ok && add_shards(files, folder, index, map, count, err) &&
         compare_with_index(files, index, map, count, err);
    free(map);
    xr_json_free(&json);
    return ok;
}

// A folder without index whose shards' names say how many there are.
static bool add_listed(XrSafetensors *files, const char *folder, XrError *err) {
    XrShardListing listing;
    if (!xr_list_shards(folder, &listing, err)) return false;
    for (int i = 0; i < listing.count; i++) {
        char name[64];
        xr_shard_name(name, sizeof name, i + 1, listing.count);
        char *path = xr_path_join(folder, name);
        bool ok = add_file(files, path, err);
        free(path);
        if (!ok) return false;
    }
    return sort_names(files, err);
}

static bool add_folder(XrSafetensors *files, const char *folder, XrError *err) {
    char *index = xr_path_join(folder, XR_INDEX_NAME);
    char *single = xr_path_join(folder, XR_SINGLE_NAME);
    bool has_index = xr_path_exists(index), has_single = xr_path_exists(single), ok;
    if (has_index) {
        ok = add_indexed(files, folder, index, err);
        bool named = false;
        for (int i = 0; ok && i < files->file_count; i++) {
            named = named || strcmp(files->files[i].path, single) == 0;
        }
        if (ok && has_single && !named) {
            ok = xr_fail(err, XR_ERR_INPUT,
                         "%s: has both " XR_SINGLE_NAME " and an index that names other files; "
                         "remove the one that is out of date",
                         folder);
        }
    } else if (has_single) {
        ok = add_file(files, single, err) && sort_names(files, err);
    } else {
        ok = add_listed(files, folder, err);
    }
    free(index);
    free(single);
    return ok;
}

bool xr_safetensors_open(XrSafetensors **out, const char *path, XrError *err) {
    XrSafetensors *files = xr_calloc(1, sizeof *files);
    bool ok = xr_path_is_folder(path) ? add_folder(files, path, err)
                                      : add_file(files, path, err) && sort_names(files, err);
    *out = ok ? files : NULL;
    if (!ok) xr_safetensors_close(files);
    return ok;
}

void xr_safetensors_close(XrSafetensors *files) {
    if (!files) return;
    for (int i = 0; i < files->count; i++) {
        free((char *)files->tensors[i].name);
        if (files->copies) free(files->copies[i]);
    }
    for (int i = 0; i < files->file_count; i++) {
        free(files->files[i].path);
        xr_file_unmap(&files->files[i].map);
    }
    for (int i = 0; i < files->metadata_count; i++) {
        free(files->metadata[i].key);
        free(files->metadata[i].value);
    }
    free(files->metadata);
    free(files->copies);
    free(files->by_name);
    free(files->tensors);
    free(files->files);
    free(files);
}

// ---- access ----

int xr_safetensors_count(const XrSafetensors *files) {
    return files->count;
}

const XrStored *xr_safetensors_at(const XrSafetensors *files, int index) {
    XR_REQUIRE(index >= 0 && index < files->count, "tensor %d of %d", index, files->count);
    return &files->tensors[index];
}

const XrStored *xr_safetensors_find(const XrSafetensors *files, const char *name) {
    int low = 0, high = files->count;
    while (low < high) {
        int middle = low + (high - low) / 2;
        int order = strcmp(name, files->by_name[middle]->name);
        if (order == 0) return files->by_name[middle];
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return NULL;
}

int xr_safetensors_file_count(const XrSafetensors *files) {
    return files->file_count;
}

const char *xr_safetensors_file(const XrSafetensors *files, int file) {
    XR_REQUIRE(file >= 0 && file < files->file_count, "file %d of %d", file, files->file_count);
    return files->files[file].path;
}

const char *xr_safetensors_metadata(const XrSafetensors *files, const char *key) {
    for (int i = 0; i < files->metadata_count; i++) {
        if (strcmp(files->metadata[i].key, key) == 0) return files->metadata[i].value;
    }
    return NULL;
}

bool xr_safetensors_view(XrSafetensors *files, const XrStored *stored, XrTensor *out,
                         XrError *err) {
    ptrdiff_t index = stored - files->tensors;
    XR_REQUIRE(index >= 0 && index < files->count, "a tensor of other files");
    const void *data = stored->bytes;
    if (!stored->aligned) {
        if (!files->copies[index]) {
            void *copy = xr_try_alloc(stored->byte_count, stored->name, err);
            if (!copy) return xr_fail_in(err, "%s", files->files[stored->file].path);
            files->copies[index] = memcpy(copy, stored->bytes, stored->byte_count);
        }
        data = files->copies[index];
    }
    *out = xr_tensor_of(stored->dtype, (void *)data, stored->ndim, stored->shape);
    return true;
}

bool xr_safetensors_need(XrSafetensors *files, const char *name, XrDType dtype, int ndim,
                         const int64_t *shape, XrTensor *out, XrError *err) {
    const XrStored *stored = xr_safetensors_find(files, name);
    const char *path = files->file_count ? files->files[0].path : "";
    if (!stored) return xr_fail(err, XR_ERR_INPUT, "%s: has no tensor \"%s\"", path, name);
    path = files->files[stored->file].path;
    XrTensor found = xr_tensor_of(stored->dtype, NULL, stored->ndim, stored->shape);
    bool fits = stored->dtype == dtype && (ndim < 0 || stored->ndim == ndim);
    for (int i = 0; fits && i < ndim; i++) fits = stored->shape[i] == shape[i];
    if (!fits) {
        XrTensor wanted = found;
        wanted.dtype = dtype;
        if (ndim >= 0) wanted = xr_tensor_of(dtype, NULL, ndim, shape);
        return xr_fail(err, XR_ERR_INPUT, "%s: tensor \"%s\" is %s, %s is needed", path, name,
                       xr_shape_text(&found), xr_shape_text(&wanted));
    }
    return xr_safetensors_view(files, stored, out, err);
}
