#include "tests/support/ops.h"

#include "ref/isa.h"
#include "shared/base/memory.h"
#include "tests/support/op_runner.h"
#include "tests/support/op_values.h"

#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

const XrTypes XR_TYPES_F32[] = {{"f32", XR_F32, XR_F32}, {0}};
const XrTypes XR_TYPES_ACTIVATIONS[] = {{"f32", XR_F32, XR_F32}, {"bf16", XR_BF16, XR_F32}, {0}};
const XrTypes XR_TYPES_WEIGHTS[] = {{"f32", XR_F32, XR_F32},
                                    {"bf16", XR_F32, XR_BF16},
                                    {"f16", XR_F32, XR_F16},
                                    {"bf16.f32", XR_BF16, XR_F32},
                                    {"bf16.bf16", XR_BF16, XR_BF16},
                                    {"bf16.f16", XR_BF16, XR_F16},
                                    {0}};

// ---- arguments ----

XrArg *xr_plain(XrOpRun *run, const char *name, XrRole role, XrDType dtype, int64_t rows,
                int64_t columns) {
    XR_REQUIRE(run->count < XR_MAX_ARGS, "%s: too many arguments", run->test->op);
    XrArg *arg = &run->args[run->count++];
    *arg = (XrArg){.name = name,
                   .role = role,
                   .kind = XR_KIND_PLAIN,
                   .dtype = dtype,
                   .ndim = columns == XR_1D ? 1 : 2,
                   .shape = {rows, columns},
                   .count = rows * (columns == XR_1D ? 1 : columns)};
    arg->value = xr_calloc((size_t)arg->count + 1, sizeof *arg->value);
    if (role == XR_OUT || role == XR_INOUT) {
        arg->expect = xr_calloc((size_t)arg->count + 1, sizeof *arg->expect);
    }
    bool integer = dtype == XR_I32 || dtype == XR_I64 || dtype == XR_U8;
    if (role != XR_OUT && !integer) xr_fill(arg, -1, 1);
    return arg;
}

XrArg *xr_activation(XrOpRun *run, const char *name, XrRole role, int64_t rows, int64_t columns) {
    XrArg *arg = xr_plain(run, name, role, run->types.activation, rows, columns);
    arg->kind = XR_KIND_ACTIVATION;
    arg->by_row = true;
    return arg;
}

XrArg *xr_weight(XrOpRun *run, const char *name, XrRole role, int64_t rows, int64_t columns) {
    XrArg *arg = xr_plain(run, name, role, run->types.weight, rows, columns);
    arg->kind = XR_KIND_WEIGHT;
    return arg;
}

void xr_set(XrArg *arg, int64_t i, double value) {
    arg->value[i] = xr_round_to(arg->dtype, value);
}

void xr_fill(XrArg *arg, double low, double high) {
    for (int64_t i = 0; i < arg->count; i++) {
        xr_set(arg, i, low + (high - low) * xr_noise(arg->name, i));
    }
}

void xr_set_bytes(XrArg *arg, const void *bytes) {
    for (int64_t i = 0; i < arg->count; i++) arg->value[i] = ((const unsigned char *)bytes)[i];
}

void xr_gradient(XrArg *gradient, XrArg *of) {
    XR_REQUIRE(gradient->count == of->count, "gradient %s of %s", gradient->name, of->name);
    gradient->gradient_of = of;
}

XrArg *xr_arg(const XrOpRun *run, const char *name) {
    for (int i = 0; i < run->count; i++) {
        if (strcmp(run->args[i].name, name) == 0) return (XrArg *)&run->args[i];
    }
    XR_BUG("the test of %s has no argument %s", run->test->op, name);
}

double *xr_values(const XrOpRun *run, const char *name) {
    return xr_arg(run, name)->value;
}

double *xr_expect(const XrOpRun *run, const char *name) {
    XrArg *arg = xr_arg(run, name);
    XR_REQUIRE(arg->expect, "%s: %s is no output", run->test->op, name);
    return arg->expect;
}

double *xr_sizes(const XrOpRun *run, const char *name) {
    XrArg *arg = xr_arg(run, name);
    if (!arg->sizes) arg->sizes = xr_calloc((size_t)arg->count + 1, sizeof *arg->sizes);
    return arg->sizes;
}

const XrTensor *xr_t(const XrOpRun *run, const char *name) {
    const XrArg *arg = xr_arg(run, name);
    return arg->optional && run->variant == XR_MINIMAL ? NULL : &arg->tensor;
}

double xr_number(const XrOpRun *run, const char *name, double value) {
    char full[160];
    snprintf(full, sizeof full, "%s/%s", run->golden ? run->golden : "", name);
    if (!run->golden || !xr_golden_has(xr_op_golden(), full)) return value;
    return xr_golden_number(xr_op_golden(), run->golden, name);
}

// ---- rows ----

static void add(XrRows *rows, const char *name, CMUnitTestFunction function, XrOpRow *row) {
    rows->tests = xr_realloc(rows->tests, (rows->count + 1) * sizeof *rows->tests);
    rows->tests[rows->count++] =
        (struct CMUnitTest){.name = xr_strdup(name), .test_func = function, .initial_state = row};
}

void xr_rows_add(XrRows *rows, const char *name, CMUnitTestFunction function) {
    add(rows, name, function, NULL);
}

static void add_row(XrRows *rows, XrOpRow row) {
    static const char *const VARIANTS[] = {
        [XR_STRIDED] = "/strided", [XR_ALIASED] = "/aliased", [XR_MINIMAL] = "/minimal"};
    char name[160];
    int used =
        snprintf(name, sizeof name, "%s/%s/%s/", row.test->op, row.backend->name, row.types.name);
    if (row.golden) used += snprintf(name + used, sizeof name - (size_t)used, "%s/", row.golden);
    for (int i = 0; i < row.shape->count; i++) {
        used += snprintf(name + used, sizeof name - (size_t)used, "%s%lld", i ? "x" : "",
                         (long long)row.shape->n[i]);
    }
    const char *variant = row.variant ? VARIANTS[row.variant] : "";
    snprintf(name + used, sizeof name - (size_t)used, "%s", variant);
    XrOpRow *kept = xr_malloc(sizeof *kept);
    *kept = row;
    add(rows, name, xr_op_row_test, kept);
}

static bool takes(const XrTestBackend *backend, XrTypes types) {
    return types.activation == XR_F32 || backend->low_precision;
}

void xr_rows_add_op(XrRows *rows, const XrOpTest *test) {
    for (const XrTestBackend *b = XR_TEST_BACKENDS; b->name; b++) {
        if (b->other && getenv("XR_CPU")) continue; // it has nothing to do with it
        for (const XrTypes *types = test->types; types->name; types++) {
            if (!takes(b, *types)) continue;
            bool few = b->checked && test->checked_shapes;
            const XrShape *shapes = few ? test->checked_shapes : test->shapes;
            for (const XrShape *shape = shapes; shape->count; shape++) {
                for (int v = XR_PLAIN; v <= XR_MINIMAL; v = v ? v * 2 : 1) {
                    if (v && !(test->variants & v)) continue;
                    add_row(rows, (XrOpRow){test, b, shape, *types, (XrVariant)v, NULL});
                }
            }
        }
        for (const XrGoldenRow *g = test->golden; g && g->name; g++) {
            XrTypes types = {"golden", XR_F32, g->weight};
            add_row(rows, (XrOpRow){test, b, &g->shape, types, XR_PLAIN, g->name});
        }
    }
}

// Runs this program once more with a lower instruction set; true if it passed.
static bool run_again(const char *isa, char **argv) {
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        const char *itself = getenv("XR_TEST_ITSELF"); // ci/gpu/run.sh starts tests by a script
        setenv("XR_CPU", isa, 1);
        execv(itself ? itself : "/proc/self/exe", argv);
        _exit(127);
    }
    int status = 0;
    return child > 0 && waitpid(child, &status, 0) == child && status == 0;
}

int xr_rows_run(XrRows *rows, int argc, char **argv) {
    xr_test_filter(argc, argv);
    print_message("instruction set: %s\n", xr_isa_name(xr_isa()));
    int failed = _cmocka_run_group_tests("rows", rows->tests, rows->count, NULL, NULL);
    for (size_t i = 0; i < rows->count; i++) {
        free((char *)rows->tests[i].name);
        free(rows->tests[i].initial_state);
    }
    free(rows->tests);
    *rows = (XrRows){0};
    xr_op_runner_finish();
    if (getenv("XR_CPU")) return failed != 0;
    for (int isa = (int)xr_isa() - 1; isa >= 0; isa--) {
        if (!run_again(xr_isa_name((XrIsa)isa), argv)) failed++;
    }
    return failed != 0;
}
