// Ctrl-C: the first asks long work to end at a safe point, a second ends the program at once.
#ifndef XR_CLI_INTERRUPT_H
#define XR_CLI_INTERRUPT_H

#include <stdbool.h>

// From here on interrupts are counted; waiting for input ends with EINTR.
void xr_interrupt_watch(void);
// Whether one has come since the last xr_interrupt_clear.
bool xr_interrupted(void);
void xr_interrupt_clear(void);

#endif
