// Lists as Python writes them: MMMU's options are published as "['a cat', \"dog's\"]".
#ifndef XR_EVAL_LITERAL_H
#define XR_EVAL_LITERAL_H

#include <stdbool.h>

// Reads a list (or tuple) of texts: strings in either quotes, also tripled, with Python's escapes
// and prefixes, adjacent ones joined; anything else (numbers, True, nested lists) as it is written.
// A list that holds nothing but another list is that list; *nested (may be NULL) says so. Stores up
// to `most` texts, which the caller frees, and returns their number, or -1 where the text is no
// such list or holds more; then nothing is stored.
int xr_literal_list(const char *text, char **out, int most, bool *nested);

#endif
