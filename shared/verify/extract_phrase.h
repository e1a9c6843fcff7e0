// Statements of an answer that no mark encloses: "the answer is …", "#### 18", a last line or a
// last sentence that is or ends in a value.
#ifndef XR_VERIFY_EXTRACT_PHRASE_H
#define XR_VERIFY_EXTRACT_PHRASE_H

#include "shared/verify/span.h"

typedef struct XrStatement {
    XrSpan value;
    size_t begin;    // of the whole statement in the text
    bool unfinished; // the text ends before the value
    bool negated;    // "the answer is not …"
    bool cut;        // an explanation or a further sentence follows on the line
} XrStatement;

// The last phrase that states an answer: "answer is", "answer:", "answer to … is", "Answer" as a
// heading, "correct option is", "答案是". `choice`: a label such as "B." does not end the value.
bool xr_find_phrase(XrSpan text, bool choice, XrStatement *out);

// The last line that begins with "####" and goes on with a number (a heading does not).
bool xr_find_hashes(XrSpan text, XrStatement *out);

// The last line where it begins with "A:" or "A." and goes on with a number.
bool xr_find_label(XrSpan text, XrStatement *out);

// The last line where it is nothing but a short value.
bool xr_find_last_line(XrSpan text, XrStatement *out);

// The last sentence's "… is VALUE." or "… are VALUE."; not where it says "or", "not" and the like.
// `any_words`: the value may be words, not only something that begins as a number or formula does.
bool xr_find_conclusion(XrSpan text, bool any_words, XrStatement *out);

// The last line of `text` that is not blank, trimmed.
XrSpan xr_last_line(XrSpan text);
// The last sentence of one line, of which only the last 4000 bytes are looked at.
XrSpan xr_last_sentence(XrSpan line);

// Whether the sentence says "not", "or", "if", "might" and the like.
bool xr_is_hedged(XrSpan sentence);

// Whether `value` begins as a number or formula does.
bool xr_looks_like_value(XrSpan value);
// Whether `value` is short and holds a digit, a formula or at most four words.
bool xr_is_short_value(XrSpan value);
// How many words, separated by spaces.
size_t xr_count_words(XrSpan text);
// Takes Markdown's emphasis, quotes and final punctuation off both ends.
XrSpan xr_strip_marks(XrSpan value);

#endif
