#include "shared/cli/device.h"

#include <string.h>

XrBackend *xr_device_open(const XrDevice *device, XrError *err) {
    if (strcmp(device->name, "cuda") != 0) return xr_cpu_create((int)device->threads);
    XrBackend *b = xr_cuda_create(0, XR_BF16, (int)device->threads, err);
    if (b) b->batch_invariant = device->batch_invariant;
    return b;
}
