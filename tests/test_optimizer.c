// squared_norm, adamw and round_bf16 (ref/optimizer.c).
#include "shared/base/memory.h"
#include "tests/support/golden.h"
#include "tests/support/op_runner.h"
#include "tests/support/ops.h"

#include <math.h>

static const XrShape SHAPES[] = {XR_SHAPE(0),  XR_SHAPE(1),   XR_SHAPE(31),    XR_SHAPE(32),
                                 XR_SHAPE(33), XR_SHAPE(129), XR_SHAPE(40000), {0}};

static XrArg *list(XrOpRun *run, const char *name, XrRole role) {
    return xr_plain(run, name, role, XR_F32, run->shape->n[0], XR_1D);
}

// ---- squared_norm ----

static void norm_build(XrOpRun *run) {
    xr_plain(run, "sum", XR_INOUT, XR_F64, 1, XR_1D);
    xr_fill(list(run, "x", XR_IN), -3, 3);
}

static void norm_reference(XrOpRun *run) {
    const double *x = xr_values(run, "x");
    double total = 0;
    for (int64_t i = 0; i < run->shape->n[0]; i++) total += x[i] * x[i];
    xr_expect(run, "sum")[0] += total;
    xr_arg(run, "sum")->scale = total + 1;
}

static void norm_call(XrOpRun *run, XrBackend *b) {
    xr_squared_norm(b, xr_t(run, "sum"), xr_t(run, "x"));
}

const XrOpTest xr_op_test_squared_norm = {.op = "squared_norm",
                                          .shapes = SHAPES,
                                          .types = XR_TYPES_F32,
                                          .build = norm_build,
                                          .reference = norm_reference,
                                          .call = norm_call};

// ---- adamw ----

static const XrAdamW SETTINGS = {.lr = 3e-2,
                                 .beta1 = 0.9,
                                 .beta2 = 0.95,
                                 .eps = 1e-6,
                                 .weight_decay = 0.1,
                                 .grad_scale = 0.5,
                                 .step = 3};

static void build(XrOpRun *run) {
    list(run, "p", XR_INOUT);
    list(run, "m", XR_INOUT);
    xr_fill(list(run, "v", XR_INOUT), 0, 1);
    xr_plain(run, "rounded", XR_OUT, XR_BF16, run->shape->n[0], XR_1D)->optional = true;
    list(run, "grad", XR_IN);
}

static void reference(XrOpRun *run) {
    const XrAdamW *s = &SETTINGS;
    const double *grad = xr_values(run, "grad");
    double *p = xr_expect(run, "p"), *m = xr_expect(run, "m"), *v = xr_expect(run, "v");
    double *rounded = xr_expect(run, "rounded");
    double correction1 = 1 - pow(s->beta1, (double)s->step);
    double correction2 = 1 - pow(s->beta2, (double)s->step);
    for (int64_t i = 0; i < run->shape->n[0]; i++) {
        double g = grad[i] * s->grad_scale;
        m[i] = s->beta1 * m[i] + (1 - s->beta1) * g;
        v[i] = s->beta2 * v[i] + (1 - s->beta2) * g * g;
        p[i] -= s->lr * s->weight_decay * p[i];
        p[i] -= s->lr * (m[i] / correction1) / (sqrt(v[i] / correction2) + s->eps);
        rounded[i] = p[i];
    }
}

static void call(XrOpRun *run, XrBackend *b) {
    xr_adamw(b, xr_t(run, "p"), xr_t(run, "m"), xr_t(run, "v"), xr_t(run, "rounded"),
             xr_t(run, "grad"), SETTINGS);
}

const XrOpTest xr_op_test_adamw = {.op = "adamw",
                                   .shapes = SHAPES,
                                   .types = XR_TYPES_F32,
                                   .variants = XR_MINIMAL,
                                   .build = build,
                                   .reference = reference,
                                   .call = call};

// Three steps of torch.optim.AdamW, parameters and both moments after each.
static void check_steps(void *context, const XrGolden *golden, const char *prefix) {
    enum { COUNT = 37 };
    float state[3][COUNT] = {{0}};
    XrTensor t[3];
    for (int i = 0; i < 3; i++) t[i] = xr_tensor1(XR_F32, state[i], COUNT);
    memcpy(state[0], xr_golden_of(golden, prefix, "p0", XR_F32).data, sizeof state[0]);
    XrAdamW settings = {.lr = xr_golden_number(golden, prefix, "lr"),
                        .beta1 = xr_golden_number(golden, prefix, "beta1"),
                        .beta2 = xr_golden_number(golden, prefix, "beta2"),
                        .eps = xr_golden_number(golden, prefix, "eps"),
                        .weight_decay = xr_golden_number(golden, prefix, "weight_decay"),
                        .grad_scale = 1};
    for (int step = 1; step <= 3; step++) {
        char name[16];
        snprintf(name, sizeof name, "g%d", step);
        XrTensor grad = xr_golden_of(golden, prefix, name, XR_F32);
        settings.step = step;
        xr_adamw(context, &t[0], &t[1], &t[2], NULL, &grad, settings);
        for (int i = 0; i < 3; i++) {
            snprintf(name, sizeof name, "%c%d", "pmv"[i], step);
            XrTensor want = xr_golden_of(golden, prefix, name, XR_F32);
            xr_assert_close(prefix, &t[i], &want, 1e-6);
        }
    }
}

static void as_torch(void **state) {
    XrGolden golden = xr_golden_open("ops.safetensors");
    xr_golden_each_case(&golden, "adamw", check_steps, xr_test_cpu(3));
    xr_golden_close(&golden);
}

// ---- round_bf16 ----

static void round_build(XrOpRun *run) {
    xr_plain(run, "y", XR_OUT, XR_BF16, run->shape->n[0], XR_1D);
    list(run, "x", XR_IN);
}

static void round_reference(XrOpRun *run) {
    const double *x = xr_values(run, "x");
    for (int64_t i = 0; i < run->shape->n[0]; i++) xr_expect(run, "y")[i] = x[i];
}

static void round_call(XrOpRun *run, XrBackend *b) {
    xr_round_bf16(b, xr_t(run, "y"), xr_t(run, "x"));
}

const XrOpTest xr_op_test_round_bf16 = {.op = "round_bf16",
                                        .shapes = SHAPES,
                                        .types = XR_TYPES_F32,
                                        .build = round_build,
                                        .reference = round_reference,
                                        .call = round_call};

// Rows allow for one rounding, whichever way it goes; here are the bits, by hand.
static void rounds_to_nearest(void **state) {
    static const struct {
        float x;
        uint16_t bits;
    } cases[] = {
        {1, 0x3f80},
        {-0.0F, 0x8000},
        {0x1.01p0F, 0x3f80}, // ties to even
        {0x1.03p0F, 0x3f82},
        {-0x1.01p0F, 0xbf80},
        {0x1.010002p0F, 0x3f81}, // and beside one
        {0x1.02fffep0F, 0x3f81},
        {0x1.fep0F, 0x3fff},
        {0x1.ffp0F, 0x4000}, // carries
        {0x1.fep127F, 0x7f7f},
        {0x1.fffffep127F, 0x7f80},
        {-INFINITY, 0xff80}, // too large
        {0x1p-133F, 0x0001},
        {0x1.8p-133F, 0x0002},
        {0x1p-149F, 0}, // denormal
    };
    enum { COUNT = XR_COUNT(cases) };
    float x[COUNT];
    for (int i = 0; i < COUNT; i++) x[i] = cases[i].x;
    for (const XrTestBackend *of = XR_TEST_BACKENDS; of->name; of++) {
        XrBackend *b = of->instance(0);
        uint16_t got[COUNT];
        XrTensor from, to;
        XrError err;
        if (!b) continue; // the rows say why
        assert_true(xr_tensor_alloc(b, &from, XR_F32, 1, (int64_t[]){COUNT}, "a test", &err) &&
                    xr_tensor_alloc(b, &to, XR_BF16, 1, (int64_t[]){COUNT}, "a test", &err));
        xr_upload(b, &from, x);
        xr_round_bf16(b, &to, &from);
        xr_download(b, got, &to);
        for (int i = 0; i < COUNT; i++) {
            if (got[i] != cases[i].bits) {
                fail_msg("%s: %a becomes %04x, not %04x", of->name, (double)x[i], got[i],
                         cases[i].bits);
            }
        }
        xr_tensor_free(b, &from);
        xr_tensor_free(b, &to);
    }
}

// What adamw leaves in bf16 is what round_bf16 makes of its p, to the last bit, at any alignment.
static void rounds_alike(void **state) {
    enum { COUNT = 300, MOST = COUNT + 8 };
    float start[MOST];
    for (int i = 0; i < MOST; i++) start[i] = fabsf(sinf((float)(i * 7 + 1)));
    for (const XrTestBackend *of = XR_TEST_BACKENDS; of->name; of++) {
        XrBackend *b = of->instance(0);
        XrTensor whole[6], t[6];
        XrError err;
        if (!b) continue;
        for (int k = 0; k < 6; k++) { // p, m, v, grad; rounded by adamw and afterwards
            XrDType type = k < 4 ? XR_F32 : XR_BF16;
            assert_true(xr_tensor_alloc(b, &whole[k], type, 1, (int64_t[]){MOST}, "a test", &err));
        }
        for (int first = 0; first <= 4; first++) {
            uint16_t fused[COUNT], apart[COUNT];
            for (int k = 0; k < 4; k++) xr_upload(b, &whole[k], start);
            for (int k = 0; k < 6; k++) t[k] = xr_rows(&whole[k], first, COUNT);
            xr_adamw(b, &t[0], &t[1], &t[2], &t[4], &t[3], SETTINGS);
            xr_round_bf16(b, &t[5], &t[0]);
            xr_download(b, fused, &t[4]);
            xr_download(b, apart, &t[5]);
            assert_memory_equal(fused, apart, sizeof fused);
        }
        for (int k = 0; k < 6; k++) xr_tensor_free(b, &whole[k]);
    }
}

// A split of the parameters among ranks changes no bit.
static void shards(void **state) {
    enum { COUNT = 1000, CUT = 333 };
    static float whole[4][COUNT], parts[4][COUNT];
    for (int i = 0; i < COUNT; i++) {
        for (int k = 0; k < 4; k++) whole[k][i] = parts[k][i] = sinf((float)(i * 7 + k * 1000 + 1));
        whole[2][i] = parts[2][i] = whole[2][i] * whole[2][i];
    }
    XrTensor a[4], b[4];
    for (int k = 0; k < 4; k++) a[k] = xr_tensor1(XR_F32, whole[k], COUNT);
    xr_adamw(xr_test_cpu(3), &a[0], &a[1], &a[2], NULL, &a[3], SETTINGS);
    for (int part = 0; part < 2; part++) {
        for (int k = 0; k < 4; k++) {
            b[k] = xr_tensor1(XR_F32, parts[k] + (part ? CUT : 0), part ? COUNT - CUT : CUT);
        }
        xr_adamw(xr_test_cpu(1), &b[0], &b[1], &b[2], NULL, &b[3], SETTINGS);
    }
    assert_memory_equal(whole, parts, sizeof whole);
}

static const XrOpTest *const TESTS[] = {&xr_op_test_squared_norm, &xr_op_test_adamw,
                                        &xr_op_test_round_bf16};
XR_OP_TEST_MAIN(TESTS, cmocka_unit_test(as_torch), cmocka_unit_test(shards),
                cmocka_unit_test(rounds_to_nearest), cmocka_unit_test(rounds_alike))
