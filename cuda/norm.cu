// Root-mean-square normalisation (formulas: docs/operations.md). A block a row: the row's elements
// in chunks of 16 bytes, chunk i with thread i mod threads; sums of a thread in the order of its
// chunks, then over the threads by xr_block_sum. The number of threads depends on the width alone,
// so that a row's bits depend on nothing but the row.
#include "cuda/columns.h"
#include "cuda/reduce.h"

enum { MOST_THREADS = 256 };

template <typename T> static unsigned row_threads(int64_t width) {
    int64_t chunks = xr_pieces(width, XrChunk<T>::count);
    return (unsigned)(XR_MIN(xr_pieces(chunks, 32), (int64_t)MOST_THREADS / 32) * 32);
}

// y = w (x rstd); with `delta`, x is x + delta, rounded to T and stored in `sum`.
template <typename T, typename W>
XR_KERNEL(MOST_THREADS)
forward(XrRows<T> y, XrRows<T> sum, float *rstd, XrRows<const T> x, XrRows<const T> delta,
        const W *w, float eps, int64_t width, bool wide) {
    XR_SHARED(float, scratch, XR_MOST_WARPS);
    constexpr int N = XrChunk<T>::count;
    const int64_t row = blockIdx.x, step = (int64_t)blockDim.x * N;
    const int64_t first = (int64_t)threadIdx.x * N;
    const T *from = x.data + row * x.stride;
    float squares = 0;
    for (int64_t d = first; d < width; d += step) {
        float v[N];
        bool whole = d + N <= width;
        xr_load_chunk(v, from + d, width - d, wide && whole);
        if (delta.data) {
            float add[N];
            xr_load_chunk(add, delta.data + row * delta.stride + d, width - d, wide && whole);
#pragma unroll
            for (int i = 0; i < N; i++) {
                T rounded;
                xr_assign(rounded, v[i] + add[i]);
                v[i] = xr_to_float(rounded);
            }
            xr_store_chunk(sum.data + row * sum.stride + d, v, width - d, wide && whole);
        }
#pragma unroll
        for (int i = 0; i < N; i++) squares = fmaf(v[i], v[i], squares);
    }
    float mean = xr_block_sum(squares, scratch) / (float)width;
    float scale = 1.0f / sqrtf(mean + eps);
    if (rstd && threadIdx.x == 0) rstd[row] = scale;
    // Each thread reads again what it has read, or written, itself.
    if (delta.data) from = sum.data + row * sum.stride;
    for (int64_t d = first; d < width; d += step) {
        float v[N], weight[N];
        bool whole = d + N <= width;
        xr_load_chunk(v, from + d, width - d, wide && whole);
#pragma unroll
        for (int i = 0; i < N; i++) weight[i] = d + i < width ? xr_to_float(w[d + i]) : 0.0f;
#pragma unroll
        for (int i = 0; i < N; i++) v[i] = weight[i] * (v[i] * scale);
        xr_store_chunk(y.data + row * y.stride + d, v, width - d, wide && whole);
    }
}

static void run_forward(XrBackend *b, const XrTensor *y, const XrTensor *sum, const XrTensor *rstd,
                        const XrTensor *x, const XrTensor *delta, const XrTensor *w, float eps) {
    int64_t rows = x->shape[0], width = x->shape[1];
    if (rows == 0 || width == 0) return;
    XrTensor weight = xr_cuda_aligned(b, w);
    bool wide = xr_cuda_is_wide(x) && xr_cuda_is_wide(y) &&
                (!delta || (xr_cuda_is_wide(delta) && xr_cuda_is_wide(sum)));
    XR_ACTIVATION_TYPES(x, T, XR_WEIGHT_TYPES(w, W, {
                            XR_LAUNCH((forward<T, W>), (unsigned)rows, row_threads<T>(width), 0,
                                      xr_cuda_stream(b), xr_cuda_rows<T>(y), xr_cuda_rows<T>(sum),
                                      rstd ? (float *)rstd->data : NULL, xr_cuda_rows<const T>(x),
                                      xr_cuda_rows<const T>(delta), (const W *)weight.data, eps,
                                      width, wide);
                        }));
}

extern "C" void xr_cuda_rmsnorm(XrBackend *b, const XrTensor *y, const XrTensor *rstd,
                                const XrTensor *x, const XrTensor *w, float eps) {
    run_forward(b, y, NULL, rstd, x, NULL, w, eps);
}

extern "C" void xr_cuda_add_rmsnorm(XrBackend *b, const XrTensor *y, const XrTensor *sum,
                                    const XrTensor *rstd, const XrTensor *x, const XrTensor *delta,
                                    const XrTensor *w, float eps) {
    run_forward(b, y, sum, rstd, x, delta, w, eps);
}

// dx = rstd (g - x rstd^2 mean(g x)) + dsum, g = dy w.
template <typename T, typename W>
XR_KERNEL(MOST_THREADS)
backward_rows(XrRows<T> dx, XrRows<const T> dy, XrRows<const T> dsum, XrRows<const T> x, const W *w,
              const float *rstd, int64_t width, bool wide) {
    XR_SHARED(float, scratch, XR_MOST_WARPS);
    constexpr int N = XrChunk<T>::count;
    const int64_t row = blockIdx.x, step = (int64_t)blockDim.x * N;
    const int64_t first = (int64_t)threadIdx.x * N;
    float projection = 0, v[N], g[N];
    for (int64_t d = first; d < width; d += step) {
        bool whole = d + N <= width;
        xr_load_chunk(v, x.data + row * x.stride + d, width - d, wide && whole);
        xr_load_chunk(g, dy.data + row * dy.stride + d, width - d, wide && whole);
#pragma unroll
        for (int i = 0; i < N; i++) {
            if (d + i < width) projection = fmaf(g[i] * xr_to_float(w[d + i]), v[i], projection);
        }
    }
    const float r = rstd[row];
    const float pull = xr_block_sum(projection, scratch) / (float)width * r * r;
    for (int64_t d = first; d < width; d += step) {
        bool whole = d + N <= width;
        xr_load_chunk(v, x.data + row * x.stride + d, width - d, wide && whole);
        xr_load_chunk(g, dy.data + row * dy.stride + d, width - d, wide && whole);
#pragma unroll
        for (int i = 0; i < N; i++) {
            float weight = d + i < width ? xr_to_float(w[d + i]) : 0.0f;
            v[i] = r * (g[i] * weight - v[i] * pull);
        }
        if (dsum.data) {
            xr_load_chunk(g, dsum.data + row * dsum.stride + d, width - d, wide && whole);
#pragma unroll
            for (int i = 0; i < N; i++) v[i] += g[i];
        }
        xr_store_chunk(dx.data + row * dx.stride + d, v, width - d, wide && whole);
    }
}

// What row t adds to dw.
template <typename T> struct WeightTerm {
    XrRows<const T> dy, x;
    const float *rstd;
    XR_DEVICE_MEMBER float added_to(float sum, int64_t t, int64_t column) const {
        return fmaf(xr_to_float(dy.data[t * dy.stride + column]),
                    xr_to_float(x.data[t * x.stride + column]) * rstd[t], sum);
    }
};

extern "C" void xr_cuda_rmsnorm_backward(XrBackend *b, const XrTensor *dx, const XrTensor *dw,
                                         const XrTensor *dy, const XrTensor *dsum,
                                         const XrTensor *x, const XrTensor *w,
                                         const XrTensor *rstd) {
    int64_t rows = x->shape[0], width = x->shape[1];
    if (rows == 0 || width == 0) return;
    XrTensor weight = xr_cuda_aligned(b, w);
    bool wide = xr_cuda_is_wide(dx) && xr_cuda_is_wide(dy) && xr_cuda_is_wide(x) &&
                (!dsum || xr_cuda_is_wide(dsum));
    XR_ACTIVATION_TYPES(x, T, {
        if (dw) {
            WeightTerm<T> term = {xr_cuda_rows<const T>(dy), xr_cuda_rows<const T>(x),
                                  (const float *)rstd->data};
            xr_add_column_sums(b, dw, term, rows, width);
        }
        XR_WEIGHT_TYPES(w, W, {
            XR_LAUNCH((backward_rows<T, W>), (unsigned)rows, row_threads<T>(width), 0,
                      xr_cuda_stream(b), xr_cuda_rows<T>(dx), xr_cuda_rows<const T>(dy),
                      xr_cuda_rows<const T>(dsum), xr_cuda_rows<const T>(x), (const W *)weight.data,
                      (const float *)rstd->data, width, wide);
        });
    });
}
