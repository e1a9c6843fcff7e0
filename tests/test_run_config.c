// Run configurations: defaults, reading, overrides, and what is refused.
#include "tests/support/test.h"

#include "shared/base/file.h"
#include "shared/base/json.h"
#include "shared/base/memory.h"
#include "shared/train/run_config.h"

#include <stdlib.h>

static bool read_text(XrRunConfig *config, const char *text, XrError *err) {
    char *path = xr_path_join(xr_test_scratch(), "run.json");
    assert_true(xr_file_write(path, text, strlen(text), err));
    bool ok = xr_run_config_read(config, path, err);
    free(path);
    return ok;
}

static void defaults_are_the_papers(void **state) {
    XrRunConfig sft, grpo;
    xr_run_config_init(&sft, XR_RUN_SFT);
    xr_run_config_init(&grpo, XR_RUN_GRPO);
    assert_true(sft.learning_rate == 1e-5 && grpo.learning_rate == 3e-6);
    assert_true(sft.weight_decay == 0 && grpo.weight_decay == 0.01);
    assert_true(sft.lr_epoch_decay == 0.8 && grpo.warmup_ratio == 0.1);
    assert_int_equal(sft.per_device_train_batch_size * sft.gradient_accumulation_steps, 128);
    assert_int_equal(sft.max_length, 4096);
    assert_int_equal(grpo.num_generations, 8);
    assert_int_equal(grpo.per_device_train_batch_size * grpo.gradient_accumulation_steps, 128 * 8);
    assert_true(grpo.epsilon == 0.2 && grpo.beta == 0.01 && grpo.max_grad_norm == 1);
    xr_run_config_free(&sft);
    xr_run_config_free(&grpo);
}

static void file_then_arguments(void **state) {
    XrRunConfig c;
    XrError err = {0};
    xr_run_config_init(&c, XR_RUN_SFT);
    assert_true(read_text(&c,
                          "{\"model_name_or_path\": \"m\", \"max_steps\": 7, \"packing\": false,"
                          " \"train_dataset\": [{\"path\": \"a.jsonl\", \"format\": \"gsm8k\"},"
                          " {\"path\": \"b.json\", \"limit\": 3}]}",
                          &err));
    assert_true(xr_run_config_set(&c, "max_steps=9", &err));
    assert_true(xr_run_config_set(&c, "learning_rate=2e-4", &err));
    assert_true(xr_run_config_set(&c, "output_dir=runs/x=1", &err));
    assert_true(xr_run_config_set(&c, "eval_dataset=e.jsonl", &err));
    assert_string_equal(c.model_name_or_path, "m");
    assert_string_equal(c.output_dir, "runs/x=1");
    assert_int_equal(c.max_steps, 9);
    assert_true(c.learning_rate == 2e-4 && !c.packing);
    assert_int_equal(c.train_dataset.count, 2);
    assert_string_equal(c.train_dataset.items[0].format, "gsm8k");
    assert_string_equal(c.train_dataset.items[1].format, "auto");
    assert_int_equal(c.train_dataset.items[1].limit, 3);
    assert_string_equal(c.eval_dataset.items[0].path, "e.jsonl");
    xr_run_config_free(&c);
}

// The resolved configuration reads back as itself.
static void resolved_reads_back(void **state) {
    XrRunConfig a, b;
    XrError err = {0};
    XrBuffer first = {0}, second = {0};
    xr_run_config_init(&a, XR_RUN_GRPO);
    assert_true(xr_run_config_set(&a, "temperature=0.7", &err));
    assert_true(xr_run_config_set(&a, "train_dataset=[{\"path\":\"x\\\"y\"}]", &err));
    xr_run_config_json(&a, &first);
    xr_run_config_init(&b, XR_RUN_GRPO);
    assert_true(read_text(&b, first.data, &err));
    xr_run_config_json(&b, &second);
    assert_string_equal(first.data, second.data);
    xr_buffer_free(&first);
    xr_buffer_free(&second);
    xr_run_config_free(&a);
    xr_run_config_free(&b);
}

static void refuses(void **state) {
    const struct {
        const char *text, *part;
    } cases[] = {
        {"{\"learning_rat\": 1}", "did you mean \"learning_rate\""},
        {"{\"epsilon\": 0.1}", "not a key of sft"},
        {"{\"max_seq_length\": 10}", "use \"max_length\""},
        {"{\"bf16\": 1}", "\"bf16\" must be true or false"},
        {"{\"lora_r\": 8}", "there are no adapters"},
        {"{\"fp16\": true}", "\"bf16\""},
        {"{\"max_steps\": 1.5}", "whole number"},
        {"{\"max_steps\": \"1\"}", "whole number"},
        {"{\"learning_rate\": -1}", "from 0"},
        {"{\"overlong\": \"cut\"}", "truncate|drop|error"},
        {"{\"packing\": 1}", "true or false"},
        {"{\"train_dataset\": [{\"format\": \"x\"}]}", "needs a \"path\""},
        {"{\"train_dataset\": [{\"path\": \"x\", \"lim\": 1}]}", "unknown key \"lim\""},
        {"{\"train_dataset\": [1]}", "must list objects"},
        {"[]", "JSON object"},
        {"{\"a\"", "not valid JSON"},
    };
    for (size_t i = 0; i < XR_COUNT(cases); i++) {
        XrRunConfig c;
        XrError err = {0};
        xr_run_config_init(&c, XR_RUN_SFT);
        assert_false(read_text(&c, cases[i].text, &err));
        if (!strstr(err.message, cases[i].part)) fail_msg("%s: %s", cases[i].text, err.message);
        xr_run_config_free(&c);
    }
    XrRunConfig c;
    XrError err = {0};
    xr_run_config_init(&c, XR_RUN_SFT);
    assert_false(xr_run_config_set(&c, "max_steps", &err));
    assert_false(xr_run_config_set(&c, "max_steps=many", &err));
    assert_string_equal(err.message, "argument: \"max_steps\" must be a whole number");
    assert_false(xr_run_config_set(&c, "learning_rate=-1", &err));
    assert_string_equal(err.message,
                        "argument: \"learning_rate\" is -1, but must be from 0 to 1000");
    assert_false(xr_run_config_set(&c, "packing=yes", &err));
    assert_non_null(strstr(err.message, "true or false"));
    assert_false(xr_run_config_set(&c, "train_dataset=[", &err));
    assert_non_null(strstr(err.message, "not valid JSON"));
    assert_false(xr_run_config_set(&c, "=1", &err));
    xr_run_config_free(&c);
}

// Values that are not the default show it.
static void shows_values(void **state) {
    XrRunConfig c;
    XrError err = {0};
    char *text = NULL;
    size_t bytes = 0;
    xr_run_config_init(&c, XR_RUN_GRPO);
    assert_true(xr_run_config_set(&c, "learning_rate=1e-4", &err));
    assert_true(xr_run_config_set(&c, "lr_scheduler_type=constant_with_warmup", &err));
    FILE *out = open_memstream(&text, &bytes);
    xr_run_config_help(&c, out);
    fclose(out);
    static const char RATE[] = "\nlearning_rate                0.0001     highest learning rate "
                               "[default 3e-06]\n";
    const char *const parts[] = {RATE, "\nnum_generations              8 ",
                                 "\nlr_scheduler_type            \"constant_with_warmup\" "};
    for (size_t i = 0; i < XR_COUNT(parts); i++) {
        if (!strstr(text, parts[i])) fail_msg("\"%s\" is not in:\n%s", parts[i], text);
    }
    assert_null(strstr(text, "max_length "));
    free(text);
    xr_run_config_free(&c);
}

// Every key stands in backquotes in the page about its command, or in the one that this refers to.
static void keys_are_documented(void **state) {
    const int commands[] = {XR_RUN_SFT, XR_RUN_GRPO, XR_RUN_DISTILL};
    XrBuffer training = {0}, grpo = {0};
    XrError err;
    assert_true(xr_file_read(xr_test_source("docs/training.md"), 1 << 20, &training, &err));
    assert_true(xr_file_read(xr_test_source("docs/grpo.md"), 1 << 20, &grpo, &err));
    for (size_t i = 0; i < XR_COUNT(commands); i++) {
        XrRunConfig c;
        XrBuffer json = {0};
        xr_run_config_init(&c, commands[i]);
        xr_run_config_json(&c, &json);
        cJSON *root = cJSON_Parse(json.data);
        for (const cJSON *key = root->child; key; key = key->next) {
            char quoted[64];
            snprintf(quoted, sizeof quoted, "`%s`", key->string);
            bool there = strstr(training.data, quoted) ||
                         (commands[i] != XR_RUN_SFT && strstr(grpo.data, quoted));
            if (!there && strcmp(key->string, "command") != 0) {
                fail_msg("%s is not documented", key->string);
            }
        }
        cJSON_Delete(root);
        xr_buffer_free(&json);
        xr_run_config_free(&c);
    }
    xr_buffer_free(&training);
    xr_buffer_free(&grpo);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_are_the_papers),
        cmocka_unit_test(file_then_arguments),
        cmocka_unit_test(resolved_reads_back),
        cmocka_unit_test(refuses),
        cmocka_unit_test(shows_values),
        cmocka_unit_test(keys_are_documented),
    };
    xr_test_filter(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
