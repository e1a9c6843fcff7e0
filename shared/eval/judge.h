// Whether a response answers an item: by our verifier, which is what counts, and by the rule of the
// benchmark's authors, which is shown beside it.
#ifndef XR_EVAL_JUDGE_H
#define XR_EVAL_JUDGE_H

#include "shared/eval/benchmark.h"
#include "shared/verify/verify.h"
#include "shared/verify/worker.h"

typedef struct XrJudgeOptions {
    XrVerifyOptions verify;
    bool isolate; // compare in a worker process, so that no response can take this one down
    XrWorkerLimits limits;
} XrJudgeOptions;

// One thread's judge.
typedef struct XrJudge XrJudge;

// `options` may be NULL (all zero). NULL and an error where no worker process can be had.
XrJudge *xr_judge_create(const XrJudgeOptions *options, XrError *err);
void xr_judge_free(XrJudge *judge);

// Our verdict. `out` is zero-initialised or holds an earlier result, whose memory is used again;
// free it with xr_verify_result_free. The best verdict of the item's gold answers: equal where one
// is. `response` may hold anything. The item must be usable.
void xr_item_judge(XrJudge *judge, const XrItem *item, XrSpan response, XrVerifyResult *out);

// Whether two answers to an item, as `extracted` by xr_item_judge, say the same: the relation by
// which majority votes are counted. An empty answer is the same as none.
bool xr_item_same_answer(XrJudge *judge, const XrItem *item, XrSpan a, XrSpan b);

typedef enum XrOfficialStatus {
    XR_OFFICIAL_READ,        // an answer was found by the rule
    XR_OFFICIAL_NOT_FOUND,   // none was, which the rule counts as wrong
    XR_OFFICIAL_RANDOM,      // none was, and the official code draws at random; here, wrong
    XR_OFFICIAL_NEEDS_MODEL, // the official code asks a language model; here, undecided
} XrOfficialStatus;

// "read", "not_found", "random", "needs_model".
const char *xr_official_status_name(XrOfficialStatus status);

typedef struct XrOfficialResult {
    XrOfficialStatus status;
    bool right;
    XrBuffer extracted; // as the official code extracts it
} XrOfficialResult;

void xr_official_result_free(XrOfficialResult *result);

// The official verdict, on what is left of the response when thinking and <answer> tags are taken
// off, which no official code knows. False where the benchmark has no rule. `out` is
// zero-initialised or holds an earlier result.
bool xr_item_judge_official(XrJudge *judge, const XrItem *item, XrSpan response,
                            XrOfficialResult *out);

#endif
