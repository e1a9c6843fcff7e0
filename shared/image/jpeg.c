// JPEG through libjpeg-turbo with its defaults (exact integer DCT, smooth upsampling), which are
// Pillow's. Damage that libjpeg would paint grey with no more than a warning is an error here.
#include "shared/image/formats.h"
#include "shared/image/orientation.h"

#include "shared/base/buffer.h"
#include "shared/base/memory.h"

#include <stdio.h> // jpeglib.h needs its FILE
#include <jpeglib.h>
#include <jerror.h> // defines: JWRN_HIT_MARKER and the other message codes
#include <setjmp.h>
#include <stdlib.h>
#include <stdnoreturn.h>
#include <string.h>

// A progressive file may hold any number of scans, each of which costs a pass over the picture;
// encoders write about ten.
enum { MAX_SCANS = 200 };

typedef struct Jpeg {
    struct jpeg_decompress_struct decoder;
    struct jpeg_error_mgr errors;
    struct jpeg_progress_mgr progress;
    jmp_buf failed;
    const XrImageSource *source;
    XrError *err;
    uint8_t *row; // of CMYK
} Jpeg;

static noreturn void stop(j_common_ptr decoder) {
    Jpeg *jpeg = decoder->client_data;
    char text[JMSG_LENGTH_MAX];
    decoder->err->format_message(decoder, text);
    xr_fail(jpeg->err, XR_ERR_INPUT, "%s: cannot be decoded as JPEG: %s", jpeg->source->name, text);
    longjmp(jpeg->failed, 1);
}

// level < 0 is a warning, the others are traces.
static void note(j_common_ptr decoder, int level) {
    if (level >= 0) return;
    switch (decoder->err->msg_code) {
    case JWRN_JPEG_EOF:
    case JWRN_HIT_MARKER:
    case JWRN_HUFF_BAD_CODE:
    case JWRN_ARITH_BAD_CODE:
    case JWRN_MUST_RESYNC:
        stop(decoder);
    default:
        return; // for one, bytes between segments, which some cameras leave
    }
}

static void be_silent(j_common_ptr decoder) {
    (void)decoder;
}

static void count_scans(j_common_ptr decoder) {
    Jpeg *jpeg = decoder->client_data;
    if (((j_decompress_ptr)decoder)->input_scan_number <= MAX_SCANS) return;
    xr_fail(jpeg->err, XR_ERR_LIMIT, "%s: has more than %d scans; save it anew", jpeg->source->name,
            (int)MAX_SCANS);
    longjmp(jpeg->failed, 1);
}

static bool starts(const struct jpeg_marker_struct *m, const char *text, size_t length) {
    return m->data_length >= length && memcmp(m->data, text, length) == 0;
}

// EXIF may be spread over several segments; of XMP the last segment counts.
static int read_orientation(j_decompress_ptr decoder) {
    static const char XMP[] = "http://ns.adobe.com/xap/1.0/";
    XrBuffer exif = {0};
    const uint8_t *xmp = NULL;
    size_t xmp_count = 0;
    for (const struct jpeg_marker_struct *m = decoder->marker_list; m; m = m->next) {
        if (starts(m, "Exif\0\0", 6)) {
            size_t skip = exif.length ? 6 : 0;
            xr_buffer_append(&exif, m->data + skip, m->data_length - skip);
        } else if (starts(m, XMP, sizeof XMP)) {
            xmp = m->data + sizeof XMP;
            xmp_count = m->data_length - sizeof XMP;
        }
    }
    int orientation = xr_orientation((const uint8_t *)exif.data, exif.length, xmp, xmp_count);
    xr_buffer_free(&exif);
    return orientation;
}

// Every 8x8 block costs at least one bit of a Huffman code.
static uint64_t least_bytes(const struct jpeg_decompress_struct *d) {
    return d->arith_code ? 0 : (uint64_t)d->image_width * d->image_height / 64 / 8;
}

static void read_rgb(j_decompress_ptr d, XrImage *out) {
    JSAMPROW rows[16];
    size_t stride = (size_t)out->width * 3;
    while (d->output_scanline < d->output_height) {
        JDIMENSION count = XR_MIN(d->output_height - d->output_scanline, XR_COUNT(rows));
        for (JDIMENSION i = 0; i < count; i++) {
            rows[i] = out->rgb + (d->output_scanline + i) * stride;
        }
        jpeg_read_scanlines(d, rows, count);
    }
}

// Pillow takes four channels as Adobe writes them, inverted, whether a marker of Adobe's is there
// or not, and multiplies the inks without a colour profile: R = K' - round((255 - C') K' / 255).
static void read_cmyk(Jpeg *jpeg, XrImage *out) {
    j_decompress_ptr d = &jpeg->decoder;
    while (d->output_scanline < d->output_height) {
        uint8_t *to = out->rgb + (size_t)d->output_scanline * (size_t)out->width * 3;
        jpeg_read_scanlines(d, &jpeg->row, 1);
        const uint8_t *from = jpeg->row;
        for (int x = 0; x < out->width; x++, from += 4, to += 3) {
            unsigned black = from[3];
            for (int c = 0; c < 3; c++) {
                unsigned product = (255u - from[c]) * black + 128;
                to[c] = (uint8_t)(black - ((product + (product >> 8)) >> 8));
            }
        }
    }
}

static bool choose_colours(Jpeg *jpeg) {
    j_decompress_ptr d = &jpeg->decoder;
    switch (d->num_components) {
    case 1:
    case 3:
        d->out_color_space = JCS_RGB;
        return true;
    case 4:
        d->out_color_space = JCS_CMYK;
        return true;
    default:
        return xr_fail(jpeg->err, XR_ERR_UNSUPPORTED,
                       "%s: is a JPEG of %d colour components; 1, 3 and 4 are supported",
                       jpeg->source->name, d->num_components);
    }
}

static bool run(Jpeg *jpeg, XrImage *out, int *orientation) {
    j_decompress_ptr d = &jpeg->decoder;
    if (setjmp(jpeg->failed)) return false;
    jpeg_create_decompress(d);
    d->progress = &jpeg->progress;
    jpeg_mem_src(d, jpeg->source->bytes, jpeg->source->count);
    jpeg_save_markers(d, JPEG_APP0 + 1, 0xffff);
    jpeg_read_header(d, TRUE);
    if (!choose_colours(jpeg)) return false;
    *orientation = read_orientation(d);
    if (!xr_image_allocate(out, jpeg->source, d->image_width, d->image_height, least_bytes(d),
                           jpeg->err)) {
        return false;
    }
    jpeg_start_decompress(d);
    if (d->num_components == 4) {
        jpeg->row = xr_malloc((size_t)out->width * 4);
        read_cmyk(jpeg, out);
    } else {
        read_rgb(d, out);
    }
    jpeg_finish_decompress(d);
    return true;
}

bool xr_jpeg_decode(XrImage *out, int *orientation, const XrImageSource *source, XrError *err) {
    Jpeg jpeg = {.source = source, .err = err};
    jpeg.decoder.err = jpeg_std_error(&jpeg.errors);
    jpeg.errors.error_exit = stop;
    jpeg.errors.emit_message = note;
    jpeg.errors.output_message = be_silent;
    jpeg.progress.progress_monitor = count_scans;
    jpeg.decoder.client_data = &jpeg;
    bool ok = run(&jpeg, out, orientation);
    jpeg_destroy_decompress(&jpeg.decoder);
    free(jpeg.row);
    return ok;
}
