// Device memory of the emulation, for the stand-ins of runtime and libraries.
#ifndef XR_EMULATION_MEMORY_H
#define XR_EMULATION_MEMORY_H

#include <stddef.h>

// Device memory, or `mapped` memory of the host, which kernels reach too and which takes none of
// the device's. NULL where there is not so much left.
void *xr_emulation_allocate(size_t bytes, bool mapped);
bool xr_emulation_release(void *memory);                        // false where it is no allocation
bool xr_emulation_is_device(const void *address, size_t bytes); // or mapped
bool xr_emulation_is_mapped(const void *address);
size_t xr_emulation_memory_size(void);

// memmove and memset that may touch device memory.
void xr_emulation_copy(void *to, const void *from, size_t bytes);
void xr_emulation_set(void *to, int value, size_t bytes);

#endif
