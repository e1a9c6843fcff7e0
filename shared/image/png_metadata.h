// The orientation noted in a PNG file.
#ifndef XR_IMAGE_PNG_METADATA_H
#define XR_IMAGE_PNG_METADATA_H

#include <stddef.h>
#include <stdint.h>

// 1 to 8, from the last eXIf chunk or, where there is none, the last "Raw profile type exif" text
// (ImageMagick's), or else from the XMP text. Reads the chunks of a file that libpng has accepted;
// damaged ones count as absent.
int xr_png_orientation(const uint8_t *png, size_t count);

#endif
