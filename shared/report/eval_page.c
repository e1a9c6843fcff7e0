#include "shared/report/eval_page.h"

#include "shared/base/memory.h"
#include "shared/eval/compare.h"
#include "shared/eval/published.h"
#include "shared/report/chart.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void text(XrBuffer *out, const char *t) {
    xr_html_text(out, t, strlen(t));
}

static const cJSON *get(const cJSON *json, const char *key) {
    return cJSON_GetObjectItemCaseSensitive(json, key);
}

static double number(const cJSON *json, const char *key) {
    const cJSON *value = get(json, key);
    return cJSON_IsNumber(value) ? value->valuedouble : 0;
}

static const char *string(const cJSON *json, const char *key) {
    const char *value = cJSON_GetStringValue(get(json, key));
    return value ? value : "";
}

// A row of a run's summary.json: a benchmark in a mode.
typedef struct Result {
    const XrRunData *run;
    int run_index;
    const cJSON *json;
    const XrScores *scores;
} Result;

typedef struct Results {
    Result *items;
    int count;
} Results;

static Results results_of(const XrRunData *runs, int count, const XrScores *scores) {
    Results all = {0};
    for (int r = 0; r < count; r++) {
        const cJSON *item;
        if (!xr_run_is_eval(&runs[r]) || !runs[r].summary.root) continue;
        cJSON_ArrayForEach(item, get(runs[r].summary.root, "results")) {
            size_t bytes = sizeof *all.items * ((size_t)all.count + 1);
            all.items = xr_realloc(all.items, bytes);
            all.items[all.count++] = (Result){&runs[r], r, item, &scores[r]};
        }
    }
    return all;
}

static void name_of(XrBuffer *out, const Result *r) {
    xr_buffer_format(out, "<span class=\"c%d\">&#9632;</span> ", r->run_index % XR_CHART_COLOURS);
    text(out, r->run->name);
    if (strcmp(string(r->json, "mode"), "budget") == 0) xr_buffer_text(out, ", forced exit");
}

// ---- one benchmark ----

static void mean_cell(XrBuffer *out, const cJSON *mean) {
    xr_buffer_text(out, "<td class=\"n\">");
    if (cJSON_IsObject(mean)) {
        xr_buffer_format(out, "%.1f <small class=\"soft\">%.1f&ndash;%.1f</small>",
                         100 * number(mean, "value"), 100 * number(mean, "low"),
                         100 * number(mean, "high"));
    }
    xr_buffer_text(out, "</td>");
}

static void share_cell(XrBuffer *out, double part, double whole) {
    xr_buffer_format(out, "<td class=\"n\">%.1f</td>", whole > 0 ? 100 * part / whole : 0);
}

static void length_cell(XrBuffer *out, const cJSON *length) {
    xr_buffer_text(out, "<td class=\"n\">");
    if (cJSON_IsObject(length)) xr_buffer_format(out, "%.0f", number(length, "mean"));
    xr_buffer_text(out, "</td>");
}

// Columns that a benchmark's table has only where a row fills them.
typedef struct Columns {
    bool several, official, tokens; // several samples: majority and pass@n
} Columns;

static void result_row(XrBuffer *out, const Result *r, Columns columns) {
    const cJSON *j = r->json, *verdicts = get(j, "verdicts");
    double answers = number(j, "answers");
    int samples = (int)number(j, "samples");
    char key[32];
    snprintf(key, sizeof key, "pass@%d", samples);
    xr_buffer_text(out, "<tr><td>");
    name_of(out, r);
    xr_buffer_format(out, "</td><td class=\"n\">%.0f of %.0f</td><td class=\"n\">%d</td>",
                     number(j, "answered"), number(j, "items"), samples);
    mean_cell(out, get(j, "accuracy"));
    if (columns.several) {
        mean_cell(out, get(j, "majority"));
        mean_cell(out, get(j, key));
    }
    if (columns.official) mean_cell(out, get(j, "official"));
    share_cell(out, number(j, "truncated"), answers);
    share_cell(out, number(j, "endless"), answers);
    share_cell(out, number(j, "forced"), answers);
    share_cell(out, number(verdicts, "unparsed"), answers);
    share_cell(out, number(verdicts, "empty"), answers);
    if (columns.tokens) length_cell(out, get(j, "tokens"));
    length_cell(out, get(j, "words"));
    xr_buffer_text(out, "</tr>\n");
}

static void published_rows(XrBuffer *out, const char *dataset, Columns columns) {
    int count;
    const XrPublished *p = xr_published(dataset, &count);
    for (int i = 0; i < count; i++) {
        xr_buffer_text(out, "<tr class=\"soft\"><td>paper: ");
        text(out, p[i].system);
        xr_buffer_text(out, "</td><td>");
        text(out, p[i].where);
        xr_buffer_text(out, "</td><td>");
        text(out, p[i].metric);
        xr_buffer_format(out,
                         "</td><td class=\"n\">%.1f</td><td colspan=\"%d\"></td><td class=\"n\">",
                         p[i].value, 5 + 2 * columns.several + columns.official + columns.tokens);
        if (p[i].words > 0) xr_buffer_format(out, "%.0f", p[i].words);
        xr_buffer_text(out, "</td></tr>\n");
    }
}

// What a table does not show: items without an answer, and answers that took a tie rule.
static void left_out_line(XrBuffer *out, const Result *r) {
    const cJSON *lost = get(r->json, "left_out"), *item;
    double items = number(r->json, "items"), unanswered = items - number(r->json, "answered");
    bool aside = strcmp(string(r->run->summary.root, "denominator"), "answered") == 0;
    XrBuffer reasons = {0};
    cJSON_ArrayForEach(item, lost) {
        if (!cJSON_IsNumber(item) || item->valuedouble <= 0) continue;
        xr_buffer_format(&reasons, "%s%.0f %s", reasons.length ? ", " : "", item->valuedouble,
                         item->string);
    }
    if (unanswered > 0 || reasons.length) {
        xr_buffer_text(out, "<p class=\"soft\">");
        name_of(out, r);
        if (aside) {
            xr_buffer_format(out, ": only the %.0f items with an answer are counted", items);
        } else {
            xr_buffer_format(out, ": %.0f of %.0f items have no answer and count as wrong",
                             unanswered, items);
        }
        if (reasons.length) xr_buffer_text(out, " (");
        if (reasons.length) text(out, reasons.data);
        if (reasons.length) xr_buffer_text(out, ")");
        xr_buffer_text(out, ". left_out.jsonl names them.</p>\n");
    }
    xr_buffer_free(&reasons);
}

static bool is_of(const Result *r, const char *dataset) {
    return strcmp(string(r->json, "dataset"), dataset) == 0;
}

static const cJSON *subject_of(const Result *r, const char *name) {
    const cJSON *row;
    cJSON_ArrayForEach(row, get(r->json, "subjects")) {
        if (strcmp(string(row, "subject"), name) == 0) return row;
    }
    return NULL;
}

// `first` is the first result of the benchmark.
static void subjects(XrBuffer *out, const Results *all, const Result *first) {
    const char *dataset = string(first->json, "dataset");
    const cJSON *row, *rows = get(first->json, "subjects");
    if (cJSON_GetArraySize(rows) < 2) return;
    xr_buffer_text(out, "<details><summary>By subject</summary><div class=\"scroll\"><table><thead>"
                        "<tr><th>subject</th><th class=\"n\">items</th>");
    for (int i = 0; i < all->count; i++) {
        if (!is_of(&all->items[i], dataset)) continue;
        xr_buffer_text(out, "<th class=\"n\">");
        name_of(out, &all->items[i]);
        xr_buffer_text(out, "</th>");
    }
    xr_buffer_text(out, "</tr></thead><tbody>\n");
    cJSON_ArrayForEach(row, rows) {
        xr_buffer_text(out, "<tr><td>");
        text(out, string(row, "subject"));
        xr_buffer_format(out, "</td><td class=\"n\">%.0f</td>", number(row, "items"));
        for (int i = 0; i < all->count; i++) {
            if (!is_of(&all->items[i], dataset)) continue;
            mean_cell(out, get(subject_of(&all->items[i], string(row, "subject")), "accuracy"));
        }
        xr_buffer_text(out, "</tr>\n");
    }
    xr_buffer_text(out, "</tbody></table></div></details>\n");
}

static void points_cells(XrBuffer *out, const XrComparison *c) {
    xr_buffer_format(
        out,
        "<td class=\"n\">%lld</td><td class=\"n\">%+.1f <small class=\"soft\">%+.1f to %+.1f"
        "</small></td><td class=\"n\">%.4f</td><td class=\"n\">%lld / %lld</td><td class=\"n\">",
        (long long)c->items, 100 * c->paired.difference, 100 * c->paired.interval.low,
        100 * c->paired.interval.high, c->paired.p, (long long)c->only_first,
        (long long)c->only_second);
    if (c->one_sample) xr_buffer_format(out, "%.4f", c->mcnemar);
    xr_buffer_text(out, "</td></tr>\n");
}

static void pair_name(XrBuffer *out, const Result *a, const Result *b) {
    name_of(out, a);
    xr_buffer_text(out, " &minus; ");
    name_of(out, b);
}

static void pair_head(XrBuffer *out, const char *first) {
    xr_buffer_format(
        out,
        "<div class=\"scroll\"><table><thead><tr><th>%s</th><th class=\"n\">items both "
        "answered</th><th class=\"n\">points, 95%%</th><th class=\"n\">p (bootstrap)"
        "</th><th class=\"n\">only one right</th><th class=\"n\">p (McNemar, exact)</th>"
        "</tr></thead><tbody>\n",
        first);
}

// A row of the table of pairs, and a table by subject.
static void pair(XrBuffer *rows, XrBuffer *by_subject, const Result *a, const Result *b,
                 const char *dataset) {
    XrComparisons c;
    if (!xr_compare(&c, a->scores, string(a->json, "mode"), b->scores, string(b->json, "mode"),
                    dataset)) {
        return;
    }
    xr_buffer_text(rows, "<tr><td>");
    pair_name(rows, a, b);
    xr_buffer_text(rows, "</td>");
    points_cells(rows, &c.all);
    if (c.subject_count > 1) {
        xr_buffer_text(by_subject, "<details><summary>");
        pair_name(by_subject, a, b);
        xr_buffer_text(by_subject, " by subject</summary>");
        pair_head(by_subject, "subject");
        for (int s = 0; s < c.subject_count; s++) {
            xr_buffer_text(by_subject, "<tr><td>");
            text(by_subject, c.subjects[s].subject);
            xr_buffer_text(by_subject, "</td>");
            points_cells(by_subject, &c.subjects[s]);
        }
        xr_buffer_text(by_subject, "</tbody></table></div></details>\n");
    }
    xr_comparisons_free(&c);
}

static void pairs(XrBuffer *out, const Results *all, const char *dataset) {
    XrBuffer rows = {0}, by_subject = {0};
    for (int i = 0; i < all->count; i++) {
        for (int k = i + 1; k < all->count; k++) {
            bool ours = is_of(&all->items[i], dataset) && is_of(&all->items[k], dataset);
            if (ours) pair(&rows, &by_subject, &all->items[k], &all->items[i], dataset);
        }
    }
    if (rows.length) {
        xr_buffer_text(out, "<h4>Paired comparison</h4>\n");
        pair_head(out, "difference");
        xr_buffer_append(out, rows.data, rows.length);
        xr_buffer_text(out, "</tbody></table></div>\n");
    }
    if (by_subject.length) xr_buffer_append(out, by_subject.data, by_subject.length);
    xr_buffer_free(&rows);
    xr_buffer_free(&by_subject);
}

static Columns columns_of(const Results *all, const char *dataset) {
    Columns columns = {0};
    for (int i = 0; i < all->count; i++) {
        const cJSON *j = all->items[i].json;
        if (!is_of(&all->items[i], dataset)) continue;
        columns.several |= number(j, "samples") > 1;
        columns.official |= get(j, "official") != NULL;
        columns.tokens |= get(j, "tokens") != NULL;
    }
    return columns;
}

static void result_head(XrBuffer *out, Columns columns) {
    xr_buffer_text(out, "<div class=\"scroll\"><table><thead><tr><th></th><th class=\"n\">answered"
                        "</th><th class=\"n\">samples</th><th class=\"n\">accuracy</th>");
    if (columns.several) {
        xr_buffer_text(out, "<th class=\"n\">majority</th><th class=\"n\">pass@n</th>");
    }
    if (columns.official) xr_buffer_text(out, "<th class=\"n\">official rule</th>");
    xr_buffer_text(out, "<th class=\"n\">truncated</th><th class=\"n\">endless</th><th class=\"n\">"
                        "forced</th><th class=\"n\">unparsed</th><th class=\"n\">empty</th>");
    if (columns.tokens) xr_buffer_text(out, "<th class=\"n\">tokens</th>");
    xr_buffer_text(out, "<th class=\"n\">words</th></tr></thead><tbody>\n");
}

static void benchmark(XrBuffer *out, const Results *all, int first) {
    const char *dataset = string(all->items[first].json, "dataset");
    Columns columns = columns_of(all, dataset);
    xr_buffer_text(out, "<h3>");
    text(out, string(all->items[first].json, "title"));
    xr_buffer_text(out, "</h3>\n");
    result_head(out, columns);
    for (int i = first; i < all->count; i++) {
        if (is_of(&all->items[i], dataset)) result_row(out, &all->items[i], columns);
    }
    published_rows(out, dataset, columns);
    xr_buffer_text(out, "</tbody></table></div>\n");
    for (int i = first; i < all->count; i++) {
        if (is_of(&all->items[i], dataset)) left_out_line(out, &all->items[i]);
    }
    subjects(out, all, &all->items[first]);
    pairs(out, all, dataset);
}

void xr_report_evaluations(XrBuffer *out, const XrRunData *runs, int count) {
    XrScores *scores = xr_calloc((size_t)count, sizeof *scores);
    bool any = false;
    for (int r = 0; r < count; r++) {
        if (!xr_run_is_eval(&runs[r])) continue;
        any = true;
        xr_scores_read(&scores[r], runs[r].folder);
    }
    Results all = results_of(runs, count, scores);
    if (any) {
        xr_buffer_text(
            out, "<h2>Evaluation</h2>\n<p class=\"soft\">Percent, with 95% intervals (Wilson; with "
                 "several samples, clustered by question). Accuracy is the mean over samples. "
                 "Truncated to empty: of all answers. Tokens and words: means. Of differences over "
                 "few questions the bootstrap is too sure: go by McNemar's p.</p>\n");
    }
    for (int i = 0; i < all.count; i++) {
        bool seen = false;
        for (int k = 0; k < i; k++)
            seen |= is_of(&all.items[k], string(all.items[i].json, "dataset"));
        if (!seen) benchmark(out, &all, i);
    }
    free(all.items);
    for (int r = 0; r < count; r++) xr_scores_free(&scores[r]);
    free(scores);
}
