// The rules by which the benchmarks' authors judge, one function each; docs/evaluation.md states
// them. Each reads a response without thinking and <answer> tags and fills `out`.
#ifndef XR_EVAL_OFFICIAL_H
#define XR_EVAL_OFFICIAL_H

#include "shared/eval/adapter.h"
#include "shared/eval/judge.h"

XrOfficialRule xr_official_gsm8k, xr_official_aime, xr_official_mmlu_pro, xr_official_mmmu,
    xr_official_mmmu_pro, xr_official_mathvista, xr_official_mathvision, xr_official_mmstar,
    xr_official_omnimedvqa, xr_official_medxpertqa;

// MathVista's second half: normalises what was extracted from a response, by whatever means, and
// compares it with the gold answer. `prediction` (may be NULL) receives the normalised answer;
// false with an empty one where there is none.
bool xr_mathvista_score(const XrItem *item, XrSpan extraction, XrBuffer *prediction);

#endif
