// Reinforcement learning: replayed steps against PyTorch (golden/make_grpo.py); the trainer's
// log-probabilities are the sampler's bit for bit; threads, micro-batches, several updates of a
// batch, dynamic sampling; and what is refused.
#include "tests/support/golden.h"
#include "tests/support/runs.h"
#include "tests/support/test.h"

#include "shared/base/file.h"
#include "shared/base/memory.h"
#include "shared/train/grpo.h"

#include <math.h>
#include <stdlib.h>

enum { MOST_SETTINGS = 48 };

// Relative, f32 against f32.
static const double TOLERANCE = 1e-5;

static char *fresh_folder(const char *name) {
    static int count;
    char unique[128];
    snprintf(unique, sizeof unique, "%s-%d", name, count++);
    return xr_path_join(xr_test_scratch(), unique);
}

// A run on a golden model with two lists of settings (each ends with NULL; a second may be NULL).
static bool attempt(const char *model, const char *folder, const char *replay,
                    const char *const *settings, const char *const *more, int threads,
                    XrError *err) {
    XrBuffer output = {0}, source = {0};
    xr_buffer_format(&output, "output_dir=%s", folder);
    xr_buffer_format(&source, "model_name_or_path=%s/%s", xr_test_source("golden/models"), model);
    const char *all[MOST_SETTINGS] = {output.data, source.data};
    int count = 2;
    for (int i = 0; settings[i]; i++) all[count++] = settings[i];
    for (int i = 0; more && more[i]; i++) all[count++] = more[i];
    XrRunConfig config = xr_test_config(XR_RUN_GRPO, all);
    XrBackend *b = xr_cpu_create(threads);
    XrComm *comm = xr_comm_single();
    XrGrpoOptions options = {&config, b, comm, false, replay};
    bool ok = xr_grpo_run(&options, err);
    xr_comm_free(comm);
    xr_backend_free(b);
    xr_run_config_free(&config);
    xr_buffer_free(&output);
    xr_buffer_free(&source);
    return ok;
}

// The folder of a run that must succeed; to be freed.
static char *run(const char *model, const char *replay, const char *const *settings,
                 const char *const *more, int threads) {
    char *folder = fresh_folder(model);
    XrError err = {0};
    if (!attempt(model, folder, replay, settings, more, threads, &err)) fail_msg("%s", err.message);
    return folder;
}

static void same_file(const char *a, const char *b, const char *name, bool same) {
    XrBuffer one = {0}, other = {0};
    xr_test_read(&one, a, name);
    xr_test_read(&other, b, name);
    bool equal = one.length == other.length && memcmp(one.data, other.data, one.length) == 0;
    if (equal != same) fail_msg("%s: %s in %s and %s", name, same ? "differs" : "equal", a, b);
    xr_buffer_free(&one);
    xr_buffer_free(&other);
}

static void same_runs(const char *a, const char *b) {
    XrBuffer one = {0}, other = {0};
    xr_test_metrics(&one, a);
    xr_test_metrics(&other, b);
    assert_string_equal(one.data, other.data);
    same_file(a, b, "samples.jsonl", true);
    same_file(a, b, "model/model.safetensors", true);
    xr_buffer_free(&one);
    xr_buffer_free(&other);
}

// ---- replayed steps against PyTorch ----

static const char *const REPLAY[] = {
    "temperature=0.8",         "learning_rate=1e-3", "weight_decay=0.1", "adam_beta2=0.99",
    "adam_epsilon=1e-4",       "max_grad_norm=0.5",  "beta=0.05",        "epsilon_high=0.28",
    "overlong_responses=mask", "warmup_ratio=0",     "save_steps=0",     NULL};

static char *replay(const char *micro, const char *extra, int threads) {
    const char *const more[] = {micro, extra, NULL};
    return run("text_only", xr_test_source("golden/grpo/samples.jsonl"), REPLAY, more, threads);
}

static void near(const char *what, int step, double actual, double expected) {
    if (fabs(actual - expected) > TOLERANCE * fmax(fabs(expected), 1e-2)) {
        fail_msg("%s of step %d: %.9g, PyTorch has %.9g", what, step, actual, expected);
    }
}

static void compare_weights(const XrGolden *golden, const char *folder) {
    char *path = xr_path_join(folder, "model");
    XrSafetensors *files;
    XrError err;
    if (!xr_safetensors_open(&files, path, &err)) fail_msg("%s", err.message);
    int compared = 0;
    for (int i = 0; i < xr_safetensors_count(golden->files); i++) {
        const char *name = xr_safetensors_at(golden->files, i)->name;
        if (strncmp(name, "after.", 6) != 0) continue;
        XrTensor expected = xr_golden_tensor(golden, name, XR_F32), actual;
        assert_true(xr_safetensors_need(files, name + 6, XR_F32, -1, NULL, &actual, &err));
        xr_assert_close(name, &actual, &expected, TOLERANCE);
        compared++;
    }
    assert_true(compared > 10);
    xr_safetensors_close(files);
    free(path);
}

static void replayed_as_pytorch(void **state) {
    const char *const keys[] = {"loss",   "grad_norm",         "kl", "entropy", "ratio",
                                "reward", "num_trained_tokens"};
    const char *const micros[] = {"per_device_train_batch_size=1", "per_device_train_batch_size=5",
                                  "per_device_train_batch_size=12"};
    XrGolden golden = xr_golden_open("grpo/replay.safetensors");
    for (size_t m = 0; m < XR_COUNT(micros); m++) {
        char *folder = replay(micros[m], "max_steps=2", (int)m + 1);
        for (int step = 1; step <= 2; step++) {
            char name[32];
            snprintf(name, sizeof name, "numbers.%d", step);
            const double *numbers = xr_golden_tensor(&golden, name, XR_F64).data;
            for (size_t i = 0; i < XR_COUNT(keys); i++) {
                near(keys[i], step, xr_test_metric(folder, step, keys[i]), numbers[i]);
            }
        }
        assert_true(xr_test_metric(folder, 1, "kl") == 0);
        free(folder);
        folder = replay(micros[m], "max_steps=1", 1);
        compare_weights(&golden, folder);
        free(folder);
    }
    xr_golden_close(&golden);
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
    char *path = fresh_folder("plain.jsonl");
    assert_true(xr_file_write(path, kept.data, kept.length, &err));
    char *folder = run("text_only", path, REPLAY, NULL, 2);
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
    XrBuffer text = {0}, assignment = {0};
    XrError err;
    for (int i = 0; i < 10; i++) {
        xr_buffer_format(&text, "{\"id\": \"q%d\", \"question\": \"%d and %d?\", \"answer\": %d}\n",
                         i, i, 3 * i, 4 * i);
    }
    char *path = fresh_folder("questions.jsonl");
    assert_true(xr_file_write(path, text.data, text.length, &err));
    xr_buffer_format(&assignment, "train_dataset=%s", path);
    setting = assignment.data;
    xr_buffer_free(&text);
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

static char *sample(const char *model, const char *a, const char *b, int threads) {
    const char *more[] = {make_questions(), a, a ? b : NULL, NULL};
    return run(model, NULL, SAMPLED, more, threads);
}

// The engine samples in continuous batches over pages, the trainer packs whole responses: the same
// bits, whatever the weights are stored as, and with weights that have been changed by then.
static void trainer_is_sampler(void **state) {
    const char *model = *state;
    char *folder = sample(model, "max_steps=3", "repetition_penalty=1.1", 2);
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

static void same_for_any_threads(void **state) {
    char *one = sample("text_only", "max_steps=3", NULL, 1);
    char *three = sample("text_only", "max_steps=3", "max_batch_sequences=64", 3);
    char *other = sample("text_only", "max_steps=3", "seed=7", 1);
    same_runs(one, three);
    same_file(one, other, "samples.jsonl", false);
    free(one);
    free(three);
    free(other);
}

// What a run wrote is enough to do its steps again, bit for bit.
static void replays_itself(void **state) {
    char *first = sample("text_only", "max_steps=3", "num_iterations=1", 2);
    char *path = xr_path_join(first, "samples.jsonl");
    char *again = run("text_only", path, SAMPLED, NULL, 1);
    const char *const keys[] = {"loss", "grad_norm", "kl", "entropy", "reward", "reward_std"};
    for (int step = 1; step <= 3; step++) {
        for (size_t i = 0; i < XR_COUNT(keys); i++) {
            assert_true(xr_test_metric(first, step, keys[i]) ==
                        xr_test_metric(again, step, keys[i]));
        }
    }
    same_file(first, again, "samples.jsonl", true);
    same_file(first, again, "model/model.safetensors", true);
    free(first);
    free(again);
    free(path);
}

// Two parts of a batch, each gone through twice: only the first step meets the policy that sampled.
static void several_updates(void **state) {
    const char *const more[] = {make_questions(),     "steps_per_generation=2",
                                "num_iterations=2",   "gradient_accumulation_steps=4",
                                "learning_rate=2e-4", NULL};
    char *folder = run("text_only", NULL, SAMPLED, more, 2);
    XrBuffer metrics = {0};
    xr_test_metrics(&metrics, folder);
    int compared = 0;
    for (const char *at = metrics.data; (at = strstr(at, "difference/max")); at++) compared++;
    // 10 questions x 3 epochs, 6 prompts a batch: 5 batches of 4 steps.
    assert_int_equal(compared, 5);
    for (int step = 1; step <= 20; step++) {
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
    char *folder = run("text_only", NULL, SAMPLED, more, 2);
    assert_true(xr_test_metric(folder, 1, "replaced_groups") == 12);
    assert_true(xr_test_metric(folder, 1, "frac_reward_zero_std") == 1);
    assert_true(xr_test_metric(folder, 1, "loss") == 0);
    assert_true(xr_test_metric(folder, 1, "grad_norm") == 0);
    free(folder);
    more[3] = "overlong_responses=soft"; // lengths differ: less to replace
    folder = run("text_only", NULL, SAMPLED, more, 2);
    assert_true(xr_test_metric(folder, 1, "replaced_groups") < 12);
    free(folder);
}

// Truncated responses, which score here, stay out of the loss with "mask".
static void masked_responses(void **state) {
    char *all = sample("text_only", "max_steps=1", NULL, 2);
    char *masked = sample("text_only", "max_steps=1", "overlong_responses=mask", 2);
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
    char *folder = fresh_folder("refused");
    if (attempt("text_only", folder, replay_path, SAMPLED, more, 1, &err)) {
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
    char *path = fresh_folder("bad.jsonl");
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

#define SAMPLER_TEST(model)                                                                        \
    { "trainer_is_sampler/" #model, trainer_is_sampler, NULL, NULL, (void *)#model }

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(replayed_as_pytorch),
        cmocka_unit_test(replayed_without_logprobs),
        SAMPLER_TEST(text_only),
        SAMPLER_TEST(gqa2_tied),
        SAMPLER_TEST(gqa4_shards),
        SAMPLER_TEST(gqa7_half),
        SAMPLER_TEST(head128),
        cmocka_unit_test(same_for_any_threads),
        cmocka_unit_test(replays_itself),
        cmocka_unit_test(several_updates),
        cmocka_unit_test(dynamic_sampling),
        cmocka_unit_test(masked_responses),
        cmocka_unit_test(refuses_settings),
        cmocka_unit_test(refuses_recordings),
        cmocka_unit_test(refuses_data),
    };
    xr_test_filter(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
