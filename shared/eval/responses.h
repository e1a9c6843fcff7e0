// Stored responses of other systems, from a JSON Lines file: "id" and "response", and where there
// are, "dataset" (needed when several benchmarks are loaded), "sample" (0), "truncated" (false),
// "finish_reason", "tokens".
#ifndef XR_EVAL_RESPONSES_H
#define XR_EVAL_RESPONSES_H

#include "shared/eval/answerer.h"

// Hands the responses of the file `config->responses` over; questions without any are left out. One
// to an item that is not asked is left aside, and their number goes to stderr with the first one's
// line; a line that cannot be read, and a second response to the same item and sample, are errors
// that name the line.
bool xr_responses_run(const XrRunConfig *config, const XrSuite *suite, const XrAskedList *list,
                      const XrAnswerSink *sink, XrError *err);

#endif
