// Finding the marked parts of a response: what lies outside thinking, <answer> elements, boxes.
// Each scan takes time linear in the text, whatever it holds.
#ifndef XR_VERIFY_EXTRACT_SCAN_H
#define XR_VERIFY_EXTRACT_SCAN_H

#include "shared/base/buffer.h"
#include "shared/verify/span.h"

typedef enum XrFound {
    XR_FOUND_NONE,
    XR_FOUND_WHOLE,
    XR_FOUND_UNFINISHED, // the last one was opened and never closed
} XrFound;

// The text outside <think>…</think> (and <|begin_of_thought|>…<|end_of_thought|>). A closing tag
// without an opening one closes thinking that the prompt had opened, and so does the first closing
// tag where `inside` says that the response starts in thinking; later stray ones are ignored. Where
// several parts remain, or where HTML comments are cut out, the text is built in `scratch`.
// XR_FOUND_UNFINISHED: thinking was never closed, *out is what came before it was opened.
// XR_FOUND_NONE: there are no tags, *out is the text (without comments).
XrFound xr_scan_thinking(XrSpan text, bool inside, XrBuffer *scratch, XrSpan *out);

// The content of the last <answer>…</answer>; where a closing tag has no opening one, which the
// prompt then had, what stands before it. Unfinished: from the last <answer> to the end.
XrFound xr_scan_answer_tag(XrSpan text, XrSpan *out);

// A box found in a text: `whole` from its backslash to its closing brace, `content` inside.
typedef struct XrBox {
    XrSpan content;
    size_t begin, end;
} XrBox;

// The last \boxed{…} or \fbox{…} with its braces balanced; the outermost one where boxes nest. A
// last one that never closes gives XR_FOUND_UNFINISHED, however many whole ones come before it.
// Boxes without content are passed over unless there is no other.
XrFound xr_scan_box(XrSpan text, XrBox *out);

// Where the brace group that opens at `open` ends (the index of its `}`), or XR_NOT_FOUND. Braces
// after an odd number of backslashes do not count.
size_t xr_scan_group_end(XrSpan text, size_t open);

// Extends `*box` over earlier boxes that only commas, "and", "or" and the like separate from it, so
// that a list given in several boxes is read as a list. Returns whether there were any; the list is
// then appended to `scratch`, its members' texts joined by what joined the boxes.
bool xr_scan_box_list(XrSpan text, const XrBox *box, XrBuffer *scratch);

#endif
