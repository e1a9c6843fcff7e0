#include "ref/product.h"

#include "ref/cpu.h"
#include "ref/product_kernels.h"
#include "ref/widen.h"
#include "shared/base/memory.h"

enum {
    MOST_ROWS = 2048,    // that are packed at a time: 8 MiB
    BLOCK_ROWS = 192,    // of a part or chain, 96 or 192 KiB, stay in the second-level cache, ...
    BLOCK_COLUMNS = 64,  // with those of as many columns, 32 or 64 KiB, and partial sums
    BETWEEN_STRIPS = 16, // floats: strips do not share sets of a cache; packing writes there
    LEAST_ROWS = 96,     // of a task, so that packing its columns costs little beside using them
};

// One group of rows and one chunk of the depth.
typedef struct Group {
    XrBackend *backend;
    const XrProductKernels *kernels;
    const XrProduct *p;
    float *left;                 // packed
    int64_t row, rows, k, depth; // of p
    int64_t groups;              // of as many steps as there are lanes
    int64_t steps;               // of a part
    int64_t left_strip;          // floats from a strip to the next
    int64_t left_part;           // floats from a part to the next
    int64_t task_rows;
} Group;

static int64_t pieces(int64_t count, int64_t size) {
    return (count + size - 1) / size;
}

static const void *operand_at(const XrOperand *o, int64_t line, int64_t k) {
    int64_t element = o->across ? k * o->stride + line : line * o->stride + k;
    return (const char *)o->data + element * (int64_t)xr_dtype_size(o->dtype);
}

// How lines are packed in strips `width` wide and `strip` floats apart; parts, if there are
// several, are `part` floats apart.
static XrPack pack_of(const Group *g, int64_t width, int64_t strip, int64_t part) {
    int64_t lanes = g->kernels->lanes;
    return (XrPack){.depth = g->depth,
                    .strip = strip,
                    .groups = g->groups,
                    .group = g->p->chain ? lanes * width : width,
                    .step = g->p->chain ? width : part};
}

static void pack_strips(void *context, int64_t begin, int64_t end, int thread) {
    const Group *g = context;
    const XrOperand *left = &g->p->left;
    int64_t width = g->kernels->rows, first = begin * width;
    XrPack pack = pack_of(g, width, g->left_strip, g->left_part);
    pack.to = g->left + begin * g->left_strip;
    pack.from = operand_at(left, g->row + first, g->k);
    pack.stride = left->stride;
    pack.lines = g->rows - first;
    pack.strips = end - begin;
    g->kernels->pack_left[left->across](&pack);
}

static void pack_columns(const Group *g, float *to, int64_t column, int64_t columns) {
    const XrOperand *right = &g->p->right;
    int64_t width = g->kernels->columns;
    XrPack pack = pack_of(g, width, g->steps * width, BLOCK_COLUMNS * g->steps);
    pack.to = to;
    pack.from = operand_at(right, column, g->k);
    pack.stride = right->stride;
    pack.lines = columns;
    pack.strips = pieces(columns, width);
    g->kernels->pack_right[right->dtype][right->across](&pack);
}

// y of some rows of the group and some columns.
static void multiply_task(const Group *g, int64_t row, int64_t column, int thread) {
    const XrProduct *p = g->p;
    int64_t end = XR_MIN(row + g->task_rows, g->rows);
    int64_t columns = XR_MIN(BLOCK_COLUMNS, p->columns - column);
    int64_t tiles = BLOCK_ROWS / g->kernels->rows * (BLOCK_COLUMNS / g->kernels->columns);
    float *right = xr_cpu_scratch(
        g->backend, thread,
        (size_t)(BLOCK_COLUMNS * (XR_PRODUCT_CHUNK + 1) + tiles * g->kernels->waiting) *
            sizeof(float));
    float *bias = right + BLOCK_COLUMNS * XR_PRODUCT_CHUNK;
    bool last = g->k + g->depth == p->depth;
    if (p->bias && last) xr_cpu_widen(bias, p->bias, column, columns);
    pack_columns(g, right, column, columns);
    for (; row < end; row += BLOCK_ROWS) {
        XrProductBlock block = {.y = p->y + (g->row + row) * p->y_stride + column,
                                .y_stride = p->y_stride,
                                .left = g->left + row / g->kernels->rows * g->left_strip,
                                .left_strip = g->left_strip,
                                .left_part = g->left_part,
                                .right = right,
                                .right_part = BLOCK_COLUMNS * g->steps,
                                .rows = XR_MIN(BLOCK_ROWS, end - row),
                                .columns = columns,
                                .steps = g->steps,
                                .waiting = bias + BLOCK_COLUMNS,
                                .bias = p->bias && last ? bias : NULL,
                                .first = g->k == 0 && !p->add,
                                .chain = p->chain};
        g->kernels->multiply(&block);
    }
}

static void multiply_tasks(void *context, int64_t begin, int64_t end, int thread) {
    const Group *g = context;
    int64_t across = pieces(g->p->columns, BLOCK_COLUMNS);
    for (int64_t i = begin; i < end; i++) {
        multiply_task(g, i / across * g->task_rows, i % across * BLOCK_COLUMNS, thread);
    }
}

// Rows of a task: all of the group's, unless that leaves threads without work.
static int64_t rows_of_task(const Group *g, int64_t across) {
    int64_t down = pieces((int64_t)4 * xr_threads_count(g->backend->threads), across);
    int64_t rows = XR_MAX(LEAST_ROWS, pieces(g->rows, down));
    return pieces(rows, g->kernels->rows) * g->kernels->rows;
}

static void multiply_group(Group *g) {
    int64_t strips = pieces(g->rows, g->kernels->rows);
    int64_t across = pieces(g->p->columns, BLOCK_COLUMNS);
    int64_t lanes = g->kernels->lanes, parts = g->p->chain ? 1 : lanes;
    g->groups = pieces(g->depth, lanes);
    g->steps = g->groups * lanes / parts;
    g->left_strip = g->kernels->rows * g->steps + BETWEEN_STRIPS;
    g->left_part = strips * g->left_strip;
    g->left = xr_cpu_product_scratch(g->backend, (size_t)(g->left_part * parts) * sizeof *g->left);
    g->task_rows = rows_of_task(g, across);
    xr_cpu_parallel(g->backend, strips, 8, pack_strips, g);
    xr_cpu_parallel(g->backend, pieces(g->rows, g->task_rows) * across, 1, multiply_tasks, g);
}

void xr_cpu_product(XrBackend *b, const XrProduct *p) {
    int64_t chunk = p->chain ? XR_PRODUCT_CHAIN : XR_PRODUCT_CHUNK;
    if (p->columns == 0) return;
    for (int64_t row = 0; row < p->rows; row += MOST_ROWS) {
        for (int64_t k = 0; k == 0 || k < p->depth; k += chunk) {
            Group g = {.backend = b,
                       .kernels = XR_CHOOSE_KERNELS(xr_product_kernels),
                       .p = p,
                       .row = row,
                       .rows = XR_MIN(MOST_ROWS, p->rows - row),
                       .k = k,
                       .depth = XR_MIN(chunk, p->depth - k)};
            multiply_group(&g);
        }
    }
}
