// Real input, through the command line: a small untrained model with Qwen2.5's tokenizer learns
// from GSM8K's training set, is killed, resumed and exported, and goes on with reinforcement
// learning.
#include "tests/support/models.h"
#include "tests/support/processes.h"
#include "tests/support/runs.h"
#include "tests/support/test.h"

#include "shared/base/file.h"
#include "shared/base/memory.h"

#include <signal.h>
#include <stdlib.h>

static char *text_of(const char *format, const char *value) {
    XrBuffer text = {0};
    xr_buffer_format(&text, format, value);
    return text.data;
}

// Six steps, or two of reinforcement learning; `more` may be NULL.
static pid_t start(const char *command, const char *model, const char *folder, const char *more) {
    char *base = text_of("model_name_or_path=%s", model),
         *output = text_of("output_dir=%s", folder);
    char *data = text_of("train_dataset=[{\"path\": \"%s\", \"limit\": 100}]",
                         xr_test_data("gsm8k/train.jsonl"));
    const char *const sft[] = {"sft",
                               base,
                               output,
                               data,
                               "max_steps=6",
                               "per_device_train_batch_size=1",
                               "gradient_accumulation_steps=2",
                               "max_length=160",
                               "packing=false",
                               "learning_rate=1e-2",
                               "save_steps=2",
                               more,
                               NULL};
    const char *const grpo[] = {"grpo",
                                base,
                                output,
                                data,
                                "max_steps=2",
                                "per_device_train_batch_size=4",
                                "gradient_accumulation_steps=1",
                                "num_generations=4",
                                "max_completion_length=24",
                                "think_budget=8",
                                "warmup_ratio=0",
                                more,
                                NULL};
    pid_t child = xr_test_start(strcmp(command, "sft") == 0 ? sft : grpo);
    free(base);
    free(output);
    free(data);
    return child;
}

static void run(const char *command, const char *model, const char *folder, const char *more) {
    if (xr_test_wait(start(command, model, folder, more)) != 0) xr_test_log_has("success");
}

static void learns_and_goes_on(void **state) {
    static const char *const files[] = {"model/model.safetensors", "lost_rows.jsonl", NULL};
    char *base = xr_test_untrained_model();
    char *whole = xr_path_join(xr_test_scratch(), "whole");
    char *broken = xr_path_join(xr_test_scratch(), "broken");
    char *trained = xr_path_join(broken, "model"), *rl = xr_path_join(xr_test_scratch(), "rl");
    run("sft", base, whole, NULL);
    assert_true(xr_test_metric(whole, 6, "loss") < xr_test_metric(whole, 1, "loss") - 0.1);
    pid_t child = start("sft", base, broken, NULL);
    xr_test_wait_for(broken, "checkpoint-2");
    kill(child, SIGKILL);
    xr_test_wait(child);
    run("sft", base, broken, "--resume");
    xr_test_same_runs(whole, broken, files);
    run("grpo", trained, rl, NULL);
    for (int step = 1; step <= 2; step++) {
        assert_true(xr_test_metric(rl, step, "ratio") == 1);
        assert_true(xr_test_metric(rl, step, "sampling/sampling_logp_difference/max") == 0);
    }
    assert_true(xr_test_holds(rl, "model/tokenizer.json"));
    char *all[] = {base, whole, broken, trained, rl};
    for (size_t i = 0; i < XR_COUNT(all); i++) free(all[i]);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(learns_and_goes_on)};
    xr_test_filter(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
