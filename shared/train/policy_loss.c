#include "shared/train/policy_loss.h"

#include "shared/base/memory.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static XrLossType type_of(const char *name) {
    return strcmp(name, "grpo") == 0              ? XR_LOSS_GRPO
           : strcmp(name, "dr_grpo") == 0         ? XR_LOSS_DR_GRPO
           : strcmp(name, "verl_token_mean") == 0 ? XR_LOSS_VERL_TOKEN_MEAN
                                                  : XR_LOSS_DAPO;
}

XrPolicyLoss xr_policy_loss_of(const XrRunConfig *config) {
    const char *kl = config->kl_estimator;
    double high = config->epsilon_high < 0 ? config->epsilon : config->epsilon_high;
    return (XrPolicyLoss){.type = type_of(config->loss_type),
                          .objective = {.epsilon_low = (float)config->epsilon,
                                        .epsilon_high = (float)high,
                                        .dual_clip = (float)config->dual_clip,
                                        .beta = (float)config->beta,
                                        .kl = config->beta == 0       ? XR_KL_NONE
                                              : strcmp(kl, "k1") == 0 ? XR_KL_K1
                                              : strcmp(kl, "k2") == 0 ? XR_KL_K2
                                                                      : XR_KL_K3},
                          .max_completion_length = config->max_completion_length};
}

double xr_policy_weight(const XrPolicyLoss *loss, XrLossSize step, XrLossSize micro,
                        int64_t tokens) {
    double sequences = (double)step.sequences;
    switch (loss->type) {
    case XR_LOSS_DAPO:
        return 1.0 / (double)step.tokens;
    case XR_LOSS_GRPO:
        return 1.0 / ((double)tokens * sequences);
    case XR_LOSS_DR_GRPO:
        return 1.0 / ((double)loss->max_completion_length * sequences);
    case XR_LOSS_VERL_TOKEN_MEAN:
        return (double)micro.sequences / ((double)micro.tokens * sequences);
    }
    XR_BUG("loss type %d", (int)loss->type);
}

// Tensors of one micro-batch, in one piece of memory of `count` values each.
typedef struct Work {
    XrTensor memory;
    XrTensor old, reference, advantage, weight, loss, kl, clipped;
} Work;

static bool work_create(Work *w, XrBackend *b, const XrPolicyTokens *tokens, XrError *err) {
    XrTensor *parts[] = {&w->old,  &w->reference, &w->advantage, &w->weight,
                         &w->loss, &w->kl,        &w->clipped};
    int64_t count = tokens->count, shape[2] = {XR_COUNT(parts), XR_MAX(count, 1)};
    if (!xr_tensor_alloc(b, &w->memory, XR_F32, 2, shape, "the policy's loss", err)) return false;
    for (size_t i = 0; i < XR_COUNT(parts); i++) {
        *parts[i] = xr_tensor1(XR_F32, (float *)w->memory.data + (int64_t)i * shape[1], count);
    }
    w->clipped.dtype = XR_I32;
    xr_upload(b, &w->old, tokens->old);
    if (tokens->reference) xr_upload(b, &w->reference, tokens->reference);
    xr_upload(b, &w->advantage, tokens->advantage);
    xr_upload(b, &w->weight, tokens->weight);
    return true;
}

// Results on the host.
typedef struct Results {
    float *loss, *kl, *entropy, *logprob;
    int32_t *clipped;
} Results;

static void add_tokens(const XrPolicyTokens *tokens, const Results *r, XrPolicySums *sums) {
    for (int64_t t = 0; t < tokens->count; t++) {
        if (tokens->weight[t] == 0) continue;
        bool low = r->clipped[t] & XR_CLIPPED_LOW, high = r->clipped[t] & XR_CLIPPED_HIGH;
        sums->loss += (double)r->loss[t];
        sums->tokens += 1;
        sums->kl += (double)r->kl[t];
        sums->entropy += (double)r->entropy[t];
        sums->clipped_low += low;
        sums->clipped_high += high;
        sums->clipped += low || high;
        sums->clipped_dual += (r->clipped[t] & XR_CLIPPED_DUAL) != 0;
        sums->ratio += exp((double)(r->logprob[t] - tokens->old[t]));
    }
}

static void add_results(XrBackend *b, const Work *w, const XrPolicyTokens *tokens,
                        const XrTensor *logprob, const XrTensor *entropy, XrPolicySums *sums) {
    size_t count = (size_t)tokens->count;
    float *memory = xr_malloc(4 * count * sizeof *memory);
    Results r = {memory, memory + count, memory + 2 * count, memory + 3 * count,
                 xr_malloc(count * sizeof(int32_t))};
    xr_download(b, r.loss, &w->loss);
    xr_download(b, r.kl, &w->kl);
    xr_download(b, r.entropy, entropy);
    xr_download(b, r.logprob, logprob);
    xr_download(b, r.clipped, &w->clipped);
    add_tokens(tokens, &r, sums);
    free(memory);
    free(r.clipped);
}

bool xr_policy_loss(XrBackend *b, const XrPolicyLoss *loss, const XrPolicyTokens *tokens,
                    const XrTensor *logprob, const XrTensor *entropy, const XrTensor *dlogprob,
                    XrPolicySums *sums, XrError *err) {
    XR_REQUIRE(loss->objective.kl == XR_KL_NONE || tokens->reference || tokens->count == 0,
               "policy_loss: a divergence from no reference");
    Work w;
    if (!work_create(&w, b, tokens, err)) return false;
    xr_grpo_loss(b, &w.loss, dlogprob, &w.kl, &w.clipped, logprob, &w.old,
                 loss->objective.kl == XR_KL_NONE ? NULL : &w.reference, &w.advantage, &w.weight,
                 loss->objective);
    add_results(b, &w, tokens, logprob, entropy, sums);
    xr_tensor_free(b, &w.memory);
    return true;
}
