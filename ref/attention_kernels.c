#include "ref/attention_kernels.h"

#include "ref/outer_product.h"
#include "ref/transpose.h"
#include "shared/tensor/ops.h" // defines: XR_KV_PAGE

enum { BLOCK = XR_KV_PAGE / XR_LANES }; // vectors of a row's scores

static void multiply(float *to, const float *from, int64_t count, float factor) {
    for (int64_t i = 0; i < count; i++) to[i] = from[i] * factor;
}

static void divide(float *to, const float *from, int64_t count, float divisor) {
    for (int64_t i = 0; i < count; i++) to[i] = from[i] / divisor;
}

static void scores(float *s, const float *q, int64_t q_stride, int64_t rows, int64_t dim,
                   const float *keys, ptrdiff_t ahead) {
    memset(s, 0, (size_t)rows * XR_KV_PAGE * sizeof *s);
    Outer o = {s, q, keys, XR_KV_PAGE, q_stride, 1, XR_KV_PAGE, rows, dim, ahead};
    outer_product(&o, XR_KV_PAGE);
}

static void accumulate(float *sum, const float *a, int64_t rows, const float *values, int64_t width,
                       int64_t count, ptrdiff_t ahead) {
    Outer o = {sum, a, values, width, XR_KV_PAGE, 1, width, rows, count, ahead};
    outer_product(&o, width);
}

// The scores of a row's block, those that it does not see replaced.
XR_INLINE void load_seen(Vec block[BLOCK], const float *s, int32_t seen, float otherwise) {
    XR_UNROLL for (int v = 0; v < BLOCK; v++) block[v] = vec_load(s + (ptrdiff_t)v * XR_LANES);
    if (seen >= XR_KV_PAGE) return;
    XR_UNROLL for (int v = 0; v < BLOCK; v++) {
        VecI hidden = vec_lane_numbers() >= seen - v * XR_LANES;
        block[v] = vec_choose(hidden, vec_set(otherwise), block[v]);
    }
}

XR_INLINE void rescale(float *row, int64_t count, float factor) {
    for (int64_t i = 0; i < count; i += XR_LANES) vec_store(row + i, vec_load(row + i) * factor);
}

static void softmax(float *s, const XrSoftmaxState *state, const int32_t *seen, int64_t rows,
                    int64_t width) {
    for (int64_t r = 0; r < rows; r++, s += XR_KV_PAGE) {
        float *sum = state->sum + r * XR_KV_PAGE;
        Vec block[BLOCK], most = vec_set(-INFINITY);
        load_seen(block, s, seen[r], -INFINITY);
        XR_UNROLL for (int v = 0; v < BLOCK; v++) most = vec_max(block[v], most);
        float top = vec_greatest(most);
        if (top > state->top[r]) {
            float factor = vec_exp(vec_set(state->top[r] - top))[0];
            state->top[r] = top;
            rescale(sum, XR_KV_PAGE, factor);
            rescale(state->value + r * width, width, factor);
        }
        XR_UNROLL for (int v = 0; v < BLOCK; v++) {
            Vec e = vec_exp(block[v] - state->top[r]);
            vec_store(s + (ptrdiff_t)v * XR_LANES, e);
            vec_store(sum + (ptrdiff_t)v * XR_LANES, vec_load(sum + (ptrdiff_t)v * XR_LANES) + e);
        }
    }
}

static void probabilities(float *s, const float *lse, const int32_t *seen, int64_t rows) {
    for (int64_t r = 0; r < rows; r++, s += XR_KV_PAGE) {
        Vec block[BLOCK];
        load_seen(block, s, seen[r], -INFINITY);
        XR_UNROLL for (int v = 0; v < BLOCK; v++) {
            vec_store(s + (ptrdiff_t)v * XR_LANES, vec_exp(block[v] - lse[r]));
        }
    }
}

static void score_gradients(float *ds, const float *p, const float *dot, int64_t rows) {
    for (int64_t r = 0; r < rows; r++) {
        for (int64_t j = 0; j < XR_KV_PAGE; j++, ds++, p++) *ds = *p * (*ds - dot[r]);
    }
}

// Squares through registers; what is left over one by one.
static void transpose(float *to, const float *from, int64_t from_stride, int64_t count,
                      int64_t dim) {
    int64_t rows = count / SQUARE * SQUARE, columns = dim / SQUARE * SQUARE;
    for (int64_t d = 0; d < columns; d += SQUARE) {
        for (int64_t j = 0; j < rows; j += SQUARE) {
            transpose_square(to + d * XR_KV_PAGE + j, XR_KV_PAGE, from + j * from_stride + d,
                             from_stride);
        }
    }
    for (int64_t j = 0; j < count; j++) {
        for (int64_t d = j < rows ? columns : 0; d < dim; d++) {
            to[d * XR_KV_PAGE + j] = from[j * from_stride + d];
        }
    }
}

const XrAttentionKernels XR_KERNEL(xr_attention_kernels) = {
    .multiply = multiply,
    .divide = divide,
    .scores = scores,
    .softmax = softmax,
    .accumulate = accumulate,
    .probabilities = probabilities,
    .score_gradients = score_gradients,
    .transpose = transpose,
};
