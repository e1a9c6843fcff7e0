#include "shared/demo/page.h"

#include "shared/base/file.h"
#include "shared/base/memory.h"
#include "shared/demo/train.h"
#include "shared/report/chart.h"
#include "shared/report/page.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static const char STYLE[] =
    "<style>body{max-width:1080px}td,th{white-space:nowrap}td.wrap{white-space:normal;min-width:"
    "13rem}"
    "td small{display:block;color:var(--soft)}th small{font-weight:400;color:var(--soft)}\n"
    ".finding{background:var(--card);border-radius:6px;padding:.7rem 1rem;margin:.8rem 0}"
    ".finding h3{margin:0 0 .2rem;font-size:1rem}.finding p{margin:.2rem 0}\n"
    ".badge{display:inline-block;border-radius:4px;padding:0 .5rem;font-weight:600;color:#fff}"
    ".yes{background:#20794b}.no{background:#a33a2c}.part{background:#8a6100}\n"
    "td.yes,td.no,td.part{background:none;font-weight:600}td.yes{color:#2a9d62}td.no{color:#d9622b}"
    "table{margin:.4rem 0}.trained{text-decoration:underline dotted}</style>\n";

static void text(XrBuffer *out, const char *t) {
    xr_html_text(out, t, strlen(t));
}

static const struct {
    const char *name, *title;
} MODELS[XR_DEMO_MODELS] = {
    {"base", "before any post-training"},
    {"answer", "base, then SFT without reasoning on text of total"},
    {"sft", "base, then SFT with reasoning on text of total"},
    {"rl", "base, then RL on text of total"},
    {"sft-rl", "base, then SFT with reasoning, then RL, on text of total"},
    {"special", "sft-rl, then SFT with reasoning, then RL, on text of level"},
};

const char *xr_demo_model_name(XrDemoModel model) {
    return MODELS[model].name;
}

const char *xr_demo_model_title(XrDemoModel model) {
    return MODELS[model].title;
}

// ---- findings ----

const char *xr_demo_finding_word(const XrDemoFinding *f) {
    return f->shown == f->claim_count ? "shown" : f->shown ? "shown in part" : "not shown";
}

static const char *verdict_word(XrDemoVerdict verdict) {
    return verdict == XR_DEMO_SHOWN       ? "shown"
           : verdict == XR_DEMO_NOT_SHOWN ? "not shown"
                                          : "the opposite shows";
}

static const char *measure_name(XrDemoMeasure measure) {
    return measure == XR_DEMO_RIGHT     ? "right, %"
           : measure == XR_DEMO_TOKENS  ? "tokens"
           : measure == XR_DEMO_ENDLESS ? "endless thinking, %"
                                        : "ran into the cap, %";
}

static double scale_of(XrDemoMeasure measure) {
    return measure == XR_DEMO_TOKENS ? 1 : 100;
}

static void side_name(XrBuffer *out, XrDemoModel model, XrDemoExit exit) {
    xr_buffer_text(out, MODELS[model].name);
    if (exit == XR_DEMO_FORCED) xr_buffer_text(out, " with forced exit");
}

void xr_demo_claim_text(XrBuffer *out, const XrDemoClaim *c) {
    double s = scale_of(c->measure);
    xr_buffer_format(out, "%s, %s: ", c->cell < 0 ? "all cells" : xr_demo_cell_name(c->cell),
                     measure_name(c->measure));
    side_name(out, c->a, c->a_exit);
    xr_buffer_format(out, " %.1f, ", s * c->a_mean);
    side_name(out, c->b, c->b_exit);
    xr_buffer_format(out, " %.1f, difference %+.1f [%+.1f, %+.1f]: %s", s * c->b_mean,
                     s * c->paired.difference, s * c->paired.interval.low,
                     s * c->paired.interval.high, verdict_word(c->verdict));
}

static void claim_row(XrBuffer *out, const XrDemoClaim *c) {
    double s = scale_of(c->measure);
    xr_buffer_format(out, "<tr><td>%s</td><td>%s</td><td>",
                     c->cell < 0 ? "all four cells" : xr_demo_cell_name(c->cell),
                     measure_name(c->measure));
    side_name(out, c->a, c->a_exit);
    xr_buffer_format(out, "</td><td class=\"n\">%.1f</td><td>", s * c->a_mean);
    side_name(out, c->b, c->b_exit);
    xr_buffer_format(out,
                     "</td><td class=\"n\">%.1f</td><td class=\"n\">%+.1f</td>"
                     "<td class=\"n\">%+.1f to %+.1f</td><td class=\"%s\">%s</td></tr>\n",
                     s * c->b_mean, s * c->paired.difference, s * c->paired.interval.low,
                     s * c->paired.interval.high, c->verdict == XR_DEMO_SHOWN ? "yes" : "no",
                     verdict_word(c->verdict));
}

static void finding(XrBuffer *out, const XrDemoFinding *f) {
    const char *kind = f->shown == f->claim_count ? "yes" : f->shown ? "part" : "no";
    xr_buffer_format(out, "<div class=\"finding\"><h3><span class=\"badge %s\">%s</span> ", kind,
                     xr_demo_finding_word(f));
    text(out, f->paper);
    xr_buffer_text(out, "</h3><p class=\"soft\">Here: ");
    text(out, f->test);
    xr_buffer_text(out,
                   ".</p>\n<div class=\"scroll\"><table><thead><tr><th>cell</th><th>measure</th>"
                   "<th colspan=\"2\">this</th><th colspan=\"2\">against</th><th>difference</th>"
                   "<th>95% interval</th><th>verdict</th></tr></thead><tbody>\n");
    for (int c = 0; c < f->claim_count; c++) claim_row(out, &f->claims[c]);
    xr_buffer_text(out, "</tbody></table></div></div>\n");
}

static void all_findings(XrBuffer *out, const XrDemoScore scores[XR_DEMO_MODELS]) {
    XrDemoFinding findings[XR_DEMO_FINDINGS];
    xr_demo_findings(findings, scores);
    xr_buffer_format(
        out,
        "<h2>The paper's findings, and what was measured here</h2>\n"
        "<p>One rule for all: a comparison <b>shows</b> where the 95%% interval of the paired "
        "difference lies wholly on the claimed side of zero; otherwise it is <b>not shown</b>, or "
        "<b>the opposite shows</b>. Answers are greedy, to the %" PRId64
        " lists of each cell of the "
        "test split; intervals come from 4,000 bootstrap samples of lists. Over all four cells, a "
        "list's text and picture count as one observation. A finding with several comparisons is "
        "shown in part where only some show. Comparisons are made one by one, without a correction "
        "for their number.</p>\n",
        scores[0].items);
    for (int f = 0; f < XR_DEMO_FINDINGS; f++) finding(out, &findings[f]);
}

// ---- all scores ----

// What a model was trained on, as text.
static bool trained_on(XrDemoModel model, int cell) {
    if (cell == 2) return model == XR_DEMO_SPECIAL;
    return cell == 0 && model != XR_DEMO_BASE;
}

static void score_cell(XrBuffer *out, const XrWorldMark *marks, int64_t items, bool trained) {
    XrDemoCell c = xr_demo_cell(marks, items);
    xr_buffer_format(out,
                     "<td><span%s>%.1f</span> <span class=\"soft\">%.1f&ndash;%.1f</span>"
                     "<small>%.1f tokens</small><small>cap %.1f%%, open %.1f%%</small></td>",
                     trained ? " class=\"trained\"" : "", 100 * c.right, 100 * c.low, 100 * c.high,
                     c.tokens, 100 * c.capped, 100 * c.open);
}

static void score_table(XrBuffer *out, const XrDemoScore scores[XR_DEMO_MODELS], int decoding) {
    xr_buffer_text(out, "<div class=\"scroll\"><table><thead><tr><th>model</th><th>exit</th>");
    for (int c = 0; c < XR_DEMO_CELLS; c++) {
        xr_buffer_format(out, "<th>%s</th>", xr_demo_cell_name(c));
    }
    xr_buffer_text(out, "</tr></thead><tbody>\n");
    for (int m = 0; m < XR_DEMO_MODELS; m++) {
        for (int e = 0; e < XR_DEMO_EXITS; e++) {
            xr_buffer_text(out, "<tr>");
            if (e == 0) {
                xr_buffer_format(out,
                                 "<td rowspan=\"2\" class=\"wrap\"><b>%s</b><small>%s</small></td>",
                                 MODELS[m].name, MODELS[m].title);
            }
            xr_buffer_format(out, "<td>%s</td>", xr_demo_exit_name((XrDemoExit)e));
            for (int c = 0; c < XR_DEMO_CELLS; c++) {
                score_cell(out, scores[m].marks[decoding][e][c], scores[m].items,
                           trained_on((XrDemoModel)m, c));
            }
            xr_buffer_text(out, "</tr>\n");
        }
    }
    xr_buffer_text(out, "</tbody></table></div>\n");
}

static void all_scores(XrBuffer *out, const XrDemoScore scores[XR_DEMO_MODELS]) {
    xr_buffer_format(
        out,
        "<h2>Every model in every cell</h2>\n<p>%% right with its 95%% interval (Wilson), of "
        "%" PRId64
        " lists; mean tokens of a response; <i>cap</i>: ran into the limit of %d tokens; "
        "<i>open</i>: ended by itself with thinking that was never closed. <i>free</i>: as the "
        "model "
        "goes; <i>forced</i>: thinking still open after %d tokens is closed for it. Guessing gives "
        "10%% of total and 20%% of level. <span class=\"trained\">Underlined</span>: text of the "
        "domain that the model was trained on; everything else it never saw in post-training."
        "</p>\n",
        scores[0].items, XR_WORLD_MOST_TOKENS, XR_DEMO_BUDGET);
    xr_buffer_text(out, "<h3>Greedy</h3>\n");
    score_table(out, scores, XR_DEMO_GREEDY);
    xr_buffer_format(out, "<h3>Sampled, at temperature %g</h3>\n", (double)XR_DEMO_TEMPERATURE);
    score_table(out, scores, XR_DEMO_SAMPLED);
}

// ---- curves ----

static void legend(XrBuffer *out, const XrRunData *runs, const XrDemoRun *which, int count) {
    xr_buffer_text(out, "<ul class=\"runs\">\n");
    for (int r = 0; r < count; r++) {
        xr_buffer_format(
            out, "<li><span class=\"c%d\"></span>%s <small class=\"soft\">%s</small></li>\n", r,
            runs[r].name, xr_demo_run_title(which[r]));
    }
    xr_buffer_text(out, "</ul>\n");
}

// The charts of some runs together.
static bool charts(XrBuffer *out, const XrDemoOptions *options, const XrDemoRun *which, int count,
                   const char *const *names, size_t name_count, XrError *err) {
    XrRunData runs[XR_DEMO_RUNS];
    int read = 0;
    bool ok = true;
    while (ok && read < count) {
        char *folder = xr_path_join(options->out, xr_demo_run_name(which[read]));
        ok = xr_run_data_read(&runs[read], folder, 0, err);
        if (ok) read++;
        free(folder);
    }
    if (ok) {
        legend(out, runs, which, count);
        xr_buffer_text(out, "<div class=\"charts\">\n");
        for (size_t i = 0; i < name_count; i++) xr_chart(out, names[i], runs, count);
        xr_buffer_text(out, "</div>\n");
    }
    for (int r = 0; r < read; r++) xr_run_data_free(&runs[r]);
    return ok;
}

static bool all_curves(XrBuffer *out, const XrDemoOptions *options, XrError *err) {
    static const XrDemoRun rl[] = {XR_DEMO_RUN_RL, XR_DEMO_RUN_SFT_RL, XR_DEMO_RUN_SPECIAL};
    static const XrDemoRun sft[] = {XR_DEMO_RUN_ANSWER, XR_DEMO_RUN_SFT, XR_DEMO_RUN_SPECIAL_SFT};
    const char *const rl_names[] = {xr_demo_cell_name(0),
                                    xr_demo_cell_name(1),
                                    xr_demo_cell_name(2),
                                    xr_demo_cell_name(3),
                                    "reward",
                                    "completions/mean_length",
                                    "completions/clipped_ratio",
                                    "entropy"};
    static const char *const sft_names[] = {"loss", "entropy"};
    xr_buffer_format(out,
                     "<h2>Learning curves of RL</h2>\n<p>By optimiser step. The first four: share "
                     "right of %" PRId64 " lists of the development split, greedy, without forced "
                     "exit. The others: of the rollouts on training questions.</p>\n",
                     options->size.curve_items);
    if (!charts(out, options, rl, XR_COUNT(rl), rl_names, XR_COUNT(rl_names), err)) return false;
    xr_buffer_text(out, "<h2>Learning curves of SFT</h2>\n");
    return charts(out, options, sft, XR_COUNT(sft), sft_names, XR_COUNT(sft_names), err);
}

// ---- the page ----

// "6 batches", and how many the specialisation takes where it takes others.
static void count_of(XrBuffer *out, const char *units, int64_t count, int64_t special) {
    xr_buffer_format(out, "%" PRId64 " %s", count, units);
    if (special != count) xr_buffer_format(out, " (%" PRId64 " for the specialisation)", special);
}

static void introduction(XrBuffer *out, const XrDemoOptions *options) {
    const XrDemoSize *s = &options->size;
    xr_buffer_text(
        out,
        "<h1>X-Reasoner on a tiny world</h1>\n<p>A vision-language model of one million "
        "parameters, in "
        "Qwen2.5-VL's architecture, reads lists of objects, as text or as pictures, and says what "
        "they come to. Objects add to a digit or reflect it, so order matters and answering at "
        "once "
        "fails. There are two domains: <b>total</b> asks for the digit, <b>level</b> for a letter. "
        "The "
        "base model reads text and pictures and knows every single operation, but has seen "
        "full step-by-step thinking mostly in lists of two or three objects, and in one long list "
        "of ten. All post-training below is on "
        "<b>text</b>, most of it of one domain.</p>\n");
    xr_buffer_format(out, "<p class=\"soft\">Seed %" PRIu64 ". SFT: ", options->seed);
    count_of(out, "steps", s->sft_steps, s->special_steps);
    xr_buffer_format(out, ", %" PRId64 " rows a step. RL: ", s->sft_rows);
    count_of(out, "batches", s->rl_batches, s->special_rl_batches);
    xr_buffer_format(out,
                     ", %" PRId64 " questions a batch, 8 samples each, two optimiser steps a "
                     "batch.</p>\n",
                     s->questions);
}

static void caveats(XrBuffer *out) {
    xr_buffer_text(
        out,
        "<h2>What is engineered</h2>\n<ul>"
        "<li>The full thinking that the base model has seen is in text and pictures alike. Without "
        "any on pictures, pictures would be answered without closed thinking.</li>"
        "<li>RL is short. With five times as many batches, RL from the base model ends where SFT "
        "and RL end: see the learning curves, and docs/tiny-world.md.</li>"
        "<li>Part of the data for SFT loops at its end and is cut at the limit of tokens, as long "
        "rows of OpenThoughts are. The loops repeat the final state, so that forced exit finds the "
        "answer almost by construction.</li>"
        "<li>Sizes were cut to the time that a demo may take, and the rates lie between ones that "
        "the development split compared; the tables are of the test split. "
        "Pictures of each split are drawn in looks of their own.</li>"
        "<li>One seed is one draw: intervals are over questions, not over trainings. "
        "docs/tiny-world.md has three seeds of everything, the base model included.</li></ul>\n");
}

bool xr_demo_page_write(const XrDemoOptions *options, const XrDemoScore scores[XR_DEMO_MODELS],
                        XrError *err) {
    XrBuffer page = {0};
    xr_report_begin(&page, "the demo");
    xr_buffer_text(&page, STYLE);
    introduction(&page, options);
    all_findings(&page, scores);
    all_scores(&page, scores);
    bool ok = all_curves(&page, options, err);
    caveats(&page);
    xr_buffer_text(&page, "</body></html>\n");
    char *path = xr_path_join(options->out, "report.html");
    ok = ok && xr_file_write(path, page.data, page.length, err);
    free(path);
    xr_buffer_free(&page);
    return ok;
}
