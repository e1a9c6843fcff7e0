// Optimiser state that is offloaded ("offload_optimizer": true): memory in a nameless file; the
// same bits with and without, from one checkpoint to the next either way; and that what has been
// used is let go.
#include "tests/support/backends.h"
#include "tests/support/runs.h"
#include "tests/support/test.h"
#include "tests/support/training.h"

#include "shared/base/file.h"
#include "shared/train/state.h"

#include <dirent.h>
#include <stdlib.h>
#include <unistd.h>

// ---- memory in a file ----

// Bytes of files' pages that this process holds.
static int64_t held(void) {
    long long size, resident, shared;
    FILE *file = fopen("/proc/self/statm", "r");
    assert_non_null(file);
    assert_int_equal(fscanf(file, "%lld %lld %lld", &size, &resident, &shared), 3);
    fclose(file);
    return shared * sysconf(_SC_PAGESIZE);
}

static int entries_of(const char *folder) {
    DIR *dir = opendir(folder);
    assert_non_null(dir);
    int count = -2; // "." and ".."
    while (readdir(dir)) count++;
    closedir(dir);
    return count;
}

static void memory_of_a_file(void **state) {
    enum { BYTES = 32 << 20, FROM = 12345, OTHER = 1 << 20 }; // OTHER: pages of libraries
    const char *folder = xr_test_scratch();
    XrError err;
    int files = entries_of(folder);
    unsigned char *memory = xr_file_memory(folder, BYTES, "a test", &err);
    assert_non_null(memory);
    assert_int_equal(entries_of(folder), files);
    for (int i = 0; i < BYTES; i++) assert_int_equal(memory[i], 0);
    for (int i = 0; i < BYTES; i++) memory[i] = (unsigned char)(i % 251);
    int64_t before = held();
    xr_file_memory_release(memory + FROM, BYTES - FROM);
    assert_true(held() <= before - BYTES + OTHER);
    for (int i = 0; i < BYTES; i++) assert_int_equal(memory[i], i % 251);
    xr_file_memory_free(memory, BYTES);
}

static void refuses(void **state) {
    XrError err;
    assert_null(xr_file_memory("/no/such/folder", 4096, "a test", &err));
    assert_non_null(strstr(err.message, "/no/such/folder: cannot make a file of 4096 bytes for a "
                                        "test"));
    assert_non_null(strstr(err.message, "check the path"));
    assert_null(xr_file_memory(xr_test_scratch(), (size_t)1 << 62, "a test", &err));
    assert_non_null(strstr(err.message, xr_test_scratch()));
}

// ---- runs ----

typedef struct Way {
    const char *backend, *bf16;
} Way;

static void run(const char *folder, const Way *way, const char *offload, bool resume) {
    const char *const more[] = {way->bf16, offload, "weight_decay=0.1", "max_grad_norm=1", NULL};
    xr_test_train(&(XrTestTraining){.command = XR_RUN_SFT,
                                    .model = "head128",
                                    .folder = folder,
                                    .data = xr_test_source("golden/sft/text.jsonl"),
                                    .settings = XR_TEST_THREE_SAVED_STEPS,
                                    .more = more,
                                    .backend = way->backend,
                                    .resume = resume});
}

// Of the model's parameters the largest takes two of the stretches after which memory is let go.
static void same_bits(void **state) {
    static const char *const files[] = {"model/model.safetensors",
                                        "checkpoint-1/exp_avg-00000-of-00001.safetensors",
                                        "checkpoint-3/weights-00000-of-00001.safetensors",
                                        "checkpoint-3/exp_avg-00000-of-00001.safetensors",
                                        "checkpoint-3/exp_avg_sq-00000-of-00001.safetensors",
                                        NULL};
    static const char *const ways[] = {"offload_optimizer=false", "offload_optimizer=true"};
    char *near = xr_test_fresh_folder("near"), *far = xr_test_fresh_folder("far");
    run(near, *state, ways[0], false);
    run(far, *state, ways[1], false);
    xr_test_same_runs(near, far, files);
    xr_test_back_to_first(far);
    run(far, *state, ways[0], true);
    xr_test_same_runs(near, far, files);
    xr_test_back_to_first(far);
    run(far, *state, ways[1], true);
    xr_test_same_runs(near, far, files);
    free(near);
    free(far);
}

// ---- what a step lets go ----

static size_t released;
static void (*release)(XrBackend *b, void *begin, size_t bytes);

static void count_release(XrBackend *b, void *begin, size_t bytes) {
    released += bytes;
    release(b, begin, bytes);
}

// Both moments, and in bf16 training the f32 weights.
static void lets_go(void **state) {
    const Way *way = *state;
    bool bf16 = strcmp(way->bf16, "bf16=true") == 0;
    XrBackend *b = xr_test_backend(way->backend);
    XrComm *comm = xr_comm_single();
    XrModel *model;
    XrTrainState s;
    XrError err;
    release = b->offload_release;
    b->offload_release = count_release;
    assert_true(xr_model_open_unplaced(&model, b, xr_test_source("golden/models/text_only"),
                                       XR_WEIGHTS_AS_STORED, false, &err));
    XrTrainStateOptions options = {.bf16 = bf16, .offload = xr_test_scratch()};
    assert_true(xr_train_state_create(&s, model, comm, options, &err));
    const XrAdamWSettings adamw = {0.9, 0.999, 1e-8, 0.1, 1};
    double norm;
    released = 0;
    assert_true(xr_train_step(&s, &adamw, 1e-3, &norm, &err));
    assert_int_equal(released, (size_t)s.elements * sizeof(float) * (bf16 ? 3 : 2));
    xr_train_state_free(&s);
    xr_model_close(model);
    xr_comm_free(comm);
    xr_backend_free(b);
}

static const Way CPU = {"2", "bf16=false"}, CPU_BF16 = {"2", "bf16=true"};
#ifdef XR_TEST_MODELS_ON_CUDA
static const Way CUDA = {"cuda", "bf16=false"}, CUDA_BF16 = {"cuda.bf16", "bf16=true"};
#endif

#define ROW(name, function, way)                                                                   \
    { name, function, NULL, NULL, (void *)&(way) }

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_of_a_file),
        cmocka_unit_test(refuses),
        ROW("same_bits/cpu", same_bits, CPU),
        ROW("same_bits/cpu/bf16", same_bits, CPU_BF16),
        ROW("lets_go/cpu", lets_go, CPU),
        ROW("lets_go/cpu/bf16", lets_go, CPU_BF16),
#ifdef XR_TEST_MODELS_ON_CUDA
        ROW("same_bits/cuda", same_bits, CUDA),
        ROW("same_bits/cuda/bf16", same_bits, CUDA_BF16),
        ROW("lets_go/cuda/bf16", lets_go, CUDA_BF16),
#endif
    };
    xr_test_filter(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
