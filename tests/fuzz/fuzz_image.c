// Any bytes as a picture: decoded, and cut into patches, within small caps.
#include "shared/image/preprocess.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    XrImageProcessor processor = XR_QWEN25_VL_PROCESSOR;
    processor.max_pixels = 50000;
    // The last byte chooses the options, so that a file of the corpus stays a picture.
    uint8_t choice = size ? data[size - 1] : 0;
    processor.variant = choice & 4 ? XR_IMAGE_FAST : XR_IMAGE_SLOW;
    XrImageOptions options = {.alpha = choice & 1 ? XR_ALPHA_WHITE : XR_ALPHA_DROP,
                              .grey16 = choice & 2 ? XR_GREY16_SCALE : XR_GREY16_CLIP,
                              .max_pixels = 1 << 18};
    XrImage image;
    XrPixels pixels = {0};
    XrError err;
    if (!xr_image_decode(&image, data, size, "fuzz", &options, &err)) return 0;
    xr_pixels_append(&pixels, &processor, &image, "fuzz", NULL, &err);
    xr_pixels_free(&pixels);
    xr_image_free(&image);
    return 0;
}
