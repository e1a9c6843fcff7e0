// MedQA, OmniMedVQA, MedXpertQA, the image challenge of the NEJM.
#include "shared/base/file.h"
#include "shared/base/memory.h"
#include "shared/eval/adapter.h"
#include "shared/eval/official.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// The question's pictures, none of which has a marker, and its options, which stand at its end.
static void place_split(XrItem *item, XrRowPictures *pictures) {
    char *stem = xr_item_split_question(item);
    xr_item_place_pictures(item, stem ? stem : item->question_text, pictures);
    if (!stem && !item->option_count) {
        xr_item_set_note(item, "the options cannot be told apart; asked as it stands");
    }
    free(stem);
}

// A label: "B", or ["B"].
static bool take_label(const XrRow *row, XrItem *item, const char *key, XrError *err) {
    const cJSON *label = xr_row_get(row, key);
    if (cJSON_IsArray(label) && cJSON_GetArraySize(label) == 1) label = label->child;
    if (!cJSON_IsString(label)) return xr_row_wrong(row, key, "the letter of an option", err);
    item->published_gold = xr_strdup(label->valuestring);
    return true;
}

// ---- MedQA: as published, as harnesses lay it out, and as multiple-choice loaders want it ----

// {"sent1", "ending0" … "ending3", "label": 1}
static bool medqa_endings(const XrRow *row, XrItem *item, XrError *err) {
    char key[24];
    for (int i = 0; i < XR_ITEM_MOST_OPTIONS; i++) {
        snprintf(key, sizeof key, "ending%d", i);
        const char *text = xr_row_text(row, key);
        if (!text) break;
        if (!xr_item_add_option(item, text, err)) return false;
    }
    char *label = xr_row_copy(row, "label");
    if (!label) return xr_row_wrong(row, "label", "the number of an option, from 0", err);
    char letter[2] = {(char)('A' + atoi(label)), '\0'};
    free(label);
    item->published_gold = xr_strdup(letter);
    return true;
}

// A benchmark of 4 options, or of 5, must not be given the other's file.
static void check_number(XrItem *item) {
    int wanted = atoi(item->benchmark->subset);
    if (!item->option_count || item->option_count == wanted) return;
    xr_item_set_problem(item, XR_ITEM_MALFORMED,
                        "%d options, where %s has %d: is it the other file?", item->option_count,
                        item->benchmark->title, wanted);
}

static bool medqa_convert(const XrRow *row, XrItem *item, XrError *err) {
    static const char *const ids[] = {"id", NULL}, *const questions[] = {"question", "sent1", NULL};
    item->question_text = xr_row_copy_any(row, questions);
    if (!item->question_text) return xr_row_wrong(row, "question", "a text", err);
    xr_item_take_id(item, row, ids);
    xr_item_take_tag(item, row, "meta_info", "step");
    bool endings = xr_row_get(row, "ending0"), labelled = xr_row_get(row, "label");
    if (endings ? !medqa_endings(row, item, err)
                : !xr_item_take_options(item, row, "options", err) ||
                      !take_label(row, item, labelled ? "label" : "answer_idx", err)) {
        return false;
    }
    XrRowPictures none = {0};
    place_split(item, &none);
    xr_item_gold_letter(item, item->published_gold);
    check_number(item);
    return true;
}

const struct XrAdapter XR_ADAPT_MEDQA = {NULL, medqa_convert, NULL};

// ---- OmniMedVQA ----

static bool omnimedvqa_convert(const XrRow *row, XrItem *item, XrError *err) {
    static const char *const ids[] = {"question_id", NULL};
    if (!xr_row_need(row, "question", &item->question_text, err) ||
        !xr_row_need(row, "gt_answer", &item->published_gold, err) ||
        !xr_item_take_lettered_options(item, row, "option_", err)) {
        return false;
    }
    xr_item_take_id(item, row, ids);
    item->subject = xr_row_copy(row, "modality_type");
    if (!item->subject) item->subject = xr_row_copy(row, "modality");
    xr_item_take_tag(item, row, "question_type", "question_type");
    xr_item_take_tag(item, row, "dataset", "dataset");
    xr_item_gold_option(item, item->published_gold);
    xr_item_place_picture(item, row, item->question_text, xr_row_get(row, "image_path"));
    return true;
}

const struct XrAdapter XR_ADAPT_OMNIMEDVQA = {NULL, omnimedvqa_convert, xr_official_omnimedvqa};

// ---- MedXpertQA: Text, and MM with several pictures ----

static bool medxpertqa_pictures(const XrRow *row, XrRowPictures *out, XrError *err) {
    const cJSON *images = xr_row_get(row, "images"), *image;
    int count = 0;
    cJSON_ArrayForEach(image, images) {
        const cJSON *path = cJSON_GetObjectItemCaseSensitive(image, "image_path");
        char *file = count < XR_ROW_MOST_PICTURES ? xr_row_picture(row, path ? path : image) : NULL;
        if (!file)
            return xr_row_wrong(row, "images", "a list of at most 16 names of pictures", err);
        out->paths[++count] = file;
    }
    return true;
}

static bool medxpertqa_convert(const XrRow *row, XrItem *item, XrError *err) {
    static const char *const ids[] = {"id", NULL};
    XrRowPictures pictures = {0};
    if (!xr_row_need(row, "question", &item->question_text, err) ||
        !xr_item_take_options(item, row, "options", err) || !take_label(row, item, "label", err)) {
        return false;
    }
    bool ok = medxpertqa_pictures(row, &pictures, err);
    if (ok && !pictures.paths[1] && item->benchmark->pictures && !row->without_pictures) {
        xr_item_set_problem(item, XR_ITEM_MISSING_PICTURE, "the row names no picture");
    }
    if (ok) place_split(item, &pictures);
    xr_row_pictures_free(&pictures);
    xr_item_take_id(item, row, ids);
    item->subject = xr_row_copy(row, "body_system");
    xr_item_take_tag(item, row, "medical_task", "medical_task");
    xr_item_take_tag(item, row, "question_type", "question_type");
    if (ok) xr_item_gold_letter(item, item->published_gold);
    return ok;
}

const struct XrAdapter XR_ADAPT_MEDXPERTQA = {NULL, medxpertqa_convert, xr_official_medxpertqa};

// ---- NEJM ----

// The published table names no pictures: one named after the challenge's number is looked for.
static void nejm_picture(const XrRow *row, XrItem *item) {
    static const char *const endings[] = {"jpg", "jpeg", "png", "webp"};
    const cJSON *image = xr_row_get(row, "image");
    XrBuffer name = {0};
    bool found = image != NULL;
    cJSON *guess = NULL;
    for (size_t i = 0; i < XR_COUNT(endings) && !found; i++) {
        xr_buffer_clear(&name);
        xr_buffer_format(&name, "%s.%s", item->id, endings[i]);
        cJSON_Delete(guess);
        guess = cJSON_CreateString(name.data);
        char *path = xr_row_picture(row, guess);
        found = path && xr_path_exists(path);
        free(path);
    }
    xr_item_place_picture(item, row, item->question_text, image ? image : guess);
    cJSON_Delete(guess);
    xr_buffer_free(&name);
}

static bool nejm_convert(const XrRow *row, XrItem *item, XrError *err) {
    static const char *const ids[] = {"image_id", "id", NULL};
    static const char *const answers[] = {"correct_answer", "answer", NULL};
    bool listed = xr_row_get(row, "options");
    if (!xr_row_need(row, "question", &item->question_text, err) ||
        (listed ? !xr_item_take_options(item, row, "options", err)
                : !xr_item_take_lettered_options(item, row, "option_", err))) {
        return false;
    }
    item->published_gold = xr_row_copy_any(row, answers);
    if (!item->published_gold) return xr_row_wrong(row, "correct_answer", "a letter", err);
    xr_item_take_id(item, row, ids);
    xr_item_take_tag(item, row, "relevant_context", "relevant_context");
    if (item->published_gold[0] && !item->published_gold[1])
        xr_item_gold_letter(item, item->published_gold);
    else
        xr_item_gold_option(item, item->published_gold);
    nejm_picture(row, item);
    return true;
}

const struct XrAdapter XR_ADAPT_NEJM = {NULL, nejm_convert, NULL};
