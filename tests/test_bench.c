// The jobs that `xreasoner bench` times on models made up for it: what is counted as their work, by
// hand for the tiny model, and that they run, on a GPU too.
#include "tests/support/backends.h"
#include "tests/support/test.h"

#include "shared/base/memory.h"
#include "shared/bench/bench.h"

// Of the tiny text model: two layers of q 64x64, k and v 32x64, o 64x64, three matrices 128x64; the
// head 512x64.
enum { LAYERS = 2 * (4096 + 2 * 2048 + 4096 + 3 * 8192), HEAD = 512 * 64 };
// Of the tower: two blocks of qkv 96x32, proj 32x32, three matrices 64x32; patches of 1,176
// numbers; the merger's 128x128 and 64x128 for every fourth row.
enum { TOWER = 2 * (3072 + 1024 + 3 * 2048) + 32 * 1176, MERGER = (128 * 128 + 64 * 128) / 4 };

// Runs a case twice; returns what it says of its work.
static XrBenchWork run_case(const XrBenchCase *item, XrBackend *b) {
    XrBenchWork work = {0};
    XrError err;
    void *state = item->start(item, b, &work, &err);
    if (!state) fail_msg("%s: %s", item->name, err.message);
    for (int i = 0; i < 2; i++) item->run(state);
    b->synchronize(b);
    item->finish(state);
    return work;
}

static void steps(void **state) {
    XrBackend *b = xr_test_backend(*state);
    XrBenchList list = {0};
    xr_bench_train_step(&list, true);
    assert_int_equal(list.count, 3);
    for (int i = 0; i < list.count; i++) {
        XrBenchWork work = run_case(&list.items[i], b);
        assert_true(work.units == 18);
        // Two layers of two heads of 32.
        double products = 2.0 * 18 * (LAYERS + HEAD), attention = 2.0 * 18 * 9 * 2 * 2 * 32;
        assert_true(work.operations == 3 * products + 3.5 * attention);
    }
    xr_bench_list_free(&list);
    xr_backend_free(b);
}

static void pictures(void **state) {
    XrBackend *b = xr_test_backend(*state);
    XrBenchList list = {0};
    xr_bench_vision(&list, true);
    XrBenchWork work = run_case(&list.items[0], b);
    // A hundred patches, in windows of 64 in one block, all in the other.
    double attention = 4.0 * 100 * (64 + 100) * 32;
    assert_true(work.operations == 2.0 * 100 * (TOWER + MERGER) + attention);
    xr_bench_list_free(&list);
    xr_backend_free(b);
}

static void decoding(void **state) {
    XrBackend *b = xr_test_backend(*state);
    XrBenchList list = {0};
    xr_bench_decode(&list, true);
    XrBenchWork work = run_case(&list.items[0], b);
    assert_true(work.units == 3);
    // Two pages a sequence, in each of two layers.
    double page = (double)b->kv_page_bytes(b, b->activations, 1, 32);
    assert_true(work.bytes == 2.0 * (LAYERS + HEAD) + 3 * 2 * 2 * page);
    xr_bench_list_free(&list);
    xr_backend_free(b);
}

#ifdef XR_TEST_MODELS_ON_CUDA
// Work of the same size on the core and on the GPU.
static void batches(void **state) {
    XrBackend *b = xr_test_backend(*state);
    XrBenchList list = {0};
    xr_bench_batches(&list, true);
    assert_int_equal(list.count, 6);
    for (int i = 0; i < list.count; i += 2) {
        XrBenchWork core = run_case(&list.items[i], b), gpu = run_case(&list.items[i + 1], b);
        assert_true(core.units > 0 && core.units == gpu.units);
    }
    xr_bench_list_free(&list);
    xr_backend_free(b);
}
#endif

// Those of the real size are there, and differ in their names.
static void names(void **state) {
    XrBenchList list = {0};
    xr_bench_train_step(&list, false);
    xr_bench_vision(&list, false);
    xr_bench_decode(&list, false);
    xr_bench_batches(&list, false);
    assert_true(list.count > 8);
    for (int i = 0; i < list.count; i++) {
        for (int k = 0; k < i; k++) {
            assert_string_not_equal(list.items[i].name, list.items[k].name);
        }
    }
    xr_bench_list_free(&list);
}

#ifdef XR_TEST_MODELS_ON_CUDA
enum { HELD = 3 << 20 };
static XrBackend *holder;

static void *hold(const XrBenchCase *self, XrBackend *b, XrBenchWork *work, XrError *err) {
    holder = b;
    return b->alloc(b, HELD, self->name, err);
}

static void nothing(void *state) {
}

static void let_go(void *state) {
    holder->free(holder, state);
}

static void memory_of_the_gpu(void **state) {
    XrBackend *b = xr_test_backend("cuda.bf16");
    const XrBenchCase item = {.name = "holding", .start = hold, .run = nothing, .finish = let_go};
    XrBenchResult result;
    XrError err;
    assert_true(xr_bench_run(&item, b, &result, &err));
    assert_true(result.peak_bytes >= HELD && result.peak_bytes < 2 * HELD);
    xr_backend_free(b);
}
#endif

#define ROW(function, backend)                                                                     \
    { #function "/" backend, function, NULL, NULL, (void *)(backend) }

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        ROW(steps, "2"),
        ROW(pictures, "2"),
        ROW(decoding, "2"),
        cmocka_unit_test(names),
#ifdef XR_TEST_MODELS_ON_CUDA
        ROW(steps, "cuda.bf16"),
        ROW(pictures, "cuda.bf16"),
        ROW(decoding, "cuda.bf16"),
        ROW(batches, "cuda.bf16"),
        {"memory_of_the_gpu/cuda", memory_of_the_gpu, NULL, NULL, NULL},
#endif
    };
    xr_test_filter(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
