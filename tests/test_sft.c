// Supervised fine-tuning: five AdamW steps against PyTorch (golden/make_sft.py), every split into
// micro-batches, every number of threads, what is frozen and what is exported.
#include "tests/support/backends.h"
#include "tests/support/golden.h"
#include "tests/support/runs.h"
#include "tests/support/test.h"
#include "tests/support/training.h"

#include "shared/base/file.h"
#include "shared/base/memory.h"
#include "shared/train/pass.h"
#include "shared/train/sft_data.h"

#if defined XR_CUDA_EMULATION && defined XR_TEST_MODELS_ON_CUDA
#define XR_TEST_FAULTS
#include "emulation.h"
#include "tests/support/faults.h"
#endif

#include <ftw.h>
#include <math.h>
#include <stdlib.h>

// Of each parameter's largest element, f32 against PyTorch in double, after five steps of Adam.
static const double TOLERANCE = 1e-5;

typedef struct Case {
    const char *name, *model, *data;
    const char *settings[12];
    bool weights;
} Case;

static const Case CASES[] = {
    {"text",
     "text_only",
     "golden/sft/text.jsonl",
     {"learning_rate=2e-3", "lr_scheduler_type=cosine", "warmup_steps=2", "weight_decay=0.1",
      "adam_beta2=0.95", "max_grad_norm=1"},
     true},
    {"pictures",
     "gqa2_tied",
     "golden/sft/pictures.jsonl",
     {"learning_rate=1e-3", "lr_scheduler_type=constant", "adam_epsilon=1e-3"},
     true},
    {"vision",
     "gqa2_tied",
     "golden/sft/pictures.jsonl",
     {"learning_rate=1e-3", "lr_scheduler_type=linear", "adam_epsilon=1e-6", "weight_decay=0.01",
      "max_grad_norm=2", "train_vision=true"},
     false},
};

static const char *const FOUR_ROWS_A_STEP[] = {"shuffle=false",
                                               "packing=false",
                                               "per_device_train_batch_size=2",
                                               "gradient_accumulation_steps=2",
                                               "num_train_epochs=1",
                                               "save_steps=0",
                                               NULL};

// Runs with the case's settings and then `more` (ends with NULL, or is NULL) in that folder, which
// it returns.
static char *run_in(char *folder, const Case *c, const char *const *more, const char *backend,
                    bool resume) {
    const char *all[32] = {0};
    int count = 0;
    for (int i = 0; c->settings[i]; i++) all[count++] = c->settings[i];
    for (int i = 0; more && more[i]; i++) all[count++] = more[i];
    xr_test_train(&(XrTestTraining){.command = XR_RUN_SFT,
                                    .model = c->model,
                                    .folder = folder,
                                    .data = xr_test_source(c->data),
                                    .settings = FOUR_ROWS_A_STEP,
                                    .more = all,
                                    .backend = backend,
                                    .resume = resume});
    return folder;
}

static char *run(const Case *c, const char *const *more, const char *backend) {
    return run_in(xr_test_fresh_folder(c->name), c, more, backend, false);
}

static void assert_near(const char *what, int step, double actual, double expected) {
    double error = fabs(actual - expected) / fmax(fabs(expected), 1e-12);
    if (!(error <= TOLERANCE) && !(expected == 0 && actual == 0)) {
        fail_msg("%s of step %d: %.9g, PyTorch has %.9g", what, step, actual, expected);
    }
}

static XrGolden golden_of(const Case *c) {
    char name[64];
    snprintf(name, sizeof name, "sft/%s.safetensors", c->name);
    return xr_golden_open(name);
}

static void check_five_steps(const Case *c, const char *backend) {
    XrGolden golden = golden_of(c);
    char *folder = run(c, NULL, backend);
    for (int step = 1; step <= 5; step++) {
        char name[32];
        snprintf(name, sizeof name, "numbers.%d", step);
        const double *numbers = xr_golden_tensor(&golden, name, XR_F64).data;
        assert_near("loss", step, xr_test_metric(folder, step, "loss"), numbers[0]);
        assert_near("norm", step, xr_test_metric(folder, step, "grad_norm"), numbers[1]);
        assert_near("rate", step, xr_test_metric(folder, step, "learning_rate"), numbers[2]);
        assert_true(xr_test_metric(folder, step, "num_target_tokens") == numbers[3]);
        assert_near("accuracy", step, xr_test_metric(folder, step, "mean_token_accuracy"),
                    numbers[4]);
    }
    if (c->weights) xr_test_weights(&golden, folder, TOLERANCE);
    xr_golden_close(&golden);
    free(folder);
}

static void five_steps(void **state) {
    check_five_steps(*state, "2");
}

#ifdef XR_TEST_FAULTS
// An emulated GPU takes ten seconds for five steps: the first ones beside the CPU's, which are
// PyTorch's as far as the test above sees.
static void five_steps_on_cuda(void **state) {
    static const char *const keys[] = {"loss", "grad_norm", "learning_rate", "mean_token_accuracy"};
    static const char *const few[] = {"max_steps=2", NULL};
    const Case *c = *state;
    char *folder = run(c, few, "cuda"), *cpu = run(c, few, "2");
    for (int step = 1; step <= 2; step++) {
        for (size_t i = 0; i < XR_COUNT(keys); i++) {
            assert_near(keys[i], step, xr_test_metric(folder, step, keys[i]),
                        xr_test_metric(cpu, step, keys[i]));
        }
    }
    if (c->weights) xr_test_close_weights(folder, cpu, TOLERANCE);
    free(folder);
    free(cpu);
}

// ---- a GPU that fails in the midst of a run ----

static const char *const THREE_STEPS[] = {"per_device_train_batch_size=1",
                                          "gradient_accumulation_steps=1", "max_steps=3",
                                          "save_steps=1", NULL};
enum { LAUNCHES = 220 }; // until it fails: in the second step

static char *failing;

static void memory_fails(void) {
    xr_emulation_fail("launch", LAUNCHES, cudaErrorECCUncorrectable);
    run_in(failing, &CASES[0], THREE_STEPS, "cuda", false);
}

static int is_left_over(const char *path, const struct stat *info, int flag, struct FTW *where) {
    if (strstr(path, ".tmp-")) fail_msg("%s is left", path);
    return 0;
}

// The message says what to do, nothing half-written is left, and the run goes on from its last
// checkpoint to the bits that it would have come to.
static void goes_on_after_a_fault(void **state) {
    static const char *const files[] = {"model/model.safetensors", NULL};
    failing = xr_test_fresh_folder("failing");
    xr_test_finds(memory_fails, "uncorrectable ECC error): what was computed is not trusted; reset "
                                "the GPU (nvidia-smi -r) or use another, and resume");
    nftw(failing, is_left_over, 8, FTW_PHYS);
    char *checkpoint = xr_path_join(failing, "checkpoint-1"),
         *summary = xr_path_join(failing, "summary.json");
    assert_true(xr_path_exists(checkpoint));
    assert_false(xr_path_exists(summary));
    run_in(failing, &CASES[0], THREE_STEPS, "cuda", true);
    char *whole = run(&CASES[0], THREE_STEPS, "cuda");
    xr_test_same_runs(whole, failing, files);
    free(checkpoint);
    free(summary);
    free(failing);
    free(whole);
}
#elif defined XR_TEST_MODELS_ON_CUDA
static void five_steps_on_cuda(void **state) {
    check_five_steps(*state, "cuda");
}
#endif

// ---- data and micro-batches ----

typedef struct Bench {
    XrBackend *b;
    XrChatModel *m;
    XrSftData data;
} Bench;

static Bench bench_open(const Case *c, int64_t max_length) {
    Bench bench;
    XrError err = {0};
    XrBuffer notice = {0}, folder = {0};
    xr_buffer_format(&folder, "%s%s", xr_test_source("golden/models/"), c->model);
    bench.b = xr_cpu_create(2);
    if (!xr_chat_model_open(&bench.m, bench.b, folder.data, &(XrChatModelOptions){0}, &notice,
                            &err)) {
        fail_msg("%s", err.message);
    }
    XrBuffer file = {0};
    xr_buffer_format(&file, "%s%s.jsonl", xr_test_source("golden/sft/"),
                     strcmp(c->name, "text") == 0 ? "text" : "pictures");
    char format[] = "auto";
    XrDatasetSpec spec = {.path = file.data, .format = format};
    XrDatasetList list = {&spec, 1};
    XrSftDataSettings settings = {max_length, XR_OVERLONG_TRUNCATE, "auto", false};
    if (!xr_sft_data_open(&bench.data, bench.m, &list, &settings, NULL, &err)) {
        fail_msg("%s", err.message);
    }
    xr_buffer_free(&file);
    xr_buffer_free(&folder);
    xr_buffer_free(&notice);
    return bench;
}

static void bench_close(Bench *bench) {
    xr_sft_data_close(&bench->data);
    xr_chat_model_close(bench->m);
    xr_backend_free(bench->b);
}

// The ids and targets of the first step's rows, as the Hugging Face template and tokenizer give.
static void ids_and_targets(void **state) {
    const Case *c = *state;
    XrGolden golden = golden_of(c);
    Bench bench = bench_open(c, 4096);
    for (int row = 0; row < 4; row++) {
        char name[32];
        XrSftSequence s;
        XrError err;
        assert_true(xr_sft_data_sequence(&bench.data, row, &s, &err));
        snprintf(name, sizeof name, "ids.%d", row);
        XrTensor ids = xr_golden_tensor(&golden, name, XR_I64);
        snprintf(name, sizeof name, "target.%d", row);
        XrTensor target = xr_golden_tensor(&golden, name, XR_I64);
        assert_int_equal(s.ids.count, ids.shape[0]);
        for (size_t i = 0; i < s.ids.count; i++) {
            assert_int_equal(s.ids.data[i], ((int64_t *)ids.data)[i]);
            assert_int_equal(s.target[i], ((int64_t *)target.data)[i]);
        }
        xr_sft_sequence_free(&s);
    }
    bench_close(&bench);
    xr_golden_close(&golden);
}

enum { SPLIT_ROWS = 8 };

// Adds the gradients of rows [begin, end), each target weighing `share`.
static void add_rows(Bench *bench, XrTrainPass *pass, int begin, int end, float share) {
    XrSftSequence s[SPLIT_ROWS];
    XrTrainSequence packed[SPLIT_ROWS] = {0};
    int32_t rows[4096] = {0}, targets[4096] = {0};
    float gradient[4096] = {0};
    int64_t count = 0, at = 0;
    XrError err;
    for (int i = begin; i < end; i++) {
        assert_true(xr_sft_data_sequence(&bench->data, i, &s[i], &err));
        packed[i - begin] = (XrTrainSequence){s[i].ids.data, (int64_t)s[i].ids.count, &s[i].pixels};
        for (size_t t = 1; t < s[i].ids.count; t++) {
            if (!s[i].target[t]) continue;
            rows[count] = (int32_t)(at + (int64_t)t - 1);
            gradient[count] = -share;
            targets[count++] = s[i].ids.data[t];
        }
        at += (int64_t)s[i].ids.count;
    }
    XrTrainBatch batch = {packed, end - begin, rows, targets, count, 1, false};
    assert_true(xr_train_pass_learn(pass, &batch, xr_train_given, gradient, &err));
    for (int i = begin; i < end; i++) xr_sft_sequence_free(&s[i]);
}

// Gradients of eight rows, in micro-batches of these sizes.
static float *gradients_of(const Case *c, const int *sizes, XrKeep keep, int64_t *elements) {
    Bench bench = bench_open(c, 4096);
    XrComm *comm = xr_comm_single();
    XrTrainState state;
    XrTrainPass pass;
    XrError err;
    assert_true(
        xr_train_state_create(&state, bench.m->model, comm, (XrTrainStateOptions){0}, &err));
    assert_true(xr_train_pass_create(&pass, &state, 4096, keep, &err));
    int at = 0;
    for (; *sizes; at += *sizes++) add_rows(&bench, &pass, at, at + *sizes, 1.0F / 500);
    assert_int_equal(at, SPLIT_ROWS);
    *elements = state.elements;
    float *copy = xr_malloc(sizeof *copy * (size_t)state.elements);
    xr_download(bench.b, copy, &state.gradients.flat);
    xr_train_pass_free(&pass);
    xr_train_state_free(&state);
    xr_comm_free(comm);
    bench_close(&bench);
    return copy;
}

static void any_split(void **state) {
    const Case *c = *state;
    static const int splits[][9] = {{8},   {1, 1, 1, 1, 1, 1, 1, 1}, {4, 4}, {3, 5}, {2, 1, 4, 1},
                                    {7, 1}};
    int64_t elements;
    float *whole = gradients_of(c, splits[0], XR_KEEP_INPUTS, &elements);
    for (size_t i = 1; i < XR_COUNT(splits); i++) {
        float *parts = gradients_of(c, splits[i], XR_KEEP_INPUTS, &elements);
        double error = xr_relative_error(parts, whole, (size_t)elements);
        if (!(error <= 1e-6)) fail_msg("split %zu: relative error %.3g", i, error);
        free(parts);
    }
    float *kept = gradients_of(c, splits[0], XR_KEEP_ALL, &elements);
    assert_memory_equal(kept, whole, sizeof *whole * (size_t)elements);
    free(kept);
    free(whole);
}

// ---- whole runs ----

// One thread or four, layers' activations kept or computed again.
static void any_threads(void **state) {
    static const char *const packed[] = {"packing=true", "max_length=150", "shuffle=true", NULL};
    static const char *const kept[] = {"packing=true", "max_length=150", "shuffle=true",
                                       "gradient_checkpointing=false", NULL};
    static const char *const files[] = {"model/model.safetensors", NULL};
    char *one = run(*state, packed, "1"), *four = run(*state, packed, "4"),
         *all = run(*state, kept, "2");
    xr_test_same_runs(one, four, files);
    xr_test_same_runs(one, all, files);
    free(one);
    free(four);
    free(all);
}

// Frozen tensors come out as they were; trained ones changed, the tower's too where it is trained.
static void frozen_stays(void **state) {
    const Case *c = *state;
    bool vision = strcmp(c->name, "vision") == 0;
    char *folder = run(c, NULL, "2"), *path = xr_path_join(folder, "model/model.safetensors");
    char source[256];
    snprintf(source, sizeof source, "%s%s/model.safetensors", xr_test_source("golden/models/"),
             c->model);
    XrSafetensors *before, *after;
    XrError err;
    assert_true(xr_safetensors_open(&before, source, &err));
    assert_true(xr_safetensors_open(&after, path, &err));
    assert_int_equal(xr_safetensors_count(before), xr_safetensors_count(after));
    for (int i = 0; i < xr_safetensors_count(before); i++) {
        const XrStored *old = xr_safetensors_at(before, i);
        const XrStored *now = xr_safetensors_find(after, old->name);
        assert_non_null(now);
        assert_int_equal(old->byte_count, now->byte_count);
        bool same = memcmp(old->bytes, now->bytes, old->byte_count) == 0;
        if (same != (!vision && strncmp(old->name, "visual.", 7) == 0)) {
            fail_msg("%s %s", old->name, same ? "was not trained" : "is not as it was");
        }
    }
    xr_safetensors_close(before);
    xr_safetensors_close(after);
    free(path);
    free(folder);
}

// A step whose gradient is not finite changes nothing but the count.
static void skips_non_finite(void **state) {
    Bench bench = bench_open(*state, 4096);
    XrComm *comm = xr_comm_single();
    XrTrainState s;
    XrError err;
    assert_true(xr_train_state_create(&s, bench.m->model, comm, (XrTrainStateOptions){0}, &err));
    size_t bytes = xr_nbytes(&s.values);
    float *before = xr_malloc(bytes), *after = xr_malloc(bytes);
    xr_download(bench.b, before, &s.values);
    XrAdamWSettings adamw = {0.9, 0.999, 1e-8, 0.1, 1};
    double norm;
    float *gradient = xr_calloc((size_t)s.elements, sizeof *gradient);
    gradient[s.elements / 2] = INFINITY;
    xr_upload(bench.b, &s.gradients.flat, gradient);
    assert_true(xr_train_step(&s, &adamw, 1, &norm, &err));
    assert_false(isfinite(norm));
    assert_int_equal(s.skipped, 1);
    assert_int_equal(s.step, 0);
    xr_download(bench.b, after, &s.values);
    assert_memory_equal(before, after, bytes);
    // Gradients were zeroed: the next step has none.
    assert_true(xr_train_step(&s, &adamw, 0, &norm, &err));
    assert_true(norm == 0 && s.step == 1 && s.skipped == 1);
    free(gradient);
    free(before);
    free(after);
    xr_train_state_free(&s);
    xr_comm_free(comm);
    bench_close(&bench);
}

#define ROW(name, function, index)                                                                 \
    { name, function, NULL, NULL, (void *)&CASES[index] }

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        ROW("five_steps/text", five_steps, 0),
        ROW("five_steps/pictures", five_steps, 1),
        ROW("five_steps/vision", five_steps, 2),
#ifdef XR_TEST_MODELS_ON_CUDA
        ROW("five_steps/text/cuda", five_steps_on_cuda, 0),
        ROW("five_steps/vision/cuda", five_steps_on_cuda, 2),
#ifdef XR_TEST_FAULTS
        ROW("goes_on_after_a_fault/cuda", goes_on_after_a_fault, 0),
#endif
#endif
        ROW("ids_and_targets/text", ids_and_targets, 0),
        ROW("ids_and_targets/pictures", ids_and_targets, 1),
        ROW("any_split/text", any_split, 0),
        ROW("any_split/pictures", any_split, 1),
        ROW("any_threads/text", any_threads, 0),
        ROW("any_threads/vision", any_threads, 2),
        ROW("frozen_stays", frozen_stays, 1),
        ROW("vision_is_trained", frozen_stays, 2),
        ROW("skips_non_finite", skips_non_finite, 0),
    };
    xr_test_filter(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
