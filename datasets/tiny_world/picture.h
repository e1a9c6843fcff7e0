// Pictures of lists of the tiny world: a grid of cells of 28 x 28 pixels, three columns in reading
// order, one glyph a cell.
#ifndef XR_TINY_WORLD_PICTURE_H
#define XR_TINY_WORLD_PICTURE_H

#include "datasets/tiny_world/world.h"
#include "shared/image/image.h"

enum {
    XR_WORLD_CELL = 28, // pixels of a cell's side
    XR_WORLD_COLUMNS = 3,
    XR_WORLD_VARIANTS = 6, // of each glyph, for training; as many again for evaluation
};

// How glyphs look: training draws from one set of variants, the development and the test split each
// from sets that share none with it or with each other.
typedef struct XrWorldLook {
    double thickness; // of strokes, pixels
    double width;     // scale across
    double turn;      // radians
    double slant;     // shear of x by y
} XrWorldLook;

// Look `variant` < XR_WORLD_VARIANTS of a split.
XrWorldLook xr_world_look(XrWorldSplit split, int variant);

// Draws a question's list in the looks of `split`. The picture is the caller's, to be freed with
// xr_image_free.
XrImage xr_world_picture(XrWorldDraw *draw, const XrWorldQuestion *question, XrWorldSplit split);

// One glyph alone, dark on white, XR_WORLD_CELL pixels square, without jitter or noise.
XrImage xr_world_glyph(XrWorldDomain domain, int kind, const XrWorldLook *look);

// Writes a PNG file in its place, not synced to the disk: a set of pictures is complete once the
// data file that names them is there.
bool xr_world_write_png(const char *path, const XrImage *image, XrError *err);

#endif
