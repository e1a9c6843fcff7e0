// Products of activations with weights, forward and backward.
#include "ref/cpu.h"
#include "ref/linear_kernels.h"
#include "ref/widen.h"
#include "shared/base/memory.h"

#include <cblas.h> // defines: cblas_sgemm, openblas_set_num_threads

typedef struct Product {
    XrBackend *backend;
    const XrLinearKernels *kernels;
    const XrTensor *y, *x, *w, *bias;
    int64_t block_rows, block_columns; // what one round of the loop below computes
    bool few;                          // rows, so few that weights are used as they lie
} Product;

static float *row_of(const XrTensor *t, int64_t row) {
    return (float *)t->data + row * t->row_stride;
}

enum {
    FEW_COLUMNS = 16,
    MANY_COLUMNS = 64, // with a chunk of K, 256 KiB of f32: they stay in the second-level cache
    MANY_ROWS = 192,
    FEW_ROWS = 12,
    FAR = 8192, // bytes that weights are fetched ahead
};

// Weights to fetch ahead: those of the next tile when rows are short (a tile of four rows is one
// run of memory), or further on in the same row.
static int64_t ahead_of(const XrTensor *w) {
    int64_t far = FAR / (int64_t)xr_dtype_size(w->dtype);
    return XR_MIN(far, 4 * w->shape[1]);
}

// y of one block, chunk of K after chunk.
static void multiply_block(const Product *p, int64_t row, int64_t column, int thread) {
    int64_t rows = XR_MIN(p->block_rows, p->x->shape[0] - row);
    int64_t columns = XR_MIN(p->block_columns, p->w->shape[0] - column);
    int64_t depth = p->x->shape[1];
    size_t size = xr_dtype_size(p->w->dtype);
    bool expand = !p->few && p->w->dtype != XR_F32;
    float *bias = xr_cpu_scratch(p->backend, thread,
                                 (MANY_COLUMNS + MANY_COLUMNS * XR_LINEAR_CHUNK) * sizeof *bias);
    float *panel = bias + MANY_COLUMNS;
    if (p->bias) xr_cpu_widen(bias, p->bias, column, columns);
    for (int64_t k = 0; k == 0 || k < depth; k += XR_LINEAR_CHUNK) {
        XrLinearBlock block = {
            .y = row_of(p->y, row) + column,
            .x = row_of(p->x, row) + k,
            .w = (const char *)p->w->data + (size_t)(column * depth + k) * size,
            .bias = p->bias && k + XR_LINEAR_CHUNK >= depth ? bias : NULL,
            .y_stride = p->y->row_stride,
            .x_stride = p->x->row_stride,
            .w_stride = depth,
            .rows = rows,
            .columns = columns,
            .depth = XR_MIN(XR_LINEAR_CHUNK, depth - k),
            .ahead = p->few ? ahead_of(p->w) : 0,
            .first = k == 0,
        };
        if (expand) {
            p->kernels->expand[p->w->dtype](panel, XR_LINEAR_CHUNK, block.w, depth, columns,
                                            block.depth);
            block.w = panel;
            block.w_stride = XR_LINEAR_CHUNK;
        }
        p->kernels->block[expand ? XR_F32 : p->w->dtype](&block);
    }
}

static void multiply_blocks(void *context, int64_t begin, int64_t end, int thread) {
    const Product *p = context;
    int64_t across = (p->w->shape[0] + p->block_columns - 1) / p->block_columns;
    for (int64_t i = begin; i < end; i++) {
        multiply_block(p, i / across * p->block_rows, i % across * p->block_columns, thread);
    }
}

void xr_cpu_linear(XrBackend *b, const XrTensor *y, const XrTensor *x, const XrTensor *w,
                   const XrTensor *bias) {
    xr_cpu_require_f32(x, "linear");
    int64_t rows = x->shape[0], columns = w->shape[0];
    bool few = rows <= FEW_ROWS;
    Product p = {.backend = b,
                 .kernels = XR_CHOOSE_KERNELS(xr_linear_kernels),
                 .y = y,
                 .x = x,
                 .w = w,
                 .bias = bias,
                 .block_rows = few ? FEW_ROWS : MANY_ROWS,
                 .block_columns = few ? FEW_COLUMNS : MANY_COLUMNS,
                 .few = few};
    int64_t down = (rows + p.block_rows - 1) / p.block_rows;
    int64_t across = (columns + p.block_columns - 1) / p.block_columns;
    int64_t grain = few ? across / (8 * xr_threads_count(b->threads)) : 1;
    xr_cpu_parallel(b, down * across, XR_MAX(1, grain), multiply_blocks, &p);
}

// The products of the backward pass go to OpenBLAS, cut into blocks that do not depend on the
// number of threads; within a block it runs on one thread.
enum { GRADIENT_ROWS = 512, GRADIENT_COLUMNS = 256, GRADIENT_DEPTH = 512 };

typedef struct Gradient {
    XrBackend *backend;
    const XrLinearKernels *kernels;
    const XrTensor *dx, *dw, *dbias, *dy, *x, *w;
    bool accumulate;
} Gradient;

static int64_t pieces(int64_t count, int64_t size) {
    return (count + size - 1) / size;
}

// A block of dx: rows by columns of K, a chunk of N after the other.
static void backward_input_block(const Gradient *g, int64_t row, int64_t column, int thread) {
    int64_t rows = XR_MIN(GRADIENT_ROWS, g->dx->shape[0] - row);
    int64_t columns = XR_MIN(GRADIENT_COLUMNS, g->dx->shape[1] - column);
    int64_t depth = g->w->shape[0], width = g->w->shape[1];
    size_t size = xr_dtype_size(g->w->dtype);
    size_t panel = (size_t)GRADIENT_COLUMNS * GRADIENT_DEPTH * sizeof(float);
    float *w = xr_cpu_scratch(g->backend, thread, panel);
    float *dx = row_of(g->dx, row) + column;
    for (int64_t n = 0; n < depth; n += GRADIENT_DEPTH) {
        int64_t some = XR_MIN(GRADIENT_DEPTH, depth - n);
        const char *from = (const char *)g->w->data + (size_t)(n * width + column) * size;
        g->kernels->expand[g->w->dtype](w, GRADIENT_COLUMNS, from, width, some, columns);
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, (int)rows, (int)columns, (int)some,
                    1, row_of(g->dy, row) + n, (int)g->dy->row_stride, w, GRADIENT_COLUMNS,
                    n > 0 || g->accumulate ? 1 : 0, dx, (int)g->dx->row_stride);
    }
}

static void backward_input_blocks(void *context, int64_t begin, int64_t end, int thread) {
    const Gradient *g = context;
    int64_t across = pieces(g->dx->shape[1], GRADIENT_COLUMNS);
    for (int64_t i = begin; i < end; i++) {
        backward_input_block(g, i / across * GRADIENT_ROWS, i % across * GRADIENT_COLUMNS, thread);
    }
}

void xr_cpu_linear_backward_input(XrBackend *b, const XrTensor *dx, const XrTensor *dy,
                                  const XrTensor *w, bool accumulate) {
    xr_cpu_require_f32(dy, "linear_backward_input");
    openblas_set_num_threads(1);
    Gradient g = {.backend = b,
                  .kernels = XR_CHOOSE_KERNELS(xr_linear_kernels),
                  .dx = dx,
                  .dy = dy,
                  .w = w,
                  .accumulate = accumulate};
    int64_t blocks = pieces(dx->shape[0], GRADIENT_ROWS) * pieces(dx->shape[1], GRADIENT_COLUMNS);
    xr_cpu_parallel(b, blocks, 1, backward_input_blocks, &g);
}

static void backward_weight_blocks(void *context, int64_t begin, int64_t end, int thread) {
    const Gradient *g = context;
    int64_t across = pieces(g->dw->shape[1], GRADIENT_ROWS);
    for (int64_t i = begin; i < end; i++) {
        int64_t row = i / across * GRADIENT_COLUMNS, column = i % across * GRADIENT_ROWS;
        int64_t rows = XR_MIN(GRADIENT_COLUMNS, g->dw->shape[0] - row);
        int64_t columns = XR_MIN(GRADIENT_ROWS, g->dw->shape[1] - column);
        cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, (int)rows, (int)columns,
                    (int)g->x->shape[0], 1, (const float *)g->dy->data + row,
                    (int)g->dy->row_stride, (const float *)g->x->data + column,
                    (int)g->x->row_stride, 1, row_of(g->dw, row) + column, (int)g->dw->row_stride);
    }
}

static void sum_columns(void *context, int64_t begin, int64_t end, int thread) {
    const Gradient *g = context;
    float *dbias = g->dbias->data;
    for (int64_t t = 0; t < g->dy->shape[0]; t++) {
        const float *dy = row_of(g->dy, t);
        for (int64_t n = begin; n < end; n++) dbias[n] += dy[n];
    }
}

void xr_cpu_linear_backward_weight(XrBackend *b, const XrTensor *dw, const XrTensor *dbias,
                                   const XrTensor *dy, const XrTensor *x) {
    xr_cpu_require_f32(dy, "linear_backward_weight");
    openblas_set_num_threads(1);
    Gradient g = {.backend = b, .dw = dw, .dbias = dbias, .dy = dy, .x = x};
    if (dw && x->shape[0] > 0) {
        int64_t blocks =
            pieces(dw->shape[0], GRADIENT_COLUMNS) * pieces(dw->shape[1], GRADIENT_ROWS);
        xr_cpu_parallel(b, blocks, 1, backward_weight_blocks, &g);
    }
    if (dbias) xr_cpu_parallel(b, dbias->shape[0], 256, sum_columns, &g);
}
