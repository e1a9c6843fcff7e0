#include "shared/cli/conversation.h"

#include "shared/base/memory.h"

#include <string.h>

static int64_t rows_of(const XrPixels *pixels, int64_t count) {
    int64_t rows = 0;
    for (int64_t i = 0; i < count; i++) rows += xr_grid_rows(&pixels->grids[i]);
    return rows;
}

static void append_pixels(XrPixels *to, const XrPixels *from) {
    if (from->count == 0) return;
    size_t row = sizeof *to->values * (size_t)from->columns;
    to->columns = from->columns;
    if (to->rows + from->rows > to->capacity) {
        to->capacity = to->rows + from->rows;
        to->values = xr_realloc(to->values, row * (size_t)to->capacity);
    }
    memcpy((char *)to->values + row * (size_t)to->rows, from->values, row * (size_t)from->rows);
    size_t grids = sizeof *to->grids * (size_t)(to->count + from->count);
    to->grids = xr_realloc(to->grids, grids);
    memcpy(to->grids + to->count, from->grids, sizeof *to->grids * (size_t)from->count);
    to->rows += from->rows;
    to->count += from->count;
}

// Renders one message of the user. Behind an earlier turn, a system message stands in for what the
// conversation holds already, and is left out: from the line end that follows its last token on,
// the ids are those of the turn.
static bool render(const XrConversation *c, XrPrompt *prompt, size_t *from, const char *text,
                   size_t bytes, const char *const *pictures, int count, XrError *err) {
    XrChat chat = {0};
    bool first = c->ids.count == 0;
    if (!first || c->system) {
        const char *system = first ? c->system : "-";
        xr_chat_add_message(&chat, "system");
        xr_chat_add_text(&chat, system, strlen(system));
    }
    xr_chat_add_message(&chat, "user");
    for (int i = 0; i < count; i++) xr_chat_add_image(&chat, pictures[i], 0);
    xr_chat_add_text(&chat, text, bytes);
    XrChatOptions options = {.add_generation_prompt = true};
    bool ok = xr_prompt_from_chat(prompt, c->model, &chat, options, err);
    *from = 0;
    if (ok && !first) {
        int32_t end = xr_tokenizer_eos(c->model->tokenizer);
        while (prompt->tokens.tokens[*from].message != 1) (*from)++;
        while (prompt->tokens.ids.data[*from - 1] != end) (*from)--;
    }
    xr_chat_free(&chat);
    return ok;
}

bool xr_conversation_ask(XrConversation *c, const char *text, size_t bytes,
                         const char *const *pictures, int picture_count, XrError *err) {
    XrPrompt prompt;
    size_t from;
    if (!render(c, &prompt, &from, text, bytes, pictures, picture_count, err)) return false;
    xr_ids_append(&c->ids, prompt.tokens.ids.data + from, prompt.tokens.ids.count - from);
    append_pixels(&c->pixels, &prompt.pixels);
    xr_prompt_free(&prompt);
    return true;
}

void xr_conversation_answer(XrConversation *c, const int32_t *ids, int64_t count) {
    int32_t end = xr_tokenizer_eos(c->model->tokenizer);
    xr_ids_append(&c->ids, ids, (size_t)count);
    if (c->ids.data[c->ids.count - 1] != end) xr_ids_append(&c->ids, &end, 1);
}

void xr_conversation_cut(XrConversation *c, size_t count, int64_t pictures) {
    c->ids.count = count;
    c->pixels.rows = rows_of(&c->pixels, pictures);
    c->pixels.count = pictures;
}

void xr_conversation_free(XrConversation *c) {
    xr_ids_free(&c->ids);
    xr_pixels_free(&c->pixels);
}
