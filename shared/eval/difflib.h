// How alike two texts are by Python's difflib.SequenceMatcher(None, a, b).ratio(): twice the
// characters in matching blocks over those in both; in a text b of 200 characters or more,
// characters that make up over 1% of it start no block.
#ifndef XR_EVAL_DIFFLIB_H
#define XR_EVAL_DIFFLIB_H

#include "shared/verify/span.h"

double xr_difflib_ratio(XrSpan a, XrSpan b);

#endif
