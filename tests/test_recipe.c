// The whole recipe through the command line: the tiny world's base model is fine-tuned on thinking,
// goes on with policy optimisation, and answers in text and in pictures; on a GPU with the CPU's
// losses, rewards and answers.
#include "tests/support/backends.h"
#include "tests/support/processes.h"
#include "tests/support/runs.h"
#include "tests/support/test.h"

#include "datasets/tiny_world/shipped.h"
#include "shared/base/file.h"
#include "shared/base/memory.h"

#include <math.h>
#include <stdlib.h>

enum { STEPS = 2 };

// Where and how a recipe is run; its folders are "<scratch>/<name>/<stage>".
typedef struct Place {
    const char *name, *device, *bf16, *dtype;
} Place;

static const Place CPU = {"cpu", "cpu", "bf16=false", "dtype=stored"};

// Runs a command with paths below the scratch folder: "@" stands for it, "@@" for it and `name`.
static void run(const char *const *arguments, const char *name) {
    XrBuffer texts[32] = {{0}};
    const char *all[32] = {0};
    for (int i = 0; arguments[i]; i++) {
        for (const char *at = arguments[i]; *at; at++) {
            bool whose = at[0] == '@' && at[1] == '@';
            if (*at != '@') {
                xr_buffer_append(&texts[i], at, 1);
                continue;
            }
            xr_buffer_format(&texts[i], "%s/%s", xr_test_scratch(), whose ? name : "");
            at += whose;
        }
        all[i] = texts[i].data;
    }
    if (xr_test_wait(xr_test_start(all)) != 0) xr_test_log_has("success");
    for (size_t i = 0; i < XR_COUNT(texts); i++) xr_buffer_free(&texts[i]);
}

// Questions in text and in pictures, in one file beside the pictures.
static void join_questions(void) {
    XrBuffer all = {0}, pictures = {0};
    XrError err;
    char *out = xr_path_join(xr_test_scratch(), "pictures/all.jsonl");
    xr_test_read(&all, xr_test_scratch(), "text/questions.jsonl");
    xr_test_read(&pictures, xr_test_scratch(), "pictures/questions.jsonl");
    xr_buffer_append(&all, pictures.data, pictures.length);
    assert_true(xr_file_write(out, all.data, all.length, &err));
    xr_buffer_free(&all);
    xr_buffer_free(&pictures);
    free(out);
}

static void make_inputs(void) {
    XrError err;
    char *base = xr_path_join(xr_test_scratch(), "base");
    if (!xr_world_write_shipped(base, &err)) fail_msg("%s", err.message);
    run((const char *const[]){"world", "think", "--domain", "total", "--rows", "4", "--out",
                              "@data", NULL},
        "");
    run((const char *const[]){"world", "questions", "--domain", "total", "--rows", "2", "--out",
                              "@text", NULL},
        "");
    run((const char *const[]){"world", "questions", "--domain", "level", "--rows", "2", "--out",
                              "@pictures", "--pictures", NULL},
        "");
    join_questions();
    free(base);
}

// Once in this program for each place. Each stage's log must hold `says`.
static void whole_recipe(const Place *p, const char *says) {
    if (!xr_test_holds(xr_test_scratch(), "pictures/all.jsonl")) make_inputs();
    if (xr_test_holds(xr_test_scratch(), p->name)) return;
    run((const char *const[]){"sft", "--device", p->device, p->bf16, "model_name_or_path=@base",
                              "output_dir=@@/sft", "train_dataset=@data/think.jsonl",
                              "prompt_template=none", "max_length=64", "packing=false",
                              "per_device_train_batch_size=2", "gradient_accumulation_steps=1",
                              "max_steps=2", "learning_rate=1e-4", NULL},
        p->name);
    xr_test_log_has(says);
    run((const char *const[]){"grpo",
                              "--device",
                              p->device,
                              p->bf16,
                              "model_name_or_path=@@/sft/model",
                              "output_dir=@@/grpo",
                              "train_dataset=@text/questions.jsonl",
                              "prompt_template=none",
                              "num_generations=4",
                              "temperature=1.5",
                              "max_completion_length=40",
                              "think_budget=15",
                              "beta=0.04",
                              "per_device_train_batch_size=4",
                              "gradient_accumulation_steps=1",
                              "max_steps=2",
                              "learning_rate=1e-4",
                              "warmup_ratio=0",
                              "seed=4",
                              NULL},
        p->name);
    xr_test_log_has(says);
    run(
        (const char *const[]){
            "eval", "--device", p->device, p->dtype, "model_name_or_path=@@/grpo/model",
            "output_dir=@@/eval",
            "eval_dataset=[{\"path\": \"@pictures/all.jsonl\", \"format\": \"jsonl\"}]",
            "prompt_template=none", "max_completion_length=40", "think_budget=15", NULL},
        p->name);
    xr_test_log_has(says);
}

static char *folder_of(const char *name, const char *stage) {
    XrBuffer path = {0};
    xr_buffer_format(&path, "%s/%s/%s", xr_test_scratch(), name, stage);
    return path.data;
}

// Each stage takes what the one before has left, and has something to do.
static void on_the_cpu(void **state) {
    (void)state;
    whole_recipe(&CPU, "");
    char *sft = folder_of("cpu", "sft"), *grpo = folder_of("cpu", "grpo"),
         *eval = folder_of("cpu", "eval");
    double forced = 0;
    for (int step = 1; step <= STEPS; step++) {
        assert_true(xr_test_metric(sft, step, "grad_norm") > 0.1);
        assert_true(xr_test_metric(grpo, step, "ratio") == 1);
        assert_true(xr_test_metric(grpo, step, "grad_norm") > 0.1);
        assert_true(xr_test_metric(grpo, step, "reward_std") > 0);
        forced += xr_test_metric(grpo, step, "completions/forced_exit_ratio");
    }
    assert_true(forced > 0);
    assert_true(xr_test_metric(grpo, STEPS, "kl") > 0);
    assert_true(xr_test_holds(grpo, "model/model.safetensors"));
    XrBuffer summary = {0};
    xr_test_read(&summary, eval, "samples.jsonl");
    assert_non_null(strstr(summary.data, "level-picture-train-1"));
    assert_non_null(strstr(summary.data, "total-text-train-1"));
    xr_buffer_free(&summary);
    free(sft);
    free(grpo);
    free(eval);
}

#ifdef XR_TEST_MODELS_ON_CUDA

// f32 on both sides: sums of a few hundred terms in another order.
static const double TOLERANCE = 1e-5;

static void same_metric(const char *stage, int step, const char *key) {
    char *ours = folder_of("cuda", stage), *theirs = folder_of("cpu", stage);
    double gpu = xr_test_metric(ours, step, key), cpu = xr_test_metric(theirs, step, key);
    print_message("%s, step %d, %s: %.9g, CPU %.9g\n", stage, step, key, gpu, cpu);
    if (!(fabs(gpu - cpu) <= TOLERANCE * fabs(cpu))) fail_msg("they differ");
    free(ours);
    free(theirs);
}

// What the lines of samples.jsonl say of responses; they are in the order of prompts, or in that in
// which responses ended.
static void answers_of(XrBuffer *out, const char *name, const char *stage) {
    char *folder = folder_of(name, stage);
    XrBuffer text = {0};
    xr_test_read(&text, folder, "samples.jsonl");
    for (char *at = text.data, *end; (end = strchr(at, '\n')); at = end + 1) {
        *end = '\0';
        cJSON *line = cJSON_Parse(at);
        assert_non_null(line);
        const char *const keys[] = {"token_ids", "forced", "verdict", "score"};
        for (size_t i = 0; i < XR_COUNT(keys); i++) {
            const cJSON *value = cJSON_GetObjectItemCaseSensitive(line, keys[i]);
            assert_non_null(value);
            char *printed = cJSON_PrintUnformatted(value);
            xr_buffer_format(out, "%s ", printed);
            cJSON_free(printed);
        }
        xr_buffer_text(out, "\n");
        cJSON_Delete(line);
    }
    xr_buffer_free(&text);
    free(folder);
}

static void same_answers(const char *stage) {
    XrBuffer gpu = {0}, cpu = {0};
    answers_of(&gpu, "cuda", stage);
    answers_of(&cpu, "cpu", stage);
    assert_true(cpu.length > 100);
    assert_string_equal(gpu.data, cpu.data);
    xr_buffer_free(&gpu);
    xr_buffer_free(&cpu);
}

static void as_on_the_cpu_on_cuda(void **state) {
    (void)state;
    xr_backend_free(xr_test_backend("cuda")); // skips where there is none
    whole_recipe(&CPU, "");
    whole_recipe(&(Place){"cuda", "cuda", "bf16=false", "dtype=stored"}, "");
    for (int step = 1; step <= STEPS; step++) {
        same_metric("sft", step, "loss");
        same_metric("sft", step, "grad_norm");
        same_metric("sft", step, "mean_token_accuracy");
        same_metric("grpo", step, "loss");
        same_metric("grpo", step, "grad_norm");
        same_metric("grpo", step, "reward");
        same_metric("grpo", step, "entropy");
    }
    same_answers("grpo");
    same_answers("eval");
}

// In bf16 every operation is as the CPU's on what it was given (cuda/divergence.cu).
static void checked_in_bf16_on_cuda(void **state) {
    (void)state;
    xr_backend_free(xr_test_backend("cuda"));
    setenv("XR_CUDA_CHECK", "1", 1);
    whole_recipe(&(Place){"checked", "cuda", "bf16=true", "dtype=bf16"}, "operations agreed");
    unsetenv("XR_CUDA_CHECK");
}
#endif

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(on_the_cpu),
#ifdef XR_TEST_MODELS_ON_CUDA
        cmocka_unit_test(as_on_the_cpu_on_cuda),
        cmocka_unit_test(checked_in_bf16_on_cuda),
#endif
    };
    xr_test_filter(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
