// safetensors files and folders from hostile bytes. The first byte chooses: 'R' the rest is a file
// as it is; 'I' the rest is the index of a folder with two good shards; anything else: the rest up
// to the first newline is a header, whose length is put in front, what follows is data.
#include "shared/base/buffer.h"
#include "shared/base/file.h"
#include "shared/format/safetensors.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const SHARDS[] = {"model-00001-of-00002.safetensors",
                                     "model-00002-of-00002.safetensors"};

static char folder[] = "/tmp/xreasoner-fuzz-XXXXXX";

static void put_shard(int k) {
    float numbers[2] = {1, 2};
    XrSaveTensor save = {.name = k ? "b" : "a", .tensor = xr_tensor1(XR_F32, numbers, 2)};
    char *path = xr_path_join(folder, SHARDS[k]);
    XrError err;
    XR_REQUIRE(xr_safetensors_write(path, &save, 1, &err), "%s", err.message);
    free(path);
}

static void remove_folder(void) {
    const char *const names[] = {SHARDS[0], SHARDS[1], "model.safetensors.index.json"};
    for (int i = 0; i < 3; i++) {
        char *path = xr_path_join(folder, names[i]);
        unlink(path);
        free(path);
    }
    rmdir(folder);
}

// A folder with two shards, made once.
static const char *shard_folder(void) {
    static bool made;
    if (!made) {
        XR_REQUIRE(mkdtemp(folder), "cannot make a folder in /tmp");
        atexit(remove_folder);
        put_shard(0);
        put_shard(1);
        made = true;
    }
    return folder;
}

static void put_file(const char *path, const void *bytes, size_t count) {
    FILE *file = fopen(path, "wb");
    XR_REQUIRE(file && fwrite(bytes, 1, count, file) == count && fclose(file) == 0, "cannot write");
}

// Touches every byte that is offered.
static void read_all(const char *path) {
    XrSafetensors *files;
    XrError err = {0};
    if (!xr_safetensors_open(&files, path, &err)) {
        XR_REQUIRE(err.message[0], "refused without a message");
        return;
    }
    volatile unsigned sum = 0;
    for (int i = 0; i < xr_safetensors_count(files); i++) {
        const XrStored *stored = xr_safetensors_at(files, i);
        XR_REQUIRE(xr_safetensors_find(files, stored->name) == stored, "a name is not found");
        XrTensor tensor;
        if (!xr_safetensors_view(files, stored, &tensor, &err)) continue;
        for (size_t k = 0; k < xr_nbytes(&tensor); k++) sum += ((unsigned char *)tensor.data)[k];
    }
    (void)sum;
    xr_safetensors_close(files);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0) return 0;
    XrBuffer bytes = {0};
    if (data[0] == 'I') {
        char *index = xr_path_join(shard_folder(), "model.safetensors.index.json");
        put_file(index, data + 1, size - 1);
        read_all(shard_folder());
        free(index);
        return 0;
    }
    if (data[0] == 'R') {
        xr_buffer_append(&bytes, data + 1, size - 1);
    } else {
        const uint8_t *end = memchr(data + 1, '\n', size - 1);
        uint64_t length = end ? (uint64_t)(end - data - 1) : size - 1;
        xr_buffer_append(&bytes, &length, 8);
        xr_buffer_append(&bytes, data + 1, length);
        if (end) xr_buffer_append(&bytes, end + 1, size - length - 2);
    }
    int fd = memfd_create("fuzz", MFD_CLOEXEC);
    XR_REQUIRE(fd >= 0 && write(fd, bytes.data, bytes.length) == (ssize_t)bytes.length,
               "cannot write to memory");
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    read_all(path);
    close(fd);
    xr_buffer_free(&bytes);
    return 0;
}
