// Any bytes read as an answer: the parser ends within its caps, and a key is written.
#include "shared/verify/math.h"

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static XrMath *math;
    if (!math) math = xr_math_create();
    XrBuffer key = {0};
    xr_math_kind(math, (const char *)data, size, &key);
    xr_buffer_free(&key);
    return 0;
}
