// Products of activations with weights.
#include "ref/cpu.h"
#include "ref/linear_kernels.h"
#include "ref/widen.h"
#include "shared/base/memory.h"

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
    FEW_ROWS = 16, // up to which weights are used as they lie
    FEW_COLUMNS = 12,
    LEAST_ROWS = 96, // of a block, so that expanding its weights costs little beside using them
    MOST_ROWS = 768,
    MANY_COLUMNS = 64, // with a chunk of K, 256 KiB of f32: they stay in the second-level cache
};

// y of one block, chunk of K after chunk.
static void multiply_block(const Product *p, int64_t row, int64_t column, int thread) {
    int64_t rows = XR_MIN(p->block_rows, p->x->shape[0] - row);
    int64_t columns = XR_MIN(p->block_columns, p->w->shape[0] - column);
    int64_t depth = p->x->shape[1];
    size_t size = xr_dtype_size(p->w->dtype);
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
            .ahead = 4 * depth, // four rows are one run of memory, a tile; fetch the next tile's
            .first = k == 0,
        };
        if (p->few) {
            p->kernels->few_rows[p->w->dtype](&block);
            continue;
        }
        p->kernels->expand[p->w->dtype](panel, XR_LINEAR_CHUNK, block.w, depth, columns,
                                        block.depth);
        block.w = panel;
        block.w_stride = XR_LINEAR_CHUNK;
        p->kernels->many_rows(&block);
    }
}

static void multiply_blocks(void *context, int64_t begin, int64_t end, int thread) {
    const Product *p = context;
    int64_t across = (p->w->shape[0] + p->block_columns - 1) / p->block_columns;
    for (int64_t i = begin; i < end; i++) {
        multiply_block(p, i / across * p->block_rows, i % across * p->block_columns, thread);
    }
}

static int64_t pieces(int64_t count, int64_t size) {
    return (count + size - 1) / size;
}

// Rows of a block: as many as there are, unless that leaves threads without work.
static int64_t rows_of_block(int64_t rows, int64_t across, int threads) {
    int64_t down = XR_MAX(pieces(rows, MOST_ROWS), pieces((int64_t)4 * threads, across));
    return XR_MAX(LEAST_ROWS, pieces(rows, down));
}

void xr_cpu_linear(XrBackend *b, const XrTensor *y, const XrTensor *x, const XrTensor *w,
                   const XrTensor *bias) {
    xr_cpu_require_f32(x, "linear");
    int64_t rows = x->shape[0], columns = w->shape[0];
    int threads = xr_threads_count(b->threads);
    bool few = rows <= FEW_ROWS;
    int64_t block_columns = few ? FEW_COLUMNS : MANY_COLUMNS;
    int64_t across = pieces(columns, block_columns);
    if (rows == 0 || columns == 0) return;
    Product p = {.backend = b,
                 .kernels = XR_CHOOSE_KERNELS(xr_linear_kernels),
                 .y = y,
                 .x = x,
                 .w = w,
                 .bias = bias,
                 .block_rows = few ? FEW_ROWS : rows_of_block(rows, across, threads),
                 .block_columns = block_columns,
                 .few = few};
    int64_t blocks = pieces(rows, p.block_rows) * across;
    // Few rows: each thread takes long runs of weights, yet none waits long for another at the end.
    int64_t grain = few ? across / ((int64_t)8 * threads) : 1;
    xr_cpu_parallel(b, blocks, XR_MAX(1, grain), multiply_blocks, &p);
}
