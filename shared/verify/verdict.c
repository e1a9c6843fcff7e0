#include "shared/verify/verdict.h"

const char *xr_verdict_name(XrVerdict verdict) {
    switch (verdict) {
    case XR_VERDICT_EQUAL:
        return "equal";
    case XR_VERDICT_DIFFERENT:
        return "different";
    case XR_VERDICT_UNKNOWN:
        return "unknown";
    case XR_VERDICT_UNPARSED:
        return "unparsed";
    case XR_VERDICT_UNPARSED_GOLD:
        return "unparsed_gold";
    case XR_VERDICT_OVER_LIMIT:
        return "over_limit";
    case XR_VERDICT_EMPTY:
        return "empty";
    }
    return "unknown";
}
