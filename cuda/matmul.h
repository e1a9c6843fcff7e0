// Matrix products of the backend's own: every element of the result is summed along the inner
// dimension in one order, whatever the number of rows (cuda/matmul.cu).
#ifndef XR_CUDA_MATMUL_H
#define XR_CUDA_MATMUL_H

#include "cuda/cuda.h"

// An operand of M (or N) outer by K inner elements: element (i, k) is data[i * stride + k], or
// where it is turned data[k * stride + i]. Aligned to its type.
typedef struct XrOperand {
    const void *data;
    XrDType dtype;
    int64_t stride;
    bool turned;
} XrOperand;

// c[m,n] = sum_k a(m,k) b(n,k) + bias[n], or += where `accumulate`. bias (any weight type) may be
// NULL. Tensor cores where a and b are both bf16; otherwise products and sums of f32.
typedef struct XrMatmul {
    XrOperand a, b;
    const XrTensor *bias;
    void *c; // f32 or bf16, rows of `stride` elements
    XrDType dtype;
    int64_t stride, m, n, k;
    bool accumulate;
} XrMatmul;

// Up to this many products of one a (the same data, m and k). What one launch can do is one launch:
// all of them where operands are bf16, not turned, and lie aligned.
enum { XR_MOST_MATMULS = 3 };
void xr_cuda_matmul(XrBackend *b, const XrMatmul *products, int count);

#endif
