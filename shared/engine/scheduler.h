// Which sequences run, and with which pages. Sequences are admitted in the order of their age; when
// pages run out, the youngest one gives its own back and is computed again later. None of this
// changes what is sampled: each row of the model's output depends on its own sequence alone.
#ifndef XR_ENGINE_SCHEDULER_H
#define XR_ENGINE_SCHEDULER_H

#include "shared/engine/kept.h"

typedef struct XrScheduler {
    XrPagePool pool;
    XrKept kept;
    XrSequence **running; // [running_count] by age
    XrSequence **waiting; // [waiting_count] by age
    int running_count, waiting_count, waiting_capacity;
    int max_sequences;
    int64_t max_batch_tokens;
    int64_t preemptions;
} XrScheduler;

// Tokens of a sequence that the next step runs: [begin, begin + count) of prompt and output.
typedef struct XrChunk {
    XrSequence *sequence;
    int64_t begin, count;
    int64_t row; // of the batch, where it starts
    int drawn;   // the draw of the step before that gives its last token, where the host has not
                 // seen that; -1: all are known
} XrChunk;

void xr_scheduler_create(XrScheduler *s, int32_t pages, int max_sequences,
                         int64_t max_batch_tokens);
void xr_scheduler_destroy(XrScheduler *s);

// Puts a sequence among the waiting ones.
void xr_scheduler_wait(XrScheduler *s, XrSequence *sequence);
// Puts a sequence that has pages for what is cached among the running ones; false when there are
// max_sequences of them.
bool xr_scheduler_run(XrScheduler *s, XrSequence *sequence);
// Takes a finished sequence, wherever it is, out, and gives its pages back or keeps them.
void xr_scheduler_leave(XrScheduler *s, XrSequence *sequence);

// Makes room, admits, and chooses what the next step runs: first the sequences that need one token,
// then parts of the others, up to max_batch_tokens. `chunks` has room for max_sequences. Returns
// how many; 0 only when nothing is running or waiting, or all of it awaits what is ahead.
int xr_scheduler_plan(XrScheduler *s, XrChunk *chunks);

#endif
