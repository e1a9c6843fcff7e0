// Gold and answer, parted by the first line feed: any verdict will do, except that a text must be
// equal to itself.
#include "shared/base/error.h"
#include "shared/verify/math.h"

#include <stddef.h>
#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static XrMath *math;
    if (!math) math = xr_math_create();
    const char *text = (const char *)data;
    const char *cut = size ? memchr(text, '\n', size) : NULL;
    size_t gold = cut ? (size_t)(cut - text) : size;
    const char *answer = cut ? cut + 1 : text;
    size_t answer_bytes = cut ? size - gold - 1 : size;
    xr_math_compare(math, text, gold, answer, answer_bytes, NULL, NULL);
    XrVerdict same = xr_math_compare(math, text, gold, text, gold, NULL, NULL);
    XR_REQUIRE(same == XR_VERDICT_EQUAL || same == XR_VERDICT_UNPARSED_GOLD ||
                   same == XR_VERDICT_OVER_LIMIT,
               "a text of %zu bytes is %s to itself", gold, xr_verdict_name(same));
    return 0;
}
