#include "shared/image/preprocess.h"

#include "ref/image.h"
#include "shared/base/memory.h"
#include "shared/image/resize.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h> // defines: madvise

enum { MAX_ASPECT_RATIO = 200 };

int64_t xr_grid_rows(const XrImageGrid *grid) {
    return grid->t * grid->h * grid->w;
}

int64_t xr_grid_tokens(const XrImageGrid *grid, const XrImageProcessor *processor) {
    return xr_grid_rows(grid) / ((int64_t)processor->merge_size * processor->merge_size);
}

bool xr_smart_resize(int height, int width, int factor, int64_t min_pixels, int64_t max_pixels,
                     const char *name, int *out_height, int *out_width, XrError *err) {
    XR_REQUIRE(height > 0 && width > 0 && factor > 0 && min_pixels > 0 && max_pixels > 0,
               "smart_resize: %d x %d by %d", height, width, factor);
    double longer = XR_MAX(height, width), shorter = XR_MIN(height, width);
    if (longer / shorter > MAX_ASPECT_RATIO) {
        return xr_fail(err, XR_ERR_UNSUPPORTED,
                       "%s: is %d x %d pixels; one side may be at most %d times the other; crop it",
                       name, width, height, (int)MAX_ASPECT_RATIO);
    }
    // rint rounds halves to even, as Python's round does.
    double f = factor, area = (double)height * width;
    double h = rint(height / f) * f, w = rint(width / f) * f;
    if (h * w > (double)max_pixels) {
        double beta = sqrt(area / (double)max_pixels);
        h = fmax(f, floor(height / beta / f) * f);
        w = fmax(f, floor(width / beta / f) * f);
    } else if (h * w < (double)min_pixels) {
        double beta = sqrt((double)min_pixels / area);
        h = ceil(height * beta / f) * f;
        w = ceil(width * beta / f) * f;
    }
    if (h * w > INT32_MAX) {
        return xr_fail(err, XR_ERR_LIMIT, "%s: would be resized to %.0f x %.0f; lower min_pixels",
                       name, w, h);
    }
    *out_height = (int)h;
    *out_width = (int)w;
    return true;
}

bool xr_image_grid(const XrImageProcessor *p, int height, int width, const char *name,
                   XrImageGrid *out, XrError *err) {
    int factor = p->patch_size * p->merge_size;
    if (p->do_resize) {
        if (!xr_smart_resize(height, width, factor, p->min_pixels, p->max_pixels, name, &height,
                             &width, err)) {
            return false;
        }
    } else if (height % factor || width % factor) {
        return xr_fail(err, XR_ERR_INPUT,
                       "%s: is %d x %d pixels; without resizing (do_resize is false) both must be "
                       "multiples of %d",
                       name, width, height, factor);
    }
    *out = (XrImageGrid){1, height / p->patch_size, width / p->patch_size};
    return true;
}

// ---- one picture ----

// The value of each byte in each channel; the roundings are those of the two processors, which work
// in float32 but for the slow one's product with rescale_factor.
static void fill_table(const XrImageProcessor *p, float table[3][256]) {
    bool fused = p->variant == XR_IMAGE_FAST && p->do_rescale && p->do_normalize;
    float inverse = (float)(1.0 / p->rescale_factor);
    for (int c = 0; c < 3; c++) {
        float mean = (float)p->mean[c], std = (float)p->std[c];
        if (fused) {
            mean *= inverse;
            std *= inverse;
        }
        for (int x = 0; x < 256; x++) {
            float v = (float)x;
            if (p->do_rescale && p->variant != XR_IMAGE_FAST) v = (float)(x * p->rescale_factor);
            if (p->do_rescale && p->variant == XR_IMAGE_FAST && !fused) {
                v *= (float)p->rescale_factor;
            }
            table[c][x] = p->do_normalize ? (v - mean) / std : v;
        }
    }
}

static void cut(const XrImageProcessor *p, const XrImage *image, const XrImageGrid *grid,
                XrThreads *threads, float *out) {
    float table[3][256];
    fill_table(p, table);
    XrPatchLayout layout = {grid->h, grid->w, p->patch_size, p->merge_size, p->temporal_patch_size};
    xr_cpu_patchify(out, image->rgb, table[0], &layout, threads);
}

bool xr_image_patches(const XrImageProcessor *p, const XrImage *image, const XrImageGrid *grid,
                      XrThreads *threads, float *out, XrError *err) {
    int width = (int)grid->w * p->patch_size, height = (int)grid->h * p->patch_size;
    if (width == image->width && height == image->height) {
        cut(p, image, grid, threads, out);
        return true;
    }
    XrImage resized;
    if (!xr_image_resize(&resized, image, width, height, p->variant, threads, err)) return false;
    cut(p, &resized, grid, threads, out);
    xr_image_free(&resized);
    return true;
}

// ---- several pictures ----

// Large arrays that are filled once are worth large pages; the system may decline.
static void ask_for_large_pages(float *values, size_t bytes) {
    const size_t page = 2u << 20;
    size_t skip = (page - (uintptr_t)values % page) % page;
    if (bytes >= skip + page) madvise((char *)values + skip, bytes - skip, MADV_HUGEPAGE);
}

static bool reserve(XrPixels *pixels, int64_t rows, XrError *err) {
    if (rows <= pixels->capacity) return true;
    int64_t capacity = pixels->rows == 0 ? rows : XR_MAX(rows, pixels->capacity * 3 / 2);
    size_t row_bytes = (size_t)pixels->columns * sizeof(float), bytes = 0;
    if (!xr_mul_size((size_t)capacity, row_bytes, &bytes)) {
        return xr_fail(err, XR_ERR_LIMIT, "the pictures have too many patches");
    }
    float *values = xr_try_alloc(bytes, "the pictures' patches", err);
    if (!values) return false;
    ask_for_large_pages(values, bytes);
    if (pixels->rows) memcpy(values, pixels->values, (size_t)pixels->rows * row_bytes);
    free(pixels->values);
    pixels->values = values;
    pixels->capacity = capacity;
    return true;
}

bool xr_pixels_append(XrPixels *pixels, const XrImageProcessor *processor, const XrImage *image,
                      const char *name, XrThreads *threads, XrError *err) {
    int64_t columns = xr_patch_columns(processor);
    XR_REQUIRE(pixels->count == 0 || pixels->columns == columns,
               "pixels: rows of %" PRId64 " after rows of %" PRId64, columns, pixels->columns);
    XrImageGrid grid = {0};
    if (!xr_image_grid(processor, image->height, image->width, name, &grid, err)) return false;
    int64_t rows = xr_grid_rows(&grid);
    pixels->columns = columns;
    if (!reserve(pixels, pixels->rows + rows, err) ||
        !xr_image_patches(processor, image, &grid, threads, pixels->values + pixels->rows * columns,
                          err)) {
        return xr_fail_in(err, "%s", name);
    }
    size_t count = (size_t)pixels->count;
    pixels->grids = xr_realloc(pixels->grids, (count + 1) * sizeof *pixels->grids);
    pixels->grids[pixels->count++] = grid;
    pixels->rows += rows;
    return true;
}

bool xr_pixels_append_file(XrPixels *pixels, const XrImageProcessor *processor, const char *path,
                           const XrImageOptions *options, XrThreads *threads, XrError *err) {
    XrImage image;
    if (!xr_image_read(&image, path, options, err)) return false;
    bool ok = xr_pixels_append(pixels, processor, &image, path, threads, err);
    xr_image_free(&image);
    return ok;
}

void xr_pixels_free(XrPixels *pixels) {
    free(pixels->values);
    free(pixels->grids);
    *pixels = (XrPixels){0};
}
