#include "datasets/tiny_world/glyphs.h"

#include "shared/base/error.h"

#include <math.h>

#define DISC(x, y, r)                                                                              \
    { XR_MARK_DISC, x, y, r, 0 }
#define RING(x, y, r)                                                                              \
    { XR_MARK_RING, x, y, r, 0 }
#define LINE(x0, y0, x1, y1)                                                                       \
    { XR_MARK_LINE, x0, y0, x1, y1 }
#define BOX(x, y, w, h)                                                                            \
    { XR_MARK_BOX, x, y, w, h }
#define HOLE(x, y, r)                                                                              \
    { XR_MARK_HOLE, x, y, r, 0 }

// In the order of the kinds in world.c.
static const XrGlyph GLYPHS[XR_WORLD_DOMAINS][XR_WORLD_KINDS] = {
    {
        /* circle */ {{DISC(0, 0, .75)}},
        /* square */ {{BOX(0, 0, .7, .7)}},
        /* triangle */ {{LINE(0, -.8, .85, .7), LINE(.85, .7, -.85, .7), LINE(-.85, .7, 0, -.8)}},
        /* cross */ {{LINE(-.7, -.7, .7, .7), LINE(-.7, .7, .7, -.7)}},
        /* star */
        {{LINE(0, -.9, .55, .8), LINE(.55, .8, -.88, -.25), LINE(-.88, -.25, .88, -.25),
          LINE(.88, -.25, -.55, .8), LINE(-.55, .8, 0, -.9)}},
        /* ring */ {{RING(0, 0, .72)}},
        /* diamond */
        {{LINE(0, -.9, .65, 0), LINE(.65, 0, 0, .9), LINE(0, .9, -.65, 0), LINE(-.65, 0, 0, -.9)}},
        /* moon */ {{DISC(-.1, 0, .8), HOLE(.35, -.1, .7)}},
        /* arrow */ {{LINE(-.85, 0, .85, 0), LINE(.85, 0, .3, -.55), LINE(.85, 0, .3, .55)}},
        /* bar */ {{BOX(0, 0, .9, .25)}},
        /* dots */
        {{DISC(-.5, -.5, .25), DISC(.5, -.5, .25), DISC(-.5, .5, .25), DISC(.5, .5, .25)}},
        /* house */
        {{BOX(0, .4, .55, .45), LINE(-.85, 0, 0, -.8), LINE(0, -.8, .85, 0),
          BOX(0, -.15, .3, .25)}},
    },
    {
        /* fever, a thermometer */ {{DISC(0, .6, .35), BOX(0, -.2, .13, .7)}},
        /* cough, a mouth and drops */
        {{LINE(.3, -.7, -.6, 0), LINE(-.6, 0, .3, .7), DISC(.6, -.3, .17), DISC(.6, .3, .17)}},
        /* rash */
        {{DISC(0, 0, .2), DISC(-.65, 0, .2), DISC(.65, 0, .2), DISC(-.35, -.65, .2),
          DISC(.35, -.65, .2), DISC(-.35, .65, .2), DISC(.35, .65, .2)}},
        /* pain, a flash */
        {{LINE(.3, -.9, -.4, .1), LINE(-.4, .1, .4, -.05), LINE(.4, -.05, -.3, .9)}},
        /* chill, a flake */
        {{LINE(0, -.85, 0, .85), LINE(-.74, -.42, .74, .42), LINE(-.74, .42, .74, -.42)}},
        /* nausea, a wave */
        {{LINE(-.9, .35, -.45, -.35), LINE(-.45, -.35, 0, .35), LINE(0, .35, .45, -.35),
          LINE(.45, -.35, .9, .35)}},
        /* fatigue, the letter of sleep */
        {{LINE(-.6, -.7, .6, -.7), LINE(.6, -.7, -.6, .7), LINE(-.6, .7, .6, .7)}},
        /* swelling */ {{RING(0, 0, .8), DISC(0, 0, .35)}},
        /* bleeding, a drop */ {{DISC(0, .35, .48), LINE(0, -.9, -.4, .15), LINE(0, -.9, .4, .15)}},
        /* burn, two tongues */
        {{LINE(-.7, .05, 0, -.75), LINE(0, -.75, .7, .05), LINE(-.7, .8, 0, 0),
          LINE(0, 0, .7, .8)}},
        /* tremor */
        {{LINE(-.55, -.75, -.55, .75), LINE(0, -.75, 0, .75), LINE(.55, -.75, .55, .75)}},
        /* cramp, pressed together */
        {{LINE(-.65, -.75, .65, -.75), LINE(-.65, .75, .65, .75), LINE(0, -.6, 0, .6),
          DISC(0, 0, .3)}},
    },
};

const XrGlyph *xr_world_glyph_of(XrWorldDomain domain, int kind) {
    XR_REQUIRE(domain < XR_WORLD_DOMAINS && kind >= 0 && kind < XR_WORLD_KINDS,
               "tiny world: glyph %d of domain %d", kind, (int)domain);
    return &GLYPHS[domain][kind];
}

static double line_distance(const XrMark *m, double x, double y) {
    double dx = m->c - m->a, dy = m->d - m->b;
    double along = ((x - m->a) * dx + (y - m->b) * dy) / (dx * dx + dy * dy);
    along = fmin(1, fmax(0, along));
    return hypot(x - m->a - along * dx, y - m->b - along * dy);
}

double xr_glyph_distance(const XrGlyph *glyph, double x, double y, double half) {
    double nearest = 1e9;
    for (int i = 0; i < XR_GLYPH_MARKS; i++) {
        const XrMark *m = &glyph->marks[i];
        double centre = hypot(x - m->a, y - m->b);
        switch (m->kind) {
        case XR_MARK_NONE:
            return nearest;
        case XR_MARK_DISC:
            nearest = fmin(nearest, centre - m->c);
            break;
        case XR_MARK_RING:
            nearest = fmin(nearest, fabs(centre - m->c) - half);
            break;
        case XR_MARK_LINE:
            nearest = fmin(nearest, line_distance(m, x, y) - half);
            break;
        case XR_MARK_BOX:
            nearest = fmin(nearest, fmax(fabs(x - m->a) - m->c, fabs(y - m->b) - m->d));
            break;
        case XR_MARK_HOLE:
            nearest = fmax(nearest, m->c - centre);
            break;
        }
    }
    return nearest;
}
