// `xreasoner forward` as a user runs it: every golden request from its conversation, against what
// transformers computed, and requests that cannot be.
#include "tests/support/models.h"
#include "tests/support/test.h"

#include "shared/base/file.h"
#include "shared/base/memory.h"

#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

// As in test_model, for the whole way from text and picture files to logits.
static const double TOLERANCE = 2e-5;

// Runs the program in the source folder; returns its exit code and, in `text`, what it wrote.
static int run(const char *arguments, XrBuffer *text) {
    XrBuffer command = {0};
    xr_buffer_format(&command, "cd '%s' && '%s' %s 2>&1", xr_test_source("."), xr_test_program(),
                     arguments);
    FILE *pipe = popen(command.data, "r");
    assert_non_null(pipe);
    xr_buffer_clear(text);
    char chunk[512];
    for (size_t got; (got = fread(chunk, 1, sizeof chunk, pipe)) > 0;)
        xr_buffer_append(text, chunk, got);
    xr_buffer_free(&command);
    xr_buffer_append(text, "", 0);
    return WEXITSTATUS(pclose(pipe));
}

static XrTensor need(XrSafetensors *files, const char *name, XrDType dtype) {
    XrTensor t;
    XrError err;
    if (!xr_safetensors_need(files, name, dtype, -1, NULL, &t, &err)) fail_msg("%s", err.message);
    return t;
}

static void compare(XrSafetensors *files, const XrGolden *golden, const char *name) {
    XrTensor actual = need(files, name, XR_F32), expected = xr_golden_tensor(golden, name, XR_F32);
    xr_assert_close(name, &actual, &expected, TOLERANCE);
}

static void compare_whole(XrSafetensors *files, const XrGolden *golden, const char *name) {
    XrTensor actual = need(files, name, XR_I64), expected = xr_golden_tensor(golden, name, XR_I64);
    xr_assert_same_ids(name, actual.data, (size_t)xr_numel(&actual), &expected);
}

static void golden_request(void **state) {
    const char *name = *state, *request = strchr(name, '.') + 1;
    char file[256];
    snprintf(file, sizeof file, "reference/%s.safetensors", name);
    XrGolden golden = xr_golden_open(file);
    int64_t rows = xr_golden_tensor(&golden, "logits", XR_F32).shape[0];
    char *out = xr_path_join(xr_test_scratch(), "out.safetensors");
    XrBuffer arguments = {0}, text = {0};
    xr_buffer_format(
        &arguments,
        "forward golden/models/%.*s --request golden/requests/%s.json --out '%s' --last %lld",
        (int)(request - name - 1), name, request, out, (long long)rows);
    if (run(arguments.data, &text) != 0) fail_msg("%s", text.data);
    XrSafetensors *files;
    XrError err;
    if (!xr_safetensors_open(&files, out, &err)) fail_msg("%s", err.message);
    compare_whole(files, &golden, "input_ids");
    compare_whole(files, &golden, "position_ids");
    compare(files, &golden, "logits");
    compare(files, &golden, "logprobs");
    if (xr_golden_has(&golden, "image_grid_thw")) {
        compare_whole(files, &golden, "image_grid_thw");
        compare(files, &golden, "image_embeds");
    }
    xr_safetensors_close(files);
    xr_golden_close(&golden);
    xr_buffer_free(&arguments);
    xr_buffer_free(&text);
    free(out);
}

static void refuses(void **state) {
    const struct {
        const char *model, *request, *part;
        int code;
    } cases[] = {
        {"gqa2_tied", "{\"messages\": []}", "message", 1},
        {"gqa2_tied", "{}", "either \"messages\" or \"input_ids\"", 1},
        {"gqa2_tied", "{\"input_ids\": []}", "input_ids", 1},
        {"gqa2_tied", "{\"input_ids\": [1, -4]}", "\"input_ids\"[1]", 1},
        {"gqa2_tied", "{\"input_ids\": [1, 400]}",
         "request.json: \"input_ids\"[1] is no token id; the model has 0 to 399", 1},
        {"gqa2_tied", "{\"input_ids\": [1], \"images\": [\"golden/images/a.png\"]}", "1 pictures",
         1},
        {"gqa2_tied", "{\"input_ids\": [1], \"images\": [\"golden/README.md\"]}", "README.md", 1},
        {"text_only",
         "{\"messages\": [{\"role\": \"user\", \"content\": [{\"type\": \"image\", \"image\": "
         "\"golden/images/a.png\"}]}]}",
         "text only", 1},
        {"nowhere", "{\"input_ids\": [1]}", "config.json", 1},
    };
    for (size_t i = 0; i < XR_COUNT(cases); i++) {
        XrError err;
        XrBuffer arguments = {0}, text = {0};
        char *path = xr_path_join(xr_test_scratch(), "request.json");
        char *out = xr_path_join(xr_test_scratch(), "none.safetensors");
        assert_true(xr_file_write(path, cases[i].request, strlen(cases[i].request), &err));
        xr_buffer_format(&arguments, "forward golden/models/%s --request '%s' --out '%s'",
                         cases[i].model, path, out);
        int code = run(arguments.data, &text);
        if (code != cases[i].code || !strstr(text.data, cases[i].part)) {
            fail_msg("%s: code %d, %s", cases[i].request, code, text.data);
        }
        assert_false(xr_path_exists(out));
        xr_buffer_free(&arguments);
        xr_buffer_free(&text);
        free(path);
        free(out);
    }
}

// Before the model is read, so that nobody waits for results that cannot be kept.
static void refuses_a_place_that_cannot_be_written(void **state) {
    XrBuffer text = {0};
    assert_int_equal(run("forward nowhere --request x --out /nowhere/at/all", &text), 1);
    assert_non_null(strstr(text.data, "/nowhere/at/all: cannot create"));
    assert_non_null(strstr(text.data, "check the path"));
    assert_int_equal(run("forward nowhere --request x --out golden", &text), 1);
    assert_non_null(strstr(text.data, "golden: is a folder"));
    assert_int_equal(run("forward nowhere --request x --out README.md/x", &text), 1);
    assert_non_null(strstr(text.data, "is not a folder"));
    xr_buffer_free(&text);
}

static void wrong_usage(void **state) {
    XrBuffer text = {0};
    assert_int_equal(run("forward", &text), 2);
    assert_non_null(strstr(text.data, "xreasoner: MODEL is missing\n"));
    assert_int_equal(run("eval --compare", &text), 2);
    assert_non_null(strstr(text.data, "xreasoner: RUN_DIR... is missing\n"));
    assert_int_equal(run("eval --rescore --help", &text), 0);
    assert_int_equal(run("forward golden/models/gqa2_tied", &text), 2);
    assert_int_equal(run("forward golden/models/gqa2_tied --request x --out y --lats 3", &text), 2);
    assert_non_null(strstr(text.data, "did you mean --last"));
    assert_int_equal(run("forward golden/models/gqa2_tied --request x --out y --last 0", &text), 2);
    assert_int_equal(run("forward --help", &text), 0);
    xr_buffer_free(&text);
}

int main(int argc, char **argv) {
    int count;
    const char *const *names = xr_golden_request_names(&count);
    struct CMUnitTest *tests = xr_calloc((size_t)count + 3, sizeof *tests);
    for (int i = 0; i < count; i++) {
        tests[i] = (struct CMUnitTest){
            .name = names[i], .test_func = golden_request, .initial_state = (void *)names[i]};
    }
    tests[count] = (struct CMUnitTest)cmocka_unit_test(refuses);
    tests[count + 1] = (struct CMUnitTest)cmocka_unit_test(wrong_usage);
    tests[count + 2] = (struct CMUnitTest)cmocka_unit_test(refuses_a_place_that_cannot_be_written);
    xr_test_filter(argc, argv);
    int failed = _cmocka_run_group_tests("forward", tests, (size_t)count + 3, NULL, NULL);
    free(tests);
    return failed;
}
