// Reinforcement learning: replayed steps against PyTorch (golden/make_grpo.py); the trainer's
// log-probabilities are the sampler's bit for bit; threads, micro-batches, several updates of a
// batch, dynamic sampling; and what is refused.
#include "tests/support/backends.h"
#include "tests/support/golden.h"
#include "tests/support/runs.h"
#include "tests/support/test.h"
#include "tests/support/training.h"

#include "shared/base/file.h"
#include "shared/base/memory.h"
#include "shared/train/grpo.h"

#include <math.h>
#include <stdlib.h>

// Slow checks of memory are for the code, which is the same in later steps.
#ifdef __SANITIZE_ADDRESS__
enum { FEW_STEPS = 2, BATCHES = 2 };
#define A_FEW_STEPS "max_steps=2"
#define ALL_BATCHES "max_steps=8"
#else
enum { FEW_STEPS = 3, BATCHES = 5 };
#define A_FEW_STEPS "max_steps=3"
#define ALL_BATCHES "max_steps=0"
#endif

// Relative, f32 against f32.
static const double TOLERANCE = 1e-5;

// A run on a golden model with two lists of settings (each ends with NULL; a second may be NULL).
static bool attempt(const char *model, const char *folder, const char *replay,
                    const char *const *settings, const char *const *more, const char *backend,
                    XrError *err) {
    return xr_test_try_training(&(XrTestTraining){.command = XR_RUN_GRPO,
                                                  .model = model,
                                                  .folder = folder,
                                                  .settings = settings,
                                                  .more = more,
                                                  .replay = replay,
                                                  .backend = backend},
                                err);
}

// The folder of a run that must succeed; to be freed.
static char *run(const char *model, const char *replay, const char *const *settings,
                 const char *const *more, const char *backend) {
    char *folder = xr_test_fresh_folder(model);
    XrError err = {0};
    if (!attempt(model, folder, replay, settings, more, backend, &err)) fail_msg("%s", err.message);
    return folder;
}

static void same_runs(const char *a, const char *b) {
    static const char *const files[] = {"samples.jsonl", "model/model.safetensors", NULL};
    xr_test_same_runs(a, b, files);
}

// ---- replayed steps against PyTorch ----

static const char *const REPLAY[] = {
    "temperature=0.8",         "learning_rate=1e-3", "weight_decay=0.1", "adam_beta2=0.99",
    "adam_epsilon=1e-4",       "max_grad_norm=0.5",  "beta=0.05",        "epsilon_high=0.28",
    "overlong_responses=mask", "warmup_ratio=0",     "save_steps=0",     NULL};

static char *replay(const char *micro, const char *extra, const char *backend) {
    const char *const more[] = {micro, extra, NULL};
    return run("text_only", xr_test_source("golden/grpo/samples.jsonl"), REPLAY, more, backend);
}

static void near(const char *what, int step, double actual, double expected) {
    if (fabs(actual - expected) > TOLERANCE * fmax(fabs(expected), 1e-2)) {
        fail_msg("%s of step %d: %.9g, PyTorch has %.9g", what, step, actual, expected);
    }
}

static void check_replay(const XrGolden *golden, const char *micro, const char *backend) {
    const char *const keys[] = {"loss",   "grad_norm",         "kl", "entropy", "ratio",
                                "reward", "num_trained_tokens"};
    char *folder = replay(micro, "max_steps=2", backend);
    for (int step = 1; step <= 2; step++) {
        char name[32];
        snprintf(name, sizeof name, "numbers.%d", step);
        const double *numbers = xr_golden_tensor(golden, name, XR_F64).data;
        for (size_t i = 0; i < XR_COUNT(keys); i++) {
            near(keys[i], step, xr_test_metric(folder, step, keys[i]), numbers[i]);
        }
    }
    assert_true(xr_test_metric(folder, 1, "kl") == 0);
    free(folder);
    folder = replay(micro, "max_steps=1", backend);
    xr_test_weights(golden, folder, TOLERANCE);
    free(folder);
}

static void replayed_as_pytorch(void **state) {
    XrGolden golden = xr_golden_open("grpo/replay.safetensors");
    check_replay(&golden, "per_device_train_batch_size=1", "1");
    check_replay(&golden, "per_device_train_batch_size=5", "2");
    check_replay(&golden, "per_device_train_batch_size=12", "3");
    xr_golden_close(&golden);
}

#ifdef XR_TEST_MODELS_ON_CUDA
static void replayed_on_cuda(void **state) {
    XrGolden golden = xr_golden_open("grpo/replay.safetensors");
    check_replay(&golden, "per_device_train_batch_size=12", "cuda");
    xr_golden_close(&golden);
}
#endif

// The first moments after one step, which are its gradient times 1 - beta1, of all parameters.
static float *first_moments(const char *folder, size_t *count) {
    char *path = xr_path_join(folder, "checkpoint-1/exp_avg-00000-of-00001.safetensors");
    XrSafetensors *files;
    XrError err;
    if (!xr_safetensors_open(&files, path, &err)) fail_msg("%s", err.message);
    XrBuffer all = {0};
    for (int i = 0; i < xr_safetensors_count(files); i++) {
        const XrStored *t = xr_safetensors_at(files, i);
        assert_int_equal(t->dtype, XR_F32);
        xr_buffer_append(&all, t->bytes, t->byte_count);
    }
    *count = all.length / sizeof(float);
    xr_safetensors_close(files);
    free(path);
    return (float *)(void *)all.data;
}

static float *gradient_of(const char *micro, const char *loss_type, size_t *count) {
    const char *const more[] = {micro,          loss_type,         "max_steps=1",
                                "save_steps=1", "max_grad_norm=0", NULL};
    char *folder = run("text_only", xr_test_source("golden/grpo/samples.jsonl"), REPLAY, more, "2");
    float *moments = first_moments(folder, count);
    free(folder);
    return moments;
}

// Twelve responses at a time, or five, or one: one gradient, but for verl's mean of micro-batches.
static void any_split(void **state) {
    const char *const types[] = {"loss_type=dapo", "loss_type=grpo", "loss_type=dr_grpo",
                                 "loss_type=verl_token_mean"};
    const char *const micros[] = {"per_device_train_batch_size=5", "per_device_train_batch_size=1"};
    for (size_t t = 0; t < XR_COUNT(types); t++) {
        size_t count, same;
        float *whole = gradient_of("per_device_train_batch_size=12", types[t], &count);
        for (size_t m = 0; m < XR_COUNT(micros); m++) {
            float *parts = gradient_of(micros[m], types[t], &same);
            assert_int_equal(same, count);
            double error = xr_relative_error(parts, whole, count);
            bool verl = strstr(types[t], "verl") != NULL;
            if (verl ? error < 1e-3 : !(error <= 1e-6)) {
                fail_msg("%s, %s: relative error %.3g", types[t], micros[m], error);
            }
            free(parts);
        }
        free(whole);
    }
}

// Without recorded log-probabilities the trainer's own take their place, and the ratio is 1.
static void replayed_without_logprobs(void **state) {
    XrBuffer text = {0}, kept = {0};
    XrError err;
    xr_test_read(&text, xr_test_source("golden/grpo"), "samples.jsonl");
    char *at = text.data;
    for (char *from; (from = strstr(at, ", \"logprobs\": [")); at = strchr(from, ']') + 1) {
        xr_buffer_append(&kept, at, (size_t)(from - at));
    }
    xr_buffer_text(&kept, at);
    char *path = xr_test_fresh_folder("plain.jsonl");
    assert_true(xr_file_write(path, kept.data, kept.length, &err));
    char *folder = run("text_only", path, REPLAY, NULL, "2");
    for (int step = 1; step <= 2; step++) {
        assert_true(xr_test_metric(folder, step, "ratio") == 1);
        assert_true(xr_test_metric(folder, step, "sampling/sampling_logp_difference/max") == 0);
        assert_true(xr_test_metric(folder, step, "grad_norm") > 0);
    }
    free(folder);
    free(path);
    xr_buffer_free(&text);
    xr_buffer_free(&kept);
}

// ---- sampled runs ----

// Questions that random weights cannot answer: rewards differ by length, through the punishment.
static char *make_questions(void) {
    static char *setting;
    if (setting) return setting;
    char *path = xr_test_fresh_folder("questions.jsonl");
    setting = xr_test_questions(path, 10);
    free(path);
    return setting;
}

static const char *const SAMPLED[] = {"prompt_template=none",
                                      "per_device_train_batch_size=3",
                                      "gradient_accumulation_steps=8",
                                      "num_generations=4",
                                      "max_completion_length=36",
                                      "think_budget=20",
                                      "temperature=1.6",
                                      "overlong_responses=soft",
                                      "overlong_buffer=30",
                                      "learning_rate=2e-3",
                                      "warmup_ratio=0",
                                      "save_steps=0",
                                      "max_batch_sequences=5",
                                      NULL};

static char *sample(const char *model, const char *a, const char *b, const char *backend) {
    const char *more[] = {make_questions(), a, a ? b : NULL, NULL};
    return run(model, NULL, SAMPLED, more, backend);
}

// The engine samples in continuous batches over pages, the trainer packs whole responses: the same
// bits, whatever the weights are stored as, and with weights that have been changed by then.
static void trainer_is_sampler(void **state) {
    const char *model = *state;
    char *folder = sample(model, "max_steps=3", "repetition_penalty=1.1", "2");
    for (int step = 1; step <= 3; step++) {
        assert_true(xr_test_metric(folder, step, "sampling/sampling_logp_difference/max") == 0);
        assert_true(xr_test_metric(folder, step, "sampling/sampling_logp_difference/mean") == 0);
        assert_true(xr_test_metric(folder, step, "ratio") == 1);
        assert_true(xr_test_metric(folder, step, "clip_ratio/region_mean") == 0);
        assert_true(xr_test_metric(folder, step, "forced_ratio") > 0);
    }
    assert_true(xr_test_metric(folder, 1, "grad_norm") > 1e-3);
    assert_true(xr_test_metric(folder, 1, "reward_std") > 0);
    assert_true(xr_test_metric(folder, 1, "kl") == 0);
    assert_true(xr_test_metric(folder, 3, "kl") > 0);
    free(folder);
}

#ifdef XR_TEST_MODELS_ON_CUDA
// On a GPU too, where rows of a product do not depend on each other.
static void trainer_is_sampler_on_cuda(void **state) {
    const char *const more[] = {make_questions(), NULL};
    char *folder = run("gqa2_tied", NULL, XR_TEST_TWO_SAMPLED_STEPS, more, "cuda");
    char *cpu = run("gqa2_tied", NULL, XR_TEST_TWO_SAMPLED_STEPS, more, "2");
    for (int step = 1; step <= 2; step++) {
        assert_true(xr_test_metric(folder, step, "sampling/sampling_logp_difference/max") == 0);
        assert_true(xr_test_metric(folder, step, "ratio") == 1);
    }
    near("loss", 1, xr_test_metric(folder, 1, "loss"), xr_test_metric(cpu, 1, "loss"));
    near("norm", 1, xr_test_metric(folder, 1, "grad_norm"), xr_test_metric(cpu, 1, "grad_norm"));
    free(folder);
    free(cpu);
}
#endif

static void same_for_any_threads(void **state) {
    char *one = sample("text_only", A_FEW_STEPS, NULL, "1");
    char *three = sample("text_only", A_FEW_STEPS, "max_batch_sequences=64", "3");
    char *kept = sample("text_only", A_FEW_STEPS, "gradient_checkpointing=false", "2");
    char *other = sample("text_only", A_FEW_STEPS, "seed=7", "1");
    XrBuffer a = {0}, b = {0};
    same_runs(one, three);
    same_runs(one, kept);
    xr_test_read(&a, one, "samples.jsonl");
    xr_test_read(&b, other, "samples.jsonl");
    assert_string_not_equal(a.data, b.data);
    xr_buffer_free(&a);
    xr_buffer_free(&b);
    free(one);
    free(three);
    free(kept);
    free(other);
}

// What a run wrote is enough to do its steps again, bit for bit.
static void replays_itself(void **state) {
    char *first = sample("text_only", A_FEW_STEPS, "num_iterations=1", "2");
    char *path = xr_path_join(first, "samples.jsonl");
    char *again = run("text_only", path, SAMPLED, NULL, "1");
    const char *const keys[] = {"loss", "grad_norm", "kl", "entropy", "reward", "reward_std"};
    for (int step = 1; step <= FEW_STEPS; step++) {
        for (size_t i = 0; i < XR_COUNT(keys); i++) {
            assert_true(xr_test_metric(first, step, keys[i]) ==
                        xr_test_metric(again, step, keys[i]));
        }
    }
    xr_test_same_file(first, again, "samples.jsonl");
    xr_test_same_file(first, again, "model/model.safetensors");
    free(first);
    free(again);
    free(path);
}

// Two parts of a batch, each gone through twice: only the first step meets the policy that sampled.
static void several_updates(void **state) {
    const char *const more[] = {make_questions(),
                                "steps_per_generation=2",
                                "num_iterations=2",
                                "gradient_accumulation_steps=4",
                                "learning_rate=2e-4",
                                ALL_BATCHES,
                                NULL};
    char *folder = run("text_only", NULL, SAMPLED, more, "2");
    XrBuffer metrics = {0};
    xr_test_metrics(&metrics, folder);
    int compared = 0;
    for (const char *at = metrics.data; (at = strstr(at, "difference/max")); at++) compared++;
    // 10 questions x 3 epochs, 6 prompts a batch: 5 batches of 4 steps.
    assert_int_equal(compared, BATCHES);
    for (int step = 1; step <= 4 * BATCHES; step++) {
        bool first = step % 4 == 1;
        double ratio = xr_test_metric(folder, step, "ratio");
        assert_true((ratio == 1) == first);
        assert_true(fabs(ratio - 1) < 0.5);
    }
    xr_buffer_free(&metrics);
    free(folder);
}

// Nobody is right, so every group has one reward: all are replaced as often as is allowed.
static void dynamic_sampling(void **state) {
    const char *more[] = {make_questions(),
                          "dynamic_sampling=true",
                          "max_resamples=2",
                          "overlong_responses=score0",
                          "max_steps=1",
                          "beta=0",
                          NULL};
    char *folder = run("text_only", NULL, SAMPLED, more, "2");
    assert_true(xr_test_metric(folder, 1, "replaced_groups") == 12);
    assert_true(xr_test_metric(folder, 1, "frac_reward_zero_std") == 1);
    assert_true(xr_test_metric(folder, 1, "loss") == 0);
    assert_true(xr_test_metric(folder, 1, "grad_norm") == 0);
    free(folder);
    more[3] = "overlong_responses=soft"; // lengths differ: less to replace
    folder = run("text_only", NULL, SAMPLED, more, "2");
    assert_true(xr_test_metric(folder, 1, "replaced_groups") < 12);
    free(folder);
}

// Truncated responses, which score here, stay out of the loss with "mask".
static void masked_responses(void **state) {
    char *all = sample("text_only", "max_steps=1", NULL, "2");
    char *masked = sample("text_only", "max_steps=1", "overlong_responses=mask", "2");
    assert_true(xr_test_metric(all, 1, "completions/clipped_ratio") ==
                xr_test_metric(masked, 1, "completions/clipped_ratio"));
    assert_true(xr_test_metric(all, 1, "num_trained_tokens") >
                xr_test_metric(masked, 1, "num_trained_tokens"));
    free(all);
    free(masked);
}

// ---- what is refused ----

typedef struct Refusal {
    const char *setting, *part;
} Refusal;

static void expect_refusal(const char *replay_path, const char *const *more, const char *part) {
    XrError err = {0};
    char *folder = xr_test_fresh_folder("refused");
    if (attempt("text_only", folder, replay_path, SAMPLED, more, "1", &err)) {
        fail_msg("accepted, where \"%s\" was due", part);
    }
    if (!strstr(err.message, part)) fail_msg("\"%s\" lacks \"%s\"", err.message, part);
    free(folder);
}

static void refuses_settings(void **state) {
    const Refusal cases[] = {
        {"temperature=0", "\"temperature\""},
        {"dual_clip=0.5", "\"dual_clip\""},
        {"num_generations=5", "num_generations"},
        {"max_prompt_length=3", "10 prompts are too long"},
        {"prompt_template=/nowhere", "/nowhere"},
        {"train_dataset=/nowhere.jsonl", "/nowhere.jsonl"},
    };
    for (size_t i = 0; i < XR_COUNT(cases); i++) {
        const char *more[] = {make_questions(), cases[i].setting, NULL};
        expect_refusal(NULL, more, cases[i].part);
    }
    expect_refusal(NULL, NULL, "\"train_dataset\"");
}

static char *written(const char *text) {
    char *path = xr_test_fresh_folder("bad.jsonl");
    XrError err;
    assert_true(xr_file_write(path, text, strlen(text), &err));
    return path;
}

static void refuses_recordings(void **state) {
    const Refusal cases[] = {
        {"", "no rows"},
        {"[1]", "JSON object"},
        {"{\"token_ids\": [1], \"score\": 1}", "\"prompt_ids\""},
        {"{\"prompt_ids\": [1], \"score\": 1}", "\"token_ids\""},
        {"{\"prompt_ids\": [1], \"token_ids\": [], \"score\": 1}", "\"token_ids\""},
        {"{\"prompt_ids\": [1], \"token_ids\": [1]}", "\"score\""},
        {"{\"prompt_ids\": [1], \"token_ids\": [2, 400], \"score\": 1}", "\"token_ids\"[1]"},
        {"{\"prompt_ids\": [-1], \"token_ids\": [2], \"score\": 1}", "\"prompt_ids\"[0]"},
        {"{\"prompt_ids\": [1], \"token_ids\": [2], \"score\": 1, \"forced\": [[0, 2]]}",
         "\"forced\""},
        {"{\"prompt_ids\": [1], \"token_ids\": [2], \"score\": 1, \"forced\": [[1, 0]]}",
         "\"forced\""},
        {"{\"prompt_ids\": [1], \"token_ids\": [2], \"score\": 1, \"logprobs\": [-1, -2]}",
         "\"logprobs\""},
        {"{\"prompt_ids\": [1], \"token_ids\": [2], \"score\": 1, \"logprobs\": [0.5]}",
         "\"logprobs\""},
        {"{\"prompt_ids\": [1], \"token_ids\": [2], \"score\": 1, \"logprobs\": [null]}",
         "\"logprobs\""},
        {"{\"prompt_ids\": [1], \"token_ids\": [2], \"score\": \"good\"}", "\"score\""},
    };
    for (size_t i = 0; i < XR_COUNT(cases); i++) {
        char *path = written(cases[i].setting);
        expect_refusal(path, NULL, cases[i].part);
        if (i > 0) expect_refusal(path, NULL, "bad.jsonl");
        free(path);
    }
    expect_refusal("/nowhere.jsonl", NULL, "/nowhere.jsonl");
}

static void refuses_data(void **state) {
    const Refusal cases[] = {
        {"{\"messages\": [{\"role\": \"user\", \"content\": \"7\"}]}", "1 have no gold answer"},
        {"{\"question\": \"7\", \"answer\": 7, \"image\": \"a.png\"}", "pictures"},
    };
    for (size_t i = 0; i < XR_COUNT(cases); i++) {
        char *path = written(cases[i].setting);
        char setting[256];
        snprintf(setting, sizeof setting, "train_dataset=%s", path);
        const char *more[] = {setting, NULL};
        expect_refusal(NULL, more, cases[i].part);
        free(path);
    }
}

// Rows that cannot be sampled for are counted and named, with the reason.
static void loses_rows(void **state) {
    char *path =
        written("{\"question\": \"7?\", \"answer\": 7}\n{\"question\": [], \"answer\": 1}\n"
                "{\"question\": \"8?\", \"answer\": 8, \"image\": \"a.png\"}\n"
                "{\"question\": \"9?\", \"answer\": 9, \"id\": 9");
    char setting[256];
    XrBuffer lost = {0}, summary = {0};
    snprintf(setting, sizeof setting, "train_dataset=%s", path);
    const char *more[] = {setting, "max_steps=1", "invalid_rows=drop", NULL};
    char *folder = run("text_only", NULL, SAMPLED, more, "2");
    xr_test_read(&lost, folder, "lost_rows.jsonl");
    const char *const parts[] = {
        "\"line\": 2, \"row\": 1, \"what\": \"invalid\", \"why\": ",
        "\"line\": 3, \"row\": 2, \"what\": \"invalid\", \"why\": ", "pictures",
        "\"line\": 4, \"row\": 3, \"what\": \"invalid\", \"why\": "};
    for (size_t i = 0; i < XR_COUNT(parts); i++) {
        if (!strstr(lost.data, parts[i])) fail_msg("\"%s\" is not in %s", parts[i], lost.data);
    }
    xr_test_read(&summary, folder, "summary.json");
    assert_non_null(strstr(summary.data, "\"questions\": 1"));
    assert_non_null(strstr(summary.data, "\"rows_invalid\": 3"));
    xr_buffer_free(&lost);
    xr_buffer_free(&summary);
    free(folder);
    free(path);
}

// What the metrics say of responses is what samples.jsonl says of them one by one.
static void counts_responses(void **state) {
    char *folder = sample("text_only", "max_steps=1", "repetition_penalty=1.1", "2");
    XrBuffer text = {0};
    double count = 0, truncated = 0, forced = 0, longest = 0, tokens = 0, score = 0, different = 0;
    xr_test_read(&text, folder, "samples.jsonl");
    for (char *at = text.data, *end; (end = strchr(at, '\n')); at = end + 1) {
        *end = '\0';
        cJSON *line = cJSON_Parse(at);
        int length = cJSON_GetArraySize(cJSON_GetObjectItem(line, "token_ids"));
        bool cut = cJSON_IsTrue(cJSON_GetObjectItem(line, "truncated"));
        count++;
        truncated += cut;
        forced += cJSON_GetArraySize(cJSON_GetObjectItem(line, "forced")) > 0;
        longest = cut ? longest : fmax(longest, length);
        tokens += cut ? 0 : length;
        score += cJSON_GetObjectItem(line, "score")->valuedouble;
        different += !strcmp(cJSON_GetObjectItem(line, "verdict")->valuestring, "different");
        cJSON_Delete(line);
    }
    assert_true(count == 24 && truncated > 0 && truncated < count && forced > 0);
    const struct {
        const char *key;
        double value;
    } wanted[] = {{"completions/clipped_ratio", truncated / count},
                  {"completions/forced_exit_ratio", forced / count},
                  {"completions/mean_terminated_length", tokens / (count - truncated)},
                  {"completions/max_terminated_length", longest},
                  {"rewards/verifier/mean", score / count},
                  {"verdict/different", different}};
    for (size_t i = 0; i < XR_COUNT(wanted); i++)
        near(wanted[i].key, 1, xr_test_metric(folder, 1, wanted[i].key), wanted[i].value);
    xr_buffer_free(&text);
    free(folder);
}

#define SAMPLER_TEST(model)                                                                        \
    { "trainer_is_sampler/" #model, trainer_is_sampler, NULL, NULL, (void *)#model }

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(replayed_as_pytorch),
#ifdef XR_TEST_MODELS_ON_CUDA
        cmocka_unit_test(replayed_on_cuda),
        cmocka_unit_test(trainer_is_sampler_on_cuda),
#endif
        cmocka_unit_test(any_split),
        cmocka_unit_test(replayed_without_logprobs),
        SAMPLER_TEST(text_only),
        SAMPLER_TEST(gqa2_tied),
#ifndef __SANITIZE_ADDRESS__ // a minute more there, on the same code
        SAMPLER_TEST(gqa4_shards),
        SAMPLER_TEST(gqa7_half),
        SAMPLER_TEST(head128),
#endif
        cmocka_unit_test(same_for_any_threads),
        cmocka_unit_test(replays_itself),
        cmocka_unit_test(several_updates),
        cmocka_unit_test(dynamic_sampling),
        cmocka_unit_test(masked_responses),
        cmocka_unit_test(refuses_settings),
        cmocka_unit_test(refuses_recordings),
        cmocka_unit_test(refuses_data),
        cmocka_unit_test(loses_rows),
        cmocka_unit_test(counts_responses),
    };
    xr_test_filter(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
