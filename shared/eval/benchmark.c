#include "shared/eval/benchmark.h"

#include "shared/base/memory.h"
#include "shared/base/file.h"
#include "shared/base/names.h"
#include "shared/base/utf8.h"
#include "shared/eval/adapter.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#define MMMU_FILES "validation.jsonl;*/validation*.jsonl;validation*.jsonl;*.json"

static const XrBenchmark BENCHMARKS[] = {
    {"gsm8k", "GSM8K", "openai/gsm8k (main)", "MIT", "test", 1319, "gsm8k.jsonl;test.jsonl",
     "the number after the first ####, as a string", false, &XR_ADAPT_GSM8K, NULL},
    {"math_500", "MATH-500", "HuggingFaceH4/MATH-500", "MIT", "test", 500,
     "math_500.jsonl;test.jsonl;math500.json", NULL, false, &XR_ADAPT_MATH, NULL},
    {"aime_2024", "AIME 2024", "HuggingFaceH4/aime_2024, Maxwell-Jia/AIME_2024", "MIT", "train", 30,
     "aime_2024.jsonl;train.jsonl;aime2024.json",
     "the last box, else the last \"Answer:\", as an integer", false, &XR_ADAPT_AIME, NULL},
    {"aime_2025", "AIME 2025", "opencompass/AIME2025, math-ai/aime25", "MIT", "test", 30,
     "aime_2025.jsonl;aime2025-*.jsonl;test.jsonl",
     "the last box, else the last \"Answer:\", as an integer", false, &XR_ADAPT_AIME, NULL},
    {"mmlu_pro", "MMLU-Pro", "TIGER-Lab/MMLU-Pro", "MIT", "test", 12032,
     "mmlu_pro.jsonl;test.jsonl", "three regular expressions, else a random letter", false,
     &XR_ADAPT_MMLU_PRO, NULL},
    {"mmlu_pro_health", "MMLU-Pro-Health", "TIGER-Lab/MMLU-Pro, category health", "MIT", "test",
     818, "mmlu_pro.jsonl;test.jsonl", "three regular expressions, else a random letter", false,
     &XR_ADAPT_MMLU_PRO, "health"},
    {"medqa_4", "MedQA (4 options)", "jind11/MedQA, GBaker/MedQA-USMLE-4-options", "MIT", "test",
     1273, "medqa_4.jsonl;phrases_no_exclude_test.jsonl;medqa_input.jsonl;test.jsonl", NULL, false,
     &XR_ADAPT_MEDQA, "4"},
    {"medqa_5", "MedQA (5 options)", "jind11/MedQA", "MIT", "test", 1273,
     "medqa_5.jsonl;test.jsonl", NULL, false, &XR_ADAPT_MEDQA, "5"},
    {"mmmu", "MMMU", "MMMU/MMMU", "Apache-2.0", "validation", 900, "mmmu.jsonl;" MMMU_FILES,
     "a letter in brackets, else alone, else an option's text, else random; open: containment",
     true, &XR_ADAPT_MMMU, NULL},
    {"mmmu_health", "MMMU-Health", "MMMU/MMMU, Health & Medicine", "Apache-2.0", "validation", 150,
     "mmmu.jsonl;" MMMU_FILES, "as MMMU", true, &XR_ADAPT_MMMU, "health"},
    {"mmmu_pro", "MMMU-Pro (10 options)", "MMMU/MMMU_Pro, standard (10 options)", "Apache-2.0",
     "test", 1730, "mmmu_pro.jsonl;test.jsonl",
     "the only letter after the last \"Answer:\", else as MMMU", true, &XR_ADAPT_MMMU_PRO, NULL},
    {"mmmu_pro_health", "MMMU-Pro-Health", "MMMU/MMMU_Pro, standard (10 options), health",
     "Apache-2.0", "test", 286, "mmmu_pro.jsonl;test.jsonl", "as MMMU-Pro", true,
     &XR_ADAPT_MMMU_PRO, "health"},
    {"mmmu_pro_4", "MMMU-Pro (4 options)", "MMMU/MMMU_Pro, standard (4 options)", "Apache-2.0",
     "test", 1730, "mmmu_pro_4.jsonl;test.jsonl", "as MMMU-Pro", true, &XR_ADAPT_MMMU_PRO, NULL},
    {"mmmu_pro_vision", "MMMU-Pro (vision)", "MMMU/MMMU_Pro, vision", "Apache-2.0", "test", 1730,
     "mmmu_pro_vision.jsonl;test.jsonl", "as MMMU-Pro", true, &XR_ADAPT_MMMU_PRO, NULL},
    {"mathvista", "MathVista", "AI4Math/MathVista", "CC BY-SA 4.0, no training", "testmini", 1000,
     "mathvista.jsonl;testmini.json;testmini.jsonl",
     "a language model extracts; an option by edit distance, a number rounded", true,
     &XR_ADAPT_MATHVISTA, NULL},
    {"mathvision", "MathVision", "MathLLMs/MathVision", "MIT", "test", 3040,
     "mathvision.jsonl;test.jsonl", "the last box or phrase; letter, option, or value to 2 places",
     true, &XR_ADAPT_MATHVISION, NULL},
    {"mathvision_mini", "MathVision (testmini)", "MathLLMs/MathVision", "MIT", "testmini", 304,
     "mathvision_mini.jsonl;testmini.jsonl", "as MathVision", true, &XR_ADAPT_MATHVISION, NULL},
    {"mmstar", "MMStar", "Lin-Chen/MMStar", "none stated", "val", 1500,
     "mmstar.jsonl;val.jsonl;MMStar.tsv", "the letter with which the response begins", true,
     &XR_ADAPT_MMSTAR, NULL},
    {"omnimedvqa", "OmniMedVQA", "foreverbeliever/OmniMedVQA", "by source", "open access", 0,
     "omnimedvqa.jsonl;QA_information/Open-access/*.json;*.json",
     "the option most like the response (difflib)", true, &XR_ADAPT_OMNIMEDVQA, NULL},
    {"medxpertqa_text", "MedXpertQA Text", "TsinghuaC3I/MedXpertQA", "MIT", "test", 2450,
     "medxpertqa_text.jsonl;Text/test.jsonl;text_input.jsonl;test.jsonl",
     "the first letter after \"answer is\", else at all", false, &XR_ADAPT_MEDXPERTQA, NULL},
    {"medxpertqa_mm", "MedXpertQA MM", "TsinghuaC3I/MedXpertQA", "MIT", "test", 2000,
     "medxpertqa_mm.jsonl;MM/test.jsonl;mm_input.jsonl;test.jsonl",
     "the first letter after \"answer is\", else at all", true, &XR_ADAPT_MEDXPERTQA, NULL},
    {"nejm", "NEJM Image Challenge", "cx0/nejm-image-challenge, OctoMed/NEJM-Image-Challenge",
     "none stated", "test", 947, "nejm.jsonl;image_challenge_dataset*.json;test.jsonl", NULL, true,
     &XR_ADAPT_NEJM, NULL},
    {"jsonl", "Questions of one's own", "a file of one's own", "one's own", "all", 0,
     "*.jsonl;*.json;*.csv;*.tsv", NULL, true, &XR_ADAPT_GENERIC, NULL},
};

const XrBenchmark *xr_benchmarks(int *count) {
    *count = (int)XR_COUNT(BENCHMARKS);
    return BENCHMARKS;
}

const XrBenchmark *xr_benchmark_find(const char *name, XrError *err) {
    const char *names[XR_COUNT(BENCHMARKS)];
    XrBuffer list = {0};
    for (size_t i = 0; i < XR_COUNT(BENCHMARKS); i++) {
        if (strcmp(BENCHMARKS[i].name, name) == 0) {
            xr_buffer_free(&list);
            return &BENCHMARKS[i];
        }
        names[i] = BENCHMARKS[i].name;
        xr_buffer_format(&list, "%s%s", i ? ", " : "", names[i]);
    }
    const char *near = xr_nearest_name(name, names, (int)XR_COUNT(names));
    xr_fail(err, XR_ERR_INPUT, "there is no benchmark \"%s\"%s%s%s; there are %s",
            xr_utf8_shown(name), near ? ", did you mean \"" : "", near ? near : "",
            near ? "\"" : "", list.data);
    xr_buffer_free(&list);
    return NULL;
}

// ---- loading ----

// The slot of an id in the table of ids (open addressing), or the free one where it belongs.
static int64_t *id_slot(const XrBenchmarkItems *items, const char *id) {
    uint64_t at = XXH3_64bits(id, strlen(id)) & items->id_mask;
    while (items->id_slots[at] && strcmp(items->items[items->id_slots[at] - 1].id, id) != 0) {
        at = (at + 1) & items->id_mask;
    }
    return &items->id_slots[at];
}

static void rename_item(XrItem *item, const char *format, const char *id, long long number) {
    XrBuffer name = {0};
    xr_buffer_format(&name, "%s", id);
    xr_buffer_format(&name, format, number);
    free(item->id);
    item->id = name.data;
}

// Makes an item a duplicate of another, whatever else is wrong with it.
static void set_duplicate(XrItem *item, const XrItem *other) {
    char *problem = item->problem_text; // "PLACE: TEXT"
    item->problem_text = NULL;
    item->problem = XR_ITEM_USABLE;
    xr_item_set_problem(item, XR_ITEM_DUPLICATE, "the id \"%s\" is that of %s%s%s", item->id,
                        other->place, problem ? "; besides, " : "",
                        problem ? problem + strlen(item->place) + 2 : "");
    free(problem);
}

// Gives an item whose id is another's an id of its own.
static void step_aside(XrBenchmarkItems *items, XrItem *item, const XrItem *other) {
    if (item->named && other->named) set_duplicate(item, other);
    char *id = item->id;
    item->id = NULL;
    item->named = false;
    int64_t *slot;
    long long n = 2;
    do {
        rename_item(item, "#%lld", id, n++);
        slot = id_slot(items, item->id);
    } while (*slot);
    *slot = item - items->items + 1;
    free(id);
}

// Whether `item` is to have the id, and not the earlier row that has it: one that is called so over
// one that is numbered so, one that can be used over one that cannot.
static bool outranks(const XrItem *item, const XrItem *earlier) {
    if (item->named != earlier->named) return item->named;
    return item->problem == XR_ITEM_USABLE && earlier->problem != XR_ITEM_USABLE;
}

// Keeps ids unique.
static void enter_id(XrBenchmarkItems *items, XrItem *item) {
    int64_t *slot = id_slot(items, item->id), position = item - items->items + 1;
    XrItem *earlier = *slot ? &items->items[*slot - 1] : NULL;
    if (earlier && !outranks(item, earlier)) {
        step_aside(items, item, earlier);
        return;
    }
    *slot = position;
    if (earlier) step_aside(items, earlier, item);
}

static void check_files(XrItem *item, const XrItemContent *content) {
    for (int i = 0; i < content->count; i++) {
        if (!content->parts[i].image || xr_path_exists(content->parts[i].text)) continue;
        xr_item_set_problem(item, XR_ITEM_MISSING_PICTURE, "there is no picture %s",
                            content->parts[i].text);
    }
}

static void check_pictures(XrItem *item) {
    check_files(item, &item->question);
    for (int i = 0; i < item->option_count; i++) check_files(item, &item->options[i].content);
}

// A row that could not be read is known by the id that it has all the same, and never takes the
// number that a later row may have for its id.
static void name_malformed(XrItem *item, const XrRow *row) {
    static const char *const keys[] = {"id",       "question_id", "pid", "unique_id",
                                       "image_id", "index",       "ID",  NULL};
    rename_item(item, "row-%lld", "", (long long)row->number);
    item->named = false;
    if (row->data->key) xr_item_set_id(item, xr_strdup(row->data->key));
    xr_item_take_id(item, row, keys);
}

typedef struct Loader {
    XrBenchmarkItems *out;
    const XrBenchmarkLoadOptions *options;
    XrSource *source;
    XrBuffer place;
} Loader;

// Fills the item of a row; false where the row belongs to another subset.
static bool read_item(Loader *loader, int64_t number, XrItem *item) {
    const XrBenchmark *benchmark = loader->out->benchmark;
    XrSourceRow data;
    XrError err;
    xr_source_place(loader->source, number, &loader->place);
    *item =
        (XrItem){.benchmark = benchmark, .precision = -1, .place = xr_strdup(loader->place.data)};
    XrRow row = {.data = &data,
                 .place = item->place,
                 .folder = xr_source_folder(loader->source, number),
                 .images = loader->options->images,
                 .number = number,
                 .without_pictures = loader->options->without_pictures};
    bool parsed = xr_source_row(loader->source, number, &data, &err), ok = parsed;
    if (ok && data.json->nul_mark[0]) {
        ok = xr_fail(&err, XR_ERR_INPUT, "%s: holds the character U+0000; remove it", item->place);
    }
    row.root = data.root;
    bool belongs = !ok || !benchmark->subset || !benchmark->adapter->belongs ||
                   benchmark->adapter->belongs(&row, benchmark->subset);
    rename_item(item, ok ? "%lld" : "row-%lld", "", (long long)number);
    if (ok && belongs) ok = benchmark->adapter->convert(&row, item, &err);
    if (!ok) {
        if (parsed) name_malformed(item, &row);
        // The error's own place is the item's.
        size_t same = strlen(item->place);
        bool placed = strncmp(err.message, item->place, same) == 0 &&
                      memcmp(err.message + same, ": ", 2) == 0;
        xr_item_set_problem(item, XR_ITEM_MALFORMED, "%s",
                            placed ? err.message + same + 2 : err.message);
    }
    if (parsed) xr_source_row_free(&data);
    return belongs;
}

static void add_item(Loader *loader, const XrItem *read) {
    XrBenchmarkItems *out = loader->out;
    XrItem *item = &out->items[out->count++];
    *item = *read;
    if (item->problem == XR_ITEM_USABLE && !loader->options->without_pictures) check_pictures(item);
    enter_id(out, item);
    out->noted += item->note != NULL;
}

bool xr_benchmark_load(XrBenchmarkItems *out, const XrBenchmark *benchmark, const char *path,
                       const XrBenchmarkLoadOptions *options, XrError *err) {
    static const XrBenchmarkLoadOptions none = {0};
    Loader loader = {.out = out, .options = options ? options : &none};
    *out = (XrBenchmarkItems){.benchmark = benchmark};
    if (!xr_source_open(&loader.source, path, benchmark->file, err)) return false;
    int64_t count = xr_source_count(loader.source), limit = loader.options->limit;
    out->hash = xr_source_hash(loader.source);
    out->items = xr_calloc((size_t)count, sizeof *out->items);
    for (out->id_mask = 1; out->id_mask < 2 * (uint64_t)count;) out->id_mask *= 2;
    out->id_slots = xr_calloc(out->id_mask--, sizeof *out->id_slots);
    for (int64_t i = 0; i < count && !out->limited; i++) {
        XrItem item;
        out->rows++;
        if (!read_item(&loader, i, &item)) {
            xr_item_free(&item);
            out->other++;
            continue;
        }
        add_item(&loader, &item);
        out->limited = limit && out->count == limit && i + 1 < count;
    }
    for (int64_t i = 0; i < out->count; i++) out->problems[out->items[i].problem]++;
    int64_t distinct = out->count - out->problems[XR_ITEM_DUPLICATE];
    if (!out->limited && distinct < benchmark->expected) {
        out->missing = benchmark->expected - distinct;
    }
    xr_buffer_free(&loader.place);
    xr_source_close(loader.source);
    return out->count > 0 || xr_fail(err, XR_ERR_INPUT, "%s: none of the %lld rows is of %s", path,
                                     (long long)out->rows, benchmark->title);
}

int64_t xr_benchmark_denominator(const XrBenchmarkItems *items) {
    return items->count - items->problems[XR_ITEM_DUPLICATE] + items->missing;
}

void xr_benchmark_items_free(XrBenchmarkItems *items) {
    for (int64_t i = 0; i < items->count; i++) xr_item_free(&items->items[i]);
    free(items->items);
    free(items->id_slots);
    *items = (XrBenchmarkItems){0};
}

const XrItem *xr_benchmark_item(const XrBenchmarkItems *items, const char *id) {
    int64_t position = items->id_slots ? *id_slot(items, id) : 0;
    return position ? &items->items[position - 1] : NULL;
}
