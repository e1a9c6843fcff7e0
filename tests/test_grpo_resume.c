// Killed runs: `xreasoner grpo` is killed at random moments, sampling, updating or saving, and
// resumed until it is done; what is left must be what an unbroken run leaves, bit for bit.
#include "tests/support/processes.h"
#include "tests/support/runs.h"
#include "tests/support/test.h"

#include "shared/base/file.h"
#include "shared/base/memory.h"
#include "shared/base/rng.h"

#include <signal.h>
#include <stdlib.h>

enum { KILLS = 30, STEPS = 12, SEED = 31 };

static char *setting(const char *key, const char *value) {
    XrBuffer text = {0};
    xr_buffer_format(&text, "%s=%s", key, value);
    return text.data;
}

static char *make_questions(void) {
    XrBuffer text = {0};
    XrError err;
    for (int i = 0; i < 10; i++) {
        xr_buffer_format(&text, "{\"question\": \"%d and %d?\", \"answer\": %d}\n", i, 3 * i,
                         4 * i);
    }
    char *path = xr_path_join(xr_test_scratch(), "questions.jsonl");
    assert_true(xr_file_write(path, text.data, text.length, &err));
    xr_buffer_free(&text);
    char *out = setting("train_dataset", path);
    free(path);
    return out;
}

// Twelve steps, two of each batch, a checkpoint after every third or the batch's end that follows
// it.
static pid_t start_limited(const char *folder, bool resume, int64_t limit) {
    char *output = setting("output_dir", folder), *data = make_questions();
    char *model = setting("model_name_or_path", xr_test_source("golden/models/text_only"));
    const char *const arguments[] = {"grpo",
                                     output,
                                     model,
                                     data,
                                     "prompt_template=none",
                                     "per_device_train_batch_size=3",
                                     "gradient_accumulation_steps=4",
                                     "num_generations=4",
                                     "steps_per_generation=2",
                                     "max_completion_length=36",
                                     "think_budget=20",
                                     "temperature=1.6",
                                     "overlong_responses=soft",
                                     "overlong_buffer=30",
                                     "dynamic_sampling=true",
                                     "max_resamples=1",
                                     "learning_rate=1e-3",
                                     "max_steps=12",
                                     "save_steps=3",
                                     resume ? "--resume" : NULL,
                                     NULL};
    pid_t child = xr_test_start_limited(arguments, limit);
    free(output);
    free(model);
    free(data);
    return child;
}

static pid_t start(const char *folder, bool resume) {
    return start_limited(folder, resume, 0);
}

static void same_runs(const char *a, const char *b) {
    static const char *const files[] = {
        "samples.jsonl",
        "model/model.safetensors",
        "checkpoint-12/weights-00000-of-00001.safetensors",
        "checkpoint-12/exp_avg-00000-of-00001.safetensors",
        "checkpoint-12/exp_avg_sq-00000-of-00001.safetensors",
        NULL,
    };
    xr_test_same_runs(a, b, files);
}

static char *whole_run(double *seconds) {
    static char *folder;
    static double spent;
    if (!folder) {
        folder = xr_path_join(xr_test_scratch(), "whole");
        double started = xr_test_now();
        assert_int_equal(xr_test_wait(start(folder, false)), 0);
        spent = xr_test_now() - started;
        assert_true(xr_test_metric(folder, STEPS, "kl") > 0); // it has learnt something
    }
    *seconds = spent;
    return folder;
}

// From before the folder exists to while the model is exported.
static void killed_at_any_moment(void **state) {
    double seconds;
    const char *whole = whole_run(&seconds);
    int kills = 0;
    for (int broken = 0; kills < KILLS; broken++) {
        char name[32];
        snprintf(name, sizeof name, "broken-%d", broken);
        char *folder = xr_path_join(xr_test_scratch(), name);
        for (bool done = false; !done;) {
            uint32_t random[4];
            xr_philox(SEED, (uint64_t)broken, (uint64_t)kills, random);
            pid_t child = start(folder, xr_test_holds(folder, "config.json"));
            xr_test_pause(xr_uniform(random[0]) * seconds * 0.8);
            kill(child, SIGKILL);
            int code = xr_test_wait(child);
            kills += code == -SIGKILL;
            if (code > 0) xr_test_log_has("nothing but success or a kill");
            done = code == 0 && xr_test_holds(folder, "summary.json");
            if (kills >= KILLS && !done) { // enough: to the end
                assert_int_equal(xr_test_wait(start(folder, xr_test_holds(folder, "config.json"))),
                                 0);
                done = true;
            }
        }
        same_runs(whole, folder);
        free(folder);
    }
    print_message("%d kills\n", kills);
}

// Ctrl-C: what is being sampled is dropped, a checkpoint written, the exit code 1.
static void interrupt_saves(void **state) {
    double seconds;
    const char *whole = whole_run(&seconds);
    char *folder = xr_path_join(xr_test_scratch(), "ctrl-c");
    pid_t child = start(folder, false);
    xr_test_wait_for(folder, "checkpoint-4");
    kill(child, SIGINT);
    int code = xr_test_wait(child);
    if (code != 0) { // 0: it had just ended
        assert_int_equal(code, 1);
        xr_test_log_has("--resume goes on from there");
        assert_int_equal(xr_test_wait(start(folder, true)), 0);
    }
    same_runs(whole, folder);
    free(folder);
}

// The run ends with an error, the checkpoint before stays, and the run can go on.
static void disk_full(void **state) {
    enum { MOST_BYTES = 100000 }; // less than a file of weights
    double seconds;
    const char *whole = whole_run(&seconds);
    char *folder = xr_path_join(xr_test_scratch(), "full");
    pid_t child = start(folder, false);
    xr_test_wait_for(folder, "checkpoint-4");
    kill(child, SIGKILL);
    if (xr_test_wait(child) != 0) { // 0: it had just ended
        bool later = xr_test_holds(folder, "checkpoint-6");
        int code = xr_test_wait(start_limited(folder, true, MOST_BYTES));
        assert_int_equal(code, 1);
        xr_test_log_has("checkpoint at step");
        assert_true(xr_test_holds(folder, later ? "checkpoint-6" : "checkpoint-4"));
        assert_int_equal(xr_test_wait(start(folder, true)), 0);
    }
    same_runs(whole, folder);
    free(folder);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(killed_at_any_moment),
        cmocka_unit_test(interrupt_saves),
        cmocka_unit_test(disk_full),
    };
    xr_test_filter(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
