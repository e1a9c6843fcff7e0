// GSM8K, MATH-500, AIME, MMLU-Pro, and questions of one's own.
#include "shared/base/memory.h"
#include "shared/dataset/example.h"
#include "shared/eval/adapter.h"
#include "shared/eval/official.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// The question as published, without options and pictures.
static void take_question(XrItem *item, char *text) {
    item->question_text = text;
    xr_item_content_text(&item->question, text, strlen(text));
}

// ---- GSM8K: {"question", "answer": "… #### 42"} ----

static bool gsm8k_convert(const XrRow *row, XrItem *item, XrError *err) {
    const char *answer = xr_row_text(row, "answer");
    const char *mark = answer ? strstr(answer, "#### ") : NULL;
    if (!mark) return xr_row_wrong(row, "answer", "a solution that ends in \"#### NUMBER\"", err);
    char *question = NULL;
    if (!xr_row_need(row, "question", &question, err)) return false;
    take_question(item, question);
    XrSpan gold = xr_span_trim(xr_span_of(mark + strlen("#### ")));
    item->published_gold = xr_strndup(gold.data, gold.bytes);
    item->solution = xr_gsm8k_solution(answer, (size_t)(mark - answer));
    item->kind = XR_ANSWER_MATH;
    xr_item_add_gold(item, item->published_gold);
    return true;
}

const struct XrAdapter XR_ADAPT_GSM8K = {NULL, gsm8k_convert, xr_official_gsm8k};

// ---- MATH-500 and AIME: a problem and its answer ----

static const char *const PROBLEM_KEYS[] = {"problem", "Problem", "question", NULL};
static const char *const ANSWER_KEYS[] = {"answer", "Answer", "final_answer", NULL};
static const char *const SOLUTION_KEYS[] = {"solution", "Solution", NULL};
static const char *const PROBLEM_IDS[] = {"unique_id", "id", "ID", NULL};

// The problem; in Open-Reasoner-Zero's copies, the first message of "prompt".
static char *problem_of(const XrRow *row) {
    char *text = xr_row_copy_any(row, PROBLEM_KEYS);
    if (text) return text;
    const cJSON *prompt = xr_row_get(row, "prompt");
    if (cJSON_IsString(prompt)) return xr_strdup(prompt->valuestring);
    return xr_row_copy_value(
        cJSON_GetObjectItemCaseSensitive(cJSON_GetArrayItem(prompt, 0), "value"));
}

static bool math_convert(const XrRow *row, XrItem *item, XrError *err) {
    char *question = problem_of(row);
    if (!question) return xr_row_wrong(row, "problem", "a text", err);
    take_question(item, question);
    item->published_gold = xr_row_copy_any(row, ANSWER_KEYS);
    if (!item->published_gold || !*item->published_gold) {
        return xr_row_wrong(row, "answer", "a text or a number", err);
    }
    xr_item_take_id(item, row, PROBLEM_IDS);
    item->subject = xr_row_copy(row, "subject");
    item->solution = xr_row_copy_any(row, SOLUTION_KEYS);
    xr_item_take_tag(item, row, "level", "level");
    item->kind = XR_ANSWER_MATH;
    xr_item_add_gold(item, item->published_gold);
    return true;
}

// Answers are integers from 0 to 999, some of them published with zeros in front.
static bool aime_convert(const XrRow *row, XrItem *item, XrError *err) {
    if (!math_convert(row, item, err)) return false;
    char *end, digits[16];
    long value = strtol(item->published_gold, &end, 10);
    if (*end || value < 0 || value > 999) {
        xr_item_set_problem(item, XR_ITEM_WRONG_GOLD,
                            "the answer \"%.40s\" is no integer below 1000", item->published_gold);
        return true;
    }
    snprintf(digits, sizeof digits, "%ld", value);
    free(item->golds[0]);
    item->golds[0] = xr_strdup(digits);
    return true;
}

const struct XrAdapter XR_ADAPT_MATH = {NULL, math_convert, NULL};
const struct XrAdapter XR_ADAPT_AIME = {NULL, aime_convert, xr_official_aime};

// ---- MMLU-Pro ----

static bool mmlu_pro_belongs(const XrRow *row, const char *subset) {
    const char *category = xr_row_text(row, "category");
    return !category || strcmp(category, subset) == 0;
}

// "N/A" pads lists of options; the benchmark's own code drops it.
static void drop_padding(XrItem *item) {
    while (item->option_count && strcmp(item->options[item->option_count - 1].text, "N/A") == 0) {
        XrItemOption *last = &item->options[--item->option_count];
        xr_item_content_free(&last->content);
        free(last->text);
    }
}

static void compare_index(const XrRow *row, XrItem *item) {
    const cJSON *index = xr_row_get(row, "answer_index");
    if (!index || !item->gold_count) return;
    char *text = xr_row_copy_value(index);
    if (text && atoi(text) != item->golds[0][0] - 'A') {
        xr_item_set_note(item, "the answer is %s and answer_index is %s; the letter counts",
                         item->golds[0], text);
    }
    free(text);
}

static bool mmlu_pro_convert(const XrRow *row, XrItem *item, XrError *err) {
    static const char *const ids[] = {"question_id", NULL};
    char *question = NULL;
    if (!xr_row_need(row, "question", &question, err)) return false;
    take_question(item, question);
    if (!xr_item_take_options(item, row, "options", err)) return false;
    drop_padding(item);
    if (!item->option_count) return xr_row_wrong(row, "options", "a list that is not empty", err);
    if (!xr_row_need(row, "answer", &item->published_gold, err)) return false;
    xr_item_take_id(item, row, ids);
    item->subject = xr_row_copy(row, "category");
    item->solution = xr_row_copy(row, "cot_content");
    xr_item_take_tag(item, row, "src", "source");
    xr_item_gold_letter(item, item->published_gold);
    compare_index(row, item);
    return true;
}

const struct XrAdapter XR_ADAPT_MMLU_PRO = {mmlu_pro_belongs, mmlu_pro_convert,
                                            xr_official_mmlu_pro};

// ---- questions of one's own: {"question", "options", "answer", "images", …} ----

static bool generic_pictures(const XrRow *row, XrItem *item, XrError *err) {
    const cJSON *images = xr_row_get(row, "images"), *image = xr_row_get(row, "image");
    XrRowPictures pictures = {0};
    bool ok = !images || cJSON_IsArray(images);
    int count = 0;
    const cJSON *value = images ? images->child : image;
    for (; value && ok; value = images ? value->next : NULL) {
        ok = count < XR_ROW_MOST_PICTURES;
        char *path = ok ? xr_row_picture(row, value) : NULL;
        ok = path != NULL;
        if (ok) pictures.paths[++count] = path;
    }
    if (ok) {
        xr_item_place_pictures(item, item->question_text, &pictures);
        xr_item_need_marked(item, row, &pictures);
    }
    xr_row_pictures_free(&pictures);
    return ok ||
           xr_row_wrong(row, images ? "images" : "image", "paths of at most 16 pictures", err);
}

// A letter, if it is one of the options'; otherwise the text of an option.
static void generic_choice(XrItem *item, const char *gold) {
    bool letter = gold[0] >= 'A' && gold[0] < 'A' + item->option_count && !gold[1];
    if (letter)
        xr_item_gold_letter(item, gold);
    else
        xr_item_gold_option(item, gold);
}

// "answer" may be a list of answers any of which is right.
static bool generic_golds(const XrRow *row, XrItem *item, XrError *err) {
    static const char *const keys[] = {"answer_idx", "gold", "label", "final_answer", "answer"};
    const cJSON *gold = NULL;
    for (size_t i = 0; i < XR_COUNT(keys) && !gold; i++) gold = xr_row_get(row, keys[i]);
    const cJSON *value = cJSON_IsArray(gold) ? gold->child : gold;
    for (; value; value = cJSON_IsArray(gold) ? value->next : NULL) {
        char *text = xr_row_copy_value(value);
        if (!text) return xr_row_wrong(row, "answer", "a text, a number, or a list of them", err);
        if (!item->published_gold) item->published_gold = xr_strdup(text);
        if (item->option_count)
            generic_choice(item, text);
        else
            xr_item_add_gold(item, text);
        free(text);
    }
    return item->published_gold || xr_row_wrong(row, "answer", "there", err);
}

static bool generic_kind(const XrRow *row, XrItem *item, XrError *err) {
    const char *kind = xr_row_text(row, "kind");
    item->kind = item->option_count ? XR_ANSWER_CHOICE : XR_ANSWER_MATH;
    if (!kind || strcmp(kind, xr_answer_kind_name(item->kind)) == 0) return true;
    if (strcmp(kind, "text") == 0 && !item->option_count) {
        item->kind = XR_ANSWER_TEXT;
        return true;
    }
    return xr_row_wrong(row, "kind", "\"choice\" with options, \"math\" or \"text\" without", err);
}

static bool generic_convert(const XrRow *row, XrItem *item, XrError *err) {
    static const char *const questions[] = {"question", "problem", "input", "prompt", NULL};
    static const char *const ids[] = {"id", "unique_id", "question_id", NULL};
    static const char *const subjects[] = {"subject", "category", NULL};
    item->question_text = xr_row_copy_any(row, questions);
    if (!item->question_text) return xr_row_wrong(row, "question", "a text", err);
    const char *options = xr_row_get(row, "options") ? "options" : "choices";
    xr_item_take_id(item, row, ids);
    item->subject = xr_row_copy_any(row, subjects);
    item->solution = xr_row_copy(row, "solution");
    return xr_item_take_options(item, row, options, err) && generic_kind(row, item, err) &&
           generic_golds(row, item, err) && generic_pictures(row, item, err);
}

const struct XrAdapter XR_ADAPT_GENERIC = {NULL, generic_convert, NULL};
