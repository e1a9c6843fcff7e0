// Products of matrices that both have many lines: both are packed into strips, and tiles of sums
// are held in registers (ref/product_kernels.h says in which order they are summed).
#ifndef XR_REF_PRODUCT_H
#define XR_REF_PRODUCT_H

#include "shared/tensor/backend.h"

// Elements of the depth that are summed before the sum is added to y: in the order of `linear`, and
// in a chain, so short that a strip of it stays in the first-level cache.
enum { XR_PRODUCT_CHUNK = 1024, XR_PRODUCT_CHAIN = 256 };

// A matrix of `lines` by `depth` numbers. Its lines' steps are contiguous, `stride` apart from line
// to line; or, across, the lines of a step are, `stride` apart from step to step.
typedef struct XrOperand {
    const void *data; // not necessarily aligned for its type
    XrDType dtype;    // f32; of a right operand also bf16, f16
    int64_t stride;   // elements
    bool across;
} XrOperand;

// y[rows, columns] = left[rows, depth] right[columns, depth]^T + bias[columns], or += (add).
// Every element is summed in one order, that depends on the depth, `chain` and the instruction set
// alone.
typedef struct XrProduct {
    float *y;
    int64_t y_stride;
    int64_t rows, columns, depth;
    XrOperand left, right;
    const XrTensor *bias; // or NULL
    bool add;
    // Every chunk is one chain of multiply-adds, which is faster; otherwise it has the order of
    // ref/linear_kernels.c, so that a row comes out the same whether it is one of few or of many.
    bool chain;
} XrProduct;

void xr_cpu_product(XrBackend *b, const XrProduct *product);

#endif
