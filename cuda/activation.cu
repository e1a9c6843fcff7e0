// Activation functions and their gradients (formulas: docs/operations.md). A thread takes a chunk
// of 16 bytes of each operand; tensors without gaps are one long row.
#include "cuda/cuda.h"

enum { THREADS = 256, MOST_ROWS = 65535 };

// ---- functions of f32 numbers ----

XR_DEVICE float sigmoid(float x) {
    return 1.0f / (1.0f + expf(-x));
}

// Phi(x), the normal distribution function, given exp(-x^2 / 2), by the polynomial of
// ref/activation_kernels.c: relative accuracy is kept where Phi is small.
XR_DEVICE float normal_cdf(float x, float bell) {
    const float q[] = {-2.088185027e-02f, 1.138260663e-01f, -2.314463705e-01f, 1.960357875e-01f,
                       -8.289885521e-02f, 9.798325598e-02f, 7.777433842e-02f,  1.103632301e-01f,
                       1.195570007e-01f,  1.196874157e-01f};
    float s = 1.0f / (1.0f + 0.3f * fabsf(x)), sum = q[0];
#pragma unroll
    for (int i = 1; i < 10; i++) sum = fmaf(sum, s, q[i]);
    float tail = sum * s * bell;
    return x < 0.0f ? tail : 1.0f - tail;
}

// What an operation does with one element: out[0..] from in[0..].
struct Swiglu {
    XR_DEVICE void apply(float out[], const float in[]) {
        out[0] = in[0] * sigmoid(in[0]) * in[1];
    }
};

struct SwigluBackward { // dgate, dup from dh, gate, up
    XR_DEVICE void apply(float out[], const float in[]) {
        float s = sigmoid(in[1]), d = in[0];
        out[0] = d * in[2] * s * (1.0f + in[1] * (1.0f - s));
        out[1] = d * in[1] * s;
    }
};

struct Gelu {
    XR_DEVICE void apply(float out[], const float in[]) {
        out[0] = in[0] * normal_cdf(in[0], expf(-0.5f * in[0] * in[0]));
    }
};

struct GeluBackward { // dx from dy, x
    XR_DEVICE void apply(float out[], const float in[]) {
        float x = in[1], bell = expf(-0.5f * x * x);
        out[0] = in[0] * (normal_cdf(x, bell) + x * (bell * 0.39894228f));
    }
};

// ---- over tensors ----

template <typename T, int OUTS, int INS> struct Operands {
    XrRows<T> out[OUTS];
    XrRows<const T> in[INS];
    int64_t rows, width;
    bool wide;
};

// All inputs of a chunk are read before its outputs are written, which may lie in the same place.
template <typename F, typename T, int OUTS, int INS>
XR_KERNEL(THREADS)
elementwise(Operands<T, OUTS, INS> o) {
    constexpr int N = XrChunk<T>::count;
    const int64_t d = ((int64_t)blockIdx.x * THREADS + threadIdx.x) * N;
    if (d >= o.width) return;
    const bool wide = o.wide && d + N <= o.width;
    for (int64_t row = blockIdx.y; row < o.rows; row += gridDim.y) {
        float in[INS][N], out[OUTS][N];
#pragma unroll
        for (int k = 0; k < INS; k++) {
            xr_load_chunk(in[k], o.in[k].data + row * o.in[k].stride + d, o.width - d, wide);
        }
#pragma unroll
        for (int i = 0; i < N; i++) {
            float from[INS], to[OUTS];
#pragma unroll
            for (int k = 0; k < INS; k++) from[k] = in[k][i];
            F::apply(to, from);
#pragma unroll
            for (int k = 0; k < OUTS; k++) out[k][i] = to[k];
        }
#pragma unroll
        for (int k = 0; k < OUTS; k++) {
            xr_store_chunk(o.out[k].data + row * o.out[k].stride + d, out[k], o.width - d, wide);
        }
    }
}

template <typename F, int OUTS, int INS>
static void run(XrBackend *b, const XrTensor *const out[OUTS], const XrTensor *const in[INS]) {
    if (xr_numel(out[0]) == 0) return;
    bool wide = true, gapless = true;
    for (int k = 0; k < OUTS + INS; k++) {
        const XrTensor *t = k < OUTS ? out[k] : in[k - OUTS];
        wide = wide && xr_cuda_is_wide(t);
        gapless = gapless && xr_is_contiguous(t);
    }
    XR_ACTIVATION_TYPES(out[0], T, {
        Operands<T, OUTS, INS> o = {};
        for (int k = 0; k < OUTS; k++) o.out[k] = xr_cuda_rows<T>(out[k]);
        for (int k = 0; k < INS; k++) o.in[k] = xr_cuda_rows<const T>(in[k]);
        o.rows = gapless ? 1 : out[0]->shape[0];
        o.width = gapless ? xr_numel(out[0]) : out[0]->shape[1];
        o.wide = wide;
        dim3 grid((unsigned)xr_pieces(o.width, (int64_t)THREADS * XrChunk<T>::count),
                  (unsigned)XR_MIN(o.rows, (int64_t)MOST_ROWS));
        XR_LAUNCH((elementwise<F, T, OUTS, INS>), grid, THREADS, 0, xr_cuda_stream(b), o);
    });
}

extern "C" void xr_cuda_swiglu(XrBackend *b, const XrTensor *h, const XrTensor *gate,
                               const XrTensor *up) {
    const XrTensor *out[] = {h}, *in[] = {gate, up};
    run<Swiglu, 1, 2>(b, out, in);
}

extern "C" void xr_cuda_swiglu_backward(XrBackend *b, const XrTensor *dgate, const XrTensor *dup,
                                        const XrTensor *dh, const XrTensor *gate,
                                        const XrTensor *up) {
    const XrTensor *out[] = {dgate, dup}, *in[] = {dh, gate, up};
    run<SwigluBackward, 2, 3>(b, out, in);
}

extern "C" void xr_cuda_gelu(XrBackend *b, const XrTensor *y, const XrTensor *x) {
    const XrTensor *out[] = {y}, *in[] = {x};
    run<Gelu, 1, 1>(b, out, in);
}

extern "C" void xr_cuda_gelu_backward(XrBackend *b, const XrTensor *dx, const XrTensor *dy,
                                      const XrTensor *x) {
    const XrTensor *out[] = {dx}, *in[] = {dy, x};
    run<GeluBackward, 1, 2>(b, out, in);
}
