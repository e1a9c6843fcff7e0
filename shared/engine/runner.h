// One step of the model: chunks of many sequences as one ragged batch, the draws from it and the
// log-probabilities of injected tokens. What a step needs is sent in one copy and what it gives
// comes back in one; between the two nothing waits for the host, which may launch a step before it
// has looked at the one before. All memory is had when the runner is made, except the room for
// pictures and for what a step needs beyond the usual (repetition penalties), which grows when
// first needed.
#ifndef XR_ENGINE_RUNNER_H
#define XR_ENGINE_RUNNER_H

#include "shared/engine/graphs.h"
#include "shared/engine/scheduler.h"
#include "shared/engine/step.h"
#include "shared/model/language.h"

typedef struct XrRunner XrRunner;

// `pages` of cache for every layer, batches of up to max_batch_tokens tokens of max_sequences
// sequences that are at most `context` tokens long. Fails for want of memory.
bool xr_runner_create(XrRunner **out, const XrModel *model, int32_t pages, int max_sequences,
                      int64_t max_batch_tokens, int64_t context, XrError *err);
void xr_runner_free(XrRunner *runner);

// Asks for a step: the chunks run through the model, filling their places in the cache, and what
// `step` asks for is computed from their rows. At most one other step may be on its way, the one
// launched before. Pictures whose tokens are in the chunks must have been embedded. Fails only for
// want of memory, with nothing asked for.
bool xr_runner_launch(XrRunner *runner, XrStep *step, const XrChunk *chunks, int count,
                      XrError *err);

// Waits for the step that was launched first and fills in the results of its draws and scores.
void xr_runner_collect(XrRunner *runner, XrStep *step);

// Copies page from[i] to page to[i] in every layer; at most max_sequences of them.
void xr_runner_copy_pages(XrRunner *runner, const int32_t *from, const int32_t *to, int count);

// Of its decode steps.
const XrGraphs *xr_runner_graphs(const XrRunner *runner);

#endif
