// Comparisons for people: each run and mode against each before it, benchmark by benchmark.
#include "shared/base/memory.h"
#include "shared/eval/benchmark.h"
#include "shared/eval/compare.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const MODES[] = {"free", "budget"};

// The benchmarks of which any run has answers.
typedef struct Names {
    char **items; // [count], owned
    int count;
} Names;

static void add_name(Names *names, const char *name, size_t length) {
    for (int i = 0; i < names->count; i++) {
        if (strlen(names->items[i]) == length && memcmp(names->items[i], name, length) == 0) return;
    }
    size_t bytes = sizeof *names->items * ((size_t)names->count + 1);
    names->items = (char **)xr_realloc((void *)names->items, bytes);
    names->items[names->count++] = xr_strndup(name, length);
}

static void free_names(Names *names) {
    for (int i = 0; i < names->count; i++) free(names->items[i]);
    free((void *)names->items);
}

static void head_text(XrBuffer *out) {
    xr_buffer_format(out, "  %-32s %6s %8s  %-18s %8s %11s %12s %10s\n", "", "items", "points",
                     "95% interval", "p", "first alone", "second alone", "McNemar p");
}

static void comparison_text(XrBuffer *out, const char *name, const XrComparison *c) {
    char interval[48];
    snprintf(interval, sizeof interval, "[%+.2f, %+.2f]", 100 * c->paired.interval.low,
             100 * c->paired.interval.high);
    xr_buffer_format(out, "  %-32s %6" PRId64 " %+8.2f  %-18s %8.4f %11" PRId64 " %12" PRId64, name,
                     c->items, 100 * c->paired.difference, interval, c->paired.p, c->only_first,
                     c->only_second);
    if (c->one_sample) xr_buffer_format(out, " %10.4f", c->mcnemar);
    xr_buffer_byte(out, '\n');
}

// A run in one mode.
typedef struct Side {
    const char *folder, *mode;
    const XrScores *scores;
} Side;

static void side_text(XrBuffer *out, const Side *side) {
    bool budget = strcmp(side->mode, "budget") == 0;
    xr_buffer_format(out, "%s%s", side->folder, budget ? ", forced exit" : "");
}

static bool pair_text(XrBuffer *out, const char *dataset, const Side *first, const Side *second) {
    XrComparisons c;
    if (!xr_compare(&c, first->scores, first->mode, second->scores, second->mode, dataset)) {
        return false;
    }
    const XrBenchmark *benchmark = xr_benchmark_find(dataset, NULL);
    xr_buffer_format(out, "%s: ", benchmark ? benchmark->title : dataset);
    side_text(out, first);
    xr_buffer_text(out, " minus ");
    side_text(out, second);
    xr_buffer_byte(out, '\n');
    head_text(out);
    comparison_text(out, "all items that both answered", &c.all);
    for (int s = 0; c.subject_count > 1 && s < c.subject_count; s++) {
        comparison_text(out, c.subjects[s].subject, &c.subjects[s]);
    }
    xr_comparisons_free(&c);
    return true;
}

static bool dataset_text(XrBuffer *out, const char *dataset, const Side *sides, int count) {
    bool any = false;
    for (int i = 0; i < count; i++) {
        for (int k = 0; k < i; k++) any |= pair_text(out, dataset, &sides[i], &sides[k]);
    }
    return any;
}

static bool all_text(XrBuffer *out, const char *const *folders, const XrScores *scores, int count) {
    int modes = (int)XR_COUNT(MODES), side_count = 0;
    Names names = {0};
    Side *sides = xr_calloc((size_t)count * (size_t)modes, sizeof *sides);
    for (int r = 0; r < count; r++) {
        for (int64_t i = 0; i < scores[r].count; i++) {
            const char *name = scores[r].items[i].name;
            add_name(&names, name, strcspn(name, "\n"));
        }
        for (int m = 0; m < modes; m++) {
            sides[side_count++] = (Side){folders[r], MODES[m], &scores[r]};
        }
    }
    bool any = false;
    for (int d = 0; d < names.count; d++) {
        any |= dataset_text(out, names.items[d], sides, side_count);
    }
    free_names(&names);
    free(sides);
    return any;
}

bool xr_comparisons_text(XrBuffer *out, const char *const *folders, int count, XrError *err) {
    XrScores *scores = xr_calloc((size_t)count, sizeof *scores);
    bool ok = true;
    for (int r = 0; ok && r < count; r++) {
        xr_scores_read(&scores[r], folders[r]);
        if (scores[r].unreadable) {
            fprintf(stderr, "%s/samples.jsonl: %" PRId64 " lines hold no judged answer\n",
                    folders[r], scores[r].unreadable);
        }
        if (!scores[r].count) {
            ok = xr_fail(err, XR_ERR_INPUT,
                         "%s: there is no samples.jsonl with judged answers; name folders that "
                         "xreasoner eval wrote",
                         folders[r]);
        }
    }
    if (ok && !all_text(out, folders, scores, count)) {
        ok = xr_fail(err, XR_ERR_INPUT,
                     "the runs have no items in common: nothing can be compared; name two runs or "
                     "more of one benchmark, or one with and without forced exit");
    }
    for (int r = 0; r < count; r++) xr_scores_free(&scores[r]);
    free(scores);
    return ok;
}
