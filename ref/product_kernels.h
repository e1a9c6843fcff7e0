// The inner part of ref/product.h, compiled for each instruction set (ref/isa.h).
//
// A sum over a chunk of the depth has one of two orders. In lanes: step k goes to the partial sum
// k % lanes, each of these is one chain of multiply-adds along k, and the partial sums are added in
// pairs at distance lanes / 2, then half of that, down to 1. That is how ref/linear_kernels.c adds
// up a row whose vectors lie along the depth. Here vectors lie across the columns, and the steps of
// one partial sum, which are a part of the packed operands, follow each other. In a chain: one
// chain of multiply-adds along k, one part.
#ifndef XR_REF_PRODUCT_KERNELS_H
#define XR_REF_PRODUCT_KERNELS_H

#include "ref/isa.h"
#include "shared/tensor/tensor.h"

#include <stdbool.h>
#include <stdint.h>

// Lines (rows of the left operand, columns' of the right one) packed in strips as wide as a tile.
// The lines of a step are contiguous. Past the last line and the last step stand zeros.
typedef struct XrPack {
    float *to;
    const void *from;     // the first line's first number
    int64_t stride;       // elements from line to line, or from step to step (across)
    int64_t lines, depth; // of `from`
    int64_t strips;       // that are made, perhaps of fewer lines
    int64_t strip;        // floats from one strip to the next
    int64_t groups;       // of as many steps as there are lanes...
    int64_t group, step;  // floats from a group to the next, and from a step to the next in it
} XrPack;

// y[rows, columns] = or += left right^T (+ bias), of packed operands.
typedef struct XrProductBlock {
    float *y;
    int64_t y_stride;
    const float *left, *right; // strips of the first part
    int64_t left_strip;        // floats from one strip of the left operand to the next
    int64_t left_part, right_part;
    int64_t rows, columns, steps; // of a part
    float *waiting;               // [tiles] partial sums
    const float *bias;            // [columns], or NULL
    bool first;                   // y is written, not added to
    bool chain;                   // one part, no partial sums
} XrProductBlock;

typedef struct XrProductKernels {
    int lanes;         // parts of an operand, unless sums are chains
    int rows, columns; // of a tile
    int waiting;       // floats of partial sums a tile
    // By type of the numbers (f32, bf16, f16) and by what is contiguous: the steps of a line, or
    // the lines of a step (across).
    void (*pack_left[2])(const XrPack *pack); // f32
    void (*pack_right[3][2])(const XrPack *pack);
    void (*multiply)(const XrProductBlock *block);
} XrProductKernels;

XR_DECLARE_KERNELS(XrProductKernels, xr_product_kernels);

#endif
