// MathVista, MathVision, MMStar: one picture a question.
#include "shared/base/memory.h"
#include "shared/eval/adapter.h"
#include "shared/eval/official.h"

#include <stdlib.h>
#include <string.h>

// ---- MathVista ----

// What form an open answer must have: the judging rules depend on it, so that it must be told.
static void add_answer_form(const XrItem *item, XrBuffer *text) {
    if (strcmp(item->answer_type, "integer") == 0) {
        xr_buffer_text(text, "\nAnswer with an integer.");
    } else if (strcmp(item->answer_type, "float") == 0) {
        xr_buffer_format(text, "\nAnswer with a number with %d decimal place%s.", item->precision,
                         item->precision == 1 ? "" : "s");
    } else if (strcmp(item->answer_type, "list") == 0) {
        xr_buffer_text(text, "\nAnswer with a list of numbers, as [1, 2, 3].");
    }
}

static void mathvista_tags(const XrRow *row, XrItem *item) {
    static const char *const names[] = {"task", "context", "grade", "source", "language"};
    XrRow metadata = *row;
    metadata.root = xr_row_get(row, "metadata");
    if (!metadata.root) return;
    item->subject = xr_row_copy(&metadata, "task");
    for (size_t i = 1; i < XR_COUNT(names); i++) {
        xr_item_take_tag(item, &metadata, names[i], names[i]);
    }
}

static bool mathvista_types(const XrRow *row, XrItem *item, XrError *err) {
    item->precision = -1;
    const cJSON *precision = xr_row_get(row, "precision");
    if (cJSON_IsNumber(precision)) item->precision = precision->valueint;
    item->unit = xr_row_copy(row, "unit");
    return xr_row_need(row, "question_type", &item->question_type, err) &&
           xr_row_need(row, "answer_type", &item->answer_type, err) &&
           (strcmp(item->answer_type, "float") != 0 ||
            (item->precision >= 0 && item->precision <= 15) ||
            xr_row_wrong(row, "precision", "a number of decimal places", err));
}

// A published number stands in the question's unit, which an answer may name.
static void open_golds(XrItem *item) {
    item->kind = XR_ANSWER_TYPED;
    xr_item_add_gold(item, item->published_gold);
    if (!item->unit) return;
    XrBuffer with_unit = {0};
    xr_buffer_format(&with_unit, "%s %s", item->published_gold, item->unit);
    xr_item_add_gold(item, with_unit.data);
    xr_buffer_free(&with_unit);
}

static bool mathvista_convert(const XrRow *row, XrItem *item, XrError *err) {
    static const char *const ids[] = {"pid", NULL};
    XrBuffer text = {0};
    if (!xr_row_need(row, "question", &item->question_text, err) ||
        !mathvista_types(row, item, err) || !xr_item_take_options(item, row, "choices", err)) {
        return false;
    }
    item->published_gold = xr_row_copy(row, "answer");
    if (!item->published_gold) return xr_row_wrong(row, "answer", "a text", err);
    if (row->data->key) xr_item_set_id(item, xr_strdup(row->data->key));
    xr_item_take_id(item, row, ids);
    xr_item_take_tag(item, row, "question_type", "question_type");
    xr_item_take_tag(item, row, "answer_type", "answer_type");
    mathvista_tags(row, item);
    if (strcmp(item->question_type, "multi_choice") == 0) {
        xr_item_gold_option(item, item->published_gold);
    } else {
        open_golds(item);
    }
    xr_buffer_text(&text, item->question_text);
    if (item->unit) xr_buffer_format(&text, " (Unit: %s)", item->unit);
    if (!item->option_count) add_answer_form(item, &text);
    xr_item_place_picture(item, row, text.data, xr_row_get(row, "image"));
    xr_buffer_free(&text);
    return true;
}

const struct XrAdapter XR_ADAPT_MATHVISTA = {NULL, mathvista_convert, xr_official_mathvista};

// ---- MathVision ----

static bool mathvision_convert(const XrRow *row, XrItem *item, XrError *err) {
    static const char *const ids[] = {"id", NULL};
    if (!xr_row_need(row, "question", &item->question_text, err) ||
        !xr_item_take_options(item, row, "options", err)) {
        return false;
    }
    item->published_gold = xr_row_copy(row, "answer");
    if (!item->published_gold) return xr_row_wrong(row, "answer", "a text", err);
    xr_item_take_id(item, row, ids);
    item->subject = xr_row_copy(row, "subject");
    item->solution = xr_row_copy(row, "solution");
    xr_item_take_tag(item, row, "level", "level");
    xr_item_add_tag(item, "question_type", item->option_count ? "choice" : "free");
    if (item->option_count) {
        xr_item_gold_letter(item, item->published_gold);
    } else {
        item->kind = XR_ANSWER_MATH;
        xr_item_add_gold(item, item->published_gold);
    }
    xr_item_place_picture(item, row, item->question_text, xr_row_get(row, "image"));
    return true;
}

const struct XrAdapter XR_ADAPT_MATHVISION = {NULL, mathvision_convert, xr_official_mathvision};

// ---- MMStar: the options stand in the question ----

static bool mmstar_convert(const XrRow *row, XrItem *item, XrError *err) {
    static const char *const ids[] = {"index", NULL};
    if (!xr_row_need(row, "question", &item->question_text, err) ||
        !xr_row_need(row, "answer", &item->published_gold, err)) {
        return false;
    }
    xr_item_take_id(item, row, ids);
    item->subject = xr_row_copy(row, "category");
    xr_item_take_tag(item, row, "l2_category", "l2_category");
    char *stem = xr_item_split_question(item);
    if (!stem) xr_item_set_note(item, "the options cannot be told apart; asked as it stands");
    xr_item_gold_letter(item, item->published_gold);
    xr_item_place_picture(item, row, stem ? stem : item->question_text, xr_row_get(row, "image"));
    free(stem);
    return true;
}

const struct XrAdapter XR_ADAPT_MMSTAR = {NULL, mmstar_convert, xr_official_mmstar};
