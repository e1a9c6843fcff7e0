// Functions that kernels call too: `static inline XR_HOST_DEVICE int f(...)`.
#ifndef XR_BASE_HOST_DEVICE_H
#define XR_BASE_HOST_DEVICE_H

#ifdef __CUDACC__
#define XR_HOST_DEVICE __host__ __device__
#else
#define XR_HOST_DEVICE
#endif

#endif
