// Killed runs: `xreasoner sft` is killed at random moments and resumed until it is done; what is
// left must be what an unbroken run leaves, bit for bit. And what a resumed run refuses.
#include "tests/support/processes.h"
#include "tests/support/runs.h"
#include "tests/support/test.h"

#include "shared/base/file.h"
#include "shared/base/memory.h"
#include "shared/base/rng.h"

#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

enum { KILLS = 36, SEED = 20260 };

static char *text_of(const char *format, const char *value) {
    XrBuffer text = {0};
    xr_buffer_format(&text, format, value);
    return text.data;
}

static char *folder_named(const char *name) {
    return xr_path_join(xr_test_scratch(), name);
}

// Three epochs of six steps each, so that kills fall in the middle and at borders. `more` (NULL:
// nothing) is an option or an override; no file grows over `limit` bytes, if it is not 0.
static pid_t start_limited(const char *folder, const char *data, const char *more,
                           const char *even_more, int64_t limit) {
    char *output = text_of("output_dir=%s", folder), *train = text_of("train_dataset=%s", data);
    char *model = text_of("model_name_or_path=%s", xr_test_source("golden/models/text_only"));
    const char *const arguments[] = {"sft",
                                     output,
                                     model,
                                     train,
                                     "num_train_epochs=3",
                                     "per_device_train_batch_size=2",
                                     "gradient_accumulation_steps=2",
                                     "max_length=64",
                                     "packing=false",
                                     "learning_rate=1e-3",
                                     "max_grad_norm=1",
                                     "save_steps=2",
                                     more,
                                     more ? even_more : NULL,
                                     NULL};
    pid_t child = xr_test_start_limited(arguments, limit);
    free(output);
    free(train);
    free(model);
    return child;
}

static pid_t start(const char *folder, const char *data, const char *more) {
    return start_limited(folder, data, more, NULL, 0);
}

// From the beginning, or from where an earlier process left it.
static pid_t start_or_resume(const char *folder, const char *data) {
    return start(folder, data, xr_test_holds(folder, "config.json") ? "--resume" : NULL);
}

static void run_to_end(const char *folder, const char *data, const char *more) {
    if (xr_test_wait(start(folder, data, more)) != 0) xr_test_log_has("success");
}

static void same_runs(const char *a, const char *b) {
    static const char *const files[] = {
        "model/model.safetensors",
        "checkpoint-18/weights-00000-of-00001.safetensors",
        "checkpoint-18/exp_avg-00000-of-00001.safetensors",
        "checkpoint-18/exp_avg_sq-00000-of-00001.safetensors",
        "lost_rows.jsonl",
        NULL,
    };
    xr_test_same_runs(a, b, files);
}

// Data of 24 rows, some over length.
static char *make_data(void) {
    char *path = folder_named("data.jsonl");
    XrBuffer text = {0};
    XrError err;
    for (int i = 0; i < 24; i++) {
        xr_buffer_format(&text, "{\"prompt\": \"What is %d and %d?\", \"completion\": \"", i,
                         3 * i);
        for (int k = 0; k <= i % 7; k++) xr_buffer_format(&text, "It is %d. ", 4 * i + k);
        xr_buffer_text(&text, "\"}\n");
    }
    assert_true(xr_file_write(path, text.data, text.length, &err));
    xr_buffer_free(&text);
    return path;
}

// The unbroken run, made once; its wall time.
static char *whole_run(const char *data, double *seconds) {
    static char *folder;
    static double spent;
    if (!folder) {
        folder = folder_named("whole");
        double started = xr_test_now();
        run_to_end(folder, data, NULL);
        spent = xr_test_now() - started;
        assert_true(xr_test_metric(folder, 18, "loss") > 0);
    }
    if (seconds) *seconds = spent;
    return folder;
}

// Kills at moments spread over the whole length of a run, from before its folder exists to while it
// is exported, and resumes until it is done; several runs until there were enough kills.
static void killed_at_any_moment(void **state) {
    double seconds;
    char *data = make_data();
    const char *whole = whole_run(data, &seconds);
    int kills = 0;
    for (int broken = 0; kills < KILLS; broken++) {
        char name[32];
        snprintf(name, sizeof name, "broken-%d", broken);
        char *folder = folder_named(name);
        for (bool done = false; !done;) {
            uint32_t random[4];
            xr_philox(SEED, (uint64_t)broken, (uint64_t)kills, random);
            pid_t child = start_or_resume(folder, data);
            xr_test_pause(xr_uniform(random[0]) * seconds);
            kill(child, SIGKILL);
            int code = xr_test_wait(child);
            if (code == -SIGKILL) kills++;
            if (code > 0) xr_test_log_has("nothing but success or a kill");
            done = code == 0 && xr_test_holds(folder, "summary.json");
        }
        same_runs(whole, folder);
        free(folder);
    }
    print_message("%d kills\n", kills);
    free(data);
}

// Ends exactly where `steps` were made: at an epoch's border (6), just before (5) and in its
// middle.
static void interrupted_at(int64_t steps) {
    char *data = make_data(), name[32];
    const char *whole = whole_run(data, NULL);
    snprintf(name, sizeof name, "stopped-%lld", (long long)steps);
    char *folder = folder_named(name);
    snprintf(name, sizeof name, "save_steps=%lld", (long long)steps);
    pid_t child = start(folder, data, name);
    snprintf(name, sizeof name, "checkpoint-%lld", (long long)steps);
    xr_test_wait_for(folder, name);
    kill(child, SIGKILL);
    xr_test_wait(child);
    run_to_end(folder, data, "--resume");
    same_runs(whole, folder);
    free(folder);
    free(data);
}

static void resumed_at_borders(void **state) {
    static const int64_t steps[] = {5, 6, 7, 12, 17};
    for (size_t i = 0; i < XR_COUNT(steps); i++) interrupted_at(steps[i]);
}

// Ctrl-C: the step is finished, a checkpoint written, the exit code 1.
static void interrupt_saves(void **state) {
    char *data = make_data(), *folder = folder_named("ctrl-c");
    const char *whole = whole_run(data, NULL);
    pid_t child = start(folder, data, "save_steps=0");
    double deadline = xr_test_now() + 60;
    XrBuffer metrics = {0};
    while (xr_test_now() < deadline && metrics.length < 100) {
        if (xr_test_holds(folder, "metrics.jsonl")) {
            xr_test_read(&metrics, folder, "metrics.jsonl");
        }
        xr_test_pause(0.001);
    }
    kill(child, SIGINT);
    int code = xr_test_wait(child);
    if (code != 0) { // 0: it had just ended
        assert_int_equal(code, 1);
        xr_test_log_has("--resume goes on from there");
        run_to_end(folder, data, "--resume");
        same_runs(whole, folder);
    }
    xr_buffer_free(&metrics);
    free(folder);
    free(data);
}

// ---- what is refused ----

static void expect_failure(const char *folder, const char *data, const char *more,
                           const char *even_more, const char *part) {
    assert_int_equal(xr_test_wait(start_limited(folder, data, more, even_more, 0)), 1);
    xr_test_log_has(part);
}

static void refuses(void **state) {
    char *data = make_data(), *folder = folder_named("refusing"), *other = folder_named("none");
    expect_failure(other, data, "--resume", NULL, "no run to resume");
    // What ended before its first step is no run yet; a folder of somebody else's is left alone.
    expect_failure(folder, "no_such_file", NULL, NULL, "no_such_file");
    run_to_end(folder, data, NULL);
    expect_failure(folder, data, NULL, NULL, "holds a run already");
    xr_test_put(other, "config.json", "{\"model_type\": \"qwen2\"}");
    expect_failure(other, data, NULL, NULL, "holds a run already");
    char *summary = xr_path_join(folder, "summary.json");
    assert_int_equal(unlink(summary), 0); // as if the run had not ended
    expect_failure(folder, data, "--resume", "learning_rate=5e-3", "\"learning_rate\"");
    XrBuffer text = {0};
    XrError err;
    xr_test_read(&text, xr_test_scratch(), "data.jsonl");
    text.data[text.length - 4] = 'x';
    assert_true(xr_file_write(data, text.data, text.length, &err));
    expect_failure(folder, data, "--resume", NULL, "has changed since");
    char *metrics = xr_path_join(folder, "metrics.jsonl");
    free(make_data());
    assert_int_equal(truncate(metrics, 10), 0);
    expect_failure(folder, data, "--resume", NULL, "metrics.jsonl");
    xr_buffer_free(&text);
    free(metrics);
    free(summary);
    free(folder);
    free(other);
    free(data);
}

// A run that was killed when it had made checkpoint-4, and not much more.
static char *killed_early(const char *data) {
    for (int attempt = 0; attempt < 20; attempt++) {
        char name[32];
        snprintf(name, sizeof name, "early-%d", attempt);
        char *folder = folder_named(name);
        pid_t child = start(folder, data, NULL);
        xr_test_wait_for(folder, "checkpoint-4");
        kill(child, SIGKILL);
        xr_test_wait(child);
        if (!xr_test_holds(folder, "checkpoint-8")) return folder;
        free(folder);
    }
    fail_msg("runs are too quick to be killed");
    return NULL;
}

// Writing fails in the middle of a checkpoint: the run says so, the one before stays whole, nothing
// half-written is left, and the run can go on.
static void disk_full(void **state) {
    enum { MOST_BYTES = 100000 }; // less than a file of weights
    char *data = make_data();
    const char *whole = whole_run(data, NULL);
    char *folder = killed_early(data);
    bool later = xr_test_holds(folder, "checkpoint-6");
    pid_t child = start_limited(folder, data, "--resume", NULL, MOST_BYTES);
    assert_int_equal(xr_test_wait(child), 1);
    xr_test_log_has("checkpoint at step");
    assert_true(xr_test_holds(folder, later ? "checkpoint-6" : "checkpoint-4"));
    assert_false(xr_test_holds(folder, later ? "checkpoint-8" : "checkpoint-6"));
    assert_false(xr_test_holds(folder, later ? ".checkpoint-8.new" : ".checkpoint-6.new"));
    run_to_end(folder, data, "--resume");
    same_runs(whole, folder);
    free(folder);
    free(data);
}

// Two are kept, the newest.
static void prunes(void **state) {
    char *data = make_data();
    const char *whole = whole_run(data, NULL);
    assert_true(xr_test_holds(whole, "checkpoint-18") && xr_test_holds(whole, "checkpoint-16"));
    assert_false(xr_test_holds(whole, "checkpoint-14"));
    free(data);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(killed_at_any_moment),
        cmocka_unit_test(resumed_at_borders),
        cmocka_unit_test(interrupt_saves),
        cmocka_unit_test(refuses),
        cmocka_unit_test(disk_full),
        cmocka_unit_test(prunes),
    };
    xr_test_filter(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
