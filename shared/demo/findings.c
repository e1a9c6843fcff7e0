#include "shared/demo/findings.h"

#include "shared/base/memory.h"

#include <stdlib.h>

enum { REPLICATES = 4000, BOOTSTRAP_SEED = 1 };

#define OF_MODELS(a, b, cell)                                                                      \
    { a, b, XR_DEMO_FREE, XR_DEMO_FREE, XR_DEMO_RIGHT, cell, true, 0, 0, {0}, 0 }

// Cells: 0 and 1 are total in text and in pictures, 2 and 3 level.
static const XrDemoFinding FINDINGS[XR_DEMO_FINDINGS] = {
    {.paper =
         "Post-training on text alone lifts cells that it never saw: pictures, and another domain",
     .test = "SFT then RL on text of total, against the base model, in the three other cells",
     .claims = {OF_MODELS(XR_DEMO_SFT_RL, XR_DEMO_BASE, 1),
                OF_MODELS(XR_DEMO_SFT_RL, XR_DEMO_BASE, 2),
                OF_MODELS(XR_DEMO_SFT_RL, XR_DEMO_BASE, 3)},
     .claim_count = 3},
    {.paper = "Fine-tuning with reasoning beats fine-tuning without",
     .test = "SFT with reasoning against SFT without, on the same questions, in each cell",
     .claims = {OF_MODELS(XR_DEMO_SFT, XR_DEMO_ANSWER, 0),
                OF_MODELS(XR_DEMO_SFT, XR_DEMO_ANSWER, 1),
                OF_MODELS(XR_DEMO_SFT, XR_DEMO_ANSWER, 2),
                OF_MODELS(XR_DEMO_SFT, XR_DEMO_ANSWER, 3)},
     .claim_count = 4},
    {.paper = "SFT then RL beats either alone",
     .test = "SFT then RL against SFT, and against RL from the base model, over all four cells",
     .claims = {OF_MODELS(XR_DEMO_SFT_RL, XR_DEMO_SFT, -1),
                OF_MODELS(XR_DEMO_SFT_RL, XR_DEMO_RL, -1)},
     .claim_count = 2},
    {.paper = "Forced exit ends endless thinking and lifts accuracy",
     .test = "SFT with reasoning, with forced exit against without, over all four cells",
     .claims = {{.a = XR_DEMO_SFT,
                 .b = XR_DEMO_SFT,
                 .a_exit = XR_DEMO_FORCED,
                 .measure = XR_DEMO_ENDLESS,
                 .cell = -1,
                 .higher = false},
                {.a = XR_DEMO_SFT,
                 .b = XR_DEMO_SFT,
                 .a_exit = XR_DEMO_FORCED,
                 .measure = XR_DEMO_CAPPED,
                 .cell = -1,
                 .higher = false},
                {.a = XR_DEMO_SFT,
                 .b = XR_DEMO_SFT,
                 .a_exit = XR_DEMO_FORCED,
                 .measure = XR_DEMO_RIGHT,
                 .cell = -1,
                 .higher = true}},
     .claim_count = 3},
    {.paper = "RL after SFT shortens responses and leaves less endless thinking",
     .test = "SFT then RL against SFT, over all four cells",
     .claims = {{.a = XR_DEMO_SFT_RL, .b = XR_DEMO_SFT, .measure = XR_DEMO_TOKENS, .cell = -1},
                {.a = XR_DEMO_SFT_RL, .b = XR_DEMO_SFT, .measure = XR_DEMO_ENDLESS, .cell = -1}},
     .claim_count = 2},
    {.paper = "Specialising on a domain's text carries to its pictures",
     .test = "SFT and RL on text of level, from the model after SFT and RL on total, against that "
             "model",
     .claims = {OF_MODELS(XR_DEMO_SPECIAL, XR_DEMO_SFT_RL, 2),
                OF_MODELS(XR_DEMO_SPECIAL, XR_DEMO_SFT_RL, 3)},
     .claim_count = 2},
};

XrDemoVerdict xr_demo_verdict(const XrInterval *interval, bool higher) {
    bool above = interval->low > 0, below = interval->high < 0;
    if (higher ? above : below) return XR_DEMO_SHOWN;
    return above || below ? XR_DEMO_OPPOSITE : XR_DEMO_NOT_SHOWN;
}

static double value_of(const XrWorldMark *m, XrDemoMeasure measure) {
    switch (measure) {
    case XR_DEMO_RIGHT:
        return m->right;
    case XR_DEMO_TOKENS:
        return m->tokens;
    case XR_DEMO_CAPPED:
        return m->capped;
    case XR_DEMO_ENDLESS:
        break;
    }
    return m->capped && m->open;
}

// One value a list: of one cell, or the mean of text and picture.
static void observe(double *out, const XrDemoScore *score, XrDemoExit exit, XrDemoMeasure measure,
                    int cell) {
    const XrWorldMark *const *marks =
        (const XrWorldMark *const *)score->marks[XR_DEMO_GREEDY][exit];
    for (int64_t i = 0; i < score->items; i++) {
        if (cell >= 0) {
            out[i] = value_of(&marks[cell][i], measure);
            continue;
        }
        for (int d = 0; d < XR_WORLD_DOMAINS; d++) {
            double text = value_of(&marks[2 * d][i], measure);
            out[d * score->items + i] = (text + value_of(&marks[2 * d + 1][i], measure)) / 2;
        }
    }
}

static double mean_of(const double *values, int64_t count) {
    double sum = 0;
    for (int64_t i = 0; i < count; i++) sum += values[i];
    return sum / (double)count;
}

void xr_demo_judge(XrDemoClaim *claim, const XrDemoScore scores[XR_DEMO_MODELS]) {
    const XrDemoScore *a = &scores[claim->a], *b = &scores[claim->b];
    int64_t count = claim->cell >= 0 ? a->items : XR_WORLD_DOMAINS * a->items;
    double *values = xr_calloc(2 * (size_t)count, sizeof *values);
    observe(values, a, claim->a_exit, claim->measure, claim->cell);
    observe(values + count, b, claim->b_exit, claim->measure, claim->cell);
    claim->a_mean = mean_of(values, count);
    claim->b_mean = mean_of(values + count, count);
    claim->paired = xr_paired_bootstrap(values, values + count, count, REPLICATES, BOOTSTRAP_SEED);
    claim->verdict = xr_demo_verdict(&claim->paired.interval, claim->higher);
    free(values);
}

void xr_demo_findings(XrDemoFinding out[XR_DEMO_FINDINGS],
                      const XrDemoScore scores[XR_DEMO_MODELS]) {
    for (int f = 0; f < XR_DEMO_FINDINGS; f++) {
        out[f] = FINDINGS[f];
        for (int c = 0; c < out[f].claim_count; c++) {
            xr_demo_judge(&out[f].claims[c], scores);
            out[f].shown += out[f].claims[c].verdict == XR_DEMO_SHOWN;
        }
    }
}
