// What the hardware does at best, to hold results against.
#ifndef XR_REF_YARDSTICK_H
#define XR_REF_YARDSTICK_H

#include "shared/tensor/backend.h"

// Bytes a second that the backend's threads read together from memory too large for any cache, each
// its own part in order: the best of several passes.
double xr_cpu_read_rate(XrBackend *b);

// Single-precision operations a second (a fused multiply-add counts two) of all threads, from
// registers, in the widest vectors in use.
double xr_cpu_multiply_rate(XrBackend *b);

#endif
