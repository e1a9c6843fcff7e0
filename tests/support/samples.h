// Samples of the engine, compared bit for bit.
#ifndef XR_TESTS_SAMPLES_H
#define XR_TESTS_SAMPLES_H

#include "shared/engine/request.h"

// Fails the test, naming `what` and the request, where two samples differ in anything but times and
// preemptions. Branches (XrSample.forced_exit) are not looked at.
void xr_assert_same_sample(const XrSample *a, const XrSample *b, const char *what,
                           uint64_t request);
// The same for all samples of two responses, neither of which may have failed.
void xr_assert_same_response(const XrResponse *a, const XrResponse *b, const char *what);

#endif
