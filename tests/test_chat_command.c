// `xreasoner chat` as a user runs it.
#include "tests/support/backends.h"
#include "tests/support/models.h"
#include "tests/support/test.h"

#include "shared/base/file.h"
#include "shared/base/json.h"
#include "shared/base/memory.h"

#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static const char TINY[] = "chat golden/models/gqa2_tied ";

static void read_file(const char *path, XrBuffer *out) {
    XrError err;
    if (!xr_file_read(path, 1 << 24, out, &err)) fail_msg("%s", err.message);
    xr_buffer_append(out, "", 0);
}

// Runs the program in the source folder with `input` on standard input; returns the exit code, and
// what it wrote to both outputs.
static int run(const char *model, const char *arguments, const char *input, XrBuffer *out,
               XrBuffer *messages) {
    char *in_path = xr_path_join(xr_test_scratch(), "in");
    char *out_path = xr_path_join(xr_test_scratch(), "out");
    char *err_path = xr_path_join(xr_test_scratch(), "err");
    XrError err;
    if (!xr_file_write(in_path, input, strlen(input), &err)) fail_msg("%s", err.message);
    XrBuffer command = {0};
    xr_buffer_format(&command, "cd '%s' && '%s' %s %s <'%s' >'%s' 2>'%s'", xr_test_source("."),
                     xr_test_program(), model, arguments, in_path, out_path, err_path);
    int status = system(command.data);
    read_file(out_path, out);
    read_file(err_path, messages);
    xr_buffer_free(&command);
    free(in_path);
    free(out_path);
    free(err_path);
    return WEXITSTATUS(status);
}

// The JSON objects, one a line, of a run that must succeed.
static int run_json(const char *model, const char *arguments, const char *input, XrJson *objects,
                    int most) {
    XrBuffer out = {0}, messages = {0}, with_json = {0};
    xr_buffer_format(&with_json, "%s --json", arguments);
    int code = run(model, with_json.data, input, &out, &messages), count = 0;
    if (code != 0) fail_msg("exit code %d: %s", code, messages.data);
    for (char *at = out.data, *end; at && (end = strchr(at, '\n')); at = end + 1) {
        XrError err;
        if (count == most) fail_msg("over %d lines: %s", most, out.data);
        if (!xr_json_parse(&objects[count++], "output", at, (size_t)(end - at), &XR_JSON_SMALL,
                           &err)) {
            fail_msg("%s", err.message);
        }
    }
    xr_buffer_free(&out);
    xr_buffer_free(&messages);
    xr_buffer_free(&with_json);
    return count;
}

static const cJSON *item(const XrJson *json, const char *key) {
    const cJSON *value = cJSON_GetObjectItemCaseSensitive(json->root, key);
    if (!value) fail_msg("there is no \"%s\"", key);
    return value;
}

static const char *text_of(const XrJson *json) {
    return item(json, "text")->valuestring;
}

// The tokenizer of golden/models has ids 0 to 381, the embeddings 400 rows.
enum { TOKENS = 382, IMAGE_PAD = 372, VIDEO_PAD = 373 };

// The golden ids, up to the first that the tokenizer does not have: transformers draws it, and the
// program must draw another.
static void assert_ids(const XrJson *json, const XrGolden *golden, const char *name) {
    XrTensor ids = xr_golden_tensor(golden, name, XR_I64);
    const cJSON *id;
    int64_t i = 0;
    cJSON_ArrayForEach(id, item(json, "token_ids")) {
        assert_true(i < ids.shape[0]);
        if (((const int64_t *)ids.data)[i] >= TOKENS) {
            assert_true(id->valuedouble < TOKENS);
            return;
        }
        assert_int_equal((int64_t)id->valuedouble, ((const int64_t *)ids.data)[i++]);
    }
    // All of them, unless the model ended the answer, which the golden continuation ignores.
    bool stopped = strcmp(item(json, "finish_reason")->valuestring, "stop") == 0;
    assert_true(stopped || i == ids.shape[0]);
}

// ---- ids that a response never has
// ------------------------------------------------------------------------------------------------

// Of 64 * 32 tokens drawn almost evenly from 400 rows, some 100 would be such.
static void draws_only_tokens_with_a_text(void **state) {
    static XrJson samples[64];
    const char *arguments =
        "--prompt x --num-samples 64 --max-new-tokens 32 --temperature 50 --top-k 0 "
        "--repetition-penalty 1";
    int64_t tokens = 0;
    assert_int_equal(run_json("chat golden/models/gqa2_tied", arguments, "", samples, 64), 64);
    for (int i = 0; i < 64; i++) {
        const cJSON *id;
        cJSON_ArrayForEach(id, item(&samples[i], "token_ids")) {
            assert_true(id->valueint < TOKENS);
            assert_int_not_equal(id->valueint, IMAGE_PAD);
            assert_int_not_equal(id->valueint, VIDEO_PAD);
            tokens++;
        }
        xr_json_free(&samples[i]);
    }
    assert_true(tokens > 1000);
}

// ---- one prompt
// -----------------------------------------------------------------------------------

static void answers_as_transformers(void **state) {
    static const struct {
        const char *reference, *model, *prompt;
    } cases[] = {
        {"gqa2_tied.text", "chat golden/models/gqa2_tied", "--prompt 'How many apples are left?'"},
        {"gqa2_tied.image", "chat golden/models/gqa2_tied",
         "--prompt 'What is in the picture?' --image golden/images/a.png"},
        {"gqa4_shards.image", "chat golden/models/gqa4_shards",
         "--image golden/images/a.png --prompt 'What is in the picture?'"},
        {"mha_head64.image", "chat golden/models/mha_head64",
         "--image=golden/images/a.png --prompt='What is in the picture?'"},
        {"text_only.short", "chat golden/models/text_only", "--prompt 7"},
    };
    for (size_t i = 0; i < XR_COUNT(cases); i++) {
        XrBuffer file = {0}, arguments = {0};
        xr_buffer_format(&file, "reference/%s.safetensors", cases[i].reference);
        XrGolden golden = xr_golden_open(file.data);
        XrJson json = {0};
        // The folder's own settings: temperature 1e-6, which leaves no choice, and a penalty.
        xr_buffer_format(&arguments, "%s --max-new-tokens 16", cases[i].prompt);
        assert_int_equal(run_json(cases[i].model, arguments.data, "", &json, 1), 1);
        assert_ids(&json, &golden, "greedy_penalty.ids");
        xr_json_free(&json);
        xr_buffer_text(&arguments, " --temperature 0 --repetition-penalty 1");
        assert_int_equal(run_json(cases[i].model, arguments.data, "", &json, 1), 1);
        assert_ids(&json, &golden, "greedy.ids");
        xr_json_free(&json);
        xr_golden_close(&golden);
        xr_buffer_free(&file);
        xr_buffer_free(&arguments);
    }
}

static void json_has_what_scripts_need(void **state) {
    XrJson json = {0};
    const char *arguments = "--prompt Hello --max-new-tokens 40 --think-budget 6 --temperature 1";
    assert_int_equal(run_json(TINY, arguments, "", &json, 1), 1);
    int count = cJSON_GetArraySize(item(&json, "token_ids")), forced = 0;
    assert_int_equal(cJSON_GetArraySize(item(&json, "logprobs")), count);
    assert_int_equal(cJSON_GetArraySize(item(&json, "forced")), count);
    assert_int_equal(item(&json, "completion_tokens")->valueint, count);
    const cJSON *value;
    cJSON_ArrayForEach(value, item(&json, "forced")) forced += cJSON_IsTrue(value);
    assert_true(forced > 5);
    assert_int_equal(item(&json, "forced_tokens")->valueint, forced);
    for (int i = 0; i < 6; i++) {
        assert_true(cJSON_IsFalse(cJSON_GetArrayItem(item(&json, "forced"), i)));
    }
    assert_true(cJSON_IsTrue(cJSON_GetArrayItem(item(&json, "forced"), 6)));
    assert_string_equal(item(&json, "finish_reason")->valuestring, "forced_exit");
    assert_non_null(strstr(text_of(&json), "\n</think>\n\n"));
    cJSON_ArrayForEach(value, item(&json, "logprobs")) assert_true(value->valuedouble < 0);
    assert_true(item(&json, "prompt_tokens")->valueint > 10);
    assert_true(item(&json, "seconds")->valuedouble >=
                item(&json, "first_token_seconds")->valuedouble);
    xr_json_free(&json);
}

static void samples_differ_and_repeat(void **state) {
    XrJson first[4] = {0}, again[4] = {0}, other[4] = {0};
    const char *arguments = "--prompt Hello --max-new-tokens 12 --temperature 1 --num-samples 4";
    assert_int_equal(run_json(TINY, arguments, "", first, 4), 4);
    XrBuffer seeded = {0};
    xr_buffer_format(&seeded, "%s --threads 1 --seed 0", arguments);
    assert_int_equal(run_json(TINY, seeded.data, "", again, 4), 4);
    xr_buffer_text(&seeded, " --seed 5");
    assert_int_equal(run_json(TINY, seeded.data, "", other, 4), 4);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(item(&first[i], "sample")->valueint, i);
        assert_string_equal(text_of(&first[i]), text_of(&again[i]));
        assert_string_not_equal(text_of(&first[i]), text_of(&other[i]));
        if (i) assert_string_not_equal(text_of(&first[i]), text_of(&first[0]));
    }
    for (int i = 0; i < 4; i++) {
        xr_json_free(&first[i]);
        xr_json_free(&again[i]);
        xr_json_free(&other[i]);
    }
    xr_buffer_free(&seeded);
}

static void streamed_text_is_that_of_json(void **state) {
    XrJson json[2] = {0};
    XrBuffer out = {0}, messages = {0}, expected = {0};
    const char *arguments = "--prompt - --max-new-tokens 30 --temperature 1.2 --num-samples 2";
    assert_int_equal(run_json(TINY, arguments, "Hello\nthere\n", json, 2), 2);
    assert_int_equal(run(TINY, arguments, "Hello\nthere\n", &out, &messages), 0);
    xr_buffer_format(&expected, "--- sample 0\n%s\n--- sample 1\n%s\n", text_of(&json[0]),
                     text_of(&json[1]));
    assert_string_equal(out.data, expected.data);
    assert_non_null(strstr(messages.data, "was cut after 30 tokens"));
    xr_json_free(&json[0]);
    xr_json_free(&json[1]);
    xr_buffer_free(&out);
    xr_buffer_free(&messages);
    xr_buffer_free(&expected);
}

static void stop_string_ends_the_answer(void **state) {
    XrJson whole = {0}, cut = {0};
    const char *arguments = "--prompt Hello --max-new-tokens 40 --temperature 1 --seed 2";
    assert_int_equal(run_json(TINY, arguments, "", &whole, 1), 1);
    // Some letters from inside the answer.
    const char *text = text_of(&whole), *at = text + strlen(text) / 2;
    while (*at && !(at[0] >= 'a' && at[0] <= 'z')) at++;
    assert_true(*at);
    XrBuffer with_stop = {0};
    xr_buffer_format(&with_stop, "%s --stop %c", arguments, *at);
    assert_int_equal(run_json(TINY, with_stop.data, "", &cut, 1), 1);
    assert_string_equal(item(&cut, "finish_reason")->valuestring, "stop");
    assert_int_equal(item(&cut, "stop_reason")->valuestring[0], *at);
    assert_int_equal(strlen(text_of(&cut)), strcspn(text, (char[]){*at, 0}));
    xr_json_free(&whole);
    xr_json_free(&cut);
    xr_buffer_free(&with_stop);
}

// ---- a conversation
// -------------------------------------------------------------------------------

static void conversation_over_a_pipe(void **state) {
    XrJson turns[4] = {0};
    const char *input = "Hello there, how are you today?\r\n"
                        "/image \"golden/images/b.png\" \n\nWhat is it?\n"
                        "/nonsense\n/reset\n"
                        "Hello there, how are you today?\n"
                        "/quit\nnever read\n";
    assert_int_equal(run_json(TINY, "--max-new-tokens 12", input, turns, 4), 3);
    assert_string_equal(text_of(&turns[0]), text_of(&turns[2]));
    int first = item(&turns[0], "prompt_tokens")->valueint;
    int second = item(&turns[1], "prompt_tokens")->valueint;
    assert_true(second > first + 12);
    // The cache of the first turn serves the second, but for its last part of a page.
    assert_true(item(&turns[1], "reused_tokens")->valueint >= first - 31);
    assert_int_equal(item(&turns[2], "prompt_tokens")->valueint, first);
    for (int i = 0; i < 3; i++) xr_json_free(&turns[i]);
}

static void conversation_goes_on_after_a_mistake(void **state) {
    XrBuffer out = {0}, messages = {0};
    const char *input =
        "/image golden/README.md\nWhat is it?\n/image nowhere.png\n/image\n/image golden\n"
        "/image ~/nowhere.png\nHello\n";
    assert_int_equal(run(TINY, "--max-new-tokens 3", input, &out, &messages), 1);
    assert_non_null(strstr(messages.data, "README.md"));
    assert_non_null(strstr(messages.data, "nowhere.png: cannot open: No such file"));
    assert_non_null(strstr(messages.data, "which file?"));
    assert_non_null(strstr(messages.data, "golden: is a folder, a file is needed"));
    assert_null(strstr(messages.data, "~/nowhere.png"));
    assert_non_null(strstr(messages.data, "a message was not answered"));
    assert_true(out.length > 1);
    xr_buffer_free(&out);
    xr_buffer_free(&messages);
}

// ---- on a GPU
// ----------------------------------------------------------------------------------------------

#ifdef XR_TEST_MODELS_ON_CUDA
// A picture, a prompt in chunks, the cache, sampling without a choice: the golden ids.
static void answers_on_cuda(void **state) {
    XrGolden golden = xr_golden_open("reference/gqa2_tied.image.safetensors");
    XrJson json = {0};
    const char *arguments = "--prompt 'What is in the picture?' --image golden/images/a.png "
                            "--device cuda --max-new-tokens 16 --temperature 0 "
                            "--repetition-penalty 1";
    assert_int_equal(run_json("chat golden/models/gqa2_tied", arguments, "", &json, 1), 1);
    assert_ids(&json, &golden, "greedy.ids");
    xr_json_free(&json);
    xr_golden_close(&golden);
}
#endif

// ---- mistakes
// ---------------------------------------------------------------------------------------

static void mistakes_are_explained(void **state) {
    static const struct {
        const char *model, *arguments, *part;
        int code;
    } cases[] = {
        {"chat", "", "MODEL is missing", 2},
        {TINY, "--prompt x --temperatur 1", "did you mean --temperature?", 2},
        {TINY, "--prompt x --temperature -1", "from 0", 2},
        {TINY, "--prompt x --num-samples 0", "--num-samples", 2},
        {TINY, "--prompt x --answer-budget 4", "--think-budget", 2},
        {TINY, "--num-samples 2", "--prompt", 2},
        {TINY, "--prompt x --stop ''", "--stop", 2},
        {TINY, "--prompt x --device gpu", "cpu", 2},
#ifndef XR_TEST_CUDA
        {TINY, "--prompt x --device cuda", "this build has no CUDA: build with cmake", 1},
#endif
        {TINY, "--prompt x --think-budget 2 --max-new-tokens 4", "max_new_tokens is 4", 1},
        {TINY, "--prompt x --image nowhere.png", "nowhere.png", 1},
        {TINY, "--prompt \"$(printf '\\377')\"", "UTF-8", 1},
        {TINY, "--prompt \"$(head -c 9000 /dev/zero | tr '\\0' z)\"", "the context", 1},
        {"chat golden/models/nothing", "--prompt x", "golden/models/nothing", 1},
        {"chat golden/models/text_only", "--prompt x --image golden/images/a.png", "text only", 1},
    };
    XrBuffer out = {0}, messages = {0};
    for (size_t i = 0; i < XR_COUNT(cases); i++) {
        int code = run(cases[i].model, cases[i].arguments, "", &out, &messages);
        if (code != cases[i].code || !strstr(messages.data, cases[i].part)) {
            fail_msg("%s %s: exit code %d, \"%s\"", cases[i].model, cases[i].arguments, code,
                     messages.data);
        }
        assert_int_equal(out.length, 0);
    }
    assert_int_equal(run("chat", "--help", "", &out, &messages), 0);
    assert_non_null(strstr(out.data, "--think-budget"));
    xr_buffer_free(&out);
    xr_buffer_free(&messages);
}

// A process whose standard output is a pipe that the test reads.
static pid_t start(const char *const *arguments, FILE **out) {
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    if (child == 0) {
        dup2(ends[1], STDOUT_FILENO);
        close(ends[0]);
        close(ends[1]);
        if (chdir(xr_test_source(".")) == 0) execv(xr_test_program(), (char *const *)arguments);
        _exit(127);
    }
    close(ends[1]);
    *out = fdopen(ends[0], "r");
    return child;
}

static void interrupt_ends_at_a_safe_point(void **state) {
    static const char *const arguments[] = {"xreasoner",
                                            "chat",
                                            "golden/models/gqa2_tied",
                                            "--prompt",
                                            "Hello",
                                            "--max-new-tokens",
                                            "4000",
                                            "--repetition-penalty",
                                            "1",
                                            "--temperature",
                                            "0",
                                            NULL};
    FILE *out;
    pid_t child = start(arguments, &out);
    // The answer has begun.
    assert_int_not_equal(fgetc(out), EOF);
    kill(child, SIGINT);
    int last = 0;
    for (int c; (c = fgetc(out)) != EOF;) last = c;
    fclose(out);
    int status;
    waitpid(child, &status, 0);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 1);
    assert_int_equal(last, '\n');
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(draws_only_tokens_with_a_text),
        cmocka_unit_test(answers_as_transformers),
#ifdef XR_TEST_MODELS_ON_CUDA
        cmocka_unit_test(answers_on_cuda),
#endif
        cmocka_unit_test(json_has_what_scripts_need),
        cmocka_unit_test(samples_differ_and_repeat),
        cmocka_unit_test(streamed_text_is_that_of_json),
        cmocka_unit_test(stop_string_ends_the_answer),
        cmocka_unit_test(conversation_over_a_pipe),
        cmocka_unit_test(conversation_goes_on_after_a_mistake),
        cmocka_unit_test(mistakes_are_explained),
        cmocka_unit_test(interrupt_ends_at_a_safe_point),
    };
    xr_test_filter(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
