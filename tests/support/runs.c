#include "tests/support/runs.h"

#include "shared/base/file.h"
#include "tests/support/test.h"

#include <stdlib.h>

XrRunConfig xr_test_config(int command, const char *const *assignments) {
    XrRunConfig config;
    XrError err = {0};
    xr_run_config_init(&config, command);
    for (int i = 0; assignments[i]; i++) {
        if (!xr_run_config_set(&config, assignments[i], &err)) fail_msg("%s", err.message);
    }
    return config;
}

char *xr_test_questions(const char *path, int count) {
    XrBuffer text = {0}, assignment = {0};
    XrError err;
    for (int i = 0; i < count; i++) {
        xr_buffer_format(&text, "{\"id\": \"q%d\", \"question\": \"%d and %d?\", \"answer\": %d}\n",
                         i, i, 3 * i, 4 * i);
    }
    assert_true(xr_file_write(path, text.data, text.length, &err));
    xr_buffer_format(&assignment, "train_dataset=%s", path);
    xr_buffer_free(&text);
    return assignment.data;
}

const char *const XR_TEST_TWO_SAMPLED_STEPS[] = {"max_steps=2",
                                                 "prompt_template=none",
                                                 "per_device_train_batch_size=2",
                                                 "gradient_accumulation_steps=2",
                                                 "num_generations=4",
                                                 "max_completion_length=28",
                                                 "think_budget=10",
                                                 "temperature=1.6",
                                                 "overlong_responses=soft",
                                                 "overlong_buffer=22",
                                                 "learning_rate=2e-3",
                                                 "warmup_ratio=0",
                                                 "save_steps=0",
                                                 NULL};

void xr_test_read(XrBuffer *out, const char *folder, const char *name) {
    char *path = xr_path_join(folder, name);
    XrError err = {0};
    if (!xr_file_read(path, (size_t)1 << 30, out, &err)) fail_msg("%s", err.message);
    free(path);
}

static bool is_time(const char *key) {
    return strncmp(key, "time/", 5) == 0 || strcmp(key, "tokens_per_second") == 0;
}

// Calls see(context, line) for each line.
static void each_line(const char *folder, void (*see)(void *, cJSON *), void *context) {
    XrBuffer text = {0};
    xr_test_read(&text, folder, "metrics.jsonl");
    char *at = text.data;
    while (*at) {
        char *end = strchr(at, '\n');
        assert_non_null(end); // whole lines only
        *end = '\0';
        cJSON *line = cJSON_Parse(at);
        assert_non_null(line);
        see(context, line);
        cJSON_Delete(line);
        at = end + 1;
    }
    xr_buffer_free(&text);
}

static void add_line(void *context, cJSON *line) {
    for (cJSON *item = line->child, *next; item; item = next) {
        next = item->next;
        if (is_time(item->string)) cJSON_Delete(cJSON_DetachItemViaPointer(line, item));
    }
    char *text = cJSON_PrintUnformatted(line);
    xr_buffer_format(context, "%s\n", text);
    cJSON_free(text);
}

void xr_test_metrics(XrBuffer *out, const char *folder) {
    xr_buffer_clear(out);
    each_line(folder, add_line, out);
}

typedef struct Wanted {
    int64_t step;
    const char *key;
    double value;
    bool found;
} Wanted;

static void look(void *context, cJSON *line) {
    Wanted *w = context;
    const cJSON *step = cJSON_GetObjectItemCaseSensitive(line, "step");
    const cJSON *value = cJSON_GetObjectItemCaseSensitive(line, w->key);
    if (w->found || !value || (int64_t)step->valuedouble != w->step) return;
    w->value = value->valuedouble;
    w->found = true;
}

double xr_test_metric(const char *folder, int64_t step, const char *key) {
    Wanted w = {.step = step, .key = key};
    each_line(folder, look, &w);
    if (!w.found) fail_msg("%s: no \"%s\" at step %lld", folder, key, (long long)step);
    return w.value;
}

static XrSafetensors *open_model(const char *folder) {
    char *path = xr_path_join(folder, "model");
    XrSafetensors *files;
    XrError err;
    if (!xr_safetensors_open(&files, path, &err)) fail_msg("%s", err.message);
    free(path);
    return files;
}

// Tensors whose names begin with `prefix`, which the run's have not.
static void close_weights(const char *folder, const XrGolden *expected, const char *prefix,
                          double tolerance) {
    XrSafetensors *files = open_model(folder);
    size_t skipped = strlen(prefix);
    int compared = 0;
    for (int i = 0; i < xr_safetensors_count(expected->files); i++) {
        const char *name = xr_safetensors_at(expected->files, i)->name;
        if (strncmp(name, prefix, skipped) != 0) continue;
        XrTensor wanted = xr_golden_tensor(expected, name, XR_F32), actual;
        XrError err;
        assert_true(xr_safetensors_need(files, name + skipped, XR_F32, -1, NULL, &actual, &err));
        xr_assert_close(name, &actual, &wanted, tolerance);
        compared++;
    }
    assert_true(compared > 10);
    xr_safetensors_close(files);
}

void xr_test_weights(const XrGolden *golden, const char *folder, double tolerance) {
    close_weights(folder, golden, "after.", tolerance);
}

void xr_test_close_weights(const char *folder, const char *expected, double tolerance) {
    XrGolden other = {.files = open_model(expected)};
    close_weights(folder, &other, "", tolerance);
    xr_safetensors_close(other.files);
}

void xr_test_same_file(const char *a, const char *b, const char *name) {
    XrBuffer one = {0}, other = {0};
    xr_test_read(&one, a, name);
    xr_test_read(&other, b, name);
    if (one.length != other.length || memcmp(one.data, other.data, one.length) != 0) {
        fail_msg("%s differs between %s and %s", name, a, b);
    }
    xr_buffer_free(&one);
    xr_buffer_free(&other);
}

void xr_test_same_runs(const char *a, const char *b, const char *const *files) {
    for (int i = 0; files[i]; i++) xr_test_same_file(a, b, files[i]);
    XrBuffer one = {0}, other = {0};
    xr_test_metrics(&one, a);
    xr_test_metrics(&other, b);
    assert_string_equal(one.data, other.data);
    xr_buffer_free(&one);
    xr_buffer_free(&other);
}
