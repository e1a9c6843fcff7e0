#include "shared/train/run_model.h"

#include "shared/base/file.h"
#include "shared/base/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

bool xr_run_model_open(XrChatModel **out, XrBackend *backend, const XrRunConfig *c, bool to_train,
                       XrError *err) {
    *out = NULL;
    if (!c->model_name_or_path) {
        return xr_fail(err, XR_ERR_INPUT,
                       "\"model_name_or_path\" is missing: say which model folder to use");
    }
    XrChatModelOptions options = {.weights = xr_weight_type(c->dtype),
                                  .min_pixels = c->min_pixels,
                                  .max_pixels = c->max_pixels,
                                  .unplaced = to_train};
    XrBuffer notice = {0};
    bool ok = xr_chat_model_open(out, backend, c->model_name_or_path, &options, &notice, err);
    if (notice.length) fprintf(stderr, "%s", notice.data);
    xr_buffer_free(&notice);
    return ok;
}

XrTrainStateOptions xr_run_state_options(const XrRunConfig *c, const char *folder) {
    return (XrTrainStateOptions){.vision = c->train_vision,
                                 .bf16 = c->bf16,
                                 .offload = c->offload_optimizer ? folder : NULL};
}

bool xr_run_model_fingerprint(XrCheckpointInfo *info, const XrChatModel *m, XrError *err) {
    static const char *const names[] = {"config.json", "tokenizer.json"};
    bool ok = true;
    for (size_t i = 0; ok && i < XR_COUNT(names); i++) {
        char *path = xr_path_join(m->model->folder, names[i]);
        XrBuffer bytes = {0};
        ok = xr_file_read(path, (size_t)1 << 30, &bytes, err);
        if (ok) xr_checkpoint_add_file(info, path, XXH3_64bits(bytes.data, bytes.length));
        xr_buffer_free(&bytes);
        free(path);
    }
    return ok;
}
