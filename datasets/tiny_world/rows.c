#include "datasets/tiny_world/rows.h"

#include "datasets/tiny_world/picture.h"
#include "shared/base/file.h"
#include "shared/base/memory.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

const char *xr_world_set_name(XrWorldSet set) {
    static const char *const names[XR_WORLD_SETS] = {"base", "think", "answer", "questions"};
    return names[set];
}

// ---- the base model's mix ----

// Shares of the tasks, and of pictures among each.
static const struct {
    XrWorldTask task; // XR_WORLD_TASKS: a fact
    double share, pictures;
} MIX[] = {
    {XR_WORLD_LIST, 0.26, 0.65},   {XR_WORLD_VALUES, 0.22, 0.60}, {XR_WORLD_TASKS, 0.20, 0},
    {XR_WORLD_DIRECT, 0.12, 0.50}, {XR_WORLD_SLOPPY, 0.20, 0.50},
};

// How many of the pictures show the end of a list whose beginning is told in words, as documents
// with pictures among their text do: words and pictures then share one way of being read.
static const double MIXED = 0.25;

// How often the base model sees states in its thinking: mostly in short lists, rarely in long ones.
static double full_share(int count) {
    return count == 2 ? 0.7 : count == 3 ? 0.6 : count == 4 ? 0.2 : 0.1;
}

static void base_row(XrWorldRow *row) {
    XrWorldDraw *draw = &row->draw;
    XrWorldDomain domain = (XrWorldDomain)xr_world_draw_below(draw, XR_WORLD_DOMAINS);
    double at = xr_world_draw_between(draw, 0, 1);
    size_t i = 0;
    while (i + 1 < XR_COUNT(MIX) && at >= MIX[i].share) at -= MIX[i++].share;
    XrWorldTask task = MIX[i].task;
    if (task == XR_WORLD_TASKS) {
        xr_world_fact(&row->prompt, &row->completion, draw, domain);
        return;
    }
    int count = 2 + xr_world_draw_below(draw, XR_WORLD_LONGEST - 1);
    row->has_question = true;
    row->question = xr_world_draw_question(draw, domain, XR_WORLD_TRAIN, count);
    row->picture = xr_world_draw_chance(draw, MIX[i].pictures);
    if (task == XR_WORLD_SLOPPY && xr_world_draw_chance(draw, full_share(count))) {
        task = XR_WORLD_FULL;
    }
    if (row->picture && xr_world_draw_chance(draw, MIXED)) {
        row->told = 1 + xr_world_draw_below(draw, count - 1);
        xr_world_seen(&row->before, &row->question, row->told);
    }
    xr_world_prompt(&row->prompt, &row->question, task, row->picture);
    xr_world_completion(&row->completion, &row->question, task, 0);
}

// ---- conversations and questions of post-training ----

enum { LOOPS = 25 };

static double loop_share(int count) {
    return count <= 5 ? 0.05 : count == 6 ? 0.2 : count == 7 ? 0.35 : 0.8;
}

static void question_row(XrWorldRow *row, const XrWorldSetOptions *options, int64_t index) {
    XrWorldDraw *draw = &row->draw;
    XrWorldDomain domain = options->domain == XR_WORLD_DOMAINS
                               ? (XrWorldDomain)(index % XR_WORLD_DOMAINS)
                               : options->domain;
    int64_t turn = options->domain == XR_WORLD_DOMAINS ? index / XR_WORLD_DOMAINS : index;
    int count = 3 + (int)(turn % (XR_WORLD_LONGEST - 2));
    bool gold = options->set == XR_WORLD_SET_QUESTIONS;
    row->has_question = true;
    row->picture = options->pictures;
    row->question =
        xr_world_draw_question(draw, domain, gold ? options->split : XR_WORLD_TRAIN, count);
    XrWorldTask task = options->set == XR_WORLD_SET_THINK ? XR_WORLD_FULL : XR_WORLD_UNASKED;
    bool loops = task == XR_WORLD_FULL && xr_world_draw_chance(draw, loop_share(count));
    xr_world_prompt(&row->prompt, &row->question, task, row->picture);
    if (gold)
        xr_buffer_byte(&row->completion, xr_world_answer(&row->question));
    else
        xr_world_completion(&row->completion, &row->question, task, loops ? LOOPS : 0);
}

// Streams of random numbers: a set and a split have their own, so that none repeats another's.
static uint64_t stream_of(const XrWorldSetOptions *options, int64_t index) {
    return (uint64_t)index * XR_WORLD_SETS * XR_WORLD_SPLITS +
           (uint64_t)options->set * XR_WORLD_SPLITS + (uint64_t)options->split;
}

void xr_world_row(XrWorldRow *out, const XrWorldSetOptions *options, int64_t index) {
    *out = (XrWorldRow){.draw = {.seed = options->seed, .stream = stream_of(options, index)}};
    if (options->set == XR_WORLD_SET_BASE)
        base_row(out);
    else
        question_row(out, options, index);
}

void xr_world_row_free(XrWorldRow *row) {
    xr_buffer_free(&row->before);
    xr_buffer_free(&row->prompt);
    xr_buffer_free(&row->completion);
}

// ---- files ----

static void add_messages(XrBuffer *line, const XrWorldRow *row, const char *picture) {
    xr_buffer_text(line, "{\"messages\": [{\"role\": \"user\", \"content\": ");
    if (row->picture) {
        xr_buffer_byte(line, '[');
        if (row->before.length) {
            xr_buffer_text(line, "{\"type\": \"text\", \"text\": ");
            xr_buffer_json(line, row->before.data, row->before.length);
            xr_buffer_text(line, "}, ");
        }
        xr_buffer_format(line,
                         "{\"type\": \"image\", \"image\": \"%s\"}, {\"type\": \"text\", "
                         "\"text\": ",
                         picture);
    }
    xr_buffer_json(line, row->prompt.data, row->prompt.length);
    xr_buffer_text(line, row->picture ? "}]}, " : "}, ");
    xr_buffer_text(line, "{\"role\": \"assistant\", \"content\": ");
    xr_buffer_json(line, row->completion.data, row->completion.length);
    xr_buffer_text(line, "}]}\n");
}

static void add_question(XrBuffer *line, const XrWorldRow *row, const char *picture,
                         const XrWorldSetOptions *options, int64_t index) {
    xr_buffer_format(line, "{\"id\": \"%s-%s-%s-%" PRId64 "\", \"question\": ",
                     xr_world_domain_name(row->question.domain), row->picture ? "picture" : "text",
                     xr_world_split_name(options->split), index);
    xr_buffer_json(line, row->prompt.data, row->prompt.length);
    xr_buffer_format(line, ", \"answer\": \"%s\"", row->completion.data);
    if (row->picture) xr_buffer_format(line, ", \"image\": \"%s\"", picture);
    xr_buffer_text(line, "}\n");
}

static bool write_picture(XrWorldRow *row, const char *folder, const char *name, XrWorldSplit split,
                          XrError *err) {
    XrWorldQuestion shown = {.domain = row->question.domain,
                             .count = row->question.count - row->told};
    memcpy(shown.kinds, row->question.kinds + row->told, (size_t)shown.count);
    XrImage image = xr_world_picture(&row->draw, &shown, split);
    char *path = xr_path_join(folder, name);
    bool ok = xr_world_write_png(path, &image, err);
    free(path);
    xr_image_free(&image);
    return ok;
}

static bool write_rows(XrWriter *writer, const char *folder, const XrWorldSetOptions *options,
                       XrError *err) {
    XrBuffer line = {0};
    bool ok = true;
    for (int64_t i = 0; ok && i < options->rows; i++) {
        XrWorldRow row;
        char picture[64];
        xr_world_row(&row, options, i);
        snprintf(picture, sizeof picture, "pictures/%s-%" PRId64 ".png",
                 xr_world_set_name(options->set), i);
        XrWorldSplit split =
            options->set == XR_WORLD_SET_QUESTIONS ? options->split : XR_WORLD_TRAIN;
        ok = !row.picture || write_picture(&row, folder, picture, split, err);
        xr_buffer_clear(&line);
        if (options->set == XR_WORLD_SET_QUESTIONS)
            add_question(&line, &row, picture, options, i);
        else
            add_messages(&line, &row, picture);
        xr_writer_write(writer, line.data, line.length);
        xr_world_row_free(&row);
    }
    xr_buffer_free(&line);
    return ok;
}

bool xr_world_write_set(const char *folder, const XrWorldSetOptions *options, XrError *err) {
    bool pictures = options->pictures || options->set == XR_WORLD_SET_BASE;
    char *picture_folder = xr_path_join(folder, "pictures");
    char name[32];
    snprintf(name, sizeof name, "%s.jsonl", xr_world_set_name(options->set));
    char *path = xr_path_join(folder, name);
    XrWriter writer;
    bool ok = xr_make_folders(pictures ? picture_folder : folder, err) &&
              xr_writer_open(&writer, path, err);
    if (ok) {
        ok = write_rows(&writer, folder, options, err);
        if (ok)
            ok = xr_writer_commit(&writer, err);
        else
            xr_writer_abort(&writer);
    }
    free(path);
    free(picture_folder);
    return ok;
}
