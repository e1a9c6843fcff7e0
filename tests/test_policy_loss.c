// Every way to add up policy losses, with every estimator of the divergence and setting of the
// clipping, against autograd on golden data (golden/make_grpo.py), with forced tokens and a
// truncated response left out.
#include "tests/support/golden.h"
#include "tests/support/test.h"

#include "shared/base/memory.h"
#include "shared/train/policy_loss.h"

#include <math.h>
#include <stdlib.h>

enum { MICRO = 2, MOST_TOKENS = 12 };
static const double TOLERANCE = 1e-5;

static const struct {
    const char *name;
    float low, high, dual;
} CLIPS[] = {{"plain", 0.2F, 0.2F, 0}, {"higher", 0.2F, 0.28F, 0}, {"dual", 0.2F, 0.28F, 3}};
static const char *const ESTIMATORS[] = {"none", "k1", "k2", "k3"};
static const char *const TYPES[] = {"dapo", "grpo", "dr_grpo", "verl_token_mean"};

typedef struct Data {
    XrGolden golden;
    const float *logprob, *old, *reference, *advantage;
    const uint8_t *forced, *left_out;
    const int64_t *begin;
    int64_t sequences, tokens;
} Data;

static Data open_data(void) {
    Data d = {.golden = xr_golden_open("grpo/losses.safetensors")};
    d.logprob = xr_golden_tensor(&d.golden, "logprob", XR_F32).data;
    d.old = xr_golden_tensor(&d.golden, "old", XR_F32).data;
    d.reference = xr_golden_tensor(&d.golden, "reference", XR_F32).data;
    d.advantage = xr_golden_tensor(&d.golden, "advantage", XR_F32).data;
    d.forced = xr_golden_tensor(&d.golden, "forced", XR_U8).data;
    d.left_out = xr_golden_tensor(&d.golden, "left_out", XR_U8).data;
    XrTensor begin = xr_golden_tensor(&d.golden, "begin", XR_I64);
    d.begin = begin.data;
    d.sequences = begin.shape[0] - 1;
    d.tokens = d.begin[d.sequences];
    return d;
}

static XrPolicyLoss loss_of(const char *clip, const char *estimator, const char *type) {
    XrRunConfig config;
    xr_run_config_init(&config, XR_RUN_GRPO);
    for (size_t i = 0; i < XR_COUNT(CLIPS); i++) {
        if (strcmp(CLIPS[i].name, clip) != 0) continue;
        config.epsilon = (double)CLIPS[i].low;
        config.epsilon_high = CLIPS[i].high == CLIPS[i].low ? -1 : (double)CLIPS[i].high;
        config.dual_clip = (double)CLIPS[i].dual;
    }
    bool none = strcmp(estimator, "none") == 0;
    config.beta = none ? 0 : 0.04;
    config.max_completion_length = MOST_TOKENS;
    if (!none) {
        free(config.kl_estimator);
        config.kl_estimator = xr_strdup(estimator);
    }
    free(config.loss_type);
    config.loss_type = xr_strdup(type);
    XrPolicyLoss loss = xr_policy_loss_of(&config);
    xr_run_config_free(&config);
    return loss;
}

static bool trained(const Data *d, int64_t sequence, int64_t token) {
    return !d->forced[token] && !d->left_out[sequence];
}

static XrLossSize size_of(const Data *d, int64_t from, int64_t to) {
    XrLossSize size = {.sequences = to - from};
    for (int64_t s = from; s < to; s++) {
        for (int64_t t = d->begin[s]; t < d->begin[s + 1]; t++) size.tokens += trained(d, s, t);
    }
    return size;
}

// Sequences from..to as a micro-batch of their own.
static void add_micro(const Data *d, const XrPolicyLoss *loss, int64_t from, int64_t to,
                      float *dlogprob, XrPolicySums *sums) {
    XrBackend *b = xr_cpu_create(2);
    int64_t first = d->begin[from], count = d->begin[to] - first;
    float advantage[64], weight[64] = {0};
    for (int64_t s = from; s < to; s++) {
        int64_t own = size_of(d, s, s + 1).tokens;
        for (int64_t t = d->begin[s]; t < d->begin[s + 1]; t++) {
            advantage[t - first] = d->advantage[s];
            if (!trained(d, s, t)) continue;
            weight[t - first] = (float)xr_policy_weight(loss, size_of(d, 0, d->sequences),
                                                        size_of(d, from, to), own);
        }
    }
    XrPolicyTokens tokens = {count, d->old + first, d->reference + first, advantage, weight};
    if (loss->objective.kl == XR_KL_NONE) tokens.reference = NULL;
    XrTensor logprob = xr_tensor1(XR_F32, (void *)(d->logprob + first), count);
    XrTensor out = xr_tensor1(XR_F32, dlogprob + first, count);
    XrError err;
    assert_true(xr_policy_loss(b, loss, &tokens, &logprob, &logprob, &out, sums, &err));
    xr_backend_free(b);
}

static void golden_case(void **state) {
    char name[64], key[96], part[3][32];
    snprintf(name, sizeof name, "%s", (const char *)*state);
    assert_int_equal(sscanf(name, "%31[^.].%31[^.].%31s", part[0], part[1], part[2]), 3);
    Data d = open_data();
    XrPolicyLoss loss = loss_of(part[0], part[1], part[2]);
    XrPolicySums sums = {0};
    float dlogprob[64];
    for (int64_t s = 0; s < d.sequences; s += MICRO) {
        add_micro(&d, &loss, s, XR_MIN(s + MICRO, d.sequences), dlogprob, &sums);
    }
    snprintf(key, sizeof key, "%s.dlogprob", name);
    XrTensor expected = xr_golden_tensor(&d.golden, key, XR_F32);
    XrTensor actual = xr_tensor1(XR_F32, dlogprob, d.tokens);
    xr_assert_close(key, &actual, &expected, TOLERANCE);
    snprintf(key, sizeof key, "%s.numbers", name);
    const double *wanted = xr_golden_tensor(&d.golden, key, XR_F64).data, n = sums.tokens;
    const double got[] = {
        sums.loss,        sums.kl / n,           sums.clipped_low / n, sums.clipped_high / n,
        sums.clipped / n, sums.clipped_dual / n, sums.ratio / n};
    for (size_t i = 0; i < XR_COUNT(got); i++) {
        if (fabs(got[i] - wanted[i]) <= TOLERANCE * fmax(1, fabs(wanted[i]))) continue;
        fail_msg("%s: number %zu is %.9g, not %.9g", name, i, got[i], wanted[i]);
    }
    assert_true(sums.tokens == (double)size_of(&d, 0, d.sequences).tokens);
    xr_golden_close(&d.golden);
}

// Loss and gradient are those of the whole step, whatever the micro-batches; verl's mean alone
// depends on them.
static void splits(void **state) {
    Data d = open_data();
    for (size_t i = 0; i < XR_COUNT(TYPES); i++) {
        XrPolicyLoss loss = loss_of("higher", "k3", TYPES[i]);
        float whole[64], cut[64];
        XrPolicySums one = {0}, six = {0};
        add_micro(&d, &loss, 0, d.sequences, whole, &one);
        for (int64_t s = 0; s < d.sequences; s++) add_micro(&d, &loss, s, s + 1, cut, &six);
        bool verl = loss.type == XR_LOSS_VERL_TOKEN_MEAN;
        assert_true((fabs(one.loss - six.loss) > 1e-3) == verl);
        assert_true((memcmp(whole, cut, (size_t)d.tokens * sizeof(float)) != 0) == verl);
    }
    xr_golden_close(&d.golden);
}

int main(int argc, char **argv) {
    enum { CASES = XR_COUNT(CLIPS) * XR_COUNT(ESTIMATORS) * XR_COUNT(TYPES) };
    static char names[CASES][64];
    struct CMUnitTest tests[CASES + 1] = {cmocka_unit_test(splits)};
    for (size_t i = 0; i < CASES; i++) {
        snprintf(names[i], sizeof names[i], "%s.%s.%s", CLIPS[i / 16].name, ESTIMATORS[i / 4 % 4],
                 TYPES[i % 4]);
        tests[i + 1] = (struct CMUnitTest){
            .name = names[i], .test_func = golden_case, .initial_state = names[i]};
    }
    xr_test_filter(argc, argv);
    return _cmocka_run_group_tests("policy_loss", tests, CASES + 1, NULL, NULL);
}
