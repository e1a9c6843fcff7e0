#include "shared/demo/demo.h"

#include "datasets/tiny_world/shipped.h"
#include "shared/base/file.h"
#include "shared/base/interrupt.h"
#include "shared/base/memory.h"
#include "shared/demo/page.h"
#include "shared/demo/train.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

XrDemoSize xr_demo_size(void) {
    return (XrDemoSize){.sft_steps = 200,
                        .sft_rows = 64,
                        .special_steps = 80,
                        .rl_batches = 6,
                        .special_rl_batches = 6,
                        .questions = 16,
                        .items = 504,
                        .curve_items = 96,
                        .curve_every = 1};
}

// ---- the folder ----

static void describe(XrBuffer *out, const XrDemoOptions *o) {
    const XrDemoSize *s = &o->size;
    xr_buffer_format(out,
                     "{\"seed\": %" PRIu64 ", \"sft_steps\": %" PRId64 ", \"sft_rows\": %" PRId64
                     ", \"special_steps\": %" PRId64 ", \"rl_batches\": %" PRId64
                     ", \"special_rl_batches\": %" PRId64 ", \"questions\": %" PRId64
                     ", \"items\": %" PRId64 ", \"curve_items\": %" PRId64
                     ", \"curve_every\": %" PRId64 "}\n",
                     o->seed, s->sft_steps, s->sft_rows, s->special_steps, s->rl_batches,
                     s->special_rl_batches, s->questions, s->items, s->curve_items, s->curve_every);
}

// The base model comes last: with it, the folder is a demo's.
static bool open_folder(const XrDemoOptions *options, XrError *err) {
    XrBuffer ours = {0}, theirs = {0};
    char *path = xr_path_join(options->out, "demo.json");
    char *base = xr_path_join(options->out, "base");
    describe(&ours, options);
    bool ok = xr_make_folders(options->out, err);
    if (ok && xr_path_exists(path)) {
        ok = xr_file_read(path, 1 << 16, &theirs, err);
        if (ok && strcmp(ours.data, theirs.data) != 0) {
            ok =
                xr_fail(err, XR_ERR_INPUT,
                        "%s: holds a demo of another size or seed; remove it or give another --out",
                        options->out);
        }
    } else if (ok) {
        ok = xr_file_write(path, ours.data, ours.length, err);
    }
    ok = ok && xr_world_write_shipped(base, err);
    xr_buffer_free(&ours);
    xr_buffer_free(&theirs);
    free(base);
    free(path);
    return ok;
}

// ---- evaluation ----

static char *folder_of(const XrDemoOptions *options, XrDemoModel model) {
    XrBuffer path = {0};
    xr_buffer_format(&path, "%s/%s%s", options->out, xr_demo_model_name(model),
                     model == XR_DEMO_BASE ? "" : "/model");
    return path.data;
}

static bool evaluate(XrDemoScore *out, const XrDemoOptions *options, XrDemoModel model,
                     XrError *err) {
    XrBuffer path = {0};
    xr_buffer_format(&path, "%s/answers/%s.jsonl", options->out, xr_demo_model_name(model));
    bool ok;
    if (xr_path_exists(path.data)) {
        ok = xr_demo_score_read(out, path.data, options->size.items, err);
    } else {
        char *folder = folder_of(options, model), *answers = xr_path_join(options->out, "answers");
        fprintf(stderr, "evaluating %s\n", xr_demo_model_name(model));
        ok = xr_make_folders(answers, err) &&
             xr_demo_score_sit(out, options->backend, folder, options->size.items, options->seed,
                               err);
        if (ok && !xr_demo_score_write(out, path.data, err)) {
            xr_demo_score_free(out);
            ok = false;
        }
        free(answers);
        free(folder);
    }
    xr_buffer_free(&path);
    return ok;
}

// ---- results ----

static void results_of_model(XrBuffer *out, const XrDemoScore *score, XrDemoModel model) {
    for (int d = 0; d < XR_DEMO_DECODINGS; d++) {
        for (int e = 0; e < XR_DEMO_EXITS; e++) {
            for (int c = 0; c < XR_DEMO_CELLS; c++) {
                XrDemoCell cell = xr_demo_cell(score->marks[d][e][c], score->items);
                xr_buffer_format(
                    out,
                    "%s\n  {\"model\": \"%s\", \"decoding\": \"%s\", \"exit\": \"%s\", "
                    "\"cell\": \"%s\", \"right\": %.6f, \"low\": %.6f, "
                    "\"high\": %.6f, \"tokens\": %.6f, \"capped\": %.6f, "
                    "\"open\": %.6f}",
                    model || d || e || c ? "," : "", xr_demo_model_name(model),
                    xr_demo_decoding_name((XrDemoDecoding)d), xr_demo_exit_name((XrDemoExit)e),
                    xr_demo_cell_name(c), cell.right, cell.low, cell.high, cell.tokens, cell.capped,
                    cell.open);
            }
        }
    }
}

static void results_of_finding(XrBuffer *out, const XrDemoFinding *f) {
    xr_buffer_text(out, "  {\"finding\": ");
    xr_buffer_json(out, f->paper, strlen(f->paper));
    xr_buffer_format(out, ", \"verdict\": \"%s\", \"comparisons\": [", xr_demo_finding_word(f));
    for (int c = 0; c < f->claim_count; c++) {
        XrBuffer line = {0};
        xr_demo_claim_text(&line, &f->claims[c]);
        xr_buffer_text(out, c ? ", " : "");
        xr_buffer_json(out, line.data, line.length);
        xr_buffer_free(&line);
    }
    xr_buffer_text(out, "]}");
}

// Findings and their comparisons, for the terminal.
static void print_findings(const XrDemoFinding findings[XR_DEMO_FINDINGS]) {
    for (int f = 0; f < XR_DEMO_FINDINGS; f++) {
        printf("\n%s: %s\n", findings[f].paper, xr_demo_finding_word(&findings[f]));
        for (int c = 0; c < findings[f].claim_count; c++) {
            XrBuffer line = {0};
            xr_demo_claim_text(&line, &findings[f].claims[c]);
            printf("  %s\n", line.data);
            xr_buffer_free(&line);
        }
    }
}

static bool write_results(const XrDemoOptions *options, const XrDemoScore scores[XR_DEMO_MODELS],
                          XrError *err) {
    XrDemoFinding findings[XR_DEMO_FINDINGS];
    XrBuffer text = {0};
    xr_demo_findings(findings, scores);
    xr_buffer_text(&text, "{\"scores\": [");
    for (int m = 0; m < XR_DEMO_MODELS; m++) {
        results_of_model(&text, &scores[m], (XrDemoModel)m);
    }
    xr_buffer_text(&text, "\n], \"findings\": [\n");
    for (int f = 0; f < XR_DEMO_FINDINGS; f++) {
        results_of_finding(&text, &findings[f]);
        xr_buffer_text(&text, f + 1 < XR_DEMO_FINDINGS ? ",\n" : "\n");
    }
    xr_buffer_text(&text, "]}\n");
    char *path = xr_path_join(options->out, "results.json");
    bool ok = xr_file_write(path, text.data, text.length, err);
    if (ok) print_findings(findings);
    free(path);
    xr_buffer_free(&text);
    return ok;
}

// ---- everything ----

// Whether all is well, and nobody has asked to stop meanwhile. What a run says of --resume, which
// the demo does not have, is not repeated.
static bool go_on(bool ok, XrError *err) {
    if (ok ? !xr_interrupted() : err->status != XR_ERR_INTERRUPTED) return ok;
    return xr_fail(err, XR_ERR_INTERRUPTED, "interrupted; the same command goes on from there");
}

bool xr_demo_run(const XrDemoOptions *options, XrError *err) {
    XrDemoScore scores[XR_DEMO_MODELS] = {{0}};
    bool ok = open_folder(options, err);
    for (int run = 0; ok && run < XR_DEMO_RUNS; run++) {
        fprintf(stderr, "%s: %s\n", xr_demo_run_name((XrDemoRun)run),
                xr_demo_run_title((XrDemoRun)run));
        ok = go_on(xr_demo_train(options, (XrDemoRun)run, err), err);
    }
    for (int model = 0; ok && model < XR_DEMO_MODELS; model++) {
        ok = go_on(evaluate(&scores[model], options, (XrDemoModel)model, err), err);
    }
    ok = ok && xr_demo_page_write(options, scores, err) && write_results(options, scores, err);
    for (int model = 0; model < XR_DEMO_MODELS; model++) xr_demo_score_free(&scores[model]);
    return ok;
}
