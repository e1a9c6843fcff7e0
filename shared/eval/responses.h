// Stored responses of other systems, from a JSON Lines file or a JSON array: "id" and "response"
// (or what published outputs call them: docs/evaluation.md), a text or a list of samples, and where
// there are, "dataset" (needed when several benchmarks are loaded), "sample", "truncated" (false),
// "finish_reason", "tokens". Responses that are not numbered are samples in their order.
#ifndef XR_EVAL_RESPONSES_H
#define XR_EVAL_RESPONSES_H

#include "shared/eval/answerer.h"

// Hands the responses of the file `config->responses` over; questions without any are left out.
// Responses to an item that is not asked, and those that cannot be read, are left aside, and their
// numbers go to stderr, each with the first one's place. Errors that name the line: more responses
// to an item than `num_generations`, two with the same number, and that no line can be read.
bool xr_responses_run(const XrRunConfig *config, const XrSuite *suite, const XrAskedList *list,
                      const XrAnswerSink *sink, XrError *err);

#endif
