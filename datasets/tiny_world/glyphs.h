// The shapes of the tiny world's objects.
#ifndef XR_TINY_WORLD_GLYPHS_H
#define XR_TINY_WORLD_GLYPHS_H

#include "datasets/tiny_world/world.h"

typedef enum XrMarkKind {
    XR_MARK_NONE, // ends a glyph's list
    XR_MARK_DISC, // centre a, b; radius c
    XR_MARK_RING, // the same, as a stroke
    XR_MARK_LINE, // from a, b to c, d, as a stroke
    XR_MARK_BOX,  // centre a, b; half width c, half height d
    XR_MARK_HOLE, // a disc that is taken away from the marks before it
} XrMarkKind;

// Coordinates from -1 to 1, x to the right, y down.
typedef struct XrMark {
    XrMarkKind kind;
    double a, b, c, d;
} XrMark;

enum { XR_GLYPH_MARKS = 8 };

typedef struct XrGlyph {
    XrMark marks[XR_GLYPH_MARKS];
} XrGlyph;

const XrGlyph *xr_world_glyph_of(XrWorldDomain domain, int kind);

// How far a point is from the glyph; negative inside. `half` is half of a stroke's thickness.
double xr_glyph_distance(const XrGlyph *glyph, double x, double y, double half);

#endif
