#include "shared/model/language.h"

#include "shared/base/memory.h"

#include <stdlib.h>

// A layer's activations of its own, or all of the first layer's but for the input that is kept.
static void place_layer(XrLanguageWorkspace *ws, XrArena *arena, const XrBlockShape *shape,
                        int64_t layer) {
    XrBlockActs *acts = &ws->layers[layer];
    if (layer == 0 || ws->keep == XR_KEEP_ALL) {
        xr_block_place(acts, arena, shape, ws->capacity, ws->dtype, ws->keep != XR_KEEP_NOTHING,
                       layer ? &ws->layers[0] : NULL);
        return;
    }
    *acts = ws->layers[0];
    if (ws->keep == XR_KEEP_INPUTS) {
        acts->x = xr_arena_2d(arena, ws->dtype, ws->capacity, shape->hidden);
    }
}

static void layout(void *context, XrArena *arena) {
    XrLanguageWorkspace *ws = context;
    const XrConfig *c = &ws->model->config;
    XrBlockShape shape = xr_layer_shape(c);
    ws->cos = xr_arena_2d(arena, XR_F32, ws->capacity, c->head_dim / 2);
    ws->sin = xr_arena_2d(arena, XR_F32, ws->capacity, c->head_dim / 2);
    ws->hidden = xr_arena_2d(arena, ws->dtype, ws->capacity, c->hidden);
    for (int64_t i = 0; i < c->layers; i++) place_layer(ws, arena, &shape, i);
    if (ws->keep == XR_KEEP_NOTHING) {
        ws->out = ws->layers[0].x;
        return;
    }
    ws->last_rstd = xr_arena_1d(arena, XR_F32, ws->capacity);
    ws->out = xr_arena_2d(arena, ws->dtype, ws->capacity, c->hidden);
    size_t mark = arena->used;
    xr_block_grads_place(&ws->grads, arena, &shape, ws->capacity, ws->dtype);
    size_t end = arena->used;
    arena->used = mark;
    int64_t rows = XR_LOGITS_BYTES / (int64_t)sizeof(float) / c->vocab;
    ws->logits = xr_arena_2d(arena, XR_F32, XR_MAX(1, XR_MIN(rows, ws->capacity)), c->vocab);
    arena->used = XR_MAX(arena->used, end);
}

bool xr_language_workspace_create(XrLanguageWorkspace **out, const XrModel *model, int64_t capacity,
                                  XrKeep keep, XrError *err) {
    XrLanguageWorkspace *ws = xr_calloc(1, sizeof *ws);
    size_t layers = (size_t)model->config.layers;
    *ws = (XrLanguageWorkspace){
        .model = model, .capacity = capacity, .dtype = model->activations, .keep = keep};
    ws->layers = xr_calloc(layers, sizeof *ws->layers);
    ws->weights = xr_calloc(layers, sizeof *ws->weights);
    for (size_t i = 0; i < layers; i++) ws->weights[i] = xr_layer_weights(model, (int64_t)i);
    *out = ws;
    if (xr_arena_create(&ws->arena, model->backend, layout, ws, "the language model's activations",
                        err)) {
        return true;
    }
    xr_language_workspace_free(ws);
    *out = NULL;
    return false;
}

void xr_language_workspace_free(XrLanguageWorkspace *ws) {
    if (!ws) return;
    if (ws->arena.base) ws->model->backend->free(ws->model->backend, ws->arena.base);
    free(ws->layers);
    free(ws->weights);
    free(ws);
}

// What all layers have in common; fills the rotary tables.
static XrBlockInput block_input(XrLanguageWorkspace *ws, const XrLanguageInput *in) {
    const XrModel *m = ws->model;
    XrBlockInput block = {.cos = xr_rows(&ws->cos, 0, in->tokens),
                          .sin = xr_rows(&ws->sin, 0, in->tokens),
                          .segments = in->segments,
                          .slots = &in->slots,
                          .tables = in->tables};
    xr_rope_table(m->backend, &block.cos, &block.sin, &in->positions, &m->rotary.inv_freq,
                  &m->rotary.axis);
    return block;
}

XrTensor xr_language_forward(XrLanguageWorkspace *ws, const XrLanguageInput *in,
                             const XrObserver *observer) {
    const XrModel *m = ws->model;
    XrBackend *b = m->backend;
    int64_t tokens = in->tokens, layers = m->config.layers;
    XR_REQUIRE(tokens <= ws->capacity, "%lld tokens in a workspace for %lld", (long long)tokens,
               (long long)ws->capacity);
    XrBlockShape shape = xr_layer_shape(&m->config);
    XrBlockInput block = block_input(ws, in);
    block.observer = observer;
    block.stage = "layers";
    XrTensor x = xr_rows(&ws->layers[0].x, 0, tokens), delta = {0};
    xr_embedding(b, &x, xr_model_parameter(m, XR_EMBED, 0), &in->ids);
    if (in->images.data) xr_scatter_rows(b, &x, &in->images, &in->image_rows);
    xr_observe(observer, &x, "inputs_embeds");
    for (int64_t i = 0; i < layers; i++) {
        XrBlockActs acts = xr_block_rows(&ws->layers[i], tokens);
        block.index = i;
        block.cache = in->caches ? &in->caches[i] : NULL;
        xr_block_forward(b, &shape, &ws->weights[i], &acts, &x, i ? &delta : NULL, &block);
        x = acts.mid;
        delta = acts.delta2;
    }
    XrTensor hidden = xr_rows(&ws->hidden, 0, tokens), out = xr_rows(&ws->out, 0, tokens), rstd;
    bool kept = ws->keep != XR_KEEP_NOTHING;
    if (kept) rstd = xr_rows(&ws->last_rstd, 0, tokens);
    xr_add_rmsnorm(b, &hidden, &out, kept ? &rstd : NULL, &x, &delta,
                   xr_model_parameter(m, XR_FINAL_NORM, 0), shape.eps);
    xr_observe(observer, &out, "layers.%lld", (long long)layers - 1);
    xr_observe(observer, &hidden, "norm");
    return hidden;
}

static void embedding_backward(XrBackend *b, const XrLanguageInput *in, const XrTensor *stream,
                               const XrGradients *gradients, const XrTensor *dimages) {
    XrTensor dtable = xr_parameter_gradient(gradients, XR_EMBED, 0);
    if (dtable.data) xr_embedding_backward(b, &dtable, stream, &in->ids);
    if (dimages) xr_gather_rows(b, dimages, stream, &in->image_rows);
}

void xr_language_backward(XrLanguageWorkspace *ws, const XrLanguageInput *in,
                          const XrTensor *dhidden, const XrGradients *gradients,
                          const XrTensor *dimages) {
    const XrModel *m = ws->model;
    XrBackend *b = m->backend;
    int64_t tokens = in->tokens, layers = m->config.layers;
    XR_REQUIRE(ws->keep != XR_KEEP_NOTHING && !in->caches,
               "a backward pass needs a workspace that keeps activations, and no cache");
    XrBlockShape shape = xr_layer_shape(&m->config);
    XrBlockInput block = block_input(ws, in);
    block.again = true;
    XrBlockGrads grads = xr_block_grads_rows(&ws->grads, tokens);
    XrTensor out = xr_rows(&ws->out, 0, tokens), rstd = xr_rows(&ws->last_rstd, 0, tokens);
    XrTensor dnorm = xr_parameter_gradient(gradients, XR_FINAL_NORM, 0);
    xr_rmsnorm_backward(b, &grads.stream, dnorm.data ? &dnorm : NULL, dhidden, NULL, &out,
                        xr_model_parameter(m, XR_FINAL_NORM, 0), &rstd);
    for (int64_t i = layers - 1; i >= 0; i--) {
        XrBlockActs acts = xr_block_rows(&ws->layers[i], tokens);
        // With checkpointing only the last layer's activations are still in the shared memory.
        if (ws->keep == XR_KEEP_INPUTS && i < layers - 1) {
            xr_block_forward(b, &shape, &ws->weights[i], &acts, &acts.x, NULL, &block);
        }
        XrBlockWeights weight_gradients = xr_layer_gradients(gradients, i);
        xr_block_backward(b, &shape, &ws->weights[i], &weight_gradients, &acts, &grads, &block);
    }
    embedding_backward(b, in, &grads.stream, gradients, dimages);
}

void xr_language_logits(const XrModel *model, const XrTensor *logits, const XrTensor *hidden) {
    xr_linear(model->backend, logits, hidden, xr_model_parameter(model, XR_HEAD, 0), NULL);
}
