// Generation for many requests at once: requests are added at any time, each step runs what is due
// of all of them as one batch, and finished responses are taken. docs/engine.md follows a request
// through it. What is sampled for a request depends on the model, the request and its id alone, bit
// for bit: not on other requests, their order, the sizes below, or the number of threads.
//
//   XrEngine *engine;
//   xr_engine_create(&engine, model, tokenizer, &config, &err);
//   xr_engine_add(engine, &request, &err);
//   while (xr_engine_step(engine)) continue;
//   XrResponse *response = xr_engine_take(engine);
//   xr_response_free(response);
//   xr_engine_free(engine);
//
// An engine is used by one thread at a time.
#ifndef XR_ENGINE_ENGINE_H
#define XR_ENGINE_ENGINE_H

#include "shared/engine/request.h"
#include "shared/model/model.h"
#include "shared/text/tokenizer.h"

typedef struct XrEngine XrEngine;

// Zero takes the default.
typedef struct XrEngineConfig {
    int max_sequences;        // samples that run at the same time; 64
    int64_t max_batch_tokens; // tokens of a step, at least max_sequences; 512
    // Memory for keys and values; what max_sequences of the model's longest context take, but at
    // most a quarter of the machine's memory.
    size_t cache_bytes;
} XrEngineConfig;

// What an engine has done since it was made.
typedef struct XrEngineStats {
    int64_t steps;
    int64_t tokens;      // run through the language model
    int64_t drawn;       // tokens sampled
    int64_t pictures;    // requests' pictures embedded
    int64_t preemptions; // samples that gave their pages back and were computed again
    int64_t requests, running, waiting; // in the engine now
    int64_t pages, free_pages, least_free_pages;
    int64_t waits;        // for the backend's results, by anyone
    int64_t graphs;       // recorded, where the backend has them
    int64_t replays;      // steps that were the launch of a graph
    double seconds;       // in steps
    double model_seconds; // of these, in the model, the vision tower and the sampler
} XrEngineStats;

// Bytes of cache that XR_KV_PAGE tokens take in all layers.
size_t xr_engine_page_bytes(const XrModel *model);

// The model and the tokenizer stay the caller's and must outlive the engine. Without a tokenizer
// (NULL), responses have no text, and stop strings and think budgets are refused. Fails for want of
// memory, and when cache_bytes hold less than a page.
bool xr_engine_create(XrEngine **out, const XrModel *model, const XrTokenizer *tokenizer,
                      const XrEngineConfig *config, XrError *err);
// Drops what is unfinished.
void xr_engine_free(XrEngine *engine);

// The most tokens that a prompt and its response may have together.
int64_t xr_engine_context(const XrEngine *engine);

// Adds a request. Errors say what is wrong with it; a prompt that the context cannot hold is one.
bool xr_engine_add(XrEngine *engine, const XrRequest *request, XrError *err);
// Ends a request at the start of the next step, with what its samples have by then. May be called
// from an XrPieceFn, which xr_engine_add, xr_engine_step and xr_engine_take may not.
void xr_engine_cancel(XrEngine *engine, uint64_t id);

// Runs one batch; returns whether requests are left in the engine.
bool xr_engine_step(XrEngine *engine);
// The next finished response, the caller's to free, or NULL. In the order in which they finished.
XrResponse *xr_engine_take(XrEngine *engine);

// Adds `count` requests, runs them to their ends and stores their responses in the same order. The
// engine must be empty. When one of them is refused, none are run.
bool xr_engine_generate(XrEngine *engine, const XrRequest *requests, int count, XrResponse **out,
                        XrError *err);

XrEngineStats xr_engine_stats(const XrEngine *engine);

#endif
