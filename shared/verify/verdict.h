// What a verifier says of an answer. Only XR_VERDICT_EQUAL scores 1.
#ifndef XR_VERIFY_VERDICT_H
#define XR_VERIFY_VERDICT_H

typedef enum XrVerdict {
    XR_VERDICT_EQUAL,
    XR_VERDICT_DIFFERENT,
    XR_VERDICT_UNKNOWN,       // both were read, but no rule decides
    XR_VERDICT_UNPARSED,      // the answer is of no kind that can be read
    XR_VERDICT_UNPARSED_GOLD, // the gold answer is of no kind that can be read
    XR_VERDICT_OVER_LIMIT,    // too large, too deep, or too long to decide
    XR_VERDICT_EMPTY,         // there is no answer
} XrVerdict;

// "equal", "different", "unknown", "unparsed", "unparsed_gold", "over_limit", "empty".
const char *xr_verdict_name(XrVerdict verdict);

#endif
