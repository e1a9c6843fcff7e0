// Tables as JSON and for people.
#include "shared/base/memory.h"
#include "shared/eval/published.h"
#include "shared/eval/table.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

// Items of a benchmark without an answer, by reason.
typedef struct Lost {
    int64_t problems[XR_ITEM_PROBLEMS]; // of chosen items; duplicates are no items
    int64_t refused;                    // could not be asked, or nobody answered
    int64_t missing;                    // published, but not in the file
} Lost;

static Lost lost_of(const XrSuite *suite, int s, const XrLeftOuts *left_out) {
    const XrSuiteSet *set = &suite->sets[s];
    Lost lost = {.missing = set->whole ? set->items.missing : 0};
    for (int64_t i = 0; i < set->items.count; i++) {
        if (set->chosen[i]) lost.problems[set->items.items[i].problem]++;
    }
    for (int64_t i = 0; i < left_out->count; i++) lost.refused += left_out->items[i].at.set == s;
    return lost;
}

static double share(int64_t part, int64_t whole) {
    return whole ? (double)part / (double)whole : 0;
}

// ---- JSON ----

static void mean_json(XrBuffer *out, const char *key, const XrMean *m) {
    xr_buffer_format(out,
                     ", \"%s\": {\"value\": %.17g, \"stderr\": %.17g, \"low\": %.17g, \"high\": "
                     "%.17g}",
                     key, m->mean, m->stderr_, m->interval.low, m->interval.high);
}

static void lost_json(XrBuffer *out, const Lost *lost) {
    xr_buffer_text(out, ", \"left_out\": {");
    for (int p = XR_ITEM_MALFORMED; p < XR_ITEM_PROBLEMS; p++) {
        xr_buffer_format(out, "\"%s\": %" PRId64 ", ", xr_item_problem_name((XrItemProblem)p),
                         lost->problems[p]);
    }
    xr_buffer_format(out, "\"unanswered\": %" PRId64 ", \"not_in_file\": %" PRId64 "}",
                     lost->refused, lost->missing);
}

static void subjects_json(XrBuffer *out, const XrTable *t) {
    xr_buffer_text(out, ", \"subjects\": [");
    for (int s = 0; s < t->subject_count; s++) {
        const XrSubjectRow *row = &t->subjects[s];
        xr_buffer_text(out, s ? ", {\"subject\": " : "{\"subject\": ");
        xr_buffer_json(out, row->subject, strlen(row->subject));
        xr_buffer_format(out, ", \"items\": %" PRId64 ", \"answered\": %" PRId64,
                         row->accuracy.count, row->answered);
        mean_json(out, "accuracy", &row->accuracy);
        xr_buffer_byte(out, '}');
    }
    xr_buffer_byte(out, ']');
}

static void lengths_json(XrBuffer *out, const char *key, const XrLengths *l) {
    if (!l->count) return;
    xr_buffer_format(out, ", \"%s\": {\"mean\": %.17g, \"median\": %.17g}", key, l->mean,
                     l->median);
}

static void samples_json(XrBuffer *out, const XrTable *t) {
    mean_json(out, "accuracy", &t->average);
    if (t->samples > 1) {
        mean_json(out, "majority", &t->majority);
        xr_buffer_format(out,
                         ", \"majority_ties\": %" PRId64 ", \"majority_no_votes\": %" PRId64
                         ", \"missing_samples\": %" PRId64,
                         t->ties, t->no_votes, t->missing_samples);
    }
    for (int k = 1; t->samples > 1 && k <= t->samples; k++) {
        char key[32];
        snprintf(key, sizeof key, "pass@%d", k);
        mean_json(out, key, &t->pass[k - 1]);
    }
    if (!t->has_official) return;
    mean_json(out, "official", &t->official);
    xr_buffer_format(out,
                     ", \"official_undecided\": %" PRId64 ", \"official_random\": %" PRId64
                     ", \"official_differs\": %" PRId64,
                     t->official_undecided, t->official_random, t->official_differs);
}

static void table_json(XrBuffer *out, const XrTable *t, const XrSuite *suite,
                       const XrLeftOuts *left_out) {
    const XrSuiteSet *set = &suite->sets[t->set];
    Lost lost = lost_of(suite, t->set, left_out);
    xr_buffer_format(out,
                     "{\"dataset\": \"%s\", \"title\": \"%s\", \"mode\": \"%s\", \"samples\": %d, "
                     "\"items\": %" PRId64 ", \"whole\": %s, \"answered\": %" PRId64
                     ", \"answers\": %" PRId64,
                     set->benchmark->name, set->benchmark->title, xr_answer_mode_name(t->mode),
                     t->samples, t->items, set->whole ? "true" : "false", t->answered, t->answers);
    lost_json(out, &lost);
    samples_json(out, t);
    xr_buffer_text(out, ", \"verdicts\": {");
    for (int v = 0; v < XR_VERDICTS; v++) {
        xr_buffer_format(out, "%s\"%s\": %" PRId64, v ? ", " : "", xr_verdict_name((XrVerdict)v),
                         t->verdicts[v]);
    }
    xr_buffer_format(
        out, "}, \"truncated\": %" PRId64 ", \"endless\": %" PRId64 ", \"forced\": %" PRId64,
        t->truncated, t->endless, t->forced);
    lengths_json(out, "tokens", &t->tokens);
    lengths_json(out, "words", &t->words);
    subjects_json(out, t);
    xr_buffer_byte(out, '}');
}

void xr_tables_json(XrBuffer *out, const XrTables *tables, const XrSuite *suite,
                    const XrLeftOuts *left_out) {
    xr_buffer_byte(out, '[');
    for (int i = 0; i < tables->count; i++) {
        if (i) xr_buffer_text(out, ", ");
        table_json(out, &tables->items[i], suite, left_out);
    }
    xr_buffer_byte(out, ']');
}

// ---- for people ----

static void mean_text(XrBuffer *out, const char *name, const XrMean *m) {
    xr_buffer_format(out, "  %-22s %6.2f   95%% [%.2f, %.2f]\n", name, 100 * m->mean,
                     100 * m->interval.low, 100 * m->interval.high);
}

static void add_count(XrBuffer *out, const char *separator, int64_t count, const char *what) {
    if (count == 0) return;
    xr_buffer_format(out, "%s%" PRId64 " %s", out->length ? separator : "", count, what);
}

static void lost_text(XrBuffer *out, const XrTable *t, int64_t all, const Lost *lost) {
    XrBuffer text = {0};
    add_count(&text, ", ", lost->problems[XR_ITEM_MALFORMED], "malformed");
    add_count(&text, ", ", lost->problems[XR_ITEM_MISSING_PICTURE], "without their picture");
    add_count(&text, ", ", lost->problems[XR_ITEM_WRONG_GOLD], "with a wrong gold answer");
    add_count(&text, ", ", lost->refused, "without a response");
    add_count(&text, ", ", lost->missing, "not in the file");
    int64_t unanswered = all - t->answered;
    if (unanswered || text.length) {
        xr_buffer_format(out, "  %" PRId64 " of %" PRId64 " items have no answer%s%s%s%s\n",
                         unanswered, all, text.length ? " (" : "", text.length ? text.data : "",
                         text.length ? ")" : "", t->items < all ? " and are left aside" : "");
    }
    if (lost->problems[XR_ITEM_DUPLICATE]) {
        xr_buffer_format(out, "  %" PRId64 " rows repeat an id and are no items\n",
                         lost->problems[XR_ITEM_DUPLICATE]);
    }
    xr_buffer_free(&text);
}

static void rates_text(XrBuffer *out, const XrTable *t) {
    xr_buffer_format(out,
                     "  of %" PRId64 " answers: %.1f%% truncated, %.1f%% endless thinking, %.1f%% "
                     "forced to exit, %.1f%% unparsed, %.1f%% empty\n",
                     t->answers, 100 * share(t->truncated, t->answers),
                     100 * share(t->endless, t->answers), 100 * share(t->forced, t->answers),
                     100 * share(t->verdicts[XR_VERDICT_UNPARSED], t->answers),
                     100 * share(t->verdicts[XR_VERDICT_EMPTY], t->answers));
    const int others[] = {XR_VERDICT_UNKNOWN, XR_VERDICT_UNPARSED_GOLD, XR_VERDICT_OVER_LIMIT};
    for (size_t i = 0; i < XR_COUNT(others); i++) {
        if (!t->verdicts[others[i]]) continue;
        xr_buffer_format(out, "  verdict %s: %" PRId64 "\n", xr_verdict_name((XrVerdict)others[i]),
                         t->verdicts[others[i]]);
    }
    if (t->tokens.count) {
        xr_buffer_format(out, "  tokens %.1f (median %.1f), words %.1f (median %.1f)\n",
                         t->tokens.mean, t->tokens.median, t->words.mean, t->words.median);
    } else {
        xr_buffer_format(out, "  words %.1f (median %.1f)\n", t->words.mean, t->words.median);
    }
}

static void subjects_text(XrBuffer *out, const XrTable *t) {
    if (t->subject_count < 2) return;
    for (int s = 0; s < t->subject_count; s++) {
        const XrSubjectRow *row = &t->subjects[s];
        xr_buffer_format(out, "    %-34s %6.2f   95%% [%.2f, %.2f]   %" PRId64 " items\n",
                         row->subject, 100 * row->accuracy.mean, 100 * row->accuracy.interval.low,
                         100 * row->accuracy.interval.high, row->accuracy.count);
    }
}

static void table_text(XrBuffer *out, const XrTable *t, const XrSuite *suite,
                       const XrLeftOuts *left_out) {
    const XrSuiteSet *set = &suite->sets[t->set];
    Lost lost = lost_of(suite, t->set, left_out);
    char name[48];
    const char *which = t->items < set->denominator ? " that were answered"
                        : set->whole                ? ", as published"
                                                    : " (not all)";
    xr_buffer_format(out, "%s%s: %" PRId64 " items%s\n", set->benchmark->title,
                     t->mode == XR_MODE_BUDGET ? ", forced exit" : "", t->items, which);
    snprintf(name, sizeof name, t->samples > 1 ? "average@%d" : "accuracy", t->samples);
    mean_text(out, name, &t->average);
    if (t->samples > 1) {
        snprintf(name, sizeof name, "majority@%d", t->samples);
        mean_text(out, name, &t->majority);
        for (int k = 1; k <= t->samples; k++) {
            snprintf(name, sizeof name, "pass@%d", k);
            mean_text(out, name, &t->pass[k - 1]);
        }
        xr_buffer_format(out,
                         "  votes: %" PRId64 " items by the tie rule, %" PRId64
                         " without a vote; %" PRId64 " samples missing\n",
                         t->ties, t->no_votes, t->missing_samples);
    }
    if (t->has_official) {
        mean_text(out, "official rule", &t->official);
        xr_buffer_format(out,
                         "    judges %" PRId64
                         " answers otherwise; would draw at random for %" PRId64
                         "; needs a language model for %" PRId64 "\n",
                         t->official_differs, t->official_random, t->official_undecided);
    }
    lost_text(out, t, set->denominator, &lost);
    rates_text(out, t);
    subjects_text(out, t);
}

static void published_text(XrBuffer *out, const char *benchmark) {
    int count;
    const XrPublished *p = xr_published(benchmark, &count);
    for (int i = 0; i < count; i++) {
        xr_buffer_format(out, "  paper: %-24s %-22s %5.1f   (%s)\n", p[i].system, p[i].metric,
                         p[i].value, p[i].where);
    }
}

void xr_tables_text(XrBuffer *out, const XrTables *tables, const XrSuite *suite,
                    const XrLeftOuts *left_out) {
    for (int i = 0; i < tables->count; i++) {
        const XrTable *t = &tables->items[i];
        table_text(out, t, suite, left_out);
        bool last = i + 1 == tables->count || tables->items[i + 1].set != t->set;
        if (last) published_text(out, suite->sets[t->set].benchmark->name);
    }
}
