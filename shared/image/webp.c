// WebP through libwebp. Of an animation the first frame is taken, on a transparent canvas.
#include "shared/image/formats.h"
#include "shared/image/orientation.h"

#include "shared/base/memory.h"

#include <stdlib.h>
#include <string.h>
#include <webp/decode.h>
#include <webp/demux.h>

static int read_orientation(const WebPDemuxer *demuxer) {
    WebPChunkIterator exif = {0}, xmp = {0};
    bool has_exif = WebPDemuxGetChunk(demuxer, "EXIF", 1, &exif);
    bool has_xmp = WebPDemuxGetChunk(demuxer, "XMP ", 1, &xmp);
    int orientation = xr_orientation(has_exif ? exif.chunk.bytes : NULL, exif.chunk.size,
                                     has_xmp ? xmp.chunk.bytes : NULL, xmp.chunk.size);
    WebPDemuxReleaseChunkIterator(&exif);
    WebPDemuxReleaseChunkIterator(&xmp);
    return orientation;
}

static const char *status_text(VP8StatusCode status) {
    switch (status) {
    case VP8_STATUS_OUT_OF_MEMORY:
        return "out of memory";
    case VP8_STATUS_BITSTREAM_ERROR:
        return "the data are damaged";
    case VP8_STATUS_UNSUPPORTED_FEATURE:
        return "it uses a feature that libwebp does not know";
    case VP8_STATUS_NOT_ENOUGH_DATA:
        return "the file ends too early";
    default:
        return "the file is damaged";
    }
}

static bool fail(const XrImageSource *source, VP8StatusCode status, XrError *err) {
    return xr_fail(err, XR_ERR_INPUT, "%s: cannot be decoded as WebP: %s", source->name,
                   status_text(status));
}

static bool decode_into(const WebPIterator *frame, WEBP_CSP_MODE mode, uint8_t *to, size_t stride,
                        const XrImageSource *source, XrError *err) {
    WebPDecoderConfig config;
    XR_REQUIRE(WebPInitDecoderConfig(&config), "libwebp is of another version than its headers");
    config.output.colorspace = mode;
    config.output.is_external_memory = 1;
    config.output.u.RGBA.rgba = to;
    config.output.u.RGBA.stride = (int)stride;
    size_t row = (size_t)frame->width * (mode == MODE_RGB ? 3 : 4);
    config.output.u.RGBA.size = stride * (size_t)(frame->height - 1) + row;
    VP8StatusCode status = WebPDecode(frame->fragment.bytes, frame->fragment.size, &config);
    WebPFreeDecBuffer(&config.output);
    return status == VP8_STATUS_OK || fail(source, status, err);
}

// The frame with its transparency, laid on white at its place.
static bool decode_on_white(XrImage *out, const WebPIterator *frame, const XrImageSource *source,
                            XrError *err) {
    size_t stride = (size_t)frame->width * 4;
    uint8_t *rgba = xr_try_alloc(stride * (size_t)frame->height, source->name, err);
    if (!rgba) return false;
    bool ok = decode_into(frame, MODE_RGBA, rgba, stride, source, err);
    for (int y = 0; ok && y < frame->height; y++) {
        const uint8_t *from = rgba + (size_t)y * stride;
        uint8_t *to =
            out->rgb +
            ((size_t)(frame->y_offset + y) * (size_t)out->width + (size_t)frame->x_offset) * 3;
        for (int x = 0; x < frame->width; x++, from += 4, to += 3) {
            for (int c = 0; c < 3; c++) to[c] = xr_on_white(from[c], from[3]);
        }
    }
    free(rgba);
    return ok;
}

static bool decode_frame(XrImage *out, const WebPIterator *frame, const XrImageSource *source,
                         XrError *err) {
    bool white = source->options.alpha == XR_ALPHA_WHITE;
    if (frame->x_offset < 0 || frame->y_offset < 0 || frame->width < 1 || frame->height < 1 ||
        frame->width > out->width - frame->x_offset ||
        frame->height > out->height - frame->y_offset) {
        return fail(source, VP8_STATUS_BITSTREAM_ERROR, err);
    }
    size_t stride = (size_t)out->width * 3;
    if (frame->width < out->width || frame->height < out->height) {
        memset(out->rgb, white ? 255 : 0, stride * (size_t)out->height);
    }
    if (white && frame->has_alpha) return decode_on_white(out, frame, source, err);
    uint8_t *corner = out->rgb + (size_t)frame->y_offset * stride + (size_t)frame->x_offset * 3;
    return decode_into(frame, MODE_RGB, corner, stride, source, err);
}

bool xr_webp_decode(XrImage *out, int *orientation, const XrImageSource *source, XrError *err) {
    WebPData data = {source->bytes, source->count};
    // NULL unless the file is whole.
    WebPDemuxer *demuxer = WebPDemux(&data);
    if (!demuxer) return fail(source, VP8_STATUS_USER_ABORT, err);
    *orientation = read_orientation(demuxer);
    WebPIterator frame = {0};
    bool ok = xr_image_allocate(out, source, WebPDemuxGetI(demuxer, WEBP_FF_CANVAS_WIDTH),
                                WebPDemuxGetI(demuxer, WEBP_FF_CANVAS_HEIGHT), 0, err);
    if (ok) {
        ok = WebPDemuxGetFrame(demuxer, 1, &frame) ? decode_frame(out, &frame, source, err)
                                                   : fail(source, VP8_STATUS_BITSTREAM_ERROR, err);
    }
    WebPDemuxReleaseIterator(&frame);
    WebPDemuxDelete(demuxer);
    return ok;
}
