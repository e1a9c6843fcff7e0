#include "datasets/tiny_world/picture.h"

#include "datasets/tiny_world/glyphs.h"
#include "shared/base/error.h"
#include "shared/base/memory.h"

#include <errno.h>
#include <math.h>
#include <png.h>
#include <stdio.h>
#include <string.h>

static const uint8_t COLOURS[6][3] = {
    {176, 32, 40}, {24, 104, 40}, {32, 64, 168}, {120, 32, 136}, {136, 80, 8}, {32, 32, 32},
};

// Evaluation's looks lie between those of training, so that they are new without being foreign.
XrWorldLook xr_world_look(XrWorldSplit split, int variant) {
    XR_REQUIRE(split < XR_WORLD_SPLITS && variant >= 0 && variant < XR_WORLD_VARIANTS,
               "tiny world: look %d of split %d", variant, (int)split);
    double at = variant + (double)split / XR_WORLD_SPLITS;        // 0 to 6
    double part = (at + 0.5) / (XR_WORLD_VARIANTS + 0.5) * 2 - 1; // -1 to 1
    return (XrWorldLook){
        .thickness = 1.3 + 0.35 * sin(3.1 * at),
        .width = 1 + 0.15 * sin(1.7 * at + 1),
        .turn = 0.18 * part,
        .slant = 0.15 * cos(2.3 * at),
    };
}

// Where a glyph stands and how large it is, in pixels.
typedef struct Place {
    double x, y, size;
    const uint8_t *colour;
} Place;

// Paints the pixels of the cell whose upper left corner is (left, top).
static void paint(XrImage *image, int left, int top, const XrGlyph *glyph, const XrWorldLook *look,
                  const Place *place) {
    double c = cos(look->turn), s = sin(look->turn);
    for (int y = 0; y < XR_WORLD_CELL; y++) {
        for (int x = 0; x < XR_WORLD_CELL; x++) {
            double dx = (x + 0.5 - place->x) / place->size, dy = (y + 0.5 - place->y) / place->size;
            double u = (c * dx + s * dy) / look->width, v = c * dy - s * dx;
            u -= look->slant * v;
            double distance = xr_glyph_distance(glyph, u, v, look->thickness / place->size);
            double cover = fmin(1, fmax(0, 0.5 - distance * place->size)); // a pixel's soft edge
            uint8_t *pixel = image->rgb + 3 * ((int64_t)(top + y) * image->width + left + x);
            for (int i = 0; i < 3; i++) {
                pixel[i] = (uint8_t)lround(pixel[i] + cover * (place->colour[i] - pixel[i]));
            }
        }
    }
}

static XrImage blank(int width, int height, const uint8_t colour[3]) {
    XrImage image = {width, height, xr_malloc((size_t)width * (size_t)height * 3)};
    for (int64_t i = 0; i < (int64_t)width * height; i++) memcpy(image.rgb + 3 * i, colour, 3);
    return image;
}

static void add_noise(XrImage *image, XrWorldDraw *draw) {
    int64_t values = (int64_t)image->width * image->height * 3;
    uint32_t bits = 0;
    for (int64_t i = 0; i < values; i++) {
        if (i % 8 == 0) bits = xr_world_draw_bits(draw);
        int noise = (int)(bits >> i % 8 * 4 & 15) - 8;
        int value = image->rgb[i] + noise;
        image->rgb[i] = (uint8_t)XR_MIN(255, XR_MAX(0, value));
    }
}

XrImage xr_world_picture(XrWorldDraw *draw, const XrWorldQuestion *question, XrWorldSplit split) {
    uint8_t ground[3];
    int rows = (question->count + XR_WORLD_COLUMNS - 1) / XR_WORLD_COLUMNS;
    for (int i = 0; i < 3; i++) ground[i] = (uint8_t)(215 + xr_world_draw_below(draw, 36));
    XrImage image = blank(XR_WORLD_CELL * XR_WORLD_COLUMNS, XR_WORLD_CELL * rows, ground);
    for (int i = 0; i < question->count; i++) {
        XrWorldLook look = xr_world_look(split, xr_world_draw_below(draw, XR_WORLD_VARIANTS));
        Place place = {
            .x = XR_WORLD_CELL / 2.0 + xr_world_draw_between(draw, -1.5, 1.5),
            .y = XR_WORLD_CELL / 2.0 + xr_world_draw_between(draw, -1.5, 1.5),
            .size = xr_world_draw_between(draw, 9, 11),
            .colour = COLOURS[xr_world_draw_below(draw, (int)XR_COUNT(COLOURS))],
        };
        paint(&image, i % XR_WORLD_COLUMNS * XR_WORLD_CELL, i / XR_WORLD_COLUMNS * XR_WORLD_CELL,
              xr_world_glyph_of(question->domain, question->kinds[i]), &look, &place);
    }
    add_noise(&image, draw);
    return image;
}

XrImage xr_world_glyph(XrWorldDomain domain, int kind, const XrWorldLook *look) {
    static const uint8_t white[3] = {255, 255, 255}, black[3] = {0, 0, 0};
    XrImage image = blank(XR_WORLD_CELL, XR_WORLD_CELL, white);
    Place place = {XR_WORLD_CELL / 2.0, XR_WORLD_CELL / 2.0, 10, black};
    paint(&image, 0, 0, xr_world_glyph_of(domain, kind), look, &place);
    return image;
}

bool xr_world_write_png(const char *path, const XrImage *image, XrError *err) {
    png_image png = {.version = PNG_IMAGE_VERSION,
                     .width = (png_uint_32)image->width,
                     .height = (png_uint_32)image->height,
                     .format = PNG_FORMAT_RGB};
    FILE *file = fopen(path, "wb");
    if (!file) return xr_fail(err, XR_ERR_IO, "%s: cannot write: %s", path, strerror(errno));
    bool ok = png_image_write_to_stdio(&png, file, 0, image->rgb, 0, NULL) != 0;
    int failure = errno;
    if (fclose(file) != 0 && ok) {
        ok = false;
        failure = errno;
    }
    if (ok) return true;
    return xr_fail(err, XR_ERR_IO, "%s: cannot write the picture: %s", path, strerror(failure));
}
