// From pictures to the vision tower's input: resize, normalise, cut into patches. Equal to
// transformers' Qwen2VLImageProcessor bit for bit.
#ifndef XR_IMAGE_PREPROCESS_H
#define XR_IMAGE_PREPROCESS_H

#include "shared/base/thread.h"
#include "shared/image/image.h"
#include "shared/image/processor.h"

// A row of image_grid_thw: patches along time, height and width. A still has t = 1.
typedef struct XrImageGrid {
    int64_t t, h, w;
} XrImageGrid;

// Rows of pixel_values, t * h * w, and tokens of the language model, rows / merge_size^2.
int64_t xr_grid_rows(const XrImageGrid *grid);
int64_t xr_grid_tokens(const XrImageGrid *grid, const XrImageProcessor *processor);

// The size that a picture of `height` x `width` pixels is resized to: multiples of `factor`, area
// within [min_pixels, max_pixels], aspect ratio kept as well as that allows (transformers'
// smart_resize). Fails when one side is over 200 times the other, or when no size is possible.
// `name` is what errors call the picture.
bool xr_smart_resize(int height, int width, int factor, int64_t min_pixels, int64_t max_pixels,
                     const char *name, int *out_height, int *out_width, XrError *err);

// The grid of a picture: its size after the processor's resizing (or its own size, which must then
// be a multiple of patch_size * merge_size, when do_resize is false) in patches.
bool xr_image_grid(const XrImageProcessor *processor, int height, int width, const char *name,
                   XrImageGrid *out, XrError *err);

// Writes pixel_values of one picture: out[row][column], xr_grid_rows(grid) x
// xr_patch_columns(processor), where `grid` is what xr_image_grid gave for the picture's size.
//   row    = ((hb * (w / m) + wb) * m + mh) * m + mw   for the patch (hb * m + mh, wb * m + mw)
//   column = ((channel * temporal + tau) * patch + py) * patch + px
// `threads` may be NULL; the result does not depend on it. Fails only for want of memory.
bool xr_image_patches(const XrImageProcessor *processor, const XrImage *image,
                      const XrImageGrid *grid, XrThreads *threads, float *out, XrError *err);

// The pictures of a request, one after the other. Zero-initialise, append, free.
typedef struct XrPixels {
    int64_t rows, columns; // of values
    float *values;         // [rows, columns]
    int64_t count;         // pictures
    XrImageGrid *grids;    // [count]
    int64_t capacity;      // rows that `values` has room for
} XrPixels;

// Appends the rows and the grid of one picture. On failure nothing is changed.
bool xr_pixels_append(XrPixels *pixels, const XrImageProcessor *processor, const XrImage *image,
                      const char *name, XrThreads *threads, XrError *err);
// The same for the picture file at `path`.
bool xr_pixels_append_file(XrPixels *pixels, const XrImageProcessor *processor, const char *path,
                           const XrImageOptions *options, XrThreads *threads, XrError *err);
void xr_pixels_free(XrPixels *pixels);

#endif
