#include "ref/gradient_kernels.h"

#include "ref/outer_product.h"

// Columns that fill no vector.
static void last_columns(const XrGradientBlock *b, int64_t first) {
    for (int64_t r = 0; r < b->rows; r++) {
        float *sum = b->sum + r * b->sum_stride;
        for (int64_t i = 0; i < b->depth; i++) {
            float factor = b->a[r * b->a_row + i * b->a_step];
            const float *row = b->panel + i * XR_GRADIENT_COLUMNS;
            for (int64_t c = first; c < b->columns; c++) sum[c] += factor * row[c];
        }
    }
}

static void block(const XrGradientBlock *b) {
    int64_t whole = b->columns / XR_LANES * XR_LANES;
    Outer o = {.sum = b->sum,
               .a = b->a,
               .b = b->panel,
               .sum_stride = b->sum_stride,
               .a_row = b->a_row,
               .a_step = b->a_step,
               .b_stride = XR_GRADIENT_COLUMNS,
               .rows = b->rows,
               .depth = b->depth};
    outer_product(&o, whole);
    last_columns(b, whole);
}

const XrGradientKernels XR_KERNEL(xr_gradient_kernels) = {block};
