#include "shared/eval/item.h"

#include "shared/base/memory.h"

#include <stdlib.h>
#include <string.h>

const char *xr_answer_kind_name(XrAnswerKind kind) {
    static const char *const names[] = {"choice", "math", "text", "typed"};
    return names[kind];
}

const char *xr_item_problem_name(XrItemProblem problem) {
    static const char *const names[] = {"usable", "malformed", "missing_picture", "wrong_gold",
                                        "duplicate"};
    return names[problem];
}

const char *xr_item_tag(const XrItem *item, const char *name) {
    for (int i = 0; i < item->tag_count; i++) {
        if (strcmp(item->tags[i].name, name) == 0) return item->tags[i].value;
    }
    return NULL;
}

static int images_of(const XrItemContent *content) {
    int count = 0;
    for (int i = 0; i < content->count; i++) count += content->parts[i].image;
    return count;
}

int xr_item_image_count(const XrItem *item) {
    int count = images_of(&item->question);
    for (int i = 0; i < item->option_count; i++) count += images_of(&item->options[i].content);
    return count;
}

static void add_part(XrItemContent *content, XrItemPart part) {
    size_t count = (size_t)content->count;
    content->parts = xr_realloc(content->parts, (count + 1) * sizeof *content->parts);
    content->parts[content->count++] = part;
}

void xr_item_content_text(XrItemContent *content, const char *text, size_t bytes) {
    if (bytes) add_part(content, (XrItemPart){false, xr_strndup(text, bytes)});
}

void xr_item_content_image(XrItemContent *content, const char *path) {
    add_part(content, (XrItemPart){true, xr_strdup(path)});
}

void xr_item_content_free(XrItemContent *content) {
    for (int i = 0; i < content->count; i++) free(content->parts[i].text);
    free(content->parts);
    *content = (XrItemContent){0};
}

void xr_item_free(XrItem *item) {
    char *texts[] = {item->id,          item->place,         item->subject,
                     item->solution,    item->question_text, item->published_gold,
                     item->answer_type, item->question_type, item->unit,
                     item->note,        item->problem_text};
    for (size_t i = 0; i < XR_COUNT(texts); i++) free(texts[i]);
    for (int i = 0; i < item->tag_count; i++) free(item->tags[i].value);
    for (int i = 0; i < item->gold_count; i++) free(item->golds[i]);
    xr_item_content_free(&item->question);
    for (int i = 0; i < item->option_count; i++) {
        xr_item_content_free(&item->options[i].content);
        free(item->options[i].text);
    }
    free(item->options);
    *item = (XrItem){0};
}
