#include "shared/image/resize.h"

#include "ref/image.h"
#include "shared/base/memory.h"
#include "shared/image/resample.h"

#include <stdlib.h>

static bool allocate(XrImage *out, int width, int height, XrError *err) {
    *out = (XrImage){width, height, NULL};
    out->rgb = xr_try_alloc((size_t)width * (size_t)height * 3, "the resized picture", err);
    return out->rgb != NULL;
}

static XrResamplePrecision precision_of(XrImageVariant variant) {
    return variant == XR_IMAGE_FAST ? XR_RESAMPLE_TORCHVISION : XR_RESAMPLE_PILLOW;
}

static bool resize_width(XrImage *out, const XrImage *in, int width, XrImageVariant variant,
                         XrThreads *threads, XrError *err) {
    XrResampleAxis axis = {0};
    bool ok = allocate(out, width, in->height, err) &&
              xr_resample_axis(&axis, in->width, width, precision_of(variant), err) &&
              xr_cpu_resample_rows(out->rgb, in->rgb, in->height, &axis, threads, err);
    xr_resample_axis_free(&axis);
    return ok;
}

static bool resize_height(XrImage *out, const XrImage *in, int height, XrImageVariant variant,
                          XrThreads *threads, XrError *err) {
    XrResampleAxis axis = {0};
    bool ok = allocate(out, in->width, height, err) &&
              xr_resample_axis(&axis, in->height, height, precision_of(variant), err);
    if (ok) xr_cpu_resample_columns(out->rgb, in->rgb, 3ll * in->width, &axis, threads);
    xr_resample_axis_free(&axis);
    return ok;
}

// Pillow 13 shortens first where the height loses over twice as many pixels as the width; the
// versions before it, and torchvision, always begin with the width.
static bool height_comes_first(const XrImage *in, int width, int height, XrImageVariant variant) {
    int64_t lost_rows = (int64_t)in->height - height, lost_columns = (int64_t)in->width - width;
    return variant == XR_IMAGE_SLOW && lost_rows > 0 && lost_rows > 2 * lost_columns;
}

bool xr_image_resize(XrImage *out, const XrImage *in, int width, int height, XrImageVariant variant,
                     XrThreads *threads, XrError *err) {
    XR_REQUIRE(width > 0 && height > 0, "image_resize: to %d x %d", width, height);
    XrImage half = {0};
    *out = (XrImage){0};
    bool ok;
    if (height == in->height) {
        ok = resize_width(out, in, width, variant, threads, err);
    } else if (width == in->width) {
        ok = resize_height(out, in, height, variant, threads, err);
    } else if (height_comes_first(in, width, height, variant)) {
        ok = resize_height(&half, in, height, variant, threads, err) &&
             resize_width(out, &half, width, variant, threads, err);
    } else {
        ok = resize_width(&half, in, width, variant, threads, err) &&
             resize_height(out, &half, height, variant, threads, err);
    }
    xr_image_free(&half);
    if (!ok) xr_image_free(out);
    return ok;
}
