// Checkpoints in parts: what several ranks write one can read and the other way round; damaged,
// foreign and incomplete ones are refused.
#include "tests/support/models.h"
#include "tests/support/test.h"

#include "shared/base/file.h"
#include "shared/base/memory.h"
#include "shared/tensor/convert.h"
#include "shared/train/checkpoint.h"
#include "shared/train/checkpoint_tensors.h"
#include "shared/train/export.h"

#include <stdlib.h>
#include <unistd.h>

static bool no_sum_f64(XrComm *comm, double *values, int64_t count, XrError *err) {
    return true;
}
static bool no_sum_i64(XrComm *comm, int64_t *values, int64_t count, XrError *err) {
    return true;
}
static bool no_move(XrComm *comm, XrBackend *b, const XrTensor *to, const XrTensor *from,
                    XrError *err) {
    return true;
}

// Rank `rank` of `size`, alone in this process: nothing is exchanged.
static XrComm lone_rank(int rank, int size) {
    return (XrComm){.rank = rank,
                    .size = size,
                    .sum_f64 = no_sum_f64,
                    .sum_i64 = no_sum_i64,
                    .gather = no_move,
                    .reduce_scatter = no_move};
}

typedef struct Bench {
    XrBackend *b;
    XrModel *model;
    XrComm comm;
    XrTrainState state;
} Bench;

static Bench *bench_open_with(const char *model, XrTrainStateOptions options, int rank, int size) {
    Bench *bench = xr_calloc(1, sizeof *bench);
    XrError err;
    bench->b = xr_cpu_create(1);
    bench->model = xr_golden_model(bench->b, model);
    bench->comm = lone_rank(rank, size);
    assert_true(xr_train_state_create(&bench->state, bench->model, &bench->comm, options, &err));
    return bench;
}

static Bench *bench_open(const char *model, bool vision, int rank, int size) {
    return bench_open_with(model, (XrTrainStateOptions){.vision = vision}, rank, size);
}

static void bench_close(Bench *bench) {
    xr_train_state_free(&bench->state);
    xr_model_close(bench->model);
    xr_backend_free(bench->b);
    free(bench);
}

// Distinct numbers everywhere; the moments of an element follow from its place in the whole.
static void paint(Bench *bench) {
    XrTrainState *s = &bench->state;
    float *values = s->values.data, *first = s->first.data, *second = s->second.data;
    for (int64_t i = 0; i < s->elements; i++) values[i] = (float)i;
    for (int i = 0; i < s->piece_count; i++) {
        const XrTrainPiece *p = &s->pieces[i];
        for (int64_t k = 0; k < p->own_count; k++) {
            first[p->moment_begin + k] = (float)(p->own_begin + k) + 0.25F;
            second[p->moment_begin + k] = (float)(p->own_begin + k) + 0.5F;
        }
    }
}

static void assert_painted(Bench *bench) {
    XrTrainState *s = &bench->state;
    const float *values = s->values.data, *first = s->first.data, *second = s->second.data;
    for (int i = 0; i < s->piece_count; i++) {
        const XrTrainPiece *p = &s->pieces[i];
        for (int64_t k = 0; k < p->own_count; k++) {
            assert_true(values[p->own_begin + k] == (float)(p->own_begin + k));
            assert_true(first[p->moment_begin + k] == (float)(p->own_begin + k) + 0.25F);
            assert_true(second[p->moment_begin + k] == (float)(p->own_begin + k) + 0.5F);
        }
    }
}

// What the passes of bf16 training see: all values as they are now, where a GPU reads them well.
static void assert_rounded(const Bench *bench) {
    const XrTrainState *s = &bench->state;
    for (int i = 0; i < bench->model->table.count; i++) {
        const XrParameter *p = &bench->model->table.items[i];
        const uint16_t *rounded = bench->model->parameters[i].data;
        const float *values = s->values.data;
        if (!s->trained[i]) continue;
        assert_int_equal(bench->model->parameters[i].dtype, XR_BF16);
        assert_true((uintptr_t)rounded % 16 == 0);
        for (int64_t k = 0; k < xr_parameter_elements(p); k++) {
            if (rounded[k] != xr_f32_to_bf16(values[s->begin[i] + k])) {
                fail_msg("%s, element %lld", p->name, (long long)k);
            }
        }
    }
}

// Made, stepped by one rank of one or of two, and replaced: the copies follow.
static void rounded_follow(void **state) {
    for (int size = 1; size <= 2; size++) {
        XrAdamWSettings adamw = {0.9, 0.999, 1e-8, 0.1, 0};
        Bench *bench = bench_open_with(
            "gqa4_shards.two", (XrTrainStateOptions){.vision = true, .bf16 = true}, 0, size);
        XrTrainState *s = &bench->state;
        float *gradient = s->gradients.flat.data;
        double norm;
        XrError err;
        assert_rounded(bench);
        for (int64_t i = 0; i < s->elements; i++) gradient[i] = (float)(i % 7 - 3);
        paint(bench); // as another rank's step would
        assert_true(xr_train_step(s, &adamw, 0.5, &norm, &err));
        assert_true(s->step == 1 && ((float *)s->values.data)[1] != 1);
        assert_rounded(bench);
        paint(bench);
        assert_true(xr_train_gather(s, &err));
        assert_rounded(bench);
        bench_close(bench);
    }
}

// Every element is owned by one rank.
static void pieces_cover(void **state) {
    for (int size = 1; size <= 5; size++) {
        int64_t owned = 0, elements = 0;
        for (int rank = 0; rank < size; rank++) {
            Bench *bench = bench_open("gqa2_tied.two", false, rank, size);
            owned += xr_numel(&bench->state.first);
            elements = bench->state.elements;
            int64_t at = 0;
            for (int i = 0; i < bench->state.piece_count; i++) {
                assert_int_equal(bench->state.pieces[i].begin, at);
                at += bench->state.pieces[i].count;
            }
            assert_int_equal(at, elements);
            assert_int_equal(bench->state.piece_count, 1 + 2 + 1); // embedding, layers, norm
            bench_close(bench);
        }
        assert_int_equal(owned, elements);
    }
}

static char *fresh_folder(const char *name) {
    char *folder = xr_path_join(xr_test_scratch(), name);
    XrError err;
    assert_true(xr_make_folders(folder, &err));
    return folder;
}

static void any_number_of_ranks(void **state) {
    static const int sizes[][2] = {{1, 3}, {3, 1}, {3, 2}, {2, 5}, {4, 4}};
    for (size_t i = 0; i < XR_COUNT(sizes); i++) {
        char name[32];
        snprintf(name, sizeof name, "ranks-%d-%d", sizes[i][0], sizes[i][1]);
        char *folder = fresh_folder(name);
        XrError err;
        for (int rank = 0; rank < sizes[i][0]; rank++) {
            Bench *bench = bench_open("gqa4_shards.two", false, rank, sizes[i][0]);
            paint(bench);
            assert_true(xr_checkpoint_tensors_write(folder, &bench->state, &err));
            bench_close(bench);
        }
        for (int rank = 0; rank < sizes[i][1]; rank++) {
            Bench *bench = bench_open("gqa4_shards.two", false, rank, sizes[i][1]);
            if (!xr_checkpoint_tensors_read(folder, sizes[i][0], &bench->state, &err)) {
                fail_msg("%s", err.message);
            }
            assert_painted(bench);
            bench_close(bench);
        }
        free(folder);
    }
}

// ---- whole checkpoints ----

static void round_trip(void **state) {
    char *run = fresh_folder("run");
    Bench *a = bench_open("gqa2_tied.two", true, 0, 1);
    Bench *b =
        bench_open_with("gqa2_tied.two", (XrTrainStateOptions){.vision = true, .bf16 = true}, 0, 1);
    XrError err = {0};
    XrCheckpointInfo info = {.step = 7, .epoch = 2, .epoch_step = 3, .num_tokens = 5000000000};
    info.metrics_bytes = 11;
    info.samples_bytes = 22;
    xr_buffer_text(&info.extra, "{\"mine\":[1,2]}");
    xr_checkpoint_add_file(&info, "data \"x\".jsonl", 0xFEDCBA9876543210u);
    paint(a);
    a->state.step = 6;
    a->state.skipped = 1;
    assert_null(xr_checkpoint_newest(run));
    for (int step = 5; step <= 12; step++) {
        info.step = step;
        if (!xr_checkpoint_write(run, &info, &a->state, 3, &err)) fail_msg("%s", err.message);
    }
    char *newest = xr_checkpoint_newest(run), *old = xr_path_join(run, "checkpoint-9");
    assert_string_equal(strrchr(newest, '/'), "/checkpoint-12");
    assert_false(xr_path_exists(old));
    XrCheckpointInfo back = {0};
    xr_checkpoint_add_file(&back, "data \"x\".jsonl", 0xFEDCBA9876543210u);
    if (!xr_checkpoint_read(newest, &back, &b->state, &err)) fail_msg("%s", err.message);
    assert_painted(b);
    assert_rounded(b);
    assert_int_equal(b->state.step, 6);
    assert_int_equal(b->state.skipped, 1);
    assert_int_equal(back.step, 12);
    assert_int_equal(back.epoch, 2);
    assert_int_equal(back.epoch_step, 3);
    assert_true(back.num_tokens == 5000000000);
    assert_int_equal(back.metrics_bytes, 11);
    assert_int_equal(back.samples_bytes, 22);
    assert_string_equal(back.extra.data, "{\"mine\":[1,2]}");
    back.files[0].hash++;
    assert_false(xr_checkpoint_read(newest, &back, &b->state, &err));
    assert_non_null(strstr(err.message, "has changed"));
    // A folder without its state file is not a checkpoint.
    char *half = fresh_folder("run/checkpoint-99");
    char *still = xr_checkpoint_newest(run);
    assert_string_equal(still, newest);
    xr_checkpoint_info_free(&info);
    xr_checkpoint_info_free(&back);
    free(half);
    free(still);
    free(newest);
    free(old);
    free(run);
    bench_close(a);
    bench_close(b);
}

static void expect_unreadable(const char *path, const char *model, bool vision, const char *part) {
    Bench *bench = bench_open(model, vision, 0, 1);
    XrCheckpointInfo info = {0};
    XrError err = {0};
    assert_false(xr_checkpoint_read(path, &info, &bench->state, &err));
    if (!strstr(err.message, part)) fail_msg("\"%s\" lacks \"%s\"", err.message, part);
    xr_checkpoint_info_free(&info);
    bench_close(bench);
}

static void refuses(void **state) {
    char *run = fresh_folder("other");
    Bench *bench = bench_open("gqa2_tied.two", true, 0, 1);
    XrCheckpointInfo info = {.step = 1};
    XrError err = {0};
    assert_true(xr_checkpoint_write(run, &info, &bench->state, 0, &err));
    bench_close(bench);
    char *path = xr_checkpoint_newest(run);
    expect_unreadable(path, "text_only.talk", false, "another model");
    expect_unreadable(path, "gqa2_tied.two", false, "train_vision");
    bench = bench_open("gqa2_tied.two", false, 0, 1);
    info.step = 2;
    assert_true(xr_checkpoint_write(run, &info, &bench->state, 0, &err));
    bench_close(bench);
    free(path);
    path = xr_checkpoint_newest(run);
    expect_unreadable(path, "gqa2_tied.two", true, "incomplete");
    char *file = xr_path_join(path, "exp_avg-00000-of-00001.safetensors");
    assert_int_equal(truncate(file, 5000), 0);
    expect_unreadable(path, "gqa2_tied.two", false, "exp_avg-00000");
    assert_int_equal(unlink(file), 0);
    expect_unreadable(path, "gqa2_tied.two", false, "exp_avg-00000");
    free(file);
    file = xr_path_join(path, "trainer_state.json");
    assert_true(xr_file_write(file, "{\"step\": -1}", 12, &err));
    expect_unreadable(path, "gqa2_tied.two", false, "negative");
    assert_true(xr_file_write(file, "{}", 2, &err));
    expect_unreadable(path, "gqa2_tied.two", false, "step");
    free(file);
    free(path);
    free(run);
}

// ---- export ----

// Untouched weights come out in the types and with the bytes that they were read with.
static void exports_as_read(void **state) {
    static const char *const models[] = {"gqa2_tied", "gqa4_shards", "gqa7_half", "text_only"};
    for (size_t i = 0; i < XR_COUNT(models); i++) {
        char name[64], request[64];
        snprintf(name, sizeof name, "export-%s", models[i]);
        snprintf(request, sizeof request, "%s.%s", models[i], i == 3 ? "talk" : "two");
        char *folder = xr_path_join(xr_test_scratch(), name);
        Bench *bench = bench_open(request, true, 0, 1);
        XrModel *copy;
        XrError err = {0};
        for (int twice = 0; twice < 2; twice++) { // the second takes the first's place
            if (!xr_train_export(&bench->state, folder, "stored", &err))
                fail_msg("%s", err.message);
        }
        if (!xr_model_open(&copy, bench->b, folder, XR_WEIGHTS_AS_STORED, false, &err)) {
            fail_msg("%s", err.message);
        }
        for (int k = 0; k < copy->table.count; k++) {
            const XrTensor *was = &bench->model->weights.tensors[k];
            const XrTensor *is = &copy->weights.tensors[k];
            assert_int_equal(was->dtype, is->dtype);
            assert_memory_equal(was->data, is->data, xr_nbytes(was));
        }
        xr_model_close(copy);
        bench_close(bench);
        free(folder);
    }
}

// ---- where weights come from ----

static void *(*import)(XrBackend *, const void *, size_t, const char *, XrError *);
static void (*upload)(XrBackend *, void *, const void *, size_t);
static size_t imported, uploaded;

static void *count_import(XrBackend *b, const void *host, size_t bytes, const char *what,
                          XrError *err) {
    imported += bytes;
    return import(b, host, bytes, what, err);
}

static void count_upload(XrBackend *b, void *to, const void *host, size_t bytes) {
    uploaded += bytes;
    upload(b, to, host, bytes);
}

// A model that is opened to be trained: trained weights are copied once, frozen ones are used as
// they are stored, and both are the weights of a model that was opened whole.
static void weights_come_once(void **state) {
    Bench *whole = bench_open("gqa2_tied", false, 0, 1);
    XrBackend *b = xr_cpu_create(1);
    XrComm comm = lone_rank(0, 1);
    XrModel *model;
    XrTrainState train;
    XrError err;
    assert_true(
        xr_model_open_unplaced(&model, b, whole->model->folder, XR_WEIGHTS_AS_STORED, true, &err));
    import = b->import;
    upload = b->upload;
    b->import = count_import;
    b->upload = count_upload;
    assert_true(xr_train_state_create(&train, model, &comm, (XrTrainStateOptions){0}, &err));
    size_t frozen = 0;
    for (int i = 0; i < model->table.count; i++) {
        const XrTensor *a = &model->parameters[i], *c = &whole->model->parameters[i];
        assert_int_equal(a->dtype, c->dtype);
        assert_memory_equal(a->data, c->data, xr_nbytes(c));
        if (!train.trained[i]) frozen += xr_nbytes(a);
    }
    assert_true(frozen > 0);
    assert_int_equal(imported, frozen);
    assert_int_equal(uploaded, xr_nbytes(&train.values));
    xr_train_state_free(&train);
    xr_model_close(model);
    xr_backend_free(b);
    bench_close(whole);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rounded_follow),
        cmocka_unit_test(pieces_cover),
        cmocka_unit_test(any_number_of_ranks),
        cmocka_unit_test(round_trip),
        cmocka_unit_test(refuses),
        cmocka_unit_test(exports_as_read),
        cmocka_unit_test(weights_come_once),
    };
    xr_test_filter(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
