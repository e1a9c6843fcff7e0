#include "shared/model/vision.h"

#include "shared/base/memory.h"

#include <stdlib.h>

static const float NORM_EPS = 1e-6F; // of the merger's norm, as of the blocks'

struct XrVisionPass {
    const XrModel *model;
    bool keep;
    XrVisionPlan plan;
    XrArena arena;
    XrTensor pixels; // [N, patch values]
    XrTensor raster; // [N, hidden] patches in raster order
    XrTensor order;  // i32 [cells]
    XrTensor positions, cos, sin;
    XrTensor windows, frames; // i32 segment borders
    XrBlockActs *blocks;      // of each block; they share memory unless kept
    XrTensor out, norm, rstd; // [N, hidden] after the last block, normalised; [N]
    XrTensor wide, active;    // [cells, merge^2 hidden] before and after GELU
    XrTensor merged, result;  // [cells, out_hidden] in window and in raster order
    XrBlockGrads grads;       // when kept
    XrTensor dwide, dmerged;
};

static int64_t patch_values(const XrVisionConfig *v) {
    return v->channels * v->temporal_patch * v->patch * v->patch;
}

static int64_t cell_width(const XrVisionConfig *v) {
    return v->merge * v->merge * v->hidden;
}

// Patches on their way in and the merger on the way out never live at the same time, unless kept.
static void place_ends(XrVisionPass *p, XrArena *arena) {
    const XrVisionConfig *v = &p->model->config.vision;
    int64_t patches = p->plan.patches, cells = p->plan.cells;
    size_t mark = arena->used;
    XrDType dtype = p->model->activations;
    p->pixels = xr_arena_2d(arena, dtype, patches, patch_values(v));
    p->raster = xr_arena_2d(arena, dtype, patches, v->hidden);
    if (!p->keep) arena->used = mark;
    p->wide = xr_arena_2d(arena, dtype, cells, cell_width(v));
    p->active = p->keep ? xr_arena_2d(arena, dtype, cells, cell_width(v)) : p->wide;
    p->merged = xr_arena_2d(arena, dtype, cells, v->out_hidden);
    p->result = xr_arena_2d(arena, dtype, cells, v->out_hidden);
}

static void place_backward(XrVisionPass *p, XrArena *arena, const XrBlockShape *shape) {
    const XrVisionConfig *v = &p->model->config.vision;
    XrDType dtype = p->model->activations;
    p->rstd = xr_arena_1d(arena, XR_F32, p->plan.patches);
    p->out = xr_arena_2d(arena, dtype, p->plan.patches, v->hidden);
    p->norm = xr_arena_2d(arena, dtype, p->plan.patches, v->hidden);
    p->dwide = xr_arena_2d(arena, dtype, p->plan.cells, cell_width(v));
    p->dmerged = xr_arena_2d(arena, dtype, p->plan.cells, v->out_hidden);
    xr_block_grads_place(&p->grads, arena, shape, p->plan.patches, dtype);
}

static void layout(void *context, XrArena *arena) {
    XrVisionPass *p = context;
    const XrVisionConfig *v = &p->model->config.vision;
    int64_t patches = p->plan.patches;
    XrBlockShape shape = xr_vision_block_shape(v);
    p->order = xr_arena_1d(arena, XR_I32, p->plan.cells);
    p->positions = xr_arena_2d(arena, XR_I32, 2, patches);
    p->cos = xr_arena_2d(arena, XR_F32, patches, v->head_dim / 2);
    p->sin = xr_arena_2d(arena, XR_F32, patches, v->head_dim / 2);
    p->windows = xr_arena_1d(arena, XR_I32, p->plan.window_count + 1);
    p->frames = xr_arena_1d(arena, XR_I32, p->plan.frame_count + 1);
    for (int64_t i = 0; i < v->blocks; i++) {
        if (i == 0 || p->keep) {
            xr_block_place(&p->blocks[i], arena, &shape, patches, p->model->activations, p->keep,
                           i ? &p->blocks[0] : NULL);
        } else {
            p->blocks[i] = p->blocks[0];
        }
    }
    p->out = p->blocks[0].x;
    p->norm = p->blocks[0].norm1;
    place_ends(p, arena);
    if (p->keep) place_backward(p, arena, &shape);
}

static void upload_plan(XrVisionPass *p, const float *pixels) {
    XrBackend *b = p->model->backend;
    xr_upload_f32(b, &p->pixels, pixels);
    xr_upload(b, &p->order, p->plan.order);
    xr_upload(b, &p->positions, p->plan.positions);
    xr_upload(b, &p->windows, p->plan.windows);
    xr_upload(b, &p->frames, p->plan.frames);
}

static XrTensor patch_weight(const XrVisionPass *p, const XrTensor *kernel) {
    const XrVisionConfig *v = &p->model->config.vision;
    return xr_reshape2(kernel, v->hidden, patch_values(v));
}

// Cells, merge^2 patches of `width` values each, as the rows of a wide matrix.
static XrTensor as_cells(const XrVisionPass *p, const XrTensor *patches) {
    return xr_reshape2(patches, p->plan.cells, cell_width(&p->model->config.vision));
}

static XrBlockInput block_input(const XrVisionPass *p, int64_t block) {
    bool full = p->model->config.vision.full_attention[block];
    return (XrBlockInput){
        .cos = p->cos,
        .sin = p->sin,
        .segments = {.cu = full ? &p->frames : &p->windows,
                     .longest = full ? p->plan.longest_frame : p->plan.longest_window},
        .stage = "vision.blocks",
        .index = block,
    };
}

// Patch embedding (a convolution whose stride is its size is a matrix product), then cells into
// window order.
static void embed_patches(XrVisionPass *p) {
    const XrModel *m = p->model;
    XrTensor weight = patch_weight(p, xr_model_parameter(m, XR_VISION_PATCH, 0));
    xr_linear(m->backend, &p->raster, &p->pixels, &weight, NULL);
    XrTensor from = as_cells(p, &p->raster), to = as_cells(p, &p->blocks[0].x);
    xr_gather_rows(m->backend, &to, &from, &p->order);
    xr_rope_table(m->backend, &p->cos, &p->sin, &p->positions, &m->vision_rotary.inv_freq,
                  &m->vision_rotary.axis);
}

// The last block's sum -> norm, merge^2 rows side by side, two linear layers, raster order.
static void merge(XrVisionPass *p, const XrBlockActs *last, const XrObserver *observer) {
    const XrModel *m = p->model;
    XrBackend *b = m->backend;
    xr_add_rmsnorm(b, &p->norm, &p->out, p->keep ? &p->rstd : NULL, &last->mid, &last->delta2,
                   xr_model_parameter(m, XR_MERGER_NORM, 0), NORM_EPS);
    xr_observe(observer, &p->out, "vision.blocks.%lld", (long long)m->config.vision.blocks - 1);
    XrTensor rows = as_cells(p, &p->norm);
    xr_linear(b, &p->wide, &rows, xr_model_parameter(m, XR_MERGER_FC1, 0),
              xr_model_parameter(m, XR_MERGER_FC1_BIAS, 0));
    xr_gelu(b, &p->active, &p->wide);
    xr_linear(b, &p->merged, &p->active, xr_model_parameter(m, XR_MERGER_FC2, 0),
              xr_model_parameter(m, XR_MERGER_FC2_BIAS, 0));
    xr_scatter_rows(b, &p->result, &p->merged, &p->order);
    xr_observe(observer, &p->result, "image_embeds");
}

static void run(XrVisionPass *p, const XrObserver *observer) {
    const XrModel *m = p->model;
    XrBlockShape shape = xr_vision_block_shape(&m->config.vision);
    embed_patches(p);
    xr_observe(observer, &p->blocks[0].x, "vision.embed");
    const XrBlockActs *last = NULL;
    for (int64_t i = 0; i < m->config.vision.blocks; i++) {
        XrBlockInput input = block_input(p, i);
        input.observer = observer;
        XrBlockWeights weights = xr_vision_block_weights(m, i);
        xr_block_forward(m->backend, &shape, &weights, &p->blocks[i],
                         last ? &last->mid : &p->blocks[0].x, last ? &last->delta2 : NULL, &input);
        last = &p->blocks[i];
    }
    merge(p, last, observer);
}

bool xr_vision_begin(XrVisionPass **out, const XrModel *model, const float *pixels,
                     const XrImageGrid *grids, int grid_count, bool keep,
                     const XrObserver *observer, XrError *err) {
    XR_REQUIRE(model->config.has_vision, "a text-only model has no vision tower");
    XrVisionPass *p = xr_calloc(1, sizeof *p);
    *p = (XrVisionPass){
        .model = model,
        .keep = keep,
        .plan = xr_vision_plan(&model->config.vision, grids, grid_count),
        .blocks = xr_calloc((size_t)model->config.vision.blocks, sizeof *p->blocks),
    };
    if (!xr_arena_create(&p->arena, model->backend, layout, p, "the vision tower's activations",
                         err)) {
        xr_vision_end(p);
        *out = NULL;
        return false;
    }
    upload_plan(p, pixels);
    run(p, observer);
    *out = p;
    return true;
}

XrTensor xr_vision_result(const XrVisionPass *p) {
    return p->result;
}

static void merger_backward(XrVisionPass *p, const XrTensor *dresult, const XrGradients *g) {
    const XrModel *m = p->model;
    XrBackend *b = m->backend;
    XrTensor dfc1 = xr_parameter_gradient(g, XR_MERGER_FC1, 0),
             dfc2 = xr_parameter_gradient(g, XR_MERGER_FC2, 0);
    XrTensor dbias1 = xr_parameter_gradient(g, XR_MERGER_FC1_BIAS, 0);
    XrTensor dbias2 = xr_parameter_gradient(g, XR_MERGER_FC2_BIAS, 0);
    XrTensor dnorm_weight = xr_parameter_gradient(g, XR_MERGER_NORM, 0);
    xr_gather_rows(b, &p->dmerged, dresult, &p->order);
    xr_linear_backward_weight(b, dfc2.data ? &dfc2 : NULL, dbias2.data ? &dbias2 : NULL,
                              &p->dmerged, &p->active);
    xr_linear_backward_input(b, &p->dwide, &p->dmerged, xr_model_parameter(m, XR_MERGER_FC2, 0),
                             false);
    xr_gelu_backward(b, &p->dwide, &p->dwide, &p->wide);
    XrTensor rows = as_cells(p, &p->norm), dnorm = as_cells(p, &p->grads.norm);
    xr_linear_backward_weight(b, dfc1.data ? &dfc1 : NULL, dbias1.data ? &dbias1 : NULL, &p->dwide,
                              &rows);
    xr_linear_backward_input(b, &dnorm, &p->dwide, xr_model_parameter(m, XR_MERGER_FC1, 0), false);
    xr_rmsnorm_backward(b, &p->grads.stream, dnorm_weight.data ? &dnorm_weight : NULL,
                        &p->grads.norm, NULL, &p->out, xr_model_parameter(m, XR_MERGER_NORM, 0),
                        &p->rstd);
}

void xr_vision_backward(XrVisionPass *p, const XrTensor *dresult, const XrGradients *g) {
    XR_REQUIRE(p->keep, "a backward pass needs kept activations");
    const XrModel *m = p->model;
    XrBackend *b = m->backend;
    XrBlockShape shape = xr_vision_block_shape(&m->config.vision);
    merger_backward(p, dresult, g);
    for (int64_t i = m->config.vision.blocks - 1; i >= 0; i--) {
        XrBlockInput input = block_input(p, i);
        XrBlockWeights weights = xr_vision_block_weights(m, i);
        XrBlockWeights dweights = xr_vision_block_gradients(g, i);
        xr_block_backward(b, &shape, &weights, &dweights, &p->blocks[i], &p->grads, &input);
    }
    XrTensor dkernel = xr_parameter_gradient(g, XR_VISION_PATCH, 0);
    if (!dkernel.data) return;
    XrTensor from = as_cells(p, &p->grads.stream), to = as_cells(p, &p->raster);
    xr_scatter_rows(b, &to, &from, &p->order);
    XrTensor dweight = patch_weight(p, &dkernel);
    xr_linear_backward_weight(b, &dweight, NULL, &p->raster, &p->pixels);
}

void xr_vision_end(XrVisionPass *p) {
    if (!p) return;
    if (p->arena.base) p->model->backend->free(p->model->backend, p->arena.base);
    xr_vision_plan_free(&p->plan);
    free(p->blocks);
    free(p);
}

bool xr_vision_forward(const XrModel *model, XrTensor *out, const float *pixels,
                       const XrImageGrid *grids, int grid_count, const XrObserver *observer,
                       XrError *err) {
    XrVisionPass *pass;
    if (!xr_vision_begin(&pass, model, pixels, grids, grid_count, false, observer, err))
        return false;
    XrBackend *b = model->backend;
    bool ok = xr_tensor_alloc(b, out, pass->result.dtype, 2, pass->result.shape,
                              "picture embeddings", err);
    if (ok) b->copy(b, out->data, pass->result.data, xr_nbytes(out));
    xr_vision_end(pass);
    return ok;
}
