// The clipped policy objective of one token and its derivative. Schulman et al., "Proximal Policy
// Optimization Algorithms" (2017); two bounds as in Yu et al., "DAPO" (2025); the bound for
// negative advantages as in Ye et al., "Mastering Complex Control in MOBA Games with Deep
// Reinforcement Learning" (2020); estimators of the divergence: Schulman, "Approximating KL
// Divergence" (2020).
#include "ref/cpu.h"

#include <math.h>

typedef struct Work {
    const XrTensor *loss, *dlogprob, *kl, *clipped;
    const float *logprob, *old, *reference, *advantage, *weight;
    XrGrpo settings;
} Work;

typedef struct Value {
    float value, slope; // derivative with respect to logprob
} Value;

static const float WIDEST = 20.0f;

// exp of an exponent held within +-WIDEST; outside it is constant.
static Value bounded_exp(float x) {
    if (x > WIDEST) return (Value){expf(WIDEST), 0};
    if (x < -WIDEST) return (Value){expf(-WIDEST), 0};
    float e = expf(x);
    return (Value){e, e};
}

static Value objective(float difference, float advantage, const XrGrpo *s, int32_t *clipped) {
    Value ratio = bounded_exp(difference);
    float low = 1.0f - s->epsilon_low, high = 1.0f + s->epsilon_high;
    float bounded = ratio.value < low ? low : ratio.value > high ? high : ratio.value;
    Value loss = {-advantage * ratio.value, -advantage * ratio.slope};
    *clipped = 0;
    if (-advantage * bounded > loss.value) {
        *clipped = advantage < 0 ? XR_CLIPPED_LOW : XR_CLIPPED_HIGH;
        loss = (Value){-advantage * bounded, 0};
    }
    if (s->dual_clip > 0 && advantage < 0 && -advantage * s->dual_clip < loss.value) {
        *clipped |= XR_CLIPPED_DUAL;
        loss = (Value){-advantage * s->dual_clip, 0};
    }
    return loss;
}

// x = reference - logprob.
static Value divergence(float x, XrKl kind) {
    if (kind == XR_KL_K1) return (Value){-x, 1};
    if (kind == XR_KL_K2) return (Value){0.5f * x * x, -x};
    if (kind == XR_KL_NONE) return (Value){0, 0};
    // Near 0 the terms cancel: expm1 keeps what is left.
    if (fabsf(x) <= WIDEST) return (Value){expm1f(x) - x, -expm1f(x)};
    return (Value){bounded_exp(x).value - x - 1.0f, 1};
}

static void tokens(void *context, int64_t begin, int64_t end, int thread) {
    const Work *w = context;
    for (int64_t t = begin; t < end; t++) {
        Value policy = {0, 0}, kl = {0, 0};
        int32_t clipped = 0;
        float weight = w->weight[t];
        if (weight != 0) {
            policy = objective(w->logprob[t] - w->old[t], w->advantage[t], &w->settings, &clipped);
            if (w->reference) kl = divergence(w->reference[t] - w->logprob[t], w->settings.kl);
        }
        ((float *)w->loss->data)[t] = weight * (policy.value + w->settings.beta * kl.value);
        ((float *)w->dlogprob->data)[t] = weight * (policy.slope + w->settings.beta * kl.slope);
        if (w->kl) ((float *)w->kl->data)[t] = kl.value;
        if (w->clipped) ((int32_t *)w->clipped->data)[t] = clipped;
    }
}

void xr_cpu_grpo_loss(XrBackend *b, const XrTensor *loss, const XrTensor *dlogprob,
                      const XrTensor *kl, const XrTensor *clipped, const XrTensor *logprob,
                      const XrTensor *old, const XrTensor *reference, const XrTensor *advantage,
                      const XrTensor *weight, XrGrpo settings) {
    Work work = {loss,
                 dlogprob,
                 kl,
                 clipped,
                 logprob->data,
                 old->data,
                 reference ? reference->data : NULL,
                 advantage->data,
                 weight->data,
                 settings};
    xr_cpu_parallel(b, logprob->shape[0], 256, tokens, &work);
}
