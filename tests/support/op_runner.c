#include "tests/support/op_runner.h"

#include "shared/base/memory.h"
#include "tests/support/op_values.h"
#include "shared/tensor/tolerance.h"

#include <math.h>
#include <stdlib.h>

#ifdef XR_CUDA_EMULATION
#include "cuda/emulation/emulation.h"
#endif

// ---- backends ----

static const int THREADS[] = {1, 3};
static XrBackend *cpus[XR_COUNT(THREADS)];

static XrBackend *cpu_instance(int i) {
    if (!cpus[i]) cpus[i] = xr_cpu_create(THREADS[i]);
    return cpus[i];
}

XrBackend *xr_test_cpu(int threads) {
    return cpu_instance(threads > 1);
}

static const char *nothing_missing(void) {
    return NULL;
}

#ifdef XR_TEST_CUDA
#if defined XR_CUDA_EMULATION && defined XR_SANITIZED
enum { CUDA_CHECKED = true };
#else
enum { CUDA_CHECKED = false };
#endif

static XrBackend *cuda;
static XrError cuda_error;

// The same device for both: what a GPU does again must come out alike; the emulation turns the
// order of blocks and threads around, so that a race shows. It is one with products of warpgroups.
static XrBackend *cuda_instance(int i) {
#ifdef XR_CUDA_EMULATION
    xr_emulation_run_backwards(i == 1);
    xr_emulation_set_capability(9, 0);
#endif
    if (!cuda && !cuda_error.message[0]) cuda = xr_cuda_create(0, XR_BF16, 1, &cuda_error);
    return cuda;
}

static const char *cuda_missing(void) {
    return cuda_instance(0) ? NULL : cuda_error.message;
}
#endif

const XrTestBackend XR_TEST_BACKENDS[] = {
    {"cpu", false, false, false, XR_COUNT(THREADS), cpu_instance, nothing_missing},
#ifdef XR_TEST_CUDA
    {"cuda", true, true, CUDA_CHECKED, 2, cuda_instance, cuda_missing},
#endif
    {NULL, false, false, false, 0, NULL, NULL},
};

static XrGolden golden;

const XrGolden *xr_op_golden(void) {
    if (!golden.files) golden = xr_golden_open("ops.safetensors");
    return &golden;
}

void xr_op_runner_finish(void) {
    if (golden.files) xr_golden_close(&golden);
    golden = (XrGolden){0};
    for (size_t i = 0; i < XR_COUNT(cpus); i++) {
        xr_backend_free(cpus[i]);
        cpus[i] = NULL;
    }
#ifdef XR_TEST_CUDA
    xr_backend_free(cuda);
    cuda = NULL;
#endif
}

// ---- placing arguments in a backend's memory ----

// All memory that is not an argument's own is filled with this, so that what is read from there is
// NaN (or -1), and what is written there shows.
enum { GUARD = 256, PAINT = 0xFF, ROW_GAP = 5, SHIFT = 3 };

typedef struct Place {
    unsigned char *image; // of the whole buffer, in host memory
    void *memory;         // the backend's
    size_t bytes, first;  // of the buffer; where element 0 is
    int64_t rows, columns, stride;
} Place;

static Place layout(const XrArg *arg, XrVariant variant) {
    Place p = {.rows = arg->shape[0], .columns = arg->ndim == 2 ? arg->shape[1] : 1};
    size_t size = xr_dtype_size(arg->dtype);
    bool strided = variant == XR_STRIDED && arg->kind == XR_KIND_ACTIVATION;
    p.stride = p.columns + (strided ? ROW_GAP : 0);
    p.first = GUARD + (strided ? SHIFT * size : 0);
    if (variant == XR_STRIDED && arg->kind == XR_KIND_WEIGHT) p.first += 1;
    p.bytes = p.first + (size_t)(p.rows * p.stride) * size + GUARD;
    return p;
}

static size_t place_of(const Place *p, const XrArg *arg, int64_t i) {
    XR_REQUIRE(p->columns > 0, "element %lld of %s, which has none", (long long)i, arg->name);
    int64_t row = i / p->columns, column = i % p->columns;
    return p->first + (size_t)(row * p->stride + column) * xr_dtype_size(arg->dtype);
}

static Place place(XrBackend *b, XrArg *arg, XrVariant variant) {
    Place p = layout(arg, variant);
    p.image = xr_malloc(p.bytes);
    memset(p.image, PAINT, p.bytes);
    for (int64_t i = 0; i < arg->count && arg->role != XR_OUT; i++) {
        xr_store(arg->dtype, p.image + place_of(&p, arg, i), arg->value[i]);
    }
    XrError err;
    p.memory = b->alloc(b, p.bytes, arg->name, &err);
    XR_REQUIRE(p.memory, "%s", err.message);
    b->upload(b, p.memory, p.image, p.bytes);
    return p;
}

static XrTensor tensor_at(const XrArg *arg, const Place *p) {
    XrTensor t = xr_tensor_of(arg->dtype, (char *)p->memory + p->first, arg->ndim, arg->shape);
    if (arg->ndim == 2) t.row_stride = p->stride;
    return t;
}

// Places all arguments; an aliased output has its input's place.
static void place_all(XrOpRun *run, XrBackend *b, Place places[]) {
    for (int i = 0; i < run->count; i++) {
        XrArg *arg = &run->args[i];
        if (!arg->alias) {
            places[i] = place(b, arg, run->variant);
            arg->tensor = tensor_at(arg, &places[i]);
        }
    }
    for (int i = 0; i < run->count; i++) {
        if (!run->args[i].alias) continue;
        places[i] = (Place){0};
        run->args[i].tensor = run->args[i].alias->tensor;
    }
}

static void release_all(XrOpRun *run, XrBackend *b, Place places[]) {
    for (int i = 0; i < run->count; i++) {
        free(places[i].image);
        if (places[i].memory) b->free(b, places[i].memory);
    }
}

static bool is_omitted(const XrOpRun *run, const XrArg *arg) {
    return xr_t(run, arg->name) == NULL;
}

static XrArg *alias_owner(const XrOpRun *run, const XrArg *owner) {
    for (int i = 0; i < run->count; i++) {
        if (run->args[i].alias == owner) return (XrArg *)&run->args[i];
    }
    return NULL;
}

// ---- looking at what came back ----

// Compares the buffer with what was put there: everything but the elements of an output must be as
// before.
static void check_untouched(const XrOpRun *run, const XrArg *arg, const Place *p,
                            const unsigned char *after) {
    size_t size = xr_dtype_size(arg->dtype);
    bool writable = (arg->role != XR_IN && !is_omitted(run, arg)) || alias_owner(run, arg);
    XR_REQUIRE(p->image, "%s has not been placed", arg->name);
    unsigned char *expected = xr_malloc(p->bytes);
    memcpy(expected, p->image, p->bytes);
    for (int64_t i = 0; i < arg->count && writable; i++) {
        size_t at = place_of(p, arg, i);
        memcpy(expected + at, after + at, size);
    }
    for (size_t i = 0; i < p->bytes; i++) {
        if (expected[i] == after[i]) continue;
        fail_msg("%s: %s was changed %lld bytes from its first element (%zu bytes an element, "
                 "%lld rows of %lld, stride %lld)",
                 run->test->op, arg->name, (long long)i - (long long)p->first, size,
                 (long long)p->rows, (long long)p->columns, (long long)p->stride);
    }
    free(expected);
}

static double rms(const double *values, int64_t count) {
    double total = 0;
    for (int64_t i = 0; i < count; i++) {
        if (isfinite(values[i])) total += values[i] * values[i];
    }
    return count ? sqrt(total / (double)count) : 0;
}

// Where the row has bf16 activations, `roundings` to bf16 lie between the two beside that of the
// output itself.
static void compare(const XrOpRun *run, const XrArg *arg, const double *got, const double *want,
                    int roundings, const char *whose) {
    bool low = run->types.activation == XR_BF16;
    int most = (low ? roundings : 0) + (arg->dtype == XR_BF16 ? 1 : 0);
    XrTolerance tolerance = xr_tolerance_for(run->test->op, arg->name, low, most);
    double scale = fmax(arg->scale, rms(want, arg->count)), worst = 0;
    int64_t at = 0;
    for (int64_t i = 0; i < arg->count; i++) {
        double size = arg->sizes ? fmax(scale, arg->sizes[i]) : scale;
        double e = xr_tolerance_excess(got[i], want[i], &tolerance, size);
        if (e <= worst) continue;
        worst = e;
        at = i;
    }
    if (worst <= 1) return;
    fail_msg("%s: %s[%lld] of %lld is %.9g, %s %.9g: %.3g times the tolerance "
             "(relative %g, absolute %g of rms %.3g or of the element's terms, %.3g)",
             run->test->op, arg->name, (long long)at, (long long)arg->count, got[at], whose,
             want[at], worst, tolerance.relative, tolerance.absolute + tolerance.low, scale,
             arg->sizes ? arg->sizes[at] : 0);
}

// ---- calling ----

// The outputs' elements of one call, as bytes in the order of arguments.
typedef struct Results {
    unsigned char *bytes[XR_MAX_ARGS];
} Results;

static void free_results(Results *r) {
    for (int i = 0; i < XR_MAX_ARGS; i++) free(r->bytes[i]);
    *r = (Results){0};
}

static bool is_output(const XrOpRun *run, const XrArg *arg) {
    return arg->expect && !is_omitted(run, arg);
}

static unsigned char *elements_of(const XrArg *arg, const Place *p, const unsigned char *buffer) {
    size_t size = xr_dtype_size(arg->dtype);
    unsigned char *bytes = xr_malloc((size_t)arg->count * size + 1);
    for (int64_t i = 0; i < arg->count; i++) {
        memcpy(bytes + (size_t)i * size, buffer + place_of(p, arg, i), size);
    }
    return bytes;
}

// Brings every buffer back and checks what must not have changed.
static Results collect(XrOpRun *run, XrBackend *b, Place places[]) {
    Results results = {0};
    for (int i = 0; i < run->count; i++) {
        const XrArg *arg = &run->args[i];
        if (arg->alias) continue;
        unsigned char *after = xr_malloc(places[i].bytes);
        b->download(b, after, places[i].memory, places[i].bytes);
        check_untouched(run, arg, &places[i], after);
        const XrArg *owner = alias_owner(run, arg);
        const XrArg *output = owner ? owner : arg;
        if (is_output(run, output)) {
            results.bytes[output - run->args] = elements_of(arg, &places[i], after);
        }
        free(after);
    }
    return results;
}

static Results call_on(XrOpRun *run, XrBackend *b) {
    Place places[XR_MAX_ARGS] = {0};
    place_all(run, b, places);
    run->test->call(run, b);
    b->synchronize(b);
    Results results = collect(run, b, places);
    release_all(run, b, places);
    return results;
}

static double *numbers_of(XrDType dtype, int64_t count, const unsigned char *bytes) {
    double *numbers = xr_malloc(((size_t)count + 1) * sizeof *numbers);
    for (int64_t k = 0; k < count; k++) {
        numbers[k] = xr_load(dtype, bytes + (size_t)k * xr_dtype_size(dtype));
    }
    return numbers;
}

static void compare_with_expected(const XrOpRun *run, const Results *results) {
    for (int i = 0; i < run->count; i++) {
        const XrArg *arg = &run->args[i];
        if (!results->bytes[i]) continue;
        double *got = numbers_of(arg->dtype, arg->count, results->bytes[i]);
        compare(run, arg, got, arg->expect, 0, "should be");
        free(got);
    }
}

// The CPU on the same numbers; it has them in f32 where the row has bf16 activations.
static void compare_with_cpu(XrOpRun *run, const Results *results) {
    XrDType kept[XR_MAX_ARGS] = {XR_F32}, activation = run->types.activation;
    for (int i = 0; i < run->count; i++) {
        kept[i] = run->args[i].dtype;
        if (run->args[i].kind == XR_KIND_ACTIVATION) run->args[i].dtype = XR_F32;
    }
    run->types.activation = XR_F32;
    Results cpu = call_on(run, xr_test_cpu(1));
    run->types.activation = activation;
    for (int i = 0; i < run->count; i++) {
        XrArg *arg = &run->args[i];
        XrDType type = arg->dtype;
        arg->dtype = kept[i];
        if (!results->bytes[i] || !cpu.bytes[i]) continue;
        double *got = numbers_of(arg->dtype, arg->count, results->bytes[i]);
        double *want = numbers_of(type, arg->count, cpu.bytes[i]);
        compare(run, arg, got, want, 1, "the CPU's is");
        free(got);
        free(want);
    }
    free_results(&cpu);
}

static void require_same_bits(const XrOpRun *run, const XrArg *arg, const unsigned char *a,
                              const unsigned char *b, size_t bytes, const char *what) {
    size_t size = xr_dtype_size(arg->dtype);
    XR_REQUIRE(a && b, "%s was not brought back", arg->name);
    for (size_t i = 0; i < bytes; i += size) {
        if (memcmp(a + i, b + i, size) == 0) continue;
        fail_msg("%s: %s[%zu] has other bits %s: %.9g and %.9g", run->test->op, arg->name, i / size,
                 what, xr_load(arg->dtype, a + i), xr_load(arg->dtype, b + i));
    }
}

// Rows [begin, begin+count) alone must have the bits that they have among all.
static void check_rows_alone(XrOpRun *run, XrBackend *b, const Results *whole, int64_t begin,
                             int64_t count) {
    Place places[XR_MAX_ARGS] = {0};
    place_all(run, b, places);
    for (int i = 0; i < run->count; i++) {
        XrArg *arg = &run->args[i];
        if (arg->by_row) arg->tensor = xr_rows(&arg->tensor, begin, count);
    }
    run->test->call(run, b);
    b->synchronize(b);
    Results part = collect(run, b, places);
    for (int i = 0; i < run->count; i++) {
        const XrArg *arg = &run->args[i];
        if (!arg->by_row || !part.bytes[i]) continue;
        int64_t columns = arg->ndim == 2 ? arg->shape[1] : 1;
        size_t row_bytes = (size_t)columns * xr_dtype_size(arg->dtype);
        size_t first = (size_t)begin * row_bytes;
        require_same_bits(run, arg, whole->bytes[i] + first, part.bytes[i] + first,
                          (size_t)count * row_bytes, "when computed with other rows");
    }
    free_results(&part);
    release_all(run, b, places);
}

static int64_t rows_of(const XrOpRun *run) {
    for (int i = 0; i < run->count; i++) {
        if (run->args[i].by_row) return run->args[i].shape[0];
    }
    return 0;
}

// In the batch-invariant mode, whose results must be as good.
static void check_independence(XrOpRun *run, XrBackend *b) {
    int64_t rows = rows_of(run);
    if (!run->test->independent_rows || rows < 2) return;
    bool kept = b->batch_invariant;
    b->batch_invariant = true;
    Results whole = call_on(run, b);
    compare_with_expected(run, &whole);
    check_rows_alone(run, b, &whole, 0, 1);
    check_rows_alone(run, b, &whole, rows - 1, 1);
    check_rows_alone(run, b, &whole, rows / 3, rows - rows / 3);
    free_results(&whole);
    b->batch_invariant = kept;
}

// ---- gradients ----

#ifdef __SANITIZE_ADDRESS__ // the same doubles, which take ten times as long there
enum { MOST_DIFFERENCES = 12 };
#else
enum { MOST_DIFFERENCES = 48 };
#endif

// d loss / d value[i] by a central difference, for up to MOST_DIFFERENCES elements.
static void check_gradient(XrOpRun *run, const XrArg *gradient) {
    XrArg *of = gradient->gradient_of;
    int64_t step = of->count / MOST_DIFFERENCES + 1;
    double scale = fmax(gradient->scale, rms(gradient->expect, gradient->count));
    for (int64_t i = 0; i < of->count; i += step) {
        double kept = of->value[i], h = 1e-4 * fmax(1, fabs(kept));
        of->value[i] = kept + h;
        double above = run->test->loss(run);
        of->value[i] = kept - h;
        double below = run->test->loss(run);
        of->value[i] = kept;
        double before = gradient->role == XR_INOUT ? gradient->value[i] : 0;
        double want = (above - below) / (2 * h), got = gradient->expect[i] - before;
        if (fabs(got - want) <= 1e-6 * fabs(want) + 1e-6 * scale) continue;
        fail_msg("%s: the reference's %s[%lld] is %.9g, the difference quotient %.9g",
                 run->test->op, gradient->name, (long long)i, got, want);
    }
}

// ---- golden data ----

static void take_golden(const XrOpRun *run, const XrArg *arg, const char *name, double *values) {
    XrDType dtype = arg->dtype == XR_I32 ? XR_I64 : arg->dtype;
    XrTensor t = xr_golden_of(xr_op_golden(), run->golden, name, dtype);
    XR_REQUIRE(xr_numel(&t) == arg->count, "%s/%s is %s, the argument has %lld elements",
               run->golden, name, xr_shape_text(&t), (long long)arg->count);
    for (int64_t i = 0; i < arg->count; i++) {
        values[i] = xr_load(dtype, (const char *)t.data + (size_t)i * xr_dtype_size(dtype));
    }
}

static void take_inputs(XrOpRun *run) {
    for (int i = 0; i < run->count; i++) {
        XrArg *arg = &run->args[i];
        const char *name = arg->golden_in ? arg->golden_in : arg->name;
        if (arg->role == XR_INOUT && !arg->golden_in) {
            memset(arg->value, 0, (size_t)arg->count * sizeof *arg->value);
        } else if (arg->role != XR_OUT && *name) {
            take_golden(run, arg, name, arg->value);
        }
    }
}

static void take_outputs(XrOpRun *run) {
    for (int i = 0; i < run->count; i++) {
        XrArg *arg = &run->args[i];
        const char *name = arg->golden_out ? arg->golden_out : arg->name;
        if (arg->expect && *name) take_golden(run, arg, name, arg->expect);
    }
}

// ---- a row ----

static void prepare(XrOpRun *run, const XrOpRow *row) {
    *run = (XrOpRun){.test = row->test,
                     .shape = row->shape,
                     .types = row->types,
                     .variant = row->variant,
                     .golden = row->golden};
    run->test->build(run);
    if (run->golden) take_inputs(run);
    if (run->test->derive) run->test->derive(run);
    for (int i = 0; i < run->count; i++) {
        XrArg *arg = &run->args[i];
        if (arg->role == XR_INOUT) {
            memcpy(arg->expect, arg->value, (size_t)arg->count * sizeof *arg->expect);
        }
    }
    run->test->reference(run);
    // The reference is the same for every backend and layout: its derivatives are checked once.
    bool differences = run->test->loss && !row->backend->other && !(row->variant & XR_STRIDED);
    for (int i = 0; i < run->count && differences; i++) {
        if (run->args[i].gradient_of) check_gradient(run, &run->args[i]);
    }
    if (run->golden) take_outputs(run);
}

// What each instance of a backend computes.
static void check_instances(XrOpRun *run, const XrTestBackend *backend) {
    Results first = call_on(run, backend->instance(0));
    compare_with_expected(run, &first);
    if (backend->other) compare_with_cpu(run, &first);
    for (int k = 1; k < backend->instances; k++) {
        Results other = call_on(run, backend->instance(k));
        for (int i = 0; i < run->count; i++) {
            const XrArg *arg = &run->args[i];
            if (!first.bytes[i]) continue;
            require_same_bits(run, arg, first.bytes[i], other.bytes[i],
                              (size_t)arg->count * xr_dtype_size(arg->dtype),
                              backend->other ? "when done again" : "on another number of threads");
        }
        free_results(&other);
    }
    free_results(&first);
}

void xr_op_row_test(void **state) {
    const XrOpRow *row = *state;
    const char *missing = row->backend->missing();
    if (missing) {
        print_message("skipped: %s: %s\n", row->test->op, missing);
        skip();
    }
    XrOpRun run;
    prepare(&run, row);
    check_instances(&run, row->backend);
    check_independence(&run, row->backend->instance(0));
    if (row->test->two_ways && row->backend->other && row->types.activation == XR_BF16) {
        XrBackend *b = row->backend->instance(0);
        b->batch_invariant = true;
        check_instances(&run, row->backend);
        b->batch_invariant = false;
    }
    for (int i = 0; i < run.count; i++) {
        free(run.args[i].value);
        free(run.args[i].expect);
        free(run.args[i].sizes);
    }
}
