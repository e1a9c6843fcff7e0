#include "shared/model/language.h"

#include "shared/base/memory.h"

#include <stdlib.h>

static void layout(void *context, XrArena *arena) {
    XrLanguageWorkspace *ws = context;
    const XrConfig *c = &ws->model->config;
    XrBlockShape shape = xr_layer_shape(c);
    ws->cos = xr_arena_2d(arena, XR_F32, ws->capacity, c->head_dim / 2);
    ws->sin = xr_arena_2d(arena, XR_F32, ws->capacity, c->head_dim / 2);
    ws->hidden = xr_arena_2d(arena, ws->dtype, ws->capacity, c->hidden);
    if (ws->keep) {
        ws->last_rstd = xr_arena_1d(arena, XR_F32, ws->capacity);
        ws->out = xr_arena_2d(arena, ws->dtype, ws->capacity, c->hidden);
    }
    for (int64_t i = 0; i < (ws->keep ? c->layers : 1); i++) {
        xr_block_place(&ws->layers[i], arena, &shape, ws->capacity, ws->dtype, ws->keep);
    }
    if (!ws->keep) ws->out = ws->layers[0].x;
}

bool xr_language_workspace_create(XrLanguageWorkspace **out, const XrModel *model, int64_t capacity,
                                  bool keep, XrError *err) {
    XrLanguageWorkspace *ws = xr_calloc(1, sizeof *ws);
    size_t layers = (size_t)model->config.layers;
    *ws =
        (XrLanguageWorkspace){.model = model, .capacity = capacity, .dtype = XR_F32, .keep = keep};
    ws->layers = xr_calloc(keep ? layers : 1, sizeof *ws->layers);
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

XrTensor xr_language_forward(XrLanguageWorkspace *ws, const XrLanguageInput *in,
                             const XrObserver *observer) {
    const XrModel *m = ws->model;
    XrBackend *b = m->backend;
    int64_t tokens = in->tokens;
    XR_REQUIRE(tokens <= ws->capacity, "%lld tokens in a workspace for %lld", (long long)tokens,
               (long long)ws->capacity);
    XrBlockShape shape = xr_layer_shape(&m->config);
    XrBlockInput block = {.cos = xr_rows(&ws->cos, 0, tokens),
                          .sin = xr_rows(&ws->sin, 0, tokens),
                          .segments = in->segments,
                          .slots = &in->slots,
                          .tables = in->tables};
    xr_rope_table(b, &block.cos, &block.sin, &in->positions, &m->rotary.inv_freq, &m->rotary.axis);
    XrBlockActs acts = xr_block_rows(&ws->layers[0], tokens);
    XrTensor x = acts.x, delta = {0};
    xr_embedding(b, &x, xr_model_parameter(m, XR_EMBED, 0), &in->ids);
    if (in->images.data) xr_scatter_rows(b, &x, &in->images, &in->image_rows);
    xr_observe(observer, &x, "embed");
    for (int64_t i = 0; i < m->config.layers; i++) {
        if (ws->keep) acts = xr_block_rows(&ws->layers[i], tokens);
        block.cache = in->caches ? &in->caches[i] : NULL;
        xr_block_forward(b, &shape, &ws->weights[i], &acts, &x, i ? &delta : NULL, &block);
        if (i) xr_observe(observer, &acts.x, "layer.%lld", (long long)i - 1);
        x = acts.mid;
        delta = acts.delta2;
    }
    XrTensor hidden = xr_rows(&ws->hidden, 0, tokens), out = xr_rows(&ws->out, 0, tokens);
    XrTensor rstd = ws->keep ? xr_rows(&ws->last_rstd, 0, tokens) : (XrTensor){0};
    xr_add_rmsnorm(b, &hidden, &out, ws->keep ? &rstd : NULL, &x, &delta,
                   xr_model_parameter(m, XR_FINAL_NORM, 0), shape.eps);
    xr_observe(observer, &out, "layer.%lld", (long long)m->config.layers - 1);
    xr_observe(observer, &hidden, "norm");
    return hidden;
}

void xr_language_logits(const XrModel *model, const XrTensor *logits, const XrTensor *hidden) {
    xr_linear(model->backend, logits, hidden, xr_model_parameter(model, XR_HEAD, 0), NULL);
}
