// The public header, alone: what a program that uses the library does.
#include "shared/xreasoner.h"

#include "tests/support/backends.h"
#include "tests/support/golden.h"
#include "tests/support/test.h"

#include <stdlib.h>

static xreasoner *open_on(const char *device, const char *name) {
    char error[1024], path[64];
    xreasoner_options options = {.device = device};
    snprintf(path, sizeof path, "golden/models/%s", name);
    xreasoner *x = xreasoner_open(xr_test_source(path), &options, error, sizeof error);
    if (!x) fail_msg("%s", error);
    return x;
}

static xreasoner *open_model(const char *name) {
    return open_on(NULL, name);
}

static xreasoner_sampling greedy(const xreasoner *x) {
    xreasoner_sampling s = xreasoner_default_sampling(x);
    s.temperature = 0;
    s.repetition_penalty = 1;
    s.max_new_tokens = 16;
    return s;
}

typedef struct Heard {
    char text[4096];
    size_t bytes;
} Heard;

static int listen(void *context, const char *text, size_t bytes) {
    Heard *h = context;
    assert_true(h->bytes + bytes < sizeof h->text);
    memcpy(h->text + h->bytes, text, bytes);
    h->bytes += bytes;
    return 1;
}

// The answer to a golden conversation is transformers' greedy continuation, and what is streamed is
// the answer's text.
static void check_answer(const char *device) {
    XrGolden golden = xr_golden_open("reference/text_only.short.safetensors");
    XrTensor expected = xr_golden_tensor(&golden, "greedy.ids", XR_I64);
    xreasoner *x = open_on(device, "text_only");
    xreasoner_sampling sampling = greedy(x);
    xreasoner_message message = {"user", "7", NULL, 0};
    xreasoner_answer answer;
    Heard heard = {0};
    char error[1024];
    if (!xreasoner_chat(x, &message, 1, &sampling, listen, &heard, &answer, error, sizeof error)) {
        fail_msg("%s", error);
    }
    assert_true(answer.count > 0 && answer.count <= 16);
    for (int64_t i = 0; i < answer.count; i++) {
        assert_int_equal(answer.ids[i], ((int64_t *)expected.data)[i]);
        assert_true(answer.logprobs[i] <= 0 && !answer.forced[i]);
    }
    assert_int_equal(heard.bytes, strlen(answer.text));
    assert_memory_equal(heard.text, answer.text, heard.bytes);
    xreasoner_answer_free(&answer);
    xreasoner_close(x);
    xr_golden_close(&golden);
}

static void answers_as_transformers(void **state) {
    check_answer("cpu");
}

#ifdef XR_TEST_MODELS_ON_CUDA
static void answers_on_cuda(void **state) {
    xr_backend_free(xr_test_backend("cuda")); // skips where there is no GPU
    check_answer("cuda");
}
#endif

static void looks_at_pictures(void **state) {
    xreasoner *x = open_model("gqa2_tied");
    xreasoner_sampling sampling = greedy(x);
    char path[2][512], error[1024];
    snprintf(path[0], sizeof path[0], "%s", xr_test_source("golden/images/a.png"));
    snprintf(path[1], sizeof path[1], "%s", xr_test_source("golden/images/d.png"));
    const char *images[] = {path[0], path[1]};
    xreasoner_message message = {"user", "Which is larger?", images, 2};
    xreasoner_answer first, second;
    assert_true(xreasoner_chat(x, &message, 1, &sampling, NULL, NULL, &first, error, sizeof error));
    assert_true(
        xreasoner_chat(x, &message, 1, &sampling, NULL, NULL, &second, error, sizeof error));
    assert_int_equal(first.count, second.count);
    assert_memory_equal(first.ids, second.ids, sizeof *first.ids * (size_t)first.count);
    assert_true(first.prompt_count > 35); // 15 and 20 picture tokens, and text
    xreasoner_answer_free(&first);
    xreasoner_answer_free(&second);
    images[1] = "/nowhere.png";
    assert_false(
        xreasoner_chat(x, &message, 1, &sampling, NULL, NULL, &first, error, sizeof error));
    assert_non_null(strstr(error, "/nowhere.png"));
    xreasoner_close(x);
}

static void errors_are_told(void **state) {
    char error[1024], small[8];
    assert_null(xreasoner_open("/nowhere", NULL, error, sizeof error));
    assert_non_null(strstr(error, "/nowhere"));
    assert_null(xreasoner_open("/nowhere", NULL, small, sizeof small));
    assert_int_equal(strlen(small), sizeof small - 1);
    assert_null(xreasoner_open("/nowhere", NULL, NULL, 0));
    xreasoner_options options = {.dtype = "int4"};
    assert_null(
        xreasoner_open(xr_test_source("golden/models/text_only"), &options, error, sizeof error));
    assert_non_null(strstr(error, "int4"));
    options = (xreasoner_options){.device = "gpu"};
    assert_null(xreasoner_open("/nowhere", &options, error, sizeof error));
    assert_non_null(strstr(error, "cpu or cuda"));
}

static void tokenizes(void **state) {
    xreasoner *x = open_model("text_only");
    int32_t ids[64];
    char error[1024];
    int64_t count = xreasoner_tokenize(x, "Hi there", 8, ids, 64, error, sizeof error);
    assert_true(count > 0 && count <= 8);
    int32_t first = ids[0];
    ids[1] = -7;
    assert_int_equal(xreasoner_tokenize(x, "Hi there", 8, ids, 1, error, sizeof error), count);
    assert_int_equal(ids[0], first);
    assert_int_equal(ids[1], -7);
    assert_int_equal(xreasoner_tokenize(x, "\xff", 1, ids, 64, error, sizeof error), -1);
    xreasoner_close(x);
}

static void verifies(void **state) {
    const char *verdict;
    assert_int_equal(xreasoner_verify("\\frac12", "0.5", 0, NULL, &verdict), 1);
    assert_string_equal(verdict, "equal");
    assert_int_equal(xreasoner_verify("4", "I think it is \\boxed{5}", 1, "math", &verdict), 0);
    assert_string_equal(verdict, "different");
    assert_int_equal(xreasoner_verify("4", "4", 0, "no such kind", NULL), 0);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_as_transformers),
#ifdef XR_TEST_MODELS_ON_CUDA
        cmocka_unit_test(answers_on_cuda),
#endif
        cmocka_unit_test(looks_at_pictures),
        cmocka_unit_test(errors_are_told),
        cmocka_unit_test(tokenizes),
        cmocka_unit_test(verifies),
    };
    xr_test_filter(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
