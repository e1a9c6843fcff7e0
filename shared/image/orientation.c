#include "shared/image/orientation.h"

#include "shared/base/memory.h"

#include <stdlib.h>
#include <string.h>

typedef struct Tiff {
    const uint8_t *bytes;
    size_t count;
    bool big;
} Tiff;

static uint32_t read16(const Tiff *t, size_t at) {
    const uint8_t *p = t->bytes + at;
    return t->big ? (uint32_t)p[0] << 8 | p[1] : (uint32_t)p[1] << 8 | p[0];
}

static uint32_t read32(const Tiff *t, size_t at) {
    uint32_t a = read16(t, at), b = read16(t, at + 2);
    return t->big ? a << 16 | b : b << 16 | a;
}

static bool has(const Tiff *t, uint64_t at, uint64_t bytes) {
    return at <= t->count && bytes <= t->count - at;
}

// The first value of a directory entry whose type is one of TIFF's whole numbers; 0 for others.
static int64_t entry_value(const Tiff *t, size_t entry) {
    uint32_t type = read16(t, entry + 2);
    uint64_t count = read32(t, entry + 4);
    int size = type == 6                              ? 1
               : type == 3 || type == 8               ? 2
               : type == 4 || type == 9 || type == 13 ? 4
                                                      : 0;
    if (size == 0 || count == 0) return 0;
    uint64_t at = count * (unsigned)size > 4 ? read32(t, entry + 8) : entry + 8;
    if (!has(t, at, count * (unsigned)size)) return 0;
    switch (type) {
    case 3:
        return read16(t, at);
    case 6:
        return (int8_t)t->bytes[at];
    case 8:
        return (int16_t)read16(t, at);
    case 9:
        return (int32_t)read32(t, at);
    default:
        return read32(t, at);
    }
}

// The value of the tag, or -1 without one.
static int64_t exif_orientation(const uint8_t *exif, size_t count) {
    for (int i = 0; i < 2 && count >= 6 && memcmp(exif, "Exif\0\0", 6) == 0; i++) {
        exif += 6;
        count -= 6;
    }
    Tiff t = {exif, count, false};
    if (count < 8) return -1;
    // Both byte orders of the magic number 42 occur after either mark of the byte order.
    bool magic = (exif[2] == 0 && exif[3] == 42) || (exif[2] == 42 && exif[3] == 0);
    t.big = exif[0] == 'M';
    if (!magic || exif[0] != exif[1] || (exif[0] != 'M' && exif[0] != 'I')) return -1;
    uint64_t directory = read32(&t, 4);
    if (!has(&t, directory, 2)) return -1;
    uint32_t entries = read16(&t, directory);
    for (uint32_t i = 0; i < entries; i++) {
        uint64_t at = directory + 2 + 12 * (uint64_t)i;
        if (!has(&t, at, 12)) return -1;
        if (read16(&t, at) == 0x0112) return entry_value(&t, at);
    }
    return -1;
}

static int64_t xmp_orientation(const uint8_t *xmp, size_t count) {
    static const char KEY[] = "tiff:Orientation";
    const uint8_t *end = xmp + count;
    for (const uint8_t *p = xmp; (p = memmem(p, (size_t)(end - p), KEY, sizeof KEY - 1));) {
        p += sizeof KEY - 1;
        size_t left = (size_t)(end - p);
        size_t skip = left >= 3 && memcmp(p, "=\"", 2) == 0 ? 2 : left >= 2 && *p == '>' ? 1 : 0;
        if (skip && p[skip] >= '0' && p[skip] <= '9') return p[skip] - '0';
    }
    return 0;
}

int xr_orientation(const uint8_t *exif, size_t exif_count, const uint8_t *xmp, size_t xmp_count) {
    int64_t tag = exif_count ? exif_orientation(exif, exif_count) : -1;
    if (tag < 0 && xmp_count) tag = xmp_orientation(xmp, xmp_count);
    return tag >= 1 && tag <= 8 ? (int)tag : 1;
}

// Where the pixel (y, x) of the result comes from: source[base + y * dy + x * dx], in pixels.
typedef struct Turn {
    int64_t base, dy, dx;
} Turn;

static Turn turn_of(int orientation, int64_t w, int64_t h) {
    int64_t last = w * h - 1;
    switch (orientation) {
    case 2:
        return (Turn){w - 1, w, -1}; // mirrored left to right
    case 3:
        return (Turn){last, -w, -1}; // upside down
    case 4:
        return (Turn){last - w + 1, -w, 1}; // mirrored top to bottom
    case 5:
        return (Turn){0, 1, w}; // mirrored at the diagonal
    case 6:
        return (Turn){last - w + 1, 1, -w}; // to be turned clockwise
    case 7:
        return (Turn){last, -1, -w}; // mirrored at the other diagonal
    default:
        return (Turn){w - 1, -1, w}; // 8: to be turned counter-clockwise
    }
}

bool xr_image_orient(XrImage *image, int orientation, XrError *err) {
    if (orientation < 2 || orientation > 8) return true;
    int w = image->width, h = image->height;
    uint8_t *turned = xr_try_alloc((size_t)w * (size_t)h * 3, "the turned picture", err);
    if (!turned) return false;
    Turn t = turn_of(orientation, w, h);
    int out_w = orientation >= 5 ? h : w, out_h = orientation >= 5 ? w : h;
    // Tiles, so that both the rows read and the rows written stay in the cache.
    enum { TILE = 32 };
    for (int y0 = 0; y0 < out_h; y0 += TILE) {
        for (int x0 = 0; x0 < out_w; x0 += TILE) {
            int y1 = XR_MIN(y0 + TILE, out_h), x1 = XR_MIN(x0 + TILE, out_w);
            for (int y = y0; y < y1; y++) {
                uint8_t *to = turned + ((int64_t)y * out_w + x0) * 3;
                const uint8_t *from = image->rgb + (t.base + y * t.dy + x0 * t.dx) * 3;
                for (int x = x0; x < x1; x++, to += 3, from += 3 * t.dx) {
                    to[0] = from[0], to[1] = from[1], to[2] = from[2];
                }
            }
        }
    }
    free(image->rgb);
    *image = (XrImage){out_w, out_h, turned};
    return true;
}
