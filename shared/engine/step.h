// A step of the engine on its way: what is computed beside keys and values, and for whom. It is
// launched (runner.h), and its results are looked at later, when the step after it may be on its
// way too.
#ifndef XR_ENGINE_STEP_H
#define XR_ENGINE_STEP_H

#include "shared/engine/sequence.h"
#include "shared/tensor/backend.h"

// A token to be drawn from a row of the hidden states.
typedef struct XrDraw {
    XrSequence *sequence; // NULL: nobody waits for it any more
    int64_t row;
    int64_t position; // of the token in the response
    int drawn;        // the draw of the step before that gives the token in front of it, where the
                      // host has not seen that; -1: all are known
    bool forked;      // a sibling's first, from sample 0's row
    int32_t id;       // the results
    float logprob, scaled;
} XrDraw;

// Injected tokens, output[first..first + count) of a sample, whose log-probabilities the rows of
// the hidden states from `row` on give.
typedef struct XrScore {
    XrSequence *sequence; // NULL: nobody waits for it any more
    int64_t first, count, row;
    const float *logprobs, *scaled; // [count] the results, in the step's memory
} XrScore;

typedef struct XrStep {
    XrDraw *draws;
    int draw_count, draw_capacity;
    int draw_places; // that it was launched with, those for nobody behind the others
    XrScore *scores;
    int score_count, score_capacity;
    XrPinned in, out; // what is sent, and what comes back
} XrStep;

// Forgets draws and scores, which must have been looked at.
void xr_step_clear(XrStep *step);
void xr_step_free(XrStep *step, XrBackend *b);

// Asks for the next token of a sequence, whose known tokens have been run or are run in this step;
// from now on the sequence is one token further ahead.
void xr_step_draw(XrStep *step, XrSequence *s, int64_t row, bool forked);
// Asks for the log-probabilities of those injected tokens of a sequence that its tokens
// [begin, begin + count), which the step runs in its rows from `row` on, give.
void xr_step_score(XrStep *step, XrSequence *s, int64_t begin, int64_t count, int64_t row);
// Nobody waits for what was asked for that sequence any more; its draw is no longer ahead.
void xr_step_forget(XrStep *step, XrSequence *s);

#endif
