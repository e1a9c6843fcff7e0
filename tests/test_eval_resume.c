// Killed evaluations: `xreasoner eval` is killed at random moments and resumed until it is done;
// samples.jsonl must hold the lines of an unbroken run. And what a resumed run refuses.
#include "tests/support/eval.h"
#include "tests/support/processes.h"
#include "tests/support/runs.h"
#include "tests/support/test.h"

#include "shared/base/memory.h"
#include "shared/base/rng.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { QUESTIONS = 20, KILLS = 12, SEED = 2027 };

static char *make_items(const char *name) {
    XrBuffer text = {0};
    for (int i = 0; i < QUESTIONS; i++) {
        xr_buffer_format(&text,
                         "{\"id\": \"%d\", \"question\": \"%d and %d?\", \"answer\": \"%d\"%s}\n",
                         i, i, 3 * i, 4 * i, i % 8 == 3 ? ", \"images\": [\"a.png\"]" : "");
    }
    char *path = xr_test_write(name, text.data);
    xr_buffer_free(&text);
    return path;
}

typedef struct Run {
    char *data, *model;
    const char *arguments[16];
    int count;
} Run;

static Run make_run(const char *items) {
    Run r = {0};
    XrBuffer data = {0}, model = {0};
    xr_buffer_format(&data,
                     "eval_dataset=[{\"path\": \"%s\", \"format\": \"jsonl\", \"images\": \"%s\"}]",
                     items, xr_test_source("golden/images"));
    xr_buffer_format(&model, "model_name_or_path=%s", xr_test_source("golden/models/gqa2_tied"));
    r.data = data.data;
    r.model = model.data;
    const char *const fixed[] = {data.data,
                                 model.data,
                                 "prompt_template=plain",
                                 "temperature=1.1",
                                 "num_generations=3",
                                 "max_completion_length=40",
                                 "think_budget=20",
                                 "compare_forced_exit=true",
                                 "max_pixels=50176",
                                 "kv_cache_mb=64",
                                 "max_batch_sequences=6"};
    for (size_t i = 0; i < XR_COUNT(fixed); i++) r.arguments[r.count++] = fixed[i];
    return r;
}

static pid_t start(Run *r, const char *folder, const char *more) {
    r->arguments[r->count] = xr_test_holds(folder, "config.json") ? "--resume" : "--threads=2";
    r->arguments[r->count + 1] = more;
    r->arguments[r->count + 2] = NULL;
    return xr_test_eval_start(folder, r->arguments);
}

static void free_run(Run *r) {
    free(r->data);
    free(r->model);
}

static void killed_at_any_moment(void **state) {
    char *items = make_items("killed.jsonl"), *whole = xr_test_path("whole");
    Run r = make_run(items);
    double began = xr_test_now();
    assert_int_equal(xr_test_wait(start(&r, whole, NULL)), 0);
    double seconds = xr_test_now() - began;
    int kills = 0, appended = 0;
    for (int broken = 0; kills < KILLS; broken++) {
        char name[32];
        snprintf(name, sizeof name, "broken-%d", broken);
        char *folder = xr_test_path(name);
        off_t size = 0;
        for (bool done = false; !done;) {
            uint32_t random[4];
            xr_philox(SEED, (uint64_t)broken, (uint64_t)kills, random);
            // Other sizes of the batch on the way change nothing.
            pid_t child = start(&r, folder, kills % 2 ? "max_batch_sequences=17" : NULL);
            xr_test_pause(xr_uniform(random[0]) * seconds);
            kill(child, SIGKILL);
            int code = xr_test_wait(child);
            kills += code == -SIGKILL;
            if (code > 0) xr_test_log_has("nothing but success or a kill");
            done = code == 0 && xr_test_holds(folder, "summary.json");
            struct stat info = {0};
            XrBuffer path = {0};
            xr_buffer_format(&path, "%s/samples.jsonl", folder);
            if (stat(path.data, &info) == 0) appended += info.st_size > size && size > 0;
            size = info.st_size;
            xr_buffer_free(&path);
        }
        xr_test_same_answers(whole, folder);
        cJSON *a = xr_test_summary(whole), *b = xr_test_summary(folder);
        assert_true(cJSON_Compare(xr_test_at(a, "results"), xr_test_at(b, "results"), true));
        cJSON_Delete(a);
        cJSON_Delete(b);
        free(folder);
    }
    assert_true(appended > 0); // some kills fell in the middle of the answers
    print_message("%d kills\n", kills);
    free_run(&r);
    free(items);
    free(whole);
}

// A last line of which only a part was written, at every length.
static void half_lines_are_cut_off(void **state) {
    char *items = make_items("half.jsonl"), *whole = xr_test_path("half");
    Run r = make_run(items);
    assert_int_equal(xr_test_wait(start(&r, whole, NULL)), 0);
    XrBuffer text = {0}, path = {0};
    xr_test_read(&text, whole, "samples.jsonl");
    xr_buffer_format(&path, "%s/samples.jsonl", whole);
    for (int i = 0; i < 6; i++) {
        uint32_t random[4];
        xr_philox(SEED, 99, (uint64_t)i, random);
        size_t keep = (size_t)(xr_uniform(random[0]) * (float)text.length);
        assert_int_equal(truncate(path.data, (off_t)keep), 0);
        assert_int_equal(xr_test_wait(start(&r, whole, NULL)), 0);
        XrBuffer now = {0};
        xr_test_read(&now, whole, "samples.jsonl");
        assert_int_equal(now.length, text.length);
        xr_buffer_free(&now);
    }
    xr_buffer_free(&text);
    xr_buffer_free(&path);
    free_run(&r);
    free(items);
    free(whole);
}

static void refuses(void **state) {
    char *items = make_items("refuses.jsonl"), *folder = xr_test_path("refuses");
    Run r = make_run(items);
    assert_int_equal(xr_test_wait(start(&r, folder, NULL)), 0);
    assert_int_equal(xr_test_wait(start(&r, folder, "temperature=1")), 1);
    xr_test_log_has("\"temperature\"");
    r.arguments[r.count] = NULL;
    assert_int_equal(xr_test_wait(xr_test_eval_start(folder, r.arguments)), 1);
    xr_test_log_has("holds a run already");
    XrBuffer text = {0}; // the data now asks something else
    xr_test_read(&text, xr_test_scratch(), "refuses.jsonl");
    strstr(text.data, "5 and 15")[0] = '6';
    free(xr_test_write("refuses.jsonl", text.data));
    assert_int_equal(xr_test_wait(start(&r, folder, NULL)), 1);
    xr_test_log_has("another question");
    xr_buffer_free(&text);
    free_run(&r);
    free(items);
    free(folder);
}

// Ctrl-C: what is answered stays, the exit code is 1.
static void interrupted(void **state) {
    char *items = make_items("ctrl-c.jsonl"), *folder = xr_test_path("ctrl-c");
    char *whole = xr_test_path("ctrl-c-whole");
    Run r = make_run(items);
    assert_int_equal(xr_test_wait(start(&r, whole, NULL)), 0);
    pid_t child = start(&r, folder, NULL);
    double deadline = xr_test_now() + 60;
    while (!xr_test_holds(folder, "samples.jsonl") && xr_test_now() < deadline) {
        xr_test_pause(0.001);
    }
    kill(child, SIGINT);
    int code = xr_test_wait(child);
    if (code != 0) { // 0: it had just ended
        assert_int_equal(code, 1);
        xr_test_log_has("--resume goes on from there");
        assert_int_equal(xr_test_wait(start(&r, folder, NULL)), 0);
    }
    xr_test_same_answers(whole, folder);
    free_run(&r);
    free(items);
    free(folder);
    free(whole);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(killed_at_any_moment),
        cmocka_unit_test(half_lines_are_cut_off),
        cmocka_unit_test(refuses),
        cmocka_unit_test(interrupted),
    };
    xr_test_filter(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
