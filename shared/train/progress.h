// How far long work is, on stderr: on a terminal one line that is written over, with rate and time
// left; otherwise a plain line now and then.
#ifndef XR_TRAIN_PROGRESS_H
#define XR_TRAIN_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

typedef struct XrProgress {
    const char *title; // "sft", not owned
    const char *unit;  // "steps"
    int64_t total, first;
    bool terminal;
    double started, shown; // seconds
} XrProgress;

// `done` of `total` are behind already (a resumed run); total 0: not known.
XrProgress xr_progress_begin(const char *title, const char *unit, int64_t done, int64_t total);
// `note` is what stands behind the counts ("loss 1.23"), or "".
void xr_progress_update(XrProgress *progress, int64_t done, const char *note);
// Ends the line of a terminal, so that what is printed next stands on one of its own.
void xr_progress_end(XrProgress *progress);

// Seconds of a clock that only goes forward.
double xr_seconds(void);

#endif
