// safetensors: named tensors in one file, or in the shards of a Hugging Face folder.
//
// A file is 8 bytes of little-endian header length, the header (a JSON object that gives each
// tensor its dtype, shape and place, and "__metadata__", text by text), and the tensors' bytes
// without gaps. docs/formats.md says what is refused and why.
#ifndef XR_FORMAT_SAFETENSORS_H
#define XR_FORMAT_SAFETENSORS_H

#include "shared/base/error.h"
#include "shared/tensor/tensor.h"

#include <stddef.h>

// One tensor as the file describes it. All pointers belong to the open XrSafetensors.
typedef struct XrStored {
    const char *name;
    XrDType dtype;
    int ndim; // 1 to XR_MAX_DIMS; a 0-d tensor is seen as shape [1] with `scalar` set
    bool scalar;
    bool aligned; // the bytes lie on a multiple of the element's size
    int file;     // which of the files, see xr_safetensors_file
    int64_t shape[XR_MAX_DIMS];
    const unsigned char *bytes; // in the memory map; never read through a wider type than its own
    size_t byte_count;
} XrStored;

typedef struct XrSafetensors XrSafetensors;

// Opens a file, or a folder that holds one of: an index (model.safetensors.index.json) and the
// shards that it names; model.safetensors; a complete set model-0000k-of-0000n.safetensors without
// an index. Files are mapped read-only, nothing is read but headers. All of the header is checked:
// every offset and size, no overlap, no gap, no name twice (in all shards together), and that index
// and shards name the same tensors. Nobody may shorten the files while they are open.
bool xr_safetensors_open(XrSafetensors **out, const char *path, XrError *err);
void xr_safetensors_close(XrSafetensors *files);

// Tensors in the order of the files and, in each, of their bytes.
int xr_safetensors_count(const XrSafetensors *files);
const XrStored *xr_safetensors_at(const XrSafetensors *files, int index);
// NULL when there is none of that name.
const XrStored *xr_safetensors_find(const XrSafetensors *files, const char *name);

int xr_safetensors_file_count(const XrSafetensors *files);
// The path of a file.
const char *xr_safetensors_file(const XrSafetensors *files, int file);
// What the first file's __metadata__ says under `key`, or NULL.
const char *xr_safetensors_metadata(const XrSafetensors *files, const char *key);

// The tensor as a description of memory that may be read as its element type: the map itself, or,
// where the bytes do not lie on a multiple of the element's size, a copy that `files` keeps until
// it is closed. Read-only. Fails only for want of memory. Not to be called from two threads at
// once.
bool xr_safetensors_view(XrSafetensors *files, const XrStored *stored, XrTensor *out, XrError *err);

// Finds `name` and checks its type and shape (`ndim` -1: any); errors name the file and the tensor.
bool xr_safetensors_need(XrSafetensors *files, const char *name, XrDType dtype, int ndim,
                         const int64_t *shape, XrTensor *out, XrError *err);

// ---- writing ----

// Fills `chunk` with the tensor's bytes [offset, offset+bytes); called in order from offset 0.
typedef bool XrTensorFill(void *context, size_t offset, void *chunk, size_t bytes, XrError *err);

// A tensor to be written. Its bytes are tensor.data (host memory, contiguous) or come from `fill`.
typedef struct XrSaveTensor {
    const char *name;
    XrTensor tensor;
    bool scalar; // shape [1] written as a 0-d tensor
    XrTensorFill *fill;
    void *context;
} XrSaveTensor;

// Writes one file with metadata {"format": "pt"}: under a temporary name, then renamed, so that
// neither an error nor a crash leaves half a file. Tensors of wide elements come first, so that all
// are aligned; otherwise they keep their order. Two tensors of one name are a bug.
bool xr_safetensors_write(const char *path, const XrSaveTensor *tensors, int count, XrError *err);

// Writes model.safetensors, or, where the tensors have more than `max_shard_bytes`, shards
// model-0000k-of-0000n.safetensors and, last, their index. A tensor larger than that has a shard of
// its own. Shards and indexes of an earlier save in `folder` are removed once the new ones are
// whole.
bool xr_safetensors_write_folder(const char *folder, const XrSaveTensor *tensors, int count,
                                 size_t max_shard_bytes, XrError *err);

#endif
