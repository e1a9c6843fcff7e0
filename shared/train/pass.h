// One micro-batch through the model and back: whole sequences, packed without attention from one to
// another, log-probabilities of the tokens that are trained on, and the gradients that follow from
// theirs.
//
//   xr_train_pass_create(&pass, &state, most_tokens, keep, &err)
//   xr_train_pass_learn(&pass, &batch, objective, context, &err)
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
    } inner;
} XrTrainPass;

// Memory for micro-batches of up to `capacity` tokens; nothing else is allocated later but for
// pictures. `keep` is XR_KEEP_INPUTS (checkpointing) or XR_KEEP_ALL.
bool xr_train_pass_create(XrTrainPass *out, XrTrainState *state, int64_t capacity, XrKeep keep,
                          XrError *err);
void xr_train_pass_free(XrTrainPass *pass);

// A micro-batch on the host. Row rows[i] of the packed sequences is to predict token targets[i]
// (>= 0); rows are distinct.
typedef struct XrTrainBatch {
    const XrTrainSequence *sequences;
    int count;
    const int32_t *rows, *targets; // [row_count]
    int64_t row_count;
    float temperature; // logits are divided by it
    bool metrics;      // entropy and best are wanted
} XrTrainBatch;

// pass->logprob[i] = log-probability of targets[i] after the token in row rows[i]. With `metrics`
// also pass->entropy[i] of that distribution, and pass->best[i], its most probable token. Fails on
// sequences that the model cannot take.
bool xr_train_pass_evaluate(XrTrainPass *pass, const XrTrainBatch *batch, XrError *err);

// Fills pass->dlogprob, the derivative of the loss by each log-probability, for targets [first,
// first + count), whose logprob (and entropy and best) are there.
typedef bool XrTrainObjective(void *context, XrTrainPass *pass, int64_t first, int64_t count,
                              XrError *err);

// As xr_train_pass_evaluate, and adds to the state's gradients those of a loss. `objective` is
// asked for some targets at a time, in order, so that their logits are still there when their
// gradients are made; how many does not depend on the number of threads.
bool xr_train_pass_learn(XrTrainPass *pass, const XrTrainBatch *batch, XrTrainObjective *objective,
                         void *context, XrError *err);
// The objective whose derivatives are at hand: context is a float [row_count] on the host.
XrTrainObjective xr_train_given;

#endif
