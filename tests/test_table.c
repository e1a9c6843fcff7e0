// The table of operations itself. This program is linked with the tests of all operations and
// refers to xr_op_test_NAME of each: an operation without a test does not link.
#include "tests/support/ops.h"

#include "shared/base/file.h"
#include "shared/base/memory.h"
#include "shared/tensor/tolerance.h"

#include <stdlib.h>

#define DECLARE_TEST(name, parameters, arguments) extern const XrOpTest xr_op_test_##name;
XR_OPS(DECLARE_TEST)

#define NAME_AND_TEST(name, parameters, arguments) {#name, &xr_op_test_##name},
static const struct {
    const char *name;
    const XrOpTest *test;
} OPERATIONS[] = {XR_OPS(NAME_AND_TEST)};

static void tests_are_of_their_operation(void **state) {
    for (size_t i = 0; i < XR_COUNT(OPERATIONS); i++) {
        assert_string_equal(OPERATIONS[i].test->op, OPERATIONS[i].name);
        assert_true(OPERATIONS[i].test->shapes[0].count > 0);
    }
}

static void gradients_are_compared_with_the_forward(void **state) {
    for (size_t i = 0; i < XR_COUNT(OPERATIONS); i++) {
        if (!strstr(OPERATIONS[i].name, "_backward")) continue;
        if (OPERATIONS[i].test->loss || OPERATIONS[i].test->golden) continue;
        fail_msg("%s has neither a loss nor golden data", OPERATIONS[i].name);
    }
}

static bool has_tolerance(const char *name) {
    for (const XrTolerance *t = XR_TOLERANCES; t->op; t++) {
        if (strcmp(t->op, name) == 0) return true;
    }
    return false;
}

static void tolerances_belong_to_operations(void **state) {
    for (size_t i = 0; i < XR_COUNT(OPERATIONS); i++) {
        if (!has_tolerance(OPERATIONS[i].name)) fail_msg("%s has none", OPERATIONS[i].name);
    }
    for (const XrTolerance *t = XR_TOLERANCES; t->op; t++) {
        size_t i = 0;
        while (i < XR_COUNT(OPERATIONS) && strcmp(OPERATIONS[i].name, t->op) != 0) i++;
        if (i == XR_COUNT(OPERATIONS)) fail_msg("%s is no operation", t->op);
    }
}

static void every_operation_is_documented(void **state) {
    XrError err;
    XrBuffer text = {0};
    if (!xr_file_read(xr_test_source("docs/operations.md"), 1 << 20, &text, &err)) {
        fail_msg("%s", err.message);
    }
    for (size_t i = 0; i < XR_COUNT(OPERATIONS); i++) {
        char heading[80];
        snprintf(heading, sizeof heading, "\n### `%s`\n", OPERATIONS[i].name);
        if (!strstr(text.data, heading)) fail_msg("no entry %s", heading);
    }
    xr_buffer_free(&text);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tests_are_of_their_operation),
        cmocka_unit_test(gradients_are_compared_with_the_forward),
        cmocka_unit_test(tolerances_belong_to_operations),
        cmocka_unit_test(every_operation_is_documented),
    };
    xr_test_filter(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
