#include "shared/verify/math.h"

#include "shared/base/memory.h"

#include <flint/flint.h>
#include <string.h>

struct XrMath {
    XrBuffer gold, answer;
};

XrMath *xr_math_create(void) {
    return xr_calloc(1, sizeof(XrMath));
}

void xr_math_free(XrMath *math) {
    if (!math) return;
    xr_buffer_free(&math->gold);
    xr_buffer_free(&math->answer);
    free(math);
}

void xr_math_thread_end(void) {
    flint_cleanup();
}

const char *xr_math_kind_name(XrMathKind kind) {
    static const char *const names[] = {"none", "number",   "expression", "tuple",    "list",
                                        "set",  "interval", "matrix",     "equation", "inequality",
                                        "date", "time",     "text"};
    return names[kind];
}

// Appends `text` without spaces.
static void squeeze(XrBuffer *out, const char *text, size_t bytes) {
    xr_buffer_clear(out);
    for (size_t i = 0; i < bytes; i++)
        if (text[i] != ' ' && text[i] != '$') xr_buffer_byte(out, text[i]);
}

XrVerdict xr_math_compare(XrMath *math, const char *gold, size_t gold_bytes, const char *answer,
                          size_t answer_bytes, const XrMathOptions *options, XrBuffer *explain) {
    squeeze(&math->gold, gold, gold_bytes);
    squeeze(&math->answer, answer, answer_bytes);
    if (!math->gold.length) return XR_VERDICT_UNPARSED_GOLD;
    if (!math->answer.length) return XR_VERDICT_EMPTY;
    bool same = math->gold.length == math->answer.length &&
                !memcmp(math->gold.data, math->answer.data, math->gold.length);
    if (explain) xr_buffer_text(explain, same ? "same text\n" : "different text\n");
    return same ? XR_VERDICT_EQUAL : XR_VERDICT_DIFFERENT;
}

XrMathKind xr_math_kind(XrMath *math, const char *text, size_t bytes, XrBuffer *key) {
    squeeze(&math->gold, text, bytes);
    if (key) xr_buffer_append(key, math->gold.data, math->gold.length);
    return math->gold.length ? XR_MATH_TEXT : XR_MATH_NONE;
}
