// Gradients that are sums over the rows of a batch, column by column, in one order and without
// atomics: pieces of XR_PIECE_ROWS rows by blocks of XR_PIECE_COLUMNS x XR_PIECE_LINES threads,
// then the pieces in their order.
#ifndef XR_CUDA_COLUMNS_H
#define XR_CUDA_COLUMNS_H

#include "cuda/cuda.h"

enum { XR_PIECE_COLUMNS = 32, XR_PIECE_LINES = 8, XR_PIECE_ROWS = 256 };

template <typename Term>
XR_KERNEL(XR_PIECE_COLUMNS *XR_PIECE_LINES)
xr_sum_pieces(float *partial, Term term, int64_t rows, int64_t width) {
    XR_SHARED(float, line_sums, XR_PIECE_COLUMNS *XR_PIECE_LINES);
    const int64_t column = (int64_t)blockIdx.x * XR_PIECE_COLUMNS + threadIdx.x;
    const int64_t begin = (int64_t)blockIdx.y * XR_PIECE_ROWS;
    const int64_t end = min(begin + XR_PIECE_ROWS, rows);
    float sum = 0;
    for (int64_t t = begin + threadIdx.y; t < end && column < width; t += XR_PIECE_LINES) {
        sum = term.added_to(sum, t, column);
    }
    line_sums[threadIdx.y * XR_PIECE_COLUMNS + threadIdx.x] = sum;
    __syncthreads();
    if (threadIdx.y == 0 && column < width) {
        for (int line = 1; line < XR_PIECE_LINES; line++) {
            sum += line_sums[line * XR_PIECE_COLUMNS + threadIdx.x];
        }
        partial[(int64_t)blockIdx.y * width + column] = sum;
    }
}

XR_KERNEL(128) xr_add_pieces(float *out, const float *partial, int64_t pieces, int64_t width) {
    const int64_t column = (int64_t)blockIdx.x * blockDim.x + threadIdx.x;
    if (column >= width) return;
    float sum = 0;
    for (int64_t i = 0; i < pieces; i++) sum += partial[i * width + column];
    out[column] += sum;
}

// out[column] += the sum over the rows of what `term` adds: term.added_to(sum, row, column) gives
// the sum with that row's part. out: f32 [width]; rows and width are at least 1.
template <typename Term>
void xr_add_column_sums(XrBackend *b, const XrTensor *out, const Term &term, int64_t rows,
                        int64_t width) {
    int64_t pieces = xr_pieces(rows, XR_PIECE_ROWS);
    float *partial =
        (float *)xr_cuda_scratch(b, XR_SCRATCH_PARTIAL, (size_t)(pieces * width) * sizeof *partial);
    dim3 grid((unsigned)xr_pieces(width, XR_PIECE_COLUMNS), (unsigned)pieces),
        block(XR_PIECE_COLUMNS, XR_PIECE_LINES);
    XR_LAUNCH((xr_sum_pieces<Term>), grid, block, 0, xr_cuda_stream(b), partial, term, rows, width);
    XR_LAUNCH(xr_add_pieces, (unsigned)xr_pieces(width, 128), 128, 0, xr_cuda_stream(b),
              (float *)out->data, partial, pieces, width);
}

#endif
