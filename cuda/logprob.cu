// Log-probabilities of given tokens over the vocabulary, and their gradient. Unless the caller
// keeps the logits they exist for a block of MOST_ROWS rows and COLUMNS tokens of the vocabulary at
// a time, few enough to stay in the second-level cache; each row's softmax is carried along from
// block to block (cuda/softmax.h, as in Milakov and Gimelshein, "Online normalizer calculation for
// softmax", 2018).
#include "cuda/cuda.h"
#include "cuda/softmax.h"

#include <math.h>

enum { MOST_ROWS = 4096, COLUMNS = XR_SOFTMAX_CHUNK, WARPS = 4, THREADS = 256 };

XR_DEVICE int64_t target_of(const int32_t *targets, int64_t row, int64_t vocabulary) {
    const int64_t target = targets[row];
    XR_DEVICE_REQUIRE(target < vocabulary, "logprob: target %lld of a vocabulary of %lld",
                      (long long)target, (long long)vocabulary);
    return target;
}

// What is known of a row after some blocks of columns.
struct Running {
    XrSoftmax softmax;
    float target; // the target's logit / temperature
    int32_t best; // the lowest id with the largest logit, unless one is not a number
};

// By a warp: the first i with z[i] / divisor = value, count where there is none.
XR_DEVICE int64_t first_equal(const float *z, int64_t count, float divisor, float value) {
    for (int64_t begin = 0; begin < count; begin += 32) {
        const int64_t i = begin + (int64_t)threadIdx.x % 32;
        const uint32_t equal = xr_ballot(i < count && z[i] / divisor == value);
        if (equal) return begin + __ffs((int)equal) - 1;
    }
    return count;
}

// Block [first, first + count) of the vocabulary, rows `stride` apart; a warp a row. With `keep`
// the quotients replace the logits.
XR_KERNEL(WARPS * 32)
reduce_block(Running *running, float *z, int64_t stride, const int32_t *targets, int64_t rows,
             int64_t first, int64_t count, int64_t vocabulary, float temperature, bool want_best,
             bool keep) {
    const int64_t row = (int64_t)blockIdx.x * WARPS + threadIdx.x / 32;
    if (row >= rows) return;
    float *own = z + row * stride;
    const XrSoftmax block = xr_softmax_chunk(own, count, temperature);
    const int64_t best = want_best ? first_equal(own, count, temperature, block.top) : 0;
    const int64_t column = target_of(targets, row, vocabulary) - first;
    const float target = column >= 0 && column < count ? own[column] / temperature : 0;
    xr_sync_warp();
    for (int64_t i = threadIdx.x % 32; keep && i < count; i += 32) own[i] /= temperature;
    if (threadIdx.x % 32 != 0) return;
    Running r = running[row];
    if (first == 0) r = Running{xr_softmax_none(), 0, 0};
    if (best < count && block.top > r.softmax.top) r.best = (int32_t)(first + best);
    r.softmax = xr_softmax_join(r.softmax, block);
    if (column >= 0 && column < count) r.target = target;
    running[row] = r;
}

XR_KERNEL(THREADS)
finish(float *logprob, float *entropy, int32_t *best, float *lse, const Running *running,
       const int32_t *targets, int64_t rows) {
    const int64_t row = (int64_t)blockIdx.x * THREADS + threadIdx.x;
    if (row >= rows) return;
    const Running r = running[row];
    const float sum = xr_softmax_lse(r.softmax);
    logprob[row] = targets[row] < 0 ? 0 : r.target - sum;
    if (entropy) entropy[row] = sum - xr_softmax_mean(r.softmax);
    if (best) best[row] = r.softmax.top != r.softmax.top ? -1 : r.best;
    if (lse) lse[row] = sum;
}

static float *rows_of(const XrTensor *t, int64_t first) {
    return t ? (float *)t->data + first : NULL;
}

// Some columns of some rows of logits.
static XrTensor block_of(const XrTensor *logits, int64_t row, int64_t rows, int64_t column,
                         int64_t columns) {
    XrTensor block = xr_rows(logits, row, rows);
    block.data = (float *)block.data + column;
    block.shape[1] = columns;
    return block;
}

extern "C" void xr_cuda_logprob(XrBackend *b, const XrTensor *logprob, const XrTensor *entropy,
                                const XrTensor *best, const XrTensor *lse, const XrTensor *logits,
                                const XrTensor *hidden, const XrTensor *head,
                                const XrTensor *targets, float temperature) {
    int64_t rows = hidden->shape[0], vocabulary = head->shape[0];
    int64_t most = XR_MIN(rows, (int64_t)MOST_ROWS), columns = XR_MIN(vocabulary, (int64_t)COLUMNS);
    if (rows == 0) return;
    Running *running = (Running *)xr_cuda_scratch(
        b, XR_SCRATCH_LOGITS,
        (size_t)most * (sizeof *running + (logits ? 0 : (size_t)columns * sizeof(float))));
    for (int64_t first = 0; first < rows; first += most) {
        int64_t count = XR_MIN(most, rows - first);
        const int32_t *ids = (const int32_t *)targets->data + first;
        XrTensor x = xr_rows(hidden, first, count);
        for (int64_t column = 0; column < vocabulary; column += columns) {
            int64_t some = XR_MIN(columns, vocabulary - column);
            XrTensor w = xr_rows(head, column, some);
            XrTensor y = xr_tensor2(XR_F32, running + most, count, some);
            if (logits) y = block_of(logits, first, count, column, some);
            xr_cuda_linear(b, &y, &x, &w, NULL);
            XR_LAUNCH(reduce_block, (unsigned)xr_pieces(count, WARPS), WARPS * 32, 0,
                      xr_cuda_stream(b), running, (float *)y.data, y.row_stride, ids, count, column,
                      some, vocabulary, temperature, best != NULL, logits && temperature != 1);
        }
        XR_LAUNCH(finish, (unsigned)xr_pieces(count, THREADS), THREADS, 0, xr_cuda_stream(b),
                  rows_of(logprob, first), rows_of(entropy, first),
                  best ? (int32_t *)best->data + first : NULL, rows_of(lse, first), running, ids,
                  count);
    }
}

// ---- backward ----

// dz of block [first, first + count) of the vocabulary from its logits / divisor, rows of z and dz
// so far apart; a block a row. dz may be z.
template <typename T>
XR_KERNEL(THREADS)
gradient_block(XrRows<T> dz, const float *z, int64_t stride, const float *dlogprob,
               const float *lse, const int32_t *targets, int64_t first, int64_t count,
               int64_t vocabulary, float divisor, float temperature) {
    const int64_t row = blockIdx.x, target = target_of(targets, row, vocabulary);
    const float factor = target < 0 ? 0 : dlogprob[row] / temperature, sum = lse[row];
    for (int64_t i = threadIdx.x; i < count; i += THREADS) {
        const float p = expf(z[row * stride + i] / divisor - sum);
        const float onehot = i == target - first ? 1.0f : 0.0f;
        xr_assign(dz.data[row * dz.stride + i], target < 0 ? 0.0f : factor * (onehot - p));
    }
}

template <typename T>
XR_KERNEL(THREADS)
round_rows(XrRows<T> to, const float *from, int64_t width) {
    const int64_t row = blockIdx.x;
    for (int64_t d = threadIdx.x; d < width; d += THREADS) {
        xr_assign(to.data[row * to.stride + d], from[row * width + d]);
    }
}

typedef struct Blocks {
    int64_t rows, columns, width;
    float *z, *dx; // dx: sums over the blocks of the vocabulary, in f32
    void *dz;
} Blocks;

// z, dx and dz (which is z where activations are f32) lie one after the other.
static Blocks take_blocks(XrBackend *b, const XrTensor *hidden, int64_t vocabulary) {
    Blocks k = {};
    bool narrow = hidden->dtype != XR_F32;
    k.rows = XR_MIN(hidden->shape[0], (int64_t)MOST_ROWS);
    k.columns = XR_MIN(vocabulary, (int64_t)COLUMNS);
    k.width = hidden->shape[1];
    size_t z = (size_t)(k.rows * k.columns), dx = (size_t)(k.rows * k.width);
    k.z = (float *)xr_cuda_scratch(b, XR_SCRATCH_LOGITS,
                                   (z + dx) * sizeof(float) + (narrow ? z * 2 : 0) + 32);
    k.dz = narrow ? (void *)(k.z + xr_pieces((int64_t)z, 4) * 4) : k.z;
    k.dx = (float *)((char *)k.dz + xr_pieces((int64_t)z * (narrow ? 2 : 4), 16) * 16);
    return k;
}

extern "C" void xr_cuda_logprob_backward(XrBackend *b, const XrTensor *dhidden,
                                         const XrTensor *dhead, const XrTensor *dlogprob,
                                         const XrTensor *logits, const XrTensor *hidden,
                                         const XrTensor *head, const XrTensor *targets,
                                         const XrTensor *lse, float temperature) {
    int64_t rows = hidden->shape[0], vocabulary = head->shape[0];
    if (rows == 0) return;
    Blocks k = take_blocks(b, hidden, vocabulary);
    for (int64_t first = 0; first < rows; first += k.rows) {
        int64_t count = XR_MIN(k.rows, rows - first);
        const int32_t *ids = (const int32_t *)targets->data + first;
        XrTensor x = xr_rows(hidden, first, count), to = xr_rows(dhidden, first, count);
        XrTensor dx = xr_tensor2(XR_F32, k.dx, count, k.width);
        for (int64_t column = 0; column < vocabulary; column += k.columns) {
            int64_t some = XR_MIN(k.columns, vocabulary - column);
            XrTensor w = xr_rows(head, column, some), z = xr_tensor2(XR_F32, k.z, count, some);
            XrTensor dz = xr_tensor2(hidden->dtype, k.dz, count, some);
            if (logits)
                z = block_of(logits, first, count, column, some);
            else
                xr_cuda_linear(b, &z, &x, &w, NULL);
            if (logits && hidden->dtype == XR_F32) dz = z;
            XR_ACTIVATION_TYPES(hidden, T, {
                XR_LAUNCH((gradient_block<T>), (unsigned)count, THREADS, 0, xr_cuda_stream(b),
                          xr_cuda_rows<T>(&dz), (const float *)z.data, z.row_stride,
                          rows_of(dlogprob, first), rows_of(lse, first), ids, column, some,
                          vocabulary, logits ? 1 : temperature, temperature);
            });
            xr_cuda_linear_backward_input(b, &dx, &dz, &w, column > 0);
            if (!dhead) continue;
            XrTensor dw = xr_rows(dhead, column, some);
            xr_cuda_linear_backward_weight(b, &dw, NULL, &dz, &x);
        }
        XR_ACTIVATION_TYPES(hidden, T, {
            XR_LAUNCH((round_rows<T>), (unsigned)count, THREADS, 0, xr_cuda_stream(b),
                      xr_cuda_rows<T>(&to), k.dx, k.width);
        });
    }
}
