// Runs one row of an operation's test; see tests/support/ops.h.
#ifndef XR_TESTS_OP_RUNNER_H
#define XR_TESTS_OP_RUNNER_H

#include "tests/support/golden.h"
#include "tests/support/ops.h"

// Where rows run. A backend has instances that must agree bit for bit (1 and 3 threads); another
// backend than the first must agree with it within the tolerance, through the reference.
typedef struct XrTestBackend {
    const char *name;
    bool low_precision; // bf16 activations
    bool other;         // than the CPU, which it is compared with
    bool checked;       // every access of its kernels is checked, which takes long
    int instances;
    XrBackend *(*instance)(int i); // made once, kept
    const char *(*missing)(void);  // why it cannot run, or NULL
} XrTestBackend;

extern const XrTestBackend XR_TEST_BACKENDS[]; // ends with name NULL

typedef struct XrOpRow {
    const XrOpTest *test;
    const XrTestBackend *backend;
    const XrShape *shape;
    XrTypes types;
    XrVariant variant;
    const char *golden;
} XrOpRow;

void xr_op_row_test(void **state); // *state is an XrOpRow
void xr_op_runner_finish(void);    // frees the backends' instances and the golden data

// golden/ops.safetensors, opened once.
const XrGolden *xr_op_golden(void);

#endif
