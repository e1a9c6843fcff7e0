// The test of an operation: one row for each backend, element type, shape and variant, named
// "rmsnorm/cpu/bf16/33x129" or "rmsnorm/cpu/f32/7x64/strided", so that a filter runs any of them
// ("test_norm 'rmsnorm*strided'").
//
// A test says which arguments the operation has, what it should compute (naive loops in double) and
// how it is called:
//
//   static void build(XrOpRun *run) {                    // shape [T,D]
//       int64_t T = run->shape->n[0], D = run->shape->n[1];
//       xr_activation(run, "y", XR_OUT, T, D);
//       xr_activation(run, "x", XR_IN, T, D);            // filled with numbers in [-1,1)
//       xr_weight(run, "w", XR_IN, D, XR_1D);
//   }
//   static void reference(XrOpRun *run) {
//       const double *x = xr_values(run, "x"), *w = xr_values(run, "w");
//       double *y = xr_expect(run, "y");
//       ...
//   }
//   static void call(XrOpRun *run, XrBackend *b) {
//       xr_scale(b, xr_t(run, "y"), xr_t(run, "x"), xr_t(run, "w"));
//   }
//   const XrOpTest xr_op_test_scale = {.op = "scale", .shapes = SHAPES, ..., .build = build, ...};
//   static const XrOpTest *const TESTS[] = {&xr_op_test_scale};
//   XR_OP_TEST_MAIN(TESTS)
//
// Backends: "cpu", and "cuda" in builds that have it (XR_CUDA, or XR_CUDA_EMULATION on the CPU).
//
// Every row: outputs are painted with NaN beforehand; zones around every buffer and between strided
// rows are painted and looked at afterwards; inputs must come out as they went in; every output is
// compared with `reference` (tolerances: shared/tensor/tolerance.c) and must hold no NaN; on "cuda"
// with what the CPU computes, too. The bits must be the same on 1 and on 3 threads (on a GPU: when
// done again; emulated: with threads and blocks in the opposite order), and, where
// `independent_rows` says so, for a part of the rows as for all. A test program runs its CPU rows
// again for each lower instruction set (XR_CPU). Where `two_ways` says so, a GPU's rows go both
// ways, if it has both; the emulated one has.
//
// Gradients: `loss` is the scalar <gradient in, forward(inputs)> in double. Where xr_gradient pairs
// an output with the input that it is the gradient of, the reference is compared with central
// differences of `loss`, so that operation = reference = derivative.
//
// Golden data: rows in `golden` take inputs and expected outputs from golden/ops.safetensors,
// tensor
// "<case>/<argument>" (or another name, XrArg.golden), instead of the generator and the reference.
//
// tests/test_table.c refers to xr_op_test_NAME of every operation: one without a test does not
// link.
#ifndef XR_TESTS_OPS_H
#define XR_TESTS_OPS_H

#include "tests/support/test.h"
#include "shared/tensor/backend.h"

typedef struct XrOpTest XrOpTest;
typedef struct XrOpRun XrOpRun;

typedef enum XrRole {
    XR_IN,
    XR_OUT,      // overwritten; NaN beforehand
    XR_INOUT,    // read and then changed: gradients that accumulate, what is done in place
    XR_CONSUMED, // an input whose memory the operation may overwrite
} XrRole;

typedef enum XrKind {
    XR_KIND_ACTIVATION, // 2-D; variant "strided" puts gaps between the rows
    XR_KIND_WEIGHT,     // variant "strided" puts it at an odd address, unaligned for its type
    XR_KIND_PLAIN,      // contiguous and aligned
} XrKind;

typedef struct XrArg XrArg;
struct XrArg {
    const char *name;
    XrRole role;
    XrKind kind;
    XrDType dtype;
    int ndim;
    int64_t shape[2], count; // count: elements
    bool optional;           // NULL in the variant "minimal"
    bool by_row;             // its row t belongs to row t of the others (activations always do)
    XrArg *alias;            // shares this input's memory
    XrArg *gradient_of;      // for the comparison with finite differences
    // Names of the tensors of a golden case, where they are not the argument's own. "" leaves
    // what `build` or `reference` put there. An XR_INOUT argument starts from 0 unless golden_in is
    // set.
    const char *golden_in, *golden_out;
    double *value;   // before the call, exactly as the operation sees it; [count]
    double *expect;  // after the call; [count]; NULL for XR_IN and XR_CONSUMED
    double scale;    // set by `reference` where terms cancel: their size, for tolerances
    double *sizes;   // the same for each element, where these differ; [count] or NULL
    XrTensor tensor; // in the backend's memory, during `call`
};

// Numbers that make up a shape, as the test means them.
typedef struct XrShape {
    int count;
    int64_t n[6];
} XrShape;
#define XR_SHAPE(...)                                                                              \
    {                                                                                              \
        sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t), {                                      \
            __VA_ARGS__                                                                            \
        }                                                                                          \
    }

// Element types of a row and the name of the combination in the row's name.
typedef struct XrTypes {
    const char *name; // "bf16": one of the two; "bf16.f32": of activations and of weights
    XrDType activation, weight;
} XrTypes;

typedef enum XrVariant {
    XR_PLAIN = 0,
    XR_STRIDED = 1, // column slices, unaligned weights
    XR_ALIASED = 2, // `build` aliases what may be aliased
    XR_MINIMAL = 4, // optional arguments are NULL
} XrVariant;

typedef struct XrGoldenRow {
    const char *name; // of the case: "rmsnorm/5x80"
    XrShape shape;
    XrDType weight; // as the file has it; f32 where not said
} XrGoldenRow;
#define XR_GOLDEN(case, ...)                                                                       \
    { .name = (case), .shape = XR_SHAPE(__VA_ARGS__) }
#define XR_GOLDEN_BF16(case, ...)                                                                  \
    { .name = (case), .shape = XR_SHAPE(__VA_ARGS__), .weight = XR_BF16 }

struct XrOpTest {
    const char *op;        // its name in the table
    const XrShape *shapes; // ends with count 0
    // The few of them that a GPU is tested with where every access of its kernels is checked, which
    // takes a hundred times as long; NULL: all.
    const XrShape *checked_shapes;
    const XrTypes *types;  // ends with name NULL; see XR_TYPES_F32, XR_TYPES_WEIGHTS
    int variants;          // which of XrVariant there are beside the plain one
    bool independent_rows; // a `by_row` output's row t depends on row t of `by_row` inputs alone
    bool two_ways; // in bf16 a GPU has one way for the batch-invariant mode and one for the rest
    void (*build)(XrOpRun *run);
    // Fills inputs that follow from others (saved statistics), after these have their values,
    // golden ones too. May be NULL.
    void (*derive)(XrOpRun *run);
    void (*reference)(XrOpRun *run);
    void (*call)(XrOpRun *run, XrBackend *b);
    double (*loss)(XrOpRun *run);
    const XrGoldenRow *golden; // ends with name NULL
};

enum { XR_MAX_ARGS = 16 };

// One row while it runs.
struct XrOpRun {
    const XrOpTest *test;
    const XrShape *shape;
    XrTypes types;
    XrVariant variant;
    const char *golden; // name of the golden case, or NULL
    XrArg args[XR_MAX_ARGS];
    int count;
};

// Only f32; f32 and (where the backend has it) bf16 activations; both of these with f32, bf16 and
// f16 weights.
extern const XrTypes XR_TYPES_F32[], XR_TYPES_ACTIVATIONS[], XR_TYPES_WEIGHTS[];

// ---- for `build`: declare an argument. Inputs are filled with numbers in [-1,1) (floats) or 0
// (integers). columns XR_1D makes a list of `rows` elements. ----
enum { XR_1D = -1 };
XrArg *xr_activation(XrOpRun *run, const char *name, XrRole role, int64_t rows, int64_t columns);
XrArg *xr_weight(XrOpRun *run, const char *name, XrRole role, int64_t rows, int64_t columns);
XrArg *xr_plain(XrOpRun *run, const char *name, XrRole role, XrDType dtype, int64_t rows,
                int64_t columns);
// Refills an input: numbers in [low, high), a pure function of the argument's name and the index.
void xr_fill(XrArg *arg, double low, double high);
void xr_set(XrArg *arg, int64_t i, double value); // rounded to the argument's type
void xr_set_bytes(XrArg *arg, const void *bytes); // of an XR_U8 argument: structures
void xr_gradient(XrArg *gradient, XrArg *of);

// A scalar: the golden case's, where it has one of that name; otherwise `value`.
double xr_number(const XrOpRun *run, const char *name, double value);

// ---- for `reference` and `loss` ----
XrArg *xr_arg(const XrOpRun *run, const char *name);     // aborts where there is none
double *xr_values(const XrOpRun *run, const char *name); // [count]
double *xr_expect(const XrOpRun *run, const char *name); // [count], to be filled
double *xr_sizes(const XrOpRun *run, const char *name);  // [count], zeros at first
// ---- for `call`: NULL for an optional argument in the variant "minimal" ----
const XrTensor *xr_t(const XrOpRun *run, const char *name);

// ---- the list of a program's tests ----
typedef struct XrRows {
    struct CMUnitTest *tests;
    size_t count;
} XrRows;

void xr_rows_add_op(XrRows *rows, const XrOpTest *test);
// A test that is no row, on the best instruction set and the lower ones like the rows.
void xr_rows_add(XrRows *rows, const char *name, CMUnitTestFunction function);
// Runs the rows that match argv[1] and frees the list; returns the exit status.
int xr_rows_run(XrRows *rows, int argc, char **argv);

// A CPU backend of the test program's, on 1 or 3 threads; never freed by the caller.
XrBackend *xr_test_cpu(int threads);

// main() of a program with the rows of TESTS, an array of XrOpTest pointers, and after them the
// plain tests named: XR_OP_TEST_MAIN(TESTS, cmocka_unit_test(a), cmocka_unit_test(b)). Weak, so
// that tests/test_table.c can link all of them.
#define XR_OP_TEST_MAIN(TESTS, ...)                                                                \
    __attribute__((weak)) int main(int argc, char **argv) {                                        \
        const struct CMUnitTest plain[] = {{0}, ##__VA_ARGS__};                                    \
        XrRows rows = {0};                                                                         \
        for (size_t i = 0; i < sizeof(TESTS) / sizeof((TESTS)[0]); i++)                            \
            xr_rows_add_op(&rows, (TESTS)[i]);                                                     \
        for (size_t i = 1; i < sizeof plain / sizeof plain[0]; i++)                                \
            xr_rows_add(&rows, plain[i].name, plain[i].test_func);                                 \
        return xr_rows_run(&rows, argc, argv);                                                     \
    }

#endif
