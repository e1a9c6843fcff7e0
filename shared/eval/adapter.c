#include "shared/eval/adapter.h"

#include "shared/base/file.h"
#include "shared/base/memory.h"
#include "shared/eval/literal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

const cJSON *xr_row_get(const XrRow *row, const char *key) {
    const cJSON *value = cJSON_GetObjectItemCaseSensitive(row->root, key);
    return cJSON_IsNull(value) ? NULL : value;
}

const char *xr_row_text(const XrRow *row, const char *key) {
    const cJSON *value = xr_row_get(row, key);
    return cJSON_IsString(value) ? value->valuestring : NULL;
}

char *xr_row_copy_value(const cJSON *value) {
    if (cJSON_IsString(value)) return xr_strdup(value->valuestring);
    if (!cJSON_IsNumber(value) && !cJSON_IsBool(value)) return NULL;
    char *printed = cJSON_PrintUnformatted(value), *copy = xr_strdup(printed);
    cJSON_free(printed);
    return copy;
}

char *xr_row_copy(const XrRow *row, const char *key) {
    return xr_row_copy_value(xr_row_get(row, key));
}

char *xr_row_copy_any(const XrRow *row, const char *const *keys) {
    for (; *keys; keys++) {
        char *text = xr_row_copy(row, *keys);
        if (text) return text;
    }
    return NULL;
}

bool xr_row_wrong(const XrRow *row, const char *key, const char *wanted, XrError *err) {
    return xr_fail(err, XR_ERR_INPUT, "%s: \"%s\" must be %s", row->place, key, wanted);
}

bool xr_row_need(const XrRow *row, const char *key, char **out, XrError *err) {
    const char *text = xr_row_text(row, key);
    if (!text) return xr_row_wrong(row, key, "a text", err);
    free(*out);
    *out = xr_strdup(text);
    return true;
}

// ---- parts of an item ----

void xr_item_set_id(XrItem *item, char *id) {
    if (!id || !*id) {
        free(id);
        return;
    }
    free(item->id);
    item->id = id;
    item->named = true;
}

void xr_item_take_id(XrItem *item, const XrRow *row, const char *const *keys) {
    xr_item_set_id(item, xr_row_copy_any(row, keys));
}

static void add_tag(XrItem *item, const char *name, char *value) {
    XR_REQUIRE(item->tag_count < XR_ITEM_MOST_TAGS, "more than %d tags", XR_ITEM_MOST_TAGS);
    item->tags[item->tag_count++] = (XrItemTag){name, value};
}

void xr_item_take_tag(XrItem *item, const XrRow *row, const char *key, const char *name) {
    char *value = xr_row_copy(row, key);
    if (value) add_tag(item, name, value);
}

void xr_item_add_tag(XrItem *item, const char *name, const char *value) {
    add_tag(item, name, xr_strdup(value));
}

void xr_item_add_gold(XrItem *item, const char *gold) {
    if (item->gold_count < XR_ITEM_MOST_GOLDS) item->golds[item->gold_count++] = xr_strdup(gold);
}

void xr_item_set_note(XrItem *item, const char *format, ...) {
    if (item->note) return;
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    XrBuffer note = {0};
    xr_buffer_format(&note, "%s: %s", item->place, text);
    item->note = note.data;
}

void xr_item_set_problem(XrItem *item, XrItemProblem problem, const char *format, ...) {
    if (item->problem != XR_ITEM_USABLE) return;
    char text[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    XrBuffer line = {0};
    xr_buffer_format(&line, "%s: %s", item->place, text);
    item->problem = problem;
    item->problem_text = line.data;
}

bool xr_item_add_option(XrItem *item, const char *text, XrError *err) {
    size_t count = (size_t)item->option_count;
    if (item->option_count == XR_ITEM_MOST_OPTIONS) {
        return xr_fail(err, XR_ERR_INPUT, "%s: more than %d options", item->place,
                       XR_ITEM_MOST_OPTIONS);
    }
    item->options = xr_realloc(item->options, (count + 1) * sizeof *item->options);
    XrItemOption *option = &item->options[item->option_count++];
    *option = (XrItemOption){.text = xr_strdup(text)};
    xr_item_content_text(&option->content, text, strlen(text));
    return true;
}

// The text of one option of a list: a text, a number, {"letter", "content"} or {"key", "value"}.
static char *option_text(const cJSON *option) {
    if (!cJSON_IsObject(option)) return xr_row_copy_value(option);
    char *text = xr_row_copy_value(cJSON_GetObjectItemCaseSensitive(option, "content"));
    return text ? text : xr_row_copy_value(cJSON_GetObjectItemCaseSensitive(option, "value"));
}

// What a member of a list of options calls itself, if it does: its key, "letter" or "key".
static const char *option_letter(const cJSON *option) {
    if (option->string) return option->string;
    const cJSON *letter = cJSON_GetObjectItemCaseSensitive(option, "letter");
    if (!letter) letter = cJSON_GetObjectItemCaseSensitive(option, "key");
    return cJSON_IsString(letter) ? letter->valuestring : NULL;
}

static bool take_literal_options(XrItem *item, const XrRow *row, const char *key, const char *text,
                                 XrError *err) {
    char *texts[XR_ITEM_MOST_OPTIONS];
    bool ok = true;
    int count = xr_literal_list(text, texts, XR_ITEM_MOST_OPTIONS, &item->nested_options);
    if (count < 0) {
        return xr_row_wrong(row, key, "a Python list of at most 26 texts", err);
    }
    for (int i = 0; i < count; i++) {
        ok = ok && xr_item_add_option(item, texts[i], err);
        free(texts[i]);
    }
    return ok;
}

bool xr_item_take_options(XrItem *item, const XrRow *row, const char *key, XrError *err) {
    const cJSON *options = xr_row_get(row, key), *option;
    if (!options) return true;
    if (cJSON_IsString(options)) {
        return take_literal_options(item, row, key, options->valuestring, err);
    }
    if (!cJSON_IsArray(options) && !cJSON_IsObject(options)) {
        return xr_row_wrong(row, key, "a list of options", err);
    }
    cJSON_ArrayForEach(option, options) {
        const char *letter = option_letter(option);
        char expected[2] = {(char)('A' + item->option_count), '\0'};
        char *text = option_text(option);
        bool ok = text && (!letter || strcmp(letter, expected) == 0);
        if (!ok) xr_row_wrong(row, key, "a list of texts, or texts under A, B, C …", err);
        ok = ok && xr_item_add_option(item, text, err);
        free(text);
        if (!ok) return false;
    }
    return true;
}

bool xr_item_take_lettered_options(XrItem *item, const XrRow *row, const char *prefix,
                                   XrError *err) {
    char key[32];
    bool ended = false;
    for (int i = 0; i < XR_ITEM_MOST_OPTIONS; i++) {
        snprintf(key, sizeof key, "%s%c", prefix, 'A' + i);
        char *text = xr_row_copy(row, key);
        bool any = text && *text, ok = true;
        if (any && ended) ok = xr_row_wrong(row, key, "missing, as the option before it is", err);
        if (any && ok) ok = xr_item_add_option(item, text, err);
        ended |= !any;
        free(text);
        if (!ok) return false;
    }
    return item->option_count > 0 ||
           xr_fail(err, XR_ERR_INPUT, "%s: there is no \"%sA\"", row->place, prefix);
}

// ---- the gold answer of a choice ----

static void wrong_gold(XrItem *item, const char *gold) {
    xr_item_set_problem(
        item, XR_ITEM_WRONG_GOLD,
        "the gold answer \"%.80s\" is none of the %d options; the row must be mended", gold,
        item->option_count);
}

void xr_item_gold_letter(XrItem *item, const char *gold) {
    XrSpan text = xr_span_trim(xr_span_of(gold));
    if (text.bytes == 3 && text.data[0] == '(' && text.data[2] == ')') {
        text = xr_span_cut(text, 1, 2);
    }
    bool labelled = text.bytes > 1 && strchr(":.)", text.data[1]);
    bool letter = text.bytes == 1 || labelled;
    int index = letter ? text.data[0] - 'A' : -1;
    item->kind = XR_ANSWER_CHOICE;
    if (index < 0 || index >= (item->option_count ? item->option_count : 26)) {
        wrong_gold(item, gold);
        return;
    }
    char found[2] = {text.data[0], '\0'};
    xr_item_add_gold(item, found);
}

// Texts as golds name them: case, outer space and a final full stop aside.
static bool same_text(const char *a, const char *b) {
    XrSpan left = xr_span_trim(xr_span_of(a)), right = xr_span_trim(xr_span_of(b));
    if (left.bytes && left.data[left.bytes - 1] == '.') left.bytes--;
    if (right.bytes && right.data[right.bytes - 1] == '.') right.bytes--;
    left = xr_span_trim(left);
    right = xr_span_trim(right);
    return left.bytes == right.bytes && strncasecmp(left.data, right.data, left.bytes) == 0;
}

void xr_item_gold_option(XrItem *item, const char *gold) {
    bool exact = false;
    item->kind = XR_ANSWER_CHOICE;
    for (int i = 0; i < item->option_count; i++) exact |= strcmp(item->options[i].text, gold) == 0;
    for (int i = 0; i < item->option_count; i++) {
        const char *text = item->options[i].text;
        char letter[2] = {(char)('A' + i), '\0'};
        if (exact ? strcmp(text, gold) == 0 : same_text(text, gold)) {
            xr_item_add_gold(item, letter);
        }
    }
    if (!item->gold_count) wrong_gold(item, gold);
    if (item->gold_count > 1) {
        xr_item_set_note(item, "%d options have the gold answer's text; each is right",
                         item->gold_count);
    }
}

// ---- pictures ----

static char *existing(const char *folder, const char *between, const char *path) {
    char *inner = *between ? xr_path_join(between, path) : xr_strdup(path);
    char *whole = xr_path_join(folder, inner);
    free(inner);
    if (xr_path_exists(whole)) return whole;
    free(whole);
    return NULL;
}

char *xr_row_picture(const XrRow *row, const cJSON *value) {
    if (cJSON_IsObject(value)) value = cJSON_GetObjectItemCaseSensitive(value, "path");
    if (!cJSON_IsString(value) || !value->valuestring[0]) return NULL;
    const char *path = value->valuestring, *base = row->images ? row->images : row->folder;
    if (path[0] == '/') return xr_strdup(path);
    char *found = existing(base, "", path);
    if (!found) found = existing(base, "images", path);
    bool inside = strncasecmp(path, "images/", 7) == 0; // OmniMedVQA says "Images/"
    if (!found && inside) found = existing(base, "images", path + 7);
    if (!found && inside) found = existing(base, "", path + 7);
    return found ? found : xr_path_join(base, path);
}

void xr_row_pictures_free(XrRowPictures *pictures) {
    for (int i = 0; i <= XR_ROW_MOST_PICTURES; i++) free(pictures->paths[i]);
}

// The number of the picture whose marker stands at `at`, with the marker's length; 0: none.
static int marker_at(const char *at, size_t *bytes) {
    if (strncmp(at, "<image", 6) != 0) return 0;
    const char *digit = at + 6;
    while (*digit == ' ' || *digit == '_') digit++;
    char *end;
    long number = *digit >= '0' && *digit <= '9' ? strtol(digit, &end, 10) : 0;
    if (number < 1 || number > XR_ROW_MOST_PICTURES || *end != '>') return 0;
    *bytes = (size_t)(end + 1 - at);
    return (int)number;
}

static void count_markers(const char *text, int *counts) {
    size_t bytes;
    for (const char *at = text; (at = strchr(at, '<')); at++) {
        int number = marker_at(at, &bytes);
        if (number) counts[number]++;
    }
}

// Adds a text whose markers give way to their pictures.
static void place_text(XrItemContent *out, const char *text, XrRowPictures *pictures,
                       const int *counts) {
    const char *from = text;
    size_t bytes;
    for (const char *at = text; (at = strchr(at, '<'));) {
        int number = marker_at(at, &bytes);
        if (!number || !pictures->paths[number] || pictures->placed[number]) {
            at++;
            continue;
        }
        size_t before = (size_t)(at - from) + (counts[number] > 1 ? bytes : 0);
        xr_item_content_text(out, from, before);
        xr_item_content_image(out, pictures->paths[number]);
        pictures->placed[number] = true;
        from = at += bytes;
    }
    xr_item_content_text(out, from, strlen(from));
}

void xr_item_place_pictures(XrItem *item, const char *question, XrRowPictures *pictures) {
    int counts[XR_ROW_MOST_PICTURES + 1] = {0};
    count_markers(question, counts);
    for (int i = 0; i < item->option_count; i++) count_markers(item->options[i].text, counts);
    xr_item_content_free(&item->question);
    for (int n = 1; n <= XR_ROW_MOST_PICTURES; n++) {
        if (!pictures->paths[n] || counts[n]) continue;
        xr_item_content_image(&item->question, pictures->paths[n]);
        pictures->placed[n] = true;
    }
    place_text(&item->question, question, pictures, counts);
    for (int i = 0; i < item->option_count; i++) {
        XrItemOption *option = &item->options[i];
        xr_item_content_free(&option->content);
        place_text(&option->content, option->text, pictures, counts);
    }
}

void xr_item_need_marked(XrItem *item, const XrRow *row, const XrRowPictures *pictures) {
    int counts[XR_ROW_MOST_PICTURES + 1] = {0};
    if (row->without_pictures) return;
    count_markers(item->question_text, counts);
    for (int i = 0; i < item->option_count; i++) count_markers(item->options[i].text, counts);
    for (int n = 1; n <= XR_ROW_MOST_PICTURES; n++) {
        if (!counts[n] || pictures->paths[n]) continue;
        xr_item_set_problem(item, XR_ITEM_MISSING_PICTURE,
                            "the text names <image %d>, and the row has no \"image_%d\"", n, n);
    }
}

void xr_item_place_picture(XrItem *item, const XrRow *row, const char *question,
                           const cJSON *value) {
    XrRowPictures pictures = {.paths = {[1] = xr_row_picture(row, value)}};
    if (!pictures.paths[1] && !row->without_pictures) {
        xr_item_set_problem(item, XR_ITEM_MISSING_PICTURE, "the row names no picture");
    }
    xr_item_place_pictures(item, question, &pictures);
    xr_row_pictures_free(&pictures);
}
