// The value of a last sentence that states it in passing: "There are 3 dots in each group."
#ifndef XR_VERIFY_EXTRACT_SENTENCE_H
#define XR_VERIFY_EXTRACT_SENTENCE_H

#include "shared/verify/extract_phrase.h"

// The only number of the last sentence, with the word behind it that may be its unit ("3 dots").
// The sentence must be a paragraph of its own or begin as a conclusion does ("so", "thus"), and its
// number must be what it asserts: no formula, no further number in digits or words, no bound
// ("more than 3"), no name ("step 3"), no plan ("we need to find 3 values").
bool xr_find_sole_number(XrSpan text, XrStatement *out);

#endif
