// Agreement with published verdicts: the differences are listed in a document under docs/, in
// tables whose first cell is the set's name in backquotes and whose last cell holds ids in
// backquotes. A test fails on a difference that is not listed, and on a listed one that is gone.
#ifndef XR_TESTS_AGREEMENT_H
#define XR_TESTS_AGREEMENT_H

#include "shared/base/buffer.h"

#include <stdbool.h>

typedef struct XrTestTally {
    XrBuffer listed; // ids, each between spaces
    const char *set;
    int rows, differences, unlisted;
} XrTestTally;

// Reads the list of a set from a document of the repository.
XrTestTally xr_test_tally(const char *document, const char *set);

// Counts a row. True where it is a difference that is not listed; the caller prints what it knows.
bool xr_test_differs(XrTestTally *tally, const char *id, bool agrees);

// Prints the result, fails if it is not as listed, and frees the list.
void xr_test_tally_check(XrTestTally *tally);

#endif
