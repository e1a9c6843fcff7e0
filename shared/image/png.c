// PNG through libpng, which is shown only the chunks that make up the picture. Gamma, background
// and colour profiles change nothing, as in Pillow.
#include "shared/image/formats.h"
#include "shared/image/orientation.h"
#include "shared/image/png_metadata.h"

#include "shared/base/memory.h"

#include <png.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <stdnoreturn.h>
#include <string.h>

typedef struct Png {
    png_structp reader;
    png_infop info;
    const XrImageSource *source;
    XrError *err;
    size_t at;        // bytes read
    char warning[80]; // the last one, which says more than the error that may follow
    uint8_t *rows;    // as libpng gives them, where they are not plain RGB
} Png;

static noreturn void stop(png_structp reader, png_const_charp text) {
    Png *png = png_get_error_ptr(reader);
    xr_fail(png->err, XR_ERR_INPUT, "%s: cannot be decoded as PNG: %s%s%s", png->source->name, text,
            png->warning[0] ? ": " : "", png->warning);
    png_longjmp(reader, 1);
}

static void note(png_structp reader, png_const_charp text) {
    Png *png = png_get_error_ptr(reader);
    snprintf(png->warning, sizeof png->warning, "%s", text);
}

static void read_bytes(png_structp reader, png_bytep to, size_t count) {
    Png *png = png_get_io_ptr(reader);
    if (count > png->source->count - png->at) {
        png_error(reader, "the file ends too early");
    }
    memcpy(to, png->source->bytes + png->at, count);
    png->at += count;
}

// Deflate packs at most 1032 bytes into one.
static uint64_t least_bytes(const Png *png) {
    uint64_t height = png_get_image_height(png->reader, png->info);
    return height * png_get_rowbytes(png->reader, png->info) / 1032;
}

// Rows become RGB or, where transparency matters, RGBA; 16 bits are cut to the high byte, but those
// of grey pictures are kept where they are to be clipped. Returns whether they are.
static bool choose_transformations(Png *png) {
    png_structp reader = png->reader;
    png_byte colour = png_get_color_type(reader, png->info);
    bool deep = png_get_bit_depth(reader, png->info) == 16;
    bool clip =
        deep && colour == PNG_COLOR_TYPE_GRAY && png->source->options.grey16 == XR_GREY16_CLIP;
    png_set_expand(reader);
    png_set_gray_to_rgb(reader);
    if (deep && !clip) png_set_strip_16(reader);
    if (png->source->options.alpha == XR_ALPHA_DROP) png_set_strip_alpha(reader);
    return clip;
}

// One row of `channels` channels of 1 or 2 bytes to RGB.
static void convert_row(uint8_t *to, const uint8_t *from, int width, size_t channels,
                        size_t bytes) {
    for (int x = 0; x < width; x++, to += 3, from += channels * bytes) {
        for (size_t c = 0; c < 3; c++) {
            const uint8_t *value = from + c * bytes;
            to[c] = bytes == 1 ? value[0] : value[0] ? 255 : value[1];
            if (channels == 4) to[c] = xr_on_white(to[c], from[3 * bytes]);
        }
    }
}

// With the last row libpng also checks the checksums of the pixels. What follows them is not looked
// at: a file that ends there is accepted, as by Pillow.
static bool read_rows(Png *png, XrImage *out, bool clip) {
    png_structp reader = png->reader;
    int passes = png_set_interlace_handling(reader);
    png_read_update_info(reader, png->info);
    size_t row_bytes = png_get_rowbytes(reader, png->info), stride = (size_t)out->width * 3;
    size_t channels = png_get_channels(reader, png->info);
    bool plain = channels == 3 && !clip;
    // Interlaced rows are completed pass by pass and must all be kept.
    bool keep = passes > 1;
    if (!plain) {
        size_t kept = keep ? (size_t)out->height : 1;
        png->rows = xr_try_alloc(row_bytes * kept, png->source->name, png->err);
        if (!png->rows) return false;
        memset(png->rows, 0, row_bytes * kept);
    }
    for (int pass = 0; pass < passes; pass++) {
        for (int y = 0; y < out->height; y++) {
            uint8_t *to = out->rgb + (size_t)y * stride;
            uint8_t *row = plain ? to : png->rows + (keep ? (size_t)y * row_bytes : 0);
            png_read_row(reader, row, NULL);
            if (plain || pass < passes - 1) continue;
            convert_row(to, row, out->width, channels, clip ? 2 : 1);
        }
    }
    return true;
}

static bool run(Png *png, XrImage *out) {
    if (setjmp(png_jmpbuf(png->reader))) return false;
    png_set_read_fn(png->reader, png, read_bytes);
    png_set_user_limits(png->reader, PNG_UINT_31_MAX, PNG_UINT_31_MAX);
    png_set_keep_unknown_chunks(png->reader, PNG_HANDLE_CHUNK_NEVER, NULL, -1);
    png_read_info(png->reader, png->info);
    if (!xr_image_allocate(out, png->source, png_get_image_width(png->reader, png->info),
                           png_get_image_height(png->reader, png->info), least_bytes(png),
                           png->err)) {
        return false;
    }
    bool clip = choose_transformations(png);
    return read_rows(png, out, clip);
}

bool xr_png_decode(XrImage *out, int *orientation, const XrImageSource *source, XrError *err) {
    Png png = {.source = source, .err = err};
    png.reader = png_create_read_struct(PNG_LIBPNG_VER_STRING, &png, stop, note);
    png.info = png.reader ? png_create_info_struct(png.reader) : NULL;
    XR_REQUIRE(png.info, "out of memory for the PNG reader");
    bool ok = run(&png, out);
    png_destroy_read_struct(&png.reader, &png.info, NULL);
    free(png.rows);
    if (ok) *orientation = xr_png_orientation(source->bytes, source->count);
    return ok;
}
