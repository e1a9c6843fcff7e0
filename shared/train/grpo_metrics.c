#include "shared/train/grpo_metrics.h"

#include <stdio.h>

static double share(double part, double whole) {
    return whole > 0 ? part / whole : 0;
}

static void add_lengths(XrMetrics *m, const XrGrpoBatch *b) {
    double responses = (double)b->responses;
    xr_metrics_real(m, "completions/mean_length", share((double)b->tokens, responses));
    xr_metrics_whole(m, "completions/min_length", b->shortest);
    xr_metrics_whole(m, "completions/max_length", b->longest);
    xr_metrics_real(m, "completions/mean_terminated_length",
                    share((double)b->ended_tokens, (double)b->ended));
    xr_metrics_whole(m, "completions/min_terminated_length", b->ended_shortest);
    xr_metrics_whole(m, "completions/max_terminated_length", b->ended_longest);
    xr_metrics_real(m, "completions/clipped_ratio", share((double)b->truncated, responses));
    xr_metrics_real(m, "completions/forced_exit_ratio",
                    share((double)b->forced_responses, responses));
    xr_metrics_real(m, "forced_ratio", share((double)b->forced, (double)b->tokens));
}

static void add_rewards(XrMetrics *m, const XrGrpoBatch *b) {
    xr_metrics_real(m, "reward", b->rewards.reward);
    xr_metrics_real(m, "reward_std", b->rewards.reward_std);
    xr_metrics_real(m, "rewards/verifier/mean", share(b->score, (double)b->responses));
    xr_metrics_real(m, "frac_reward_zero_std",
                    share((double)b->rewards.zero_groups, (double)b->count));
    xr_metrics_whole(m, "replaced_groups", b->replaced);
    for (int i = 0; i < XR_VERDICTS; i++) {
        char name[40];
        snprintf(name, sizeof name, "verdict/%s", xr_verdict_name((XrVerdict)i));
        xr_metrics_whole(m, name, b->verdicts[i]);
    }
}

static void add_policy(XrMetrics *m, const XrGrpoStep *s, bool kl, bool dual) {
    const XrPolicySums *p = &s->policy.sums;
    xr_metrics_real(m, "entropy", share(p->entropy, p->tokens));
    if (kl) xr_metrics_real(m, "kl", share(p->kl, p->tokens));
    xr_metrics_real(m, "clip_ratio/low_mean", share(p->clipped_low, p->tokens));
    xr_metrics_real(m, "clip_ratio/high_mean", share(p->clipped_high, p->tokens));
    xr_metrics_real(m, "clip_ratio/region_mean", share(p->clipped, p->tokens));
    if (dual) xr_metrics_real(m, "clip_ratio/dual_mean", share(p->clipped_dual, p->tokens));
    xr_metrics_real(m, "ratio", share(p->ratio, p->tokens));
    xr_metrics_whole(m, "num_trained_tokens", (int64_t)p->tokens);
    if (!s->first) return;
    xr_metrics_real(m, "sampling/sampling_logp_difference/mean",
                    share(s->policy.difference, p->tokens));
    xr_metrics_real(m, "sampling/sampling_logp_difference/max", s->policy.largest);
}

void xr_grpo_metrics(XrMetrics *m, const XrGrpoBatch *b, const XrGrpoStep *s, bool kl, bool dual) {
    double before = s->first ? b->rollout_seconds + b->reward_seconds + s->reference_seconds : 0;
    double seconds = before + s->update_seconds;
    xr_metrics_real(m, "loss", s->policy.sums.loss);
    xr_metrics_real(m, "grad_norm", s->grad_norm);
    xr_metrics_real(m, "learning_rate", s->learning_rate);
    xr_metrics_real(m, "epoch", s->epoch);
    xr_metrics_whole(m, "num_tokens", s->num_tokens);
    add_rewards(m, b);
    add_lengths(m, b);
    add_policy(m, s, kl, dual);
    xr_metrics_whole(m, "skipped_steps", s->skipped);
    xr_metrics_real(m, "tokens_per_second", share(s->policy.sums.tokens, seconds));
    if (s->first) {
        xr_metrics_real(m, "time/rollout", b->rollout_seconds);
        xr_metrics_real(m, "time/reward", b->reward_seconds);
        xr_metrics_real(m, "time/reference", s->reference_seconds);
    }
    xr_metrics_real(m, "time/update", s->update_seconds);
    xr_metrics_real(m, "time/step", seconds);
}

void xr_grpo_eval_metrics(XrMetrics *m, const XrGrpoBatch *b, double accuracy) {
    double responses = (double)b->responses;
    xr_metrics_real(m, "eval/accuracy", accuracy);
    xr_metrics_whole(m, "eval/questions", b->responses);
    xr_metrics_real(m, "eval/completions/mean_length", share((double)b->tokens, responses));
    xr_metrics_real(m, "eval/completions/clipped_ratio", share((double)b->truncated, responses));
    xr_metrics_real(m, "time/eval", b->rollout_seconds + b->reward_seconds);
}
