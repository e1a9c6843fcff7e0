// logprob and its gradient (ref/logprob.c), and the reduction of rows (ref/softmax.c).
#include "tests/support/op_values.h"
#include "tests/support/ops.h"

#include "ref/softmax.h"
#include "ref/vector.h" // defines: vec_exp
#include "shared/base/memory.h"
#include "shared/tensor/tolerance.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const XrShape SHAPES[] = { // [T, D, V]
    XR_SHAPE(0, 8, 5),
    XR_SHAPE(1, 1, 1),
    XR_SHAPE(3, 33, 31),
    XR_SHAPE(33, 16, 32),
    XR_SHAPE(7, 65, 257),
    XR_SHAPE(31, 129, 1031),
    XR_SHAPE(3, 9, 4200), // several blocks of the vocabulary
    {0}};
static const XrShape BACK_SHAPES[] = {XR_SHAPE(0, 8, 5),
                                      XR_SHAPE(1, 1, 1),
                                      XR_SHAPE(3, 33, 31),
                                      XR_SHAPE(33, 16, 32),
                                      XR_SHAPE(7, 65, 257),
                                      XR_SHAPE(3, 9, 4200),
                                      {0}};
static const XrShape WIDE[] = {XR_SHAPE(3, 3584, 33), {0}}; // the 7B model's inner width
static const XrShape CHECKED[] = {XR_SHAPE(1, 1, 1), XR_SHAPE(3, 33, 31), {0}};
static const XrShape MANY_ROWS[] = {XR_SHAPE(4099, 1, 3), {0}}; // several blocks of rows
static const XrShape NONE[] = {{0}};
static const XrTypes WIDE_TYPES[] = {{"f32", XR_F32, XR_F32}, {"bf16.bf16", XR_BF16, XR_BF16}, {0}};
static const double TEMPERATURE = 0.75; // exact in f32

static double temperature_of(const XrOpRun *run) {
    return xr_number(run, "temperature", TEMPERATURE);
}

static const XrGoldenRow GOLDEN[] = {
    XR_GOLDEN("linear_logprob/a", 5, 48, 65), XR_GOLDEN("linear_logprob/b", 3, 33, 130), {0}};

static XrArg *list(XrOpRun *run, const char *name, XrRole role) {
    XrArg *arg = xr_plain(run, name, role, XR_F32, run->shape->n[0], XR_1D);
    arg->by_row = true;
    return arg;
}

static void set_targets(XrOpRun *run) {
    const int64_t *n = run->shape->n;
    XrArg *targets = xr_plain(run, "targets", XR_IN, XR_I32, n[0], XR_1D);
    targets->by_row = true;
    for (int64_t t = 0; t < n[0]; t++) {
        xr_set(targets, t, t % 4 == 3 ? -1 - (double)(t % 2) : (double)(t * 67 % n[2]));
    }
}

typedef struct Row {
    double lse, entropy;
    int64_t best;
    double *z; // [V]
} Row;

// Row t of softmax(hidden head^T / temperature).
static Row row_of(const XrOpRun *run, int64_t t) {
    int64_t D = run->shape->n[1], V = run->shape->n[2];
    const double *hidden = xr_values(run, "hidden"), *head = xr_values(run, "head");
    Row row = {.z = xr_calloc((size_t)V, sizeof *row.z)};
    double top = -INFINITY, sum = 0;
    for (int64_t v = 0; v < V; v++) {
        for (int64_t d = 0; d < D; d++) row.z[v] += hidden[t * D + d] * head[v * D + d];
        row.z[v] /= temperature_of(run);
        if (row.z[v] > top) row.best = v;
        top = fmax(top, row.z[v]);
    }
    for (int64_t v = 0; v < V; v++) sum += exp(row.z[v] - top);
    row.lse = row.entropy = top + log(sum);
    for (int64_t v = 0; v < V; v++) row.entropy -= exp(row.z[v] - row.lse) * row.z[v];
    return row;
}

// ---- logprob ----

static void build(XrOpRun *run) {
    const int64_t *n = run->shape->n;
    list(run, "logprob", XR_OUT);
    list(run, "entropy", XR_OUT)->optional = true;
    XrArg *best = xr_plain(run, "best", XR_OUT, XR_I32, n[0], XR_1D);
    best->optional = best->by_row = true;
    best->golden_out = ""; // not in the file: the reference's
    XrArg *lse = list(run, "lse", XR_OUT);
    lse->optional = true;
    lse->golden_out = "";
    XrArg *logits = xr_plain(run, "logits", XR_OUT, XR_F32, n[0], n[2]);
    logits->optional = logits->by_row = true;
    logits->golden_out = "";
    xr_activation(run, "hidden", XR_IN, n[0], n[1])->golden_in = "x";
    xr_weight(run, "head", XR_IN, n[2], n[1])->golden_in = "w";
    set_targets(run);
}

static void reference(XrOpRun *run) {
    const double *targets = xr_values(run, "targets");
    int64_t vocabulary = run->shape->n[2];
    for (int64_t t = 0; t < run->shape->n[0]; t++) {
        Row row = row_of(run, t);
        xr_expect(run, "lse")[t] = row.lse;
        xr_expect(run, "entropy")[t] = row.entropy;
        xr_expect(run, "best")[t] = (double)row.best;
        xr_expect(run, "logprob")[t] = targets[t] < 0 ? 0 : row.z[(int64_t)targets[t]] - row.lse;
        memcpy(xr_expect(run, "logits") + t * vocabulary, row.z,
               sizeof *row.z * (size_t)vocabulary);
        free(row.z);
    }
    // The entropy and the log-probability are differences of terms of the size of lse.
    double size = 1 + log((double)run->shape->n[2]);
    const char *const names[] = {"logprob", "entropy", "lse"};
    for (int i = 0; i < 3; i++) xr_arg(run, names[i])->scale = size;
}

static void call(XrOpRun *run, XrBackend *b) {
    xr_logprob(b, xr_t(run, "logprob"), xr_t(run, "entropy"), xr_t(run, "best"), xr_t(run, "lse"),
               xr_t(run, "logits"), xr_t(run, "hidden"), xr_t(run, "head"), xr_t(run, "targets"),
               (float)temperature_of(run));
}

const XrOpTest xr_op_test_logprob = {.op = "logprob",
                                     .shapes = SHAPES,
                                     .checked_shapes = CHECKED,
                                     .types = XR_TYPES_WEIGHTS,
                                     .variants = XR_STRIDED | XR_MINIMAL,
                                     .independent_rows = true,
                                     .build = build,
                                     .reference = reference,
                                     .call = call,
                                     .golden = GOLDEN};

static const XrOpTest MANY = {.op = "logprob",
                              .shapes = MANY_ROWS,
                              .checked_shapes = NONE,
                              .types = XR_TYPES_F32,
                              .build = build,
                              .reference = reference,
                              .call = call};

// ---- logprob_backward ----

static void back_build(XrOpRun *run) {
    const int64_t *n = run->shape->n;
    XrArg *dhidden = xr_activation(run, "dhidden", XR_OUT, n[0], n[1]);
    XrArg *dhead = xr_plain(run, "dhead", XR_INOUT, XR_F32, n[2], n[1]);
    dhead->optional = true;
    list(run, "dlogprob", XR_IN);
    XrArg *logits = xr_plain(run, "logits", XR_CONSUMED, XR_F32, n[0], n[2]);
    logits->optional = logits->by_row = true;
    logits->golden_in = "";
    XrArg *hidden = xr_activation(run, "hidden", XR_IN, n[0], n[1]);
    XrArg *head = xr_weight(run, "head", XR_IN, n[2], n[1]);
    set_targets(run);
    list(run, "lse", XR_IN)->golden_in = "";
    xr_gradient(dhidden, hidden);
    xr_gradient(dhead, head);
    hidden->golden_in = "x";
    head->golden_in = "w";
    dhidden->golden_out = "dx";
    dhead->golden_out = "dw";
}

static void back_derive(XrOpRun *run) {
    int64_t vocabulary = run->shape->n[2];
    for (int64_t t = 0; t < run->shape->n[0]; t++) {
        Row row = row_of(run, t);
        xr_set(xr_arg(run, "lse"), t, row.lse);
        XrArg *logits = xr_arg(run, "logits");
        for (int64_t v = 0; v < vocabulary; v++) xr_set(logits, t * vocabulary + v, row.z[v]);
        free(row.z);
    }
}

static double squares(const double *values, int64_t count) {
    double total = 0;
    for (int64_t i = 0; i < count; i++) total += values[i] * values[i];
    return total;
}

// How many times larger than the table's the errors of a row's probabilities are: logits up to 10
// are the table's (shared/tensor/tolerance.c); what bf16 adds is the same for all.
static double noise_of(const XrOpRun *run, const Row *row) {
    XrTolerance t = xr_tolerance_of("logprob_backward", "dhidden");
    double low = run->types.activation == XR_BF16 ? t.low : 0, size = fabs(row->lse);
    for (int64_t v = 0; v < run->shape->n[2]; v++) size = fmax(size, fabs(row->z[v]));
    return (t.absolute * fmax(1, size / 10) + low) / (t.absolute + low);
}

static void back_reference(XrOpRun *run) {
    int64_t T = run->shape->n[0], D = run->shape->n[1], V = run->shape->n[2];
    double of_hidden = 0, of_head = 0; // squares of what errors of probabilities are multiplied by
    const double *hidden = xr_values(run, "hidden"), *head = xr_values(run, "head");
    const double *targets = xr_values(run, "targets"), *dlogprob = xr_values(run, "dlogprob");
    double *dhidden = xr_expect(run, "dhidden"), *dhead = xr_expect(run, "dhead");
    for (int64_t t = 0; t < T; t++) {
        if (targets[t] < 0) continue;
        Row row = row_of(run, t);
        double noise = noise_of(run, &row), length = squares(hidden + t * D, D);
        for (int64_t v = 0; v < V; v++) {
            double onehot = v == (int64_t)targets[t] ? 1 : 0, p = exp(row.z[v] - row.lse);
            double dz = dlogprob[t] * (onehot - p) / temperature_of(run);
            double error = noise * p * dlogprob[t] / temperature_of(run);
            of_hidden += error * error * squares(head + v * D, D);
            of_head += error * error * length;
            for (int64_t d = 0; d < D; d++) {
                dhidden[t * D + d] += dz * head[v * D + d];
                dhead[v * D + d] += dz * hidden[t * D + d];
            }
        }
        free(row.z);
    }
    xr_arg(run, "dhidden")->scale = T ? sqrt(of_hidden / (double)(T * D)) : 0;
    xr_arg(run, "dhead")->scale = sqrt(of_head / (double)(V * D));
}

static double loss(XrOpRun *run) {
    const double *targets = xr_values(run, "targets"), *dlogprob = xr_values(run, "dlogprob");
    double total = 0;
    for (int64_t t = 0; t < run->shape->n[0]; t++) {
        if (targets[t] < 0) continue;
        Row row = row_of(run, t);
        total += dlogprob[t] * (row.z[(int64_t)targets[t]] - row.lse);
        free(row.z);
    }
    return total;
}

static void back_call(XrOpRun *run, XrBackend *b) {
    xr_logprob_backward(b, xr_t(run, "dhidden"), xr_t(run, "dhead"), xr_t(run, "dlogprob"),
                        xr_t(run, "logits"), xr_t(run, "hidden"), xr_t(run, "head"),
                        xr_t(run, "targets"), xr_t(run, "lse"), (float)temperature_of(run));
}

const XrOpTest xr_op_test_logprob_backward = {.op = "logprob_backward",
                                              .shapes = BACK_SHAPES,
                                              .checked_shapes = CHECKED,
                                              .types = XR_TYPES_WEIGHTS,
                                              .variants = XR_STRIDED | XR_MINIMAL,
                                              .build = back_build,
                                              .derive = back_derive,
                                              .reference = back_reference,
                                              .call = back_call,
                                              .loss = loss,
                                              .golden = GOLDEN};

// ---- what rows cannot say ----

// More rows of a real vocabulary than one chunk of logits holds; the bits are those of the
// product, divided, reduced row by row.
static void same_bits_as_logits(void **state) {
    enum { T = 60, D = 12, V = 151936 };
    const float temperature = 0.6f;
    float *hidden = xr_test_numbers((int64_t)T * D), *head = xr_test_numbers((int64_t)V * D);
    float logprob[T], entropy[T], lse[T];
    int32_t targets[T];
    for (int t = 0; t < T; t++) targets[t] = (t * 7919) % V;
    XrTensor x = xr_tensor2(XR_F32, hidden, T, D), w = xr_tensor2(XR_F32, head, V, D);
    XrTensor lp = xr_tensor1(XR_F32, logprob, T), e = xr_tensor1(XR_F32, entropy, T);
    XrTensor l = xr_tensor1(XR_F32, lse, T), ids = xr_tensor1(XR_I32, targets, T);
    xr_logprob(xr_test_cpu(3), &lp, &e, NULL, &l, NULL, &x, &w, &ids, temperature);
    float *z = xr_test_numbers(V);
    for (int t = 0; t < T; t++) {
        XrTensor row = xr_rows(&x, t, 1), y = xr_tensor2(XR_F32, z, 1, V);
        xr_linear(xr_test_cpu(1), &y, &row, &w, NULL);
        for (int v = 0; v < V; v++) z[v] /= temperature;
        float want = z[targets[t]] - xr_cpu_row_lse(z, V);
        assert_memory_equal(&logprob[t], &want, sizeof want);
        assert_true(entropy[t] > 0 && entropy[t] < logf(V));
    }
    free(hidden);
    free(head);
    free(z);
}

// More rows than one chunk of the backward pass has: the sum of gradients over a row's vocabulary
// is zero whatever the chunks, and so is dhidden of a head with equal rows.
static void backward_over_many_rows(void **state) {
    enum { T = 1500, D = 4, V = 9001 };
    float *hidden = xr_test_numbers((int64_t)T * D), *head = xr_test_numbers((int64_t)V * D);
    float *dhidden = xr_test_numbers((int64_t)T * D),
          *dhead = xr_calloc((size_t)V * D, sizeof *dhead);
    float *given = xr_test_numbers(T), *lse = xr_test_numbers(T), *logprob = xr_test_numbers(T);
    int32_t *targets = xr_calloc(T, sizeof *targets);
    for (int t = 0; t < T; t++) targets[t] = (t * 7919) % V;
    XrTensor x = xr_tensor2(XR_F32, hidden, T, D), w = xr_tensor2(XR_F32, head, V, D);
    XrTensor dx = xr_tensor2(XR_F32, dhidden, T, D), dw = xr_tensor2(XR_F32, dhead, V, D);
    XrTensor l = xr_tensor1(XR_F32, lse, T), ids = xr_tensor1(XR_I32, targets, T);
    XrTensor lp = xr_tensor1(XR_F32, logprob, T), g = xr_tensor1(XR_F32, given, T);
    xr_logprob(xr_test_cpu(3), &lp, NULL, NULL, &l, NULL, &x, &w, &ids, 1);
    xr_logprob_backward(xr_test_cpu(3), &dx, &dw, &g, NULL, &x, &w, &ids, &l, 1);
    for (int d = 0; d < D; d++) {
        double sum = 0;
        for (int v = 0; v < V; v++) sum += (double)dhead[(int64_t)v * D + d];
        assert_true(fabs(sum) < 1e-4);
    }
    for (int t = 0; t < T; t += 101) { // each row alone
        float alone[D];
        XrTensor one = xr_tensor2(XR_F32, alone, 1, D), xt = xr_rows(&x, t, 1);
        XrTensor gt = xr_rows(&g, t, 1), it = xr_rows(&ids, t, 1), lt = xr_rows(&l, t, 1);
        xr_logprob_backward(xr_test_cpu(1), &one, NULL, &gt, NULL, &xt, &w, &it, &lt, 1);
        for (int d = 0; d < D; d++) {
            assert_true(fabsf(alone[d] - dhidden[(int64_t)t * D + d]) < 1e-5f);
        }
    }
    void *all[] = {hidden, head, dhidden, dhead, given, lse, logprob, targets};
    for (size_t i = 0; i < XR_COUNT(all); i++) free(all[i]);
}

// Logits that were kept give the gradients that logits computed again do, bit for bit.
static void same_bits_with_logits(void **state) {
    enum { T = 37, D = 12, V = 9001 };
    const float temperature = 0.6f;
    float *hidden = xr_test_numbers((int64_t)T * D), *head = xr_test_numbers((int64_t)V * D),
          *given = xr_test_numbers(T);
    float *logits = xr_test_numbers((int64_t)T * V), lse[2][T], logprob[2][T];
    int32_t targets[T];
    for (int t = 0; t < T; t++) targets[t] = t % 5 == 4 ? -1 : (t * 7919) % V;
    XrTensor x = xr_tensor2(XR_F32, hidden, T, D), w = xr_tensor2(XR_F32, head, V, D);
    XrTensor z = xr_tensor2(XR_F32, logits, T, V), ids = xr_tensor1(XR_I32, targets, T);
    XrTensor g = xr_tensor1(XR_F32, given, T);
    float *dhidden[2], *dhead[2];
    for (int kept = 0; kept < 2; kept++) {
        dhidden[kept] = xr_test_numbers((int64_t)T * D);
        dhead[kept] = xr_calloc((size_t)V * D, sizeof **dhead);
        XrTensor dx = xr_tensor2(XR_F32, dhidden[kept], T, D);
        XrTensor dw = xr_tensor2(XR_F32, dhead[kept], V, D);
        XrTensor l = xr_tensor1(XR_F32, lse[kept], T), lp = xr_tensor1(XR_F32, logprob[kept], T);
        XrBackend *b = xr_test_cpu(kept ? 3 : 1);
        xr_logprob(b, &lp, NULL, NULL, &l, kept ? &z : NULL, &x, &w, &ids, temperature);
        xr_logprob_backward(b, &dx, &dw, &g, kept ? &z : NULL, &x, &w, &ids, &l, temperature);
    }
    assert_memory_equal(logprob[0], logprob[1], sizeof logprob[0]);
    assert_memory_equal(lse[0], lse[1], sizeof lse[0]);
    assert_memory_equal(dhidden[0], dhidden[1], sizeof(float) * T * D);
    assert_memory_equal(dhead[0], dhead[1], sizeof(float) * V * D);
    void *all[] = {hidden, head, given, logits, dhidden[0], dhidden[1], dhead[0], dhead[1]};
    for (size_t i = 0; i < XR_COUNT(all); i++) free(all[i]);
}

static void reduction_of_hard_rows(void **state) {
    const float rows[][3] = {{1e30f, 1e30f, -1e30f}, {-INFINITY, 3, -INFINITY}, {-200, -200, -200}};
    const double want[] = {1e30, 3, -200 + 1.0986122886681098};
    for (int i = 0; i < 3; i++) {
        assert_true(fabs((double)xr_cpu_row_lse(rows[i], 3) - want[i]) <= 1e-7 * fabs(want[i]));
    }
    const float none[] = {-INFINITY, -INFINITY}, bad[] = {1, NAN, 2};
    const float equal[] = {-2, 0, 5, 5, 1, 5};
    assert_int_equal(xr_cpu_row_best(equal, 6), 2);
    assert_int_equal(xr_cpu_row_best(none, 2), 0);
    assert_int_equal(xr_cpu_row_best(bad, 3), -1);
    assert_true(xr_cpu_row_lse(none, 2) == -INFINITY);
    assert_true(isnan(xr_cpu_row_lse(bad, 3)));
}

static void exponential_within_two_ulp(void **state) {
    for (int i = -8730; i <= 8800; i++) {
        float x = (float)i * 0.01f;
        double exact = exp((double)x), got = (double)vec_exp(vec_set(x))[0];
        assert_true(fabs(got - exact) <= 2 * 0x1p-24 * 2 * exact);
    }
    assert_true(vec_exp(vec_set(-INFINITY))[0] == 0 && vec_exp(vec_set(-1e30f))[0] == 0);
    assert_true(isnan(vec_exp(vec_set(NAN))[0]));
}

static const XrOpTest WIDE_ROWS = {.op = "logprob",
                                   .shapes = WIDE,
                                   .checked_shapes = NONE,
                                   .types = WIDE_TYPES,
                                   .build = build,
                                   .reference = reference,
                                   .call = call};

static const XrOpTest WIDE_BACK = {.op = "logprob_backward",
                                   .shapes = WIDE,
                                   .checked_shapes = NONE,
                                   .types = WIDE_TYPES,
                                   .variants = XR_MINIMAL,
                                   .build = back_build,
                                   .derive = back_derive,
                                   .reference = back_reference,
                                   .call = back_call};

static const XrOpTest MANY_BACK = {.op = "logprob_backward",
                                   .shapes = MANY_ROWS,
                                   .checked_shapes = NONE,
                                   .types = XR_TYPES_F32,
                                   .build = back_build,
                                   .derive = back_derive,
                                   .reference = back_reference,
                                   .call = back_call};

static const XrOpTest *const TESTS[] = {
    &xr_op_test_logprob, &MANY, &xr_op_test_logprob_backward, &MANY_BACK, &WIDE_ROWS, &WIDE_BACK};
XR_OP_TEST_MAIN(TESTS, cmocka_unit_test(same_bits_as_logits),
                cmocka_unit_test(backward_over_many_rows), cmocka_unit_test(same_bits_with_logits),
                cmocka_unit_test(reduction_of_hard_rows),
                cmocka_unit_test(exponential_within_two_ulp))
