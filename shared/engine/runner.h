// One step of the model: chunks of many sequences as one ragged batch, and the draws from it. All
// memory is had when the runner is made, except the room for pictures, repetition penalties and
// suppressed ids, which grows when first needed.
#ifndef XR_ENGINE_RUNNER_H
#define XR_ENGINE_RUNNER_H

#include "shared/engine/scheduler.h"
#include "shared/model/language.h"

typedef struct XrRunner XrRunner;

// A token to be drawn for a sequence from a row of the hidden states.
typedef struct XrDraw {
    XrSequence *sequence;
    int64_t row;
    int32_t id;
    float logprob, scaled;
} XrDraw;

// `pages` of cache for every layer, batches of up to max_batch_tokens tokens of max_sequences
// sequences that are at most `context` tokens long. Fails for want of memory.
bool xr_runner_create(XrRunner **out, const XrModel *model, int32_t pages, int max_sequences,
                      int64_t max_batch_tokens, int64_t context, XrError *err);
void xr_runner_free(XrRunner *runner);

// Runs the chunks through the model, filling their places in the cache. Returns the hidden states
// [tokens, hidden] after the final norm, valid until the next call. Pictures whose tokens are among
// them must have been embedded. Fails only for want of memory.
bool xr_runner_forward(XrRunner *runner, const XrChunk *chunks, int count, XrTensor *hidden,
                       XrError *err);

// Draws a token for each of `draws`. Fails only for want of memory.
bool xr_runner_draw(XrRunner *runner, const XrTensor *hidden, XrDraw *draws, int count,
                    XrError *err);

// log softmax(logits / temperature)[targets[i]] of row `row` + i, for `count` rows that are at most
// as many as a batch has tokens; temperature 0 counts as 1.
void xr_runner_score(XrRunner *runner, const XrTensor *hidden, int64_t row, const int32_t *targets,
                     int64_t count, float temperature, float *out);

// Copies page from[i] to page to[i] in every layer; at most max_sequences of them.
void xr_runner_copy_pages(XrRunner *runner, const int32_t *from, const int32_t *to, int count);

#endif
