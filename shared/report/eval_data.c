#include "shared/report/eval_data.h"

#include "shared/base/file.h"
#include "shared/base/memory.h"

#include <stdlib.h>
#include <string.h>

enum { MOST_LINE_BYTES = 64 << 20, REPLICATES = 10000, SEED = 42 };

static int by_name(const void *a, const void *b) {
    return strcmp(((const XrItemScore *)a)->name, ((const XrItemScore *)b)->name);
}

static void add(XrEvalScores *s, const char *dataset, const char *mode, const char *id, int right) {
    if (s->count == s->capacity) {
        s->capacity = 2 * s->capacity + 256;
        s->items = xr_realloc(s->items, sizeof *s->items * (size_t)s->capacity);
    }
    XrBuffer name = {0};
    xr_buffer_format(&name, "%s\n%s\n%s", dataset, mode, id);
    s->items[s->count++] = (XrItemScore){name.data, 1, right};
}

static const char *get_text(const cJSON *json, const char *key) {
    return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(json, key));
}

static void read_line(XrEvalScores *s, const XrBuffer *line) {
    XrJson json;
    if (!xr_json_parse(&json, "answer", line->data, line->length, &XR_JSON_SMALL, NULL)) return;
    const char *dataset = get_text(json.root, "dataset"), *id = get_text(json.root, "id");
    const char *mode = get_text(json.root, "mode");
    const cJSON *score = cJSON_GetObjectItemCaseSensitive(json.root, "score");
    if (dataset && id && mode && cJSON_IsNumber(score)) {
        bool both = strcmp(mode, "both") == 0;
        int right = score->valuedouble > 0;
        if (both) add(s, dataset, "free", id, right);
        add(s, dataset, both ? "budget" : mode, id, right);
    }
    xr_json_free(&json);
}

static void merge(XrEvalScores *s) {
    int64_t kept = 0;
    if (s->count) qsort(s->items, (size_t)s->count, sizeof *s->items, by_name);
    for (int64_t i = 0; i < s->count; i++) {
        XrItemScore *last = kept ? &s->items[kept - 1] : NULL;
        if (last && strcmp(last->name, s->items[i].name) == 0) {
            last->samples++;
            last->right += s->items[i].right;
            free(s->items[i].name);
        } else {
            s->items[kept++] = s->items[i];
        }
    }
    s->count = kept;
}

void xr_eval_scores_read(XrEvalScores *out, const XrRunData *run) {
    *out = (XrEvalScores){0};
    char *path = xr_path_join(run->folder, "samples.jsonl");
    FILE *file = fopen(path, "re");
    XrBuffer line = {0};
    while (file && xr_read_line(file, MOST_LINE_BYTES, &line, NULL) > 0) read_line(out, &line);
    if (file) fclose(file);
    xr_buffer_free(&line);
    free(path);
    merge(out);
}

void xr_eval_scores_free(XrEvalScores *scores) {
    for (int64_t i = 0; i < scores->count; i++) free(scores->items[i].name);
    free(scores->items);
    *scores = (XrEvalScores){0};
}

// The scores of a benchmark and mode: a range of the sorted list, and where ids begin in its names.
typedef struct Range {
    const XrItemScore *items;
    int64_t count;
    size_t skip;
} Range;

static Range range_of(const XrEvalScores *s, const char *dataset, const char *mode) {
    XrBuffer prefix = {0};
    xr_buffer_format(&prefix, "%s\n%s\n", dataset, mode);
    int64_t begin = 0, end;
    while (begin < s->count && strncmp(s->items[begin].name, prefix.data, prefix.length) != 0) {
        begin++;
    }
    for (end = begin; end < s->count; end++) {
        if (strncmp(s->items[end].name, prefix.data, prefix.length) != 0) break;
    }
    Range range = {s->items + begin, end - begin, prefix.length};
    xr_buffer_free(&prefix);
    return range;
}

bool xr_eval_compare(XrEvalPair *out, const XrEvalScores *first, const char *first_mode,
                     const XrEvalScores *second, const char *second_mode, const char *dataset) {
    Range a = range_of(first, dataset, first_mode), b = range_of(second, dataset, second_mode);
    double *x = xr_malloc(sizeof *x * (size_t)(a.count + 1));
    double *y = xr_malloc(sizeof *y * (size_t)(a.count + 1));
    *out = (XrEvalPair){.one_sample = true, .mcnemar = 1};
    for (int64_t i = 0, k = 0; i < a.count && k < b.count;) {
        const XrItemScore *p = &a.items[i], *q = &b.items[k];
        int order = strcmp(p->name + a.skip, q->name + b.skip);
        i += order <= 0;
        k += order >= 0;
        if (order) continue;
        x[out->items] = (double)p->right / p->samples;
        y[out->items++] = (double)q->right / q->samples;
        out->one_sample &= p->samples == 1 && q->samples == 1;
        out->only_first += p->right && !q->right;
        out->only_second += q->right && !p->right;
    }
    if (out->items) out->paired = xr_paired_bootstrap(x, y, out->items, REPLICATES, SEED);
    if (out->one_sample) out->mcnemar = xr_mcnemar(out->only_first, out->only_second);
    free(x);
    free(y);
    return out->items > 0;
}
