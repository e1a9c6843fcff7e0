// The inner loops of attention, compiled for each instruction set (ref/isa.h). Rows are query heads
// of tokens, a block is XR_KV_PAGE keys. What happens to a row does not depend on the other rows of
// a call.
#ifndef XR_REF_ATTENTION_KERNELS_H
#define XR_REF_ATTENTION_KERNELS_H

#include "ref/isa.h"

#include <stddef.h>
#include <stdint.h>

// Rows of values are padded with zeros to a multiple of this.
enum { XR_HEAD_ALIGN = 16 };

// Running state of the softmax of `rows` rows.
typedef struct XrSoftmaxState {
    float *top;   // [rows] largest score so far
    float *sum;   // [rows, XR_KV_PAGE] sums of exponentials, one for each place in a block
    float *value; // [rows, width] sums of exponential times value
} XrSoftmaxState;

typedef struct XrAttentionKernels {
    // to[i] = from[i] * factor; to[i] = from[i] / divisor.
    void (*multiply)(float *to, const float *from, int64_t count, float factor);
    void (*divide)(float *to, const float *from, int64_t count, float divisor);
    // Both products: `ahead` floats from keys or values lie those that will be needed next and are
    // fetched into a cache; 0: nothing is.
    // s[rows, XR_KV_PAGE] = q[rows, dim] keys[dim, XR_KV_PAGE], summed along dim in order.
    void (*scores)(float *s, const float *q, int64_t q_stride, int64_t rows, int64_t dim,
                   const float *keys, ptrdiff_t ahead);
    // Turns the scores of a block into exponentials, of which row r sees the first seen[r], and
    // takes them into the state: value is rescaled where a larger score than before turns up.
    void (*softmax)(float *s, const XrSoftmaxState *state, const int32_t *seen, int64_t rows,
                    int64_t width);
    // sum[rows, width] += p[rows, XR_KV_PAGE] values[XR_KV_PAGE, width], the first `count` of the
    // block in order. width is a multiple of XR_HEAD_ALIGN.
    void (*accumulate)(float *sum, const float *p, int64_t rows, const float *values, int64_t width,
                       int64_t count, ptrdiff_t ahead);
    // s[r, j] = exp(s[r, j] - lse[r]) for j < seen[r], otherwise 0.
    void (*probabilities)(float *s, const float *lse, const int32_t *seen, int64_t rows);
    // ds[r, j] = p[r, j] (ds[r, j] - dot[r]).
    void (*score_gradients)(float *ds, const float *p, const float *dot, int64_t rows);
    // to[dim, XR_KV_PAGE] = from[count, dim]^T; columns from `count` on are left alone.
    void (*transpose)(float *to, const float *from, int64_t from_stride, int64_t count,
                      int64_t dim);
} XrAttentionKernels;

XR_DECLARE_KERNELS(XrAttentionKernels, xr_attention_kernels);

#endif
