// Decoding: every kind of file against Pillow's bytes (golden/make_images.py), and hostile files.
#include "tests/support/digest.h"
#include "tests/support/test.h"

#include "shared/base/file.h"
#include "shared/base/json.h"
#include "shared/base/memory.h"
#include "shared/image/image.h"

#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <zlib.h>

static XrError err;

static const char *text_of(const cJSON *row, const char *key) {
    const cJSON *value = cJSON_GetObjectItemCaseSensitive(row, key);
    assert_true(cJSON_IsString(value));
    return value->valuestring;
}

static int int_of(const cJSON *row, const char *key) {
    const cJSON *value = cJSON_GetObjectItemCaseSensitive(row, key);
    assert_true(cJSON_IsNumber(value));
    return value->valueint;
}

static void read_json(XrJson *json, const char *path) {
    if (!xr_json_read_file(json, path, &XR_JSON_SMALL, &err)) fail_msg("%s", err.message);
}

static const char *kind_path(const char *name) {
    char path[256];
    snprintf(path, sizeof path, "golden/images/kinds/%s", name);
    return xr_test_source(path);
}

static void read_kind(const char *name, XrBuffer *out) {
    if (!xr_file_read(kind_path(name), 1 << 20, out, &err)) fail_msg("%s", err.message);
}

static size_t bytes_of(const XrImage *image) {
    return (size_t)image->width * (size_t)image->height * 3;
}

static void check_row(const char *path, const XrImageOptions *options, const cJSON *row,
                      const char *key) {
    XrImage image;
    if (!cJSON_HasObjectItem(row, key)) return;
    const char *expected = text_of(row, key);
    if (!xr_image_read(&image, path, options, &err)) fail_msg("%s", err.message);
    if (image.width != int_of(row, "width") || image.height != int_of(row, "height") ||
        strcmp(xr_test_digest(image.rgb, bytes_of(&image)), expected) != 0) {
        fail_msg("%s: %d x %d pixels differ from Pillow's %s", path, image.width, image.height,
                 key);
    }
    xr_image_free(&image);
}

// ---- every kind of file ----

static void decode_kinds(void **state) {
    (void)state;
    XrJson json;
    read_json(&json, xr_test_source("golden/images/kinds.json"));
    const XrImageOptions white = {.alpha = XR_ALPHA_WHITE};
    const cJSON *row;
    assert_true(cJSON_GetArraySize(json.root) > 80);
    cJSON_ArrayForEach(row, json.root) {
        check_row(kind_path(text_of(row, "file")), NULL, row, "rgb");
        check_row(kind_path(text_of(row, "file")), &white, row, "white");
    }
    xr_json_free(&json);
}

static void decode_under_wrong_name(void **state) {
    (void)state;
    static const char *const NAMES[][2] = {{"rgb420.jpg", "a.png"},
                                           {"rgba8.png", "b.jpeg"},
                                           {"lossy.webp", "c"},
                                           {"grey2.png", "d.gif"}};
    for (size_t i = 0; i < XR_COUNT(NAMES); i++) {
        XrBuffer file = {0};
        XrImage plain, renamed;
        read_kind(NAMES[i][0], &file);
        char *path = xr_path_join(xr_test_scratch(), NAMES[i][1]);
        assert_true(xr_file_write(path, file.data, file.length, &err));
        assert_true(xr_image_decode(&plain, file.data, file.length, "x", NULL, &err));
        assert_true(xr_image_read(&renamed, path, NULL, &err));
        assert_memory_equal(plain.rgb, renamed.rgb, bytes_of(&plain));
        xr_image_free(&plain);
        xr_image_free(&renamed);
        xr_buffer_free(&file);
        free(path);
    }
}

// The high byte, where Pillow clips.
static void decode_grey16_scaled(void **state) {
    (void)state;
    XrImage clipped, scaled;
    const XrImageOptions options = {.grey16 = XR_GREY16_SCALE};
    assert_true(xr_image_read(&clipped, kind_path("grey16_dark.png"), NULL, &err));
    assert_true(xr_image_read(&scaled, kind_path("grey16_dark.png"), &options, &err));
    // The picture's values are at most 327, hence at most 1 in the high byte.
    int ones = 0;
    for (size_t i = 0; i < bytes_of(&clipped); i++) {
        assert_true(scaled.rgb[i] <= 1);
        if (scaled.rgb[i] == 1) {
            assert_int_equal(clipped.rgb[i], 255);
            ones++;
        }
    }
    assert_true(ones > 0);
    xr_image_free(&clipped);
    xr_image_free(&scaled);
}

static void decode_real(void **state) {
    (void)state;
    XrJson json;
    xr_test_data("images");
    xr_test_data("mathvision/images");
    read_json(&json, xr_test_source("golden/images/real.json"));
    const cJSON *row;
    cJSON_ArrayForEach(row, json.root) {
        check_row(xr_test_data(text_of(row, "file")), NULL, row, "rgb");
    }
    xr_json_free(&json);
}

// ---- hostile files ----

static void expect_failure(const void *bytes, size_t count, const char *name,
                           const XrImageOptions *options, XrStatus status, const char *part) {
    XrImage image;
    err = (XrError){0};
    if (xr_image_decode(&image, bytes, count, name, options, &err)) {
        fail_msg("%s: was accepted", name);
    }
    assert_null(image.rgb);
    if (err.status != status || !strstr(err.message, part) || !strstr(err.message, name)) {
        fail_msg("%s: status %d, \"%s\" does not hold \"%s\"", name, (int)err.status, err.message,
                 part);
    }
}

// A PNG's last chunk, which says only that it is the last.
enum { IEND_BYTES = 12 };

// Every beginning of a file either fails or, with as many bytes missing as Pillow lets be missing
// at most, has all of its pixels.
static void check_cuts(const cJSON *row) {
    XrBuffer file = {0};
    XrImage image;
    const char *name = text_of(row, "file");
    read_kind(name, &file);
    size_t most = (size_t)int_of(row, "cut");
    for (size_t cut = 1; cut <= file.length; cut++) {
        size_t left = file.length - cut;
        // A copy of its own, so that the sanitizer sees reads behind the end.
        char *copy = xr_malloc(left);
        memcpy(copy, file.data, left);
        bool ok = xr_image_decode(&image, copy, left, name, NULL, &err);
        if (ok && (cut > most ||
                   strcmp(xr_test_digest(image.rgb, bytes_of(&image)), text_of(row, "rgb")) != 0)) {
            fail_msg("%s: was accepted with %zu bytes missing", name, cut);
        }
        if (!ok && cut <= XR_MIN(most, IEND_BYTES)) {
            fail_msg("%s: was refused with %zu bytes missing: %s", name, cut, err.message);
        }
        xr_image_free(&image);
        free(copy);
    }
    xr_buffer_free(&file);
}

static void hostile_truncated(void **state) {
    (void)state;
    static const char *const NAMES[] = {"rgb8.png",
                                        "palette4_interlaced.png",
                                        "rgb420.jpg",
                                        "rgb420_progressive.jpg",
                                        "cmyk.jpg",
                                        "lossy.webp",
                                        "lossless_alpha.webp",
                                        "animated.webp"};
    XrJson json;
    read_json(&json, xr_test_source("golden/images/kinds.json"));
    for (size_t i = 0; i < XR_COUNT(NAMES); i++) {
        const cJSON *row;
        cJSON_ArrayForEach(row, json.root) {
            if (strcmp(text_of(row, "file"), NAMES[i]) == 0) check_cuts(row);
        }
    }
    xr_json_free(&json);
}

// One byte wrong anywhere: whatever comes of it, no crash; and PNG's checksums see it, unless it
// changes nothing.
static void hostile_one_byte(void **state) {
    (void)state;
    static const char *const NAMES[] = {
        "rgb8.png",         "rgb422.jpg",     "rgb444_progressive.jpg",
        "lossy_alpha.webp", "exif_split.jpg", "profile_packed.png"};
    XrImageOptions options = {.max_pixels = 1 << 20};
    for (size_t i = 0; i < XR_COUNT(NAMES); i++) {
        XrBuffer file = {0};
        XrImage whole, image;
        read_kind(NAMES[i], &file);
        assert_true(xr_image_decode(&whole, file.data, file.length, NAMES[i], &options, &err));
        for (size_t at = 0; at < file.length; at++) {
            file.data[at] ^= 0x55;
            if (xr_image_decode(&image, file.data, file.length, NAMES[i], &options, &err)) {
                if (i == 0) assert_memory_equal(image.rgb, whole.rgb, bytes_of(&whole));
                xr_image_free(&image);
            }
            file.data[at] ^= 0x55;
        }
        xr_image_free(&whole);
        xr_buffer_free(&file);
    }
}

static void put32(char *at, uint32_t value) {
    for (int i = 0; i < 4; i++) at[i] = (char)(value >> (24 - 8 * i));
}

static void append_chunk(XrBuffer *png, const char *type, const void *data, size_t count) {
    char word[4];
    put32(word, (uint32_t)count);
    xr_buffer_append(png, word, 4);
    size_t start = png->length;
    xr_buffer_append(png, type, 4);
    xr_buffer_append(png, data, count);
    put32(word, (uint32_t)crc32(0, (const Bytef *)png->data + start, (uInt)(count + 4)));
    xr_buffer_append(png, word, 4);
}

// An RGB header of any size, and `zeros` zeros as pixels.
static void make_png(XrBuffer *png, uint32_t width, uint32_t height, size_t zeros) {
    char header[13] = {[8] = 8, [9] = 2};
    put32(header, width);
    put32(header + 4, height);
    xr_buffer_append(png, "\x89PNG\r\n\x1a\n", 8);
    append_chunk(png, "IHDR", header, sizeof header);
    uLongf length = compressBound(zeros);
    Bytef *packed = xr_malloc(length), *plain = xr_calloc(zeros + 1, 1);
    assert_int_equal(compress2(packed, &length, plain, zeros, 9), Z_OK);
    append_chunk(png, "IDAT", packed, length);
    append_chunk(png, "IEND", "", 0);
    free(packed);
    free(plain);
}

static void expect_png(uint32_t width, uint32_t height, size_t zeros, XrStatus status,
                       const char *part) {
    XrBuffer png = {0};
    make_png(&png, width, height, zeros);
    expect_failure(png.data, png.length, "sized.png", NULL, status, part);
    xr_buffer_free(&png);
}

static void hostile_png_sizes(void **state) {
    (void)state;
    expect_png(0, 10, 10, XR_ERR_INPUT, "width");
    expect_png(10, 0, 10, XR_ERR_INPUT, "height");
    expect_png(0x7fffffff, 0x7fffffff, 100, XR_ERR_LIMIT, "2147483647 x 2147483647");
    expect_png(0xffffffff, 1, 100, XR_ERR_INPUT, "out of range");
    expect_png(20000, 20000, 1 << 20, XR_ERR_LIMIT, "20000 x 20000");
    expect_png(14000, 14000, 1000, XR_ERR_INPUT, "truncated");
    expect_png(100, 100, 20000, XR_ERR_INPUT, "sized.png");
    XrBuffer png = {0};
    XrImage image;
    make_png(&png, 100, 50, 100 * 50 * 3 + 50);
    assert_true(xr_image_decode(&image, png.data, png.length, "whole", NULL, &err));
    xr_image_free(&image);
    XrImageOptions tight = {.max_pixels = 4999};
    expect_failure(png.data, png.length, "tight", &tight, XR_ERR_LIMIT, "100 x 50");
    xr_buffer_free(&png);
}

// Text and profiles that unpack to 256 MiB each are not unpacked.
static void hostile_png_bomb_in_text(void **state) {
    (void)state;
    enum { ZEROS = 256 << 20 };
    XrBuffer png = {0}, whole = {0};
    Bytef *plain = xr_calloc(ZEROS, 1);
    uLongf length = compressBound(ZEROS);
    Bytef *packed = xr_malloc(length);
    assert_int_equal(compress2(packed, &length, plain, ZEROS, 1), Z_OK);
    free(plain);
    static const struct {
        const char *type, *head;
        size_t bytes;
    } CHUNKS[] = {{"zTXt", "Raw profile type exif\0", 23},
                  {"iTXt", "XML:com.adobe.xmp\0\1\0\0", 22},
                  {"iCCP", "profile\0", 9},
                  {"zTXt", "Comment\0", 9}};
    make_png(&png, 10, 10, 310);
    xr_buffer_append(&whole, png.data, 33); // signature and IHDR
    for (size_t i = 0; i < XR_COUNT(CHUNKS); i++) {
        XrBuffer data = {0};
        xr_buffer_append(&data, CHUNKS[i].head, CHUNKS[i].bytes);
        xr_buffer_append(&data, packed, length);
        append_chunk(&whole, CHUNKS[i].type, data.data, data.length);
        xr_buffer_free(&data);
    }
    xr_buffer_append(&whole, png.data + 33, png.length - 33);
    struct rusage before, after;
    XrImage image;
    getrusage(RUSAGE_SELF, &before);
    assert_true(xr_image_decode(&image, whole.data, whole.length, "bomb", NULL, &err));
    getrusage(RUSAGE_SELF, &after);
    assert_int_equal(image.width, 10);
    assert_true(after.ru_maxrss - before.ru_maxrss < 64 << 10);
    xr_image_free(&image);
    xr_buffer_free(&png);
    xr_buffer_free(&whole);
    free(packed);
}

static char *find(XrBuffer *file, const char *bytes, size_t count) {
    char *at = memmem(file->data, file->length, bytes, count);
    assert_non_null(at);
    return at;
}

// Height and width of a frame header.
static void put_sides(char *frame, int height, int width) {
    frame[5] = (char)(height >> 8);
    frame[6] = (char)height;
    frame[7] = (char)(width >> 8);
    frame[8] = (char)width;
}

static void hostile_jpeg_sizes(void **state) {
    (void)state;
    XrBuffer file = {0};
    read_kind("rgb420.jpg", &file);
    char *frame = find(&file, "\xff\xc0", 2); // length, precision, height, width
    put_sides(frame, 65500, 65500);
    expect_failure(file.data, file.length, "huge.jpg", NULL, XR_ERR_LIMIT, "65500 x 65500");
    put_sides(frame, 65535, 65535);
    expect_failure(file.data, file.length, "huger.jpg", NULL, XR_ERR_INPUT, "65500");
    put_sides(frame, 14000, 14000);
    expect_failure(file.data, file.length, "lying.jpg", NULL, XR_ERR_INPUT, "truncated");
    put_sides(frame, 0, 16);
    expect_failure(file.data, file.length, "flat.jpg", NULL, XR_ERR_INPUT, "JPEG");
    put_sides(frame, 16, 0);
    expect_failure(file.data, file.length, "thin.jpg", NULL, XR_ERR_INPUT, "JPEG");
    // Higher than its data: libjpeg would paint the rest grey.
    put_sides(frame, 200, 53);
    expect_failure(file.data, file.length, "short.jpg", NULL, XR_ERR_INPUT, "JPEG");
    frame[4] = 12; // bits
    expect_failure(file.data, file.length, "deep.jpg", NULL, XR_ERR_INPUT, "precision");
    xr_buffer_free(&file);
}

// A progressive file whose last scan is repeated.
static void hostile_jpeg_scans(void **state) {
    (void)state;
    XrBuffer file = {0}, many = {0};
    read_kind("rgb420_progressive.jpg", &file);
    size_t end = file.length - 2, scan = end;
    while (memcmp(file.data + scan, "\xff\xda", 2) != 0) scan--;
    xr_buffer_append(&many, file.data, scan);
    for (int i = 0; i < 300; i++) xr_buffer_append(&many, file.data + scan, end - scan);
    xr_buffer_append(&many, "\xff\xd9", 2);
    expect_failure(many.data, many.length, "scans.jpg", NULL, XR_ERR_LIMIT, "scans");
    xr_buffer_free(&file);
    xr_buffer_free(&many);
}

static void hostile_webp_size(void **state) {
    (void)state;
    XrBuffer file = {0};
    read_kind("lossless.webp", &file);
    char *bits = find(&file, "VP8L", 4) + 9; // 14 bits each of width - 1 and height - 1
    bits[0] = bits[1] = bits[2] = (char)0xff;
    bits[3] = 0x0f;
    expect_failure(file.data, file.length, "huge.webp", NULL, XR_ERR_LIMIT, "16384 x 16384");
    xr_buffer_free(&file);
}

static void hostile_formats(void **state) {
    (void)state;
    static const struct {
        const char *bytes, *part;
    } FILES[] = {{"GIF89a..............", "GIF"},
                 {"BMxxxxxxxxxxxxxxxxxx", "BMP"},
                 {"....ftypavif........", "AVIF"},
                 {"....ftypheic........", "HEIC"},
                 {"%PDF-1.4 ...........", "PDF"},
                 {"<svg xmlns=.........", "SVG"},
                 {"hello, world, hello,", "PNG, JPEG or WebP"}};
    for (size_t i = 0; i < XR_COUNT(FILES); i++) {
        expect_failure(FILES[i].bytes, 20, "file", NULL, XR_ERR_UNSUPPORTED, FILES[i].part);
    }
    expect_failure("II*\0abcdefgh", 12, "file", NULL, XR_ERR_UNSUPPORTED, "TIFF");
    expect_failure("MM\0*abcdefgh", 12, "file", NULL, XR_ERR_UNSUPPORTED, "TIFF");
    expect_failure("", 0, "nothing", NULL, XR_ERR_INPUT, "empty");
    expect_failure("\x89PNG\r\n\x1a\n", 8, "start", NULL, XR_ERR_INPUT, "PNG");
    expect_failure("\xff\xd8\xff", 3, "start", NULL, XR_ERR_INPUT, "JPEG");
    expect_failure("RIFF\x10\0\0\0WEBP", 12, "start", NULL, XR_ERR_INPUT, "WebP");
}

static void expect_unread(const char *path, const XrImageOptions *options) {
    XrImage image;
    assert_false(xr_image_read(&image, path, options, &err));
    assert_null(image.rgb);
    assert_non_null(strstr(err.message, path));
}

static void hostile_paths(void **state) {
    (void)state;
    expect_unread(xr_test_scratch(), NULL);
    expect_unread("/nowhere/picture.png", NULL);
    const XrImageOptions small = {.max_bytes = 100};
    expect_unread(kind_path("rgb8.png"), &small);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(decode_kinds),         cmocka_unit_test(decode_under_wrong_name),
        cmocka_unit_test(decode_grey16_scaled), cmocka_unit_test(decode_real),
        cmocka_unit_test(hostile_truncated),    cmocka_unit_test(hostile_one_byte),
        cmocka_unit_test(hostile_png_sizes),    cmocka_unit_test(hostile_png_bomb_in_text),
        cmocka_unit_test(hostile_jpeg_sizes),   cmocka_unit_test(hostile_jpeg_scans),
        cmocka_unit_test(hostile_webp_size),    cmocka_unit_test(hostile_formats),
        cmocka_unit_test(hostile_paths),
    };
    xr_test_filter(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
