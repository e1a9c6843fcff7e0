// The demo's page.
#ifndef XR_DEMO_PAGE_H
#define XR_DEMO_PAGE_H

#include "shared/demo/demo.h"
#include "shared/demo/findings.h"

// Writes <out>/report.html from the models' scores and the runs' folders.
bool xr_demo_page_write(const XrDemoOptions *options, const XrDemoScore scores[XR_DEMO_MODELS],
                        XrError *err);

// "base", "answer", ...: a model, and what was done to it.
const char *xr_demo_model_name(XrDemoModel model);
const char *xr_demo_model_title(XrDemoModel model);

// "shown", "not shown", "shown in part".
const char *xr_demo_finding_word(const XrDemoFinding *finding);
// "94.0% of the SFT model, against ...": what a claim compares.
void xr_demo_claim_text(XrBuffer *out, const XrDemoClaim *claim);

#endif
