// rope_table and rope (ref/rope.c, cuda/rope.cu).
#include "tests/support/ops.h"

#include "tests/support/golden.h"

#include <math.h>

// ---- rope_table: shape [T, half, axes, largest position] ----

static const XrShape TABLE_SHAPES[] = {XR_SHAPE(0, 8, 1, 10),
                                       XR_SHAPE(1, 1, 1, 1),
                                       XR_SHAPE(33, 8, 1, 100),
                                       XR_SHAPE(31, 40, 2, 500),
                                       XR_SHAPE(17, 64, 3, 127),
                                       XR_SHAPE(129, 64, 3, 2000000),
                                       {0}};

static void table_build(XrOpRun *run) {
    const int64_t *n = run->shape->n;
    int64_t T = n[0], half = n[1], axes = n[2];
    XrArg *cosines = xr_plain(run, "cos", XR_OUT, XR_F32, T, half);
    XrArg *sines = xr_plain(run, "sin", XR_OUT, XR_F32, T, half);
    cosines->by_row = sines->by_row = true;
    xr_fill(xr_plain(run, "positions", XR_IN, XR_I32, axes, T), 0, (double)n[3]);
    XrArg *inv_freq = xr_plain(run, "inv_freq", XR_IN, XR_F32, half, XR_1D);
    XrArg *axis = xr_plain(run, "axis", XR_IN, XR_I32, half, XR_1D);
    for (int64_t i = 0; i < half; i++) {
        xr_set(inv_freq, i, pow(1e6, (double)-i / (double)half));
        xr_set(axis, i, floor((double)(i * axes) / (double)half));
    }
}

static void table_reference(XrOpRun *run) {
    const int64_t *n = run->shape->n;
    int64_t T = n[0], half = n[1];
    const double *positions = xr_values(run, "positions"), *axis = xr_values(run, "axis");
    const double *inv_freq = xr_values(run, "inv_freq");
    double *cosines = xr_expect(run, "cos"), *sines = xr_expect(run, "sin");
    for (int64_t t = 0; t < T; t++) {
        for (int64_t i = 0; i < half; i++) {
            float position = (float)positions[(int64_t)axis[i] * T + t];
            double angle = (double)(position * (float)inv_freq[i]);
            cosines[t * half + i] = cos(angle);
            sines[t * half + i] = sin(angle);
        }
    }
}

static void table_call(XrOpRun *run, XrBackend *b) {
    xr_rope_table(b, xr_t(run, "cos"), xr_t(run, "sin"), xr_t(run, "positions"),
                  xr_t(run, "inv_freq"), xr_t(run, "axis"));
}

const XrOpTest xr_op_test_rope_table = {.op = "rope_table",
                                        .shapes = TABLE_SHAPES,
                                        .types = XR_TYPES_F32,
                                        .build = table_build,
                                        .reference = table_reference,
                                        .call = table_call};

// Golden angles are in double; the operation's are rounded to f32 like transformers' own.
static void check_table(void *context, const XrGolden *golden, const char *prefix) {
    XrBackend *b = context;
    bool vision = strncmp(prefix, "rope_vision", 11) == 0;
    XrTensor positions = xr_golden_of(golden, prefix, "positions", XR_I64);
    XrTensor want[] = {xr_golden_of(golden, prefix, "cos", XR_F32),
                       xr_golden_of(golden, prefix, "sin", XR_F32)};
    const int64_t *at = positions.data, T = want[0].shape[0], half = want[0].shape[1];
    int64_t axes = vision ? 2 : 3, run = vision ? half / 2 : half;
    double theta = xr_golden_number(golden, prefix, "theta");
    int32_t position[32], axis[64];
    float inv_freq[64], got[2][9 * 64];
    for (int64_t i = 0; i < axes * T; i++) {
        position[i] = (int32_t)(vision ? at[i % T * 2 + i / T] : at[i]);
    }
    int64_t border[2] = {half / 2, half};
    if (!vision) {
        const int64_t *sections = xr_golden_of(golden, prefix, "sections", XR_I64).data;
        border[0] = sections[0];
        border[1] = sections[0] + sections[1];
    }
    for (int64_t i = 0; i < half; i++) {
        inv_freq[i] = (float)pow(theta, -(double)(i % run) / (double)run);
        axis[i] = (i >= border[0]) + (i >= border[1]);
    }
    XrTensor tc = xr_tensor2(XR_F32, got[0], T, half), ts = xr_tensor2(XR_F32, got[1], T, half);
    XrTensor tp = xr_tensor2(XR_I32, position, axes, T);
    XrTensor tf = xr_tensor1(XR_F32, inv_freq, half), ta = xr_tensor1(XR_I32, axis, half);
    xr_rope_table(b, &tc, &ts, &tp, &tf, &ta);
    for (int64_t i = 0; i < 2 * T * half; i++) {
        int64_t which = i / (T * half), t = i / half % T, k = i % half;
        double angle = (double)position[axis[k] * T + t] * (double)inv_freq[k];
        double value = (double)got[which][t * half + k];
        double expected = (double)((const float *)want[which].data)[t * half + k];
        // inv_freq and the product are each rounded to 24 bits.
        if (fabs(value - expected) <= 1e-7 + angle * 0x1p-23) continue;
        fail_msg("%s[%lld,%lld]: %.9g, should be %.9g", prefix, (long long)t, (long long)k, value,
                 expected);
    }
}

static void table_is_golden(void **state) {
    XrGolden golden = xr_golden_open("ops.safetensors");
    xr_golden_each_case(&golden, "rope_mrope", check_table, xr_test_cpu(3));
    xr_golden_each_case(&golden, "rope_vision", check_table, xr_test_cpu(3));
    xr_golden_close(&golden);
}

// ---- rope: shape [T, heads, kv_heads, head_dim, inverse] ----

static const XrShape SHAPES[] = {XR_SHAPE(0, 2, 1, 16, 0),   XR_SHAPE(1, 1, 1, 2, 0),
                                 XR_SHAPE(1, 2, 2, 16, 1),   XR_SHAPE(31, 3, 1, 64, 0),
                                 XR_SHAPE(32, 1, 1, 80, 1),  XR_SHAPE(33, 2, 1, 128, 0),
                                 XR_SHAPE(7, 5, 5, 6, 0),    XR_SHAPE(129, 2, 1, 34, 1),
                                 XR_SHAPE(3, 28, 4, 128, 0), {0}};

// q and k are the case's x.
static const XrGoldenRow GOLDEN[] = {XR_GOLDEN("rope_mrope/16", 9, 3, 3, 16, 0),
                                     XR_GOLDEN("rope_mrope/32", 9, 3, 3, 32, 0),
                                     XR_GOLDEN("rope_mrope/128", 9, 3, 3, 128, 0),
                                     XR_GOLDEN("rope_mrope/128", 9, 3, 3, 128, 1),
                                     XR_GOLDEN("rope_vision/16", 7, 2, 2, 16, 0),
                                     XR_GOLDEN("rope_vision/20", 7, 2, 2, 20, 1),
                                     XR_GOLDEN("rope_vision/80", 7, 2, 2, 80, 0),
                                     XR_GOLDEN("rope_vision/80", 7, 2, 2, 80, 1),
                                     {0}};

static void build(XrOpRun *run) {
    const int64_t *n = run->shape->n;
    for (int i = 0; i < 2; i++) {
        XrArg *x = xr_activation(run, i ? "k" : "q", XR_INOUT, n[0], n[1 + i] * n[3]);
        x->golden_in = n[4] ? "dy" : "x";
        x->golden_out = n[4] ? "dx" : "y";
    }
    XrArg *cosines = xr_plain(run, "cos", XR_IN, XR_F32, n[0], n[3] / 2);
    XrArg *sines = xr_plain(run, "sin", XR_IN, XR_F32, n[0], n[3] / 2);
    cosines->by_row = sines->by_row = true;
    for (int64_t i = 0; i < cosines->count; i++) {
        double angle = 0.37 * (double)(i % 1009);
        xr_set(cosines, i, cos(angle));
        xr_set(sines, i, sin(angle));
    }
}

// Multiplies each pair, taken as a complex number, by (cos, sin) or its conjugate.
static void rotate(XrOpRun *run, const char *name, int64_t heads) {
    const int64_t *n = run->shape->n;
    int64_t half = n[3] / 2;
    const double *x = xr_values(run, name), *c = xr_values(run, "cos"), *s = xr_values(run, "sin");
    double *out = xr_expect(run, name), sign = n[4] ? -1 : 1;
    for (int64_t k = 0; k < n[0] * heads * half; k++) {
        int64_t i = k % half, head = k / half, t = head / heads;
        int64_t first = head * n[3] + i, second = first + half;
        double cosine = c[t * half + i], sine = sign * s[t * half + i];
        out[first] = x[first] * cosine - x[second] * sine;
        out[second] = x[second] * cosine + x[first] * sine;
    }
}

static void reference(XrOpRun *run) {
    rotate(run, "q", run->shape->n[1]);
    rotate(run, "k", run->shape->n[2]);
}

static void call(XrOpRun *run, XrBackend *b) {
    const int64_t *n = run->shape->n;
    XrHeads heads = {.heads = (int)n[1], .kv_heads = (int)n[2], .head_dim = (int)n[3]};
    xr_rope(b, xr_t(run, "q"), xr_t(run, "k"), xr_t(run, "cos"), xr_t(run, "sin"), heads,
            n[4] != 0);
}

const XrOpTest xr_op_test_rope = {.op = "rope",
                                  .shapes = SHAPES,
                                  .types = XR_TYPES_ACTIVATIONS,
                                  .variants = XR_STRIDED,
                                  .independent_rows = true,
                                  .build = build,
                                  .reference = reference,
                                  .call = call,
                                  .golden = GOLDEN};

// Scores of rotated queries and keys depend on the distance of their positions alone, axis by axis.
static void scores_depend_on_distance(void **state) {
    enum { HALF = 32, D = 2 * HALF, PAIRS = 3, T = 2 * PAIRS };
    XrBackend *b = xr_test_cpu(1);
    // Rows 2k of q and 2k+1 of k are a query and a key; all pairs have the distances (5, -3) on the
    // axes.
    int32_t positions[2][T] = {{5, 0, 105, 100, 9005, 9000}, {0, 3, 77, 80, 40, 43}};
    int32_t axis[HALF];
    float inv_freq[HALF], cosines[T][HALF], sines[T][HALF], x[T][D], y[T][D];
    for (int i = 0; i < HALF; i++) {
        axis[i] = i >= HALF / 2;
        inv_freq[i] = (float)pow(1e4, -(double)(i % 16) / 16);
    }
    for (int t = 0; t < T; t++) {
        for (int i = 0; i < D; i++) {
            x[t][i] = sinf((float)(i * 7 + 1));
            y[t][i] = sinf((float)(i * 7 + 101));
        }
    }
    XrTensor tc = xr_tensor2(XR_F32, cosines, T, HALF);
    XrTensor ts = xr_tensor2(XR_F32, sines, T, HALF);
    XrTensor tp = xr_tensor2(XR_I32, positions, 2, T);
    XrTensor tf = xr_tensor1(XR_F32, inv_freq, HALF), ta = xr_tensor1(XR_I32, axis, HALF);
    XrTensor tx = xr_tensor2(XR_F32, x, T, D), ty = xr_tensor2(XR_F32, y, T, D);
    xr_rope_table(b, &tc, &ts, &tp, &tf, &ta);
    xr_rope(b, &tx, &ty, &tc, &ts, (XrHeads){.heads = 1, .kv_heads = 1, .head_dim = D}, false);
    double scores[PAIRS] = {0};
    for (int k = 0; k < PAIRS; k++) {
        const float *query = x[(int64_t)k * 2], *key = y[(int64_t)k * 2 + 1];
        for (int i = 0; i < D; i++) scores[k] += (double)query[i] * (double)key[i];
    }
    // Angles up to 9005 are rounded to f32, half a unit of 2^-10 in the last place.
    for (int k = 1; k < PAIRS; k++) assert_true(fabs(scores[k] - scores[0]) < 2e-2);
    assert_true(fabs(scores[0]) > 0.1);
}

// The rotation back of dy is the gradient of <dy, rotated x>.
static void inverse_is_the_gradient(void **state) {
    enum { T = 3, HEADS = 2, HALF = 4, D = 2 * HALF, ALL = T * HEADS * D };
    float dx[ALL], dk[T * D], cosines[T * HALF], sines[T * HALF];
    double dy[ALL], x[ALL], h = 1e-4;
    for (int i = 0; i < T * HALF; i++) {
        cosines[i] = cosf(0.7f * (float)i);
        sines[i] = sinf(0.7f * (float)i);
    }
    for (int i = 0; i < ALL; i++) {
        x[i] = sin(3.0 * i);
        dx[i] = (float)cos(5.0 * i);
        dy[i] = (double)dx[i];
    }
    XrTensor tx = xr_tensor2(XR_F32, dx, T, HEADS * D);
    XrTensor tc = xr_tensor2(XR_F32, cosines, T, HALF), ts = xr_tensor2(XR_F32, sines, T, HALF);
    // The keys' gradient is that of the first head.
    XrTensor tk = xr_tensor2(XR_F32, dk, T, D);
    for (int i = 0; i < T * D; i++) dk[i] = dx[i / D * HEADS * D + i % D];
    xr_rope(xr_test_cpu(1), &tx, &tk, &tc, &ts,
            (XrHeads){.heads = HEADS, .kv_heads = 1, .head_dim = D}, true);
    for (int i = 0; i < T * D; i++) assert_true(dk[i] == dx[i / D * HEADS * D + i % D]);
    for (int i = 0; i < ALL; i++) {
        double side[2];
        for (int s = 0; s < 2; s++) {
            double kept = x[i];
            x[i] += s ? h : -h;
            side[s] = 0;
            for (int k = 0; k < T * HEADS * HALF; k++) {
                int a = k / HALF * D + k % HALF, b = a + HALF;
                int angle = k / (HEADS * HALF) * HALF + k % HALF;
                double c = (double)cosines[angle], n = (double)sines[angle];
                side[s] += dy[a] * (x[a] * c - x[b] * n) + dy[b] * (x[b] * c + x[a] * n);
            }
            x[i] = kept;
        }
        assert_true(fabs((double)dx[i] - (side[1] - side[0]) / (2 * h)) < 1e-6);
    }
}

static const XrOpTest *const TESTS[] = {&xr_op_test_rope_table, &xr_op_test_rope};
XR_OP_TEST_MAIN(TESTS, cmocka_unit_test(table_is_golden),
                cmocka_unit_test(scores_depend_on_distance),
                cmocka_unit_test(inverse_is_the_gradient))
