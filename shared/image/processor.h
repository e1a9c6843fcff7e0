// What preprocessor_config.json of a Qwen2-VL or Qwen2.5-VL folder says about making patches.
#ifndef XR_IMAGE_PROCESSOR_H
#define XR_IMAGE_PROCESSOR_H

#include "shared/base/buffer.h"
#include "shared/base/error.h"

#include <stdbool.h>
#include <stdint.h>

// transformers has two processors whose results differ in the last bit of some values.
typedef enum XrImageVariant {
    XR_IMAGE_SLOW,          // Qwen2VLImageProcessor with Pillow 13's bicubic
    XR_IMAGE_SLOW_PILLOW12, // the same with Pillow before 13, which resizes in another order
    XR_IMAGE_FAST,          // Qwen2VLImageProcessorFast on a CPU: torchvision's bicubic on bytes
} XrImageVariant;

typedef struct XrImageProcessor {
    int64_t min_pixels, max_pixels; // bounds of the resized picture's area
    int patch_size;                 // pixels, both directions: 14
    int temporal_patch_size;        // frames in a patch: 2 (a still is repeated)
    int merge_size;                 // patches that become one token, per direction: 2
    bool do_resize, do_rescale, do_normalize;
    double rescale_factor; // 1/255
    double mean[3], std[3];
    XrImageVariant variant;
} XrImageProcessor;

// The published values of Qwen2.5-VL.
extern const XrImageProcessor XR_QWEN25_VL_PROCESSOR;

// Reads preprocessor_config.json of the model folder, or where that is missing the
// "image_processor" of processor_config.json (transformers 5); where both are missing, the
// published values. `notice` receives one line of text for each value that had to be assumed
// (nothing when all was given). An unknown kind of processor or an unsupported value is an error
// that names it.
bool xr_image_processor_load(XrImageProcessor *out, const char *folder, XrBuffer *notice,
                             XrError *err);

// Whether the values make sense together (after a caller has changed min_pixels or max_pixels,
// say).
bool xr_image_processor_check(const XrImageProcessor *processor, const char *name, XrError *err);

// Columns of a row of patches: 3 * temporal_patch_size * patch_size^2 (1176).
int64_t xr_patch_columns(const XrImageProcessor *processor);

#endif
