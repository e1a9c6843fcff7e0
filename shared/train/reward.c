#include "shared/train/reward.h"

#include "shared/base/memory.h"

#include <stdlib.h>
#include <string.h>

XrRewardSettings xr_reward_settings_of(const XrRunConfig *config) {
    const char *overlong = config->overlong_responses;
    XrRewardSettings s = {.overlong = strcmp(overlong, "mask") == 0   ? XR_OVERLONG_MASK
                                      : strcmp(overlong, "soft") == 0 ? XR_OVERLONG_SOFT
                                                                      : XR_OVERLONG_SCORE0,
                          .most = config->max_completion_length,
                          .buffer = config->overlong_buffer};
    XR_REQUIRE(xr_verify_kind_find(config->reward_kind, &s.kind), "reward_kind \"%s\"",
               config->reward_kind);
    return s;
}

static XrSpan span_of(const char *text) {
    return (XrSpan){text, strlen(text)};
}

void xr_reward_judge(XrVerifier *verifier, XrVerifyKind kind, const XrQuestion *q, XrRollout *r) {
    XrSpan options[XR_EXAMPLE_MOST_OPTIONS];
    for (int i = 0; i < q->option_count; i++) options[i] = span_of(q->options[i]);
    XrVerifyRequest request = {.gold = span_of(q->gold),
                               .answer = {r->text, r->text_bytes},
                               .is_response = true,
                               .kind = kind,
                               .question = span_of(q->question),
                               .options = q->option_count ? options : NULL,
                               .option_count = q->option_count};
    XrVerifyResult result = {0};
    xr_verify(verifier, &request, &result);
    free(r->verdict);
    free(r->extracted);
    r->score = result.score;
    r->verdict = xr_strdup(xr_verdict_name(result.verdict));
    const char *extracted = result.extracted.data ? result.extracted.data : "";
    r->extracted = xr_strndup(extracted, result.extracted.length);
    xr_verify_result_free(&result);
}

void xr_reward_count(int64_t verdicts[XR_VERDICTS], const XrRollout *r) {
    for (int i = 0; r->verdict && i < XR_VERDICTS; i++) {
        verdicts[i] += strcmp(r->verdict, xr_verdict_name((XrVerdict)i)) == 0;
    }
}

void xr_reward_settle(const XrRewardSettings *s, XrRollout *r) {
    if (s->overlong == XR_OVERLONG_SCORE0 && r->truncated) r->score = 0;
    r->reward = r->score;
    int64_t free_of_charge = XR_MAX(s->most - s->buffer, 0);
    if (s->overlong == XR_OVERLONG_SOFT && r->count > free_of_charge) {
        double over = (double)(r->count - free_of_charge) / (double)s->buffer;
        r->reward -= XR_MIN(over, 1.0);
    }
    r->reward = (double)(float)r->reward; // samples.jsonl has the digits of an f32
}
