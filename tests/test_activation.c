// swiglu, gelu and their gradients (ref/activation.c).
#include "tests/support/ops.h"

#include <math.h>

static const XrShape SHAPES[] = {
    XR_SHAPE(0, 16),   XR_SHAPE(1, 1),   XR_SHAPE(1, 31),   XR_SHAPE(3, 32),    XR_SHAPE(7, 33),
    XR_SHAPE(33, 127), XR_SHAPE(2, 129), XR_SHAPE(1, 5000), XR_SHAPE(2, 18944), {0}};

static const XrGoldenRow SWIGLU_GOLDEN[] = {XR_GOLDEN("swiglu/1x7", 1, 7),
                                            XR_GOLDEN("swiglu/3x64", 3, 64),
                                            XR_GOLDEN("swiglu/5x129", 5, 129),
                                            {0}};
static const XrGoldenRow GELU_GOLDEN[] = {XR_GOLDEN("gelu/1x7", 1, 7),
                                          XR_GOLDEN("gelu/3x64", 3, 64),
                                          XR_GOLDEN("gelu/5x129", 5, 129),
                                          {0}};

static XrArg *rows(XrOpRun *run, const char *name, XrRole role) {
    return xr_activation(run, name, role, run->shape->n[0], run->shape->n[1]);
}

static int64_t count_of(const XrOpRun *run) {
    return run->shape->n[0] * run->shape->n[1];
}

// Arguments of an activation function: mostly of the usual size; every 13th up to +-100, where
// exponentials overflow and vanish.
static XrArg *wide(XrOpRun *run, const char *name) {
    XrArg *arg = rows(run, name, XR_IN);
    xr_fill(arg, -6, 6);
    for (int64_t i = 12; i < arg->count; i += 13) xr_set(arg, i, arg->value[i] * 17);
    return arg;
}

static double sigmoid(double x) {
    return 1 / (1 + exp(-x));
}

// ---- swiglu ----

static void swiglu_build(XrOpRun *run) {
    XrArg *h = rows(run, "h", XR_OUT), *gate = wide(run, "gate");
    XrArg *up = rows(run, "up", XR_IN);
    h->golden_out = "y";
    if (run->variant == XR_ALIASED) h->alias = run->shape->n[0] == 1 ? up : gate;
}

static void swiglu_reference(XrOpRun *run) {
    const double *gate = xr_values(run, "gate"), *up = xr_values(run, "up");
    double *h = xr_expect(run, "h");
    for (int64_t i = 0; i < count_of(run); i++) h[i] = gate[i] * sigmoid(gate[i]) * up[i];
}

static void swiglu_call(XrOpRun *run, XrBackend *b) {
    xr_swiglu(b, xr_t(run, "h"), xr_t(run, "gate"), xr_t(run, "up"));
}

const XrOpTest xr_op_test_swiglu = {.op = "swiglu",
                                    .shapes = SHAPES,
                                    .types = XR_TYPES_ACTIVATIONS,
                                    .variants = XR_STRIDED | XR_ALIASED,
                                    .independent_rows = true,
                                    .build = swiglu_build,
                                    .reference = swiglu_reference,
                                    .call = swiglu_call,
                                    .golden = SWIGLU_GOLDEN};

static void swiglu_back_build(XrOpRun *run) {
    XrArg *dgate = rows(run, "dgate", XR_OUT), *dup = rows(run, "dup", XR_OUT);
    XrArg *dh = rows(run, "dh", XR_IN), *gate = wide(run, "gate"), *up = rows(run, "up", XR_IN);
    dh->golden_in = "dy";
    xr_gradient(dgate, gate);
    xr_gradient(dup, up);
    if (run->variant == XR_ALIASED) {
        dgate->alias = run->shape->n[0] == 1 ? gate : up;
        dup->alias = dh;
    }
}

static void swiglu_back_reference(XrOpRun *run) {
    const double *dh = xr_values(run, "dh"), *gate = xr_values(run, "gate");
    const double *up = xr_values(run, "up");
    double *dgate = xr_expect(run, "dgate"), *dup = xr_expect(run, "dup");
    for (int64_t i = 0; i < count_of(run); i++) {
        double s = sigmoid(gate[i]);
        dgate[i] = dh[i] * up[i] * s * (1 + gate[i] * (1 - s));
        dup[i] = dh[i] * gate[i] * s;
    }
}

static double swiglu_loss(XrOpRun *run) {
    const double *dh = xr_values(run, "dh"), *gate = xr_values(run, "gate");
    const double *up = xr_values(run, "up");
    double total = 0;
    for (int64_t i = 0; i < count_of(run); i++) total += dh[i] * gate[i] * sigmoid(gate[i]) * up[i];
    return total;
}

static void swiglu_back_call(XrOpRun *run, XrBackend *b) {
    xr_swiglu_backward(b, xr_t(run, "dgate"), xr_t(run, "dup"), xr_t(run, "dh"), xr_t(run, "gate"),
                       xr_t(run, "up"));
}

const XrOpTest xr_op_test_swiglu_backward = {.op = "swiglu_backward",
                                             .shapes = SHAPES,
                                             .types = XR_TYPES_ACTIVATIONS,
                                             .variants = XR_STRIDED | XR_ALIASED,
                                             .independent_rows = true,
                                             .build = swiglu_back_build,
                                             .reference = swiglu_back_reference,
                                             .call = swiglu_back_call,
                                             .loss = swiglu_loss,
                                             .golden = SWIGLU_GOLDEN};

// ---- gelu ----

static double gelu(double x) {
    return x * 0.5 * erfc(-x / sqrt(2));
}

static void gelu_build(XrOpRun *run) {
    XrArg *y = rows(run, "y", XR_OUT), *x = wide(run, "x");
    if (run->variant == XR_ALIASED) y->alias = x;
}

static void gelu_reference(XrOpRun *run) {
    const double *x = xr_values(run, "x");
    double *y = xr_expect(run, "y");
    for (int64_t i = 0; i < count_of(run); i++) y[i] = gelu(x[i]);
}

static void gelu_call(XrOpRun *run, XrBackend *b) {
    xr_gelu(b, xr_t(run, "y"), xr_t(run, "x"));
}

const XrOpTest xr_op_test_gelu = {.op = "gelu",
                                  .shapes = SHAPES,
                                  .types = XR_TYPES_ACTIVATIONS,
                                  .variants = XR_STRIDED | XR_ALIASED,
                                  .independent_rows = true,
                                  .build = gelu_build,
                                  .reference = gelu_reference,
                                  .call = gelu_call,
                                  .golden = GELU_GOLDEN};

static void gelu_back_build(XrOpRun *run) {
    XrArg *dx = rows(run, "dx", XR_OUT), *dy = rows(run, "dy", XR_IN), *x = wide(run, "x");
    xr_gradient(dx, x);
    if (run->variant == XR_ALIASED) dx->alias = run->shape->n[0] == 1 ? x : dy;
}

static void gelu_back_reference(XrOpRun *run) {
    const double *dy = xr_values(run, "dy"), *x = xr_values(run, "x");
    double *dx = xr_expect(run, "dx");
    for (int64_t i = 0; i < count_of(run); i++) {
        double density = exp(-x[i] * x[i] / 2) / sqrt(2 * acos(-1));
        dx[i] = dy[i] * (0.5 * erfc(-x[i] / sqrt(2)) + x[i] * density);
    }
}

static double gelu_loss(XrOpRun *run) {
    const double *dy = xr_values(run, "dy"), *x = xr_values(run, "x");
    double total = 0;
    for (int64_t i = 0; i < count_of(run); i++) total += dy[i] * gelu(x[i]);
    return total;
}

static void gelu_back_call(XrOpRun *run, XrBackend *b) {
    xr_gelu_backward(b, xr_t(run, "dx"), xr_t(run, "dy"), xr_t(run, "x"));
}

const XrOpTest xr_op_test_gelu_backward = {.op = "gelu_backward",
                                           .shapes = SHAPES,
                                           .types = XR_TYPES_ACTIVATIONS,
                                           .variants = XR_STRIDED | XR_ALIASED,
                                           .independent_rows = true,
                                           .build = gelu_back_build,
                                           .reference = gelu_back_reference,
                                           .call = gelu_back_call,
                                           .loss = gelu_loss,
                                           .golden = GELU_GOLDEN};

static const XrOpTest *const TESTS[] = {&xr_op_test_swiglu, &xr_op_test_swiglu_backward,
                                        &xr_op_test_gelu, &xr_op_test_gelu_backward};
XR_OP_TEST_MAIN(TESTS)
