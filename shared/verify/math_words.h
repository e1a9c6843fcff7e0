// The words that answers hold beside their formulas: number words, connectives, names of months,
// and words that change or do not change what an answer says.
#ifndef XR_VERIFY_MATH_WORDS_H
#define XR_VERIFY_MATH_WORDS_H

#include <stddef.h>

typedef enum XrWordClass {
    XR_W_UNKNOWN,
    XR_W_DIGIT, // value 0 to 19
    XR_W_TENS,  // value 20 to 90
    XR_W_SCALE, // value: the power of ten; dozen: 0
    XR_W_AND,
    XR_W_OR,
    XR_W_FILLER,    // says nothing: the, is, exactly
    XR_W_ABOUT,     // approximately
    XR_W_STOP,      // changes what is said: not, at least, except
    XR_W_QUALIFIER, // begins a clause: where, for, with
    XR_W_BENIGN,    // may stand in a clause that only says what kind a variable is
    XR_W_MONTH,     // value 1 to 12
    XR_W_AM,
    XR_W_PM,
    XR_W_ORDINAL, // th, st, nd, rd
    XR_W_PERCENT,
    XR_W_DEGREES,
    XR_W_RADIANS,
    XR_W_OPERATOR, // value: the character, or '2', '3' for squared, cubed
    XR_W_NONE,     // none, no solution
    XR_W_SQUARE,   // square, cubic, before a unit. value 2 or 3
    XR_W_PER,
    XR_W_PART, // half, third, fifths. value: into how many
} XrWordClass;

typedef struct XrWord {
    const char *word;
    unsigned char class;
    short value;
} XrWord;

// The entry of a word, in any case, or NULL.
const XrWord *xr_math_word(const char *word, size_t bytes);

#endif
