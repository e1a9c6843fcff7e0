// Pinned host memory of the emulation. A copy to it shows when the host has waited for it, and is
// NaN before; where the host has written to what a copy was from before it has waited, that is an
// error.
#ifndef XR_EMULATION_PINNED_H
#define XR_EMULATION_PINNED_H

#include <stddef.h>
#include <stdint.h>

void *xr_emulation_pin(size_t bytes); // NULL where there is not so much left
void xr_emulation_unpin(void *memory);
bool xr_emulation_is_pinned(const void *address, size_t bytes);

// Copies between pinned and device memory, made when they are asked for; false where `to` or `from`
// is not in pinned memory.
bool xr_emulation_copy_to_pinned(void *to, const void *from, size_t bytes);
bool xr_emulation_copy_from_pinned(void *to, const void *from, size_t bytes);

// How many such copies have been asked for, and that the host has waited for the first so many.
uint64_t xr_emulation_copies_asked(void);
void xr_emulation_copies_reached(uint64_t count);

#endif
