#include "shared/base/file.h"
#include "shared/base/memory.h"
#include "shared/format/dtype_names.h"
#include "shared/format/folder_listing.h"
#include "shared/format/safetensors.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { CHUNK = 1 << 20 };

static int compare_text(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void require_sound(const XrSaveTensor *tensors, int count) {
    const char **names = xr_malloc((size_t)XR_MAX(count, 1) * sizeof *names);
    for (int i = 0; i < count; i++) {
        const XrTensor *t = &tensors[i].tensor;
        XR_REQUIRE(xr_is_contiguous(t), "saving %s, which is not contiguous", tensors[i].name);
        XR_REQUIRE(tensors[i].fill || t->data || xr_numel(t) == 0, "saving %s without data",
                   tensors[i].name);
        XR_REQUIRE(!tensors[i].scalar || (t->ndim == 1 && t->shape[0] == 1),
                   "saving %s as a scalar, it is %s", tensors[i].name, xr_shape_text(t));
        names[i] = tensors[i].name;
    }
    qsort(names, (size_t)count, sizeof *names, compare_text);
    for (int i = 1; i < count; i++) {
        XR_REQUIRE(strcmp(names[i - 1], names[i]) != 0, "saving two tensors \"%s\"", names[i]);
    }
    free(names);
}

// The order in the file: by falling element size, otherwise as given.
static const XrSaveTensor **in_file_order(const XrSaveTensor *tensors, int count) {
    const XrSaveTensor **order = xr_malloc((size_t)XR_MAX(count, 1) * sizeof(const XrSaveTensor *));
    int filled = 0;
    for (size_t size = 8; size > 0; size /= 2) {
        for (int i = 0; i < count; i++) {
            if (xr_dtype_size(tensors[i].tensor.dtype) == size) order[filled++] = &tensors[i];
        }
    }
    XR_REQUIRE(filled == count, "an element size that is no power of two");
    return order;
}

static void append_header(XrBuffer *out, const XrSaveTensor *const *order, int count) {
    size_t offset = 0;
    xr_buffer_text(out, "{\"__metadata__\":{\"format\":\"pt\"}");
    for (int i = 0; i < count; i++) {
        const XrTensor *t = &order[i]->tensor;
        xr_buffer_byte(out, ',');
        xr_buffer_json(out, order[i]->name, strlen(order[i]->name));
        xr_buffer_format(out, ":{\"dtype\":\"%s\",\"shape\":[", xr_dtype_to_safetensors(t->dtype));
        for (int d = 0; d < t->ndim && !order[i]->scalar; d++) {
            xr_buffer_format(out, "%s%lld", d ? "," : "", (long long)t->shape[d]);
        }
        size_t end = offset + xr_nbytes(t);
        xr_buffer_format(out, "],\"data_offsets\":[%zu,%zu]}", offset, end);
        offset = end;
    }
    xr_buffer_byte(out, '}');
    while (out->length % 8) xr_buffer_byte(out, ' ');
}

static bool write_bytes(XrWriter *writer, const XrSaveTensor *save, void *chunk, XrError *err) {
    size_t total = xr_nbytes(&save->tensor);
    if (!save->fill) {
        xr_writer_write(writer, save->tensor.data, total);
        return true;
    }
    for (size_t at = 0; at < total && !writer->failure; at += CHUNK) {
        size_t bytes = XR_MIN(total - at, (size_t)CHUNK);
        if (!save->fill(save->context, at, chunk, bytes, err)) {
            return xr_fail_in(err, "%s: tensor \"%s\"", writer->path, save->name);
        }
        xr_writer_write(writer, chunk, bytes);
    }
    return true;
}

static bool write_file(const char *path, const XrSaveTensor *tensors, int count, XrError *err) {
    XrWriter writer;
    if (!xr_writer_open(&writer, path, err)) return false;
    const XrSaveTensor **order = in_file_order(tensors, count);
    XrBuffer header = {0};
    append_header(&header, order, count);
    uint64_t length = header.length;
    xr_writer_write(&writer, &length, sizeof length);
    xr_writer_write(&writer, header.data, header.length);
    xr_buffer_free(&header);
    void *chunk = xr_malloc(CHUNK);
    bool ok = true;
    for (int i = 0; ok && i < count && !writer.failure; i++) {
        ok = write_bytes(&writer, order[i], chunk, err);
    }
    free(chunk);
    free(order);
    if (ok) return xr_writer_commit(&writer, err);
    xr_writer_abort(&writer);
    return false;
}

bool xr_safetensors_write(const char *path, const XrSaveTensor *tensors, int count, XrError *err) {
    require_sound(tensors, count);
    return write_file(path, tensors, count, err);
}

// ---- folders ----

// ends[k] is one past the last tensor of shard k. Returns the number of shards.
static int cut_shards(const XrSaveTensor *tensors, int count, size_t max_shard_bytes, int *ends) {
    int shards = 0;
    size_t used = 0;
    for (int i = 0; i < count; i++) {
        size_t bytes = xr_nbytes(&tensors[i].tensor);
        if (used > 0 && (bytes > max_shard_bytes || used > max_shard_bytes - bytes)) {
            ends[shards++] = i;
            used = 0;
        }
        used += bytes;
    }
    ends[shards++] = count;
    return shards;
}

static bool write_index(const char *folder, const XrSaveTensor *tensors, int count, const int *ends,
                        int shards, XrError *err) {
    size_t total = 0;
    for (int i = 0; i < count; i++) total += xr_nbytes(&tensors[i].tensor);
    XrBuffer text = {0};
    xr_buffer_format(&text, "{\n  \"metadata\": {\n    \"total_size\": %zu\n  },\n", total);
    xr_buffer_text(&text, "  \"weight_map\": {\n");
    for (int i = 0, shard = 0; i < count; i++) {
        while (i >= ends[shard]) shard++;
        char name[64];
        xr_shard_name(name, sizeof name, shard + 1, shards);
        xr_buffer_text(&text, "    ");
        xr_buffer_json(&text, tensors[i].name, strlen(tensors[i].name));
        xr_buffer_format(&text, ": \"%s\"%s\n", name, i + 1 < count ? "," : "");
    }
    xr_buffer_text(&text, "  }\n}\n");
    char *path = xr_path_join(folder, XR_INDEX_NAME);
    bool ok = xr_file_write(path, text.data, text.length, err);
    free(path);
    xr_buffer_free(&text);
    return ok;
}

// Removes what an earlier save left and the new one (`shards` files) does not consist of.
static bool remove_stale(const char *folder, int shards, XrError *err) {
    DIR *handle = opendir(folder);
    if (!handle) return xr_fail(err, XR_ERR_IO, "%s: cannot list: %s", folder, strerror(errno));
    bool ok = true;
    for (struct dirent *entry; ok && (entry = readdir(handle));) {
        const char *name = entry->d_name;
        int k, n;
        bool shard = xr_parse_shard_name(name, &k, &n) && (shards == 1 || n != shards);
        bool other = strcmp(name, shards == 1 ? XR_INDEX_NAME : XR_SINGLE_NAME) == 0;
        if (!shard && !other) continue;
        char *path = xr_path_join(folder, name);
        if (unlink(path) != 0) {
            ok = xr_fail(err, XR_ERR_IO, "%s: cannot remove this file of an earlier save: %s", path,
                         strerror(errno));
        }
        free(path);
    }
    closedir(handle);
    return ok;
}

bool xr_safetensors_write_folder(const char *folder, const XrSaveTensor *tensors, int count,
                                 size_t max_shard_bytes, XrError *err) {
    XR_REQUIRE(max_shard_bytes > 0, "shards of 0 bytes");
    require_sound(tensors, count);
    if (!xr_make_folders(folder, err)) return false;
    int *ends = xr_malloc((size_t)(count + 1) * sizeof *ends);
    int shards = cut_shards(tensors, count, max_shard_bytes, ends);
    bool ok = true;
    for (int shard = 0, begin = 0; ok && shard < shards; shard++) {
        char name[64] = XR_SINGLE_NAME;
        if (shards > 1) xr_shard_name(name, sizeof name, shard + 1, shards);
        char *path = xr_path_join(folder, name);
        ok = write_file(path, tensors + begin, ends[shard] - begin, err);
        free(path);
        begin = ends[shard];
    }
    if (ok && shards > 1) ok = write_index(folder, tensors, count, ends, shards, err);
    ok = ok && remove_stale(folder, shards, err);
    free(ends);
    return ok;
}
