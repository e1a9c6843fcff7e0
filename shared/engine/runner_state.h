// What the parts of a runner share: runner.c carries out a step, runner_needs.c packs what it
// needs.
#ifndef XR_ENGINE_RUNNER_STATE_H
#define XR_ENGINE_RUNNER_STATE_H

#include "shared/engine/runner.h"

// Rows of logits at a time: the head is read once for so many draws.
enum { XR_RUNNER_DRAWS = 32 };

// Lists that lie one after the other, each aligned to 16 bytes: where they are written on the host,
// and where they will be in the backend's memory.
typedef struct XrRunnerPack {
    int32_t *host, *memory;
    int64_t used, room; // elements
} XrRunnerPack;

// What a step has of each.
typedef struct XrRunnerShape {
    int64_t tokens, sequences, pages, draws;
    bool filled;
} XrRunnerShape;

struct XrRunner {
    const XrModel *model;
    int max_sequences;
    int64_t capacity;   // tokens
    int64_t most_pages; // of a sequence
    bool fills;         // decode steps
    int32_t filling;    // the page that rows of no sequence write to, where it does
    XrKvCache *caches;  // one a layer
    XrGraphs graphs;
    XrLanguageWorkspace *workspace;
    XrTensor needs;          // i32: what a step needs
    XrTensor gives;          // i32: what it gives; the ids drawn, their log-probabilities as f32
                             // raw and scaled, then those of scores
    XrTensor fed;            // i32: ids on their way from one step's draws to the next step
    XrTensor from, to;       // pages
    XrTensor images;         // [capacity, hidden]; had when first needed
    XrTensor hidden, logits; // of draws
    // Of the step that is being launched:
    XrRunnerShape shape;
    XrRunnerPack pack;            // in `needs`
    XrTensor sources, targets;    // i32: elements of `gives`, and of `needs` that get these
    int32_t *feed_from, *feed_to; // the same on the host
    int64_t feeds;
    XrTensor rows, listed; // of its draws; ids under penalty and ids never drawn
    const XrSampleParams *params;
    XrTensor *scored; // of each of its scores: the ids
    int scored_capacity;
};

// Memory of the backend for a list or a matrix (d1 > 0) of the runner's.
bool xr_runner_make(XrRunner *runner, XrTensor *t, XrDType dtype, int64_t d0, int64_t d1,
                    XrError *err);
// Makes a list longer, if need be; its first `kept` elements stay what they are. Graphs hold its
// address, and are dropped.
bool xr_runner_grow(XrRunner *runner, XrTensor *t, int64_t count, int64_t kept, XrError *err);

// The rows that a decode step of `rows` is filled up to.
int64_t xr_runner_filled_rows(int64_t rows);

// Chooses the step's shape, makes room and writes what the step needs to step->in; `in` receives
// the model's input, `lists` the lists that it points to. Fails for want of memory.
bool xr_runner_pack(XrRunner *runner, XrStep *step, const XrChunk *chunks, int count,
                    XrLanguageInput *in, XrTensor lists[3], XrError *err);

// What the step gives, in elements of `gives`.
int64_t xr_runner_given(const XrStep *step);

#endif
