// Ctrl-C: the first asks long work to end at its next safe point, a second ends the program at
// once.
#ifndef XR_TRAIN_INTERRUPT_H
#define XR_TRAIN_INTERRUPT_H

#include <stdbool.h>

// From now on SIGINT and SIGTERM are caught once each.
void xr_interrupt_catch(void);
// Whether one came.
bool xr_interrupted(void);

#endif
