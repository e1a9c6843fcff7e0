// What a response gives as its answer. The response is adversarial: one piece of text is taken by a
// fixed rule and then judged whole, so that listing several answers cannot help, and where the
// response stops short nothing is taken. docs/verifier.md has the rules with examples.
#ifndef XR_VERIFY_EXTRACT_H
#define XR_VERIFY_EXTRACT_H

#include "shared/base/buffer.h"
#include "shared/verify/span.h"

typedef enum XrExtractMethod {
    XR_EXTRACT_NONE,       // the response states no answer
    XR_EXTRACT_GIVEN,      // the caller gave the bare answer
    XR_EXTRACT_ANSWER_TAG, // <answer>…</answer>
    XR_EXTRACT_BOXED,      // \boxed{…}
    XR_EXTRACT_HASHES,     // "#### 18"
    XR_EXTRACT_PHRASE,     // "the answer is …", "**Answer:** …"
    XR_EXTRACT_LABEL,      // "A: 18" as the last line
    XR_EXTRACT_WHOLE,      // the response is nothing but a value
    XR_EXTRACT_LAST_LINE,  // its last line is nothing but a value
    XR_EXTRACT_FIRST_LINE, // its first line is an option, what follows explains it
    XR_EXTRACT_CONCLUSION, // its last sentence says "… is VALUE."
    XR_EXTRACT_OPTION,     // its last sentence settles on one option
    XR_EXTRACT_UNFINISHED_THINKING,
    XR_EXTRACT_UNFINISHED_ANSWER, // an <answer>, a box or a phrase that the response's end cuts off
} XrExtractMethod;

// "none", "given", "answer_tag", "boxed", "hashes", "phrase", "label", "whole", "last_line",
// "first_line", "conclusion", "option", "unfinished_thinking", "unfinished_answer".
const char *xr_extract_method_name(XrExtractMethod method);

typedef struct XrExtractRules {
    bool choice;             // an option of a question is looked for, rather than a value
    bool text;               // words are looked for, rather than a value
    bool count_thinking;     // where nothing is found outside thinking, look inside too
    bool starts_in_thinking; // the prompt ended with an opened <think>
    bool open_answer; // an <answer> may end with the response (its closing tag was a stop word)
} XrExtractRules;

typedef struct XrExtraction {
    XrSpan answer; // within the response or the scratch buffer
    XrExtractMethod method;
    XrExtractMethod inner; // of a given answer or an <answer>: how the answer was found inside it
    bool cut;              // the answer ends where a sentence or an explanation was cut off
} XrExtraction;

// Scratch memory of an extraction; what it holds lives until the next extraction or
// xr_extractor_free.
typedef struct XrExtractor {
    XrBuffer visible, list;
} XrExtractor;

// Takes the answer out of `response`. Time is linear in its length.
void xr_extract(XrExtractor *extractor, XrSpan response, const XrExtractRules *rules,
                XrExtraction *out);

// The same for a text that is itself the answer but may still be wrapped: "\boxed{5}",
// "<answer>B</answer>", "The answer is 5.". Where it has no such marks it is taken whole.
void xr_extract_given(XrExtractor *extractor, XrSpan answer, const XrExtractRules *rules,
                      XrExtraction *out);

void xr_extractor_free(XrExtractor *extractor);

#endif
