// Real input, through the command line: MathVision's testmini with its pictures, GSM8K and
// MMLU-Pro, answered by a small untrained model with Qwen2.5's tokenizer; killed and resumed; in
// another order, other batches and threads.
#include "tests/support/eval.h"
#include "tests/support/models.h"
#include "tests/support/processes.h"
#include "tests/support/runs.h"
#include "tests/support/test.h"

#include "shared/base/file.h"
#include "shared/base/memory.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>

enum { MATHVISION = 304, OTHERS = 30, ALL = MATHVISION + 2 * OTHERS };

static const char *const NAMES[] = {"mathvision_mini", "gsm8k", "mmlu_pro"};

// testmini.jsonl, last line first, in the scratch folder.
static char *reversed(void) {
    XrBuffer text = {0}, out = {0};
    XrError err;
    if (!xr_file_read(xr_test_data("mathvision/testmini.jsonl"), 1 << 26, &text, &err)) {
        fail_msg("%s", err.message);
    }
    size_t end = text.length;
    while (end > 0) {
        size_t begin = end - 1;
        while (begin > 0 && text.data[begin - 1] != '\n') begin--;
        xr_buffer_append(&out, text.data + begin, end - begin);
        end = begin;
    }
    char *path = xr_test_write("reversed.jsonl", out.data);
    xr_buffer_free(&text);
    xr_buffer_free(&out);
    return path;
}

// The three benchmarks as they are published, or MathVision's reversed and after the others.
static char *datasets(const char *mathvision, bool last) {
    XrBuffer one = {0}, rest = {0}, out = {0};
    xr_buffer_format(
        &one, "{\"path\": \"%s\", \"format\": \"mathvision_mini\", \"images\": ", mathvision);
    xr_buffer_format(&one, "\"%s\"}", xr_test_data("mathvision"));
    xr_buffer_format(&rest, "{\"path\": \"%s\", \"format\": \"gsm8k\", \"limit\": %d}",
                     xr_test_data("gsm8k/test.jsonl"), OTHERS);
    xr_buffer_format(&rest, ", {\"path\": \"%s\", \"format\": \"mmlu_pro\", \"limit\": %d}",
                     xr_test_data("mmlu-pro/test.jsonl"), OTHERS);
    xr_buffer_format(&out, "eval_dataset=[%s, %s]", last ? rest.data : one.data,
                     last ? one.data : rest.data);
    xr_buffer_free(&one);
    xr_buffer_free(&rest);
    return out.data;
}

static pid_t start(const char *folder, const char *model, const char *data, const char *batch,
                   const char *threads, const char *more) {
    XrBuffer base = {0};
    xr_buffer_format(&base, "model_name_or_path=%s", model);
    const char *const arguments[] = {base.data,
                                     data,
                                     batch,
                                     threads,
                                     "temperature=1",
                                     "max_completion_length=12",
                                     "think_budget=6",
                                     "max_pixels=50176",
                                     "kv_cache_mb=128",
                                     more,
                                     NULL};
    pid_t child = xr_test_eval_start(folder, arguments);
    xr_buffer_free(&base);
    return child;
}

static void finish(pid_t child) {
    if (xr_test_wait(child) != 0) xr_test_log_has("success");
}

static int64_t size_of(const char *folder) {
    struct stat info = {0};
    char *path = xr_path_join(folder, "samples.jsonl");
    int64_t size = stat(path, &info) == 0 ? (int64_t)info.st_size : 0;
    free(path);
    return size;
}

// All items are answered, each with the pictures that it has.
static void expect_counts(const char *folder) {
    cJSON *s = xr_test_summary(folder), *lines = xr_test_lines(folder, "samples.jsonl");
    for (int d = 0; d < 3; d++) {
        const cJSON *result = cJSON_GetArrayItem(xr_test_at(s, "results"), d);
        assert_string_equal(xr_test_string(result, "dataset"), NAMES[d]);
        assert_int_equal(xr_test_number(result, "items"), d ? OTHERS : MATHVISION);
        assert_int_equal(xr_test_number(result, "answered"), d ? OTHERS : MATHVISION);
        assert_true(cJSON_IsTrue(xr_test_at(result, "whole")) == (d == 0));
        assert_true(xr_test_number(result, "forced") > 0);
        const cJSON *lost;
        cJSON_ArrayForEach(lost, xr_test_at(result, "left_out")) {
            assert_int_equal(lost->valueint, 0);
        }
    }
    assert_int_equal(cJSON_GetArraySize(lines), ALL);
    int pictures[2] = {0};
    const cJSON *line, *message, *part;
    cJSON_ArrayForEach(line, lines) {
        bool mathvision = strcmp(xr_test_string(line, "dataset"), "mathvision_mini") == 0;
        cJSON_ArrayForEach(message, xr_test_at(line, "messages")) {
            cJSON_ArrayForEach(part, cJSON_GetObjectItem(message, "content")) {
                pictures[mathvision] += cJSON_HasObjectItem(part, "image");
            }
        }
    }
    assert_int_equal(pictures[0], 0);
    assert_int_equal(pictures[1], MATHVISION); // each question has one
    cJSON_Delete(lines);
    cJSON_Delete(s);
}

static void killed_resumed_and_in_another_order(void **state) {
    char *model = xr_test_untrained_model(), *backwards = reversed();
    char *data = datasets(xr_test_data("mathvision/testmini.jsonl"), false);
    char *other = datasets(backwards, true);
    char *whole = xr_test_path("whole"), *broken = xr_test_path("broken"),
         *order = xr_test_path("order");
    finish(start(whole, model, data, "max_batch_sequences=64", "--threads=2", NULL));
    expect_counts(whole);

    pid_t child = start(broken, model, data, "max_batch_sequences=3", "--threads=1", NULL);
    while (size_of(broken) < size_of(whole) / 5) xr_test_pause(0.01);
    kill(child, SIGKILL);
    assert_int_equal(xr_test_wait(child), -SIGKILL);
    assert_true(size_of(broken) < size_of(whole));
    assert_false(xr_test_holds(broken, "summary.json"));
    finish(start(broken, model, data, "max_batch_sequences=40", "--threads=2", "--resume"));
    expect_counts(broken);
    xr_test_same_answers(whole, broken);
    cJSON *a = xr_test_summary(whole), *b = xr_test_summary(broken);
    assert_true(cJSON_Compare(xr_test_at(a, "results"), xr_test_at(b, "results"), true));

    finish(start(order, model, other, "max_batch_sequences=17", "--threads=1", NULL));
    xr_test_same_answers(whole, order);
    cJSON_Delete(a);
    cJSON_Delete(b);
    char *all[] = {model, backwards, data, other, whole, broken, order};
    for (size_t i = 0; i < XR_COUNT(all); i++) free(all[i]);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(killed_resumed_and_in_another_order)};
    xr_test_filter(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
