// The names of weight files in a Hugging Face folder.
#ifndef XR_FORMAT_FOLDER_LISTING_H
#define XR_FORMAT_FOLDER_LISTING_H

#include "shared/base/error.h"

#include <stddef.h>

#define XR_SINGLE_NAME "model.safetensors"
#define XR_INDEX_NAME "model.safetensors.index.json"

enum { XR_MAX_SHARDS = 4096 };

typedef struct XrShardListing {
    int count; // shards 1 to count are there
} XrShardListing;

// "model-0000k-of-0000n.safetensors"; k counts from 1.
void xr_shard_name(char *out, size_t room, int k, int n);
// Whether `name` is exactly such a name; stores its numbers.
bool xr_parse_shard_name(const char *name, int *k, int *n);
// Whether the name stays in its folder: not empty, no "/", not "." or "..".
bool xr_is_plain_file_name(const char *name);

// Looks for a complete set of shards in a folder that has neither an index nor model.safetensors.
// Anything else (none, some missing, two sets, other .safetensors files beside them) is an error
// that says what is there.
bool xr_list_shards(const char *folder, XrShardListing *out, XrError *err);

#endif
