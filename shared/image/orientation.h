// The orientation that a camera noted in a picture's metadata, and turning the pixels upright.
#ifndef XR_IMAGE_ORIENTATION_H
#define XR_IMAGE_ORIENTATION_H

#include "shared/image/image.h"

// The orientation, 1 to 8, by the rules of Pillow's getexif: the first tag 0x0112 of the first
// directory of the EXIF block (with or without "Exif\0\0" in front); where there is no such tag,
// the first tiff:Orientation of the XMP text, written as an attribute or an element. 1 where
// neither says anything that has a meaning, or they are damaged. Either may be absent (NULL, 0).
int xr_orientation(const uint8_t *exif, size_t exif_count, const uint8_t *xmp, size_t xmp_count);

// Turns the picture as EXIF orientation 1 to 8 asks; other values leave it alone. Fails only for
// want of memory, leaving `image` as it was.
bool xr_image_orient(XrImage *image, int orientation, XrError *err);

#endif
