// Gradients of every parameter, the vision tower's included, against PyTorch's on golden data: one
// test a model, kind of activation memory and number of threads. With weights in bf16, and on a GPU
// activations too, no further from them than PyTorch's own bf16.
#include "tests/support/backends.h"
#include "tests/support/models.h"
#include "tests/support/test.h"

#include "shared/base/memory.h"
#include "shared/model/vision.h"

#include <math.h>
#include <stdlib.h>

// Relative to the largest element of each parameter's gradient, both sides in f32.
static const double GRADIENT_TOLERANCE = 5e-5;

// Relative, in bf16: half the distance between two neighbouring numbers.
static const double LOSS_TOLERANCE = 0x1p-9;

// An order of summation more or less, which differs between GPUs, moves the error of all gradients
// together by a few percent of itself.
static const double CHANCE = 1.05;

typedef struct Run {
    const char *model; // "gqa2_tied"
    XrKeep keep;
    const char *backend;
    bool bf16;
} Run;

// d(loss)/d(log-probability of token t+1) at row t: -1/count where the label counts, else 0;
// targets are negative where it does not.
static int64_t loss_rows(const XrGolden *golden, const char *request, int32_t *targets,
                         float *dlogprob, int64_t tokens) {
    char name[96];
    snprintf(name, sizeof name, "%s.labels", request);
    XrTensor labels = xr_golden_tensor(golden, name, XR_I64);
    int64_t total = *(int64_t *)xr_golden_tensor(golden, "label_count", XR_I64).data, used = 0;
    assert_int_equal(labels.shape[0], tokens);
    for (int64_t t = 0; t < tokens; t++) {
        int64_t label = t + 1 < tokens ? ((int64_t *)labels.data)[t + 1] : -100;
        targets[t] = label >= 0 ? (int32_t)label : -1;
        dlogprob[t] = label >= 0 ? -1.0f / (float)total : 0.0f;
        used += label >= 0;
    }
    return used;
}

typedef struct Head {
    XrTensor logprob, lse, targets, dlogprob, dhidden;
} Head;

static Head head_create(const XrModel *model, int64_t tokens) {
    XrBackend *b = model->backend;
    int64_t wide[2] = {tokens, model->config.hidden};
    Head h;
    XrError err;
    assert_true(xr_tensor_alloc(b, &h.logprob, XR_F32, 1, &tokens, "test", &err));
    assert_true(xr_tensor_alloc(b, &h.lse, XR_F32, 1, &tokens, "test", &err));
    assert_true(xr_tensor_alloc(b, &h.dlogprob, XR_F32, 1, &tokens, "test", &err));
    assert_true(xr_tensor_alloc(b, &h.targets, XR_I32, 1, &tokens, "test", &err));
    assert_true(xr_tensor_alloc(b, &h.dhidden, model->activations, 2, wide, "test", &err));
    return h;
}

static void head_free(XrBackend *b, Head *h) {
    xr_tensor_free(b, &h->logprob);
    xr_tensor_free(b, &h->lse);
    xr_tensor_free(b, &h->dlogprob);
    xr_tensor_free(b, &h->targets);
    xr_tensor_free(b, &h->dhidden);
}

// Forward and backward of one request; returns its part of the loss.
static double add_request(const XrModel *model, const Run *run, const XrGolden *golden,
                          const char *request, const XrGradients *gradients) {
    XrBackend *b = model->backend;
    char name[128];
    XrError err;
    snprintf(name, sizeof name, "%s.%s", run->model, request);
    XrGoldenRequest r = xr_golden_request(name);
    XrVisionPass *pass = NULL;
    XrTensor images = {0}, dimages = {0};
    if (r.grid_count) {
        assert_true(
            xr_vision_begin(&pass, model, r.pixels, r.grids, r.grid_count, true, NULL, &err));
        images = xr_vision_result(pass);
        assert_true(xr_tensor_alloc(b, &dimages, images.dtype, 2, images.shape, "test", &err));
    }
    XrPackedSequence sequence = xr_golden_sequence(&r);
    XrBatch batch;
    XrLanguageWorkspace *ws;
    assert_true(xr_batch_create(&batch, model, &sequence, 1, pass ? &images : NULL, &err));
    assert_true(xr_language_workspace_create(&ws, model, r.count + 5, run->keep, &err));
    XrTensor hidden = xr_language_forward(ws, &batch.input, NULL);

    Head h = head_create(model, r.count);
    int32_t *targets = xr_malloc(sizeof *targets * (size_t)r.count);
    float *dlogprob = xr_malloc(sizeof *dlogprob * (size_t)r.count);
    float *logprob = xr_malloc(sizeof *logprob * (size_t)r.count);
    loss_rows(golden, request, targets, dlogprob, r.count);
    xr_upload(b, &h.targets, targets);
    xr_upload(b, &h.dlogprob, dlogprob);
    const XrTensor *head = xr_model_parameter(model, XR_HEAD, 0);
    XrTensor dhead = xr_parameter_gradient(gradients, XR_HEAD, 0);
    xr_logprob(b, &h.logprob, NULL, NULL, &h.lse, NULL, &hidden, head, &h.targets, 1.0f);
    xr_logprob_backward(b, &h.dhidden, &dhead, &h.dlogprob, NULL, &hidden, head, &h.targets, &h.lse,
                        1.0f);
    xr_download(b, logprob, &h.logprob);
    double loss = 0;
    for (int64_t t = 0; t < r.count; t++) loss += (double)logprob[t] * dlogprob[t];
    xr_language_backward(ws, &batch.input, &h.dhidden, gradients, pass ? &dimages : NULL);
    if (pass) xr_vision_backward(pass, &dimages, gradients);

    free(targets);
    free(dlogprob);
    free(logprob);
    head_free(b, &h);
    xr_tensor_free(b, &dimages);
    xr_language_workspace_free(ws);
    xr_batch_free(&batch);
    xr_vision_end(pass);
    xr_golden_request_free(&r);
    return loss;
}

static void check_gradients(const XrModel *model, const XrGradients *gradients,
                            const XrGolden *golden) {
    for (int i = 0; i < model->table.count; i++) {
        char name[96];
        snprintf(name, sizeof name, "grad.%s", model->table.items[i].name);
        XrTensor expected = xr_golden_tensor(golden, name, XR_F32);
        XrTensor actual = gradients->items[i];
        actual.data = xr_malloc(xr_nbytes(&actual));
        xr_download(model->backend, actual.data, &gradients->items[i]);
        xr_assert_close(name, &actual, &expected, GRADIENT_TOLERANCE);
        free(actual.data);
    }
}

// The norm of the difference of all gradients, over theirs.
static double gradient_error(const XrModel *model, const XrGradients *gradients,
                             const XrGolden *golden) {
    double wrong = 0, right = 0;
    for (int i = 0; i < model->table.count; i++) {
        char name[96];
        snprintf(name, sizeof name, "grad.%s", model->table.items[i].name);
        const float *want = xr_golden_tensor(golden, name, XR_F32).data;
        float *got = xr_malloc(xr_nbytes(&gradients->items[i]));
        xr_download(model->backend, got, &gradients->items[i]);
        for (int64_t k = 0; k < xr_numel(&gradients->items[i]); k++) {
            wrong += ((double)got[k] - want[k]) * ((double)got[k] - want[k]);
            right += (double)want[k] * want[k];
        }
        free(got);
    }
    return sqrt(wrong / right);
}

static void no_worse_than_pytorch(const XrModel *model, const char *name, double loss,
                                  const XrGradients *gradients, const XrGolden *golden) {
    XrGolden theirs = xr_golden_open("bf16.safetensors");
    double want = *(float *)xr_golden_tensor(golden, "loss", XR_F32).data;
    double errors[] = {fabs(loss / want - 1), gradient_error(model, gradients, golden)};
    double most[] = {xr_golden_number(&theirs, name, "loss"),
                     xr_golden_number(&theirs, name, "gradient")};
    print_message("errors of loss and gradient: %.3g, %.3g; PyTorch's: %.3g, %.3g\n", errors[0],
                  errors[1], most[0], most[1]);
    // The loss' is a sum of few terms of either sign: whose is smaller is chance.
    assert_true(errors[0] <= LOSS_TOLERANCE);
    assert_true(errors[1] <= CHANCE * most[1]);
    xr_golden_close(&theirs);
}

static XrModel *open_model(XrBackend *b, const Run *run) {
    char path[96];
    XrModel *model;
    XrError err;
    if (!run->bf16) return xr_golden_model(b, run->model);
    snprintf(path, sizeof path, "golden/models/%s", run->model);
    if (!xr_model_open(&model, b, xr_test_source(path), XR_WEIGHTS_BF16, true, &err)) {
        fail_msg("%s", err.message);
    }
    assert_int_equal(model->activations, b->activations);
    return model;
}

static void gradients_of(void **state) {
    const Run *run = *state;
    char name[128];
    snprintf(name, sizeof name, "reference/%s.gradients.safetensors", run->model);
    XrGolden golden = xr_golden_open(name);
    XrBackend *b = xr_test_backend(run->backend);
    XrModel *model = open_model(b, run);
    XrError err;
    bool *trained = xr_malloc((size_t)model->table.count);
    memset(trained, true, (size_t)model->table.count);
    XrGradients gradients;
    assert_true(xr_gradients_create(&gradients, model, trained, &err));
    int count;
    const char *const *requests = xr_golden_request_names(&count);
    double loss = 0;
    for (int i = 0; i < count; i++) {
        char labels[160];
        size_t prefix = strlen(run->model);
        if (strncmp(requests[i], run->model, prefix) != 0 || requests[i][prefix] != '.') continue;
        const char *request = requests[i] + prefix + 1;
        snprintf(labels, sizeof labels, "%s.labels", request);
        if (xr_golden_has(&golden, labels)) {
            loss += add_request(model, run, &golden, request, &gradients);
        }
    }
    if (run->bf16) {
        no_worse_than_pytorch(model, run->model, loss, &gradients, &golden);
    } else {
        assert_float_equal(loss, *(float *)xr_golden_tensor(&golden, "loss", XR_F32).data, 1e-5);
        check_gradients(model, &gradients, &golden);
    }
    xr_gradients_free(&gradients);
    free(trained);
    xr_model_close(model);
    xr_backend_free(b);
    xr_golden_close(&golden);
}

#define GRADIENT_TEST(model, keep, backend)                                                        \
    {                                                                                              \
#model "/" #keep "/" backend, gradients_of, NULL, NULL, &(Run) {                           \
#model, keep, backend, false                                                           \
        }                                                                                          \
    }
#define BF16_TEST(model, backend)                                                                  \
    {                                                                                              \
#model "/bf16/" backend, gradients_of, NULL, NULL, &(Run) {                                \
#model, XR_KEEP_INPUTS, backend, true                                                  \
        }                                                                                          \
    }

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        GRADIENT_TEST(gqa2_tied, XR_KEEP_ALL, "1"),
        GRADIENT_TEST(gqa2_tied, XR_KEEP_INPUTS, "3"),
        GRADIENT_TEST(gqa4_shards, XR_KEEP_ALL, "3"),
        GRADIENT_TEST(gqa4_shards, XR_KEEP_INPUTS, "1"),
        GRADIENT_TEST(text_only, XR_KEEP_ALL, "1"),
        GRADIENT_TEST(text_only, XR_KEEP_INPUTS, "1"),
        BF16_TEST(gqa2_tied, "2"),
        BF16_TEST(text_only, "2"),
#ifdef XR_TEST_MODELS_ON_CUDA
        GRADIENT_TEST(gqa2_tied, XR_KEEP_INPUTS, "cuda"),
        GRADIENT_TEST(text_only, XR_KEEP_ALL, "cuda"),
        BF16_TEST(gqa2_tied, "cuda.bf16"),
        BF16_TEST(text_only, "cuda.bf16"),
#endif
    };
    xr_test_filter(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
