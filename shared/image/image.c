#include "shared/image/image.h"

#include "shared/base/file.h"
#include "shared/base/memory.h"
#include "shared/image/formats.h"
#include "shared/image/orientation.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { DEFAULT_MEGAPIXELS = 200, DEFAULT_MEBIBYTES = 512 };

bool xr_image_allocate(XrImage *out, const XrImageSource *source, int64_t width, int64_t height,
                       uint64_t least, XrError *err) {
    if (width < 1 || height < 1 || width > INT32_MAX || height > INT32_MAX) {
        return xr_fail(err, XR_ERR_INPUT, "%s: says that it is %" PRId64 " x %" PRId64 " pixels",
                       source->name, width, height);
    }
    if (width * height > source->options.max_pixels) {
        return xr_fail(err, XR_ERR_LIMIT,
                       "%s: is %" PRId64 " x %" PRId64 " pixels, more than the limit of %" PRId64
                       "; make it smaller",
                       source->name, width, height, source->options.max_pixels);
    }
    if (source->count < least) {
        return xr_fail(err, XR_ERR_INPUT,
                       "%s: is truncated: %zu bytes cannot hold %" PRId64 " x %" PRId64 " pixels",
                       source->name, source->count, width, height);
    }
    *out = (XrImage){(int)width, (int)height, NULL};
    out->rgb = xr_try_alloc((size_t)width * (size_t)height * 3, source->name, err);
    return out->rgb != NULL;
}

typedef struct Format {
    const char *name;
    const char *magic;
    size_t length, offset;
    // NULL: a known format that is refused
    bool (*decode)(XrImage *out, int *orientation, const XrImageSource *source, XrError *err);
} Format;

static const Format FORMATS[] = {
    {"PNG", "\x89PNG\r\n\x1a\n", 8, 0, xr_png_decode},
    {"JPEG", "\xff\xd8\xff", 3, 0, xr_jpeg_decode},
    {"WebP", "WEBP", 4, 8, xr_webp_decode},
    {"GIF", "GIF8", 4, 0, NULL},
    {"BMP", "BM", 2, 0, NULL},
    {"TIFF", "II*\0", 4, 0, NULL},
    {"TIFF", "MM\0*", 4, 0, NULL},
    {"BigTIFF", "II+\0", 4, 0, NULL},
    {"BigTIFF", "MM\0+", 4, 0, NULL},
    {"JPEG 2000", "\0\0\0\x0cjP  ", 8, 0, NULL},
    {"JPEG 2000", "\xff\x4f\xff\x51", 4, 0, NULL},
    {"JPEG XL", "\0\0\0\x0cJXL ", 8, 0, NULL},
    {"JPEG XL", "\xff\x0a", 2, 0, NULL},
    {"AVIF", "ftypavi", 7, 4, NULL},
    {"HEIC", "ftyphei", 7, 4, NULL},
    {"HEIC", "ftypmif1", 8, 4, NULL},
    {"PSD", "8BPS", 4, 0, NULL},
    {"icon", "\0\0\1\0", 4, 0, NULL},
    {"PDF", "%PDF-", 5, 0, NULL},
    {"SVG", "<svg", 4, 0, NULL},
};

static const Format *format_of(const XrImageSource *s) {
    for (size_t i = 0; i < XR_COUNT(FORMATS); i++) {
        const Format *f = &FORMATS[i];
        if (s->count >= f->offset + f->length &&
            memcmp(s->bytes + f->offset, f->magic, f->length) == 0) {
            return f;
        }
    }
    return NULL;
}

static bool decode(XrImage *out, const XrImageSource *source, XrError *err) {
    const Format *format = format_of(source);
    if (source->count == 0)
        return xr_fail(err, XR_ERR_INPUT, "%s: is empty; a picture is needed here", source->name);
    if (!format) {
        return xr_fail(err, XR_ERR_UNSUPPORTED,
                       "%s: is not a picture of a known format; convert it to PNG, JPEG or WebP",
                       source->name);
    }
    if (!format->decode) {
        return xr_fail(err, XR_ERR_UNSUPPORTED,
                       "%s: is %s, which is not supported; convert it to PNG, JPEG or WebP",
                       source->name, format->name);
    }
    int orientation = 1;
    return format->decode(out, &orientation, source, err) && xr_image_orient(out, orientation, err);
}

bool xr_image_decode(XrImage *out, const void *bytes, size_t count, const char *name,
                     const XrImageOptions *options, XrError *err) {
    XrImageSource source = {bytes, count, name, {0}};
    if (options) source.options = *options;
    if (source.options.max_pixels == 0) source.options.max_pixels = DEFAULT_MEGAPIXELS * 1000000ll;
    *out = (XrImage){0};
    if (decode(out, &source, err)) return true;
    xr_image_free(out);
    return false;
}

bool xr_image_read(XrImage *out, const char *path, const XrImageOptions *options, XrError *err) {
    size_t limit =
        options && options->max_bytes ? options->max_bytes : (size_t)DEFAULT_MEBIBYTES << 20;
    XrBuffer file = {0};
    *out = (XrImage){0};
    bool ok = xr_file_read(path, limit, &file, err) &&
              xr_image_decode(out, file.data, file.length, path, options, err);
    xr_buffer_free(&file);
    return ok;
}

void xr_image_free(XrImage *image) {
    free(image->rgb);
    *image = (XrImage){0};
}
