#include "shared/cli/device.h"

XrBackend *xr_device_open(const XrDevice *device, XrError *err) {
    XrBackend *b = xr_backend_open(device->name, (int)device->threads, err);
    if (b) b->batch_invariant = device->batch_invariant;
    return b;
}
