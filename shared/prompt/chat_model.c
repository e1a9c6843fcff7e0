#include "shared/prompt/chat_model.h"

#include "shared/base/memory.h"

#include <stdlib.h>

static bool open_processor(XrChatModel *m, const char *folder, const XrChatModelOptions *options,
                           XrBuffer *notice, XrError *err) {
    if (!m->model->config.has_vision) return true;
    if (!xr_image_processor_load(&m->processor, folder, notice, err)) return false;
    if (options->min_pixels) m->processor.min_pixels = options->min_pixels;
    if (options->max_pixels) m->processor.max_pixels = options->max_pixels;
    if (!xr_image_processor_check(&m->processor, folder, err)) return false;
    const XrVisionConfig *v = &m->model->config.vision;
    if (m->processor.patch_size != v->patch || m->processor.merge_size != v->merge ||
        m->processor.temporal_patch_size != v->temporal_patch) {
        return xr_fail(
            err, XR_ERR_INPUT,
            "%s: preprocessor_config.json makes patches of %d pixels, %d frames and merges "
            "%d, but config.json's vision tower takes %lld, %lld and %lld",
            folder, m->processor.patch_size, m->processor.temporal_patch_size,
            m->processor.merge_size, (long long)v->patch, (long long)v->temporal_patch,
            (long long)v->merge);
    }
    return true;
}

static bool open_text(XrChatModel *m, const char *folder, XrBuffer *notice, XrError *err) {
    m->tokenizer = xr_tokenizer_load(folder, err);
    if (!m->tokenizer || !xr_chat_template_load(&m->chat_template, folder, notice, err))
        return false;
    if (xr_tokenizer_size(m->tokenizer) > m->model->config.vocab) {
        return xr_fail(
            err, XR_ERR_INPUT,
            "%s: the tokenizer has ids up to %d, but the model's embedding only %lld rows", folder,
            xr_tokenizer_size(m->tokenizer) - 1, (long long)m->model->config.vocab);
    }
    m->encoder = xr_encoder_create(m->tokenizer);
    return true;
}

static void list_unspoken(XrChatModel *m) {
    const XrConfig *c = &m->model->config;
    m->unspoken = xr_malloc(sizeof *m->unspoken * (size_t)c->vocab);
    for (int32_t id = 0; id < c->vocab; id++) {
        size_t bytes;
        bool picture = c->has_vision && (id == c->image_token || id == c->video_token);
        if (!picture && xr_tokenizer_bytes(m->tokenizer, id, &bytes)) continue;
        m->unspoken[m->unspoken_count++] = id;
    }
}

bool xr_chat_model_open(XrChatModel **out, XrBackend *backend, const char *folder,
                        const XrChatModelOptions *options, XrBuffer *notice, XrError *err) {
    XrChatModel *m = xr_calloc(1, sizeof *m);
    bool ok = (options->unplaced ? xr_model_open_unplaced : xr_model_open)(
                  &m->model, backend, folder, options->weights, options->check_finite, err) &&
              open_text(m, folder, notice, err) &&
              open_processor(m, folder, options, notice, err) &&
              xr_generation_config_read(&m->generation, folder, &m->model->config, err);
    if (ok) {
        list_unspoken(m);
    } else {
        xr_chat_model_close(m);
        m = NULL;
    }
    *out = m;
    return ok;
}

void xr_chat_model_close(XrChatModel *m) {
    if (!m) return;
    xr_encoder_free(m->encoder);
    xr_tokenizer_free(m->tokenizer);
    xr_chat_template_free(&m->chat_template);
    xr_model_close(m->model);
    free(m->unspoken);
    free(m);
}
