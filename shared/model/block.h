// A transformer block: x += o(attention(norm1 x)); x += down(silu(gate(norm2 x)) up(norm2 x)).
// The vision tower's blocks and the language model's layers are the same code with other weights.
#ifndef XR_MODEL_BLOCK_H
#define XR_MODEL_BLOCK_H

#include "shared/model/arena.h"
#include "shared/model/gradients.h"
#include "shared/model/model.h"

typedef struct XrBlockShape {
    int64_t hidden, intermediate;
    XrHeads heads;
    float eps;
} XrBlockShape;

// Weights as views into the model's parameters; a bias without data is none.
typedef struct XrBlockWeights {
    XrTensor norm1, q, q_bias, k, k_bias, v, v_bias, o, o_bias;
    XrTensor norm2, gate, gate_bias, up, up_bias, down, down_bias;
} XrBlockWeights;

// What a block computes, T rows each. Kept for a backward pass, but for norm1, norm2 and h, which
// that makes again, and delta1 and delta2, which it does not need: one piece of memory for all
// blocks. If nothing is kept, tensors share memory as soon as they are no longer needed, and there
// are no statistics.
typedef struct XrBlockActs {
    XrTensor x;            // [T, hidden] the residual stream that enters
    XrTensor norm1, rstd1; // [T, hidden], [T]
    XrTensor q, k, v;      // [T, heads*head_dim], [T, kv_heads*head_dim] twice; rotated
    XrTensor att, lse;     // [T, heads*head_dim], [T, heads]
    XrTensor delta1;       // [T, hidden] what attention adds
    XrTensor mid;          // [T, hidden] x + delta1
    XrTensor norm2, rstd2;
    XrTensor gate, up, h; // [T, intermediate]; h = silu(gate) up
    XrTensor delta2;      // [T, hidden] what the MLP adds
} XrBlockActs;

// What the tokens of a batch have in common in every block.
typedef struct XrBlockInput {
    XrTensor cos, sin; // [T, head_dim/2]
    XrSegments segments;
    // With a cache, keys and values are stored in it under `slots` i32 [T], and attention reads
    // them back from there; without (NULL), attention is among the batch's own tokens.
    const XrKvCache *cache;
    const XrTensor *slots;
    XrPageTables tables;
    // Sees the residual stream that enters block `index` as "<stage>.<index - 1>"; NULL: nobody.
    const XrObserver *observer;
    const char *stage;
    int64_t index;
    bool again; // the block has run before: its result, and what leads to it alone, are not wanted
} XrBlockInput;

XrBlockShape xr_layer_shape(const XrConfig *config);
XrBlockShape xr_vision_block_shape(const XrVisionConfig *vision);
XrBlockWeights xr_layer_weights(const XrModel *model, int64_t layer);
XrBlockWeights xr_vision_block_weights(const XrModel *model, int64_t block);

// Places the activations of a block for `tokens` rows. `first` are those of the first of the
// blocks, which share memory with them; NULL for itself.
void xr_block_place(XrBlockActs *acts, XrArena *arena, const XrBlockShape *shape, int64_t tokens,
                    XrDType dtype, bool keep, const XrBlockActs *first);
// The first `tokens` rows of all of them.
XrBlockActs xr_block_rows(const XrBlockActs *acts, int64_t tokens);

// Runs a block on x (+ delta, unless that is NULL): acts->x receives their sum. The block's result
// is acts->mid + acts->delta2, which the next block's norm adds up.
void xr_block_forward(XrBackend *b, const XrBlockShape *shape, const XrBlockWeights *weights,
                      const XrBlockActs *acts, const XrTensor *x, const XrTensor *delta,
                      const XrBlockInput *input);

// Gradients of a block's weights, views like XrBlockWeights; without data: not wanted.
XrBlockWeights xr_layer_gradients(const XrGradients *gradients, int64_t layer);
XrBlockWeights xr_vision_block_gradients(const XrGradients *gradients, int64_t block);

// Memory for the gradients inside a block, one for all blocks.
typedef struct XrBlockGrads {
    XrTensor
        stream;    // [T, hidden] gradient of the residual stream: of the output, then of the input
    XrTensor norm; // [T, hidden]
    XrTensor att, q, k, v;
    XrTensor h, gate, up;
} XrBlockGrads;

void xr_block_grads_place(XrBlockGrads *grads, XrArena *arena, const XrBlockShape *shape,
                          int64_t tokens, XrDType dtype);
XrBlockGrads xr_block_grads_rows(const XrBlockGrads *grads, int64_t tokens);

// Backward of xr_block_forward without a cache, from activations that were kept. grads->stream
// holds the gradient of acts->mid + acts->delta2 and is replaced by that of acts->x.
void xr_block_backward(XrBackend *b, const XrBlockShape *shape, const XrBlockWeights *weights,
                       const XrBlockWeights *weight_gradients, const XrBlockActs *acts,
                       const XrBlockGrads *grads, const XrBlockInput *input);

#endif
