// The language model: embedding with pictures put in their places, layers, final norm, head.
#ifndef XR_MODEL_LANGUAGE_H
#define XR_MODEL_LANGUAGE_H

#include "shared/model/block.h"

// A ragged batch, in the backend's memory.
typedef struct XrLanguageInput {
    int64_t tokens;     // T
    XrTensor ids;       // i32 [T]; negative where a picture's row comes
    XrTensor positions; // i32 [3, T]
    XrSegments segments;
    // Rows of pictures: images [M, hidden] replace the rows image_rows i32 [M]; no data: none.
    XrTensor images, image_rows;
    // One cache a layer, or NULL for attention among the batch's tokens alone; see XrBlockInput.
    const XrKvCache *caches;
    XrTensor slots;
    XrPageTables tables;
} XrLanguageInput;

// What a forward pass leaves behind for a backward pass.
typedef enum XrKeep {
    XR_KEEP_NOTHING,
    XR_KEEP_INPUTS, // of each block: the backward pass computes the rest again (checkpointing)
    XR_KEEP_ALL,
} XrKeep;

// Bytes of logits that exist at a time while gradients are made: the fewer, the more often the head
// and its gradient are read.
enum { XR_LOGITS_BYTES = 256 << 20 };

// Memory for batches of up to `capacity` tokens.
typedef struct XrLanguageWorkspace {
    const XrModel *model;
    XrArena arena;
    int64_t capacity;
    XrDType dtype;
    XrTensor cos, sin;  // f32 [capacity, head_dim/2]
    XrTensor hidden;    // [capacity, hidden] after the final norm
    XrTensor out;       // [capacity, hidden] the residual stream after the last layer
    XrTensor last_rstd; // f32 [capacity], unless nothing is kept
    XrKeep keep;
    XrBlockActs *layers;     // of each layer; they share what is not kept
    XrBlockWeights *weights; // of each layer
    XrBlockGrads grads;      // unless nothing is kept
    // f32 [rows, vocab], unless nothing is kept: memory for logits of some of a batch's rows,
    // shared with `grads`, which a backward pass needs after the head's.
    XrTensor logits;
} XrLanguageWorkspace;

bool xr_language_workspace_create(XrLanguageWorkspace **out, const XrModel *model, int64_t capacity,
                                  XrKeep keep, XrError *err);
void xr_language_workspace_free(XrLanguageWorkspace *workspace);

// Runs all layers; returns the hidden states after the final norm, [tokens, hidden] in the
// workspace, valid until the next call. `observer` may be NULL; it sees "inputs_embeds", "layers.I"
// (the residual stream after layer I) and "norm".
XrTensor xr_language_forward(XrLanguageWorkspace *workspace, const XrLanguageInput *input,
                             const XrObserver *observer);

// Backward of the last xr_language_forward, which was without a cache. `dhidden` [tokens, hidden]
// is the gradient of what that returned. Gradients of the weights are added to `gradients` where
// wanted. dimages [M, hidden] receives the gradient of the pictures' rows, unless NULL.
void xr_language_backward(XrLanguageWorkspace *workspace, const XrLanguageInput *input,
                          const XrTensor *dhidden, const XrGradients *gradients,
                          const XrTensor *dimages);

// logits [rows, vocab] f32 = hidden head^T.
void xr_language_logits(const XrModel *model, const XrTensor *logits, const XrTensor *hidden);

#endif
