// Rollouts through a model on two ranks, which are threads here: what a step reports is of both,
// the same on each.
#include "tests/support/models.h"
#include "tests/support/test.h"

#include "shared/base/memory.h"
#include "shared/train/policy.h"

#include <math.h>
#include <pthread.h>
#include <stdlib.h>

enum { RANKS = 2, RESPONSES = 2, TOKENS = 5 };

// ---- a communicator of threads ----

static pthread_barrier_t barrier;
static void *said[RANKS]; // what each rank brings

// Every rank sees what all bring, and none goes on before all have.
#define REDUCE(type, combined)                                                                     \
    said[comm->rank] = values;                                                                     \
    type *result = xr_malloc(sizeof *result * (size_t)count);                                      \
    pthread_barrier_wait(&barrier);                                                                \
    for (int64_t i = 0; i < count; i++) {                                                          \
        type a = ((type *)said[0])[i], b = ((type *)said[1])[i];                                   \
        result[i] = combined;                                                                      \
    }                                                                                              \
    pthread_barrier_wait(&barrier);                                                                \
    memcpy(values, result, sizeof *result *(size_t)count);                                         \
    free(result);                                                                                  \
    return true

static bool sum_f64(XrComm *comm, double *values, int64_t count, XrError *err) {
    REDUCE(double, a + b);
}

static bool sum_i64(XrComm *comm, int64_t *values, int64_t count, XrError *err) {
    REDUCE(int64_t, a + b);
}

static bool max_f64(XrComm *comm, double *values, int64_t count, XrError *err) {
    REDUCE(double, isnan(a) || isnan(b) ? NAN : fmax(a, b));
}

// ---- a step ----

// The responses of a step, all to one prompt, of which a rank has [first, first + count).
typedef struct Work {
    XrComm *comm;
    const float (*logprobs)[TOKENS]; // the sampler's, of each response
    int first, count;
    XrPolicyStep step;
    bool ok;
} Work;

static const int32_t PROMPT[] = {11, 12, 13}, RESPONSE[TOKENS] = {20, 21, 22, 23, 24};

static void fill(XrRollout *r, int number, const float *logprobs) {
    static uint8_t forced[TOKENS];
    *r = (XrRollout){.count = TOKENS - number, // differ in length
                     .ids = (int32_t *)RESPONSE,
                     .forced = forced,
                     .logprobs = (float *)logprobs,
                     .advantage = number ? -1 : 1};
}

static void *accumulate(void *context) {
    Work *w = context;
    XrError err;
    XrRunConfig config;
    xr_run_config_init(&config, XR_RUN_GRPO);
    config.beta = 0;
    XrPolicyLoss loss = xr_policy_loss_of(&config);
    XrBackend *b = xr_cpu_create(1);
    XrModel *model = xr_golden_model(b, "text_only");
    XrRollout rollouts[RESPONSES];
    XrRolloutGroup group = {.prompt = (int32_t *)PROMPT,
                            .prompt_count = XR_COUNT(PROMPT),
                            .rollouts = rollouts,
                            .count = w->count};
    for (int i = 0; i < w->count; i++) {
        fill(&rollouts[i], w->first + i, w->logprobs[w->first + i]);
    }
    XrTrainState state;
    w->ok = xr_train_state_create(&state, model, w->comm, (XrTrainStateOptions){0}, &err);
    XrPolicy policy = xr_policy_create(&state, &config, XR_KEEP_ALL);
    XrPolicyItem *items;
    int count = xr_policy_items(&policy, &group, 1, &items);
    w->ok = w->ok && xr_policy_accumulate(&policy, &loss, items, count, &w->step, &err);
    free(items);
    xr_policy_free(&policy);
    xr_train_state_free(&state);
    xr_model_close(model);
    xr_backend_free(b);
    xr_run_config_free(&config);
    return NULL;
}

static XrPolicyStep on_one_rank(const float (*logprobs)[TOKENS]) {
    XrComm *comm = xr_comm_single();
    Work work = {.comm = comm, .logprobs = logprobs, .count = RESPONSES};
    accumulate(&work);
    assert_true(work.ok);
    xr_comm_free(comm);
    return work.step;
}

// A response on each.
static void on_two_ranks(const float (*logprobs)[TOKENS], XrPolicyStep steps[RANKS]) {
    pthread_t threads[RANKS];
    XrComm comms[RANKS];
    Work work[RANKS];
    pthread_barrier_init(&barrier, NULL, RANKS);
    for (int r = 0; r < RANKS; r++) {
        comms[r] = (XrComm){
            .rank = r, .size = RANKS, .sum_f64 = sum_f64, .sum_i64 = sum_i64, .max_f64 = max_f64};
        work[r] = (Work){.comm = &comms[r], .logprobs = logprobs, .first = r, .count = 1};
        assert_int_equal(pthread_create(&threads[r], NULL, accumulate, &work[r]), 0);
    }
    for (int r = 0; r < RANKS; r++) {
        pthread_join(threads[r], NULL);
        assert_true(work[r].ok);
        steps[r] = work[r].step;
    }
    pthread_barrier_destroy(&barrier);
}

static void near(double a, double b) {
    if (!(fabs(a - b) <= 1e-6 * fmax(fabs(b), 1))) fail_msg("%.9g instead of %.9g", a, b);
}

// One token's recorded log-probability is far off, the others' a little; on either rank.
static void largest_of_all_ranks(void **state) {
    for (int rank = 0; rank < RANKS; rank++) {
        float logprobs[RESPONSES][TOKENS];
        for (int i = 0; i < RESPONSES * TOKENS; i++)
            logprobs[i / TOKENS][i % TOKENS] = -6 - 0.1f * (float)i;
        logprobs[rank][2] = -1000;
        XrPolicyStep one = on_one_rank(logprobs), two[RANKS];
        on_two_ranks(logprobs, two);
        assert_true(one.largest > 900 && one.largest < 1000);
        for (int r = 0; r < RANKS; r++) {
            assert_true(two[r].largest == one.largest);
            near(two[r].difference, one.difference);
            near(two[r].sums.loss, one.sums.loss);
            near(two[r].sums.entropy, one.sums.entropy);
            assert_true(two[r].sums.tokens == 2 * TOKENS - 1);
        }
    }
}

static void nan_is_the_largest(void **state) {
    float logprobs[RESPONSES][TOKENS] = {{0}};
    logprobs[1][1] = NAN;
    XrPolicyStep two[RANKS];
    on_two_ranks(logprobs, two);
    assert_true(isnan(on_one_rank(logprobs).largest));
    for (int r = 0; r < RANKS; r++) assert_true(isnan(two[r].largest));
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(largest_of_all_ranks),
        cmocka_unit_test(nan_is_the_largest),
    };
    xr_test_filter(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
