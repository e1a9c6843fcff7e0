// One sample of a request while it is made.
#ifndef XR_ENGINE_SEQUENCE_H
#define XR_ENGINE_SEQUENCE_H

#include "shared/engine/job.h"
#include "shared/engine/pages.h"

typedef enum XrPhase {
    XR_PHASE_ABSENT,  // a branch that has not begun
    XR_PHASE_SIBLING, // waits until sample 0 has run the prompt for it
    XR_PHASE_WAITING, // without pages
    XR_PHASE_RUNNING,
    XR_PHASE_DONE,
} XrPhase;

// The distinct ids of prompt and output, in order of appearance; empty when there is no penalty.
typedef struct XrSeen {
    int32_t *ids;
    int32_t count, capacity;
    uint64_t *bits; // one an id of the vocabulary
} XrSeen;

struct XrSequence {
    XrJob *job;
    XrSample *sample; // in the job's response; grows
    int64_t capacity;
    XrPhase phase;
    int64_t limit; // of sample->count
    // Draws that have been launched but not looked at, and where in its step the last of them is.
    int ahead, place;
    int64_t cached; // tokens of prompt and output whose keys and values lie in the pages, or will
    XrPageList pages;
    XrSeen seen;
    XrTranscript transcript;
    XrThinking thinking;
    bool exited;     // its exit was forced
    bool branched;   // it went on where its exit was due; its branch was forced
    uint64_t stream; // of its random numbers
};

// Makes the job's response and its sequences. Fails when a forced exit at the very start (a budget
// of 0) cannot be written in tokens.
bool xr_sequences_create(XrJob *job, XrError *err);
void xr_sequences_free(XrJob *job);

// Tokens of prompt and output that the backend's memory or the host's has.
static inline int64_t xr_sequence_known(const XrSequence *s) {
    return xr_job_prompt(s->job) + s->sample->count + s->ahead;
}
// Of those that the host has.
int32_t xr_sequence_token(const XrSequence *s, int64_t at);
static inline bool xr_sequence_exhausted(const XrSequence *s) {
    return s->sample->count >= s->limit;
}
// Whether what is ahead uses up the limit: there is nothing to run until it has been looked at.
static inline bool xr_sequence_awaits(const XrSequence *s) {
    return s->ahead > 0 && s->sample->count + s->ahead >= s->limit;
}

// Order of age: by arrival of the request, then by sample.
bool xr_sequence_older(const XrSequence *a, const XrSequence *b);

// The branch of a sample whose exit is forced while the sample goes on: NULL where none was asked
// for, and for a branch itself. It begins as a sibling.
XrSequence *xr_sequence_branch(const XrSequence *s);
static inline bool xr_sequence_is_branch(const XrSequence *s) {
    return s - s->job->sequences >= s->job->request.samples;
}

// Takes a token that was drawn: appends it, and ends the sample or forces its exit (or that of its
// branch) where that is due.
void xr_sequence_draw(XrSequence *s, int32_t id, float logprob, float scaled);

// Ends the sample: its text is shown whole, its phase is XR_PHASE_DONE. Its pages are left to the
// caller. A sample that was forced to exit ends as XR_FINISH_FORCED_EXIT unless it was interrupted
// or failed.
void xr_sequence_finish(XrSequence *s, XrFinish finish);

// The first output token whose log-probability is still to be computed from what is run in
// [begin, begin + count): injected ones. Returns how many follow each other, and the first.
int64_t xr_sequence_unscored(const XrSequence *s, int64_t begin, int64_t count, int64_t *first);

#endif
