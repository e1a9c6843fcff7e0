#include "shared/image/png_metadata.h"

#include "shared/base/memory.h"
#include "shared/image/orientation.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

// Compressed text of more than this is not looked at (Pillow's limit too).
enum { MAX_TEXT = 1 << 20 };

// A piece of the file, or memory of our own after decompression.
typedef struct Text {
    const uint8_t *bytes;
    size_t count;
    uint8_t *owned;
} Text;

static void set_text(Text *text, const uint8_t *bytes, size_t count, bool compressed) {
    free(text->owned);
    *text = (Text){0};
    if (!compressed) {
        *text = (Text){bytes, count, NULL};
        return;
    }
    uint8_t *plain = xr_malloc(MAX_TEXT);
    uLongf length = MAX_TEXT;
    if (uncompress(plain, &length, bytes, count) == Z_OK) {
        *text = (Text){plain, length, plain};
    } else {
        free(plain);
    }
}

// What stands behind the first `skip` NULs of a chunk, or NULL.
static const uint8_t *after_nuls(const uint8_t *data, size_t count, int skip) {
    const uint8_t *end = data + count;
    while (skip-- > 0) {
        const uint8_t *nul = memchr(data, 0, (size_t)(end - data));
        if (!nul) return NULL;
        data = nul + 1;
    }
    return data;
}

static bool is_key(const uint8_t *data, size_t count, const char *key) {
    size_t length = strlen(key) + 1;
    return count >= length && memcmp(data, key, length) == 0;
}

static void read_chunk(const char *type, const uint8_t *data, size_t count, Text *exif,
                       Text *profile, Text *xmp) {
    static const char PROFILE[] = "Raw profile type exif", XMP[] = "XML:com.adobe.xmp";
    const uint8_t *end = data + count;
    if (memcmp(type, "eXIf", 4) == 0) {
        set_text(exif, data, count, false);
    } else if (memcmp(type, "tEXt", 4) == 0 && is_key(data, count, PROFILE)) {
        data += sizeof PROFILE;
        set_text(profile, data, (size_t)(end - data), false);
    } else if (memcmp(type, "zTXt", 4) == 0 && is_key(data, count, PROFILE)) {
        data += sizeof PROFILE; // then the method, 0, and the deflated text
        if (end - data > 1 && data[0] == 0) {
            set_text(profile, data + 1, (size_t)(end - data - 1), true);
        }
    } else if (memcmp(type, "iTXt", 4) == 0 && is_key(data, count, XMP)) {
        data += sizeof XMP; // then whether compressed, the method, language NUL, keyword NUL, text
        if (end - data < 2 || (data[0] && data[1])) return;
        const uint8_t *text = after_nuls(data + 2, (size_t)(end - data - 2), 2);
        if (text) set_text(xmp, text, (size_t)(end - text), data[0] != 0);
    }
}

static int hex_digit(uint8_t c) {
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

// ImageMagick's form: a line break, the profile's name, its length, then lines of hexadecimal
// bytes.
static void unpack_profile(Text *profile) {
    const uint8_t *p = profile->bytes, *end = p + profile->count;
    for (int line = 0; line < 3; line++) {
        p = p < end ? memchr(p, '\n', (size_t)(end - p)) : NULL;
        if (!p) return;
        p++;
    }
    uint8_t *bytes = xr_malloc((size_t)(end - p) / 2 + 1);
    size_t count = 0;
    int high = -1;
    for (; p < end; p++) {
        int digit = hex_digit(*p);
        if (digit < 0) continue;
        if (high >= 0) bytes[count++] = (uint8_t)(high << 4 | digit);
        high = high < 0 ? digit : -1;
    }
    free(profile->owned);
    *profile = (Text){bytes, count, bytes};
}

int xr_png_orientation(const uint8_t *png, size_t count) {
    Text exif = {0}, profile = {0}, xmp = {0};
    // A chunk: length (big-endian), type, data, CRC.
    for (size_t at = 8; count - at >= 12;) {
        const uint8_t *p = png + at;
        size_t length = (size_t)p[0] << 24 | (size_t)p[1] << 16 | (size_t)p[2] << 8 | p[3];
        if (length > count - at - 12) break;
        read_chunk((const char *)p + 4, p + 8, length, &exif, &profile, &xmp);
        at += 12 + length;
    }
    if (!exif.bytes && profile.bytes) {
        unpack_profile(&profile);
        exif = profile;
        profile = (Text){0};
    }
    int orientation = xr_orientation(exif.bytes, exif.count, xmp.bytes, xmp.count);
    free(exif.owned);
    free(profile.owned);
    free(xmp.owned);
    return orientation;
}
