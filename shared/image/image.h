// Pictures from files: PNG, JPEG and WebP, recognised by their content, to 8-bit RGB. The bytes are
// those that Pillow gives after ImageOps.exif_transpose and convert("RGB"), which is how
// transformers loads a picture (docs/images.md lists the rules and the traps).
#ifndef XR_IMAGE_IMAGE_H
#define XR_IMAGE_IMAGE_H

#include "shared/base/error.h"

#include <stddef.h>
#include <stdint.h>

// rgb[(y * width + x) * 3 + channel], height * width * 3 bytes, owned by the image.
typedef struct XrImage {
    int width, height; // pixels, both at least 1
    uint8_t *rgb;
} XrImage;

typedef enum XrAlpha {
    XR_ALPHA_DROP,  // keep the colour that lies under the transparency, as transformers does
    XR_ALPHA_WHITE, // lay the picture on white
} XrAlpha;

typedef enum XrGrey16 {
    XR_GREY16_CLIP,  // values above 255 become 255, as Pillow does with 16-bit grey PNG
    XR_GREY16_SCALE, // take the high byte
} XrGrey16;

// All zero is what transformers does, within the default caps.
typedef struct XrImageOptions {
    XrAlpha alpha;
    XrGrey16 grey16;
    int64_t max_pixels; // width * height that is accepted; 0: 200 million
    size_t max_bytes;   // size of a file that is accepted; 0: 512 MiB
} XrImageOptions;

// Decodes the picture in `bytes`; `name` is what errors call it. `options` may be NULL. On success
// the caller frees `out` with xr_image_free; on failure `out` is empty. Fails on formats other than
// the three, damaged or truncated data, and pictures over the caps, which are checked before memory
// for the pixels is asked for. Of an animation, the first frame.
bool xr_image_decode(XrImage *out, const void *bytes, size_t count, const char *name,
                     const XrImageOptions *options, XrError *err);

// The same for the file at `path`, whatever its name ends in.
bool xr_image_read(XrImage *out, const char *path, const XrImageOptions *options, XrError *err);

void xr_image_free(XrImage *image);

#endif
