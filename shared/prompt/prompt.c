#include "shared/prompt/prompt.h"

static bool add_picture(XrPrompt *out, const XrChatModel *m, const char *path, XrError *err) {
    if (!m->model->config.has_vision) {
        return xr_fail(err, XR_ERR_INPUT, "%s: the model in %s is for text only", path,
                       m->model->folder);
    }
    XrThreads *threads = m->model->backend->threads;
    return xr_pixels_append_file(&out->pixels, &m->processor, path, NULL, threads, err);
}

bool xr_prompt_from_chat(XrPrompt *out, const XrChatModel *m, XrChat *chat, XrChatOptions options,
                         XrError *err) {
    *out = (XrPrompt){0};
    bool ok = true;
    for (int i = 0; ok && i < chat->image_count; i++) {
        XrChatPart *part = xr_chat_image(chat, i);
        ok = add_picture(out, m, part->text, err);
        if (ok) part->image_tokens = xr_grid_tokens(&out->pixels.grids[i], &m->processor);
    }
    ok = ok && xr_chat_render(&m->chat_template, m->encoder, chat, options, &out->tokens, err);
    if (!ok) xr_prompt_free(out);
    return ok;
}

bool xr_prompt_from_ids(XrPrompt *out, const XrChatModel *m, const int32_t *ids, size_t count,
                        const char *const *images, int image_count, XrError *err) {
    *out = (XrPrompt){0};
    int64_t vocab = m->model->config.vocab;
    for (size_t i = 0; i < count; i++) {
        if (ids[i] < 0 || ids[i] >= vocab) {
            return xr_fail(err, XR_ERR_INPUT, "token %zu is %d, but the model has ids 0 to %lld", i,
                           ids[i], (long long)vocab - 1);
        }
    }
    bool ok = true;
    for (int i = 0; ok && i < image_count; i++) ok = add_picture(out, m, images[i], err);
    if (ok)
        xr_ids_append(&out->tokens.ids, ids, count);
    else
        xr_prompt_free(out);
    return ok;
}

void xr_prompt_free(XrPrompt *prompt) {
    xr_chat_tokens_free(&prompt->tokens);
    xr_pixels_free(&prompt->pixels);
}
