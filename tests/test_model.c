// The whole model against transformers: every stage of every golden request. One test a request and
// number of threads, named "MODEL.REQUEST/threads".
#include "tests/support/models.h"
#include "tests/support/test.h"

#include "shared/base/memory.h"
#include "shared/model/vision.h"

#include <stdlib.h>

// Relative to the largest element of a stage, in f32. Sums in another order than PyTorch's differ
// by a few rounding errors a layer; the worst stage measured stands between 3e-6 and 5e-6.
static const double STAGE_TOLERANCE = 2e-5;

typedef struct Comparison {
    const XrGolden *golden;
    XrBackend *backend;
    int compared;
} Comparison;

static float *host_copy(XrBackend *b, const XrTensor *t) {
    float *values = xr_malloc(xr_nbytes(t));
    XrTensor contiguous = *t;
    contiguous.row_stride = xr_row_size(t);
    XR_REQUIRE(xr_is_contiguous(t), "stage %s is strided", xr_shape_text(t));
    xr_download(b, values, &contiguous);
    return values;
}

static void compare(void *context, const char *stage, const XrTensor *value) {
    Comparison *c = context;
    if (!xr_golden_has(c->golden, stage)) return;
    XrTensor expected = xr_golden_tensor(c->golden, stage, XR_F32), actual = *value;
    actual.data = host_copy(c->backend, value);
    xr_assert_close(stage, &actual, &expected, STAGE_TOLERANCE);
    free(actual.data);
    c->compared++;
}

static void check_positions(const XrGolden *golden, const XrBatch *batch) {
    int64_t count = xr_numel(&batch->input.positions);
    int32_t *positions = xr_malloc(sizeof *positions * (size_t)count);
    int64_t *wide = xr_malloc(sizeof *wide * (size_t)count);
    xr_download(batch->backend, positions, &batch->input.positions);
    for (int64_t i = 0; i < count; i++) wide[i] = positions[i];
    XrTensor expected = xr_golden_tensor(golden, "position_ids", XR_I64);
    xr_assert_same_ids("position_ids", wide, (size_t)count, &expected);
    free(positions);
    free(wide);
}

// Logits of the last rows, as many as the reference has.
static void check_logits(const XrModel *model, const XrTensor *hidden, Comparison *c) {
    XrTensor expected = xr_golden_tensor(c->golden, "logits", XR_F32), logits;
    XrError err;
    int64_t rows = expected.shape[0];
    XrTensor last = xr_rows(hidden, hidden->shape[0] - rows, rows);
    assert_true(
        xr_tensor_alloc(model->backend, &logits, XR_F32, 2, expected.shape, "logits", &err));
    xr_language_logits(model, &logits, &last);
    compare(c, "logits", &logits);
    xr_tensor_free(model->backend, &logits);
}

// The log-probability of each next token.
static void check_logprobs(const XrModel *model, const XrGoldenRequest *r, const XrTensor *hidden,
                           Comparison *c) {
    XrBackend *b = model->backend;
    int64_t count = r->count - 1;
    XrTensor logprobs, targets, states = xr_rows(hidden, 0, count);
    XrError err;
    assert_true(xr_tensor_alloc(b, &logprobs, XR_F32, 1, &count, "logprobs", &err));
    assert_true(xr_tensor_alloc(b, &targets, XR_I32, 1, &count, "targets", &err));
    xr_upload(b, &targets, r->ids + 1);
    xr_logprob(b, &logprobs, NULL, NULL, NULL, &states, xr_model_parameter(model, XR_HEAD, 0),
               &targets, 1.0f);
    compare(c, "logprobs", &logprobs);
    xr_tensor_free(b, &logprobs);
    xr_tensor_free(b, &targets);
}

static void run_request(const char *name, int threads) {
    XrBackend *b = xr_cpu_create(threads);
    XrModel *model = xr_golden_model(b, name);
    XrGoldenRequest r = xr_golden_request(name);
    Comparison c = {&r.golden, b, 0};
    XrObserver observer = {compare, &c};
    XrError err;
    XrTensor images = {0};
    if (r.grid_count) {
        assert_true(
            xr_vision_forward(model, &images, r.pixels, r.grids, r.grid_count, &observer, &err));
    }
    XrPackedSequence sequence = xr_golden_sequence(&r);
    XrBatch batch;
    assert_true(xr_batch_create(&batch, model, &sequence, 1, r.grid_count ? &images : NULL, &err));
    check_positions(&r.golden, &batch);
    XrLanguageWorkspace *ws;
    assert_true(xr_language_workspace_create(&ws, model, r.count, XR_KEEP_NOTHING, &err));
    XrTensor hidden = xr_language_forward(ws, &batch.input, &observer);
    check_logits(model, &hidden, &c);
    check_logprobs(model, &r, &hidden, &c);
    int stages = 4 + (int)model->config.layers; // inputs_embeds, norm, logits, logprobs and layers
    if (r.grid_count) stages += 1 + (int)model->config.vision.blocks;
    assert_int_equal(c.compared, stages);
    xr_language_workspace_free(ws);
    xr_batch_free(&batch);
    xr_tensor_free(b, &images);
    xr_golden_request_free(&r);
    xr_model_close(model);
    xr_backend_free(b);
}

static void one_thread(void **state) {
    run_request(*state, 1);
}

static void three_threads(void **state) {
    run_request(*state, 3);
}

int main(int argc, char **argv) {
    int count, made = 0;
    const char *const *names = xr_golden_request_names(&count);
    struct CMUnitTest *tests = xr_calloc((size_t)count * 2, sizeof *tests);
    for (int i = 0; i < count; i++) {
        for (int threads = 1; threads <= 3; threads += 2) {
            XrBuffer name = {0};
            xr_buffer_format(&name, "%s/%d", names[i], threads);
            tests[made++] =
                (struct CMUnitTest){.name = name.data,
                                    .test_func = threads == 1 ? one_thread : three_threads,
                                    .initial_state = (void *)names[i]};
        }
    }
    xr_test_filter(argc, argv);
    XR_REQUIRE(made > 0, "no golden requests were found");
    int failed = _cmocka_run_group_tests("model", tests, (size_t)made, NULL, NULL);
    for (int i = 0; i < made; i++) free((void *)tests[i].name);
    free(tests);
    return failed;
}
