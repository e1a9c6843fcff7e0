#include "shared/base/memory.h"
#include "shared/model/block.h"

XrBlockWeights xr_layer_gradients(const XrGradients *g, int64_t layer) {
    return (XrBlockWeights){
        .norm1 = xr_parameter_gradient(g, XR_LAYER_NORM1, layer),
        .q = xr_parameter_gradient(g, XR_LAYER_Q, layer),
        .q_bias = xr_parameter_gradient(g, XR_LAYER_Q_BIAS, layer),
        .k = xr_parameter_gradient(g, XR_LAYER_K, layer),
        .k_bias = xr_parameter_gradient(g, XR_LAYER_K_BIAS, layer),
        .v = xr_parameter_gradient(g, XR_LAYER_V, layer),
        .v_bias = xr_parameter_gradient(g, XR_LAYER_V_BIAS, layer),
        .o = xr_parameter_gradient(g, XR_LAYER_O, layer),
        .norm2 = xr_parameter_gradient(g, XR_LAYER_NORM2, layer),
        .gate = xr_parameter_gradient(g, XR_LAYER_GATE, layer),
        .up = xr_parameter_gradient(g, XR_LAYER_UP, layer),
        .down = xr_parameter_gradient(g, XR_LAYER_DOWN, layer),
    };
}

XrBlockWeights xr_vision_block_gradients(const XrGradients *g, int64_t block) {
    XrTensor qkv = xr_parameter_gradient(g, XR_VISION_QKV, block);
    XrTensor bias = xr_parameter_gradient(g, XR_VISION_QKV_BIAS, block);
    int64_t hidden = g->model->config.vision.hidden;
    return (XrBlockWeights){
        .norm1 = xr_parameter_gradient(g, XR_VISION_NORM1, block),
        .q = xr_rows(&qkv, 0, hidden),
        .q_bias = xr_rows(&bias, 0, hidden),
        .k = xr_rows(&qkv, hidden, hidden),
        .k_bias = xr_rows(&bias, hidden, hidden),
        .v = xr_rows(&qkv, 2 * hidden, hidden),
        .v_bias = xr_rows(&bias, 2 * hidden, hidden),
        .o = xr_parameter_gradient(g, XR_VISION_PROJ, block),
        .o_bias = xr_parameter_gradient(g, XR_VISION_PROJ_BIAS, block),
        .norm2 = xr_parameter_gradient(g, XR_VISION_NORM2, block),
        .gate = xr_parameter_gradient(g, XR_VISION_GATE, block),
        .gate_bias = xr_parameter_gradient(g, XR_VISION_GATE_BIAS, block),
        .up = xr_parameter_gradient(g, XR_VISION_UP, block),
        .up_bias = xr_parameter_gradient(g, XR_VISION_UP_BIAS, block),
        .down = xr_parameter_gradient(g, XR_VISION_DOWN, block),
        .down_bias = xr_parameter_gradient(g, XR_VISION_DOWN_BIAS, block),
    };
}

void xr_block_grads_place(XrBlockGrads *g, XrArena *arena, const XrBlockShape *s, int64_t tokens,
                          XrDType dtype) {
    int64_t width = (int64_t)s->heads.heads * s->heads.head_dim;
    int64_t kv_width = (int64_t)s->heads.kv_heads * s->heads.head_dim;
    g->stream = xr_arena_2d(arena, dtype, tokens, s->hidden);
    g->norm = xr_arena_2d(arena, dtype, tokens, s->hidden);
    g->att = xr_arena_2d(arena, dtype, tokens, width);
    g->q = xr_arena_2d(arena, dtype, tokens, width);
    g->k = xr_arena_2d(arena, dtype, tokens, kv_width);
    g->v = xr_arena_2d(arena, dtype, tokens, kv_width);
    g->h = xr_arena_2d(arena, dtype, tokens, s->intermediate);
    g->gate = xr_arena_2d(arena, dtype, tokens, s->intermediate);
    g->up = xr_arena_2d(arena, dtype, tokens, s->intermediate);
}

XrBlockGrads xr_block_grads_rows(const XrBlockGrads *grads, int64_t tokens) {
    XrBlockGrads rows = *grads;
    XrTensor *tensors[] = {&rows.stream, &rows.norm, &rows.att,  &rows.q, &rows.k,
                           &rows.v,      &rows.h,    &rows.gate, &rows.up};
    for (size_t i = 0; i < XR_COUNT(tensors); i++) *tensors[i] = xr_rows(tensors[i], 0, tokens);
    return rows;
}

static const XrTensor *if_any(const XrTensor *t) {
    return t->data ? t : NULL;
}

// Backward of y = x w^T + bias: dx = dy w (added to what dx holds when `more`), gradients of the
// weights where wanted.
static void linear_backward(XrBackend *b, const XrTensor *dx, bool more, const XrTensor *dw,
                            const XrTensor *dbias, const XrTensor *dy, const XrTensor *x,
                            const XrTensor *w) {
    xr_linear_backward_input(b, dx, dy, w, more);
    if (dw->data || dbias->data) xr_linear_backward_weight(b, if_any(dw), if_any(dbias), dy, x);
}

static void mlp_backward(XrBackend *b, float eps, const XrBlockWeights *w, const XrBlockWeights *dw,
                         const XrBlockActs *a, const XrBlockGrads *g) {
    xr_swiglu(b, &a->h, &a->gate, &a->up);
    linear_backward(b, &g->h, false, &dw->down, &dw->down_bias, &g->stream, &a->h, &w->down);
    xr_swiglu_backward(b, &g->gate, &g->up, &g->h, &a->gate, &a->up);
    xr_rmsnorm(b, &a->norm2, NULL, &a->mid, &w->norm2, eps);
    linear_backward(b, &g->norm, false, &dw->gate, &dw->gate_bias, &g->gate, &a->norm2, &w->gate);
    linear_backward(b, &g->norm, true, &dw->up, &dw->up_bias, &g->up, &a->norm2, &w->up);
    xr_rmsnorm_backward(b, &g->stream, if_any(&dw->norm2), &g->norm, &g->stream, &a->mid, &w->norm2,
                        &a->rstd2);
}

void xr_block_backward(XrBackend *b, const XrBlockShape *s, const XrBlockWeights *w,
                       const XrBlockWeights *dw, const XrBlockActs *a, const XrBlockGrads *g,
                       const XrBlockInput *in) {
    XR_REQUIRE(!in->cache && a->rstd1.data, "a backward pass needs kept activations and no cache");
    mlp_backward(b, s->eps, w, dw, a, g);
    linear_backward(b, &g->att, false, &dw->o, &dw->o_bias, &g->stream, &a->att, &w->o);
    xr_attention_backward(b, &g->q, &g->k, &g->v, &g->att, &a->q, &a->k, &a->v, &a->att, &a->lse,
                          in->segments, s->heads);
    xr_rope(b, &g->q, &g->k, &in->cos, &in->sin, s->heads, true);
    xr_rmsnorm(b, &a->norm1, NULL, &a->x, &w->norm1, s->eps);
    linear_backward(b, &g->norm, false, &dw->q, &dw->q_bias, &g->q, &a->norm1, &w->q);
    linear_backward(b, &g->norm, true, &dw->k, &dw->k_bias, &g->k, &a->norm1, &w->k);
    linear_backward(b, &g->norm, true, &dw->v, &dw->v_bias, &g->v, &a->norm1, &w->v);
    xr_rmsnorm_backward(b, &g->stream, if_any(&dw->norm1), &g->norm, &g->stream, &a->x, &w->norm1,
                        &a->rstd1);
}
