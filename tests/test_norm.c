// rmsnorm, add_rmsnorm and their gradient (ref/norm.c).
#include "tests/support/op_values.h"
#include "tests/support/ops.h"

#include <math.h>

static const XrShape SHAPES[] = {
    XR_SHAPE(0, 64),  XR_SHAPE(1, 1),    XR_SHAPE(1, 127),  XR_SHAPE(2, 31),   XR_SHAPE(3, 32),
    XR_SHAPE(33, 33), XR_SHAPE(33, 129), XR_SHAPE(5, 1280), XR_SHAPE(2, 3584), {0}};

static int64_t rows_of(const XrOpRun *run) {
    return run->shape->n[0];
}

static int64_t width_of(const XrOpRun *run) {
    return run->shape->n[1];
}

static float eps_of(const XrOpRun *run) {
    return (float)xr_number(run, "eps", 1e-6);
}

// (mean x^2 + eps)^-1/2 of a row.
static double rstd_of(const double *x, int64_t width, double eps) {
    double total = 0;
    for (int64_t d = 0; d < width; d++) total += x[d] * x[d];
    return 1 / sqrt(total / (double)width + eps);
}

// ---- rmsnorm ----

static const XrGoldenRow GOLDEN[] = {XR_GOLDEN("rmsnorm/3x16", 3, 16),
                                     XR_GOLDEN("rmsnorm/5x80", 5, 80),
                                     XR_GOLDEN("rmsnorm/2x129", 2, 129),
                                     XR_GOLDEN("rmsnorm/4x512", 4, 512),
                                     {0}};
static const XrGoldenRow ADD_GOLDEN[] = {
    XR_GOLDEN("add_rmsnorm/3x64", 3, 64), XR_GOLDEN("add_rmsnorm/5x33", 5, 33), {0}};
static const XrGoldenRow BACK_GOLDEN[] = {XR_GOLDEN("rmsnorm/3x16", 3, 16),
                                          XR_GOLDEN("rmsnorm/5x80", 5, 80),
                                          XR_GOLDEN("rmsnorm/2x129", 2, 129),
                                          XR_GOLDEN("rmsnorm/4x512", 4, 512),
                                          XR_GOLDEN("add_rmsnorm/3x64", 3, 64),
                                          XR_GOLDEN("add_rmsnorm/5x33", 5, 33),
                                          {0}};

static void build(XrOpRun *run) {
    int64_t T = rows_of(run), D = width_of(run);
    XrArg *y = xr_activation(run, "y", XR_OUT, T, D);
    XrArg *rstd = xr_plain(run, "rstd", XR_OUT, XR_F32, T, XR_1D);
    rstd->optional = rstd->by_row = true;
    XrArg *x = xr_activation(run, "x", XR_IN, T, D);
    xr_weight(run, "w", XR_IN, D, XR_1D);
    if (run->variant == XR_ALIASED) y->alias = x;
}

static void normalise(XrOpRun *run, const double *x) {
    const double *w = xr_values(run, "w");
    double *y = xr_expect(run, "y"), *rstd = xr_expect(run, "rstd");
    int64_t D = width_of(run);
    for (int64_t t = 0; t < rows_of(run); t++) {
        rstd[t] = rstd_of(x + t * D, D, (double)eps_of(run));
        for (int64_t d = 0; d < D; d++) y[t * D + d] = w[d] * x[t * D + d] * rstd[t];
    }
}

static void reference(XrOpRun *run) {
    normalise(run, xr_values(run, "x"));
}

static void call(XrOpRun *run, XrBackend *b) {
    xr_rmsnorm(b, xr_t(run, "y"), xr_t(run, "rstd"), xr_t(run, "x"), xr_t(run, "w"), eps_of(run));
}

const XrOpTest xr_op_test_rmsnorm = {.op = "rmsnorm",
                                     .shapes = SHAPES,
                                     .types = XR_TYPES_WEIGHTS,
                                     .variants = XR_STRIDED | XR_ALIASED | XR_MINIMAL,
                                     .independent_rows = true,
                                     .build = build,
                                     .reference = reference,
                                     .call = call,
                                     .golden = GOLDEN};

// ---- add_rmsnorm ----

static void add_build(XrOpRun *run) {
    int64_t T = rows_of(run), D = width_of(run);
    xr_activation(run, "y", XR_OUT, T, D);
    XrArg *sum = xr_activation(run, "sum", XR_OUT, T, D);
    XrArg *rstd = xr_plain(run, "rstd", XR_OUT, XR_F32, T, XR_1D);
    rstd->optional = rstd->by_row = true;
    XrArg *x = xr_activation(run, "x", XR_IN, T, D);
    xr_activation(run, "delta", XR_IN, T, D)->golden_in = "residual";
    xr_weight(run, "w", XR_IN, D, XR_1D);
    if (run->variant == XR_ALIASED) sum->alias = x;
}

// The sum is rounded to its type before it is normalised: it is an output that later layers read.
static void add_reference(XrOpRun *run) {
    const double *x = xr_values(run, "x"), *delta = xr_values(run, "delta");
    double *sum = xr_expect(run, "sum");
    for (int64_t i = 0; i < rows_of(run) * width_of(run); i++) {
        sum[i] = xr_round_to(run->types.activation, (double)(float)(x[i] + delta[i]));
    }
    normalise(run, sum);
}

static void add_call(XrOpRun *run, XrBackend *b) {
    xr_add_rmsnorm(b, xr_t(run, "y"), xr_t(run, "sum"), xr_t(run, "rstd"), xr_t(run, "x"),
                   xr_t(run, "delta"), xr_t(run, "w"), eps_of(run));
}

const XrOpTest xr_op_test_add_rmsnorm = {.op = "add_rmsnorm",
                                         .shapes = SHAPES,
                                         .types = XR_TYPES_WEIGHTS,
                                         .variants = XR_STRIDED | XR_ALIASED | XR_MINIMAL,
                                         .independent_rows = true,
                                         .build = add_build,
                                         .reference = add_reference,
                                         .call = add_call,
                                         .golden = ADD_GOLDEN};

// ---- rmsnorm_backward ----

static void back_build(XrOpRun *run) {
    int64_t T = rows_of(run), D = width_of(run);
    XrArg *dx = xr_activation(run, "dx", XR_OUT, T, D);
    XrArg *dw = xr_plain(run, "dw", XR_INOUT, XR_F32, D, XR_1D);
    dw->optional = true;
    xr_activation(run, "dy", XR_IN, T, D);
    XrArg *dsum = xr_activation(run, "dsum", XR_IN, T, D);
    dsum->optional = true;
    XrArg *x = xr_activation(run, "x", XR_IN, T, D);
    if (run->golden && strncmp(run->golden, "add", 3) == 0) {
        x->golden_in = "sum";
    } else if (run->golden) {
        dsum->golden_in = "";
        xr_fill(dsum, 0, 0);
    }
    XrArg *w = xr_weight(run, "w", XR_IN, D, XR_1D);
    XrArg *rstd = xr_plain(run, "rstd", XR_IN, XR_F32, T, XR_1D);
    rstd->by_row = true;
    for (int64_t t = 0; t < T; t++)
        xr_set(rstd, t, rstd_of(x->value + t * D, D, (double)eps_of(run)));
    if (run->variant == XR_ALIASED) dx->alias = dsum;
    xr_gradient(dx, x);
    xr_gradient(dw, w);
}

static void back_reference(XrOpRun *run) {
    const double *x = xr_values(run, "x"), *w = xr_values(run, "w"), *dy = xr_values(run, "dy");
    const double *dsum = xr_values(run, "dsum");
    double *dx = xr_expect(run, "dx"), *dw = xr_expect(run, "dw");
    double *scale = &xr_arg(run, "dx")->scale;
    int64_t D = width_of(run);
    for (int64_t t = 0; t < rows_of(run); t++, x += D, dy += D, dsum += D, dx += D) {
        double r = rstd_of(x, D, (double)eps_of(run)), mean = 0;
        for (int64_t d = 0; d < D; d++) mean += dy[d] * w[d] * x[d] / (double)D;
        for (int64_t d = 0; d < D; d++) {
            dx[d] = r * (dy[d] * w[d] - x[d] * r * r * mean);
            *scale = fmax(*scale, fabs(r * dy[d] * w[d]) / 4);
            if (run->variant != XR_MINIMAL) dx[d] += dsum[d];
            dw[d] += dy[d] * x[d] * r;
        }
    }
}

// <dy, rmsnorm(x)> + <dsum, x>.
static double back_loss(XrOpRun *run) {
    const double *x = xr_values(run, "x"), *w = xr_values(run, "w"), *dy = xr_values(run, "dy");
    const double *dsum = xr_values(run, "dsum");
    double total = 0;
    int64_t D = width_of(run);
    for (int64_t t = 0; t < rows_of(run); t++, x += D, dy += D, dsum += D) {
        double r = rstd_of(x, D, (double)eps_of(run));
        for (int64_t d = 0; d < D; d++) {
            total += dy[d] * w[d] * x[d] * r;
            if (run->variant != XR_MINIMAL) total += dsum[d] * x[d];
        }
    }
    return total;
}

static void back_call(XrOpRun *run, XrBackend *b) {
    xr_rmsnorm_backward(b, xr_t(run, "dx"), xr_t(run, "dw"), xr_t(run, "dy"), xr_t(run, "dsum"),
                        xr_t(run, "x"), xr_t(run, "w"), xr_t(run, "rstd"));
}

const XrOpTest xr_op_test_rmsnorm_backward = {.op = "rmsnorm_backward",
                                              .shapes = SHAPES,
                                              .types = XR_TYPES_WEIGHTS,
                                              .variants = XR_STRIDED | XR_ALIASED | XR_MINIMAL,
                                              .independent_rows = true,
                                              .build = back_build,
                                              .reference = back_reference,
                                              .call = back_call,
                                              .loss = back_loss,
                                              .golden = BACK_GOLDEN};

static const XrOpTest *const TESTS[] = {&xr_op_test_rmsnorm, &xr_op_test_add_rmsnorm,
                                        &xr_op_test_rmsnorm_backward};
XR_OP_TEST_MAIN(TESTS)
