// Multiple choice: which option an answer names, by letter, by the option's text, or by both.
#ifndef XR_VERIFY_CHOICE_H
#define XR_VERIFY_CHOICE_H

#include "shared/base/buffer.h"
#include "shared/verify/span.h"

#include <stdint.h>

enum { XR_MAX_OPTIONS = 26 };

// The options of one question. Texts stay the caller's. `count` 0: the options are not known, and
// any letter may be one. An option whose text is blank or its own letter ("A") is known by letter
// alone.
typedef struct XrOptions {
    XrSpan texts[XR_MAX_OPTIONS];
    int count;
    XrBuffer folded;               // of all texts; made when first needed
    size_t at[XR_MAX_OPTIONS + 1]; // where each begins in `folded`
    bool ready;
    XrBuffer plain, scratch;
} XrOptions;

// Takes over `count` texts (at most XR_MAX_OPTIONS; false otherwise). Labels that all of them carry
// ("A. …", "(B) …") are taken off.
bool xr_options_set(XrOptions *options, const XrSpan *texts, int count);
void xr_options_free(XrOptions *options);

typedef enum XrChoiceStatus {
    XR_CHOICE_NONE,      // names no option
    XR_CHOICE_READ,      // names `letters`
    XR_CHOICE_SEVERAL,   // offers one option or another
    XR_CHOICE_CONFLICT,  // gives a letter and another option's text
    XR_CHOICE_AMBIGUOUS, // gives a text that several options have
} XrChoiceStatus;

typedef struct XrChoice {
    XrChoiceStatus status;
    uint32_t letters; // bit i: the option with letter 'A' + i
    bool by_letter, by_text;
    XrSpan rest; // what follows the letter, in the options' memory; valid until the next call
} XrChoice;

const char *xr_choice_status_name(XrChoiceStatus status);

// Reads a bare answer: "B", "(b)", "B: No", "option B", "**B.** …", "\text{B}", "A and C", or the
// text of an option. The article "A" and the pronoun "I" are no letters of options.
void xr_choice_read(XrOptions *options, XrSpan answer, XrChoice *out);

// The option whose text is `text`, or -1; *several says whether more than one has it.
int xr_options_find(XrOptions *options, XrSpan text, bool *several);

// Whether a line begins with an option's letter as a label: "B", "(B) …", "B. …", "B: …".
bool xr_choice_begins_line(XrSpan line);
// Whether a line may be an answer as it stands: not one that names a letter ("Option B") and goes
// on.
bool xr_choice_is_bare(XrSpan line);
// The last line, if it begins so and the line before is not of the same kind (a list of options).
bool xr_choice_last_line(XrSpan text, XrSpan *out);
// The first of several lines, if it begins so and no other line begins with another letter.
bool xr_choice_first_line(XrSpan text, XrSpan *out);
// The one letter that the last sentence settles on: "…, which is (B).", "Option C is correct."
bool xr_choice_conclusion(XrSpan text, XrSpan *out);

#endif
