#include "shared/model/windows.h"

#include "shared/base/memory.h"

#include <stdlib.h>

// Appends the cells of one window (a partial one at the right and lower border) and their patches'
// positions.
static void add_window(XrVisionPlan *plan, const XrVisionConfig *v, int64_t first_cell,
                       int64_t row0, int64_t column0, int64_t rows, int64_t columns) {
    int64_t merge = v->merge;
    int64_t row1 = XR_MIN(row0 + v->window_cells, rows);
    int64_t column1 = XR_MIN(column0 + v->window_cells, columns);
    for (int64_t y = row0; y < row1; y++) {
        for (int64_t x = column0; x < column1; x++) {
            plan->order[plan->cells++] = (int32_t)(first_cell + y * columns + x);
            for (int64_t i = 0; i < merge * merge; i++) {
                plan->positions[2 * plan->patches] = (int32_t)(y * merge + i / merge);
                plan->positions[2 * plan->patches + 1] = (int32_t)(x * merge + i % merge);
                plan->patches++;
            }
        }
    }
    int64_t length = plan->patches - plan->windows[plan->window_count];
    plan->longest_window = XR_MAX(plan->longest_window, length);
    plan->windows[++plan->window_count] = (int32_t)plan->patches;
}

static void add_frame(XrVisionPlan *plan, const XrVisionConfig *v, int64_t rows, int64_t columns) {
    int64_t first_cell = plan->cells;
    for (int64_t y = 0; y < rows; y += v->window_cells) {
        for (int64_t x = 0; x < columns; x += v->window_cells) {
            add_window(plan, v, first_cell, y, x, rows, columns);
        }
    }
    int64_t length = plan->patches - plan->frames[plan->frame_count];
    plan->longest_frame = XR_MAX(plan->longest_frame, length);
    plan->frames[++plan->frame_count] = (int32_t)plan->patches;
}

// From (row, column) pairs to one array of rows and one of columns.
static void split_axes(XrVisionPlan *plan) {
    int32_t *split = xr_malloc(sizeof *split * 2 * (size_t)plan->patches);
    for (int64_t i = 0; i < plan->patches; i++) {
        split[i] = plan->positions[2 * i];
        split[plan->patches + i] = plan->positions[2 * i + 1];
    }
    free(plan->positions);
    plan->positions = split;
}

XrVisionPlan xr_vision_plan(const XrVisionConfig *v, const XrImageGrid *grids, int count) {
    int64_t patches = 0, frames = 0;
    for (int i = 0; i < count; i++) {
        XR_REQUIRE(grids[i].h % v->merge == 0 && grids[i].w % v->merge == 0,
                   "a grid of %lld x %lld patches is not a multiple of the merge size %lld",
                   (long long)grids[i].h, (long long)grids[i].w, (long long)v->merge);
        patches += xr_grid_rows(&grids[i]);
        frames += grids[i].t;
    }
    size_t cells = (size_t)(patches / (v->merge * v->merge));
    XrVisionPlan plan = {
        .order = xr_calloc(cells, sizeof *plan.order),
        .positions = xr_calloc((size_t)patches, 2 * sizeof *plan.positions),
        .windows = xr_calloc(cells + 1, sizeof *plan.windows),
        .frames = xr_calloc((size_t)frames + 1, sizeof *plan.frames),
    };
    for (int i = 0; i < count; i++) {
        for (int64_t frame = 0; frame < grids[i].t; frame++) {
            add_frame(&plan, v, grids[i].h / v->merge, grids[i].w / v->merge);
        }
    }
    split_axes(&plan);
    return plan;
}

void xr_vision_plan_free(XrVisionPlan *plan) {
    free(plan->order);
    free(plan->positions);
    free(plan->windows);
    free(plan->frames);
    *plan = (XrVisionPlan){0};
}
