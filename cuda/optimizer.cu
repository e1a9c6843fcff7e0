// The optimiser's loops: one contribution to the global norm, a step of AdamW (Loshchilov and
// Hutter, "Decoupled Weight Decay Regularization", 2019), in the order of torch.optim.AdamW and of
// ref/optimizer.c, and the weights in bf16.
#include "cuda/cuda.h"
#include "cuda/reduce.h"

#include <math.h>

enum { THREADS = 256, PIECE = 1 << 14 }; // elements

// ---- squared_norm: sums of fixed pieces, added in one order ----

// Squares of f32 numbers are exact in f64.
XR_KERNEL(THREADS) square_pieces(double *sums, const float *x, int64_t count) {
    XR_SHARED(double, scratch, XR_MOST_WARPS);
    const int64_t begin = (int64_t)blockIdx.x * PIECE;
    const int64_t end = begin + PIECE < count ? begin + PIECE : count;
    double sum = 0;
    for (int64_t i = begin + threadIdx.x; i < end; i += THREADS) {
        sum = fma((double)x[i], (double)x[i], sum);
    }
    sum = xr_block_sum(sum, scratch);
    if (threadIdx.x == 0) sums[blockIdx.x] = sum;
}

XR_KERNEL(THREADS) add_sums(double *total, const double *sums, int64_t pieces) {
    XR_SHARED(double, scratch, XR_MOST_WARPS);
    double sum = 0;
    for (int64_t i = threadIdx.x; i < pieces; i += THREADS) sum += sums[i];
    sum = xr_block_sum(sum, scratch);
    if (threadIdx.x == 0) *total += sum;
}

extern "C" void xr_cuda_squared_norm(XrBackend *b, const XrTensor *sum, const XrTensor *x) {
    int64_t count = x->shape[0], pieces = xr_pieces(count, PIECE);
    if (count == 0) return;
    double *sums = (double *)xr_cuda_scratch(b, XR_SCRATCH_PARTIAL, (size_t)pieces * sizeof *sums);
    XR_LAUNCH(square_pieces, (unsigned)pieces, THREADS, 0, xr_cuda_stream(b), sums,
              (const float *)x->data, count);
    XR_LAUNCH(add_sums, 1, THREADS, 0, xr_cuda_stream(b), (double *)sum->data, sums, pieces);
}

// ---- adamw ----

struct Factors {
    float keep;         // 1 - lr weight_decay
    float rate;         // lr / (1 - beta1^step)
    float root;         // 1 / sqrt(1 - beta2^step)
    float take1, beta2; // 1 - beta1, beta2
    float take2, eps, grad_scale;
};

enum { EACH = XrChunk<float>::count };

struct alignas(2 * EACH) Rounded {
    XrBf16 element[EACH];
};

// As xr_store_chunk, of as many elements as a chunk of floats has: 8 bytes.
XR_DEVICE void store_rounded(XrBf16 *to, const float in[EACH], int64_t left, bool whole) {
    if (whole) {
        Rounded pack;
#pragma unroll
        for (int k = 0; k < EACH; k++) xr_assign(pack.element[k], in[k]);
        *(Rounded *)to = pack;
    } else {
#pragma unroll
        for (int k = 0; k < EACH; k++) {
            if (k < left) xr_assign(to[k], in[k]);
        }
    }
}

XR_KERNEL(THREADS)
adamw(float *p, float *m, float *v, XrBf16 *rounded, const float *grad, int64_t count, Factors f,
      bool wide) {
    const int64_t step = (int64_t)gridDim.x * THREADS * EACH;
    const int64_t first = ((int64_t)blockIdx.x * THREADS + threadIdx.x) * EACH;
    for (int64_t i = first; i < count; i += step) {
        const int64_t left = count - i;
        const bool whole = wide && left >= EACH;
        float value[EACH], mean[EACH], square[EACH], g[EACH];
        xr_load_chunk(value, p + i, left, whole);
        xr_load_chunk(mean, m + i, left, whole);
        xr_load_chunk(square, v + i, left, whole);
        xr_load_chunk(g, grad + i, left, whole);
#pragma unroll
        for (int k = 0; k < EACH; k++) {
            const float scaled = g[k] * f.grad_scale;
            mean[k] += f.take1 * (scaled - mean[k]);
            square[k] = f.beta2 * square[k] + f.take2 * (scaled * scaled);
            value[k] = f.keep * value[k] - f.rate * (mean[k] / (sqrtf(square[k]) * f.root + f.eps));
        }
        xr_store_chunk(p + i, value, left, whole);
        xr_store_chunk(m + i, mean, left, whole);
        xr_store_chunk(v + i, square, left, whole);
        if (rounded) store_rounded(rounded + i, value, left, whole);
    }
}

static bool is_wide_rounded(const XrTensor *t) {
    return (uintptr_t)t->data % sizeof(Rounded) == 0;
}

static int64_t blocks_for(XrBackend *b, int64_t count) {
    int64_t most = (int64_t)xr_cuda_multiprocessors(b) * 16;
    return XR_MIN(xr_pieces(count, THREADS * EACH), most);
}

extern "C" void xr_cuda_adamw(XrBackend *b, const XrTensor *p, const XrTensor *m, const XrTensor *v,
                              const XrTensor *rounded, const XrTensor *grad, XrAdamW a) {
    int64_t count = p->shape[0];
    if (count == 0) return;
    double step = (double)a.step;
    Factors factors;
    factors.keep = (float)(1 - a.lr * a.weight_decay);
    factors.rate = (float)(a.lr / (1 - pow(a.beta1, step)));
    factors.root = (float)(1 / sqrt(1 - pow(a.beta2, step)));
    factors.take1 = (float)(1 - a.beta1);
    factors.beta2 = (float)a.beta2;
    factors.take2 = (float)(1 - a.beta2);
    factors.eps = (float)a.eps;
    factors.grad_scale = (float)a.grad_scale;
    bool wide = xr_cuda_is_wide(p) && xr_cuda_is_wide(m) && xr_cuda_is_wide(v) &&
                (!rounded || is_wide_rounded(rounded)) && xr_cuda_is_wide(grad);
    XR_LAUNCH(adamw, (unsigned)blocks_for(b, count), THREADS, 0, xr_cuda_stream(b),
              (float *)p->data, (float *)m->data, (float *)v->data,
              rounded ? (XrBf16 *)rounded->data : NULL, (const float *)grad->data, count, factors,
              wide);
}

// ---- round_bf16 ----

XR_KERNEL(THREADS) round_all(XrBf16 *y, const float *x, int64_t count, bool wide) {
    const int64_t step = (int64_t)gridDim.x * THREADS * EACH;
    const int64_t first = ((int64_t)blockIdx.x * THREADS + threadIdx.x) * EACH;
    for (int64_t i = first; i < count; i += step) {
        const int64_t left = count - i;
        float value[EACH];
        xr_load_chunk(value, x + i, left, wide && left >= EACH);
        store_rounded(y + i, value, left, wide && left >= EACH);
    }
}

extern "C" void xr_cuda_round_bf16(XrBackend *b, const XrTensor *y, const XrTensor *x) {
    int64_t count = x->shape[0];
    if (count == 0) return;
    XR_LAUNCH(round_all, (unsigned)blocks_for(b, count), THREADS, 0, xr_cuda_stream(b),
              (XrBf16 *)y->data, (const float *)x->data, count,
              xr_cuda_is_wide(x) && is_wide_rounded(y));
}
