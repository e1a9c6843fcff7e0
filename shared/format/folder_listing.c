#include "shared/format/folder_listing.h"

#include "shared/base/utf8.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void xr_shard_name(char *out, size_t room, int k, int n) {
    snprintf(out, room, "model-%05d-of-%05d.safetensors", k, n);
}

bool xr_parse_shard_name(const char *name, int *k, int *n) {
    char again[64];
    if (sscanf(name, "model-%5d-of-%5d.safetensors", k, n) != 2) return false;
    if (*k < 1 || *n < *k) return false;
    xr_shard_name(again, sizeof again, *k, *n);
    return strcmp(name, again) == 0;
}

bool xr_is_plain_file_name(const char *name) {
    return name[0] && !strchr(name, '/') && strcmp(name, ".") != 0 && strcmp(name, "..") != 0;
}

static bool ends_with(const char *name, const char *end) {
    size_t length = strlen(name), tail = strlen(end);
    return length >= tail && strcmp(name + length - tail, end) == 0;
}

typedef struct Listing {
    bool present[XR_MAX_SHARDS + 1];
    int found, total;   // shards of the first set, and how many its names promise
    char stranger[128]; // another .safetensors file
    bool other_weights; // in a format that is not read here
} Listing;

static bool list_folder(const char *folder, Listing *listing, XrError *err) {
    DIR *handle = opendir(folder);
    if (!handle) {
        return xr_fail(err, XR_ERR_IO, "%s: cannot list the folder: %s; check the permissions",
                       folder, strerror(errno));
    }
    for (struct dirent *entry; (entry = readdir(handle));) {
        const char *name = entry->d_name;
        int k, n;
        if (xr_parse_shard_name(name, &k, &n) && n <= XR_MAX_SHARDS &&
            (listing->total == 0 || listing->total == n)) {
            listing->total = n;
            listing->present[k] = true;
            listing->found++;
        } else if (ends_with(name, ".safetensors")) {
            snprintf(listing->stranger, sizeof listing->stranger, "%s", xr_utf8_shown(name));
        } else if (ends_with(name, ".bin") || ends_with(name, ".gguf") || ends_with(name, ".pt")) {
            listing->other_weights = true;
        }
    }
    closedir(handle);
    return true;
}

bool xr_list_shards(const char *folder, XrShardListing *out, XrError *err) {
    Listing listing = {0};
    if (!list_folder(folder, &listing, err)) return false;
    if (listing.stranger[0]) {
        return xr_fail(err, XR_ERR_INPUT,
                       "%s: holds \"%s\" but no " XR_INDEX_NAME
                       " that says which files make up the model; fetch the index too, or name the "
                       "file " XR_SINGLE_NAME " if it is the whole model",
                       folder, listing.stranger);
    }
    if (listing.total == 0) {
        return xr_fail(err, XR_ERR_INPUT,
                       "%s: has no weights (" XR_SINGLE_NAME " or " XR_INDEX_NAME
                       " with its shards)%s",
                       folder,
                       listing.other_weights
                           ? "; weights in other formats are not read, convert them to safetensors"
                           : "; check the path, or fetch the model again");
    }
    for (int k = 1; k <= listing.total; k++) {
        if (listing.present[k]) continue;
        char name[64];
        xr_shard_name(name, sizeof name, k, listing.total);
        return xr_fail(err, XR_ERR_INPUT, "%s: %d of %d shards are there, %s is missing; fetch it",
                       folder, listing.found, listing.total, name);
    }
    out->count = listing.total;
    return true;
}
