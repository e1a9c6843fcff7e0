// XXH64 of bytes in hexadecimal, as golden/make_images.py writes it. Static storage, a few calls
// deep.
#ifndef XR_TESTS_DIGEST_H
#define XR_TESTS_DIGEST_H

#include <stddef.h>

const char *xr_test_digest(const void *bytes, size_t count);

#endif
