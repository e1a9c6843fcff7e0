// Rotary positions (formulas: docs/operations.md): the table of angles and the rotation.
#include "cuda/cuda.h"

enum { TABLE_THREADS = 256, MOST_THREADS = 256 };

// The angle is a product in f32; cosf and sinf are accurate for large angles too.
XR_KERNEL(TABLE_THREADS)
fill_table(float *cosines, float *sines, const int32_t *positions, const float *inv_freq,
           const int32_t *axis, int64_t tokens, int half, int axes) {
    const int64_t index = (int64_t)blockIdx.x * TABLE_THREADS + threadIdx.x;
    if (index >= tokens * half) return;
    const int64_t t = index / half;
    const int i = (int)(index - t * half), a = axis[i];
    XR_DEVICE_REQUIRE(a >= 0 && a < axes, "rope_table: axis[%d] is %d of %d", i, a, axes);
    const float angle = (float)positions[a * tokens + t] * inv_freq[i];
    cosines[index] = cosf(angle);
    sines[index] = sinf(angle);
}

extern "C" void xr_cuda_rope_table(XrBackend *b, const XrTensor *cos, const XrTensor *sin,
                                   const XrTensor *positions, const XrTensor *inv_freq,
                                   const XrTensor *axis) {
    int64_t tokens = cos->shape[0], half = inv_freq->shape[0];
    if (tokens == 0 || half == 0) return;
    XR_LAUNCH(fill_table, (unsigned)xr_pieces(tokens * half, TABLE_THREADS), TABLE_THREADS, 0,
              xr_cuda_stream(b), (float *)cos->data, (float *)sin->data,
              (const int32_t *)positions->data, (const float *)inv_freq->data,
              (const int32_t *)axis->data, tokens, (int)half, (int)positions->shape[0]);
}

// A block a token; a thread turns a chunk of 16 bytes of first elements and their partners, of a
// head of q or, behind these, of k.
template <typename T>
XR_KERNEL(MOST_THREADS)
rotate(XrRows<T> q, XrRows<T> k, const float *cosines, const float *sines, int heads, int kv_heads,
       int half, float sign, bool wide) {
    constexpr int N = XrChunk<T>::count;
    const int64_t t = blockIdx.x;
    const int chunks = (half + N - 1) / N;
    T *const from_q = q.data + t * q.stride, *const from_k = k.data + t * k.stride;
    for (int n = (int)threadIdx.x; n < (heads + kv_heads) * chunks; n += (int)blockDim.x) {
        const int head = n / chunks, i = (n - head * chunks) * N;
        T *a = head < heads ? from_q + (int64_t)head * 2 * half
                            : from_k + (int64_t)(head - heads) * 2 * half;
        a += i;
        T *b = a + half;
        float first[N], second[N], c[N], s[N];
        xr_load_chunk(first, a, half - i, wide);
        xr_load_chunk(second, b, half - i, wide);
#pragma unroll
        for (int j = 0; j < N; j += 4) {
            xr_load_chunk(c + j, cosines + t * half + i + j, half - i - j, wide);
            xr_load_chunk(s + j, sines + t * half + i + j, half - i - j, wide);
        }
#pragma unroll
        for (int j = 0; j < N; j++) {
            const float u = first[j], v = second[j], sine = sign * s[j];
            first[j] = u * c[j] - v * sine;
            second[j] = v * c[j] + u * sine;
        }
        xr_store_chunk(a, first, half - i, wide);
        xr_store_chunk(b, second, half - i, wide);
    }
}

extern "C" void xr_cuda_rope(XrBackend *b, const XrTensor *q, const XrTensor *k,
                             const XrTensor *cos, const XrTensor *sin, XrHeads heads,
                             bool inverse) {
    int64_t tokens = q->shape[0], half = cos->shape[1];
    if (tokens == 0 || half == 0) return;
    XR_ACTIVATION_TYPES(q, T, {
        constexpr int N = XrChunk<T>::count;
        int64_t chunks = (heads.heads + heads.kv_heads) * xr_pieces(half, N);
        unsigned threads = (unsigned)XR_MIN(xr_pieces(chunks, 32) * 32, (int64_t)MOST_THREADS);
        bool wide = half % N == 0 && xr_cuda_is_wide(q) && xr_cuda_is_wide(k) &&
                    (uintptr_t)cos->data % 16 == 0 && (uintptr_t)sin->data % 16 == 0;
        XR_LAUNCH((rotate<T>), (unsigned)tokens, threads, 0, xr_cuda_stream(b), xr_cuda_rows<T>(q),
                  xr_cuda_rows<T>(k), (const float *)cos->data, (const float *)sin->data,
                  heads.heads, heads.kv_heads, (int)half, inverse ? -1.0f : 1.0f, wide);
    });
}
