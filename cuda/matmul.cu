// Matrix products of the backend's own.
//
// bf16: blocks of TALL or SHORT rows by WIDE columns go along K in steps of DEEP, copied ahead of
// the computation to STAGES buffers in shared memory (cp.async), multiplied by mma.sync. However
// tall the block, an element's sum runs over k in ascending pieces of 16.
//
// f32: blocks of 64 x 64, every thread 4 x 4 elements; sums over 16 k, which are added in order.
#include "cuda/matmul.h"

// ---- bf16 ----

enum { WIDE = 128, TALL = 128, SHORT = 16, DEEP = 32, STAGES = 3, PAD = 8, THREADS = 256 };

// How an operand's tile lies in shared memory: [outer][DEEP], or where the outer dimension is the
// contiguous one, [DEEP][outer]. PAD keeps the rows that ldmatrix reads in different banks.
template <int OUTER, bool TURNED> struct Tile {
    static constexpr int rows = TURNED ? DEEP : OUTER, columns = TURNED ? OUTER : DEEP;
    static constexpr int pitch = columns + PAD, elements = rows * pitch;
};

struct Source {
    const uint16_t *data;
    int64_t stride; // of the dimension that is not contiguous
    int64_t outer;  // how many there are
};

// Starts the copy of the tile at (outer, k): what lies beyond the matrix becomes 0.
template <int OUTER, bool TURNED>
XR_DEVICE void copy_tile(uint16_t *tile, Source from, int64_t outer, int64_t k, int64_t depth) {
    using Shape = Tile<OUTER, TURNED>;
    constexpr int chunks = Shape::columns / 8;
    for (int i = (int)threadIdx.x; i < Shape::rows * chunks; i += THREADS) {
        const int row = i / chunks, column = i % chunks * 8;
        const int64_t at_row = (TURNED ? k : outer) + row;
        const int64_t at_column = (TURNED ? outer : k) + column;
        const int64_t left = (TURNED ? from.outer : depth) - at_column;
        const bool exists = at_row < (TURNED ? depth : from.outer) && left > 0;
        const uint16_t *source = exists ? from.data + at_row * from.stride + at_column : from.data;
        xr_copy_async(tile + row * Shape::pitch + column, source,
                      exists ? (int)min(left * 2, (int64_t)16) : 0);
    }
}

// A fragment of 16 rows (of a) at (row, k) of the tile.
template <int OUTER, bool TURNED>
XR_DEVICE void load_a(uint32_t out[4], const uint16_t *tile, int row, int k) {
    using Shape = Tile<OUTER, TURNED>;
    const int lane = (int)threadIdx.x % 32, r = lane % 8, j = lane / 8;
    if (TURNED) {
        xr_load_matrices_transposed(out,
                                    tile + (k + r + j / 2 * 8) * Shape::pitch + row + j % 2 * 8);
    } else {
        xr_load_matrices(out, tile + (row + r + j % 2 * 8) * Shape::pitch + k + j / 2 * 8);
    }
}

// Two fragments of 8 columns (of b): out[0..1] at column, out[2..3] at column + 8.
template <int OUTER, bool TURNED>
XR_DEVICE void load_b(uint32_t out[4], const uint16_t *tile, int column, int k) {
    using Shape = Tile<OUTER, TURNED>;
    const int lane = (int)threadIdx.x % 32, r = lane % 8, j = lane / 8;
    if (TURNED) {
        xr_load_matrices_transposed(out,
                                    tile + (k + r + j % 2 * 8) * Shape::pitch + column + j / 2 * 8);
    } else {
        xr_load_matrices(out, tile + (column + r + j / 2 * 8) * Shape::pitch + k + j % 2 * 8);
    }
}

struct Bias {
    const void *data; // NULL: none
    XrDType dtype;
};

XR_DEVICE float bias_at(Bias bias, int64_t n) {
    if (bias.dtype == XR_F32) return ((const float *)bias.data)[n];
    if (bias.dtype == XR_BF16) return xr_to_float(((const XrBf16 *)bias.data)[n]);
    return xr_to_float(((const XrHalf *)bias.data)[n]);
}

struct Result {
    void *data; // f32 or bf16
    XrDType dtype;
    int64_t stride, m, n;
    Bias bias;
    bool accumulate;
};

template <typename C> XR_DEVICE void put_as(const Result &c, int64_t at, float sum) {
    C *to = (C *)c.data + at;
    if (c.accumulate) sum += xr_to_float(*to);
    xr_assign(*to, sum);
}

XR_DEVICE void put(const Result &c, int64_t m, int64_t n, float sum) {
    if (m >= c.m || n >= c.n) return;
    const int64_t at = m * c.stride + n;
    if (c.bias.data) sum += bias_at(c.bias, n);
    if (c.dtype == XR_F32)
        put_as<float>(c, at, sum);
    else
        put_as<XrBf16>(c, at, sum);
}

// One buffer: a tile of a, then one of b.
template <int HIGH, bool TURNED_A, bool TURNED_B> struct Stage {
    static constexpr int b_begins = Tile<HIGH, TURNED_A>::elements;
    static constexpr int elements = b_begins + Tile<WIDE, TURNED_B>::elements;
};

template <int HIGH, bool TURNED_A, bool TURNED_B>
XR_KERNEL(THREADS)
multiply_bf16(Result c, Source a, Source b, int64_t depth) {
    XR_DYNAMIC_SHARED(uint16_t, shared);
    constexpr int warps_down = HIGH == SHORT ? 1 : 2, warps_across = 8 / warps_down;
    constexpr int tiles_down = HIGH / warps_down / 16, tiles_across = WIDE / warps_across / 8;
    constexpr int stage = Stage<HIGH, TURNED_A, TURNED_B>::elements;
    constexpr int b_begins = Stage<HIGH, TURNED_A, TURNED_B>::b_begins;
    const int warp = (int)threadIdx.x / 32;
    const int first_row = warp / warps_across * (HIGH / warps_down);
    const int first_column = warp % warps_across * (WIDE / warps_across);
    const int64_t m = (int64_t)blockIdx.y * HIGH, n = (int64_t)blockIdx.x * WIDE;
    const int64_t steps = (depth + DEEP - 1) / DEEP;
    float sum[tiles_down][tiles_across][4] = {};
    for (int s = 0; s < STAGES - 1; s++) {
        if (s < steps) {
            copy_tile<HIGH, TURNED_A>(shared + s * stage, a, m, s * DEEP, depth);
            copy_tile<WIDE, TURNED_B>(shared + s * stage + b_begins, b, n, s * DEEP, depth);
        }
        xr_copy_commit();
    }
    for (int64_t step = 0; step < steps; step++) {
        xr_copy_wait<STAGES - 2>();
        __syncthreads(); // the tile is there, and everybody is done with the one that is
                         // overwritten
        const int64_t ahead = step + STAGES - 1;
        if (ahead < steps) {
            uint16_t *to = shared + ahead % STAGES * stage;
            copy_tile<HIGH, TURNED_A>(to, a, m, ahead * DEEP, depth);
            copy_tile<WIDE, TURNED_B>(to + b_begins, b, n, ahead * DEEP, depth);
        }
        xr_copy_commit();
        const uint16_t *tile = shared + step % STAGES * stage;
#pragma unroll
        for (int k = 0; k < DEEP; k += 16) {
            uint32_t columns[tiles_across / 2][4];
#pragma unroll
            for (int j = 0; j < tiles_across / 2; j++) {
                load_b<WIDE, TURNED_B>(columns[j], tile + b_begins, first_column + 16 * j, k);
            }
#pragma unroll
            for (int i = 0; i < tiles_down; i++) {
                uint32_t rows[4];
                load_a<HIGH, TURNED_A>(rows, tile, first_row + 16 * i, k);
#pragma unroll
                for (int j = 0; j < tiles_across; j++) {
                    xr_mma_bf16(sum[i][j], rows, columns[j / 2] + j % 2 * 2);
                }
            }
        }
    }
    xr_copy_wait<0>();
    __syncthreads(); // nobody reads the tiles any more
    // Each warp lays 16 rows of its sums out in their memory, so that lanes store what lies side by
    // side, and the store, which knows types and bias, stands in the code a few times alone.
    constexpr int columns = WIDE / warps_across;
    float *const laid = (float *)shared + warp * 16 * columns;
    const int lane = (int)threadIdx.x % 32;
#pragma unroll
    for (int i = 0; i < tiles_down; i++) {
#pragma unroll
        for (int j = 0; j < tiles_across; j++) {
#pragma unroll
            for (int e = 0; e < 4; e++) {
                laid[(lane / 4 + e / 2 * 8) * columns + 8 * j + lane % 4 * 2 + e % 2] =
                    sum[i][j][e];
            }
        }
        xr_sync_warp();
#pragma unroll 1
        for (int k = lane; k < 16 * columns; k += 32) {
            put(c, m + first_row + 16 * i + k / columns, n + first_column + k % columns, laid[k]);
        }
        xr_sync_warp();
    }
}

template <int HIGH, bool TURNED_A, bool TURNED_B>
static void launch_bf16(XrBackend *b, Result c, Source x, Source y, int64_t depth) {
    constexpr int bytes = STAGES * Stage<HIGH, TURNED_A, TURNED_B>::elements * 2;
    auto kernel = multiply_bf16<HIGH, TURNED_A, TURNED_B>;
    xr_cuda_check(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, bytes),
                  "matmul");
    dim3 grid((unsigned)xr_pieces(c.n, WIDE), (unsigned)xr_pieces(c.m, HIGH));
    XR_LAUNCH(kernel, grid, THREADS, bytes, xr_cuda_stream(b), c, x, y, depth);
}

template <bool TURNED_A, bool TURNED_B>
static void launch_height(XrBackend *b, Result c, Source x, Source y, int64_t depth) {
    if (c.m <= 4 * SHORT) {
        launch_bf16<SHORT, TURNED_A, TURNED_B>(b, c, x, y, depth);
    } else {
        launch_bf16<TALL, TURNED_A, TURNED_B>(b, c, x, y, depth);
    }
}

static void launch_turned(XrBackend *b, Result c, Source x, bool turned_x, Source y, bool turned_y,
                          int64_t depth) {
    if (turned_x && turned_y) {
        launch_height<true, true>(b, c, x, y, depth);
    } else if (turned_y) {
        launch_height<false, true>(b, c, x, y, depth);
    } else {
        XR_REQUIRE(!turned_x, "matmul: a turned a with a straight b");
        launch_height<false, false>(b, c, x, y, depth);
    }
}

XR_KERNEL(THREADS)
align_rows(uint16_t *to, int64_t to_stride, const uint16_t *from, int64_t from_stride, int64_t rows,
           int64_t columns) {
    for (int64_t row = blockIdx.x; row < rows; row += gridDim.x) {
        for (int64_t d = threadIdx.x; d < columns; d += THREADS) {
            to[row * to_stride + d] = from[row * from_stride + d];
        }
    }
}

// The operand with rows aligned to 16 bytes, copied to scratch memory where they are not.
static Source aligned_source(XrBackend *b, XrScratch slot, XrOperand x, int64_t outer,
                             int64_t depth) {
    Source s = {(const uint16_t *)x.data, x.stride, outer};
    if ((uintptr_t)x.data % 16 == 0 && x.stride % 8 == 0) return s;
    int64_t rows = x.turned ? depth : outer, columns = x.turned ? outer : depth;
    int64_t pitch = xr_pieces(columns, 8) * 8;
    uint16_t *copy = (uint16_t *)xr_cuda_scratch(b, slot, (size_t)(rows * pitch) * sizeof *copy);
    if (rows && columns) {
        XR_LAUNCH(align_rows, (unsigned)XR_MIN(rows, (int64_t)65535), THREADS, 0, xr_cuda_stream(b),
                  copy, pitch, s.data, x.stride, rows, columns);
    }
    return Source{copy, pitch, outer};
}

static void run_bf16(XrBackend *b, const XrMatmul *p, Result c) {
    Source x = aligned_source(b, XR_SCRATCH_OPERAND, p->a, p->m, p->k);
    Source y = aligned_source(b, XR_SCRATCH_OPERAND_2, p->b, p->n, p->k);
    launch_turned(b, c, x, p->a.turned, y, p->b.turned, p->k);
}

// ---- f32 ----

enum { SIDE = 64, DEPTH = 16, EACH = 4, PITCH = SIDE + 4 };

template <typename T> struct View {
    const T *data;
    int64_t outer, inner, count;
};

// The tile [DEPTH][SIDE] at (first, k). Neighbouring threads read what lies side by side in memory.
template <typename T>
XR_DEVICE void load_tile(float *tile, View<T> v, int64_t first, int64_t k, int64_t depth) {
    for (int i = (int)threadIdx.x; i < SIDE * DEPTH; i += THREADS) {
        const int column = v.inner == 1 ? i / DEPTH : i % SIDE;
        const int row = v.inner == 1 ? i % DEPTH : i / SIDE;
        const bool exists = first + column < v.count && k + row < depth;
        tile[row * PITCH + column] =
            exists ? xr_to_float(v.data[(first + column) * v.outer + (k + row) * v.inner]) : 0.0f;
    }
}

template <typename A, typename B>
XR_KERNEL(THREADS)
multiply_f32(Result c, View<A> a, View<B> b, int64_t depth) {
    XR_SHARED(float, tile_a, DEPTH *PITCH);
    XR_SHARED(float, tile_b, DEPTH *PITCH);
    const int64_t m = (int64_t)blockIdx.y * SIDE, n = (int64_t)blockIdx.x * SIDE;
    const int row = (int)threadIdx.x / 16 * EACH, column = (int)threadIdx.x % 16 * EACH;
    float total[EACH][EACH] = {};
    for (int64_t k = 0; k < depth; k += DEPTH) {
        __syncthreads();
        load_tile(tile_a, a, m, k, depth);
        load_tile(tile_b, b, n, k, depth);
        __syncthreads();
        float sum[EACH][EACH] = {};
#pragma unroll
        for (int d = 0; d < DEPTH; d++) {
            float x[EACH], y[EACH];
#pragma unroll
            for (int i = 0; i < EACH; i++) {
                x[i] = tile_a[d * PITCH + row + i];
                y[i] = tile_b[d * PITCH + column + i];
            }
#pragma unroll
            for (int i = 0; i < EACH; i++) {
#pragma unroll
                for (int j = 0; j < EACH; j++) sum[i][j] = fmaf(x[i], y[j], sum[i][j]);
            }
        }
#pragma unroll
        for (int i = 0; i < EACH; i++) {
#pragma unroll
            for (int j = 0; j < EACH; j++) total[i][j] += sum[i][j];
        }
    }
#pragma unroll
    for (int i = 0; i < EACH; i++) {
#pragma unroll
        for (int j = 0; j < EACH; j++) put(c, m + row + i, n + column + j, total[i][j]);
    }
}

template <typename T> static View<T> view_of(XrOperand x, int64_t count) {
    return View<T>{(const T *)x.data, x.turned ? 1 : x.stride, x.turned ? x.stride : 1, count};
}

template <typename A> static void run_f32(XrBackend *b, const XrMatmul *p, Result c) {
    dim3 grid((unsigned)xr_pieces(p->n, SIDE), (unsigned)xr_pieces(p->m, SIDE));
    View<A> x = view_of<A>(p->a, p->m);
    const XrTensor weight = xr_tensor2(p->b.dtype, (void *)p->b.data, p->n, p->k);
    XR_WEIGHT_TYPES(&weight, B, {
        View<B> y = view_of<B>(p->b, p->n);
        XR_LAUNCH((multiply_f32<A, B>), grid, THREADS, 0, xr_cuda_stream(b), c, x, y, p->k);
    });
}

// ---- either ----

static void run(XrBackend *b, const XrMatmul *p) {
    Bias bias = {NULL, XR_F32};
    if (p->bias) {
        XrTensor aligned = xr_cuda_aligned_in(b, XR_SCRATCH_BIAS, p->bias);
        bias = Bias{aligned.data, aligned.dtype};
    }
    Result c = {p->c, p->dtype, p->stride, p->m, p->n, bias, p->accumulate};
    if (p->a.dtype == XR_BF16 && p->b.dtype == XR_BF16) {
        run_bf16(b, p, c);
    } else if (p->a.dtype == XR_BF16) {
        run_f32<XrBf16>(b, p, c);
    } else {
        run_f32<float>(b, p, c);
    }
}

void xr_cuda_matmul(XrBackend *b, XrMatmul p) {
    if (p.m == 0 || p.n == 0) return;
    XR_REQUIRE(xr_pieces(p.m, SHORT) <= 65535 || p.m > 4 * SHORT, "matmul: %lld rows",
               (long long)p.m);
    run(b, &p);
}
