// Letters that stand for options in plain text.
#ifndef XR_VERIFY_CHOICE_LABEL_H
#define XR_VERIFY_CHOICE_LABEL_H

#include "shared/verify/span.h"

typedef struct XrLabel {
    int index;     // 0 for A
    size_t end;    // where the label and its punctuation end
    bool enclosed; // "(B)", "[B]"
    bool lower;    // "b"
    bool bare;     // the letter alone, with a space and more words after it
} XrLabel;

// Reads a label at `at` among `count` options (0: 26): a letter in brackets; a letter before the
// end, a line's end, or one of . : ) , ; / & and a dash; or, where `words`, before a word that
// cannot follow an article ("because", "is", "and"). Other letters before a space are read as
// `bare`.
bool xr_read_label(XrSpan text, size_t at, int count, bool words, XrLabel *out);

// Skips what may come before a label: "the correct answer is", "option", "choice:".
size_t xr_skip_lead(XrSpan text, size_t at);

#endif
