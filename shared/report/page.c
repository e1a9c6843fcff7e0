#include "shared/report/page.h"

#include "shared/base/file.h"
#include "shared/base/memory.h"
#include "shared/report/chart.h"
#include "shared/report/eval_page.h"
#include "shared/report/sample.h"

#include <stdlib.h>
#include <string.h>

static const char STYLE[] =
    ":root{color-scheme:light "
    "dark;--ink:#1c1e21;--soft:#667;--paper:#fff;--card:#f5f6f8;--rule:#d8dbe0;"
    "--mark:#ffe08a}\n"
    "@media(prefers-color-scheme:dark){:root{--ink:#e6e7ea;--soft:#9aa0aa;--paper:#16181c;--card:#"
    "1f2227;"
    "--rule:#363a42;--mark:#6b5300}}\n"
    "body{font:15px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--paper);margin:2rem "
    "auto;"
    "max-width:1360px;padding:0 1rem}\n"
    "h1{font-size:1.5rem}h2{font-size:1.15rem;margin-top:2.2rem}\n"
    ".runs{display:flex;flex-wrap:wrap;gap:.4rem 1.4rem;list-style:none;padding:0}\n"
    ".runs span{display:inline-block;width:.9rem;height:.9rem;border-radius:2px;margin-right:.4rem;"
    "vertical-align:-1px;background:currentColor}\n"
    ".scroll{overflow-x:auto}table{border-collapse:collapse;font-variant-numeric:tabular-nums}\n"
    "th,td{text-align:left;padding:.2rem .8rem .2rem 0;border-bottom:1px solid var(--rule);"
    "vertical-align:top}.n{text-align:right;white-space:nowrap}"
    "td:first-child{white-space:nowrap}@media(max-width:600px){td:first-child{white-space:normal}}"
    "\n"
    ".charts{display:grid;grid-template-columns:repeat(auto-fill,minmax(320px,1fr));gap:1rem}\n"
    "figure{margin:0;background:var(--card);border-radius:6px;padding:.6rem}figcaption{font-weight:"
    "600}\n"
    "svg{width:100%;height:auto;display:block}.grid{stroke:var(--rule)}.tick{font-size:10px;"
    "fill:var(--soft)}\n"
    ".line{fill:none;stroke:currentColor;stroke-width:1.6;stroke-linejoin:round}"
    ".band{fill:currentColor;opacity:.15}.dot{fill:currentColor}\n"
    "details{background:var(--card);border-radius:6px;margin:.5rem 0;padding:.4rem .8rem}"
    "summary{cursor:pointer}\n"
    "pre{white-space:pre-wrap;overflow-wrap:anywhere;font:13px/1.45 "
    "ui-monospace,monospace;margin:.4rem 0}\n"
    "mark{background:var(--mark);color:inherit;border-radius:2px}.soft{color:var(--soft)}\n"
    ".filters{display:flex;flex-wrap:wrap;gap:.4rem 1rem;margin:.6rem 0}"
    ".filters label{color:var(--soft)}select,input,button{font:inherit;color:var(--ink);"
    "background:var(--card);border:1px solid var(--rule);border-radius:4px;padding:.1rem .4rem}"
    "button:disabled{opacity:.4}h4{margin:1rem 0 .3rem}\n"
    ".right::before{content:'right';color:#2a9d62}.wrong::before{content:'wrong';color:#d9622b}\n"
    ".c0{color:#2f6fde}.c1{color:#d9622b}.c2{color:#2a9d62}.c3{color:#b0479a}.c4{color:#c7a008}"
    ".c5{color:#17a2b8}.c6{color:#8a6d3b}.c7{color:#d23f57}\n";

static void text(XrBuffer *out, const char *t) {
    xr_html_text(out, t, strlen(t));
}

// A JSON value as a table cell shows it.
static void json_value(XrBuffer *out, const cJSON *value) {
    if (cJSON_IsString(value)) {
        text(out, value->valuestring);
        return;
    }
    char *printed = cJSON_PrintUnformatted(value);
    if (printed) text(out, printed);
    cJSON_free(printed);
}

static void table_head(XrBuffer *out, const char *first, const XrRunData *runs, int count) {
    xr_buffer_format(out, "<div class=\"scroll\"><table><thead><tr><th>%s</th>", first);
    for (int r = 0; r < count; r++) {
        xr_buffer_text(out, "<th>");
        text(out, runs[r].name);
        xr_buffer_text(out, "</th>");
    }
    xr_buffer_text(out, "</tr></thead><tbody>\n");
}

static const char TABLE_END[] = "</tbody></table></div>\n";

static const cJSON *key_of(const XrJson *json, const char *key) {
    return json->root ? cJSON_GetObjectItemCaseSensitive(json->root, key) : NULL;
}

// Whether all runs have the same value under a configuration key.
static bool same_in_all(const XrRunData *runs, int count, const char *key) {
    for (int r = 1; r < count; r++) {
        const cJSON *a = key_of(&runs[0].config, key), *b = key_of(&runs[r].config, key);
        if (!a != !b || (a && !cJSON_Compare(a, b, true))) return false;
    }
    return true;
}

// One row a key; keys of the first run that has them come first. `different` picks those in which
// the runs differ, otherwise those that they share.
static void config_rows(XrBuffer *out, const XrRunData *runs, int count, bool different) {
    for (int owner = 0; owner < count; owner++) {
        const cJSON *item;
        cJSON_ArrayForEach(item, runs[owner].config.root) {
            bool seen = false;
            for (int r = 0; r < owner; r++) seen |= key_of(&runs[r].config, item->string) != NULL;
            if (seen || same_in_all(runs, count, item->string) == different) continue;
            xr_buffer_text(out, "<tr><td>");
            text(out, item->string);
            xr_buffer_text(out, "</td>");
            for (int r = 0; r < (different ? count : 1); r++) {
                const cJSON *value = key_of(&runs[r].config, item->string);
                xr_buffer_text(out, "<td>");
                if (value) json_value(out, value);
                xr_buffer_text(out, "</td>");
            }
            xr_buffer_text(out, "</tr>\n");
        }
    }
}

static void configuration(XrBuffer *out, const XrRunData *runs, int count) {
    if (count > 1) {
        xr_buffer_text(out, "<h2>Where the configurations differ</h2>\n");
        table_head(out, "key", runs, count);
        config_rows(out, runs, count, true);
        xr_buffer_text(out, TABLE_END);
    }
    xr_buffer_format(out, "<details><summary>Configuration%s</summary>\n",
                     count > 1 ? " that all runs share" : "");
    xr_buffer_text(out, "<div class=\"scroll\"><table><tbody>\n");
    config_rows(out, runs, count, false);
    xr_buffer_text(out, TABLE_END);
    xr_buffer_text(out, "</details>\n");
}

// Every metric that any run has, in the order of first appearance; `*names` is to be freed.
static int metric_names(const XrRunData *runs, int count, const char ***names) {
    int found = 0;
    *names = NULL;
    for (int r = 0; r < count; r++) {
        for (int i = 0; i < runs[r].series_count; i++) {
            const char *name = runs[r].series[i].name;
            bool seen = false;
            for (int k = 0; k < found && !seen; k++) seen = strcmp((*names)[k], name) == 0;
            if (seen) continue;
            *names = xr_realloc(*names, sizeof **names * ((size_t)found + 1));
            (*names)[found++] = name;
        }
    }
    return found;
}

// Whether a metric has two different values anywhere.
static bool varies(const XrRunData *runs, int count, const char *name) {
    const double *first = NULL;
    for (int r = 0; r < count; r++) {
        const XrSeries *s = xr_run_series(&runs[r], name);
        for (int64_t i = 0; s && i < s->count; i++) {
            if (!first) first = s->value;
            if (s->value[i] != *first) return true;
        }
    }
    return false;
}

// Names the metrics that have no curve.
static void constants(XrBuffer *out, const XrRunData *runs, int count, const char *const *names,
                      int metrics) {
    int said = 0;
    for (int m = 0; m < metrics; m++) {
        if (varies(runs, count, names[m])) continue;
        xr_buffer_text(out, said++ ? ", " : "<p class=\"soft\">The same at every step: ");
        text(out, names[m]);
    }
    if (said) xr_buffer_text(out, ".</p>\n");
}

// The last value of each metric, with the mean of the last tenth of its points beside it.
static void last_values(XrBuffer *out, const XrRunData *runs, int count, const char *const *names,
                        int metrics) {
    xr_buffer_text(out,
                   "<h2>Last values</h2>\n<p class=\"soft\">In brackets the mean over the last "
                   "tenth of the logged steps.</p>\n");
    table_head(out, "metric", runs, count);
    for (int m = 0; m < metrics; m++) {
        xr_buffer_text(out, "<tr><td>");
        text(out, names[m]);
        xr_buffer_text(out, "</td>");
        for (int r = 0; r < count; r++) {
            const XrSeries *s = xr_run_series(&runs[r], names[m]);
            xr_buffer_text(out, "<td class=\"n\">");
            if (s && s->count) {
                int64_t tail = XR_MAX(s->count / 10, 1);
                double mean = 0;
                for (int64_t i = s->count - tail; i < s->count; i++)
                    mean += s->value[i] / (double)tail;
                xr_buffer_format(out, "%.5g (%.5g)", s->value[s->count - 1], mean);
            }
            xr_buffer_text(out, "</td>");
        }
        xr_buffer_text(out, "</tr>\n");
    }
    xr_buffer_text(out, TABLE_END);
}

static void summary_rows(XrBuffer *out, const XrRunData *run) {
    const cJSON *item;
    cJSON_ArrayForEach(item, run->summary.root) {
        if (cJSON_IsArray(item)) continue; // an evaluation's results have tables of their own
        xr_buffer_text(out, "<tr><td>");
        text(out, item->string ? item->string : "");
        xr_buffer_text(out, "</td><td>");
        json_value(out, item);
        xr_buffer_text(out, "</td></tr>\n");
    }
}

// What each run counted, and what of its files could not be read.
static void counts(XrBuffer *out, const XrRunData *runs, int count) {
    xr_buffer_text(out, "<h2>Counts</h2>\n");
    for (int r = 0; r < count; r++) {
        xr_buffer_text(out, "<h3>");
        text(out, runs[r].name);
        xr_buffer_text(out, "</h3>\n<div class=\"scroll\"><table><tbody>\n");
        summary_rows(out, &runs[r]);
        if (!xr_run_is_eval(&runs[r])) {
            xr_buffer_format(
                out, "<tr><td>lines of metrics</td><td>%lld, %lld of them not readable</td></tr>\n",
                (long long)runs[r].metric_rows, (long long)runs[r].odd_rows);
        }
        xr_buffer_format(out, "<tr><td>samples</td><td>%lld, the last %d below</td></tr>\n",
                         (long long)runs[r].sample_rows, runs[r].sample_count);
        xr_buffer_text(out, TABLE_END);
        if (!runs[r].summary.root) {
            xr_buffer_text(out, "<p class=\"soft\">No summary.json: the run has not ended.</p>\n");
        }
    }
}

static void legend(XrBuffer *out, const XrRunData *runs, int count) {
    xr_buffer_text(out, "<ul class=\"runs\">\n");
    for (int r = 0; r < count; r++) {
        xr_buffer_format(out, "<li><span class=\"c%d\"></span>", r % XR_CHART_COLOURS);
        text(out, runs[r].name);
        xr_buffer_text(out, " <small class=\"soft\">");
        text(out, runs[r].folder);
        xr_buffer_text(out, "</small></li>\n");
    }
    xr_buffer_text(out, "</ul>\n");
}

void xr_report_begin(XrBuffer *out, const char *title) {
    xr_buffer_text(out, "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
                        "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n"
                        "<title>xreasoner: ");
    text(out, title);
    xr_buffer_text(out, "</title>\n<style>\n");
    xr_buffer_text(out, STYLE);
    xr_buffer_text(out, "</style></head><body>\n");
}

void xr_report_page(XrBuffer *out, const XrRunData *runs, int count) {
    const char **names;
    int metrics = metric_names(runs, count, &names);
    XrBuffer title = {0};
    xr_buffer_text(&title, runs[0].name);
    if (count > 1) xr_buffer_format(&title, " and %d more", count - 1);
    xr_report_begin(out, title.data);
    xr_buffer_free(&title);
    xr_buffer_text(out, "<h1>");
    xr_buffer_text(out, count > 1 ? "Runs compared" : "Run ");
    if (count == 1) text(out, runs[0].name);
    xr_buffer_text(out, "</h1>\n");
    legend(out, runs, count);
    if (metrics) {
        xr_buffer_text(out, "<h2>Curves</h2>\n<div class=\"charts\">\n");
        for (int m = 0; m < metrics; m++) {
            if (varies(runs, count, names[m])) xr_chart(out, names[m], runs, count);
        }
        xr_buffer_text(out, "</div>\n");
        constants(out, runs, count, names, metrics);
        last_values(out, runs, count, names, metrics);
    }
    xr_report_evaluations(out, runs, count);
    counts(out, runs, count);
    configuration(out, runs, count);
    for (int r = 0; r < count; r++) {
        if (!xr_run_is_eval(&runs[r])) xr_report_samples(out, &runs[r]);
    }
    xr_report_answers(out, runs, count);
    xr_buffer_text(out, "</body></html>\n");
    free(names);
}

bool xr_report_write(const char *path, const char *const *folders, int count, int most_samples,
                     XrError *err) {
    XrRunData *runs = xr_calloc((size_t)count, sizeof *runs);
    int read = 0;
    bool ok = true;
    while (ok && read < count) {
        ok = xr_run_data_read(&runs[read], folders[read], most_samples, err);
        if (ok) read++;
    }
    if (ok) {
        XrBuffer page = {0};
        xr_report_page(&page, runs, count);
        ok = xr_file_write(path, page.data, page.length, err);
        xr_buffer_free(&page);
    }
    for (int i = 0; i < read; i++) xr_run_data_free(&runs[i]);
    free(runs);
    return ok;
}
