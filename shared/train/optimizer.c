// One step of the optimiser over all pieces: reduce, norm, clip, AdamW, gather.
#include "shared/base/memory.h"
#include "shared/train/state.h"

#include <math.h>

static bool reduce_gradients(XrTrainState *s, XrError *err) {
    XrBackend *b = s->model->backend;
    for (int i = 0; i < s->piece_count; i++) {
        const XrTrainPiece *p = &s->pieces[i];
        XrTensor whole = xr_rows(&s->gradients.flat, p->begin, p->count);
        XrTensor own = xr_rows(&s->gradients.flat, p->own_begin, p->own_count);
        if (!s->comm->reduce_scatter(s->comm, b, &own, &whole, err)) return false;
    }
    return true;
}

// The sum of squares of all gradients, on all ranks.
static bool squared_norm(XrTrainState *s, double *out, XrError *err) {
    XrBackend *b = s->model->backend;
    XrTensor sum;
    if (!xr_tensor_alloc(b, &sum, XR_F64, 1, (int64_t[]){1}, "a norm", err)) return false;
    b->zero(b, sum.data, sizeof(double));
    for (int i = 0; i < s->piece_count; i++) {
        const XrTrainPiece *p = &s->pieces[i];
        XrTensor own = xr_rows(&s->gradients.flat, p->own_begin, p->own_count);
        xr_squared_norm(b, &sum, &own);
    }
    xr_download(b, out, &sum);
    xr_tensor_free(b, &sum);
    return s->comm->sum_f64(s->comm, out, 1, err);
}

// Steps the elements [begin, begin + count) of the flat tensors, a part of one parameter.
static void step_elements(XrTrainState *s, const XrTrainPiece *piece, int index, int64_t begin,
                          int64_t count, const XrAdamW *adamw) {
    int64_t moment = piece->moment_begin + begin - piece->own_begin;
    XrTensor value = xr_rows(&s->values, begin, count);
    XrTensor first = xr_rows(&s->first, moment, count), second = xr_rows(&s->second, moment, count);
    XrTensor gradient = xr_rows(&s->gradients.flat, begin, count), rounded;
    if (s->rounded.data) {
        int64_t within = begin - s->begin[index];
        rounded = xr_rows(&s->rounded, s->rounded_begin[index] + within, count);
    }
    xr_adamw(s->model->backend, &value, &first, &second, s->rounded.data ? &rounded : NULL,
             &gradient, *adamw);
    xr_train_release(s, &value);
    xr_train_release(s, &first);
    xr_train_release(s, &second);
}

// Steps what this rank owns of a parameter; biases and norms do not decay.
static void step_parameter(XrTrainState *s, const XrTrainPiece *piece, int index, XrAdamW adamw) {
    const XrParameter *p = &s->model->table.items[index];
    int64_t begin = XR_MAX(s->begin[index], piece->own_begin);
    int64_t end =
        XR_MIN(s->begin[index] + xr_parameter_elements(p), piece->own_begin + piece->own_count);
    if (!p->decay) adamw.weight_decay = 0;
    int64_t grain = s->offloaded ? s->model->backend->offload_grain : 0;
    int64_t most = grain ? grain / (int64_t)sizeof(float) : XR_MAX(end - begin, 1);
    for (; begin < end; begin += most) {
        step_elements(s, piece, index, begin, XR_MIN(most, end - begin), &adamw);
    }
}

void xr_train_round(XrTrainState *s) {
    for (int i = 0; s->rounded.data && i < s->model->table.count; i++) {
        if (!s->trained[i]) continue;
        int64_t count = xr_parameter_elements(&s->model->table.items[i]);
        XrTensor value = xr_rows(&s->values, s->begin[i], count);
        XrTensor rounded = xr_rows(&s->rounded, s->rounded_begin[i], count);
        xr_round_bf16(s->model->backend, &rounded, &value);
        xr_train_release(s, &value);
    }
}

static bool gather_values(XrTrainState *s, XrError *err) {
    XrBackend *b = s->model->backend;
    for (int i = 0; i < s->piece_count; i++) {
        const XrTrainPiece *p = &s->pieces[i];
        XrTensor whole = xr_rows(&s->values, p->begin, p->count);
        XrTensor own = xr_rows(&s->values, p->own_begin, p->own_count);
        if (!s->comm->gather(s->comm, b, &whole, &own, err)) return false;
    }
    return true;
}

bool xr_train_gather(XrTrainState *s, XrError *err) {
    if (!gather_values(s, err)) return false;
    xr_train_round(s);
    return true;
}

bool xr_train_step(XrTrainState *s, const XrAdamWSettings *settings, double learning_rate,
                   double *grad_norm, XrError *err) {
    double square = 0;
    if (!reduce_gradients(s, err) || !squared_norm(s, &square, err)) return false;
    double norm = sqrt(square), scale = 1;
    *grad_norm = norm;
    if (settings->max_grad_norm > 0) scale = fmin(1, settings->max_grad_norm / (norm + 1e-6));
    if (!isfinite(norm)) {
        s->skipped++;
    } else {
        s->step++;
        XrAdamW adamw = {.lr = learning_rate,
                         .beta1 = settings->beta1,
                         .beta2 = settings->beta2,
                         .eps = settings->epsilon,
                         .weight_decay = settings->weight_decay,
                         .grad_scale = scale,
                         .step = s->step};
        for (int i = 0; i < s->piece_count; i++) {
            const XrTrainPiece *p = &s->pieces[i];
            for (int k = 0; k < p->parameters; k++) step_parameter(s, p, p->first + k, adamw);
        }
        if (!gather_values(s, err)) return false;
        if (s->comm->size > 1) xr_train_round(s); // what is this rank's is rounded already
    }
    xr_gradients_zero(&s->gradients);
    return true;
}
