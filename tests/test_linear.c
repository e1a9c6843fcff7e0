// linear and its gradients (ref/linear.c).
#include "tests/support/backends.h" // defines: xr_test_backend
#include "tests/support/op_values.h"
#include "tests/support/ops.h"

#include "shared/base/memory.h"

#ifdef XR_CUDA_EMULATION
#include "cuda/emulation/emulation.h"
#endif

#include <cblas.h> // defines: cblas_sgemm
#include <math.h>
#include <stdlib.h>

// [T, N, K]: around the tiles of few rows by 3 or 4 columns and of 6 or 12 rows by 8 to 32 columns,
// blocks of 12 and 64 columns and 192 rows, groups of 2,048 rows, and chunks of what is summed over
// (1,024 of K; 256 of N or T in a gradient). On a GPU, all shapes of blocks (cuda/matmul.cu; the
// emulated one has 4 multiprocessors).
static const XrShape SHAPES[] = {XR_SHAPE(0, 5, 7),
                                 XR_SHAPE(1, 1, 1),
                                 XR_SHAPE(1, 129, 127),
                                 XR_SHAPE(2, 3, 1025),
                                 XR_SHAPE(5, 31, 33),
                                 XR_SHAPE(12, 33, 32),
                                 XR_SHAPE(13, 65, 31),
                                 XR_SHAPE(33, 129, 129),
                                 XR_SHAPE(127, 7, 96),
                                 XR_SHAPE(193, 66, 130),
                                 XR_SHAPE(14, 64, 2051),
                                 XR_SHAPE(2051, 3, 5),
                                 XR_SHAPE(3, 2051, 5),
                                 XR_SHAPE(33, 3, 1),
                                 XR_SHAPE(130, 260, 136),
#ifndef XR_CUDA_EMULATION                               // where it takes half a minute
                                 XR_SHAPE(2, 9, 18944), // the 7B model's inner width
#endif
                                 {0}};

// A block of each kind in one and in several steps along K.
static const XrShape CHECKED[] = {
    XR_SHAPE(1, 5, 7), XR_SHAPE(13, 65, 31), XR_SHAPE(66, 7, 130), {0}};

static const XrGoldenRow GOLDEN[] = {XR_GOLDEN("linear/f32_1x31x33", 1, 33, 31),
                                     XR_GOLDEN("linear/f32_3x64x48", 3, 48, 64),
                                     XR_GOLDEN("linear/f32_17x129x65", 17, 65, 129),
                                     XR_GOLDEN("linear/f32_5x256x32", 5, 32, 256),
                                     XR_GOLDEN_BF16("linear/bf16_1x31x33", 1, 33, 31),
                                     XR_GOLDEN_BF16("linear/bf16_3x64x48", 3, 48, 64),
                                     XR_GOLDEN_BF16("linear/bf16_17x129x65", 17, 65, 129),
                                     XR_GOLDEN_BF16("linear/bf16_5x256x32", 5, 32, 256),
                                     {0}};

// ---- linear ----

static void build(XrOpRun *run) {
    const int64_t *n = run->shape->n;
    xr_activation(run, "y", XR_OUT, n[0], n[1]);
    xr_activation(run, "x", XR_IN, n[0], n[2]);
    xr_weight(run, "w", XR_IN, n[1], n[2]);
    XrArg *bias =
        xr_plain(run, "bias", XR_IN, run->golden ? XR_F32 : run->types.weight, n[1], XR_1D);
    bias->kind = XR_KIND_WEIGHT;
    bias->optional = true;
    bias->golden_in = "b";
}

// y[rows, columns] = x[rows, inner] w[columns, inner]^T + bias, which may be NULL.
static void define(double *y, const double *x, const double *w, const double *bias, int64_t rows,
                   int64_t columns, int64_t inner) {
    for (int64_t t = 0; t < rows; t++) {
        for (int64_t i = 0; i < columns; i++) {
            double sum = bias ? bias[i] : 0;
            for (int64_t k = 0; k < inner; k++) sum += x[t * inner + k] * w[i * inner + k];
            y[t * columns + i] = sum;
        }
    }
}

static void reference(XrOpRun *run) {
    const int64_t *n = run->shape->n;
    const double *bias = run->variant == XR_MINIMAL ? NULL : xr_values(run, "bias");
    define(xr_expect(run, "y"), xr_values(run, "x"), xr_values(run, "w"), bias, n[0], n[1], n[2]);
}

static void call(XrOpRun *run, XrBackend *b) {
    xr_linear(b, xr_t(run, "y"), xr_t(run, "x"), xr_t(run, "w"), xr_t(run, "bias"));
}

const XrOpTest xr_op_test_linear = {.op = "linear",
                                    .shapes = SHAPES,
                                    .checked_shapes = CHECKED,
                                    .types = XR_TYPES_WEIGHTS,
                                    .variants = XR_STRIDED | XR_MINIMAL,
                                    .independent_rows = true,
                                    .build = build,
                                    .reference = reference,
                                    .call = call,
                                    .golden = GOLDEN};

// ---- linears: shape [T, K, N of each part] ----

static const XrShape PARTS_SHAPES[] = {XR_SHAPE(0, 7, 5, 3, 2),
                                       XR_SHAPE(1, 1, 1),
                                       XR_SHAPE(3, 40, 33, 7, 9),
                                       XR_SHAPE(13, 31, 65, 129, 31),
                                       XR_SHAPE(7, 130, 300, 150, 150), // on a GPU, wider blocks
                                       XR_SHAPE(40, 96, 9, 130),
                                       XR_SHAPE(66, 33, 7, 0, 70),
                                       XR_SHAPE(129, 70, 200, 130), // and large ones
                                       {0}};

static const XrShape PARTS_CHECKED[] = {
    XR_SHAPE(1, 1, 1), XR_SHAPE(3, 40, 33, 7, 9), XR_SHAPE(66, 33, 7, 0, 70), {0}};

// Parts alike.
static const XrGoldenRow PARTS_GOLDEN[] = {
    XR_GOLDEN("linear/f32_3x64x48", 3, 64, 48, 48, 48),
    XR_GOLDEN("linear/f32_17x129x65", 17, 129, 65, 65),
    XR_GOLDEN_BF16("linear/bf16_1x31x33", 1, 31, 33, 33, 33),
    XR_GOLDEN_BF16("linear/bf16_17x129x65", 17, 129, 65, 65, 65),
    {0}};

static const char *const PART_NAMES[XR_MOST_LINEARS][3] = {
    {"y0", "w0", "bias0"}, {"y1", "w1", "bias1"}, {"y2", "w2", "bias2"}};

static int parts_of(const XrOpRun *run) {
    return XR_MIN(run->shape->count - 2, XR_MOST_LINEARS);
}

static void parts_build(XrOpRun *run) {
    const int64_t *n = run->shape->n;
    xr_activation(run, "x", XR_IN, n[0], n[1]);
    for (int i = 0; i < parts_of(run); i++) {
        const char *const *names = PART_NAMES[i];
        xr_activation(run, names[0], XR_OUT, n[0], n[2 + i])->golden_out = "y";
        xr_weight(run, names[1], XR_IN, n[2 + i], n[1])->golden_in = "w";
        XrArg *bias = xr_plain(run, names[2], XR_IN, run->golden ? XR_F32 : run->types.weight,
                               n[2 + i], XR_1D);
        bias->kind = XR_KIND_WEIGHT;
        bias->optional = i != 1; // in the variant "minimal" one has a bias
        bias->golden_in = "b";
    }
}

static void parts_reference(XrOpRun *run) {
    const int64_t *n = run->shape->n;
    for (int i = 0; i < parts_of(run); i++) {
        bool biased = run->variant != XR_MINIMAL || i == 1;
        define(xr_expect(run, PART_NAMES[i][0]), xr_values(run, "x"),
               xr_values(run, PART_NAMES[i][1]), biased ? xr_values(run, PART_NAMES[i][2]) : NULL,
               n[0], n[2 + i], n[1]);
    }
}

static void parts_call(XrOpRun *run, XrBackend *b) {
    XrLinears parts = {.count = parts_of(run)};
    for (int i = 0; i < parts.count; i++) {
        parts.part[i].y = xr_t(run, PART_NAMES[i][0]);
        parts.part[i].w = xr_t(run, PART_NAMES[i][1]);
        parts.part[i].bias = xr_t(run, PART_NAMES[i][2]);
    }
    xr_linears(b, parts, xr_t(run, "x"));
}

const XrOpTest xr_op_test_linears = {.op = "linears",
                                     .shapes = PARTS_SHAPES,
                                     .checked_shapes = PARTS_CHECKED,
                                     .types = XR_TYPES_WEIGHTS,
                                     .variants = XR_STRIDED | XR_MINIMAL,
                                     .independent_rows = true,
                                     .build = parts_build,
                                     .reference = parts_reference,
                                     .call = parts_call,
                                     .golden = PARTS_GOLDEN};

// Logits: f32 from bf16.

static const XrTypes TO_F32[] = {
    {"bf16>f32", XR_BF16, XR_BF16}, {"bf16.f32>f32", XR_BF16, XR_F32}, {0}};

static void logits_build(XrOpRun *run) {
    build(run);
    xr_arg(run, "y")->dtype = XR_F32;
}

static const XrShape LOGITS_SHAPES[] = {XR_SHAPE(1, 129, 127),  XR_SHAPE(13, 65, 31),
                                        XR_SHAPE(127, 7, 96),   XR_SHAPE(3, 515, 150),
                                        XR_SHAPE(130, 260, 40), {0}};

static const XrShape LOGITS_CHECKED[] = {XR_SHAPE(13, 65, 31), XR_SHAPE(3, 131, 150), {0}};

static const XrOpTest TO_LOGITS = {.op = "linear",
                                   .shapes = LOGITS_SHAPES,
                                   .checked_shapes = LOGITS_CHECKED,
                                   .types = TO_F32,
                                   .variants = XR_STRIDED | XR_MINIMAL,
                                   .independent_rows = true,
                                   .build = logits_build,
                                   .reference = reference,
                                   .call = call};

// ---- linear_backward_input; the variant "aliased" stands for accumulation ----

static void input_build(XrOpRun *run) {
    const int64_t *n = run->shape->n;
    xr_activation(run, "dx", run->variant == XR_ALIASED ? XR_INOUT : XR_OUT, n[0], n[2]);
    xr_activation(run, "dy", XR_IN, n[0], n[1]);
    xr_weight(run, "w", XR_IN, n[1], n[2]);
}

static void input_reference(XrOpRun *run) {
    const int64_t *n = run->shape->n;
    const double *dy = xr_values(run, "dy"), *w = xr_values(run, "w");
    double *dx = xr_expect(run, "dx");
    for (int64_t t = 0; t < n[0]; t++) {
        for (int64_t i = 0; i < n[1]; i++) {
            for (int64_t k = 0; k < n[2]; k++) {
                dx[t * n[2] + k] += dy[t * n[1] + i] * w[i * n[2] + k];
            }
        }
    }
}

static void input_call(XrOpRun *run, XrBackend *b) {
    xr_linear_backward_input(b, xr_t(run, "dx"), xr_t(run, "dy"), xr_t(run, "w"),
                             run->variant == XR_ALIASED);
}

const XrOpTest xr_op_test_linear_backward_input = {.op = "linear_backward_input",
                                                   .shapes = SHAPES,
                                                   .checked_shapes = CHECKED,
                                                   .types = XR_TYPES_WEIGHTS,
                                                   .variants = XR_STRIDED | XR_ALIASED,
                                                   .independent_rows = true,
                                                   .build = input_build,
                                                   .reference = input_reference,
                                                   .call = input_call,
                                                   .golden = GOLDEN};

// ---- linear_backward_weight ----

static void weight_build(XrOpRun *run) {
    const int64_t *n = run->shape->n;
    xr_plain(run, "dw", XR_INOUT, XR_F32, n[1], n[2]);
    XrArg *dbias = xr_plain(run, "dbias", XR_INOUT, XR_F32, n[1], XR_1D);
    dbias->optional = true;
    dbias->golden_out = "db";
    xr_activation(run, "dy", XR_IN, n[0], n[1]);
    xr_activation(run, "x", XR_IN, n[0], n[2]);
}

static void weight_reference(XrOpRun *run) {
    const int64_t *n = run->shape->n;
    const double *dy = xr_values(run, "dy"), *x = xr_values(run, "x");
    double *dw = xr_expect(run, "dw"), *dbias = xr_expect(run, "dbias");
    xr_arg(run, "dbias")->scale = sqrt((double)n[0]); // terms of [-1,1) that cancel
    for (int64_t t = 0; t < n[0]; t++) {
        for (int64_t i = 0; i < n[1]; i++) {
            dbias[i] += dy[t * n[1] + i];
            for (int64_t k = 0; k < n[2]; k++) {
                dw[i * n[2] + k] += dy[t * n[1] + i] * x[t * n[2] + k];
            }
        }
    }
}

static void weight_call(XrOpRun *run, XrBackend *b) {
    xr_linear_backward_weight(b, xr_t(run, "dw"), xr_t(run, "dbias"), xr_t(run, "dy"),
                              xr_t(run, "x"));
}

const XrOpTest xr_op_test_linear_backward_weight = {.op = "linear_backward_weight",
                                                    .shapes = SHAPES,
                                                    .checked_shapes = CHECKED,
                                                    .types = XR_TYPES_ACTIVATIONS,
                                                    .variants = XR_STRIDED | XR_MINIMAL,
                                                    .build = weight_build,
                                                    .reference = weight_reference,
                                                    .call = weight_call,
                                                    .golden = GOLDEN};

// ---- what rows cannot say ----

// Each row of a batch of any size, on any number of threads, has the bits that it has alone.
static void same_bits_in_every_batch(void **state) {
    enum { MOST = 40, N = 77, K = 1500 };
    float *x = xr_test_numbers((int64_t)MOST * K), *w = xr_test_numbers((int64_t)N * K);
    float alone[MOST][N], batch[MOST][N];
    for (int type = XR_F32; type <= XR_F16; type++) {
        XrTensor weight = xr_tensor2((XrDType)type, w, N, K); // as 2-byte numbers: any bits
        if (type != XR_F32) {
            for (int64_t i = 0; i < (int64_t)N * K; i++) {
                // signs, exponents around 1 and all mantissas, in either format
                ((uint16_t *)w)[i] =
                    (uint16_t)((type == XR_BF16 ? 0x3f00 : 0x3800) | (i * 37 & 0x80ff));
            }
        }
        for (int t = 0; t < MOST; t++) {
            XrTensor row = xr_tensor2(XR_F32, x + (int64_t)t * K, 1, K);
            XrTensor y = xr_tensor2(XR_F32, alone[t], 1, N);
            xr_linear(xr_test_cpu(1), &y, &row, &weight, NULL);
        }
        for (int count = 1; count <= MOST; count++) {
            XrTensor rows = xr_tensor2(XR_F32, x, count, K),
                     y = xr_tensor2(XR_F32, batch, count, N);
            memset(batch, 0xff, sizeof batch);
            xr_linear(xr_test_cpu(count % 2 ? 1 : 3), &y, &rows, &weight, NULL);
            assert_memory_equal(alone, batch, (size_t)count * sizeof *batch);
        }
    }
    free(x);
    free(w);
}

static XrTensor of_numbers(XrBackend *b, XrDType dtype, int64_t rows, int64_t columns) {
    XrTensor t;
    XrError err;
    int64_t shape[] = {rows, columns};
    xr_must(xr_tensor_alloc(b, &t, dtype, columns ? 2 : 1, shape, "a test", &err), &err);
    float *numbers = xr_test_numbers(xr_numel(&t));
    xr_upload_f32(b, &t, numbers);
    free(numbers);
    return t;
}

// Parts in one call have the bits that each has by itself: whether they can share a launch, or one
// has other types or lies so that it must be copied.
typedef struct Parts {
    XrTensor y[XR_MOST_LINEARS], w[XR_MOST_LINEARS], bias;
    XrLinears all;
} Parts;

enum { PARTS_INNER = 136, PARTS_WIDE = 96, PARTS_NARROW = 24, PARTS_MOST = 70 };

static Parts make_parts(XrBackend *b, XrDType other, int shift) {
    Parts p = {.bias = of_numbers(b, XR_BF16, PARTS_WIDE, 0), .all.count = XR_MOST_LINEARS};
    for (int i = 0; i < XR_MOST_LINEARS; i++) {
        int64_t columns = i ? PARTS_NARROW : PARTS_WIDE;
        p.y[i] = of_numbers(b, b->activations, PARTS_MOST, columns);
        p.w[i] = of_numbers(b, i == 1 ? other : XR_BF16, columns + 1, PARTS_INNER);
        p.w[i].shape[0] = columns;
        if (i == 2) p.w[i].data = (char *)p.w[i].data + shift;
    }
    return p;
}

// Returns y of all parts, one behind the other; joined: in one call.
static unsigned char *run_parts(XrBackend *b, Parts *p, const XrTensor *x, bool joined) {
    size_t used = 0;
    unsigned char *out = xr_malloc((size_t)x->shape[0] * (PARTS_WIDE + 2 * PARTS_NARROW) * 4);
    for (int i = 0; i < p->all.count; i++) {
        p->y[i].shape[0] = x->shape[0];
        b->zero(b, p->y[i].data, xr_nbytes(&p->y[i]));
        p->all.part[i].y = &p->y[i];
        p->all.part[i].w = &p->w[i];
        p->all.part[i].bias = i ? NULL : &p->bias;
        if (!joined) xr_linear(b, &p->y[i], x, &p->w[i], p->all.part[i].bias);
    }
    if (joined) xr_linears(b, p->all, x);
    for (int i = 0; i < p->all.count; i++) {
        xr_download(b, out + used, &p->y[i]);
        used += xr_nbytes(&p->y[i]);
    }
    return out;
}

static void same_bits_in_one_call_on(const char *name) {
    static const int64_t ROWS[] = {1, 5, 16, 17, PARTS_MOST};
    static const struct {
        XrDType other;
        int shift;
    } KINDS[] = {{XR_BF16, 0}, {XR_F32, 0}, {XR_BF16, 2}, {XR_BF16, 1}};
    XrBackend *b = xr_test_backend(name);
    XrTensor x = of_numbers(b, b->activations, PARTS_MOST, PARTS_INNER);
    for (size_t k = 0; k < XR_COUNT(KINDS); k++) {
        Parts p = make_parts(b, KINDS[k].other, KINDS[k].shift);
        for (size_t r = 0; r < XR_COUNT(ROWS); r++) {
            XrTensor rows = xr_rows(&x, 0, ROWS[r]);
            unsigned char *apart = run_parts(b, &p, &rows, false);
#ifdef XR_CUDA_EMULATION
            int64_t before = xr_emulation_launches();
#endif
            unsigned char *together = run_parts(b, &p, &rows, true);
#ifdef XR_CUDA_EMULATION
            bool own = b->batch_invariant || ROWS[r] <= 16; // of which one launch is asked
            if (b->activations == XR_BF16 && k == 0) {
                assert_int_equal(xr_emulation_launches() - before, own ? 1 : XR_MOST_LINEARS);
            }
#endif
            size_t bytes = (size_t)ROWS[r] * (PARTS_WIDE + 2 * PARTS_NARROW);
            assert_memory_equal(apart, together, bytes * xr_dtype_size(b->activations));
            free(apart);
            free(together);
        }
        p.w[2].data = (char *)p.w[2].data - KINDS[k].shift;
        for (int i = 0; i < XR_MOST_LINEARS; i++) {
            xr_tensor_free(b, &p.y[i]);
            xr_tensor_free(b, &p.w[i]);
        }
        xr_tensor_free(b, &p.bias);
    }
    xr_tensor_free(b, &x);
    xr_backend_free(b);
}

static void same_bits_in_one_call(void **state) {
    same_bits_in_one_call_on("3");
#ifdef XR_TEST_CUDA
    if (getenv("XR_CPU")) return; // a GPU has nothing to do with the instruction set
    same_bits_in_one_call_on("cuda.bf16");
    same_bits_in_one_call_on("cuda.bf16.invariant");
    same_bits_in_one_call_on("cuda");
#endif
}

#ifdef XR_TEST_CUDA
// A GPU in the batch-invariant mode takes blocks of another shape for other numbers of rows and of
// columns; an element's bits are those of its row alone.
enum { INNER = 200, WIDE = 520, LONG = 200 }; // K is no multiple of a step, N none of a block
static const int64_t BATCHES[] = {1, 2, 16, 17, 64, 65, LONG}, SOME_ROWS[] = {0, 1, 15, 16, 63, 64};

typedef struct Product {
    XrTensor x, w, bias, y, before; // before: what a gradient is added to
    bool backward;
} Product;

// Rows first to first + count by the first `columns` of w; what they give, as it lies in memory.
static unsigned char *product(XrBackend *b, const Product *p, int64_t first, int64_t count,
                              int64_t columns) {
    XrTensor x = xr_rows(&p->x, first, count), w = xr_rows(&p->w, 0, columns), y = p->y;
    XrTensor bias = p->bias;
    bias.shape[0] = columns;
    y.shape[0] = count;
    y.shape[1] = y.row_stride = p->backward ? INNER : columns;
    if (p->backward) {
        x.shape[1] = columns;
        XrTensor before = xr_rows(&p->before, first, count);
        b->copy(b, y.data, before.data, xr_nbytes(&y));
        xr_linear_backward_input(b, &y, &x, &w, true);
    } else {
        xr_linear(b, &y, &x, &w, &bias);
    }
    unsigned char *out = xr_malloc(xr_nbytes(&y));
    xr_download(b, out, &y);
    return out;
}

static void same_rows(XrBackend *b, const Product *p, int64_t columns) {
    size_t bytes = (size_t)(p->backward ? INNER : columns) * xr_dtype_size(p->y.dtype);
    unsigned char *alone[XR_COUNT(SOME_ROWS)];
    for (size_t r = 0; r < XR_COUNT(SOME_ROWS); r++) {
        alone[r] = product(b, p, SOME_ROWS[r], 1, columns);
    }
    for (size_t i = 0; i < XR_COUNT(BATCHES); i++) {
        unsigned char *all = product(b, p, 0, BATCHES[i], columns);
        for (size_t r = 0; r < XR_COUNT(SOME_ROWS) && SOME_ROWS[r] < BATCHES[i]; r++) {
            assert_memory_equal(alone[r], all + (size_t)SOME_ROWS[r] * bytes, bytes);
        }
        free(all);
    }
    if (!p->backward) { // the same columns among more of them
        unsigned char *wide = product(b, p, SOME_ROWS[0], 1, WIDE);
        assert_memory_equal(alone[0], wide, bytes);
        free(wide);
    }
    for (size_t r = 0; r < XR_COUNT(SOME_ROWS); r++) free(alone[r]);
}

static void same_bits_in_every_block(void **state) {
    if (getenv("XR_CPU")) return;
    XrBackend *b = xr_test_backend("cuda.bf16.invariant");
    Product p = {.x = of_numbers(b, XR_BF16, LONG, INNER),
                 .w = of_numbers(b, XR_BF16, WIDE, INNER),
                 .bias = of_numbers(b, XR_BF16, WIDE, 0)};
    for (int type = XR_F32; type <= XR_BF16; type++) {
        p.y = of_numbers(b, (XrDType)type, LONG, WIDE);
        same_rows(b, &p, 77);
        same_rows(b, &p, WIDE);
        xr_tensor_free(b, &p.y);
    }
    xr_tensor_free(b, &p.x);
    p.backward = true;
    p.x = of_numbers(b, XR_BF16, LONG, WIDE);
    p.y = of_numbers(b, XR_BF16, LONG, WIDE);
    p.before = of_numbers(b, XR_BF16, LONG, INNER);
    same_rows(b, &p, WIDE);
    XrTensor *all[] = {&p.x, &p.w, &p.bias, &p.y, &p.before};
    for (size_t i = 0; i < XR_COUNT(all); i++) xr_tensor_free(b, all[i]);
    xr_backend_free(b);
}
#endif

static void near(const float *got, const float *want, int64_t count, float scale) {
    for (int64_t i = 0; i < count; i++) {
        if (fabsf(got[i] - want[i]) <= 1e-5f * scale) continue;
        fail_msg("[%lld] is %.9g, OpenBLAS has %.9g", (long long)i, (double)got[i],
                 (double)want[i]);
    }
}

// Sizes that rows in double would take long for.
static void agrees_with_openblas(void **state) {
    enum { T = 333, N = 515, K = 1111 };
    float *x = xr_test_numbers((int64_t)T * K), *w = xr_test_numbers((int64_t)N * K),
          *dy = xr_test_numbers((int64_t)T * N);
    float *y = xr_test_numbers((int64_t)T * N), *want = xr_test_numbers((int64_t)N * K);
    float *dx = xr_test_numbers((int64_t)T * K), *dw = xr_test_numbers((int64_t)N * K);
    XrTensor xt = xr_tensor2(XR_F32, x, T, K), wt = xr_tensor2(XR_F32, w, N, K);
    XrTensor yt = xr_tensor2(XR_F32, y, T, N), dyt = xr_tensor2(XR_F32, dy, T, N);
    XrTensor dxt = xr_tensor2(XR_F32, dx, T, K), dwt = xr_tensor2(XR_F32, dw, N, K);
    xr_linear(xr_test_cpu(3), &yt, &xt, &wt, NULL);
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, T, N, K, 1, x, K, w, K, 0, want, N);
    near(y, want, (int64_t)T * N, sqrtf(K));
    xr_linear_backward_input(xr_test_cpu(3), &dxt, &dyt, &wt, false);
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, T, K, N, 1, dy, N, w, K, 0, want, K);
    near(dx, want, (int64_t)T * K, sqrtf(N));
    memcpy(want, dw, (size_t)N * K * sizeof *dw);
    xr_linear_backward_weight(xr_test_cpu(3), &dwt, NULL, &dyt, &xt);
    cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, N, K, T, 1, dy, N, x, K, 1, want, K);
    near(dw, want, (int64_t)N * K, sqrtf(T));
    float *all[] = {x, w, dy, y, want, dx, dw};
    for (size_t i = 0; i < XR_COUNT(all); i++) free(all[i]);
}

// <dy, x w^T + bias> in double; p holds x, w and bias one after the other.
enum { SMALL_T = 5, SMALL_N = 7, SMALL_K = 9, SMALL_X = SMALL_T * SMALL_K };
enum { SMALL_W = SMALL_X + SMALL_N * SMALL_K, SMALL_ALL = SMALL_W + SMALL_N };

static double scalar_of(const double p[SMALL_ALL], const float dy[SMALL_T * SMALL_N]) {
    double total = 0;
    for (int t = 0; t < SMALL_T; t++) {
        for (int i = 0; i < SMALL_N; i++) {
            double y = p[SMALL_W + i];
            for (int k = 0; k < SMALL_K; k++) {
                y += p[t * SMALL_K + k] * p[SMALL_X + i * SMALL_K + k];
            }
            total += (double)dy[t * SMALL_N + i] * y;
        }
    }
    return total;
}

static void gradients_are_derivatives(void **state) {
    float *values = xr_test_numbers(SMALL_ALL), *dy = xr_test_numbers(SMALL_T * SMALL_N),
          got[SMALL_ALL] = {0};
    XrTensor x = xr_tensor2(XR_F32, values, SMALL_T, SMALL_K);
    XrTensor w = xr_tensor2(XR_F32, values + SMALL_X, SMALL_N, SMALL_K);
    XrTensor dx = xr_tensor2(XR_F32, got, SMALL_T, SMALL_K);
    XrTensor dw = xr_tensor2(XR_F32, got + SMALL_X, SMALL_N, SMALL_K);
    XrTensor dbias = xr_tensor1(XR_F32, got + SMALL_W, SMALL_N);
    XrTensor dyt = xr_tensor2(XR_F32, dy, SMALL_T, SMALL_N);
    xr_linear_backward_input(xr_test_cpu(3), &dx, &dyt, &w, false);
    xr_linear_backward_weight(xr_test_cpu(3), &dw, &dbias, &dyt, &x);
    double p[SMALL_ALL], h = 1e-4;
    for (int i = 0; i < SMALL_ALL; i++) p[i] = (double)values[i];
    for (int i = 0; i < SMALL_ALL; i++) {
        double kept = p[i];
        p[i] = kept + h;
        double above = scalar_of(p, dy);
        p[i] = kept - h;
        double want = (above - scalar_of(p, dy)) / (2 * h);
        p[i] = kept;
        if (fabs((double)got[i] - want) <= 1e-6 * (1 + fabs(want))) continue;
        fail_msg("gradient %d is %.9g, the difference quotient %.9g", i, (double)got[i], want);
    }
    free(values);
    free(dy);
}

static const XrOpTest *const TESTS[] = {&xr_op_test_linear, &xr_op_test_linears, &TO_LOGITS,
                                        &xr_op_test_linear_backward_input,
                                        &xr_op_test_linear_backward_weight};
#ifdef XR_TEST_CUDA
#define ON_CUDA cmocka_unit_test(same_bits_in_every_block),
#else
#define ON_CUDA
#endif
XR_OP_TEST_MAIN(TESTS, ON_CUDA cmocka_unit_test(same_bits_in_every_batch),
                cmocka_unit_test(same_bits_in_one_call), cmocka_unit_test(agrees_with_openblas),
                cmocka_unit_test(gradients_are_derivatives))
