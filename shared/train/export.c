#include "shared/train/export.h"

#include "shared/base/file.h"
#include "shared/base/memory.h"
#include "shared/model/folder.h"
#include "shared/tensor/convert.h"
#include "shared/train/run_folder.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const size_t SHARD_BYTES = (size_t)5 << 30;

// A trained tensor on its way into a file of another type.
typedef struct Source {
    const XrTrainState *state;
    XrTensor values;
    XrDType dtype;
} Source;

static bool fill_from(void *context, size_t offset, void *chunk, size_t bytes, XrError *err) {
    const Source *source = context;
    XrBackend *b = source->state->model->backend;
    size_t width = xr_dtype_size(source->dtype), count = bytes / width;
    XrTensor part = xr_rows(&source->values, (int64_t)(offset / width), (int64_t)count);
    if (source->dtype == XR_F32) {
        b->download(b, chunk, part.data, bytes);
    } else {
        float *wide = xr_malloc(count * sizeof *wide);
        b->download(b, wide, part.data, count * sizeof *wide);
        xr_convert_parallel(b->threads, chunk, source->dtype, wide, XR_F32, (int64_t)count);
        free(wide);
    }
    xr_train_release(source->state, &part);
    return true;
}

static XrDType type_of(const char *dtype, XrDType stored) {
    return strcmp(dtype, "f32") == 0 ? XR_F32 : strcmp(dtype, "bf16") == 0 ? XR_BF16 : stored;
}

static bool write_model(const XrTrainState *s, const char *folder, const char *dtype,
                        XrError *err) {
    const XrModel *model = s->model;
    size_t count = (size_t)model->table.count;
    Source *sources = xr_calloc(count, sizeof *sources);
    XrSaveTensor *tensors = xr_calloc(count, sizeof *tensors);
    for (size_t i = 0; i < count; i++) {
        const XrParameter *p = &model->table.items[i];
        tensors[i] = (XrSaveTensor){.name = p->name, .tensor = model->weights.tensors[i]};
        if (!s->trained[i]) continue;
        XrDType type = type_of(dtype, tensors[i].tensor.dtype);
        sources[i] = (Source){s, xr_rows(&s->values, s->begin[i], xr_parameter_elements(p)), type};
        tensors[i].tensor = xr_tensor_of(type, NULL, p->ndim, p->shape);
        tensors[i].fill = fill_from;
        tensors[i].context = &sources[i];
    }
    bool ok = xr_model_folder_write(folder, model->folder, tensors, (int)count, SHARD_BYTES, err);
    free(sources);
    free(tensors);
    return ok;
}

// "<parent>/.<name><suffix>"
static char *beside(const char *folder, const char *suffix) {
    const char *slash = strrchr(folder, '/'), *name = slash ? slash + 1 : folder;
    XrBuffer path = {0};
    xr_buffer_append(&path, folder, (size_t)(name - folder));
    xr_buffer_format(&path, ".%s%s", name, suffix);
    return path.data;
}

bool xr_train_export(const XrTrainState *state, const char *folder, const char *dtype,
                     XrError *err) {
    if (state->comm->rank != 0) return true;
    char *fresh = beside(folder, ".new"), *old = beside(folder, ".old");
    xr_remove_folder(fresh);
    xr_remove_folder(old);
    bool ok = write_model(state, fresh, dtype, err);
    if (ok && xr_path_exists(folder) && rename(folder, old) != 0) {
        ok = xr_fail(err, XR_ERR_IO, "%s: cannot be replaced: %s", folder, strerror(errno));
    }
    if (ok && rename(fresh, folder) != 0) {
        ok = xr_fail(err, XR_ERR_IO, "%s: cannot be put in place: %s", folder, strerror(errno));
    }
    xr_remove_folder(ok ? old : fresh);
    free(fresh);
    free(old);
    return ok;
}
