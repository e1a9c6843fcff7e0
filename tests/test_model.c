// The whole model against transformers: every stage of every golden request. One test a request and
// backend (tests/support/backends.h), named "MODEL.REQUEST/backend".
#include "tests/support/backends.h"
#include "tests/support/models.h"
#include "tests/support/test.h"

#include "shared/base/memory.h"
#include "shared/model/vision.h"

#include <stdlib.h>

// Relative to the largest element of a stage, in f32. Sums in another order than PyTorch's differ
// by a few rounding errors a layer; the worst stage measured stands between 3e-6 and 5e-6.
static const double STAGE_TOLERANCE = 2e-5;
// The same with activations in bf16, each of which is rounded by up to 2^-9 of itself: some ten
// roundings a layer that add up at random, on the stream's way through at most three layers.
static const double BF16_TOLERANCE = 3e-2;

typedef struct Comparison {
    const XrGolden *golden;
    XrBackend *backend;
    double tolerance;
    int compared;
} Comparison;

static float *host_copy(XrBackend *b, const XrTensor *t) {
    float *values = xr_malloc((size_t)xr_numel(t) * sizeof *values);
    XrTensor contiguous = *t;
    contiguous.row_stride = xr_row_size(t);
    XR_REQUIRE(xr_is_contiguous(t), "stage %s is strided", xr_shape_text(t));
    xr_download_f32(b, values, &contiguous);
    return values;
}

static void compare(void *context, const char *stage, const XrTensor *value) {
    Comparison *c = context;
    if (!xr_golden_has(c->golden, stage)) return;
    XrTensor expected = xr_golden_tensor(c->golden, stage, XR_F32), actual = *value;
    actual.dtype = XR_F32;
    actual.data = host_copy(c->backend, value);
    xr_assert_close(stage, &actual, &expected, c->tolerance);
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
    xr_logprob(b, &logprobs, NULL, NULL, NULL, NULL, &states, xr_model_parameter(model, XR_HEAD, 0),
               &targets, 1.0f);
    compare(c, "logprobs", &logprobs);
    xr_tensor_free(b, &logprobs);
    xr_tensor_free(b, &targets);
}

typedef struct Run {
    const char *request, *backend;
} Run;

static void run_request(void **state) {
    const Run *run = *state;
    const char *name = run->request;
    XrBackend *b = xr_test_backend(run->backend);
    XrModel *model = xr_golden_model(b, name);
    XrGoldenRequest r = xr_golden_request(name);
    double tolerance = model->activations == XR_F32 ? STAGE_TOLERANCE : BF16_TOLERANCE;
    Comparison c = {&r.golden, b, tolerance, 0};
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

static const char *const BACKENDS[] = {
    "1",
    "3",
#ifdef XR_TEST_MODELS_ON_CUDA
    "cuda",
    "cuda.bf16",
#endif
};

int main(int argc, char **argv) {
    int count, made = 0;
    const char *const *names = xr_golden_request_names(&count);
    size_t most = (size_t)count * XR_COUNT(BACKENDS);
    struct CMUnitTest *tests = xr_calloc(most, sizeof *tests);
    Run *runs = xr_calloc(most, sizeof *runs);
    for (int i = 0; i < count; i++) {
        for (size_t k = 0; k < XR_COUNT(BACKENDS); k++) {
            XrBuffer name = {0};
            xr_buffer_format(&name, "%s/%s", names[i], BACKENDS[k]);
            runs[made] = (Run){names[i], BACKENDS[k]};
            tests[made] = (struct CMUnitTest){
                .name = name.data, .test_func = run_request, .initial_state = &runs[made]};
            made++;
        }
    }
    xr_test_filter(argc, argv);
    XR_REQUIRE(made > 0, "no golden requests were found");
    int failed = _cmocka_run_group_tests("model", tests, (size_t)made, NULL, NULL);
    for (int i = 0; i < made; i++) free((void *)tests[i].name);
    free(tests);
    free(runs);
    return failed;
}
