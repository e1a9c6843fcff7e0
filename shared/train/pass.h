// One micro-batch through the model and back: whole sequences, packed without attention from one to
// another, log-probabilities of the tokens that are trained on, and the gradients that follow from
// theirs.
//
//   xr_train_pass_create(&pass, &state, most_tokens, keep, &err)
//   xr_train_pass_forward(&pass, sequences, count, rows, targets, row_count, 1, true, &err)
//   ... from pass.logprob (and pass.entropy, pass.best) fill pass.dlogprob ...
//   xr_train_pass_backward(&pass, &err)
//   ... more micro-batches ...
//   xr_train_step(&state, ...)
#ifndef XR_TRAIN_PASS_H
#define XR_TRAIN_PASS_H

#include "shared/image/preprocess.h"
#include "shared/model/batch.h"
#include "shared/model/vision.h"
#include "shared/train/state.h"

// One sequence on the host. Each run of image tokens is one of its pictures, in order.
typedef struct XrTrainSequence {
    const int32_t *ids;
    int64_t count;
    const XrPixels *pixels; // NULL: no pictures
} XrTrainSequence;

typedef struct XrTrainPass {
    XrTrainState *state; // not owned
    XrLanguageWorkspace *workspace;
    int64_t rows; // of the last forward pass; the tensors below are that long, in backend memory
    XrTensor logprob, entropy, dlogprob; // f32 [rows]
    XrTensor best;                       // i32 [rows]
    // What the backward pass needs.
    struct {
        XrTensor index, targets, best;            // i32 [capacity]
        XrTensor logprob, entropy, lse, dlogprob; // f32 [capacity]
        XrTensor hidden, dselected, dhidden;      // f32 [capacity, hidden]
        XrBatch batch;
        XrVisionPass *vision;
        XrTensor images;
        float temperature;
    } inner;
} XrTrainPass;

// Memory for micro-batches of up to `capacity` tokens; nothing else is allocated later but for
// pictures. `keep` is XR_KEEP_INPUTS (checkpointing) or XR_KEEP_ALL.
bool xr_train_pass_create(XrTrainPass *out, XrTrainState *state, int64_t capacity, XrKeep keep,
                          XrError *err);
void xr_train_pass_free(XrTrainPass *pass);

// pass->logprob[i] = log-probability of token targets[i] (>= 0) after the token in row rows[i] of
// the packed sequences, of logits divided by `temperature`. With `metrics` also pass->entropy[i] of
// that distribution, and pass->best[i], its most probable token. rows are distinct. Fails on
// sequences that the model cannot take.
bool xr_train_pass_forward(XrTrainPass *pass, const XrTrainSequence *sequences, int count,
                           const int32_t *rows, const int32_t *targets, int64_t row_count,
                           float temperature, bool metrics, XrError *err);

// Adds to the state's gradients, given pass->dlogprob, the derivative of the loss by each
// log-probability. Once after each forward pass, or not at all.
bool xr_train_pass_backward(XrTrainPass *pass, XrError *err);

#endif
