// What a training run changes: the trained parameters, their gradients and AdamW's moments. They are
// flat f32 tensors in the order of the parameter table, so that each layer is one piece: gathered
// before it is used and reduced after, by the communicator.
#ifndef XR_TRAIN_STATE_H
#define XR_TRAIN_STATE_H

#include "shared/comm/comm.h"
#include "shared/model/gradients.h"

typedef struct XrTrainState {
    XrModel *model;
    XrComm *comm;
    bool *trained;          // of each parameter of the table
    XrTensor values;        // f32 [elements]: the model's trained parameters point into it
    XrTensor first, second; // AdamW's moments
    XrGradients gradients;
    int64_t elements;
    int64_t step;    // optimiser steps made
    int64_t skipped; // steps left out for a gradient norm that was not finite
} XrTrainState;

typedef struct XrAdamWSettings {
    double beta1, beta2, epsilon, weight_decay, max_grad_norm; // max_grad_norm 0: no clipping
} XrAdamWSettings;

// Makes the language model, and with `vision` the tower and merger too, trainable: their parameters
// become f32 copies, the others stay as stored. The model must outlive the state.
bool xr_train_state_create(XrTrainState *out, XrModel *model, XrComm *comm, bool vision, XrError *err);
void xr_train_state_free(XrTrainState *state);

// One AdamW step (Loshchilov and Hutter, "Decoupled weight decay regularization", algorithm 2) with
// the gradients that have been added up, which are zeroed. *grad_norm receives their global norm
// before clipping. A step whose norm is not finite changes nothing and is counted in `skipped`.
bool xr_train_step(XrTrainState *state, const XrAdamWSettings *settings, double learning_rate,
                   double *grad_norm, XrError *err);

#endif
