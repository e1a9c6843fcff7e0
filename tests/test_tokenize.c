// The command xreasoner tokenize, as a script uses it.
#include "tests/support/test.h"

#include "shared/base/file.h"

#include <stdlib.h>
#include <sys/wait.h>

// Runs the command on lines of input; returns the exit code, and what it wrote to either stream.
static int run(const char *options, const char *input, size_t bytes, XrBuffer *out, XrBuffer *log) {
    XrError err;
    char in[300], to[300], errors[300], command[2400];
    snprintf(in, sizeof in, "%s/in", xr_test_scratch());
    snprintf(to, sizeof to, "%s/out", xr_test_scratch());
    snprintf(errors, sizeof errors, "%s/log", xr_test_scratch());
    assert_true(xr_file_write(in, input, bytes, &err));
    snprintf(command, sizeof command, "%s tokenize %s %s <%s >%s 2>%s", XR_PROGRAM,
             xr_test_source("golden/tokenizer/small.json"), options, in, to, errors);
    int status = system(command);
    assert_true(xr_file_read(to, 1 << 20, out, &err));
    assert_true(xr_file_read(errors, 1 << 20, log, &err));
    return WEXITSTATUS(status);
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

static void errors_name_the_line(void **state) {
    expect_error("", "\"!\"\n[1]\n", 1, "[0]\n", "line 2: a JSON string is needed");
    expect_error("", "\"!\"\n\n", 1, "[0]\n", "line 2");
    expect_error("", "\"\xFF\"\n", 1, "", "line 1");
    expect_error("--decode", "[0]\n[\"x\"]\n", 1, "\"!\"\n", "line 2: element 0 is not a token id");
    expect_error("--decode", "[0, 123456]\n", 1, "", "line 1: token 1: 123456 is not the id");
    expect_error("--chat", "[]\n", 1, "", "line 1: \"messages\" must be");
    expect_error("--wrong", "", 2, "", "--wrong");
    expect_error("--decode --chat", "", 2, "", "--chat");
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ids_and_back),
        cmocka_unit_test(control_tokens_only_when_asked),
        cmocka_unit_test(renders_conversations),
        cmocka_unit_test(errors_name_the_line),
    };
    xr_test_filter(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
