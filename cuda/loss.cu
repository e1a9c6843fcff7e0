// The clipped policy objective of one token and its derivative, a thread a token. Sources and
// formulas: ref/loss.c, docs/operations.md.
#include "cuda/cuda.h"

#include <math.h>

enum { THREADS = 256 };

struct Value {
    float value, slope; // derivative with respect to logprob
};

#define WIDEST 20.0f

// exp of an exponent held within +-WIDEST; outside it is constant.
XR_DEVICE Value bounded_exp(float x) {
    if (x > WIDEST) return Value{expf(WIDEST), 0};
    if (x < -WIDEST) return Value{expf(-WIDEST), 0};
    const float e = expf(x);
    return Value{e, e};
}

XR_DEVICE Value objective(float difference, float advantage, const XrGrpo &s, int32_t *clipped) {
    const Value ratio = bounded_exp(difference);
    const float low = 1.0f - s.epsilon_low, high = 1.0f + s.epsilon_high;
    const float bounded = ratio.value < low ? low : ratio.value > high ? high : ratio.value;
    Value loss = {-advantage * ratio.value, -advantage * ratio.slope};
    *clipped = 0;
    if (-advantage * bounded > loss.value) {
        *clipped = advantage < 0 ? XR_CLIPPED_LOW : XR_CLIPPED_HIGH;
        loss = Value{-advantage * bounded, 0};
    }
    if (s.dual_clip > 0 && advantage < 0 && -advantage * s.dual_clip < loss.value) {
        *clipped |= XR_CLIPPED_DUAL;
        loss = Value{-advantage * s.dual_clip, 0};
    }
    return loss;
}

// x = reference - logprob.
XR_DEVICE Value divergence(float x, XrKl kind) {
    if (kind == XR_KL_K1) return Value{-x, 1};
    if (kind == XR_KL_K2) return Value{0.5f * x * x, -x};
    if (kind == XR_KL_NONE) return Value{0, 0};
    // Near 0 the terms cancel: expm1 keeps what is left.
    if (fabsf(x) <= WIDEST) return Value{expm1f(x) - x, -expm1f(x)};
    return Value{bounded_exp(x).value - x - 1.0f, 1};
}

struct Outputs {
    float *loss, *dlogprob, *kl; // kl and clipped may be NULL
    int32_t *clipped;
};
struct Inputs {
    const float *logprob, *old, *reference, *advantage, *weight; // reference may be NULL
};

XR_KERNEL(THREADS) tokens(Outputs out, Inputs in, XrGrpo settings, int64_t count) {
    const int64_t t = (int64_t)blockIdx.x * THREADS + threadIdx.x;
    if (t >= count) return;
    Value policy = {0, 0}, kl = {0, 0};
    int32_t clipped = 0;
    const float weight = in.weight[t];
    if (weight != 0) {
        policy = objective(in.logprob[t] - in.old[t], in.advantage[t], settings, &clipped);
        if (in.reference) kl = divergence(in.reference[t] - in.logprob[t], settings.kl);
    }
    out.loss[t] = weight * (policy.value + settings.beta * kl.value);
    out.dlogprob[t] = weight * (policy.slope + settings.beta * kl.slope);
    if (out.kl) out.kl[t] = kl.value;
    if (out.clipped) out.clipped[t] = clipped;
}

static float *data_of(const XrTensor *t) {
    return t ? (float *)t->data : NULL;
}

extern "C" void xr_cuda_grpo_loss(XrBackend *b, const XrTensor *loss, const XrTensor *dlogprob,
                                  const XrTensor *kl, const XrTensor *clipped,
                                  const XrTensor *logprob, const XrTensor *old,
                                  const XrTensor *reference, const XrTensor *advantage,
                                  const XrTensor *weight, XrGrpo settings) {
    int64_t count = logprob->shape[0];
    if (count == 0) return;
    Outputs out = {data_of(loss), data_of(dlogprob), data_of(kl),
                   clipped ? (int32_t *)clipped->data : NULL};
    Inputs in = {data_of(logprob), data_of(old), data_of(reference), data_of(advantage),
                 data_of(weight)};
    XR_LAUNCH(tokens, (unsigned)xr_pieces(count, THREADS), THREADS, 0, xr_cuda_stream(b), out, in,
              settings, count);
}
