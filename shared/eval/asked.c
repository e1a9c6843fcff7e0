#include "shared/eval/asked.h"

#include "shared/base/memory.h"
#include "shared/prompt/question.h"

#define XXH_INLINE_ALL
#include <xxhash.h> // defines: XXH3_64bits, XXH3_64bits_withSeed

#include <stdlib.h>
#include <string.h>

enum { PICTURE_ESTIMATE = 4096 }; // bytes of text that take about as long as a picture

static bool load_template(XrAsking *a, XrError *err) {
    const char *name = a->config->prompt_template;
    if (strcmp(name, "auto") == 0) name = "reasoning";
    if (strcmp(name, "none") == 0) name = "plain";
    if (xr_prompt_kind_find(name, &a->options.kind)) return true;
    a->options.kind = XR_PROMPT_TEMPLATE;
    if (!xr_question_template_load(&a->template_text, name, err)) {
        return xr_fail_in(err, "\"prompt_template\" is reasoning, direct, plain or a file");
    }
    a->options.template_text = a->template_text.data;
    return true;
}

static bool load_fewshot(XrAsking *a, XrError *err) {
    XrRunConfig config = {.eval_dataset = a->config->fewshot_dataset};
    if (a->config->num_fewshot == 0) return true;
    if (!config.eval_dataset.count) {
        return xr_fail(err, XR_ERR_INPUT,
                       "\"num_fewshot\" needs \"fewshot_dataset\": say where the worked examples "
                       "are");
    }
    return xr_suite_open(&a->fewshot, &config, err) || xr_fail_in(err, "fewshot_dataset");
}

bool xr_asking_open(XrAsking *out, const XrRunConfig *config, XrError *err) {
    *out = (XrAsking){.config = config};
    out->options.system = config->system_prompt;
    out->options.without_pictures = config->without_images;
    if (!load_template(out, err) || !load_fewshot(out, err)) return false;
    const char *text = out->options.template_text;
    out->starts_in_thinking =
        out->options.kind == XR_PROMPT_REASONING || (text && strstr(text, "<think>") != NULL);
    return true;
}

void xr_asking_close(XrAsking *asking) {
    xr_buffer_free(&asking->template_text);
    xr_suite_close(&asking->fewshot);
}

int xr_asking_chat(const XrAsking *a, const XrItem *item, XrChat *out) {
    XrItemPromptOptions options = a->options;
    const XrItem *shots[64];
    *out = (XrChat){0};
    for (int s = 0; s < a->fewshot.count; s++) {
        const XrSuiteSet *set = &a->fewshot.sets[s];
        bool same = set->benchmark == item->benchmark;
        if (!same && !(a->fewshot.count == 1)) continue;
        options.shots = shots;
        options.shot_count =
            xr_item_pick_shots(&set->items, item, (int)a->config->num_fewshot, shots);
    }
    xr_item_prompt(out, item, &options);
    return options.shot_count;
}

static void add_part(XrBuffer *out, const XrChatPart *part) {
    xr_buffer_text(out, part->image ? "{\"type\": \"image\", \"image\": "
                                    : "{\"type\": \"text\", \"text\": ");
    xr_buffer_json(out, part->text, part->bytes);
    xr_buffer_byte(out, '}');
}

static void add_message(XrBuffer *out, const XrChatMessage *m) {
    xr_buffer_text(out, "{\"role\": ");
    xr_buffer_json(out, m->role, strlen(m->role));
    xr_buffer_text(out, ", \"content\": ");
    if (m->part_count == 1 && !m->parts[0].image) {
        xr_buffer_json(out, m->parts[0].text, m->parts[0].bytes);
    } else {
        for (int i = 0; i < m->part_count; i++) {
            xr_buffer_text(out, i ? ", " : "[");
            add_part(out, &m->parts[i]);
        }
        xr_buffer_text(out, m->part_count ? "]" : "\"\"");
    }
    xr_buffer_byte(out, '}');
}

static char *messages_of(const XrChat *chat) {
    XrBuffer out = {0};
    xr_buffer_byte(&out, '[');
    for (int i = 0; i < chat->count; i++) {
        if (i) xr_buffer_text(&out, ", ");
        add_message(&out, &chat->messages[i]);
    }
    xr_buffer_byte(&out, ']');
    return out.data;
}

static void ask(XrAsked *out, const XrAsking *asking, const XrSuite *suite, XrSuiteRef at,
                uint64_t settings) {
    const XrItem *item = xr_suite_item(suite, at);
    const char *benchmark = item->benchmark->name;
    XrChat chat;
    int shots = xr_asking_chat(asking, item, &chat);
    uint64_t number = XXH3_64bits(benchmark, strlen(benchmark));
    number = XXH3_64bits_withSeed(item->id, strlen(item->id), number);
    *out = (XrAsked){
        .at = at, .item = item, .number = number, .messages = messages_of(&chat), .shots = shots};
    size_t bytes = strlen(out->messages);
    out->key = XXH3_64bits_withSeed(out->messages, bytes, number ^ settings);
    out->estimate = (int64_t)bytes + (int64_t)PICTURE_ESTIMATE * chat.image_count;
    out->done = xr_calloc((size_t)asking->config->num_generations, sizeof *out->done);
    xr_chat_free(&chat);
}

static int longest_first(const void *a, const void *b) {
    const XrAsked *x = a, *y = b;
    if (x->estimate != y->estimate) return x->estimate < y->estimate ? 1 : -1;
    if (x->at.set != y->at.set) return x->at.set < y->at.set ? -1 : 1;
    return (x->at.item > y->at.item) - (x->at.item < y->at.item);
}

void xr_asked_list(XrAskedList *out, const XrAsking *asking, const XrSuite *suite,
                   const XrBuffer *settings) {
    uint64_t hash = XXH3_64bits(settings->data, settings->length);
    *out = (XrAskedList){.sets = suite->count};
    out->items = xr_calloc((size_t)suite->total + 1, sizeof *out->items);
    out->places = (int64_t **)xr_calloc((size_t)suite->count, sizeof(int64_t *));
    for (int s = 0; s < suite->count; s++) {
        const XrSuiteSet *set = &suite->sets[s];
        out->places[s] = xr_malloc(sizeof(int64_t) * ((size_t)set->items.count + 1));
        for (int64_t i = 0; i < set->items.count; i++) {
            bool usable = set->items.items[i].problem == XR_ITEM_USABLE;
            out->places[s][i] = -1;
            if (!set->chosen[i] || !usable) continue;
            ask(&out->items[out->count++], asking, suite, (XrSuiteRef){s, i}, hash);
        }
    }
    qsort(out->items, (size_t)out->count, sizeof *out->items, longest_first);
    for (int64_t i = 0; i < out->count; i++) {
        out->places[out->items[i].at.set][out->items[i].at.item] = i;
    }
}

void xr_asked_list_free(XrAskedList *list) {
    for (int64_t i = 0; i < list->count; i++) {
        free(list->items[i].messages);
        free(list->items[i].done);
    }
    for (int s = 0; s < list->sets; s++) free(list->places[s]);
    free((void *)list->places);
    free(list->items);
    *list = (XrAskedList){0};
}

XrAsked *xr_asked_find(const XrAskedList *list, XrSuiteRef at) {
    int64_t place = list->places[at.set][at.item];
    return place < 0 ? NULL : &list->items[place];
}
