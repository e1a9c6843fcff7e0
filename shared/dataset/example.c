#include "shared/dataset/example.h"

#include "shared/base/memory.h"
#include "shared/prompt/question.h"

#include <stdlib.h>
#include <string.h>

void xr_example_free(XrExample *example) {
    xr_chat_free(&example->chat);
    free(example->question);
    for (int i = 0; i < example->option_count; i++) free(example->options[i]);
    for (int i = 0; i < example->image_count; i++) free(example->images[i]);
    free(example->response);
    free(example->gold);
    free(example->id);
    *example = (XrExample){0};
}

// A relative path of a picture is meant from the folder of the data file.
static void place_picture(const char *data_path, char **path) {
    const char *slash = strrchr(data_path, '/');
    if (**path == '/' || !slash) return;
    char *folder = xr_strndup(data_path, (size_t)(slash - data_path) + 1);
    char *placed = xr_path_join(folder, *path);
    free(folder);
    free(*path);
    *path = placed;
}

static void place_pictures(const char *data_path, XrExample *e) {
    for (int i = 0; i < e->image_count; i++) place_picture(data_path, &e->images[i]);
    for (int i = 0; i < e->chat.image_count; i++) {
        XrChatPart *part = xr_chat_image(&e->chat, i);
        place_picture(data_path, &part->text);
        part->bytes = strlen(part->text);
    }
}

bool xr_example_read(XrExample *out, const XrRows *rows, int64_t row, const XrFormat *format,
                     XrError *err) {
    XrJson json;
    *out = (XrExample){0};
    if (!xr_rows_parse(rows, row, &json, err)) return false;
    bool ok = format->convert(&json, json.root, out, err) ||
              xr_fail_in(err, "format \"%s\"", format->name);
    if (ok && json.nul_mark[0] && out->question) {
        ok = xr_fail(err, XR_ERR_INPUT, "%s: holds the character U+0000; remove it", json.name);
    }
    xr_json_free(&json);
    if (ok)
        place_pictures(rows->path, out);
    else
        xr_example_free(out);
    return ok;
}

static void add_question(XrChat *chat, const XrExample *e, const char *template_text) {
    XrBuffer options = {0}, text = {0};
    xr_buffer_text(&options, "");
    xr_question_options(&options, (const char *const *)e->options, e->option_count);
    xr_question_fill(&text, template_text, e->question, options.data);
    xr_chat_add_message(chat, "user");
    for (int i = 0; i < e->image_count; i++) xr_chat_add_image(chat, e->images[i], 0);
    xr_chat_add_text(chat, text.data ? text.data : "", text.length);
    xr_buffer_free(&options);
    xr_buffer_free(&text);
}

bool xr_example_take_chat(XrChat *out, XrExample *e, const char *template_text, bool response,
                          XrError *err) {
    *out = e->chat;
    e->chat = (XrChat){0};
    if (!e->question) return true;
    add_question(out, e, template_text);
    if (!response) return true;
    if (!e->response) {
        xr_chat_free(out);
        return xr_fail(err, XR_ERR_INPUT,
                       "the row has a question and its answer, but nothing to imitate; this format "
                       "is for grpo and eval");
    }
    xr_chat_add_message(out, "assistant");
    xr_chat_add_text(out, e->response, strlen(e->response));
    return true;
}
