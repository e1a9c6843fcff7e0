// What supervised fine-tuning says to data and settings that are not as they should be, what it
// counts, and evaluation during a run.
#include "tests/support/runs.h"
#include "tests/support/test.h"
#include "tests/support/training.h"

#include "shared/base/file.h"
#include "shared/base/memory.h"
#include "shared/train/pass.h"

#include <math.h>
#include <stdlib.h>

#define ROW(question, answer) "{\"prompt\": \"" question "\", \"completion\": \"" answer "\"}\n"
#define LONG "and so on and so on and so on and so on and so on and so on and so on and so on"
#define TURN(answer)                                                                               \
    "{\"messages\": [{\"role\": \"user\", \"content\": \"q\"}, {\"role\": \"assistant\", "         \
    "\"content\": \"" answer "\"}]}\n"
static const char USER_ONLY[] =
    "{\"messages\": [{\"role\": \"user\", \"content\": \"nobody answers\"}]}\n";

static char *scratch_file(const char *name, const char *text) {
    char *path = xr_path_join(xr_test_scratch(), name);
    XrError err;
    assert_true(xr_file_write(path, text, strlen(text), &err));
    return path;
}

// A run of one step on `data` with `more` settings (ends with NULL), model "text_only" unless
// `more` says otherwise; `folder` receives where, to be freed.
static bool run(const char *data, const char *const *more, char **folder, XrError *err) {
    static const char *const one_step[] = {"save_steps=0", "max_steps=1",
                                           "gradient_accumulation_steps=1", NULL};
    char *path = scratch_file("data.jsonl", data);
    *folder = xr_test_fresh_folder("run");
    bool ok = xr_test_try_training(&(XrTestTraining){.command = XR_RUN_SFT,
                                                     .model = "text_only",
                                                     .folder = *folder,
                                                     .data = path,
                                                     .settings = one_step,
                                                     .more = more,
                                                     .backend = "2"},
                                   err);
    free(path);
    return ok;
}

static void expect_error(const char *data, const char *const *more, const char *part) {
    char *folder;
    XrError err;
    if (run(data, more, &folder, &err)) fail_msg("it ran; expected \"%s\"", part);
    if (!strstr(err.message, part)) fail_msg("\"%s\" lacks \"%s\"", err.message, part);
    free(folder);
}

#define SETTINGS(...)                                                                              \
    (const char *const[]) {                                                                        \
        __VA_ARGS__ __VA_OPT__(, ) NULL                                                            \
    }

static void refuses(void **state) {
    char *model = xr_path_join(xr_test_scratch(), "no-model"), *setting = NULL;
    XrBuffer text = {0};
    xr_buffer_format(&text, "model_name_or_path=%s", model);
    setting = text.data;
    expect_error(ROW("q", "a"), SETTINGS(setting), "no-model");
    expect_error(ROW("q", "a"), SETTINGS("train_dataset=[]"), "train_dataset");
    expect_error(ROW("q", "a"), SETTINGS("train_dataset=/nowhere/x.jsonl"), "/nowhere/x.jsonl");
    expect_error("\n", SETTINGS(), "no rows");
    expect_error(ROW("q", LONG), SETTINGS("max_length=40", "overlong=drop"), "no row is left");
    expect_error(ROW("q", "a") ROW("q", LONG), SETTINGS("max_length=64", "overlong=error"),
                 "data.jsonl:2: the row has");
    expect_error(USER_ONLY, SETTINGS(), "1 without an assistant's token");
    expect_error(ROW(LONG LONG, "a"), SETTINGS("max_length=20"), "1 without an assistant's token");
    expect_error("[[{\"from\": \"human\", \"value\": \"q\"}, {\"ground_truth\": {\"value\": 1}}]]",
                 SETTINGS(), "nothing to imitate");
    expect_error("{\"question\": \"q\", \"image\": \"a.png\", \"label\": \"B\"}", SETTINGS(),
                 "for text only");
    expect_error(ROW("q", "a"), SETTINGS("prompt_template=/nowhere/t.txt"), "/nowhere/t.txt");
    expect_error("{\"messages\": [{\"role\": \"user\", \"content\": []}, {\"role\": 1}]}",
                 SETTINGS(), "data.jsonl:1");
    xr_buffer_clear(&text);
    xr_buffer_format(&text, "model_name_or_path=%s", xr_test_source("golden/models/gqa2_tied"));
    expect_error("{\"question\": \"q\", \"image\": \"missing.png\", \"label\": \"B\"}",
                 SETTINGS(text.data), "missing.png");
    xr_buffer_free(&text);
    free(model);
}

// One row of each fate; what was lost is told row by row.
static void counts(void **state) {
    XrBuffer data = {0}, summary = {0}, lost = {0};
    char *folder;
    XrError err;
    xr_buffer_format(&data, "%s%s%s%s", ROW("q", "a"), USER_ONLY, ROW("q", LONG), ROW("r", "b"));
    // Rows of two formats: the first decides, unless it is named.
    expect_error(data.data, SETTINGS("max_length=64"), "data.jsonl:2");
    xr_buffer_clear(&data);

    xr_buffer_text(&data, TURN("a"));
    xr_buffer_text(&data, USER_ONLY);
    xr_buffer_text(&data, TURN(LONG));
    xr_buffer_text(&data, TURN("b"));
    if (!run(data.data, SETTINGS("max_length=64"), &folder, &err)) fail_msg("%s", err.message);
    xr_test_read(&summary, folder, "summary.json");
    assert_non_null(strstr(summary.data, "\"rows_read\": 4, \"rows_used\": 3, \"rows_truncated\": "
                                         "1, \"rows_dropped\": 0, \"rows_without_target\": 1"));
    xr_test_read(&lost, folder, "lost_rows.jsonl");
    assert_non_null(strstr(lost.data, "\"line\": 2, \"row\": 1, \"what\": \"without_target\""));
    assert_non_null(strstr(lost.data, "\"line\": 3, \"row\": 2, \"what\": \"truncated\""));
    free(folder);
    if (!run(data.data, SETTINGS("max_length=64", "overlong=drop"), &folder, &err)) {
        fail_msg("%s", err.message);
    }
    xr_test_read(&summary, folder, "summary.json");
    assert_non_null(strstr(summary.data, "\"rows_used\": 2, \"rows_truncated\": 0, "
                                         "\"rows_dropped\": 1, \"rows_without_target\": 1"));
    free(folder);
    xr_buffer_free(&data);
    xr_buffer_free(&summary);
    xr_buffer_free(&lost);
}

// With invalid_rows "drop", rows that cannot be read are left out, counted and named with the
// reason; the format is that of the first row that has one.
static void drops_invalid(void **state) {
    char *folder;
    XrBuffer data = {0}, summary = {0}, lost = {0};
    XrError err;
    xr_buffer_text(&data, "{\"prompt\": \n" ROW("q", "a"));
    xr_buffer_text(&data, "{\"prompt\": 7, \"completion\": \"a\"}\n" ROW("r", "b") "[1]\n");
    expect_error(data.data, SETTINGS(), "data.jsonl:1");
    if (!run(data.data, SETTINGS("invalid_rows=drop"), &folder, &err)) fail_msg("%s", err.message);
    xr_test_read(&summary, folder, "summary.json");
    assert_non_null(strstr(summary.data, "\"rows_read\": 5, \"rows_used\": 2,"));
    assert_non_null(strstr(summary.data, "\"rows_invalid\": 3"));
    xr_test_read(&lost, folder, "lost_rows.jsonl");
    assert_non_null(strstr(lost.data, "\"line\": 1, \"row\": 0, \"what\": \"invalid\", \"why\": "));
    assert_non_null(strstr(lost.data, "\"line\": 3, \"row\": 2, \"what\": \"invalid\", \"why\": "));
    assert_non_null(strstr(lost.data, "texts or messages"));
    assert_non_null(strstr(lost.data, "\"line\": 5, \"row\": 4, \"what\": \"invalid\""));
    expect_error("{\n[\n", SETTINGS("invalid_rows=drop"), "data.jsonl");
    expect_error("{\"prompt\": 7, \"completion\": \"a\"}\n", SETTINGS("invalid_rows=drop"),
                 "1 invalid");
    free(folder);
    xr_buffer_free(&data);
    xr_buffer_free(&summary);
    xr_buffer_free(&lost);
}

// limit and skip take the rows that they say.
static void takes_rows(void **state) {
    char *folder,
        *path = scratch_file("many.jsonl", ROW("a", "a") ROW("b", "b") ROW("c", "c") ROW("d", "d"));
    XrBuffer setting = {0}, summary = {0};
    XrError err;
    xr_buffer_format(&setting, "train_dataset=[{\"path\": \"%s\", \"skip\": 1, \"limit\": 2}]",
                     path);
    if (!run("x", SETTINGS(setting.data), &folder, &err)) fail_msg("%s", err.message);
    xr_test_read(&summary, folder, "summary.json");
    assert_non_null(strstr(summary.data, "\"rows_read\": 2"));
    free(folder);
    xr_buffer_clear(&setting);
    xr_buffer_format(&setting, "train_dataset=[{\"path\": \"%s\", \"skip\": 9}]", path);
    expect_error("x", SETTINGS(setting.data), "no row is left");
    xr_buffer_free(&setting);
    xr_buffer_free(&summary);
    free(path);
}

// With a rate of 0, the loss of the same rows in training and in evaluation is one number.
static void evaluates(void **state) {
    char *folder;
    XrBuffer setting = {0};
    XrError err;
    char *path = scratch_file("data.jsonl", ROW("q", "a b c"));
    xr_buffer_format(&setting, "eval_dataset=%s", path);
    if (!run(ROW("q", "a b c"),
             SETTINGS(setting.data, "learning_rate=0", "max_steps=5", "eval_steps=2"), &folder,
             &err)) {
        fail_msg("%s", err.message);
    }
    for (int64_t step = 2; step <= 5; step += step == 4 ? 1 : 2) {
        double difference =
            xr_test_metric(folder, step, "eval/loss") - xr_test_metric(folder, step, "loss");
        assert_true(difference == 0);
    }
    xr_buffer_free(&setting);
    free(path);
    free(folder);
}

static void targets_outside(void **state) {
    XrBackend *b = xr_cpu_create(1);
    XrModel *model;
    XrComm *comm = xr_comm_single();
    XrTrainState train;
    XrTrainPass pass;
    XrError err = {0};
    assert_true(xr_model_open(&model, b, xr_test_source("golden/models/text_only"),
                              XR_WEIGHTS_AS_STORED, false, &err));
    assert_true(xr_train_state_create(&train, model, comm, (XrTrainStateOptions){0}, &err));
    assert_true(xr_train_pass_create(&pass, &train, 8, XR_KEEP_ALL, &err));
    int32_t ids[] = {1, 2, 3}, rows[] = {0, 1}, targets[] = {2, 400};
    XrTrainSequence sequence = {ids, 3, NULL};
    XrTrainBatch batch = {&sequence, 1, rows, targets, 2, 1, false};
    assert_false(xr_train_pass_evaluate(&pass, &batch, &err));
    assert_non_null(strstr(err.message, "token 400"));
    ids[1] = 400;
    targets[1] = 3;
    assert_false(xr_train_pass_evaluate(&pass, &batch, &err));
    assert_non_null(strstr(err.message, "400"));
    xr_train_pass_free(&pass);
    xr_train_state_free(&train);
    xr_model_close(model);
    xr_comm_free(comm);
    xr_backend_free(b);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refuses),       cmocka_unit_test(counts),
        cmocka_unit_test(drops_invalid), cmocka_unit_test(takes_rows),
        cmocka_unit_test(evaluates),     cmocka_unit_test(targets_outside),
    };
    xr_test_filter(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
