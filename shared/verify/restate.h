// Answers that repeat the question instead of working it out.
#ifndef XR_VERIFY_RESTATE_H
#define XR_VERIFY_RESTATE_H

#include "shared/verify/span.h"

// Whether `answer` is an expression with at least one operation that stands in `question` in the
// same spelling (spaces, `$` and size commands aside), while the gold answer is spelled otherwise:
// asked for 17*23, "17*23" has the right value but answers nothing. A number or a fraction of two
// numbers is never a restatement. An empty question restates nothing.
bool xr_restates(XrSpan question, XrSpan gold, XrSpan answer);

#endif
