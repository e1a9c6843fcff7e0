// MMMU and MMMU-Pro.
#include "shared/base/memory.h"
#include "shared/eval/adapter.h"
#include "shared/eval/literal.h"
#include "shared/eval/official.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// The subject of "validation_Art_Theory_12", to be freed, or NULL.
static char *subject_of_id(const char *id) {
    const char *first = id ? strchr(id, '_') : NULL, *last = id ? strrchr(id, '_') : NULL;
    if (!first || last <= first) return NULL;
    return xr_strndup(first + 1, (size_t)(last - first - 1));
}

static char *id_of(const XrRow *row) {
    char *id = xr_row_copy(row, "id");
    return id || !row->data->key ? id : xr_strdup(row->data->key);
}

// The subset "health": the five subjects of Health & Medicine.
static bool mmmu_belongs(const XrRow *row, const char *subset) {
    static const char *const health[] = {"Basic_Medical_Science", "Clinical_Medicine",
                                         "Diagnostics_and_Laboratory_Medicine", "Pharmacy",
                                         "Public_Health"};
    XR_REQUIRE(strcmp(subset, "health") == 0, "MMMU has no subset \"%s\"", subset);
    char *id = id_of(row), *subject = xr_row_copy(row, "subject");
    if (!subject) subject = subject_of_id(id);
    bool found = !subject; // what cannot be told is not dropped
    for (size_t i = 0; i < XR_COUNT(health) && !found; i++) found = strcmp(subject, health[i]) == 0;
    free(id);
    free(subject);
    return found;
}

static void take_pictures(const XrRow *row, XrItem *item) {
    XrRowPictures pictures = {0};
    char key[24];
    for (int n = 1; n <= XR_ROW_MOST_PICTURES; n++) {
        snprintf(key, sizeof key, "image_%d", n);
        pictures.paths[n] = xr_row_picture(row, xr_row_get(row, key));
    }
    xr_item_place_pictures(item, item->question_text, &pictures);
    xr_item_need_marked(item, row, &pictures);
    xr_row_pictures_free(&pictures);
}

// Open questions have one gold answer or several, as a list or as a Python list in a text.
static bool open_golds(const XrRow *row, XrItem *item, const cJSON *gold, XrError *err) {
    char *texts[XR_ITEM_MOST_GOLDS];
    const cJSON *value = cJSON_IsArray(gold) ? gold->child : gold;
    item->kind = XR_ANSWER_MATH;
    for (; value; value = cJSON_IsArray(gold) ? value->next : NULL) {
        char *text = xr_row_copy_value(value);
        if (!text) return xr_row_wrong(row, "answer", "a text or a list of texts", err);
        int count = text[0] == '[' ? xr_literal_list(text, texts, XR_ITEM_MOST_GOLDS, NULL) : -1;
        for (int i = 0; i < count; i++) {
            xr_item_add_gold(item, texts[i]);
            free(texts[i]);
        }
        if (count < 0) xr_item_add_gold(item, text);
        if (!item->published_gold) item->published_gold = xr_strdup(text);
        free(text);
    }
    return item->gold_count > 0 || xr_row_wrong(row, "answer", "there", err);
}

static bool take_golds(const XrRow *row, XrItem *item, XrError *err) {
    const cJSON *gold = xr_row_get(row, "answer");
    if (!gold) gold = xr_row_get(row, "ground_truth");
    item->question_type = xr_row_copy(row, "question_type");
    bool choice = item->question_type ? strcmp(item->question_type, "multiple-choice") == 0
                                      : item->option_count > 0;
    if (!gold) return xr_row_wrong(row, "answer", "there", err);
    if (!choice) return open_golds(row, item, gold, err);
    if (!cJSON_IsString(gold)) return xr_row_wrong(row, "answer", "a letter", err);
    item->published_gold = xr_strdup(gold->valuestring);
    xr_item_gold_letter(item, gold->valuestring);
    return true;
}

static bool mmmu_convert(const XrRow *row, XrItem *item, XrError *err) {
    char *id = id_of(row);
    // Published answer files and outputs have no question, but can be judged.
    const char *options = xr_row_get(row, "options") ? "options" : "index2ans";
    item->question_text = xr_row_copy(row, "question");
    bool asked =
        item->question_text || xr_row_get(row, "ground_truth") || xr_row_get(row, "response");
    if (!item->question_text) item->question_text = xr_strdup("");
    xr_item_set_id(item, id);
    if (!asked) return xr_row_wrong(row, "question", "a text", err);
    if (!*item->question_text)
        xr_item_set_note(item, "the file holds no question, only its answer");
    item->subject = xr_row_copy(row, "subject");
    if (!item->subject) item->subject = subject_of_id(item->id);
    item->solution = xr_row_copy(row, "explanation");
    xr_item_take_tag(item, row, "topic_difficulty", "difficulty");
    xr_item_take_tag(item, row, "subfield", "subfield");
    xr_item_take_tag(item, row, "img_type", "picture");
    if (!xr_item_take_options(item, row, options, err) || !take_golds(row, item, err)) return false;
    take_pictures(row, item);
    return true;
}

const struct XrAdapter XR_ADAPT_MMMU = {mmmu_belongs, mmmu_convert, xr_official_mmmu};

// MMMU-Pro's vision rows have a picture in which question and options are drawn.
static bool mmmu_pro_convert(const XrRow *row, XrItem *item, XrError *err) {
    const cJSON *image = xr_row_get(row, "image");
    if (!image || xr_row_get(row, "question")) return mmmu_convert(row, item, err);
    static const char *const ids[] = {"id", NULL};
    xr_item_take_id(item, row, ids);
    item->question_text = xr_strdup("Answer the question in the picture.");
    item->options_in_picture = true;
    item->subject = xr_row_copy(row, "subject");
    if (!item->subject) item->subject = subject_of_id(item->id);
    if (!xr_item_take_options(item, row, "options", err) || !take_golds(row, item, err))
        return false;
    xr_item_place_picture(item, row, item->question_text, image);
    return true;
}

const struct XrAdapter XR_ADAPT_MMMU_PRO = {mmmu_belongs, mmmu_pro_convert, xr_official_mmmu_pro};
