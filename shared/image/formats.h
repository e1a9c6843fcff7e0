// The decoders behind shared/image/image.h. Each takes the whole file in memory and gives upright
// or still unrotated RGB together with the EXIF orientation that is to be applied.
#ifndef XR_IMAGE_FORMATS_H
#define XR_IMAGE_FORMATS_H

#include "shared/image/image.h"

typedef struct XrImageSource {
    const uint8_t *bytes;
    size_t count;
    const char *name;       // for messages
    XrImageOptions options; // with the defaults filled in
} XrImageSource;

// Gives `out` memory for width x height pixels, or fails naming the size where it is zero, beyond
// the cap, not to be had, or where the file is shorter than `least`, the bytes that a picture of
// this size takes at the very least.
bool xr_image_allocate(XrImage *out, const XrImageSource *source, int64_t width, int64_t height,
                       uint64_t least, XrError *err);

// On failure the caller frees what `out` already has. `*orientation` is 1 to 8.
bool xr_png_decode(XrImage *out, int *orientation, const XrImageSource *source, XrError *err);
bool xr_jpeg_decode(XrImage *out, int *orientation, const XrImageSource *source, XrError *err);
bool xr_webp_decode(XrImage *out, int *orientation, const XrImageSource *source, XrError *err);

// One channel of a pixel laid on white: Pillow's paste with a mask, round(colour * alpha / 255 +
// 255 * (255 - alpha) / 255).
static inline uint8_t xr_on_white(unsigned colour, unsigned alpha) {
    unsigned sum = colour * alpha + 255 * (255 - alpha) + 128;
    return (uint8_t)((sum + (sum >> 8)) >> 8);
}

#endif
