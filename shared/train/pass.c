#include "shared/train/pass.h"

#include "shared/base/memory.h"

#include <stdlib.h>
#include <string.h>

static bool alloc_rows(XrTrainPass *p, int64_t capacity, XrError *err) {
    XrBackend *b = p->state->model->backend;
    int64_t wide[2] = {capacity, p->state->model->config.hidden};
    XrDType dtype = p->state->model->activations;
    static const char what[] = "a training pass";
    return xr_tensor_alloc(b, &p->inner.index, XR_I32, 1, &capacity, what, err) &&
           xr_tensor_alloc(b, &p->inner.targets, XR_I32, 1, &capacity, what, err) &&
           xr_tensor_alloc(b, &p->inner.logprob, XR_F32, 1, &capacity, what, err) &&
           xr_tensor_alloc(b, &p->inner.entropy, XR_F32, 1, &capacity, what, err) &&
           xr_tensor_alloc(b, &p->inner.best, XR_I32, 1, &capacity, what, err) &&
           xr_tensor_alloc(b, &p->inner.lse, XR_F32, 1, &capacity, what, err) &&
           xr_tensor_alloc(b, &p->inner.dlogprob, XR_F32, 1, &capacity, what, err) &&
           xr_tensor_alloc(b, &p->inner.hidden, dtype, 2, wide, what, err) &&
           xr_tensor_alloc(b, &p->inner.dselected, dtype, 2, wide, what, err) &&
           xr_tensor_alloc(b, &p->inner.dhidden, dtype, 2, wide, what, err);
}

bool xr_train_pass_create(XrTrainPass *out, XrTrainState *state, int64_t capacity, XrKeep keep,
                          XrError *err) {
    *out = (XrTrainPass){.state = state};
    bool ok = alloc_rows(out, capacity, err) &&
              xr_language_workspace_create(&out->workspace, state->model, capacity, keep, err);
    if (!ok) xr_train_pass_free(out);
    return ok;
}

// Frees what belongs to one micro-batch.
static void end_batch(XrTrainPass *p) {
    xr_batch_free(&p->inner.batch);
    if (p->inner.vision)
        xr_vision_end(p->inner.vision);
    else
        xr_tensor_free(p->state->model->backend, &p->inner.images);
    p->inner.vision = NULL;
    p->inner.images = (XrTensor){0};
}

void xr_train_pass_free(XrTrainPass *pass) {
    if (!pass->state) return;
    XrBackend *b = pass->state->model->backend;
    end_batch(pass);
    XrTensor *tensors[] = {&pass->inner.index,    &pass->inner.targets, &pass->inner.logprob,
                           &pass->inner.entropy,  &pass->inner.best,    &pass->inner.lse,
                           &pass->inner.dlogprob, &pass->inner.hidden,  &pass->inner.dselected,
                           &pass->inner.dhidden};
    for (size_t i = 0; i < XR_COUNT(tensors); i++) xr_tensor_free(b, tensors[i]);
    xr_language_workspace_free(pass->workspace);
    *pass = (XrTrainPass){0};
}

// All pictures of a micro-batch, one after the other.
typedef struct Pictures {
    float *values;
    XrImageGrid *grids;
    int count;
} Pictures;

static bool collect_pictures(Pictures *out, const XrTrainSequence *sequences, int count,
                             XrError *err) {
    int64_t values = 0, pictures = 0;
    *out = (Pictures){0};
    for (int i = 0; i < count; i++) {
        const XrPixels *pixels = sequences[i].pixels;
        if (!pixels) continue;
        values += pixels->rows * pixels->columns;
        pictures += pixels->count;
    }
    if (!pictures) return true;
    out->values = xr_try_alloc(sizeof(float) * (size_t)values, "pictures", err);
    if (!out->values) return false;
    out->grids = xr_malloc(sizeof(XrImageGrid) * (size_t)pictures);
    float *at = out->values;
    for (int i = 0; i < count; i++) {
        const XrPixels *pixels = sequences[i].pixels;
        if (!pixels || !pixels->count) continue;
        size_t some = (size_t)(pixels->rows * pixels->columns);
        memcpy(at, pixels->values, sizeof(float) * some);
        memcpy(out->grids + out->count, pixels->grids, sizeof(XrImageGrid) * (size_t)pixels->count);
        at += some;
        out->count += (int)pixels->count;
    }
    return true;
}

static bool vision_trained(const XrTrainState *s) {
    return s->model->config.has_vision && s->trained[0];
}

// Leaves the pictures' rows in inner.images, and in inner.vision what a backward pass needs.
static bool see_pictures(XrTrainPass *p, const XrTrainSequence *sequences, int count,
                         XrError *err) {
    const XrModel *model = p->state->model;
    Pictures pictures;
    bool ok = collect_pictures(&pictures, sequences, count, err);
    if (ok && pictures.count && !model->config.has_vision) {
        ok = xr_fail(err, XR_ERR_INPUT, "there are pictures, but the model is for text only");
    } else if (ok && pictures.count && vision_trained(p->state)) {
        ok = xr_vision_begin(&p->inner.vision, model, pictures.values, pictures.grids,
                             pictures.count, true, NULL, err);
        if (ok) p->inner.images = xr_vision_result(p->inner.vision);
    } else if (ok && pictures.count) {
        ok = xr_vision_forward(model, &p->inner.images, pictures.values, pictures.grids,
                               pictures.count, NULL, err);
    }
    free(pictures.values);
    free(pictures.grids);
    return ok;
}

static bool make_batch(XrTrainPass *p, const XrTrainSequence *sequences, int count, XrError *err) {
    XrPackedSequence *packed = xr_calloc((size_t)count, sizeof *packed);
    for (int i = 0; i < count; i++) {
        const XrPixels *pixels = sequences[i].pixels;
        packed[i] = (XrPackedSequence){.ids = sequences[i].ids, .count = sequences[i].count};
        if (!pixels) continue;
        packed[i].grids = pixels->grids;
        packed[i].grid_count = (int)pixels->count;
    }
    bool ok = xr_batch_create(&p->inner.batch, p->state->model, packed, count,
                              p->inner.images.data ? &p->inner.images : NULL, err);
    free(packed);
    return ok;
}

// The first `rows` of each tensor, for the caller and for the operations.
static void take_rows(XrTrainPass *p, int64_t rows) {
    p->rows = rows;
    p->logprob = xr_rows(&p->inner.logprob, 0, rows);
    p->entropy = xr_rows(&p->inner.entropy, 0, rows);
    p->best = xr_rows(&p->inner.best, 0, rows);
    p->dlogprob = xr_rows(&p->inner.dlogprob, 0, rows);
}

static bool targets_fit(const XrTrainBatch *batch, int64_t vocab, XrError *err) {
    for (int64_t i = 0; i < batch->row_count; i++) {
        if (batch->targets[i] >= 0 && batch->targets[i] < vocab) continue;
        return xr_fail(err, XR_ERR_INPUT, "token %d is trained on, but the model has %lld ids",
                       batch->targets[i], (long long)vocab);
    }
    return true;
}

// All layers; leaves the rows that have a target in inner.hidden.
static bool forward(XrTrainPass *p, const XrTrainBatch *batch, XrError *err) {
    const XrModel *model = p->state->model;
    XrBackend *b = model->backend;
    end_batch(p);
    take_rows(p, batch->row_count);
    if (!see_pictures(p, batch->sequences, batch->count, err) ||
        !make_batch(p, batch->sequences, batch->count, err)) {
        return false;
    }
    XR_REQUIRE(p->inner.batch.input.tokens <= p->workspace->capacity,
               "a micro-batch of %lld tokens in memory for %lld",
               (long long)p->inner.batch.input.tokens, (long long)p->workspace->capacity);
    if (!targets_fit(batch, model->config.vocab, err)) return false;
    XrTensor hidden = xr_language_forward(p->workspace, &p->inner.batch.input, NULL);
    XrTensor index = xr_rows(&p->inner.index, 0, p->rows);
    XrTensor target = xr_rows(&p->inner.targets, 0, p->rows);
    XrTensor selected = xr_rows(&p->inner.hidden, 0, p->rows);
    xr_upload(b, &index, batch->rows);
    xr_upload(b, &target, batch->targets);
    xr_gather_rows(b, &selected, &hidden, &index);
    return true;
}

// Rows [first, first + count) of what the head's operations work on.
typedef struct HeadRows {
    XrTensor logprob, entropy, best, lse, dlogprob, hidden, dhidden, targets;
} HeadRows;

static HeadRows head_rows(const XrTrainPass *p, int64_t first, int64_t count) {
    HeadRows r = {.logprob = xr_rows(&p->inner.logprob, first, count),
                  .entropy = xr_rows(&p->inner.entropy, first, count),
                  .best = xr_rows(&p->inner.best, first, count),
                  .lse = xr_rows(&p->inner.lse, first, count),
                  .dlogprob = xr_rows(&p->inner.dlogprob, first, count),
                  .hidden = xr_rows(&p->inner.hidden, first, count),
                  .dhidden = xr_rows(&p->inner.dselected, first, count),
                  .targets = xr_rows(&p->inner.targets, first, count)};
    return r;
}

static void predict(const XrTrainPass *p, const XrTrainBatch *batch, const HeadRows *r,
                    const XrTensor *logits) {
    const XrModel *model = p->state->model;
    xr_logprob(model->backend, &r->logprob, batch->metrics ? &r->entropy : NULL,
               batch->metrics ? &r->best : NULL, &r->lse, logits, &r->hidden,
               xr_model_parameter(model, XR_HEAD, 0), &r->targets, batch->temperature);
}

bool xr_train_pass_evaluate(XrTrainPass *p, const XrTrainBatch *batch, XrError *err) {
    if (!forward(p, batch, err)) return false;
    HeadRows all = head_rows(p, 0, p->rows);
    predict(p, batch, &all, NULL);
    return true;
}

// Where logits of some rows lie at a time. What they fill of gradients is zeroed after them.
typedef struct LogitsRoom {
    XrTensor logits; // [rows, vocab]
    bool borrowed;
} LogitsRoom;

// Of a step's first micro-batch, in the memory of gradients that are still zero, if that is enough,
// so that the step needs no other: on the CPU memory that is never written takes no space.
static LogitsRoom room_for_logits(const XrTrainPass *p, int64_t rows) {
    int64_t vocab = p->state->model->config.vocab;
    XrTensor spare = xr_gradients_spare(&p->state->gradients, XR_HEAD, 0);
    if (xr_numel(&spare) < rows * vocab) return (LogitsRoom){p->workspace->logits, false};
    return (LogitsRoom){xr_tensor2(XR_F32, spare.data, rows, vocab), true};
}

// The head forward and backward, in `parts` of equal size.
static bool learn_parts(XrTrainPass *p, const XrTrainBatch *batch, XrTrainObjective *objective,
                        void *context, int64_t parts, const XrTensor *room, XrError *err) {
    const XrModel *model = p->state->model;
    const XrTensor *head = xr_model_parameter(model, XR_HEAD, 0);
    XrTensor dhead = xr_parameter_gradient(&p->state->gradients, XR_HEAD, 0);
    for (int64_t i = 0; i < parts; i++) {
        int64_t first = p->rows * i / parts, count = p->rows * (i + 1) / parts - first;
        HeadRows r = head_rows(p, first, count);
        XrTensor logits = xr_rows(room, 0, count);
        predict(p, batch, &r, &logits);
        if (!objective(context, p, first, count, err)) return false;
        xr_logprob_backward(model->backend, &r.dhidden, dhead.data ? &dhead : NULL, &r.dlogprob,
                            &logits, &r.hidden, head, &r.targets, &r.lse, batch->temperature);
    }
    return true;
}

static bool learn_head(XrTrainPass *p, const XrTrainBatch *batch, XrTrainObjective *objective,
                       void *context, XrError *err) {
    XrBackend *b = p->state->model->backend;
    int64_t most = p->workspace->logits.shape[0], parts = (p->rows + most - 1) / most;
    LogitsRoom room = room_for_logits(p, parts ? (p->rows + parts - 1) / parts : 0);
    p->state->gradients.zero = false;
    bool ok = learn_parts(p, batch, objective, context, parts, &room.logits, err);
    if (room.borrowed) b->zero(b, room.logits.data, xr_nbytes(&room.logits));
    return ok;
}

static bool learn_layers(XrTrainPass *p, XrError *err) {
    const XrGradients *gradients = &p->state->gradients;
    XrBackend *b = p->state->model->backend;
    const XrLanguageInput *input = &p->inner.batch.input;
    XrTensor dimages = {0};
    if (p->inner.vision && !xr_tensor_alloc(b, &dimages, p->inner.images.dtype, 2,
                                            p->inner.images.shape, "gradients of pictures", err)) {
        return false;
    }
    XrTensor index = xr_rows(&p->inner.index, 0, p->rows);
    XrTensor dselected = xr_rows(&p->inner.dselected, 0, p->rows);
    XrTensor dhidden = xr_rows(&p->inner.dhidden, 0, input->tokens);
    b->zero(b, dhidden.data, xr_nbytes(&dhidden));
    xr_scatter_rows(b, &dhidden, &dselected, &index);
    xr_language_backward(p->workspace, input, &dhidden, gradients,
                         p->inner.vision ? &dimages : NULL);
    if (p->inner.vision) xr_vision_backward(p->inner.vision, &dimages, gradients);
    xr_tensor_free(b, &dimages);
    end_batch(p);
    return true;
}

bool xr_train_pass_learn(XrTrainPass *p, const XrTrainBatch *batch, XrTrainObjective *objective,
                         void *context, XrError *err) {
    return forward(p, batch, err) && learn_head(p, batch, objective, context, err) &&
           learn_layers(p, err);
}

bool xr_train_given(void *context, XrTrainPass *p, int64_t first, int64_t count, XrError *err) {
    const float *gradient = context;
    XrTensor dlogprob = xr_rows(&p->dlogprob, first, count);
    xr_upload(p->state->model->backend, &dlogprob, gradient + first);
    return true;
}
