// Ctrl-C: the first asks long work to end at a safe point, a second ends the program at once.
#ifndef XR_BASE_INTERRUPT_H
#define XR_BASE_INTERRUPT_H

#include <stdbool.h>

// From here on interrupts are counted; waiting for input ends with EINTR.
void xr_interrupt_watch(void);
// The same, and SIGTERM, by which a batch system asks a job to end, counts as an interrupt too.
void xr_interrupt_watch_job(void);
// Whether one has come since the last xr_interrupt_clear.
bool xr_interrupted(void);
void xr_interrupt_clear(void);

#endif
