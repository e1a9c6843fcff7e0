#include "shared/train/questions.h"

#include "shared/base/memory.h"
#include "shared/dataset/file_format.h"
#include "shared/prompt/question.h"
#include "shared/text/chat_render.h"
#include "shared/train/lost_rows.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

typedef struct Reader {
    XrQuestions *out;
    const XrChatModel *chat_model;
    const XrRunConfig *config;
    XrBuffer template_text;
    XrLineFile *lost;
    bool drop_invalid;
    int64_t most_tokens; // of a prompt
    int64_t capacity;
} Reader;

static void question_free(XrQuestion *q) {
    free(q->id);
    free(q->prompt);
    free(q->messages);
    free(q->question);
    free(q->gold);
    for (int i = 0; i < q->option_count; i++) free(q->options[i]);
}

void xr_questions_close(XrQuestions *questions) {
    for (int64_t i = 0; i < questions->count; i++) question_free(&questions->items[i]);
    for (int i = 0; i < questions->sources; i++) free(questions->paths[i]);
    free(questions->items);
    free((void *)questions->paths);
    free(questions->hashes);
    *questions = (XrQuestions){0};
}

void xr_questions_say(const char *what, const XrQuestions *q) {
    fprintf(stderr,
            "%s: %" PRId64 " rows, %" PRId64 " questions; %" PRId64
            " rows without a gold answer, %" PRId64 " prompts too long, %" PRId64 " invalid\n",
            what, q->read, q->count, q->without_gold, q->overlong, q->invalid);
}

static char *name_of(const XrExample *example, const char *path, int64_t row) {
    if (example->id) return xr_strdup(example->id);
    const char *slash = strrchr(path, '/');
    XrBuffer text = {0};
    xr_buffer_format(&text, "%s:%" PRId64, slash ? slash + 1 : path, row);
    return text.data;
}

// {"role": ROLE, "content": TEXT}, ...
static char *messages_of(const XrChat *chat) {
    XrBuffer out = {0};
    xr_buffer_text(&out, "");
    for (int i = 0; i < chat->count; i++) {
        const XrChatMessage *m = &chat->messages[i];
        XrBuffer text = {0};
        for (int k = 0; k < m->part_count; k++) {
            xr_buffer_append(&text, m->parts[k].text, m->parts[k].bytes);
        }
        xr_buffer_text(&out, i ? ", {\"role\": " : "{\"role\": ");
        xr_buffer_json(&out, m->role, strlen(m->role));
        xr_buffer_text(&out, ", \"content\": ");
        xr_buffer_json(&out, text.data ? text.data : "", text.length);
        xr_buffer_byte(&out, '}');
        xr_buffer_free(&text);
    }
    return out.data;
}

// Moves what the verifier needs out of the example; the prompt's ids are copied.
static void add_question(Reader *r, XrExample *example, const XrChat *chat, const XrIds *ids,
                         const char *path, int64_t row) {
    XrQuestions *out = r->out;
    if (out->count == r->capacity) {
        r->capacity = 2 * r->capacity + 64;
        out->items = xr_realloc(out->items, sizeof *out->items * (size_t)r->capacity);
    }
    XrQuestion *q = &out->items[out->count++];
    *q = (XrQuestion){.id = name_of(example, path, row),
                      .source = out->sources - 1,
                      .row = row,
                      .prompt = xr_malloc(sizeof *q->prompt * ids->count),
                      .prompt_count = (int64_t)ids->count,
                      .messages = messages_of(chat),
                      .question = example->question ? example->question : xr_strdup(""),
                      .gold = example->gold,
                      .option_count = example->option_count};
    memcpy(q->prompt, ids->data, sizeof *q->prompt * ids->count);
    memcpy((void *)q->options, (void *)example->options, sizeof q->options);
    out->longest = XR_MAX(out->longest, q->prompt_count);
    example->question = example->gold = NULL;
    example->option_count = 0;
}

static bool read_row(Reader *r, const XrRows *rows, int64_t row, const XrFormat *format,
                     XrError *err) {
    const XrChatModel *m = r->chat_model;
    XrExample example;
    XrChat chat = {0};
    XrChatTokens tokens = {0};
    if (!xr_example_read(&example, rows, row, format, err)) return false;
    r->out->read++;
    bool ok = true;
    if (!example.gold) {
        r->out->without_gold++;
        ok = xr_lost_row_write(r->lost, rows, row, (XrLostRow){"without_gold", -1, NULL}, err);
    } else if (example.image_count || example.chat.image_count) {
        ok = xr_fail(err, XR_ERR_UNSUPPORTED,
                     "the row has pictures; rollouts are for questions in text");
    } else {
        ok = xr_example_take_chat(&chat, &example, r->template_text.data, false, err) &&
             xr_chat_render(&m->chat_template, m->encoder, &chat,
                            (XrChatOptions){.add_generation_prompt = true}, &tokens, err);
        int64_t length = (int64_t)tokens.ids.count;
        bool over = ok && length > r->most_tokens;
        if (over) r->out->overlong++;
        if (over)
            ok = xr_lost_row_write(r->lost, rows, row, (XrLostRow){"too_long", length, NULL}, err);
        else if (ok)
            add_question(r, &example, &chat, &tokens.ids, rows->path, row);
    }
    if (!ok) xr_fail_in(err, "%s:%" PRId64, rows->path, rows->line[row]);
    xr_chat_tokens_free(&tokens);
    xr_chat_free(&chat);
    xr_example_free(&example);
    return ok;
}

static void add_source(XrQuestions *out, const XrRows *rows) {
    size_t count = (size_t)++out->sources;
    out->paths = (char **)xr_realloc((void *)out->paths, sizeof *out->paths * count);
    out->hashes = xr_realloc(out->hashes, sizeof *out->hashes * count);
    out->paths[count - 1] = xr_strdup(rows->path);
    out->hashes[count - 1] = rows->hash;
}

// One that cannot be read is left out where that is asked for.
static bool take_row(Reader *r, const XrRows *rows, int64_t row, const XrFormat *format,
                     XrError *err) {
    if (read_row(r, rows, row, format, err)) return true;
    if (!r->drop_invalid || !xr_lost_row_may_drop(err)) return false;
    r->out->invalid++;
    XrLostRow fate = {"invalid", -1, err->message};
    XrError failure;
    if (xr_lost_row_write(r->lost, rows, row, fate, &failure)) return true;
    *err = failure;
    return false;
}

static bool read_file(Reader *r, const XrDatasetSpec *spec, XrError *err) {
    XrRows rows;
    if (!xr_rows_open(&rows, spec->path, err)) return false;
    add_source(r->out, &rows);
    int64_t end = rows.count, most = r->config->max_items;
    if (spec->limit) end = XR_MIN(end, spec->skip + spec->limit);
    if (most) end = XR_MIN(end, spec->skip + most);
    const XrFormat *format =
        xr_file_format(&rows, spec->format, spec->skip, end, r->drop_invalid, err);
    bool ok = format != NULL;
    for (int64_t row = spec->skip; ok && row < end; row++) {
        ok = take_row(r, &rows, row, format, err);
    }
    xr_rows_close(&rows);
    return ok;
}

static bool nothing_left(const XrQuestions *q, XrError *err) {
    return xr_fail(err, XR_ERR_INPUT,
                   "no question is left to sample for: of %" PRId64 " rows, %" PRId64
                   " have no gold answer, %" PRId64 " prompts are too long and %" PRId64
                   " are invalid; check the datasets and \"max_prompt_length\"",
                   q->read, q->without_gold, q->overlong, q->invalid);
}

bool xr_questions_open(XrQuestions *out, const XrChatModel *chat_model, const XrRunConfig *config,
                       const XrDatasetList *datasets, int64_t context, XrLineFile *lost,
                       XrError *err) {
    *out = (XrQuestions){0};
    Reader r = {.out = out,
                .chat_model = chat_model,
                .config = config,
                .lost = lost,
                .drop_invalid = strcmp(config->invalid_rows, "drop") == 0,
                .most_tokens = context - 1};
    if (config->max_prompt_length) {
        r.most_tokens = XR_MIN(r.most_tokens, config->max_prompt_length);
    }
    const char *wanted = config->prompt_template;
    const char *name = strcmp(wanted, "auto") == 0   ? "x_reasoner_train"
                       : strcmp(wanted, "none") == 0 ? "plain"
                                                     : wanted;
    bool ok = xr_question_template_load(&r.template_text, name, err);
    for (int i = 0; ok && i < datasets->count; i++) {
        ok = read_file(&r, &datasets->items[i], err);
    }
    ok = ok && (out->count || nothing_left(out, err));
    xr_buffer_free(&r.template_text);
    if (!ok) xr_questions_close(out);
    return ok;
}
