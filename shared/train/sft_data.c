#include "shared/train/sft_data.h"

#include "shared/base/memory.h"
#include "shared/dataset/file_format.h"
#include "shared/prompt/question.h"
#include "shared/text/chat_render.h"
#include "shared/base/interrupt.h"
#include "shared/train/lost_rows.h"
#include "shared/train/progress.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

// ---- one row ----

void xr_sft_sequence_free(XrSftSequence *sequence) {
    xr_ids_free(&sequence->ids);
    xr_pixels_free(&sequence->pixels);
    free(sequence->target);
    *sequence = (XrSftSequence){0};
}

static bool read_pictures(const XrChatModel *m, XrChat *chat, XrPixels *pixels, XrError *err) {
    for (int i = 0; i < chat->image_count; i++) {
        XrChatPart *part = xr_chat_image(chat, i);
        if (!m->model->config.has_vision) {
            return xr_fail(err, XR_ERR_INPUT, "%s: the model in %s is for text only", part->text,
                           m->model->folder);
        }
        if (!xr_pixels_append_file(pixels, &m->processor, part->text, NULL, NULL, err)) {
            return false;
        }
        part->image_tokens = xr_grid_tokens(&pixels->grids[i], &m->processor);
    }
    return true;
}

// What becomes of a row.
typedef struct Fate {
    const char *name; // "used", "truncated", "dropped", "without_target", "invalid"
    bool used;
    int32_t length, targets; // tokens it had, targets that are left
    char *why;               // it is invalid; owned
} Fate;

static Fate judge(const XrSftDataSettings *settings, const XrChatTokens *tokens,
                  const bool *target) {
    int64_t length = (int64_t)tokens->ids.count, kept = XR_MIN(length, settings->max_length);
    bool over = length > kept, cut = false;
    Fate fate = {"used", true, (int32_t)length, 0, NULL};
    for (int64_t i = kept; i < length; i++) cut |= tokens->tokens[i].kind == XR_CHAT_IMAGE;
    for (int64_t i = 1; i < kept; i++) fate.targets += target[i];
    if (over) fate.name = "truncated";
    if (over && (cut || settings->overlong == XR_OVERLONG_DROP)) {
        fate.name = "dropped";
        fate.used = false;
    } else if (fate.targets == 0) {
        fate.name = "without_target";
        fate.used = false;
    }
    return fate;
}

// Renders a row; on success the sequence holds all of its tokens.
static bool render_row(const XrSftData *d, XrEncoder *encoder, XrSftItem item, XrSftSequence *out,
                       Fate *fate, XrError *err) {
    const XrSftSource *source = &d->sources[item.source];
    const XrChatModel *m = d->chat_model;
    XrExample example;
    XrChat chat = {0};
    XrChatTokens tokens = {0};
    *out = (XrSftSequence){0};
    if (!xr_example_read(&example, &source->rows, item.row, source->format, err)) return false;
    bool ok = xr_example_take_chat(&chat, &example, d->template_text.data, true, err) &&
              read_pictures(m, &chat, &out->pixels, err) &&
              xr_chat_render(&m->chat_template, encoder, &chat, (XrChatOptions){0}, &tokens, err);
    if (ok) {
        out->target = xr_calloc(tokens.ids.count + 1, sizeof *out->target);
        for (size_t i = 0; i < tokens.ids.count; i++) {
            out->target[i] = xr_chat_is_target(&chat, &tokens.tokens[i]);
        }
        *fate = judge(&d->settings, &tokens, out->target);
        out->ids = tokens.ids;
        tokens.ids = (XrIds){0};
    } else {
        xr_fail_in(err, "%s:%" PRId64, source->rows.path, source->rows.line[item.row]);
    }
    xr_chat_tokens_free(&tokens);
    xr_chat_free(&chat);
    xr_example_free(&example);
    if (!ok) xr_sft_sequence_free(out);
    return ok;
}

bool xr_sft_data_sequence(const XrSftData *d, int64_t index, XrSftSequence *out, XrError *err) {
    Fate fate;
    if (!render_row(d, d->chat_model->encoder, d->items[index], out, &fate, err)) return false;
    if ((int64_t)out->ids.count > d->settings.max_length) {
        out->ids.count = (size_t)d->settings.max_length;
    }
    return true;
}

// ---- all rows ----

enum { ROWS_AT_A_TIME = 2048 };

typedef struct Scan {
    const XrSftData *data;
    XrEncoder **encoders; // one a thread
    const XrSftItem *items;
    Fate *fates;
    pthread_mutex_t mutex;
    int64_t failed; // the first row that failed, or -1
    XrError err;
} Scan;

static void scan_rows(void *context, int64_t begin, int64_t end, int thread) {
    Scan *scan = context;
    for (int64_t i = begin; i < end; i++) {
        XrSftSequence sequence;
        XrError err = {0};
        if (render_row(scan->data, scan->encoders[thread], scan->items[i], &sequence,
                       &scan->fates[i], &err)) {
            xr_sft_sequence_free(&sequence);
            continue;
        }
        if (scan->data->settings.drop_invalid && xr_lost_row_may_drop(&err)) {
            scan->fates[i] = (Fate){"invalid", false, -1, 0, xr_strdup(err.message)};
            continue;
        }
        pthread_mutex_lock(&scan->mutex);
        if (scan->failed < 0 || i < scan->failed) {
            scan->failed = i;
            scan->err = err;
        }
        pthread_mutex_unlock(&scan->mutex);
    }
}

// Books one row: counted, and kept when it is trained on.
static bool book(XrSftData *d, XrSftItem item, const Fate *fate, XrLineFile *lost, XrError *err) {
    XrSftCounts *c = &d->counts;
    const XrRows *rows = &d->sources[item.source].rows;
    bool over = fate->length > d->settings.max_length;
    if (over && d->settings.overlong == XR_OVERLONG_ERROR) {
        return xr_fail(err, XR_ERR_INPUT,
                       "%s:%" PRId64 ": the row has %d tokens, max_length is %" PRId64
                       "; raise it, or set \"overlong\" to truncate or drop",
                       rows->path, rows->line[item.row], fate->length, d->settings.max_length);
    }
    c->read++;
    if (strcmp(fate->name, "truncated") == 0) c->truncated++;
    if (strcmp(fate->name, "dropped") == 0) c->dropped++;
    if (strcmp(fate->name, "without_target") == 0) c->without_target++;
    if (strcmp(fate->name, "invalid") == 0) c->invalid++;
    if (strcmp(fate->name, "used") != 0 &&
        !xr_lost_row_write(lost, rows, item.row, (XrLostRow){fate->name, fate->length, fate->why},
                           err)) {
        return false;
    }
    if (!fate->used) return true;
    int64_t at = c->used++;
    d->items[at] = item;
    d->tokens[at] = (int32_t)XR_MIN((int64_t)fate->length, d->settings.max_length);
    d->targets[at] = fate->targets;
    c->tokens += d->tokens[at];
    c->targets += fate->targets;
    return true;
}

// Looks at all of d->items, `count` of them, and keeps those that are trained on.
static bool scan_all(XrSftData *d, int64_t count, XrLineFile *lost, XrError *err) {
    XrThreads *threads = d->chat_model->model->backend->threads;
    int encoders = xr_threads_count(threads);
    Scan scan = {.data = d,
                 .encoders = xr_calloc((size_t)encoders, sizeof(void *)),
                 .fates = xr_calloc(ROWS_AT_A_TIME, sizeof *scan.fates),
                 .mutex = PTHREAD_MUTEX_INITIALIZER,
                 .failed = -1};
    for (int i = 0; i < encoders; i++) {
        scan.encoders[i] = xr_encoder_create(d->chat_model->tokenizer);
    }
    XrProgress progress = xr_progress_begin("reading data", "rows", 0, count);
    XrSftItem *some = xr_malloc(ROWS_AT_A_TIME * sizeof *some);
    scan.items = some;
    bool ok = true;
    for (int64_t first = 0; ok && first < count; first += ROWS_AT_A_TIME) {
        int64_t rows = XR_MIN(ROWS_AT_A_TIME, count - first);
        memcpy(some, d->items + first, (size_t)rows * sizeof *some);
        xr_parallel(threads, rows, 8, scan_rows, &scan);
        if (scan.failed >= 0) *err = scan.err;
        ok = scan.failed < 0;
        for (int64_t i = 0; i < rows; i++) {
            ok = ok && book(d, some[i], &scan.fates[i], lost, err);
            free(scan.fates[i].why);
            scan.fates[i].why = NULL;
        }
        if (ok && xr_interrupted()) ok = xr_fail(err, XR_ERR_INTERRUPTED, "interrupted");
        if (ok) xr_progress_update(&progress, first + rows, "");
    }
    xr_progress_end(&progress);
    for (int i = 0; i < encoders; i++) xr_encoder_free(scan.encoders[i]);
    free(scan.encoders);
    free(scan.fates);
    free(some);
    return ok;
}

// Which rows of a file are asked for, and in which format they are.
static bool open_source(XrSftData *d, const XrDatasetSpec *spec, int64_t *first, int64_t *end,
                        XrError *err) {
    XrSftSource *source = &d->sources[d->source_count];
    if (!xr_rows_open(&source->rows, spec->path, err)) return false;
    d->source_count++;
    int64_t count = source->rows.count;
    *first = XR_MIN(spec->skip, count);
    *end = spec->limit ? XR_MIN(count, *first + spec->limit) : count;
    source->format =
        xr_file_format(&source->rows, spec->format, *first, *end, d->settings.drop_invalid, err);
    return source->format != NULL;
}

static bool open_sources(XrSftData *d, const XrDatasetList *datasets, int64_t *count,
                         XrError *err) {
    d->sources = xr_calloc((size_t)datasets->count + 1, sizeof *d->sources);
    *count = 0;
    for (int i = 0; i < datasets->count; i++) {
        int64_t first, end;
        if (!open_source(d, &datasets->items[i], &first, &end, err)) return false;
        size_t rows = (size_t)(*count + end - first) + 1;
        d->items = xr_realloc(d->items, rows * sizeof *d->items);
        for (int64_t row = first; row < end; row++) d->items[(*count)++] = (XrSftItem){i, row};
    }
    return true;
}

static bool nothing_left(const XrSftData *d, XrError *err) {
    const XrSftCounts *c = &d->counts;
    return xr_fail(err, XR_ERR_INPUT,
                   "no row is left to train on: %" PRId64 " read, %" PRId64 " dropped for their "
                   "length (max_length %" PRId64 "), %" PRId64
                   " without an assistant's token within it, %" PRId64 " invalid",
                   c->read, c->dropped, d->settings.max_length, c->without_target, c->invalid);
}

bool xr_sft_data_open(XrSftData *out, const XrChatModel *chat_model, const XrDatasetList *datasets,
                      const XrSftDataSettings *settings, XrLineFile *lost, XrError *err) {
    *out = (XrSftData){.chat_model = chat_model, .settings = *settings};
    const char *wanted = settings->prompt_template;
    const char *name = strcmp(wanted, "auto") == 0   ? "x_reasoner_train"
                       : strcmp(wanted, "none") == 0 ? "plain"
                                                     : wanted;
    int64_t count = 0;
    bool ok = xr_question_template_load(&out->template_text, name, err) &&
              open_sources(out, datasets, &count, err);
    if (ok) {
        out->tokens = xr_malloc(((size_t)count + 1) * sizeof *out->tokens);
        out->targets = xr_malloc(((size_t)count + 1) * sizeof *out->targets);
        ok = scan_all(out, count, lost, err) && (out->counts.used || nothing_left(out, err));
    }
    if (!ok) xr_sft_data_close(out);
    return ok;
}

void xr_sft_data_close(XrSftData *data) {
    for (int i = 0; i < data->source_count; i++) xr_rows_close(&data->sources[i].rows);
    free(data->sources);
    free(data->items);
    free(data->tokens);
    free(data->targets);
    xr_buffer_free(&data->template_text);
    *data = (XrSftData){0};
}
