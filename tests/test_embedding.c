// embedding, its gradient, gather_rows and scatter_rows (ref/embedding.c).
#include "tests/support/golden.h"
#include "tests/support/ops.h"

// ---- embedding: shape [T, vocabulary, D] ----

static const XrShape SHAPES[] = {
    XR_SHAPE(0, 7, 16),    XR_SHAPE(1, 1, 1),      XR_SHAPE(31, 5, 32),   XR_SHAPE(33, 101, 33),
    XR_SHAPE(129, 9, 127), XR_SHAPE(8, 1009, 129), XR_SHAPE(3, 11, 3584), {0}};

// Ids with repetitions; every fifth is negative.
static void set_ids(XrArg *ids, int64_t vocabulary) {
    for (int64_t t = 0; t < ids->count; t++) {
        xr_set(ids, t, t % 5 == 4 ? -1 - (double)(t % 3) : (double)(t * t * 31 % vocabulary));
    }
}

static const XrGoldenRow GOLDEN[] = {
    XR_GOLDEN("embedding/7of5x16", 7, 5, 16), XR_GOLDEN("embedding/40of11x33", 40, 11, 33), {0}};

static void build(XrOpRun *run) {
    const int64_t *n = run->shape->n;
    xr_activation(run, "x", XR_OUT, n[0], n[2])->golden_out = "y";
    XrArg *table = xr_weight(run, "table", XR_IN, n[1], n[2]);
    // What f16 and bf16 have at their edges: subnormal, largest, infinite, negative zero.
    if (table->count > 8) {
        const double edges[] = {6e-8, -6.0975552e-5, 65504, -0.0, 1e-30, -3e38, 1.0 / 0.0};
        for (int i = 0; i < 7; i++) xr_set(table, i, edges[i]);
    }
    XrArg *ids = xr_plain(run, "ids", XR_IN, XR_I32, n[0], XR_1D);
    ids->by_row = true;
    set_ids(ids, n[1]);
}

static void reference(XrOpRun *run) {
    const int64_t *n = run->shape->n;
    const double *table = xr_values(run, "table"), *ids = xr_values(run, "ids");
    double *x = xr_expect(run, "x");
    for (int64_t t = 0; t < n[0]; t++) {
        for (int64_t d = 0; d < n[2]; d++) {
            x[t * n[2] + d] = ids[t] < 0 ? 0 : table[(int64_t)ids[t] * n[2] + d];
        }
    }
}

static void call(XrOpRun *run, XrBackend *b) {
    xr_embedding(b, xr_t(run, "x"), xr_t(run, "table"), xr_t(run, "ids"));
}

const XrOpTest xr_op_test_embedding = {.op = "embedding",
                                       .shapes = SHAPES,
                                       .types = XR_TYPES_WEIGHTS,
                                       .variants = XR_STRIDED,
                                       .independent_rows = true,
                                       .build = build,
                                       .reference = reference,
                                       .call = call,
                                       .golden = GOLDEN};

// Beside the operation's arguments there is the table, for the derivative; only its shape matters.
static void back_build(XrOpRun *run) {
    const int64_t *n = run->shape->n;
    XrArg *dtable = xr_plain(run, "dtable", XR_INOUT, XR_F32, n[1], n[2]);
    xr_gradient(dtable, xr_plain(run, "table", XR_IN, XR_F32, n[1], n[2]));
    xr_activation(run, "dx", XR_IN, n[0], n[2])->golden_in = "dy";
    set_ids(xr_plain(run, "ids", XR_IN, XR_I32, n[0], XR_1D), n[1]);
}

static void back_reference(XrOpRun *run) {
    const int64_t *n = run->shape->n;
    const double *dx = xr_values(run, "dx"), *ids = xr_values(run, "ids");
    double *dtable = xr_expect(run, "dtable");
    xr_arg(run, "dtable")->scale = (double)n[0] / (double)n[1]; // terms summed in an element
    for (int64_t t = 0; t < n[0]; t++) {
        for (int64_t d = 0; d < n[2] && ids[t] >= 0; d++) {
            dtable[(int64_t)ids[t] * n[2] + d] += dx[t * n[2] + d];
        }
    }
}

static double back_loss(XrOpRun *run) {
    const int64_t *n = run->shape->n;
    const double *table = xr_values(run, "table"), *ids = xr_values(run, "ids");
    const double *dx = xr_values(run, "dx");
    double total = 0;
    for (int64_t i = 0; i < n[0] * n[2]; i++) {
        int64_t id = (int64_t)ids[i / n[2]];
        if (id >= 0) total += dx[i] * table[id * n[2] + i % n[2]];
    }
    return total;
}

static void back_call(XrOpRun *run, XrBackend *b) {
    xr_embedding_backward(b, xr_t(run, "dtable"), xr_t(run, "dx"), xr_t(run, "ids"));
}

const XrOpTest xr_op_test_embedding_backward = {.op = "embedding_backward",
                                                .shapes = SHAPES,
                                                .types = XR_TYPES_ACTIVATIONS,
                                                .variants = XR_STRIDED,
                                                .build = back_build,
                                                .reference = back_reference,
                                                .call = back_call,
                                                .loss = back_loss,
                                                .golden = GOLDEN};

// Text with pictures: the rows of an image token are replaced by features; their gradient is the
// gradient of those rows, and the table gets nothing from them.
static void check_images(void *context, const XrGolden *golden, const char *prefix) {
    XrBackend *b = context;
    XrTensor ids = xr_golden_of(golden, prefix, "ids", XR_I64);
    XrTensor table = xr_golden_of(golden, prefix, "table", XR_F32);
    XrTensor features = xr_golden_of(golden, prefix, "features", XR_F32);
    XrTensor dy = xr_golden_of(golden, prefix, "dy", XR_F32);
    int64_t image = xr_golden_whole(golden, prefix, "image_token");
    enum { T = 11, V = 10, D = 16 };
    int32_t text[T], index[T];
    float y[T * D], dtable[V * D] = {0}, dfeatures[T * D];
    int64_t n = 0;
    for (int t = 0; t < T; t++) {
        int64_t id = ((const int64_t *)ids.data)[t];
        text[t] = id == image ? -1 : (int32_t)id;
        if (id == image) index[n++] = t;
    }
    XrTensor tt = xr_tensor1(XR_I32, text, T), ti = xr_tensor1(XR_I32, index, n);
    XrTensor ty = xr_tensor2(XR_F32, y, T, D), td = xr_tensor2(XR_F32, dtable, V, D);
    XrTensor tf = xr_tensor2(XR_F32, dfeatures, n, D);
    xr_embedding(b, &ty, &table, &tt);
    xr_scatter_rows(b, &ty, &features, &ti);
    xr_embedding_backward(b, &td, &dy, &tt);
    xr_gather_rows(b, &tf, &dy, &ti);
    XrTensor want = xr_golden_of(golden, prefix, "y", XR_F32);
    xr_assert_close(prefix, &ty, &want, 0);
    want = xr_golden_of(golden, prefix, "dtable", XR_F32);
    xr_assert_close(prefix, &td, &want, 1e-6);
    want = xr_golden_of(golden, prefix, "dfeatures", XR_F32);
    if (n > 0) xr_assert_close(prefix, &tf, &want, 0);
}

static void images_among_text(void **state) {
    XrGolden golden = xr_golden_open("ops.safetensors");
    xr_golden_each_case(&golden, "embed_images", check_images, xr_test_cpu(3));
    xr_golden_close(&golden);
}

// ---- gather_rows, scatter_rows: shape [rows of y, rows of x, columns] ----

static const XrShape GATHER_SHAPES[] = {
    XR_SHAPE(0, 3, 16), XR_SHAPE(1, 1, 1), XR_SHAPE(33, 5, 31), XR_SHAPE(31, 129, 129), {0}};

static void gather_build(XrOpRun *run) {
    const int64_t *n = run->shape->n;
    xr_activation(run, "y", XR_OUT, n[0], n[2]);
    xr_activation(run, "x", XR_IN, n[1], n[2]);
    XrArg *index = xr_plain(run, "index", XR_IN, XR_I32, n[0], XR_1D);
    for (int64_t i = 0; i < n[0]; i++) xr_set(index, i, (double)(i * 37 % n[1]));
}

static void gather_reference(XrOpRun *run) {
    const int64_t *n = run->shape->n;
    const double *x = xr_values(run, "x"), *index = xr_values(run, "index");
    double *y = xr_expect(run, "y");
    for (int64_t i = 0; i < n[0] * n[2]; i++) {
        y[i] = x[(int64_t)index[i / n[2]] * n[2] + i % n[2]];
    }
}

static void gather_call(XrOpRun *run, XrBackend *b) {
    xr_gather_rows(b, xr_t(run, "y"), xr_t(run, "x"), xr_t(run, "index"));
}

const XrOpTest xr_op_test_gather_rows = {.op = "gather_rows",
                                         .shapes = GATHER_SHAPES,
                                         .types = XR_TYPES_ACTIVATIONS,
                                         .variants = XR_STRIDED,
                                         .build = gather_build,
                                         .reference = gather_reference,
                                         .call = gather_call};

static const XrShape SCATTER_SHAPES[] = {XR_SHAPE(3, 0, 16),  XR_SHAPE(1, 1, 1),
                                         XR_SHAPE(33, 5, 31), XR_SHAPE(129, 31, 129),
                                         XR_SHAPE(32, 32, 7), {0}};

static void scatter_build(XrOpRun *run) {
    const int64_t *n = run->shape->n;
    xr_activation(run, "y", XR_INOUT, n[0], n[2]);
    xr_activation(run, "x", XR_IN, n[1], n[2]);
    XrArg *index = xr_plain(run, "index", XR_IN, XR_I32, n[1], XR_1D);
    for (int64_t i = 0; i < n[1]; i++) xr_set(index, i, (double)(i * 31 % n[0]));
}

static void scatter_reference(XrOpRun *run) {
    const int64_t *n = run->shape->n;
    const double *x = xr_values(run, "x"), *index = xr_values(run, "index");
    double *y = xr_expect(run, "y");
    for (int64_t i = 0; i < n[1] * n[2]; i++) {
        y[(int64_t)index[i / n[2]] * n[2] + i % n[2]] = x[i];
    }
}

static void scatter_call(XrOpRun *run, XrBackend *b) {
    xr_scatter_rows(b, xr_t(run, "y"), xr_t(run, "x"), xr_t(run, "index"));
}

const XrOpTest xr_op_test_scatter_rows = {.op = "scatter_rows",
                                          .shapes = SCATTER_SHAPES,
                                          .types = XR_TYPES_ACTIVATIONS,
                                          .variants = XR_STRIDED,
                                          .build = scatter_build,
                                          .reference = scatter_reference,
                                          .call = scatter_call};

// Elements of lists of integers are rows of one: the engine moves ids so.
static void ids_are_moved(void **state) {
    XrBackend *b = xr_test_cpu(3);
    int32_t drawn[] = {7, -1, 151664, 1 << 30}, batch[] = {10, 11, 12, 13, 14}, ids[3];
    int32_t from[] = {2, 3, 1}, to[] = {4, 0, 2};
    XrTensor td = xr_tensor2(XR_I32, drawn, 4, 1), tb = xr_tensor2(XR_I32, batch, 5, 1);
    XrTensor ti = xr_tensor2(XR_I32, ids, 3, 1);
    XrTensor tf = xr_tensor1(XR_I32, from, 3), tt = xr_tensor1(XR_I32, to, 3);
    xr_gather_rows(b, &ti, &td, &tf);
    xr_scatter_rows(b, &tb, &ti, &tt);
    assert_memory_equal(batch, ((int32_t[]){1 << 30, 11, -1, 13, 151664}), sizeof batch);
}

static const XrOpTest *const TESTS[] = {&xr_op_test_embedding, &xr_op_test_embedding_backward,
                                        &xr_op_test_gather_rows, &xr_op_test_scatter_rows};
XR_OP_TEST_MAIN(TESTS, cmocka_unit_test(images_among_text), cmocka_unit_test(ids_are_moved))
