// What a training run changes: the trained parameters, their gradients and AdamW's moments. They
// are flat f32 tensors in the order of the parameter table, cut into pieces (a layer, the embedding
// ...) that are reduced after the backward pass and gathered after the step by the communicator. In
// bf16 training the model computes with a rounded copy of the parameters, which every change of
// theirs renews.
#ifndef XR_TRAIN_STATE_H
#define XR_TRAIN_STATE_H

#include "shared/comm/comm.h"
#include "shared/model/gradients.h"

// Parameters that travel together: elements [begin, begin + count) of the flat tensors. This rank
// owns [own_begin, own_begin + own_count) of them, whose moments start at `moment_begin`.
typedef struct XrTrainPiece {
    int first, parameters; // of the parameter table
    int64_t begin, count;
    int64_t own_begin, own_count, moment_begin;
} XrTrainPiece;

typedef struct XrTrainState {
    XrModel *model; // not owned; its trained parameters point into `rounded`, or `values`
    XrComm *comm;   // not owned
    bool *trained;  // of each parameter of the table
    int64_t *begin; // of each parameter in the flat tensors; -1: frozen
    XrTrainPiece *pieces;
    int piece_count;
    XrTensor values;        // f32 [elements]: what is stepped, saved and exported
    XrTensor rounded;       // bf16, in bf16 training: `values` as the passes see them
    int64_t *rounded_begin; // of each parameter there, so that it is aligned to 16 bytes
    XrTensor first, second; // AdamW's moments of what this rank owns
    XrGradients gradients;  // zeroed by every step
    int64_t elements;
    bool offloaded;  // the moments, and in bf16 training `values`, are in memory further away
    int64_t step;    // optimiser steps made
    int64_t skipped; // steps left out for a gradient norm that was not finite
} XrTrainState;

typedef struct XrAdamWSettings {
    double beta1, beta2, epsilon, weight_decay, max_grad_norm; // max_grad_norm 0: no clipping
} XrAdamWSettings;

typedef struct XrTrainStateOptions {
    bool vision; // the vision tower and merger are trained too
    bool bf16;   // the passes compute in bf16 (on a CPU: with weights in bf16)
    // A folder, or NULL: what the optimiser alone uses, the moments and in bf16 training the f32
    // weights, lies in the backend's memory for what is offloaded. Changes no bit of a result.
    const char *offload;
} XrTrainStateOptions;

// Makes the language model, and with `vision` the tower and merger too, trainable: their parameters
// become f32 copies (the memory of the files' pages is given back), the others stay as stored;
// model->activations becomes the type that passes compute in. Make the state before any workspace:
// those look at the model once. Model and communicator must outlive the state; xr_train_state_free
// leaves a model without its trained parameters, which can only be closed.
bool xr_train_state_create(XrTrainState *out, XrModel *model, XrComm *comm,
                           XrTrainStateOptions options, XrError *err);
void xr_train_state_free(XrTrainState *state);

// One AdamW step (Loshchilov and Hutter, "Decoupled weight decay regularization", algorithm 2) with
// the gradients that have been added up on all ranks, which are zeroed. *grad_norm receives their
// global norm before clipping; a longer one than max_grad_norm is shortened by the factor
// max_grad_norm / (norm + 1e-6), as torch.nn.utils.clip_grad_norm_ does. A step whose norm is not
// finite changes nothing and is counted in `skipped`. Fails only when the communicator does.
bool xr_train_step(XrTrainState *state, const XrAdamWSettings *settings, double learning_rate,
                   double *grad_norm, XrError *err);

// Says that a part of `values` or of the moments is not needed soon, which makes room where it is
// offloaded.
void xr_train_release(const XrTrainState *state, const XrTensor *part);

// After values were changed from outside (a loaded checkpoint): every rank gets all of them, and
// the passes see them.
bool xr_train_gather(XrTrainState *state, XrError *err);
// Makes `rounded` of `values`, where there is one.
void xr_train_round(XrTrainState *state);

#endif
