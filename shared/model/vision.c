#include "shared/model/vision.h"

#include "shared/base/memory.h"

typedef struct Tower {
    const XrModel *model;
    XrVisionPlan plan;
    XrArena arena;
    XrTensor pixels; // [N, patch values]
    XrTensor raster; // [N, hidden] patches in raster order
    XrTensor order;  // i32 [cells]
    XrTensor positions, cos, sin;
    XrTensor windows, frames; // i32 segment borders
    XrBlockActs acts;
    XrTensor wide, merged; // merger: [cells, merge^2 hidden], [cells, out_hidden]
} Tower;

static int64_t patch_values(const XrVisionConfig *v) {
    return v->channels * v->temporal_patch * v->patch * v->patch;
}

static void layout(void *context, XrArena *arena) {
    Tower *t = context;
    const XrVisionConfig *v = &t->model->config.vision;
    int64_t patches = t->plan.patches, cells = t->plan.cells;
    XrBlockShape shape = xr_vision_block_shape(v);
    t->order = xr_arena_1d(arena, XR_I32, cells);
    t->positions = xr_arena_2d(arena, XR_I32, 2, patches);
    t->cos = xr_arena_2d(arena, XR_F32, patches, v->head_dim / 2);
    t->sin = xr_arena_2d(arena, XR_F32, patches, v->head_dim / 2);
    t->windows = xr_arena_1d(arena, XR_I32, t->plan.window_count + 1);
    t->frames = xr_arena_1d(arena, XR_I32, t->plan.frame_count + 1);
    xr_block_place(&t->acts, arena, &shape, patches, XR_F32, false);
    size_t mark = arena->used;
    t->pixels = xr_arena_2d(arena, XR_F32, patches, patch_values(v));
    t->raster = xr_arena_2d(arena, XR_F32, patches, v->hidden);
    arena->used = mark; // the merger runs long after the patches were read
    t->wide = xr_arena_2d(arena, XR_F32, cells, v->merge * v->merge * v->hidden);
    t->merged = xr_arena_2d(arena, XR_F32, cells, v->out_hidden);
}

static void upload_plan(Tower *t, const float *pixels) {
    XrBackend *b = t->model->backend;
    xr_upload(b, &t->pixels, pixels);
    xr_upload(b, &t->order, t->plan.order);
    xr_upload(b, &t->positions, t->plan.positions);
    xr_upload(b, &t->windows, t->plan.windows);
    xr_upload(b, &t->frames, t->plan.frames);
}

// Patch embedding (a convolution whose stride is its size is a matrix product), then cells into
// window order, merge^2 patches at a time.
static void embed_patches(Tower *t) {
    const XrModel *m = t->model;
    const XrVisionConfig *v = &m->config.vision;
    const XrTensor *kernel = xr_model_parameter(m, XR_VISION_PATCH, 0);
    XrTensor weight = xr_reshape2(kernel, v->hidden, patch_values(v));
    xr_linear(m->backend, &t->raster, &t->pixels, &weight, NULL);
    int64_t cell = v->merge * v->merge * v->hidden;
    XrTensor from = xr_reshape2(&t->raster, t->plan.cells, cell);
    XrTensor to = xr_reshape2(&t->acts.x, t->plan.cells, cell);
    xr_gather_rows(m->backend, &to, &from, &t->order);
    xr_rope_table(m->backend, &t->cos, &t->sin, &t->positions, &m->vision_rotary.inv_freq,
                  &m->vision_rotary.axis);
}

// x + delta of the last block -> norm, merge^2 rows side by side, two linear layers, raster order.
static void merge(Tower *t, const XrTensor *out, const XrObserver *observer) {
    const XrModel *m = t->model;
    const XrVisionConfig *v = &m->config.vision;
    XrBackend *b = m->backend;
    const XrBlockActs *a = &t->acts;
    xr_add_rmsnorm(b, &a->norm1, &a->x, NULL, &a->mid, &a->delta2,
                   xr_model_parameter(m, XR_MERGER_NORM, 0), 1e-6F);
    xr_observe(observer, &a->x, "vision.block.%lld", (long long)v->blocks - 1);
    XrTensor rows = xr_reshape2(&a->norm1, t->plan.cells, v->merge * v->merge * v->hidden);
    xr_linear(b, &t->wide, &rows, xr_model_parameter(m, XR_MERGER_FC1, 0),
              xr_model_parameter(m, XR_MERGER_FC1_BIAS, 0));
    xr_gelu(b, &t->wide, &t->wide);
    xr_linear(b, &t->merged, &t->wide, xr_model_parameter(m, XR_MERGER_FC2, 0),
              xr_model_parameter(m, XR_MERGER_FC2_BIAS, 0));
    xr_scatter_rows(b, out, &t->merged, &t->order);
    xr_observe(observer, out, "vision.merger");
}

static void run(Tower *t, const XrTensor *out, const XrObserver *observer) {
    const XrModel *m = t->model;
    const XrVisionConfig *v = &m->config.vision;
    XrBlockShape shape = xr_vision_block_shape(v);
    embed_patches(t);
    xr_observe(observer, &t->acts.x, "vision.embed");
    XrBlockInput input = {.cos = t->cos, .sin = t->sin};
    for (int64_t i = 0; i < v->blocks; i++) {
        bool full = v->full_attention[i];
        input.segments = (XrSegments){
            .cu = full ? &t->frames : &t->windows,
            .longest = full ? t->plan.longest_frame : t->plan.longest_window,
        };
        XrBlockWeights weights = xr_vision_block_weights(m, i);
        xr_block_forward(m->backend, &shape, &weights, &t->acts, &t->acts.x,
                         i ? &t->acts.delta2 : NULL, &input);
        if (i) xr_observe(observer, &t->acts.x, "vision.block.%lld", (long long)i - 1);
    }
    merge(t, out, observer);
}

bool xr_vision_forward(const XrModel *model, XrTensor *out, const float *pixels,
                       const XrImageGrid *grids, int grid_count, const XrObserver *observer,
                       XrError *err) {
    XR_REQUIRE(model->config.has_vision, "a text-only model has no vision tower");
    Tower t = {.model = model, .plan = xr_vision_plan(&model->config.vision, grids, grid_count)};
    XrBackend *b = model->backend;
    int64_t shape[2] = {t.plan.cells, model->config.vision.out_hidden};
    bool ok = xr_arena_create(&t.arena, b, layout, &t, "the vision tower's activations", err) &&
              xr_tensor_alloc(b, out, XR_F32, 2, shape, "picture embeddings", err);
    if (ok) {
        upload_plan(&t, pixels);
        run(&t, out, observer);
    }
    if (t.arena.base) b->free(b, t.arena.base);
    xr_vision_plan_free(&t.plan);
    return ok;
}
