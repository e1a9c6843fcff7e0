#include "shared/eval/suite.h"

#include "shared/base/memory.h"
#include "shared/dataset/rows.h"

#include <stdlib.h>
#include <string.h>

static int compare_to(const XrSuite *suite, const char *benchmark, const char *id, XrSuiteRef at) {
    int order = strcmp(benchmark, suite->sets[at.set].benchmark->name);
    return order ? order : strcmp(id, xr_suite_item(suite, at)->id);
}

static int by_id(const void *a, const void *b, void *context) {
    const XrSuite *suite = context;
    const XrSuiteRef *x = a;
    return compare_to(suite, suite->sets[x->set].benchmark->name, xr_suite_item(suite, *x)->id,
                      *(const XrSuiteRef *)b);
}

static bool find_any(const XrSuite *suite, const char *benchmark, const char *id, XrSuiteRef *out) {
    int64_t low = 0, high = suite->total;
    while (low < high) {
        int64_t middle = low + (high - low) / 2;
        int order = compare_to(suite, benchmark, id, suite->by_id[middle]);
        if (order == 0) {
            *out = suite->by_id[middle];
            return true;
        }
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return false;
}

bool xr_suite_find(const XrSuite *suite, const char *benchmark, const char *id, XrSuiteRef *out) {
    if (!benchmark && suite->count != 1) return false;
    if (!benchmark) benchmark = suite->sets[0].benchmark->name;
    return find_any(suite, benchmark, id, out) && suite->sets[out->set].chosen[out->item];
}

static void sort_ids(XrSuite *suite) {
    int64_t room = 0;
    for (int s = 0; s < suite->count; s++) room += suite->sets[s].items.count;
    suite->by_id = xr_malloc(sizeof *suite->by_id * (size_t)room + 1);
    for (int s = 0; s < suite->count; s++) {
        const XrBenchmarkItems *items = &suite->sets[s].items;
        for (int64_t i = 0; i < items->count; i++) {
            if (items->items[i].problem == XR_ITEM_DUPLICATE) continue;
            suite->by_id[suite->total++] = (XrSuiteRef){s, i};
        }
    }
    qsort_r(suite->by_id, (size_t)suite->total, sizeof *suite->by_id, by_id, suite);
}

// ---- choosing ----

static void choose_range(XrSuiteSet *set, const XrDatasetSpec *spec, int64_t max_items) {
    int64_t count = set->items.count, begin = XR_MIN(spec->skip, count), end = count;
    if (spec->limit) end = XR_MIN(end, begin + spec->limit);
    if (max_items) end = XR_MIN(end, begin + max_items);
    set->chosen = xr_calloc((size_t)count + 1, sizeof *set->chosen);
    for (int64_t i = begin; i < end; i++) set->chosen[i] = true;
    set->whole = begin == 0 && end == count;
}

// One line of the file of items to keep.
static bool keep_line(XrSuite *suite, const XrRows *rows, int64_t row, bool **kept, XrError *err) {
    XrJson json;
    const char *benchmark = NULL, *id = NULL;
    if (!xr_rows_parse(rows, row, &json, err)) return false;
    bool ok = xr_json_get_text(&json, json.root, "dataset", &benchmark, err) &&
              xr_json_get_text(&json, json.root, "id", &id, err);
    if (ok && !id) ok = xr_fail(err, XR_ERR_INPUT, "%s: \"id\" is missing", json.name);
    bool loaded = false;
    for (int s = 0; ok && benchmark && s < suite->count; s++) {
        loaded |= strcmp(suite->sets[s].benchmark->name, benchmark) == 0;
    }
    XrSuiteRef at = {0};
    if (ok && id && (loaded || !benchmark)) { // items of other benchmarks say nothing about these
        if (!benchmark && suite->count == 1) benchmark = suite->sets[0].benchmark->name;
        ok = (benchmark && find_any(suite, benchmark, id, &at)) ||
             xr_fail(err, XR_ERR_INPUT, "%s: there is no item \"%s\" of %s", json.name, id,
                     benchmark ? benchmark : "one of several benchmarks; name it as \"dataset\"");
        if (ok) kept[at.set][at.item] = true;
    }
    xr_json_free(&json);
    return ok;
}

static bool keep_only(XrSuite *suite, const char *path, XrError *err) {
    XrRows rows;
    if (!xr_rows_open(&rows, path, err)) return false;
    bool **kept = (bool **)xr_calloc((size_t)suite->count, sizeof(bool *)), ok = true;
    for (int s = 0; s < suite->count; s++) {
        kept[s] = xr_calloc((size_t)suite->sets[s].items.count + 1, sizeof **kept);
    }
    for (int64_t row = 0; ok && row < rows.count; row++) {
        ok = keep_line(suite, &rows, row, kept, err);
    }
    for (int s = 0; s < suite->count; s++) {
        XrSuiteSet *set = &suite->sets[s];
        for (int64_t i = 0; i < set->items.count; i++) set->chosen[i] &= kept[s][i];
        set->whole = false;
        free(kept[s]);
    }
    free((void *)kept);
    xr_rows_close(&rows);
    return ok;
}

static void set_denominator(XrSuiteSet *set) {
    if (set->whole) {
        set->denominator = xr_benchmark_denominator(&set->items);
        return;
    }
    for (int64_t i = 0; i < set->items.count; i++) {
        bool duplicate = set->items.items[i].problem == XR_ITEM_DUPLICATE;
        set->denominator += set->chosen[i] && !duplicate;
    }
}

// ---- loading ----

static bool load_set(XrSuite *suite, const XrDatasetSpec *spec, const XrRunConfig *config,
                     XrError *err) {
    if (strcmp(spec->format, "auto") == 0) {
        return xr_fail(err, XR_ERR_INPUT,
                       "%s: say which benchmark this is, {\"path\": ..., \"format\": NAME}; "
                       "xreasoner eval --benchmarks lists them",
                       spec->path);
    }
    const XrBenchmark *benchmark = xr_benchmark_find(spec->format, err);
    if (!benchmark) return xr_fail_in(err, "%s", spec->path);
    for (int s = 0; s < suite->count; s++) {
        if (suite->sets[s].benchmark != benchmark) continue;
        return xr_fail(err, XR_ERR_INPUT, "\"eval_dataset\" has %s twice", benchmark->name);
    }
    XrSuiteSet *set = &suite->sets[suite->count++];
    *set = (XrSuiteSet){.benchmark = benchmark};
    // Stored responses are judged without a look at the pictures.
    bool unseen = config->without_images || config->responses;
    XrBenchmarkLoadOptions options = {.images = spec->images, .without_pictures = unseen};
    if (!xr_benchmark_load(&set->items, benchmark, spec->path, &options, err)) return false;
    choose_range(set, spec, config->max_items);
    return true;
}

bool xr_suite_open(XrSuite *out, const XrRunConfig *config, XrError *err) {
    *out = (XrSuite){0};
    const XrDatasetList *list = &config->eval_dataset;
    if (!list->count) {
        return xr_fail(err, XR_ERR_INPUT,
                       "\"eval_dataset\" is missing: say which benchmarks, and where their files "
                       "are");
    }
    out->sets = xr_calloc((size_t)list->count, sizeof *out->sets);
    bool ok = true;
    for (int i = 0; ok && i < list->count; i++) ok = load_set(out, &list->items[i], config, err);
    if (ok) sort_ids(out);
    if (ok && config->items) ok = keep_only(out, config->items, err);
    for (int s = 0; ok && s < out->count; s++) set_denominator(&out->sets[s]);
    return ok;
}

void xr_suite_close(XrSuite *suite) {
    for (int s = 0; s < suite->count; s++) {
        xr_benchmark_items_free(&suite->sets[s].items);
        free(suite->sets[s].chosen);
    }
    free(suite->sets);
    free(suite->by_id);
    *suite = (XrSuite){0};
}
