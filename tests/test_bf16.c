// Training in bf16 ("bf16": true): supervised steps beside PyTorch's in f64 and its own in bf16;
// masters, the copies that the passes see, what is exported; resumed runs; and that the trainer's
// log-probabilities are the sampler's bit for bit. On a GPU activations are bf16 too.
#include "tests/support/backends.h"
#include "tests/support/golden.h"
#include "tests/support/runs.h"
#include "tests/support/test.h"
#include "tests/support/training.h"

#include "shared/base/file.h"
#include "shared/base/memory.h"
#include "shared/tensor/convert.h"

#include <math.h>
#include <stdlib.h>

// Relative to f64. Half the distance between two neighbouring numbers in bf16 for a loss, the mean
// of many tokens'; one distance for a norm, which PyTorch's own bf16 misses by up to 0.005.
static const double LOSS_TOLERANCE = 0x1p-9, NORM_TOLERANCE = 0x1p-7;
// Of the loss and gradient of a policy whose ratios are clipped.
static const double CLIPPING_TOLERANCE = 0x1p-5;

// The first three steps have rates that do not depend on how many follow.
#ifdef XR_CUDA_EMULATION
enum { STEPS_ON_CUDA = 3 };
#else
enum { STEPS_ON_CUDA = 5 };
#endif

// A run in `folder`, in bf16, on a golden model.
static void run_from(int command, const char *folder, const char *model, const char *replay,
                     const char *const *settings, const char *backend, bool resume) {
    static const char *const in_bf16[] = {"bf16=true", NULL};
    xr_test_train(&(XrTestTraining){.command = command,
                                    .model = model,
                                    .folder = folder,
                                    .settings = settings,
                                    .more = in_bf16,
                                    .replay = replay,
                                    .backend = backend,
                                    .resume = resume});
}

static void run(int command, const char *folder, const char *model, const char *const *settings,
                const char *backend, bool resume) {
    run_from(command, folder, model, NULL, settings, backend, resume);
}

// ---- supervised ----

// As the run "text" of golden/make_sft.py.
static const char *const TEXT[] = {"learning_rate=2e-3",
                                   "lr_scheduler_type=cosine",
                                   "warmup_steps=2",
                                   "weight_decay=0.1",
                                   "adam_beta2=0.95",
                                   "max_grad_norm=1",
                                   "shuffle=false",
                                   "packing=false",
                                   "per_device_train_batch_size=2",
                                   "gradient_accumulation_steps=2",
                                   "num_train_epochs=1",
                                   "save_dtype=bf16",
                                   "save_steps=0",
                                   NULL};

static void add_settings(const char *out[32], const char *const *settings, const char *data) {
    int count = 0;
    for (; settings[count]; count++) out[count] = settings[count];
    out[count] = data;
}

static char *dataset(const char *path) {
    XrBuffer setting = {0};
    xr_buffer_format(&setting, "train_dataset=%s", xr_test_source(path));
    return setting.data;
}

// The masters have bits that bf16 has not; the exported weights are these, rounded.
static void check_weights(const char *folder, int step) {
    char name[64];
    snprintf(name, sizeof name, "checkpoint-%d/weights-00000-of-00001.safetensors", step);
    char *saved = xr_path_join(folder, name), *model = xr_path_join(folder, "model");
    XrSafetensors *masters, *exported;
    XrError err;
    int64_t finer = 0;
    assert_true(xr_safetensors_open(&masters, saved, &err));
    assert_true(xr_safetensors_open(&exported, model, &err));
    for (int i = 0; i < xr_safetensors_count(masters); i++) {
        const XrStored *wide = xr_safetensors_at(masters, i);
        const XrStored *narrow = xr_safetensors_find(exported, wide->name);
        assert_true(wide->dtype == XR_F32 && narrow && narrow->dtype == XR_BF16);
        int64_t count = (int64_t)wide->byte_count / 4;
        uint16_t *rounded = xr_malloc((size_t)count * 2);
        xr_convert(rounded, XR_BF16, wide->bytes, XR_F32, count);
        assert_memory_equal(rounded, narrow->bytes, narrow->byte_count);
        for (int64_t k = 0; k < count; k++) {
            float value;
            memcpy(&value, (const char *)wide->bytes + 4 * k, 4);
            finer += value != xr_bf16_to_f32(rounded[k]);
        }
        free(rounded);
    }
    assert_true(finer > 10000);
    xr_safetensors_close(masters);
    xr_safetensors_close(exported);
    free(saved);
    free(model);
}

// A frozen tower comes out byte for byte; one that is trained does not.
static void check_tower(const char *folder, bool frozen) {
    char *model = xr_path_join(folder, "model");
    XrSafetensors *before, *after;
    XrError err;
    int towers = 0;
    assert_true(xr_safetensors_open(&before, xr_test_source("golden/models/gqa2_tied"), &err));
    assert_true(xr_safetensors_open(&after, model, &err));
    for (int i = 0; i < xr_safetensors_count(before); i++) {
        const XrStored *old = xr_safetensors_at(before, i);
        const XrStored *now = xr_safetensors_find(after, old->name);
        bool same = memcmp(old->bytes, now->bytes, old->byte_count) == 0;
        bool tower = strncmp(old->name, "visual.", 7) == 0;
        if (same != (tower && frozen)) fail_msg("%s: %s", old->name, same ? "same" : "changed");
        towers += tower;
    }
    assert_true(towers > 10);
    xr_safetensors_close(before);
    xr_safetensors_close(after);
    free(model);
}

static void beside_pytorch(void **state) {
    XrGolden golden = xr_golden_open("sft/text.safetensors"),
             theirs = xr_golden_open("bf16.safetensors");
    char *folder = xr_test_fresh_folder("text"), *data = dataset("golden/sft/text.jsonl");
    const char *backend = *state, *settings[32] = {0};
    int steps = backend[0] == 'c' ? STEPS_ON_CUDA : 5;
    add_settings(settings, TEXT, data);
    add_settings(settings, settings, steps == 5 ? "save_steps=5" : "max_steps=3");
    run(XR_RUN_SFT, folder, "text_only", settings, backend, false);
    double loss_error = 0, norm_error = 0;
    for (int step = 1; step <= steps; step++) {
        char name[32];
        snprintf(name, sizeof name, "numbers.%d", step);
        const double *numbers = xr_golden_tensor(&golden, name, XR_F64).data;
        double loss = xr_test_metric(folder, step, "loss");
        double norm = xr_test_metric(folder, step, "grad_norm");
        loss_error = fmax(loss_error, fabs(loss / numbers[0] - 1));
        norm_error = fmax(norm_error, fabs(norm / numbers[1] - 1));
        assert_true(xr_test_metric(folder, step, "num_target_tokens") == numbers[3]);
    }
    print_message("largest errors of loss and norm: %.3g, %.3g; PyTorch's in bf16: %.3g, %.3g\n",
                  loss_error, norm_error, xr_golden_number(&theirs, "sft/text", "loss"),
                  xr_golden_number(&theirs, "sft/text", "grad_norm"));
    assert_true(loss_error <= LOSS_TOLERANCE);
    assert_true(norm_error <= NORM_TOLERANCE);
    assert_true(loss_error > 1e-5); // it was not f32
    if (steps == 5) check_weights(folder, steps);
    xr_golden_close(&golden);
    xr_golden_close(&theirs);
    free(folder);
    free(data);
}

// The first steps of the runs "pictures", whose tower is frozen, and "vision", where it learns.
static void first_step(const char *backend, const char *name, const char *setting, bool frozen) {
    const char *const more[] = {"max_steps=1",
                                "shuffle=false",
                                "packing=false",
                                "per_device_train_batch_size=2",
                                "gradient_accumulation_steps=2",
                                "save_steps=0",
                                setting,
                                NULL};
    const char *settings[32] = {0};
    char *folder = xr_test_fresh_folder(name), *data = dataset("golden/sft/pictures.jsonl");
    char file[64];
    snprintf(file, sizeof file, "sft/%s.safetensors", name);
    XrGolden golden = xr_golden_open(file);
    const double *numbers = xr_golden_tensor(&golden, "numbers.1", XR_F64).data;
    add_settings(settings, more, data);
    run(XR_RUN_SFT, folder, "gqa2_tied", settings, backend, false);
    double loss_error = fabs(xr_test_metric(folder, 1, "loss") / numbers[0] - 1);
    double norm_error = fabs(xr_test_metric(folder, 1, "grad_norm") / numbers[1] - 1);
    print_message("%s: errors of loss and norm: %.3g, %.3g\n", name, loss_error, norm_error);
    assert_true(loss_error <= LOSS_TOLERANCE);
    assert_true(norm_error <= NORM_TOLERANCE);
    check_tower(folder, frozen);
    xr_golden_close(&golden);
    free(folder);
    free(data);
}

static void sees_pictures(void **state) {
    first_step(*state, "pictures", "train_vision=false", true);
    first_step(*state, "vision", "train_vision=true", false);
}

// ---- resuming ----

// Goes back to the checkpoint of the first step; what follows comes out as before.
static void resumes(void **state) {
    static const char *const files[] = {"model/model.safetensors",
                                        "checkpoint-3/weights-00000-of-00001.safetensors",
                                        "checkpoint-3/exp_avg-00000-of-00001.safetensors",
                                        "checkpoint-3/exp_avg_sq-00000-of-00001.safetensors"};
    XrBuffer before[XR_COUNT(files)] = {0}, after[XR_COUNT(files)] = {0}, metrics[2] = {{0}};
    char *folder = xr_test_fresh_folder("resumed"), *data = dataset("golden/sft/text.jsonl");
    const char *settings[32] = {0};
    add_settings(settings, XR_TEST_THREE_SAVED_STEPS, data);
    run(XR_RUN_SFT, folder, "text_only", settings, *state, false);
    for (size_t i = 0; i < XR_COUNT(files); i++) xr_test_read(&before[i], folder, files[i]);
    xr_test_metrics(&metrics[0], folder);
    xr_test_back_to_first(folder);
    run(XR_RUN_SFT, folder, "text_only", settings, *state, true);
    xr_test_metrics(&metrics[1], folder);
    assert_string_equal(metrics[0].data, metrics[1].data);
    for (size_t i = 0; i < XR_COUNT(files); i++) {
        xr_test_read(&after[i], folder, files[i]);
        assert_int_equal(before[i].length, after[i].length);
        assert_memory_equal(before[i].data, after[i].data, before[i].length);
        xr_buffer_free(&before[i]);
        xr_buffer_free(&after[i]);
    }
    xr_buffer_free(&metrics[0]);
    xr_buffer_free(&metrics[1]);
    free(folder);
    free(data);
}

// ---- reinforcement ----

// Recorded rollouts of another policy: whether a ratio is clipped depends on its last bits, and the
// gradient of one of the 61 tokens comes or goes with that.
static void replays(void **state) {
    static const char *const few[] = {"max_steps=1",
                                      "per_device_train_batch_size=12",
                                      "temperature=0.8",
                                      "max_grad_norm=0.5",
                                      "beta=0.05",
                                      "epsilon_high=0.28",
                                      "overlong_responses=mask",
                                      "warmup_ratio=0",
                                      "save_steps=0",
                                      NULL};
    char *folder = xr_test_fresh_folder("replay");
    XrGolden golden = xr_golden_open("grpo/replay.safetensors");
    const double *numbers = xr_golden_tensor(&golden, "numbers.1", XR_F64).data;
    run_from(XR_RUN_GRPO, folder, "text_only", xr_test_source("golden/grpo/samples.jsonl"), few,
             *state, false);
    const struct {
        const char *key;
        int at; // in `numbers`
        double tolerance;
    } wanted[] = {{"entropy", 3, LOSS_TOLERANCE},
                  {"ratio", 4, NORM_TOLERANCE},
                  {"loss", 0, CLIPPING_TOLERANCE},
                  {"grad_norm", 1, CLIPPING_TOLERANCE}};
    for (size_t i = 0; i < XR_COUNT(wanted); i++) {
        double got = xr_test_metric(folder, 1, wanted[i].key), want = numbers[wanted[i].at];
        print_message("%s %.6g, PyTorch %.6g\n", wanted[i].key, got, want);
        assert_true(fabs(got / want - 1) <= wanted[i].tolerance);
    }
    assert_true(xr_test_metric(folder, 1, "kl") == 0); // the reference has the policy's bits
    xr_golden_close(&golden);
    free(folder);
}

// The engine's weights are the trainer's, the reference's too before the first step.
static void trainer_is_sampler(void **state) {
    char *folder = xr_test_fresh_folder("grpo"), *path = xr_test_fresh_folder("questions.jsonl");
    char *questions = xr_test_questions(path, 4);
    const char *settings[32] = {0};
    add_settings(settings, XR_TEST_TWO_SAMPLED_STEPS, questions);
    run(XR_RUN_GRPO, folder, "gqa2_tied", settings, *state, false);
    for (int step = 1; step <= 2; step++) {
        assert_true(xr_test_metric(folder, step, "sampling/sampling_logp_difference/max") == 0);
        assert_true(xr_test_metric(folder, step, "ratio") == 1);
    }
    assert_true(xr_test_metric(folder, 1, "grad_norm") > 1e-3);
    assert_true(xr_test_metric(folder, 1, "kl") == 0);
    assert_true(xr_test_metric(folder, 2, "kl") > 0);
    free(folder);
    free(questions);
    free(path);
}

#define ROW(function, backend)                                                                     \
    { #function "/" backend, function, NULL, NULL, (void *)(backend) }

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        ROW(beside_pytorch, "2"),
        ROW(sees_pictures, "2"),
        ROW(resumes, "2"),
        ROW(replays, "2"),
        ROW(trainer_is_sampler, "2"),
#ifdef XR_TEST_MODELS_ON_CUDA
        ROW(beside_pytorch, "cuda.bf16"),
        ROW(sees_pictures, "cuda.bf16"),
        ROW(resumes, "cuda.bf16"),
        ROW(replays, "cuda.bf16"),
        ROW(trainer_is_sampler, "cuda.bf16.invariant"),
#endif
    };
    xr_test_filter(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
