#include "shared/eval/compare.h"

#include "shared/base/file.h"
#include "shared/base/json.h"
#include "shared/base/memory.h"

#include <stdlib.h>
#include <string.h>

enum { MOST_LINE_BYTES = 64 << 20, REPLICATES = 10000, SEED = 42 };

// ---- scores ----

static int by_name(const void *a, const void *b) {
    return strcmp(((const XrItemScore *)a)->name, ((const XrItemScore *)b)->name);
}

static void add(XrScores *s, const char *dataset, const char *mode, const char *id,
                const char *subject, int right) {
    if (s->count == s->capacity) {
        s->capacity = 2 * s->capacity + 256;
        s->items = xr_realloc(s->items, sizeof *s->items * (size_t)s->capacity);
    }
    XrBuffer name = {0};
    xr_buffer_format(&name, "%s\n%s\n%s", dataset, mode, id);
    s->items[s->count++] = (XrItemScore){name.data, subject ? xr_strdup(subject) : NULL, 1, right};
}

static const char *get_text(const cJSON *json, const char *key) {
    return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(json, key));
}

static bool read_line(XrScores *s, const XrBuffer *line) {
    XrJson json;
    if (!xr_json_parse(&json, "answer", line->data, line->length, &XR_JSON_SMALL, NULL)) {
        return false;
    }
    const char *dataset = get_text(json.root, "dataset"), *id = get_text(json.root, "id");
    const char *mode = get_text(json.root, "mode"), *subject = get_text(json.root, "subject");
    const cJSON *score = cJSON_GetObjectItemCaseSensitive(json.root, "score");
    bool ok = dataset && id && mode && cJSON_IsNumber(score);
    if (ok) {
        bool both = strcmp(mode, "both") == 0;
        int right = score->valuedouble > 0;
        if (both) add(s, dataset, "free", id, subject, right);
        add(s, dataset, both ? "budget" : mode, id, subject, right);
    }
    xr_json_free(&json);
    return ok;
}

static void free_score(XrItemScore *score) {
    free(score->name);
    free(score->subject);
}

static void merge(XrScores *s) {
    int64_t kept = 0;
    if (s->count) qsort(s->items, (size_t)s->count, sizeof *s->items, by_name);
    for (int64_t i = 0; i < s->count; i++) {
        XrItemScore *last = kept ? &s->items[kept - 1] : NULL;
        if (last && strcmp(last->name, s->items[i].name) == 0) {
            last->samples++;
            last->right += s->items[i].right;
            free_score(&s->items[i]);
        } else {
            s->items[kept++] = s->items[i];
        }
    }
    s->count = kept;
}

void xr_scores_read(XrScores *out, const char *folder) {
    *out = (XrScores){0};
    char *path = xr_path_join(folder, "samples.jsonl");
    FILE *file = fopen(path, "re");
    XrBuffer line = {0};
    int got = 0;
    while (file && (got = xr_read_line(file, MOST_LINE_BYTES, &line, NULL)) > 0) {
        out->unreadable += !read_line(out, &line);
    }
    out->unreadable += got < 0;
    if (file) fclose(file);
    xr_buffer_free(&line);
    free(path);
    merge(out);
}

void xr_scores_free(XrScores *scores) {
    for (int64_t i = 0; i < scores->count; i++) free_score(&scores->items[i]);
    free(scores->items);
    *scores = (XrScores){0};
}

// ---- comparisons ----

// The scores of a benchmark and mode: a range of the sorted list, and where ids begin in its names.
typedef struct Range {
    const XrItemScore *items;
    int64_t count;
    size_t skip;
} Range;

static Range range_of(const XrScores *s, const char *dataset, const char *mode) {
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

// An item that both runs answered.
typedef struct Pair {
    const XrItemScore *first, *second;
} Pair;

static int by_subject(const void *a, const void *b) {
    const XrItemScore *x = ((const Pair *)a)->first, *y = ((const Pair *)b)->first;
    if (!x->subject || !y->subject) return !x->subject - !y->subject;
    int order = strcmp(x->subject, y->subject);
    return order ? order : strcmp(x->name, y->name);
}

static int64_t pairs_of(Pair *out, Range a, Range b) {
    int64_t count = 0;
    for (int64_t i = 0, k = 0; i < a.count && k < b.count;) {
        int order = strcmp(a.items[i].name + a.skip, b.items[k].name + b.skip);
        if (order == 0) out[count++] = (Pair){&a.items[i], &b.items[k]};
        i += order <= 0;
        k += order >= 0;
    }
    return count;
}

static XrComparison comparison_of(const char *subject, const Pair *pairs, int64_t count) {
    XrComparison out = {.subject = subject, .items = count, .one_sample = true, .mcnemar = 1};
    double *x = xr_malloc(sizeof *x * (size_t)count), *y = xr_malloc(sizeof *y * (size_t)count);
    for (int64_t i = 0; i < count; i++) {
        const XrItemScore *p = pairs[i].first, *q = pairs[i].second;
        x[i] = (double)p->right / p->samples;
        y[i] = (double)q->right / q->samples;
        out.one_sample &= p->samples == 1 && q->samples == 1;
        out.only_first += p->right && !q->right;
        out.only_second += q->right && !p->right;
    }
    out.paired = xr_paired_bootstrap(x, y, count, REPLICATES, SEED);
    if (out.one_sample) out.mcnemar = xr_mcnemar(out.only_first, out.only_second);
    free(x);
    free(y);
    return out;
}

bool xr_compare(XrComparisons *out, const XrScores *first, const char *first_mode,
                const XrScores *second, const char *second_mode, const char *dataset) {
    Range a = range_of(first, dataset, first_mode), b = range_of(second, dataset, second_mode);
    Pair *pairs = xr_malloc(sizeof *pairs * (size_t)(a.count + 1));
    int64_t count = pairs_of(pairs, a, b);
    *out = (XrComparisons){0};
    if (count) {
        out->all = comparison_of(NULL, pairs, count);
        qsort(pairs, (size_t)count, sizeof *pairs, by_subject);
    }
    for (int64_t i = 0, end; i < count && pairs[i].first->subject; i = end) {
        const char *subject = pairs[i].first->subject;
        for (end = i + 1; end < count; end++) {
            const char *next = pairs[end].first->subject;
            if (!next || strcmp(next, subject) != 0) break;
        }
        size_t bytes = sizeof *out->subjects * ((size_t)out->subject_count + 1);
        out->subjects = xr_realloc(out->subjects, bytes);
        out->subjects[out->subject_count++] = comparison_of(subject, pairs + i, end - i);
    }
    free(pairs);
    return count > 0;
}

void xr_comparisons_free(XrComparisons *comparisons) {
    free(comparisons->subjects);
    *comparisons = (XrComparisons){0};
}
