// The command xreasoner tokenize, as a script uses it.
#include "tests/support/test.h"

#include "shared/base/file.h"
#include "shared/base/json.h"
#include "shared/format/safetensors.h"

#include <stdlib.h>
#include <sys/wait.h>

// Runs the command on lines of input; returns the exit code, and what it wrote to either stream.
static int run_model(const char *model, const char *options, const char *input, size_t bytes,
                     XrBuffer *out, XrBuffer *log) {
    XrError err;
    char in[300], to[300], errors[300], command[2400];
    snprintf(in, sizeof in, "%s/in", xr_test_scratch());
    snprintf(to, sizeof to, "%s/out", xr_test_scratch());
    snprintf(errors, sizeof errors, "%s/log", xr_test_scratch());
    assert_true(xr_file_write(in, input, bytes, &err));
    // Paths of pictures in the golden requests start at the source folder.
    snprintf(command, sizeof command, "cd %s && %s tokenize %s %s <%s >%s 2>%s",
             xr_test_source("."), xr_test_program(), model, options, in, to, errors);
    int status = system(command);
    assert_true(xr_file_read(to, 1 << 20, out, &err));
    assert_true(xr_file_read(errors, 1 << 20, log, &err));
    return WEXITSTATUS(status);
}

static int run(const char *options, const char *input, size_t bytes, XrBuffer *out, XrBuffer *log) {
    return run_model("golden/tokenizer/small.json", options, input, bytes, out, log);
}

static void expect(const char *options, const char *input, const char *wanted) {
    XrBuffer out = {0}, log = {0};
    assert_int_equal(run(options, input, strlen(input), &out, &log), 0);
    assert_string_equal(out.data, wanted);
    assert_int_equal(log.length, 0);
    xr_buffer_free(&out);
    xr_buffer_free(&log);
}

static void expect_error(const char *options, const char *input, int code, const char *written,
                         const char *message) {
    XrBuffer out = {0}, log = {0};
    assert_int_equal(run(options, input, strlen(input), &out, &log), code);
    if (written) assert_string_equal(out.data, written);
    if (!strstr(log.data, message)) fail_msg("\"%s\" lacks \"%s\"", log.data, message);
    xr_buffer_free(&out);
    xr_buffer_free(&log);
}

static void ids_and_back(void **state) {
    XrBuffer ids = {0}, log = {0};
    static const char TEXT[] =
        "\"Hello world\"\n\"\"\n\"a\\u0000b <|im_end|>\"\n\"e\\u0301 \\\"x\\\"\"";
    assert_int_equal(run("", TEXT, strlen(TEXT), &ids, &log), 0);
    assert_non_null(strstr(ids.data, "\n[]\n"));
    XrBuffer text = {0};
    assert_int_equal(run("--decode", ids.data, ids.length, &text, &log), 0);
    assert_string_equal(text.data,
                        "\"Hello world\"\n\"\"\n\"a\\u0000b <|im_end|>\"\n\"\u00e9 \\\"x\\\"\"\n");
    xr_buffer_free(&ids);
    xr_buffer_free(&log);
    xr_buffer_free(&text);
}

static void control_tokens_only_when_asked(void **state) {
    expect("--special", "\"<|im_end|>\"\n", "[498]\n");
    expect("--decode", "[498, 0]\n", "\"<|im_end|>!\"\n");
    expect("--decode --skip-special", "[498, 0]\n", "\"!\"\n");
    expect("--decode", "[]\n", "\"\"\n");
}

static void renders_conversations(void **state) {
    XrBuffer ids = {0}, log = {0}, text = {0};
    static const char LINES[] =
        "[{\"role\": \"user\", \"content\": \"Hi\"}]\n"
        "[{\"role\": \"user\", \"content\": \"Hi\"}, {\"role\": \"assistant\", \"content\": "
        "\"x\"}]\n"
        "{\"messages\": [{\"role\": \"system\", \"content\": \"Hi\"}], \"add_generation_prompt\": "
        "false}\n";
    assert_int_equal(run("--chat", LINES, strlen(LINES), &ids, &log), 0);
    assert_int_equal(run("--decode", ids.data, ids.length, &text, &log), 0);
    assert_string_equal(
        text.data, "\"<|im_start|>system\\nYou are a helpful assistant.<|im_end|>\\n"
                   "<|im_start|>user\\nHi<|im_end|>\\n<|im_start|>assistant\\n\"\n"
                   "\"<|im_start|>system\\nYou are a helpful assistant.<|im_end|>\\n"
                   "<|im_start|>user\\nHi<|im_end|>\\n<|im_start|>assistant\\nx<|im_end|>\\n\"\n"
                   "\"<|im_start|>system\\nHi<|im_end|>\\n\"\n");
    xr_buffer_free(&ids);
    xr_buffer_free(&log);
    xr_buffer_free(&text);
}

// A request of the golden data on one line, and the ids that transformers made of it.
static void check_request(const char *model, const char *request) {
    XrError err = {0};
    char path[200], folder[100];
    XrBuffer text = {0}, out = {0}, log = {0};
    snprintf(path, sizeof path, "golden/requests/%s.json", request);
    assert_true(xr_file_read(xr_test_source(path), 1 << 20, &text, &err));
    for (size_t i = 0; i < text.length; i++) {
        if (text.data[i] == '\n') text.data[i] = ' ';
    }
    snprintf(folder, sizeof folder, "golden/models/%s", model);
    if (run_model(folder, "--chat", text.data, text.length, &out, &log) != 0) {
        fail_msg("%s", log.data);
    }
    XrJson ids;
    XrSafetensors *reference;
    assert_true(xr_json_parse(&ids, "ids", out.data, out.length, &XR_JSON_SMALL, &err));
    snprintf(path, sizeof path, "golden/reference/%s.%s.safetensors", model, request);
    assert_true(xr_safetensors_open(&reference, xr_test_source(path), &err));
    const XrStored *wanted = xr_safetensors_find(reference, "input_ids");
    assert_non_null(wanted);
    assert_int_equal(wanted->shape[0], cJSON_GetArraySize(ids.root));
    int64_t i = 0;
    const cJSON *id;
    cJSON_ArrayForEach(id, ids.root) {
        int64_t value;
        memcpy(&value, wanted->bytes + 8 * i++, sizeof value);
        assert_int_equal(value, id->valueint);
    }
    xr_safetensors_close(reference);
    xr_json_free(&ids);
    xr_buffer_free(&text);
    xr_buffer_free(&out);
    xr_buffer_free(&log);
}

static void pictures_take_their_tokens(void **state) {
    check_request("gqa2_tied", "adjacent");
    check_request("gqa2_tied", "turns");
    check_request("head128", "two");
    check_request("text_only", "talk");
}

static void errors_name_the_line(void **state) {
    expect_error("", "\"!\"\n[1]\n", 1, "[0]\n", "line 2: a JSON string is needed");
    expect_error("", "\"!\"\n\n", 1, "[0]\n", "line 2");
    expect_error("", "\"\xFF\"\n", 1, "", "line 1");
    expect_error("--decode", "[0]\n[\"x\"]\n", 1, "\"!\"\n", "line 2: element 0 is not a token id");
    expect_error("--decode", "[0, 123456]\n", 1, "", "line 1: token 1: 123456 is not the id");
    expect_error("--chat", "[]\n", 1, "", "line 1: \"messages\" must be");
    expect_error("--chat",
                 "[{\"role\": \"user\", \"content\": [{\"type\": \"image\", \"image\": "
                 "\"nowhere.png\"}]}]\n",
                 1, "", "line 1: nowhere.png");
    expect_error("--wrong", "", 2, "", "--wrong");
    expect_error("--decode --chat", "", 2, "", "--chat");
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ids_and_back),          cmocka_unit_test(control_tokens_only_when_asked),
        cmocka_unit_test(renders_conversations), cmocka_unit_test(pictures_take_their_tokens),
        cmocka_unit_test(errors_name_the_line),
    };
    xr_test_filter(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
