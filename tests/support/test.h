// What every test program starts with: cmocka, a filter by name, and the place of data.
//
//   int main(int argc, char **argv) {
//       const struct CMUnitTest tests[] = {cmocka_unit_test(...), ...};
//       xr_test_filter(argc, argv);          // test_x 'pattern*' runs the tests that match
//       return cmocka_run_group_tests(tests, NULL, NULL);
//   }
#ifndef XR_TESTS_TEST_H
#define XR_TESTS_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "shared/base/error.h"

// What cmocka does not say of its functions behind fail, fail_msg and skip: they never return.
void _fail(const char *file, int line) __attribute__((noreturn)); // NOLINT
void _skip(const char *file, int line) __attribute__((noreturn)); // NOLINT

// Fails the calling test with the error's message where what gave it was not `ok`.
static inline void xr_must(bool ok, const XrError *err) {
    if (!ok) fail_msg("%s", err->message);
}

// Applies a filter given as the program's first argument (with * and ?), if there is one.
void xr_test_filter(int argc, char **argv);

// The folder of real inputs (environment variable XR_DATA_DIR) joined with `name`. Where the
// variable is unset or the path is missing, says so and skips the calling test. Static storage.
const char *xr_test_data(const char *name);

// "<source folder>/<name>", for what the repository carries. Static storage, a few calls deep.
const char *xr_test_source(const char *name);

// The program, for tests of commands.
const char *xr_test_program(void);

// A new empty folder for this test program's files, removed at exit.
const char *xr_test_scratch(void);

// Writes folder/name, making the folder where it is missing.
void xr_test_put(const char *folder, const char *name, const char *text);

#endif
