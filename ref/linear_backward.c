// Gradients of products of activations with weights. Blocks are cut without regard to the number of
// threads, and every element is summed in one order.
#include "ref/cpu.h"
#include "ref/gradient_kernels.h"
#include "ref/linear_kernels.h"
#include "ref/widen.h"
#include "shared/base/memory.h"

#include <string.h>

enum {
    ROWS = 192,   // of a block
    DEPTH = 256,  // that is summed before sums go back to memory
    STRIDE = 208, // of the copy of dy: ROWS and some more, so that rows do not share cache sets
    COLUMNS = XR_GRADIENT_COLUMNS,
    WIDE = 4 * COLUMNS, // columns of a block of dw
};

typedef struct Gradient {
    XrBackend *backend;
    const XrGradientKernels *kernels;
    const XrLinearKernels *linear;
    const XrTensor *dx, *dw, *dbias, *dy, *x, *w;
    bool accumulate;
} Gradient;

static float *at(const XrTensor *t, int64_t row, int64_t column) {
    return (float *)t->data + row * t->row_stride + column;
}

static int64_t pieces(int64_t count, int64_t size) {
    return (count + size - 1) / size;
}

// dx of a block of rows and columns of K, one depth of N after the other.
static void input_block(const Gradient *g, int64_t row, int64_t column, int thread) {
    int64_t width = g->w->shape[1];
    XrGradientBlock block = {.sum = at(g->dx, row, column),
                             .sum_stride = g->dx->row_stride,
                             .a_row = g->dy->row_stride,
                             .a_step = 1,
                             .rows = XR_MIN(ROWS, g->dx->shape[0] - row),
                             .columns = XR_MIN(COLUMNS, width - column)};
    float *panel = xr_cpu_scratch(g->backend, thread, sizeof(float[DEPTH][COLUMNS]));
    block.panel = panel;
    for (int64_t r = 0; r < block.rows && !g->accumulate; r++) {
        memset(block.sum + r * block.sum_stride, 0, (size_t)block.columns * sizeof(float));
    }
    for (int64_t n = 0; n < g->w->shape[0]; n += DEPTH) {
        block.depth = XR_MIN(DEPTH, g->w->shape[0] - n);
        block.a = at(g->dy, row, n);
        const char *w =
            (const char *)g->w->data + (size_t)(n * width + column) * xr_dtype_size(g->w->dtype);
        g->linear->expand[g->w->dtype](panel, COLUMNS, w, width, block.depth, block.columns);
        g->kernels->block(&block);
    }
}

static void input_blocks(void *context, int64_t begin, int64_t end, int thread) {
    const Gradient *g = context;
    int64_t across = pieces(g->dx->shape[1], COLUMNS);
    for (int64_t i = begin; i < end; i++) {
        input_block(g, i / across * ROWS, i % across * COLUMNS, thread);
    }
}

void xr_cpu_linear_backward_input(XrBackend *b, const XrTensor *dx, const XrTensor *dy,
                                  const XrTensor *w, bool accumulate) {
    xr_cpu_require_f32(dy, "linear_backward_input");
    Gradient g = {.backend = b,
                  .kernels = XR_CHOOSE_KERNELS(xr_gradient_kernels),
                  .linear = XR_CHOOSE_KERNELS(xr_linear_kernels),
                  .dx = dx,
                  .dy = dy,
                  .w = w,
                  .accumulate = accumulate};
    int64_t blocks = pieces(dx->shape[0], ROWS) * pieces(dx->shape[1], COLUMNS);
    xr_cpu_parallel(b, blocks, 1, input_blocks, &g);
}

// dw of a block: rows of N by WIDE columns of K, one depth of tokens after the other.
// dy's part is copied, since its rows may lie a power of two apart.
static void weight_block(const Gradient *g, int64_t row, int64_t column, int thread) {
    int64_t tokens = g->x->shape[0], width = g->x->shape[1];
    int64_t rows = XR_MIN(ROWS, g->dy->shape[1] - row);
    int64_t end = XR_MIN(width, column + WIDE);
    float *dy = xr_cpu_scratch(g->backend, thread, sizeof(float[DEPTH][STRIDE + COLUMNS]));
    float *panel = dy + (ptrdiff_t)DEPTH * STRIDE;
    for (int64_t t = 0; t < tokens; t += DEPTH) {
        int64_t depth = XR_MIN(DEPTH, tokens - t);
        for (int64_t i = 0; i < depth; i++) {
            memcpy(dy + i * STRIDE, at(g->dy, t + i, row), (size_t)rows * sizeof(float));
        }
        for (int64_t k = column; k < end; k += COLUMNS) {
            XrGradientBlock block = {.sum = at(g->dw, row, k),
                                     .sum_stride = g->dw->row_stride,
                                     .a = dy,
                                     .a_row = 1,
                                     .a_step = STRIDE,
                                     .panel = panel,
                                     .rows = rows,
                                     .columns = XR_MIN(COLUMNS, end - k),
                                     .depth = depth};
            g->linear->expand[XR_F32](panel, COLUMNS, at(g->x, t, k), g->x->row_stride, depth,
                                      block.columns);
            g->kernels->block(&block);
        }
    }
}

static void weight_blocks(void *context, int64_t begin, int64_t end, int thread) {
    const Gradient *g = context;
    int64_t across = pieces(g->dw->shape[1], WIDE);
    for (int64_t i = begin; i < end; i++) {
        weight_block(g, i / across * ROWS, i % across * WIDE, thread);
    }
}

static void sum_columns(void *context, int64_t begin, int64_t end, int thread) {
    const Gradient *g = context;
    float *dbias = g->dbias->data;
    for (int64_t t = 0; t < g->dy->shape[0]; t++) {
        const float *dy = at(g->dy, t, 0);
        for (int64_t n = begin; n < end; n++) dbias[n] += dy[n];
    }
}

void xr_cpu_linear_backward_weight(XrBackend *b, const XrTensor *dw, const XrTensor *dbias,
                                   const XrTensor *dy, const XrTensor *x) {
    xr_cpu_require_f32(dy, "linear_backward_weight");
    Gradient g = {.backend = b,
                  .kernels = XR_CHOOSE_KERNELS(xr_gradient_kernels),
                  .linear = XR_CHOOSE_KERNELS(xr_linear_kernels),
                  .dw = dw,
                  .dbias = dbias,
                  .dy = dy,
                  .x = x};
    if (dw) {
        int64_t blocks = pieces(dw->shape[0], ROWS) * pieces(dw->shape[1], WIDE);
        xr_cpu_parallel(b, blocks, 1, weight_blocks, &g);
    }
    if (dbias) xr_cpu_parallel(b, dbias->shape[0], 256, sum_columns, &g);
}
