// Answers in words: what is left of a text when its markup is taken off, the form in which texts
// are compared, and the comparison of two answers in words.
#ifndef XR_VERIFY_TEXT_ANSWER_H
#define XR_VERIFY_TEXT_ANSWER_H

#include "shared/base/buffer.h"
#include "shared/verify/span.h"
#include "shared/verify/verdict.h"

// Appends `text` without Markdown's and LaTeX's wrapping: `$`, \( \[, \text{…} and other fonts,
// \left, spacing commands, **, quotes as ASCII, full-width characters and dashes as ASCII,
// zero-width characters dropped, invalid UTF-8 as U+FFFD. Commands that mean something stay with
// their braces.
void xr_plain_text(XrSpan text, XrBuffer *out);

// Appends the form in which plain texts are equal. Words: lower case, accents off, punctuation as
// spaces, no "the" or "an", no leading "a". Texts with digits or formulas: lower case, single
// spaces, no final full stop. Never empty unless the text is blank.
void xr_fold_text(XrSpan plain, XrBuffer *out);

// Whether a gold answer is to be compared as words: no digits, operators or LaTeX beyond fonts, and
// at least one word of three letters that is no function or unit of mathematics, or "no".
bool xr_is_wordy(XrSpan gold);

// Whether `text` holds what a reader would not see, or what could change how the rest reads:
// \phantom and its like, white or zero-sized text, definitions of macros, HTML tags that hide,
// characters that reorder. `what` names it.
bool xr_hides_text(XrSpan text, const char **what);

// Compares answers in words. The answer is equal if the folded forms are, or, where the gold is
// yes, no, true or false, if it begins with that word, a comma or full stop follows, and nothing
// after that takes it back. `explain` may be NULL.
XrVerdict xr_text_compare(XrSpan gold, XrSpan answer, XrBuffer *explain);

#endif
