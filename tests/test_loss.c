// grpo_loss (ref/loss.c).
#include "tests/support/op_values.h"
#include "tests/support/ops.h"

#include <math.h>

// ---- shape [T, estimator, dual clip or not] ----

static const XrShape SHAPES[] = {XR_SHAPE(0, 3, 0),   XR_SHAPE(1, 0, 0),    XR_SHAPE(31, 1, 1),
                                 XR_SHAPE(129, 2, 0), XR_SHAPE(1000, 3, 1), {0}};
static const XrGoldenRow GOLDEN[] = {XR_GOLDEN("grpo_loss/plain", 67, 0, 0),
                                     XR_GOLDEN("grpo_loss/higher_k3", 67, 3, 0),
                                     XR_GOLDEN("grpo_loss/dual_k1", 67, 1, 1),
                                     XR_GOLDEN("grpo_loss/dual_k2", 67, 2, 1),
                                     {0}};

static XrGrpo settings_of(const XrOpRun *run) {
    return (XrGrpo){.epsilon_low = (float)xr_number(run, "epsilon_low", 0.2),
                    .epsilon_high = (float)xr_number(run, "epsilon_high", 0.28),
                    .dual_clip = (float)xr_number(run, "dual_clip", run->shape->n[2] ? 3 : 0),
                    .beta = (float)xr_number(run, "beta", 0.25),
                    .kl = (XrKl)run->shape->n[1]};
}

static XrArg *list(XrOpRun *run, const char *name, XrRole role) {
    XrArg *arg = xr_plain(run, name, role, XR_F32, run->shape->n[0], XR_1D);
    arg->by_row = true;
    return arg;
}

static void build(XrOpRun *run) {
    int64_t T = run->shape->n[0];
    list(run, "loss", XR_OUT);
    XrArg *dlogprob = list(run, "dlogprob", XR_OUT);
    list(run, "kl", XR_OUT)->optional = true;
    XrArg *clipped = xr_plain(run, "clipped", XR_OUT, XR_I32, T, XR_1D);
    clipped->optional = clipped->by_row = true;
    clipped->golden_out = "";
    XrArg *logprob = list(run, "logprob", XR_IN), *old = list(run, "old", XR_IN);
    XrArg *reference = list(run, "reference", XR_IN);
    xr_fill(logprob, -3, 0);
    xr_fill(list(run, "advantage", XR_IN), -2, 2);
    XrArg *weight = list(run, "weight", XR_IN);
    for (int64_t t = 0; t < T; t++) {
        // Ratios of 1, then from exp(-1) to exp(1), some beyond the bounds of the exponent (upwards
        // only with dual_clip: a loss of exp(20) would drown the difference quotients).
        double shift = t % 5 == 0 ? 0 : 2 * xr_noise("old", t) - 1;
        if (t % 29 == 28) shift = run->shape->n[2] && t % 2 ? -30 : 30;
        xr_set(old, t, logprob->value[t] + shift);
        xr_set(reference, t, logprob->value[t] + 3 * (xr_noise("reference", t) - 0.5));
        xr_set(weight, t, t % 7 == 3 ? 0 : xr_noise("weight", t));
    }
    xr_gradient(dlogprob, logprob);
}

static double held(double x) {
    return fmax(-20, fmin(20, x));
}

// Loss of one token, without the weight; *kl and *bounds as the operation gives them.
static double token_loss(const XrOpRun *run, int64_t t, double *kl, int *bounds) {
    XrGrpo s = settings_of(run);
    double A = xr_values(run, "advantage")[t], logprob = xr_values(run, "logprob")[t];
    double r = exp(held(logprob - xr_values(run, "old")[t]));
    double x = xr_values(run, "reference")[t] - logprob;
    double low = (double)(1 - s.epsilon_low), high = (double)(1 + s.epsilon_high);
    double plain = -A * r, clipped = -A * fmax(low, fmin(high, r)), loss = fmax(plain, clipped);
    *bounds = clipped > plain ? (A < 0 ? XR_CLIPPED_LOW : XR_CLIPPED_HIGH) : 0;
    if (s.dual_clip > 0 && A < 0 && loss > -A * (double)s.dual_clip) {
        loss = -A * (double)s.dual_clip;
        *bounds |= XR_CLIPPED_DUAL;
    }
    *kl = s.kl == XR_KL_K1   ? -x
          : s.kl == XR_KL_K2 ? x * x / 2
          : s.kl == XR_KL_K3 ? exp(held(x)) - x - 1
                             : 0;
    return loss + (double)s.beta * *kl;
}

static double token_slope(const XrOpRun *run, int64_t t, int bounds) {
    XrGrpo s = settings_of(run);
    double A = xr_values(run, "advantage")[t], logprob = xr_values(run, "logprob")[t];
    double d = logprob - xr_values(run, "old")[t], x = xr_values(run, "reference")[t] - logprob;
    double slope = bounds || fabs(d) > 20 ? 0 : -A * exp(d);
    double kl = s.kl == XR_KL_K1 ? 1 : s.kl == XR_KL_K2 ? -x : s.kl == XR_KL_K3 ? 1 - exp(x) : 0;
    return slope + (double)s.beta * kl;
}

static void reference(XrOpRun *run) {
    const double *weight = xr_values(run, "weight");
    for (int64_t t = 0; t < run->shape->n[0]; t++) {
        double kl = 0;
        int bounds = 0;
        double loss = token_loss(run, t, &kl, &bounds);
        xr_expect(run, "loss")[t] = weight[t] * loss;
        xr_expect(run, "dlogprob")[t] = weight[t] * token_slope(run, t, bounds);
        xr_expect(run, "kl")[t] = weight[t] == 0 ? 0 : kl;
        xr_expect(run, "clipped")[t] = weight[t] == 0 ? 0 : bounds;
    }
    xr_arg(run, "kl")->scale = 1;
}

static double loss(XrOpRun *run) {
    double total = 0, kl;
    int bounds;
    for (int64_t t = 0; t < run->shape->n[0]; t++) {
        total += xr_values(run, "weight")[t] * token_loss(run, t, &kl, &bounds);
    }
    return total;
}

static void call(XrOpRun *run, XrBackend *b) {
    const XrTensor *reference = xr_t(run, "reference");
    XrGrpo settings = settings_of(run);
    xr_grpo_loss(b, xr_t(run, "loss"), xr_t(run, "dlogprob"), xr_t(run, "kl"), xr_t(run, "clipped"),
                 xr_t(run, "logprob"), xr_t(run, "old"),
                 settings.kl == XR_KL_NONE ? NULL : reference, xr_t(run, "advantage"),
                 xr_t(run, "weight"), settings);
}

const XrOpTest xr_op_test_grpo_loss = {.op = "grpo_loss",
                                       .shapes = SHAPES,
                                       .types = XR_TYPES_F32,
                                       .variants = XR_MINIMAL,
                                       .independent_rows = true,
                                       .build = build,
                                       .reference = reference,
                                       .call = call,
                                       .loss = loss,
                                       .golden = GOLDEN};

// ---- by hand: tokens whose loss can be worked out on paper ----

typedef struct Token {
    float logprob, old, advantage, weight;
    float loss, slope;
    int32_t clipped;
} Token;

static void by_hand(void **state) {
    float ln2 = 0.69314718f, ln4 = 2 * ln2;
    const Token tokens[] = {
        {-1, -1, 2, 0.5f, -1, -1, 0},                    // ratio 1
        {-1, -1 - ln2, 2, 1, -2.5f, 0, XR_CLIPPED_HIGH}, // ratio 2, bound 1.25
        {-1, -1 - ln2, -1, 1, 2, 2, 0},                  // the wrong way: not clipped
        {-1, -1 + ln2, -1, 1, 0.75f, 0, XR_CLIPPED_LOW}, // ratio 1/2, bound 0.75
        {-1, -1 + ln2, 2, 1, -1, -1, 0},                 // the wrong way
        {-1, -1 - ln4, -2, 1, 6, 0, XR_CLIPPED_DUAL},    // ratio 4, bound 3
        {-1, -1 - ln4, 0, 1, 0, 0, 0},                   // no advantage
        {NAN, NAN, NAN, 0, 0, 0, 0},                     // left out
        {-1, -INFINITY, -1, 1, 3, 0, XR_CLIPPED_DUAL},   // never to have been drawn
        {-INFINITY, -1, 1, 1, -2.0611537e-9f, 0, 0},     // exp(-20)
    };
    enum { COUNT = sizeof tokens / sizeof tokens[0] };
    float in[4][COUNT], out[2][COUNT];
    int32_t clipped[COUNT];
    for (int t = 0; t < COUNT; t++) {
        in[0][t] = tokens[t].logprob;
        in[1][t] = tokens[t].old;
        in[2][t] = tokens[t].advantage;
        in[3][t] = tokens[t].weight;
    }
    XrTensor x[4], y[2], c = xr_tensor1(XR_I32, clipped, COUNT);
    for (int i = 0; i < 4; i++) x[i] = xr_tensor1(XR_F32, in[i], COUNT);
    for (int i = 0; i < 2; i++) y[i] = xr_tensor1(XR_F32, out[i], COUNT);
    XrGrpo settings = {.epsilon_low = 0.25f, .epsilon_high = 0.25f, .dual_clip = 3};
    xr_grpo_loss(xr_test_cpu(1), &y[0], &y[1], NULL, &c, &x[0], &x[1], NULL, &x[2], &x[3],
                 settings);
    for (int t = 0; t < COUNT; t++) {
        if (fabsf(out[0][t] - tokens[t].loss) <= 1e-6f && clipped[t] == tokens[t].clipped &&
            fabsf(out[1][t] - tokens[t].slope) <= 1e-6f) {
            continue;
        }
        fail_msg("token %d: loss %g, slope %g, clipped %d; should be %g, %g, %d", t,
                 (double)out[0][t], (double)out[1][t], clipped[t], (double)tokens[t].loss,
                 (double)tokens[t].slope, tokens[t].clipped);
    }
}

static const XrOpTest *const TESTS[] = {&xr_op_test_grpo_loss};
XR_OP_TEST_MAIN(TESTS, cmocka_unit_test(by_hand))
