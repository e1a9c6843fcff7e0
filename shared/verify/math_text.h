// Answers in words.
#ifndef XR_VERIFY_MATH_TEXT_H
#define XR_VERIFY_MATH_TEXT_H

#include "shared/verify/math_context.h"

// Two texts of words (lower case, single spaces).
XrTruth xr_words_same(const char *gold, const char *answer);

#endif
