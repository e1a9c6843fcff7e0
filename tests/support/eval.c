#include "tests/support/eval.h"

#include "shared/base/file.h"
#include "shared/base/memory.h"
#include "tests/support/processes.h"
#include "tests/support/runs.h"
#include "tests/support/test.h"

#include <stdlib.h>

char *xr_test_path(const char *name) {
    return xr_path_join(xr_test_scratch(), name);
}

char *xr_test_write(const char *name, const char *text) {
    XrError err;
    char *path = xr_test_path(name);
    if (!xr_file_write(path, text, strlen(text), &err)) fail_msg("%s", err.message);
    return path;
}

pid_t xr_test_eval_start(const char *folder, const char *const *arguments) {
    const char *all[64] = {"eval"};
    int count = 1;
    XrBuffer output = {0};
    xr_buffer_format(&output, "output_dir=%s", folder);
    all[count++] = output.data;
    for (int i = 0; arguments[i]; i++) all[count++] = arguments[i];
    pid_t child = xr_test_start(all);
    xr_buffer_free(&output);
    return child;
}

void xr_test_eval(const char *folder, const char *const *arguments, int code) {
    int got = xr_test_wait(xr_test_eval_start(folder, arguments));
    if (got == code) return;
    XrBuffer log = {0};
    xr_test_read(&log, xr_test_scratch(), "log");
    fail_msg("exit code %d, not %d: %s", got, code, log.data);
}

cJSON *xr_test_lines(const char *folder, const char *name) {
    XrBuffer text = {0};
    cJSON *list = cJSON_CreateArray();
    xr_test_read(&text, folder, name);
    for (char *at = text.data, *end; at && (end = strchr(at, '\n')); at = end + 1) {
        *end = '\0';
        cJSON *line = cJSON_Parse(at);
        if (!line) fail_msg("%s/%s: not JSON: %s", folder, name, at);
        cJSON_AddItemToArray(list, line);
    }
    xr_buffer_free(&text);
    return list;
}

const cJSON *xr_test_at(const cJSON *json, const char *path) {
    const cJSON *at = json;
    for (const char *p = path; *p;) {
        size_t length = strcspn(p, "/");
        char key[64];
        snprintf(key, sizeof key, "%.*s", (int)length, p);
        bool index = strspn(key, "0123456789") == length;
        at = index && cJSON_IsArray(at) ? cJSON_GetArrayItem(at, atoi(key))
                                        : cJSON_GetObjectItemCaseSensitive(at, key);
        if (!at) fail_msg("there is no \"%s\"", path);
        p += length;
        p += *p == '/';
    }
    return at;
}

double xr_test_number(const cJSON *json, const char *path) {
    const cJSON *value = xr_test_at(json, path);
    if (!cJSON_IsNumber(value)) fail_msg("\"%s\" is no number", path);
    return value->valuedouble;
}

const char *xr_test_string(const cJSON *json, const char *path) {
    const cJSON *value = xr_test_at(json, path);
    if (!cJSON_IsString(value)) fail_msg("\"%s\" is no text", path);
    return value->valuestring;
}

cJSON *xr_test_summary(const char *folder) {
    XrBuffer text = {0};
    xr_test_read(&text, folder, "summary.json");
    cJSON *json = cJSON_Parse(text.data);
    assert_non_null(json);
    xr_buffer_free(&text);
    return json;
}

static int by_text(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

// The file's lines, sorted; *count of them. The text is cut up.
static char **sorted_lines(char *text, int *count) {
    char **lines = NULL;
    *count = 0;
    for (char *at = text, *end; at && (end = strchr(at, '\n')); at = end + 1) {
        *end = '\0';
        lines = (char **)xr_realloc((void *)lines, sizeof(char *) * ((size_t)*count + 1));
        lines[(*count)++] = at;
    }
    if (*count) qsort((void *)lines, (size_t)*count, sizeof(char *), by_text);
    return lines;
}

void xr_test_same_answers(const char *a, const char *b) {
    XrBuffer one = {0}, other = {0};
    int one_count, other_count;
    xr_test_read(&one, a, "samples.jsonl");
    xr_test_read(&other, b, "samples.jsonl");
    char **x = sorted_lines(one.data, &one_count), **y = sorted_lines(other.data, &other_count);
    assert_int_equal(one_count, other_count);
    for (int i = 0; i < one_count; i++) {
        if (strcmp(x[i], y[i]) != 0) fail_msg("%s and %s differ:\n%s\n%s", a, b, x[i], y[i]);
    }
    free((void *)x);
    free((void *)y);
    xr_buffer_free(&one);
    xr_buffer_free(&other);
}
