// Rows by index: the embedding table and its gradient, gathering and scattering.
#include "cuda/cuda.h"

enum { THREADS = 128, MOST_ROWS = 65535 };

XR_DEVICE void require_index(int64_t index, int64_t rows, int64_t at) {
    XR_DEVICE_REQUIRE(index < rows, "index %lld of row %lld is past the end of a table of %lld",
                      (long long)index, (long long)at, (long long)rows);
}

// ---- embedding ----

// An element at any address, byte by byte: little-endian, as the GPU is.
template <typename W> XR_DEVICE W load_bytes(const unsigned char *from) {
    union {
        W element;
        unsigned char bytes[sizeof(W)];
    } u;
#pragma unroll
    for (int i = 0; i < (int)sizeof(W); i++) u.bytes[i] = from[i];
    return u.element;
}

template <typename T, typename W>
XR_KERNEL(THREADS)
embed(XrRows<T> x, const unsigned char *table, const int32_t *ids, int64_t tokens,
      int64_t vocabulary, int64_t width, bool aligned) {
    for (int64_t t = blockIdx.x; t < tokens; t += gridDim.x) {
        const int64_t id = ids[t];
        require_index(id, vocabulary, t);
        const unsigned char *row = table + id * width * (int64_t)sizeof(W);
        for (int64_t d = threadIdx.x; d < width; d += THREADS) {
            float value = 0;
            if (id >= 0) {
                value = xr_to_float(aligned ? ((const W *)row)[d]
                                            : load_bytes<W>(row + d * (int64_t)sizeof(W)));
            }
            xr_assign(x.data[t * x.stride + d], value);
        }
    }
}

extern "C" void xr_cuda_embedding(XrBackend *b, const XrTensor *x, const XrTensor *table,
                                  const XrTensor *ids) {
    int64_t tokens = x->shape[0], width = x->shape[1];
    if (tokens == 0 || width == 0) return;
    bool aligned = (uintptr_t)table->data % xr_dtype_size(table->dtype) == 0;
    XR_ACTIVATION_TYPES(
        x, T, XR_WEIGHT_TYPES(table, W, {
            XR_LAUNCH((embed<T, W>), (unsigned)XR_MIN(tokens, (int64_t)MOST_ROWS), THREADS, 0,
                      xr_cuda_stream(b), xr_cuda_rows<T>(x), (const unsigned char *)table->data,
                      (const int32_t *)ids->data, tokens, table->shape[0], width, aligned);
        }));
}

// ---- its gradient: tokens that share an id are a linked list in the order of tokens, which one
// block follows, so that the order of the sum is that of the tokens ----

enum { WARPS = 4 };

// A warp a token: looks back for the token before it with the same id. next[] is -1 beforehand.
XR_KERNEL(WARPS * 32)
link_tokens(int32_t *next, int32_t *is_first, const int32_t *ids, int64_t tokens) {
    const int64_t t = (int64_t)blockIdx.x * WARPS + threadIdx.x / 32;
    const int lane = (int)threadIdx.x % 32;
    if (t >= tokens) return;
    const int32_t id = ids[t];
    int64_t before = -1;
    for (int64_t end = t; end > 0 && before < 0; end -= 32) {
        const int64_t at = end - 1 - lane;
        const uint32_t same = xr_ballot(at >= 0 && ids[at] == id);
        if (same) before = end - __ffs((int)same);
    }
    if (lane != 0) return;
    is_first[t] = before < 0;
    if (before >= 0) next[before] = (int32_t)t;
}

template <typename T>
XR_KERNEL(THREADS)
add_tokens(float *table, XrRows<const T> dx, const int32_t *ids, const int32_t *next,
           const int32_t *is_first, int64_t vocabulary, int64_t width) {
    const int64_t first = blockIdx.x, id = ids[first];
    require_index(id, vocabulary, first);
    const int64_t d = (int64_t)blockIdx.y * THREADS + threadIdx.x;
    if (!is_first[first] || id < 0 || d >= width) return;
    float sum = table[id * width + d];
    for (int64_t t = first; t >= 0; t = next[t]) sum += xr_to_float(dx.data[t * dx.stride + d]);
    table[id * width + d] = sum;
}

extern "C" void xr_cuda_embedding_backward(XrBackend *b, const XrTensor *dtable, const XrTensor *dx,
                                           const XrTensor *ids) {
    int64_t tokens = dx->shape[0], width = dx->shape[1];
    if (tokens == 0 || width == 0) return;
    int32_t *next =
        (int32_t *)xr_cuda_scratch(b, XR_SCRATCH_PARTIAL, (size_t)tokens * 2 * sizeof *next);
    int32_t *is_first = next + tokens;
    xr_cuda_check(cudaMemsetAsync(next, 0xff, (size_t)tokens * sizeof *next, xr_cuda_stream(b)),
                  "embedding_backward");
    XR_LAUNCH(link_tokens, (unsigned)xr_pieces(tokens, WARPS), WARPS * 32, 0, xr_cuda_stream(b),
              next, is_first, (const int32_t *)ids->data, tokens);
    dim3 grid((unsigned)tokens, (unsigned)xr_pieces(width, THREADS));
    XR_ACTIVATION_TYPES(dx, T, {
        XR_LAUNCH((add_tokens<T>), grid, THREADS, 0, xr_cuda_stream(b), (float *)dtable->data,
                  xr_cuda_rows<const T>(dx), (const int32_t *)ids->data, next, is_first,
                  dtable->shape[0], width);
    });
}

// ---- gather and scatter: rows as bytes, in units as long as alignment allows ----

template <typename Unit>
XR_KERNEL(THREADS)
move_rows(XrRows<Unit> to, XrRows<const Unit> from, const int32_t *index, int64_t count,
          int64_t indexed_rows, int64_t units, bool scatter) {
    for (int64_t i = blockIdx.x; i < count; i += gridDim.x) {
        const int64_t row = index[i];
        XR_DEVICE_REQUIRE(row >= 0 && row < indexed_rows, "index %lld of row %lld, of %lld rows",
                          (long long)row, (long long)i, (long long)indexed_rows);
        Unit *target = to.data + (scatter ? row : i) * to.stride;
        const Unit *source = from.data + (scatter ? i : row) * from.stride;
        for (int64_t d = threadIdx.x; d < units; d += THREADS) target[d] = source[d];
    }
}

struct alignas(16) Unit16 {
    uint32_t word[4];
};

template <typename Unit>
static void launch_move(XrBackend *b, const XrTensor *to, const XrTensor *from,
                        const XrTensor *index, bool scatter) {
    int64_t size = (int64_t)xr_dtype_size(to->dtype), unit = (int64_t)sizeof(Unit);
    XrRows<Unit> target = {(Unit *)to->data, to->row_stride * size / unit};
    XrRows<const Unit> source = {(const Unit *)from->data, from->row_stride * size / unit};
    int64_t count = index->shape[0], rows = scatter ? to->shape[0] : from->shape[0];
    XR_LAUNCH((move_rows<Unit>), (unsigned)XR_MIN(count, (int64_t)MOST_ROWS), THREADS, 0,
              xr_cuda_stream(b), target, source, (const int32_t *)index->data, count, rows,
              to->shape[1] * size / unit, scatter);
}

static void move(XrBackend *b, const XrTensor *to, const XrTensor *from, const XrTensor *index,
                 bool scatter) {
    if (index->shape[0] == 0 || to->shape[1] == 0) return;
    size_t size = xr_dtype_size(to->dtype);
    bool wide = xr_cuda_is_wide(to) && xr_cuda_is_wide(from) && to->shape[1] * size % 16 == 0;
    if (wide) {
        launch_move<Unit16>(b, to, from, index, scatter);
    } else if (size == 4) {
        launch_move<uint32_t>(b, to, from, index, scatter);
    } else {
        launch_move<uint16_t>(b, to, from, index, scatter);
    }
}

extern "C" void xr_cuda_gather_rows(XrBackend *b, const XrTensor *y, const XrTensor *x,
                                    const XrTensor *index) {
    move(b, y, x, index, false);
}

extern "C" void xr_cuda_scatter_rows(XrBackend *b, const XrTensor *y, const XrTensor *x,
                                     const XrTensor *index) {
    move(b, y, x, index, true);
}
