#include "shared/eval/text_solvable.h"

#include "shared/base/file.h"
#include "shared/base/json.h"
#include "shared/base/memory.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_LINE_BYTES = 64 << 20 };

// What one run says of an item.
typedef struct Entry {
    char *name; // DATASET '\n' ID
    int64_t order;
    int samples, right; // samples 0: left out
} Entry;

typedef struct Entries {
    Entry *items; // [count] by name
    int64_t count, capacity;
} Entries;

static void free_entries(Entries *e) {
    for (int64_t i = 0; i < e->count; i++) free(e->items[i].name);
    free(e->items);
    *e = (Entries){0};
}

static int by_name(const void *a, const void *b) {
    const Entry *x = a, *y = b;
    return strcmp(x->name, y->name);
}

static int by_order(const void *a, const void *b) {
    const Entry *x = a, *y = b;
    return (x->order > y->order) - (x->order < y->order);
}

static void add(Entries *e, const char *dataset, const char *id, int samples, int right) {
    if (e->count == e->capacity) {
        e->capacity = 2 * e->capacity + 256;
        e->items = xr_realloc(e->items, sizeof *e->items * (size_t)e->capacity);
    }
    XrBuffer name = {0};
    xr_buffer_format(&name, "%s\n%s", dataset, id);
    e->items[e->count] = (Entry){name.data, e->count, samples, right};
    e->count++;
}

// One entry an item.
static void merge(Entries *e) {
    int64_t kept = 0;
    qsort(e->items, (size_t)e->count, sizeof *e->items, by_name);
    for (int64_t i = 0; i < e->count; i++) {
        Entry *last = kept ? &e->items[kept - 1] : NULL;
        if (last && strcmp(last->name, e->items[i].name) == 0) {
            last->samples += e->items[i].samples;
            last->right += e->items[i].right;
            last->order = XR_MIN(last->order, e->items[i].order);
            free(e->items[i].name);
        } else {
            e->items[kept++] = e->items[i];
        }
    }
    e->count = kept;
}

// Of a run that compares, the answers without forced exit count.
static bool read_line(Entries *e, const XrJson *json, bool answered, bool compares, XrError *err) {
    const char *dataset = NULL, *id = NULL, *mode = "", *problem = "";
    int64_t score = 0;
    if (!xr_json_get_text(json, json->root, "dataset", &dataset, err) ||
        !xr_json_get_text(json, json->root, "id", &id, err) ||
        !xr_json_get_text(json, json->root, "mode", &mode, err) ||
        !xr_json_get_text(json, json->root, "problem", &problem, err) ||
        !xr_json_get_int(json, json->root, "score", &score, err)) {
        return false;
    }
    if (!dataset || !id) {
        return xr_fail(err, XR_ERR_INPUT, "%s: \"dataset\" or \"id\" is missing", json->name);
    }
    if (strcmp(problem, "duplicate") == 0) return true;
    if (strcmp(mode, "budget") == 0 && compares) return true;
    add(e, dataset, id, answered, answered && score);
    return true;
}

static bool read_lines(Entries *e, const char *folder, const char *name, bool answered,
                       bool compares, XrError *err) {
    char *path = xr_path_join(folder, name);
    FILE *file = fopen(path, "re");
    XrBuffer line = {0};
    int got = 0;
    bool ok = file || xr_fail(err, XR_ERR_IO, "%s: cannot be read", path);
    for (int64_t number = 1; ok && (got = xr_read_line(file, MOST_LINE_BYTES, &line, err)) > 0;
         number++) {
        char place[1200];
        XrJson json;
        snprintf(place, sizeof place, "%s:%" PRId64, path, number);
        ok = xr_json_parse(&json, place, line.data, line.length, &XR_JSON_SMALL, err);
        if (!ok) break;
        ok = read_line(e, &json, answered, compares, err);
        xr_json_free(&json);
    }
    if (file) fclose(file);
    xr_buffer_free(&line);
    free(path);
    return ok && got >= 0;
}

static bool check_run(const char *folder, bool *compares, XrError *err) {
    char *path = xr_path_join(folder, "config.json"), *end = xr_path_join(folder, "summary.json");
    XrJson json;
    bool ok = xr_json_read_file(&json, path, &XR_JSON_SMALL, err), withheld = false;
    if (ok) {
        ok = xr_json_get_bool(&json, json.root, "without_images", &withheld, err) &&
             xr_json_get_bool(&json, json.root, "compare_forced_exit", compares, err);
        xr_json_free(&json);
    }
    if (ok && !withheld) {
        ok = xr_fail(err, XR_ERR_INPUT,
                     "%s: the run saw the pictures; run it with without_images=true", folder);
    }
    if (ok && !xr_path_exists(end)) {
        ok = xr_fail(err, XR_ERR_INPUT, "%s: the run has not ended; finish it with --resume",
                     folder);
    }
    free(path);
    free(end);
    return ok;
}

static bool read_run(Entries *e, const char *folder, XrError *err) {
    bool compares = false;
    bool ok = check_run(folder, &compares, err) &&
              read_lines(e, folder, "samples.jsonl", true, compares, err) &&
              read_lines(e, folder, "left_out.jsonl", false, compares, err);
    merge(e);
    return ok;
}

static bool same_items(const Entries *a, const Entries *b, const char *folder, XrError *err) {
    bool same = a->count == b->count;
    int64_t at = 0;
    while (same && at < a->count && strcmp(a->items[at].name, b->items[at].name) == 0) at++;
    return (same && at == a->count) || xr_fail(err, XR_ERR_INPUT,
                                               "%s: has other items than the first run (%" PRId64
                                               " and %" PRId64 "); all must be of the same",
                                               folder, b->count, a->count);
}

static bool is_solved(const Entries *runs, int count, int64_t item, bool any) {
    int solved = 0;
    for (int r = 0; r < count; r++) {
        const Entry *e = &runs[r].items[item];
        solved += e->samples > 0 && e->right == e->samples;
    }
    return any ? solved > 0 : solved == count;
}

static void print_counts(const Entry *items, int64_t count, const bool *kept) {
    for (int64_t begin = 0, end; begin < count; begin = end) {
        int64_t left = 0;
        size_t length = strcspn(items[begin].name, "\n") + 1;
        for (end = begin; end < count; end++) {
            if (strncmp(items[end].name, items[begin].name, length) != 0) break;
            left += kept[end];
        }
        printf("%.*s: %" PRId64 " of %" PRId64 " items kept, %" PRId64 " solved without pictures\n",
               (int)length - 1, items[begin].name, left, end - begin, end - begin - left);
    }
}

static bool write_kept(const Entries *runs, int count, bool any, const char *path, XrError *err) {
    const Entries *first = &runs[0];
    bool *kept = xr_calloc((size_t)first->count + 1, sizeof *kept);
    Entry *ordered = xr_calloc((size_t)first->count + 1, sizeof *ordered);
    for (int64_t i = 0; i < first->count; i++) kept[i] = !is_solved(runs, count, i, any);
    print_counts(first->items, first->count, kept);
    XrBuffer text = {0};
    xr_buffer_reserve(&text, 1);
    int64_t left = 0;
    for (int64_t i = 0; i < first->count; i++) {
        if (kept[i]) ordered[left++] = first->items[i];
    }
    qsort(ordered, (size_t)left, sizeof *ordered, by_order);
    for (int64_t i = 0; i < left; i++) {
        const char *name = ordered[i].name, *id = strchr(name, '\n') + 1;
        xr_buffer_text(&text, "{\"dataset\": ");
        xr_buffer_json(&text, name, (size_t)(id - name) - 1);
        xr_buffer_text(&text, ", \"id\": ");
        xr_buffer_json(&text, id, strlen(id));
        xr_buffer_text(&text, "}\n");
    }
    bool ok = xr_file_write(path, text.data, text.length, err);
    xr_buffer_free(&text);
    free(ordered);
    free(kept);
    return ok;
}

bool xr_text_solvable(const char *const *folders, int count, bool any, const char *out_path,
                      XrError *err) {
    Entries *runs = xr_calloc((size_t)count, sizeof *runs);
    bool ok = true;
    for (int r = 0; ok && r < count; r++) {
        ok = read_run(&runs[r], folders[r], err) &&
             (r == 0 || same_items(&runs[0], &runs[r], folders[r], err));
    }
    ok = ok && write_kept(runs, count, any, out_path, err);
    for (int r = 0; r < count; r++) free_entries(&runs[r]);
    free(runs);
    return ok;
}
