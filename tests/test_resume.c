// Killed runs: `xreasoner sft` is killed at random moments and resumed until it is done; what is
// left must be what an unbroken run leaves, bit for bit. And what a resumed run refuses.
#include "tests/support/runs.h"
#include "tests/support/test.h"

#include "shared/base/file.h"
#include "shared/base/memory.h"
#include "shared/base/rng.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { MOST_ARGUMENTS = 40, KILLS = 36, SEED = 20260 };

static char *text_of(const char *format, const char *value) {
    XrBuffer text = {0};
    xr_buffer_format(&text, format, value);
    return text.data;
}

static char *folder_named(const char *name) {
    return xr_path_join(xr_test_scratch(), name);
}

// A run over three epochs of six steps each, so that kills fall in the middle and at borders.
typedef struct Run {
    char *arguments[MOST_ARGUMENTS];
    int count;
} Run;

static Run make_run(const char *folder, const char *data) {
    Run r = {0};
    char *fixed[] = {
        xr_strdup(XR_PROGRAM),
        xr_strdup("sft"),
        text_of("output_dir=%s", folder),
        text_of("model_name_or_path=%s", xr_test_source("golden/models/text_only")),
        text_of("train_dataset=%s", data),
        xr_strdup("num_train_epochs=3"),
        xr_strdup("per_device_train_batch_size=2"),
        xr_strdup("gradient_accumulation_steps=2"),
        xr_strdup("max_length=64"),
        xr_strdup("packing=false"),
        xr_strdup("learning_rate=1e-3"),
        xr_strdup("max_grad_norm=1"),
        xr_strdup("save_steps=2"),
    };
    for (size_t i = 0; i < XR_COUNT(fixed); i++) r.arguments[r.count++] = fixed[i];
    return r;
}

static void add_argument(Run *r, const char *argument) {
    r->arguments[r->count++] = xr_strdup(argument);
    r->arguments[r->count] = NULL;
}

static void free_run(Run *r) {
    for (int i = 0; i < r->count; i++) free(r->arguments[i]);
}

// Starts the program; its messages go to "<scratch>/log".
static pid_t start(const Run *r, int64_t file_limit) {
    char *log = folder_named("log");
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        int fd = open(log, O_WRONLY | O_CREAT | O_TRUNC, 0666);
        dup2(fd, STDOUT_FILENO);
        dup2(fd, STDERR_FILENO);
        if (file_limit) {
            struct rlimit limit = {(rlim_t)file_limit, (rlim_t)file_limit};
            setrlimit(RLIMIT_FSIZE, &limit);
            signal(SIGXFSZ, SIG_IGN);
        }
        execv(XR_PROGRAM, r->arguments);
        _exit(127);
    }
    free(log);
    return child;
}

// The exit code, or minus the signal that ended it.
static int wait_for(pid_t child) {
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

static int run_to_end(const Run *r, int64_t file_limit) {
    return wait_for(start(r, file_limit));
}

static void assert_log_has(const char *part) {
    XrBuffer log = {0};
    xr_test_read(&log, xr_test_scratch(), "log");
    if (!strstr(log.data, part)) fail_msg("the log lacks \"%s\":\n%s", part, log.data);
    xr_buffer_free(&log);
}

static void pause_seconds(double seconds) {
    struct timespec time = {(time_t)seconds, (long)((seconds - (double)(time_t)seconds) * 1e9)};
    nanosleep(&time, NULL);
}

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

static void same_file(const char *a, const char *b, const char *name) {
    XrBuffer one = {0}, other = {0};
    xr_test_read(&one, a, name);
    xr_test_read(&other, b, name);
    if (one.length != other.length || memcmp(one.data, other.data, one.length) != 0) {
        fail_msg("%s differs between %s and %s", name, a, b);
    }
    xr_buffer_free(&one);
    xr_buffer_free(&other);
}

static void same_runs(const char *a, const char *b) {
    static const char *const files[] = {
        "model/model.safetensors",
        "checkpoint-18/weights-00000-of-00001.safetensors",
        "checkpoint-18/exp_avg-00000-of-00001.safetensors",
        "checkpoint-18/exp_avg_sq-00000-of-00001.safetensors",
        "lost_rows.jsonl",
    };
    for (size_t i = 0; i < XR_COUNT(files); i++) same_file(a, b, files[i]);
    XrBuffer one = {0}, other = {0};
    xr_test_metrics(&one, a);
    xr_test_metrics(&other, b);
    assert_string_equal(one.data, other.data);
    xr_buffer_free(&one);
    xr_buffer_free(&other);
}

static bool holds(const char *folder, const char *name) {
    char *path = xr_path_join(folder, name);
    bool there = xr_path_exists(path);
    free(path);
    return there;
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
        Run r = make_run(folder, data);
        double started = now();
        assert_int_equal(run_to_end(&r, 0), 0);
        spent = now() - started;
        free_run(&r);
        assert_true(xr_test_metric(folder, 18, "loss") > 0);
    }
    *seconds = spent;
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
        Run fresh = make_run(folder, data), again = make_run(folder, data);
        add_argument(&again, "--resume");
        for (bool done = false; !done;) {
            uint32_t random[4];
            xr_philox(SEED, (uint64_t)broken, (uint64_t)kills, random);
            bool started = holds(folder, "config.json");
            pid_t child = start(started ? &again : &fresh, 0);
            pause_seconds(xr_uniform(random[0]) * seconds);
            kill(child, SIGKILL);
            int code = wait_for(child);
            if (code == -SIGKILL) kills++;
            if (code > 0) assert_log_has("nothing but success or a kill");
            done = code == 0 && holds(folder, "summary.json");
        }
        same_runs(whole, folder);
        free_run(&fresh);
        free_run(&again);
        free(folder);
    }
    print_message("%d kills\n", kills);
    free(data);
}

// Ends exactly where `steps` were made: at an epoch's border (6), just before (5) and in its
// middle.
static void interrupted_at(int64_t steps) {
    double seconds;
    char *data = make_data(), name[32];
    const char *whole = whole_run(data, &seconds);
    snprintf(name, sizeof name, "stopped-%lld", (long long)steps);
    char *folder = folder_named(name);
    Run fresh = make_run(folder, data), again = make_run(folder, data);
    add_argument(&again, "--resume");
    snprintf(name, sizeof name, "save_steps=%lld", (long long)steps);
    add_argument(&fresh, name);
    pid_t child = start(&fresh, 0);
    snprintf(name, sizeof name, "checkpoint-%lld", (long long)steps);
    double deadline = now() + 60;
    while (!holds(folder, name) && now() < deadline) pause_seconds(0.001);
    kill(child, SIGKILL);
    wait_for(child);
    assert_int_equal(run_to_end(&again, 0), 0);
    same_runs(whole, folder);
    free_run(&fresh);
    free_run(&again);
    free(folder);
    free(data);
}

static void resumed_at_borders(void **state) {
    static const int64_t steps[] = {5, 6, 7, 12, 17};
    for (size_t i = 0; i < XR_COUNT(steps); i++) interrupted_at(steps[i]);
}

// Ctrl-C: the step is finished, a checkpoint written, the exit code 1.
static void interrupt_saves(void **state) {
    double seconds;
    char *data = make_data(), *folder = folder_named("ctrl-c");
    const char *whole = whole_run(data, &seconds);
    Run fresh = make_run(folder, data), again = make_run(folder, data);
    add_argument(&fresh, "save_steps=0");
    add_argument(&again, "--resume");
    pid_t child = start(&fresh, 0);
    double deadline = now() + 60;
    XrBuffer metrics = {0};
    while (now() < deadline && (!holds(folder, "metrics.jsonl") || metrics.length < 100)) {
        if (holds(folder, "metrics.jsonl")) xr_test_read(&metrics, folder, "metrics.jsonl");
        pause_seconds(0.001);
    }
    kill(child, SIGINT);
    int code = wait_for(child);
    if (code != 0) { // 0: it had just ended
        assert_int_equal(code, 1);
        assert_log_has("--resume goes on from there");
        assert_int_equal(run_to_end(&again, 0), 0);
    }
    if (code != 0) same_runs(whole, folder);
    xr_buffer_free(&metrics);
    free_run(&fresh);
    free_run(&again);
    free(folder);
    free(data);
}

// ---- what is refused ----

static void expect_failure(const Run *r, const char *part) {
    assert_int_equal(run_to_end(r, 0), 1);
    assert_log_has(part);
}

static void refuses(void **state) {
    char *data = make_data(), *folder = folder_named("refusing"), *other = folder_named("none");
    Run fresh = make_run(folder, data), again = make_run(folder, data);
    add_argument(&again, "--resume");
    Run nowhere = make_run(other, data);
    add_argument(&nowhere, "--resume");
    expect_failure(&nowhere, "no run to resume");
    assert_int_equal(run_to_end(&fresh, 0), 0);
    expect_failure(&fresh, "holds a run already");
    char *summary = xr_path_join(folder, "summary.json");
    assert_int_equal(unlink(summary), 0); // as if the run had not ended
    Run changed = make_run(folder, data);
    add_argument(&changed, "--resume");
    add_argument(&changed, "learning_rate=5e-3");
    expect_failure(&changed, "\"learning_rate\"");
    XrBuffer text = {0};
    XrError err;
    xr_test_read(&text, xr_test_scratch(), "data.jsonl");
    text.data[text.length - 4] = 'x';
    assert_true(xr_file_write(data, text.data, text.length, &err));
    expect_failure(&again, "has changed since");
    char *metrics = xr_path_join(folder, "metrics.jsonl");
    free(make_data());
    assert_int_equal(truncate(metrics, 10), 0);
    expect_failure(&again, "metrics.jsonl");
    xr_buffer_free(&text);
    free(metrics);
    free(summary);
    free_run(&fresh);
    free_run(&again);
    free_run(&nowhere);
    free_run(&changed);
    free(folder);
    free(other);
    free(data);
}

// Writing fails in the middle of a checkpoint: the run says so, the one before stays whole, nothing
// half-written is left, and the run can go on.
static void disk_full(void **state) {
    double seconds;
    char *data = make_data(), *folder = folder_named("full");
    const char *whole = whole_run(data, &seconds);
    Run fresh = make_run(folder, data), again = make_run(folder, data);
    add_argument(&again, "--resume");
    pid_t child = start(&fresh, 0);
    double deadline = now() + 60;
    while (!holds(folder, "checkpoint-4") && now() < deadline) pause_seconds(0.001);
    kill(child, SIGKILL);
    wait_for(child);
    if (!holds(folder, "summary.json")) {
        assert_int_equal(run_to_end(&again, 100000), 1); // bytes a file may have
        assert_log_has("checkpoint at step");
        assert_true(holds(folder, "checkpoint-4") || holds(folder, "checkpoint-6"));
        assert_false(holds(folder, ".checkpoint-6.new"));
        assert_int_equal(run_to_end(&again, 0), 0);
        same_runs(whole, folder);
    }
    free_run(&fresh);
    free_run(&again);
    free(folder);
    free(data);
}

// Two are kept, the newest.
static void prunes(void **state) {
    double seconds;
    char *data = make_data();
    const char *whole = whole_run(data, &seconds);
    assert_true(holds(whole, "checkpoint-18") && holds(whole, "checkpoint-16"));
    assert_false(holds(whole, "checkpoint-14"));
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
