// Bicubic resizing of whole pictures, byte for byte as Pillow or torchvision do it.
#ifndef XR_IMAGE_RESIZE_H
#define XR_IMAGE_RESIZE_H

#include "shared/base/thread.h"
#include "shared/image/image.h"
#include "shared/image/processor.h"

// `in` resampled to width x height pixels, each axis in a pass of its own with bytes in between; an
// axis that keeps its length has no pass. The variant decides the precision of the weights and
// which pass comes first: docs/images.md. `out` is freed by the caller. `threads` may be NULL; the
// result does not depend on it. Fails only for want of memory, or where a side shrinks over 1000
// times.
bool xr_image_resize(XrImage *out, const XrImage *in, int width, int height, XrImageVariant variant,
                     XrThreads *threads, XrError *err);

#endif
