#include "shared/model/block.h"

#include "shared/base/memory.h"

#include <math.h>

XrBlockShape xr_layer_shape(const XrConfig *c) {
    return (XrBlockShape){
        .hidden = c->hidden,
        .intermediate = c->intermediate,
        .heads = {.heads = (int)c->heads,
                  .kv_heads = (int)c->kv_heads,
                  .head_dim = (int)c->head_dim,
                  .scale = (float)(1.0 / sqrt((double)c->head_dim)),
                  .causal = true},
        .eps = (float)c->rms_eps,
    };
}

XrBlockShape xr_vision_block_shape(const XrVisionConfig *v) {
    return (XrBlockShape){
        .hidden = v->hidden,
        .intermediate = v->intermediate,
        .heads = {.heads = (int)v->heads,
                  .kv_heads = (int)v->heads,
                  .head_dim = (int)v->head_dim,
                  .scale = (float)(1.0 / sqrt((double)v->head_dim)),
                  .causal = false},
        .eps = 1e-6F, // fixed in the published model's code, whatever the configuration says
    };
}

XrBlockWeights xr_layer_weights(const XrModel *m, int64_t layer) {
    return (XrBlockWeights){
        .norm1 = *xr_model_parameter(m, XR_LAYER_NORM1, layer),
        .q = *xr_model_parameter(m, XR_LAYER_Q, layer),
        .q_bias = *xr_model_parameter(m, XR_LAYER_Q_BIAS, layer),
        .k = *xr_model_parameter(m, XR_LAYER_K, layer),
        .k_bias = *xr_model_parameter(m, XR_LAYER_K_BIAS, layer),
        .v = *xr_model_parameter(m, XR_LAYER_V, layer),
        .v_bias = *xr_model_parameter(m, XR_LAYER_V_BIAS, layer),
        .o = *xr_model_parameter(m, XR_LAYER_O, layer),
        .norm2 = *xr_model_parameter(m, XR_LAYER_NORM2, layer),
        .gate = *xr_model_parameter(m, XR_LAYER_GATE, layer),
        .up = *xr_model_parameter(m, XR_LAYER_UP, layer),
        .down = *xr_model_parameter(m, XR_LAYER_DOWN, layer),
    };
}

XrBlockWeights xr_vision_block_weights(const XrModel *m, int64_t block) {
    const XrTensor *qkv = xr_model_parameter(m, XR_VISION_QKV, block); // [3 hidden, hidden]
    const XrTensor *bias = xr_model_parameter(m, XR_VISION_QKV_BIAS, block);
    int64_t hidden = m->config.vision.hidden;
    return (XrBlockWeights){
        .norm1 = *xr_model_parameter(m, XR_VISION_NORM1, block),
        .q = xr_rows(qkv, 0, hidden),
        .q_bias = xr_rows(bias, 0, hidden),
        .k = xr_rows(qkv, hidden, hidden),
        .k_bias = xr_rows(bias, hidden, hidden),
        .v = xr_rows(qkv, 2 * hidden, hidden),
        .v_bias = xr_rows(bias, 2 * hidden, hidden),
        .o = *xr_model_parameter(m, XR_VISION_PROJ, block),
        .o_bias = *xr_model_parameter(m, XR_VISION_PROJ_BIAS, block),
        .norm2 = *xr_model_parameter(m, XR_VISION_NORM2, block),
        .gate = *xr_model_parameter(m, XR_VISION_GATE, block),
        .gate_bias = *xr_model_parameter(m, XR_VISION_GATE_BIAS, block),
        .up = *xr_model_parameter(m, XR_VISION_UP, block),
        .up_bias = *xr_model_parameter(m, XR_VISION_UP_BIAS, block),
        .down = *xr_model_parameter(m, XR_VISION_DOWN, block),
        .down_bias = *xr_model_parameter(m, XR_VISION_DOWN_BIAS, block),
    };
}

static void place_attention(XrBlockActs *a, XrArena *arena, const XrBlockShape *s, int64_t tokens,
                            XrDType dtype) {
    int64_t width = (int64_t)s->heads.heads * s->heads.head_dim;
    int64_t kv_width = (int64_t)s->heads.kv_heads * s->heads.head_dim;
    a->q = xr_arena_2d(arena, dtype, tokens, width);
    a->k = xr_arena_2d(arena, dtype, tokens, kv_width);
    a->v = xr_arena_2d(arena, dtype, tokens, kv_width);
    a->att = xr_arena_2d(arena, dtype, tokens, width);
}

// The first block's norm, delta and h serve all blocks.
static void place_shared(XrBlockActs *a, XrArena *arena, const XrBlockShape *s, int64_t tokens,
                         XrDType dtype, bool keep, const XrBlockActs *first) {
    if (first) {
        a->norm1 = first->norm1;
        a->delta1 = first->delta1;
        a->h = first->h;
    } else {
        a->norm1 = xr_arena_2d(arena, dtype, tokens, s->hidden);
        a->delta1 = xr_arena_2d(arena, dtype, tokens, s->hidden);
        if (keep) a->h = xr_arena_2d(arena, dtype, tokens, s->intermediate);
    }
    a->norm2 = a->norm1;
    a->delta2 = a->delta1;
}

void xr_block_place(XrBlockActs *a, XrArena *arena, const XrBlockShape *s, int64_t tokens,
                    XrDType dtype, bool keep, const XrBlockActs *first) {
    *a = (XrBlockActs){.x = xr_arena_2d(arena, dtype, tokens, s->hidden)};
    place_shared(a, arena, s, tokens, dtype, keep, first);
    size_t mark = arena->used;
    place_attention(a, arena, s, tokens, dtype);
    size_t attention_end = arena->used;
    if (keep) {
        a->rstd1 = xr_arena_1d(arena, XR_F32, tokens);
        a->lse = xr_arena_2d(arena, XR_F32, tokens, s->heads.heads);
        a->mid = xr_arena_2d(arena, dtype, tokens, s->hidden);
        a->rstd2 = xr_arena_1d(arena, XR_F32, tokens);
    } else {
        a->mid = a->x;
        arena->used = mark; // the MLP's tensors lie where attention's were
    }
    a->gate = xr_arena_2d(arena, dtype, tokens, s->intermediate);
    a->up = xr_arena_2d(arena, dtype, tokens, s->intermediate);
    if (!keep) {
        a->h = a->gate;
        arena->used = XR_MAX(arena->used, attention_end);
    }
}

XrBlockActs xr_block_rows(const XrBlockActs *acts, int64_t tokens) {
    XrBlockActs rows = *acts;
    XrTensor *tensors[] = {&rows.x,      &rows.norm1, &rows.rstd1, &rows.q,
                           &rows.k,      &rows.v,     &rows.att,   &rows.lse,
                           &rows.delta1, &rows.mid,   &rows.norm2, &rows.rstd2,
                           &rows.gate,   &rows.up,    &rows.h,     &rows.delta2};
    for (size_t i = 0; i < XR_COUNT(tensors); i++) {
        if (tensors[i]->data) *tensors[i] = xr_rows(tensors[i], 0, tokens);
    }
    return rows;
}

static const XrTensor *if_any(const XrTensor *t) {
    return t->data ? t : NULL;
}

static void attend(XrBackend *b, const XrBlockShape *s, const XrBlockWeights *w,
                   const XrBlockActs *a, const XrBlockInput *in) {
    XrLinears qkv = {3,
                     {{&a->q, &w->q, if_any(&w->q_bias)},
                      {&a->k, &w->k, if_any(&w->k_bias)},
                      {&a->v, &w->v, if_any(&w->v_bias)}}};
    xr_linears(b, qkv, &a->norm1);
    xr_rope(b, &a->q, &a->k, &in->cos, &in->sin, s->heads, false);
    if (in->cache) {
        xr_kv_write(b, in->cache, &a->k, &a->v, in->slots);
        xr_attention_paged(b, &a->att, &a->q, in->cache, in->segments, in->tables, s->heads);
    } else {
        xr_attention(b, &a->att, if_any(&a->lse), &a->q, &a->k, &a->v, in->segments, s->heads);
    }
    xr_linear(b, &a->delta1, &a->att, &w->o, if_any(&w->o_bias));
}

void xr_block_forward(XrBackend *b, const XrBlockShape *s, const XrBlockWeights *w,
                      const XrBlockActs *a, const XrTensor *x, const XrTensor *delta,
                      const XrBlockInput *in) {
    if (delta) {
        xr_add_rmsnorm(b, &a->norm1, &a->x, if_any(&a->rstd1), x, delta, &w->norm1, s->eps);
        xr_observe(in->observer, &a->x, "%s.%lld", in->stage, (long long)in->index - 1);
    } else {
        XR_REQUIRE(a->x.data == x->data, "the first block reads its input in place");
        xr_rmsnorm(b, &a->norm1, if_any(&a->rstd1), x, &w->norm1, s->eps);
    }
    attend(b, s, w, a, in);
    xr_add_rmsnorm(b, &a->norm2, &a->mid, if_any(&a->rstd2), &a->x, &a->delta1, &w->norm2, s->eps);
    XrLinears gate_up = {
        2, {{&a->gate, &w->gate, if_any(&w->gate_bias)}, {&a->up, &w->up, if_any(&w->up_bias)}}};
    xr_linears(b, gate_up, &a->norm2);
    if (in->again) return;
    xr_swiglu(b, &a->h, &a->gate, &a->up);
    xr_linear(b, &a->delta2, &a->h, &w->down, if_any(&w->down_bias));
}
