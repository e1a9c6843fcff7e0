// Matrix products of the backend's own.
//
// bf16: a block has `high` rows by `wide` columns and goes along K in steps of `deep`, copied ahead
// of the computation to `stages` buffers in shared memory (cp.async) and multiplied by mma.sync.
// Whatever the block's shape, an element's sum runs over k in ascending pieces of 16: the shape is
// chosen for speed alone. Products of one a may share a launch, blocks of one behind the other's.
//
// f32: blocks of 64 x 64, every thread 4 x 4 elements; sums over 16 k, which are added in order.
#include "cuda/matmul.h"

#include <limits.h>

// ---- bf16 ----

// A block's shape, and how many warps share it, down and across.
template <int HIGH, int WIDE, int DEEP, int STAGES, int DOWN, int ACROSS> struct Block {
    static constexpr int high = HIGH, wide = WIDE, deep = DEEP, stages = STAGES;
    static constexpr int across = ACROSS, threads = 32 * DOWN * ACROSS;
    static constexpr int warp_high = HIGH / DOWN, warp_wide = WIDE / ACROSS;
    static constexpr int tiles_down = warp_high / 16, tiles_across = warp_wide / 8;
};

// Up to 16 rows the time is that of reading the weights, of which enough must be on its way all the
// time (docs/cuda.md counts it): narrow blocks with many buffers where otherwise multiprocessors
// had none, wider ones, which read a less often, where there are blocks enough. Shared
// memory: 76.5, 63.75, 90 and 60 KiB, of 99 that every GPU has.
using Narrow = Block<16, 32, 128, 6, 1, 4>;
using Low = Block<16, 64, 128, 3, 1, 4>;
using Middle = Block<64, 64, 64, 5, 2, 2>; // reads weights once for up to 64 rows
using Large = Block<128, 128, 32, 3, 2, 4>;

// How an operand's tile lies in shared memory: [outer][deep], or where the outer dimension is the
// contiguous one, [deep][outer]. PAD keeps the rows that ldmatrix reads in different banks.
enum { PAD = 8 };
template <int OUTER, int DEEP, bool TURNED> struct Tile {
    static constexpr int rows = TURNED ? DEEP : OUTER, columns = TURNED ? OUTER : DEEP;
    static constexpr int pitch = columns + PAD, elements = rows * pitch;
    static constexpr int chunks = columns / 8; // of 16 bytes, of a row
};

struct Source {
    const uint16_t *data;
    int64_t stride; // of the dimension that is not contiguous
    int64_t outer;  // how many there are
};

// What a thread copies of an operand's tiles, step by step: chunks of 16 bytes that lie `apart`
// rows from each other.
template <typename B, int OUTER, bool TURNED> struct Copies {
    using Shape = Tile<OUTER, B::deep, TURNED>;
    static constexpr int apart = B::threads / Shape::chunks, count = Shape::rows / apart;
    static_assert(apart * Shape::chunks == B::threads && count * apart == Shape::rows,
                  "all threads copy alike");

    const uint16_t *from; // the first of this step
    int64_t stride;       // elements from one to the next
    int64_t outer, k;     // how many of both dimensions there are, from this thread's chunk on
    int place;            // in the tile

    XR_DEVICE_MEMBER Copies(const Source &s, int64_t first, int64_t depth) {
        const int row = (int)threadIdx.x / Shape::chunks;
        const int column = (int)threadIdx.x % Shape::chunks * 8;
        from = s.data + row * s.stride + column + (TURNED ? first : first * s.stride);
        stride = apart * s.stride;
        outer = s.outer - first - (TURNED ? column : row);
        k = depth - (TURNED ? row : column);
        place = row * Shape::pitch + column;
    }

    // Starts the i-th copy to that tile: what is not there becomes 0, and is not read.
    XR_DEVICE_MEMBER void start(uint16_t *tile, int i) const {
        const int64_t rows = TURNED ? k : outer, columns = TURNED ? outer : k;
        const int there = (int)min(max(columns, (int64_t)0), (int64_t)8);
        xr_copy_async(tile + place + i * apart * Shape::pitch, from + i * stride,
                      i * apart < rows ? there * 2 : 0);
    }

    XR_DEVICE_MEMBER void step() {
        from += TURNED ? count * stride : B::deep;
        k -= B::deep;
    }
};

// A fragment of 16 rows (of a) at (row, k) of the tile.
template <typename Shape, bool TURNED>
XR_DEVICE void load_a(uint32_t out[4], const uint16_t *tile, int row, int k) {
    const int lane = (int)threadIdx.x % 32, r = lane % 8, j = lane / 8;
    if (TURNED) {
        xr_load_matrices_transposed(out,
                                    tile + (k + r + j / 2 * 8) * Shape::pitch + row + j % 2 * 8);
    } else {
        xr_load_matrices(out, tile + (row + r + j % 2 * 8) * Shape::pitch + k + j / 2 * 8);
    }
}

// Two fragments of 8 columns (of b): out[0..1] at (column, k), out[2..3] at column + 8 or, where
// ALONG, at k + 16.
template <typename Shape, bool TURNED, bool ALONG>
XR_DEVICE void load_b(uint32_t out[4], const uint16_t *tile, int column, int k) {
    const int lane = (int)threadIdx.x % 32, r = lane % 8, j = lane / 8;
    column += ALONG ? 0 : j / 2 * 8;
    k += j % 2 * 8 + (ALONG ? j / 2 * 16 : 0);
    if (TURNED) {
        xr_load_matrices_transposed(out, tile + (k + r) * Shape::pitch + column);
    } else {
        xr_load_matrices(out, tile + (column + r) * Shape::pitch + k);
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

// The products of a launch: that of part[i] has the blocks from `first` on. A part that is not
// there begins where no block is.
struct Part {
    Result c;
    Source b;
    int first;
};
struct Parts {
    Part part[XR_MOST_MATMULS];
    int count;
};

XR_DEVICE const Part &part_of(const Parts &parts, int block) {
    if (block < parts.part[1].first) return parts.part[0];
    return block < parts.part[2].first ? parts.part[1] : parts.part[2];
}

// What a thread does with the tiles of its block.
template <typename B, bool TURNED_A, bool TURNED_B> struct Work {
    using CopiesA = Copies<B, B::high, TURNED_A>;
    using CopiesB = Copies<B, B::wide, TURNED_B>;
    using TileA = typename CopiesA::Shape;
    using TileB = typename CopiesB::Shape;
    static constexpr int copies = CopiesA::count + CopiesB::count;  // of a step
    static constexpr int stage = TileA::elements + TileB::elements; // one buffer: a's tile, b's
    // Pieces of 16 k that one load of b is for: two where a warp has 8 columns.
    static constexpr int pieces = B::tiles_across == 1 ? 2 : 1;

    uint16_t *const shared;
    CopiesA a;
    CopiesB b;
    int filled, used; // the buffers that are copied to and multiplied from
    int rows;         // of a, from the block's first on
    int row, column;  // where the warp's elements begin within the block

    XR_DEVICE_MEMBER int after(int buffer) const {
        return buffer + 1 < B::stages ? buffer + 1 : 0;
    }

    // Starts copies `begin` to `end` of the step whose turn it is. Those behind the last step's are
    // of zeros.
    XR_DEVICE_MEMBER void copy(int begin, int end) {
        uint16_t *const tile = shared + filled * stage;
#pragma unroll
        for (int i = begin; i < end; i++) {
            if (i < CopiesA::count) {
                a.start(tile, i);
            } else {
                b.start(tile + TileA::elements, i - CopiesA::count);
            }
        }
        if (end < copies) return;
        xr_copy_commit();
        a.step();
        b.step();
        filled = after(filled);
    }

    // Adds the products of 16 k, with b's fragments from columns[first] on. A block that is chosen
    // for 17 rows too leaves out those that are not there.
    XR_DEVICE_MEMBER void multiply(float (&sum)[B::tiles_down][B::tiles_across][4],
                                   const uint16_t *tile, int k, const uint32_t (*columns)[4],
                                   int first) const {
#pragma unroll
        for (int i = 0; i < B::tiles_down; i++) {
            if (B::high == Middle::high && row + 16 * i >= rows) continue;
            uint32_t fragment[4];
            load_a<TileA, TURNED_A>(fragment, tile, row + 16 * i, k);
#pragma unroll
            for (int j = 0; j < B::tiles_across; j++) {
                xr_mma_bf16(sum[i][j], fragment, columns[(first + j) / 2] + (first + j) % 2 * 2);
            }
        }
    }

    // Adds the products of a step. In between, the copies of another one are started: products wait
    // for each other, and there is time.
    XR_DEVICE_MEMBER void step(float (&sum)[B::tiles_down][B::tiles_across][4]) {
        constexpr int all = B::deep / 16;
        const uint16_t *const tile = shared + used * stage;
#pragma unroll
        for (int piece = 0; piece < all; piece += pieces) {
            uint32_t columns[pieces * B::tiles_across / 2][4];
#pragma unroll
            for (int j = 0; j < pieces * B::tiles_across / 2; j++) {
                load_b<TileB, TURNED_B, pieces == 2>(columns[j], tile + TileA::elements,
                                                     column + 16 * j, 16 * piece);
            }
#pragma unroll
            for (int p = 0; p < pieces; p++) {
                multiply(sum, tile, 16 * (piece + p), columns, p * B::tiles_across);
            }
            copy(piece * copies / all, (piece + pieces) * copies / all);
        }
        used = after(used);
    }
};

template <typename B, bool TURNED_A, bool TURNED_B>
XR_KERNEL(B::threads)
multiply_bf16(Source a, Parts parts, int64_t depth) {
    XR_DYNAMIC_SHARED(uint16_t, shared);
    using BlockWork = Work<B, TURNED_A, TURNED_B>;
    const Part &part = part_of(parts, (int)blockIdx.x);
    const int64_t m = (int64_t)blockIdx.y * B::high;
    const int64_t n = (int64_t)((int)blockIdx.x - part.first) * B::wide;
    const int warp = (int)threadIdx.x / 32, lane = (int)threadIdx.x % 32;
    BlockWork work = {shared,
                      typename BlockWork::CopiesA(a, m, depth),
                      typename BlockWork::CopiesB(part.b, n, depth),
                      0,
                      0,
                      (int)min(a.outer - m, (int64_t)B::high),
                      warp / B::across * B::warp_high,
                      warp % B::across * B::warp_wide};
    const int64_t steps = (depth + B::deep - 1) / B::deep;
    float sum[B::tiles_down][B::tiles_across][4] = {};
#pragma unroll
    for (int ahead = 0; ahead < B::stages - 1; ahead++) work.copy(0, BlockWork::copies);
    for (int64_t step = 0; step < steps; step++) {
        xr_copy_wait<B::stages - 2>();
        __syncthreads(); // the tile is there, and everybody is done with the one that is
                         // overwritten
        work.step(sum);
    }
    xr_copy_wait<0>();
    __syncthreads(); // nobody reads the tiles any more
    // Each warp lays 16 rows of its sums out in their memory, so that lanes store what lies side by
    // side, and the store, which knows types and bias, stands in the code a few times alone.
    constexpr int columns = B::warp_wide;
    float *const laid = (float *)shared + warp * 16 * columns;
#pragma unroll
    for (int i = 0; i < B::tiles_down; i++) {
#pragma unroll
        for (int j = 0; j < B::tiles_across; j++) {
#pragma unroll
            for (int e = 0; e < 4; e++) {
                laid[(lane / 4 + e / 2 * 8) * columns + 8 * j + lane % 4 * 2 + e % 2] =
                    sum[i][j][e];
            }
        }
        xr_sync_warp();
#pragma unroll 1
        for (int k = lane; k < 16 * columns; k += 32) {
            put(part.c, m + work.row + 16 * i + k / columns, n + work.column + k % columns,
                laid[k]);
        }
        xr_sync_warp();
    }
}

// Blocks across all parts.
static int64_t blocks_across(const Parts &parts, int wide) {
    int64_t blocks = 0;
    for (int i = 0; i < parts.count; i++) blocks += xr_pieces(parts.part[i].c.n, wide);
    return blocks;
}

template <typename B, bool TURNED_A, bool TURNED_B>
static void launch_block(XrBackend *b, Source a, Parts parts, int64_t depth) {
    constexpr int bytes = B::stages * Work<B, TURNED_A, TURNED_B>::stage * 2;
    auto kernel = multiply_bf16<B, TURNED_A, TURNED_B>;
    xr_cuda_check(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, bytes),
                  "matmul");
    int64_t first = 0;
    for (int i = 0; i < XR_MOST_MATMULS; i++) {
        parts.part[i].first = i < parts.count ? (int)first : INT_MAX;
        if (i < parts.count) first += xr_pieces(parts.part[i].c.n, B::wide);
    }
    dim3 grid((unsigned)first, (unsigned)xr_pieces(a.outer, B::high));
    XR_LAUNCH(kernel, grid, B::threads, bytes, xr_cuda_stream(b), a, parts, depth);
}

// Bits are the same whichever is taken.
template <bool TURNED_A, bool TURNED_B>
static void launch_bf16(XrBackend *b, Source a, const Parts &parts, int64_t depth) {
    const int64_t multiprocessors = xr_cuda_multiprocessors(b);
    const int64_t large = blocks_across(parts, Large::wide) * xr_pieces(a.outer, Large::high);
    if constexpr (!TURNED_A && !TURNED_B) {
        if (a.outer <= Low::high) {
            if (blocks_across(parts, Low::wide) >= 2 * multiprocessors) {
                launch_block<Low, false, false>(b, a, parts, depth);
            } else {
                launch_block<Narrow, false, false>(b, a, parts, depth);
            }
            return;
        }
    }
    if (a.outer <= Middle::high || large < multiprocessors) {
        launch_block<Middle, TURNED_A, TURNED_B>(b, a, parts, depth);
    } else {
        launch_block<Large, TURNED_A, TURNED_B>(b, a, parts, depth);
    }
}

enum { COPY_THREADS = 256 };

XR_KERNEL(COPY_THREADS)
align_rows(uint16_t *to, int64_t to_stride, const uint16_t *from, int64_t from_stride, int64_t rows,
           int64_t columns) {
    for (int64_t row = blockIdx.x; row < rows; row += gridDim.x) {
        for (int64_t d = threadIdx.x; d < columns; d += COPY_THREADS) {
            to[row * to_stride + d] = from[row * from_stride + d];
        }
    }
}

static bool is_aligned(XrOperand x) {
    return (uintptr_t)x.data % 16 == 0 && x.stride % 8 == 0;
}

// The operand with rows aligned to 16 bytes, copied to scratch memory where they are not.
static Source aligned_source(XrBackend *b, XrScratch slot, XrOperand x, int64_t outer,
                             int64_t depth) {
    Source s = {(const uint16_t *)x.data, x.stride, outer};
    if (is_aligned(x)) return s;
    int64_t rows = x.turned ? depth : outer, columns = x.turned ? outer : depth;
    int64_t pitch = xr_pieces(columns, 8) * 8;
    uint16_t *copy = (uint16_t *)xr_cuda_scratch(b, slot, (size_t)(rows * pitch) * sizeof *copy);
    if (rows && columns) {
        XR_LAUNCH(align_rows, (unsigned)XR_MIN(rows, (int64_t)65535), COPY_THREADS, 0,
                  xr_cuda_stream(b), copy, pitch, s.data, x.stride, rows, columns);
    }
    return Source{copy, pitch, outer};
}

static Part part_from(const XrMatmul *p, Bias bias, Source w) {
    return Part{{p->c, p->dtype, p->stride, p->m, p->n, bias, p->accumulate}, w, 0};
}

static void run_bf16(XrBackend *b, const XrMatmul *p, Bias bias) {
    Source x = aligned_source(b, XR_SCRATCH_OPERAND, p->a, p->m, p->k);
    Parts parts = {};
    parts.part[0] = part_from(p, bias, aligned_source(b, XR_SCRATCH_OPERAND_2, p->b, p->n, p->k));
    parts.count = 1;
    if (p->a.turned && p->b.turned) {
        launch_bf16<true, true>(b, x, parts, p->k);
    } else if (p->b.turned) {
        launch_bf16<false, true>(b, x, parts, p->k);
    } else {
        XR_REQUIRE(!p->a.turned, "matmul: a turned a with a straight b");
        launch_bf16<false, false>(b, x, parts, p->k);
    }
}

static bool is_joined(const XrMatmul *p) {
    return p->a.dtype == XR_BF16 && p->b.dtype == XR_BF16 && !p->a.turned && !p->b.turned &&
           is_aligned(p->b) &&
           (!p->bias || (uintptr_t)p->bias->data % xr_dtype_size(p->bias->dtype) == 0);
}

// All of them in one launch; false where weights or bias would need a copy each.
static bool run_joined(XrBackend *b, const XrMatmul *p, int count) {
    Parts parts = {};
    for (int i = 0; i < count; i++) {
        if (!is_joined(&p[i])) return false;
        if (p[i].n == 0) continue;
        Bias bias = {p[i].bias ? p[i].bias->data : NULL, p[i].bias ? p[i].bias->dtype : XR_F32};
        parts.part[parts.count++] =
            part_from(&p[i], bias, Source{(const uint16_t *)p[i].b.data, p[i].b.stride, p[i].n});
    }
    if (parts.count == 0) return true;
    launch_bf16<false, false>(b, aligned_source(b, XR_SCRATCH_OPERAND, p->a, p->m, p->k), parts,
                              p->k);
    return true;
}

// ---- f32 ----

enum { SIDE = 64, DEPTH = 16, EACH = 4, PITCH = SIDE + 4, THREADS = 256 };

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
        run_bf16(b, p, bias);
    } else if (p->a.dtype == XR_BF16) {
        run_f32<XrBf16>(b, p, c);
    } else {
        run_f32<float>(b, p, c);
    }
}

void xr_cuda_matmul(XrBackend *b, const XrMatmul *p, int count) {
    XR_REQUIRE(count >= 1 && count <= XR_MOST_MATMULS, "%d products", count);
    XR_REQUIRE(xr_pieces(p->m, SIDE) <= 65535, "matmul: %lld rows", (long long)p->m);
    for (int i = 1; i < count; i++) {
        XR_REQUIRE(p[i].a.data == p->a.data && p[i].m == p->m && p[i].k == p->k,
                   "matmul: products of different a");
    }
    if (p->m == 0 || (count > 1 && run_joined(b, p, count))) return;
    for (int i = 0; i < count; i++) {
        if (p[i].n) run(b, &p[i]);
    }
}
