// The X-Reasoner paper's findings against what the demo's models answered. Every claim is decided
// by one rule: it shows where the 95% interval of the paired difference lies wholly on the claimed
// side of zero. Nothing else enters.
#ifndef XR_DEMO_FINDINGS_H
#define XR_DEMO_FINDINGS_H

#include "shared/demo/score.h"
#include "shared/eval/statistics.h"

// The models, in the order in which they are made.
typedef enum XrDemoModel {
    XR_DEMO_BASE,
    XR_DEMO_ANSWER,  // base -> fine-tuning without reasoning, on text of `total`
    XR_DEMO_SFT,     // base -> fine-tuning with reasoning, on text of `total`
    XR_DEMO_RL,      // base -> policy optimisation on text of `total`
    XR_DEMO_SFT_RL,  // fine-tuned -> policy optimisation on text of `total`
    XR_DEMO_SPECIAL, // the last -> fine-tuning and policy optimisation on text of `level`
    XR_DEMO_MODELS,
} XrDemoModel;

typedef enum XrDemoVerdict { XR_DEMO_SHOWN, XR_DEMO_NOT_SHOWN, XR_DEMO_OPPOSITE } XrDemoVerdict;

typedef enum XrDemoMeasure {
    XR_DEMO_RIGHT,   // share right
    XR_DEMO_TOKENS,  // mean tokens
    XR_DEMO_ENDLESS, // share that ran into the limit with its thinking open
    XR_DEMO_CAPPED,  // share that ran into the limit, in its thinking or after it
} XrDemoMeasure;

// One comparison of two models, or of one with and without forced exit.
typedef struct XrDemoClaim {
    XrDemoModel a, b; // the measure of a, minus that of b
    XrDemoExit a_exit, b_exit;
    XrDemoMeasure measure;
    int cell;    // or -1: all; a list's text and picture then count as one observation
    bool higher; // a is claimed to be higher than b, else lower
    // Greedy answers.
    double a_mean, b_mean;
    XrPaired paired;
    XrDemoVerdict verdict;
} XrDemoClaim;

enum { XR_DEMO_MOST_CLAIMS = 4 };

typedef struct XrDemoFinding {
    const char *paper; // what the paper found
    const char *test;  // what is compared here
    XrDemoClaim claims[XR_DEMO_MOST_CLAIMS];
    int claim_count;
    int shown; // of the claims
} XrDemoFinding;

enum { XR_DEMO_FINDINGS = 6 };

// The verdict on a paired difference.
XrDemoVerdict xr_demo_verdict(const XrInterval *interval, bool higher);

// Judges a claim whose first six fields are set.
void xr_demo_judge(XrDemoClaim *claim, const XrDemoScore scores[XR_DEMO_MODELS]);

// All findings, judged.
void xr_demo_findings(XrDemoFinding out[XR_DEMO_FINDINGS],
                      const XrDemoScore scores[XR_DEMO_MODELS]);

#endif
