// Resizing, normalising and cutting into patches, against Pillow, torchvision and transformers
// (golden/make_images.py), and the processor's configuration.
#include "tests/support/digest.h"
#include "tests/support/test.h"

#include "ref/image_kernels.h"
#include "shared/base/file.h"
#include "shared/base/json.h"
#include "shared/base/memory.h"
#include "shared/image/preprocess.h"
#include "shared/image/resize.h"

#include <stdlib.h>

static XrError err;

static void read_json(XrJson *json, const char *name) {
    if (!xr_json_read_file(json, xr_test_source(name), &XR_JSON_SMALL, &err)) {
        fail_msg("%s", err.message);
    }
}

static const char *text_of(const cJSON *row, const char *key) {
    const cJSON *value = cJSON_GetObjectItemCaseSensitive(row, key);
    assert_true(cJSON_IsString(value));
    return value->valuestring;
}

static int64_t int_at(const cJSON *list, int index) {
    int64_t value = 0;
    assert_true(xr_json_whole(cJSON_GetArrayItem(list, index), &value));
    return value;
}

// The bytes of golden/make_images.py's noise.
static XrImage make_noise(int height, int width) {
    XrImage image = {width, height, xr_malloc((size_t)height * (size_t)width * 3)};
    uint32_t state = 12345;
    for (int64_t i = 0; i < 3ll * height * width; i++) {
        state = state * 1664525u + 1013904223u;
        image.rgb[i] = (uint8_t)(state >> 24);
    }
    return image;
}

static size_t bytes_of(const XrImage *image) {
    return (size_t)image->width * (size_t)image->height * 3;
}

// ---- resizing ----

static void check_resize(const cJSON *row, XrImageVariant variant, const char *key) {
    const cJSON *from = cJSON_GetObjectItemCaseSensitive(row, "from");
    const cJSON *to = cJSON_GetObjectItemCaseSensitive(row, "to");
    XrImage in = make_noise((int)int_at(from, 0), (int)int_at(from, 1)), out;
    int height = (int)int_at(to, 0), width = (int)int_at(to, 1);
    assert_true(xr_image_resize(&out, &in, width, height, variant, NULL, &err));
    assert_int_equal(out.width, width);
    assert_int_equal(out.height, height);
    if (strcmp(xr_test_digest(out.rgb, bytes_of(&out)), text_of(row, key)) != 0) {
        fail_msg("%d x %d to %d x %d differs from %s", in.height, in.width, height, width, key);
    }
    xr_image_free(&in);
    xr_image_free(&out);
}

static void check_resizes(XrImageVariant variant, const char *key) {
    XrJson json;
    const cJSON *row;
    read_json(&json, "golden/images/resize.json");
    assert_true(cJSON_GetArraySize(json.root) > 60);
    cJSON_ArrayForEach(row, json.root) check_resize(row, variant, key);
    xr_json_free(&json);
}

static void resize_pillow(void **state) {
    (void)state;
    check_resizes(XR_IMAGE_SLOW, "slow");
}

static void resize_pillow12(void **state) {
    (void)state;
    check_resizes(XR_IMAGE_SLOW_PILLOW12, "slow_pillow12");
}

static void resize_torchvision(void **state) {
    (void)state;
    check_resizes(XR_IMAGE_FAST, "fast");
}

static void resize_too_far(void **state) {
    (void)state;
    XrImage in = make_noise(1, 2002), out;
    assert_true(xr_image_resize(&out, &in, 2, 1, XR_IMAGE_SLOW, NULL, &err));
    xr_image_free(&out);
    assert_false(xr_image_resize(&out, &in, 1, 1, XR_IMAGE_SLOW, NULL, &err));
    assert_null(out.rgb);
    xr_image_free(&in);
}

enum { GUARD = 64 };

static uint8_t *painted(size_t bytes) {
    uint8_t *memory = xr_alloc_aligned(bytes + GUARD);
    memset(memory, 0xA5, bytes + GUARD);
    return memory;
}

static void check_guard(const uint8_t *memory, size_t bytes) {
    for (int i = 0; i < GUARD; i++) assert_int_equal(memory[bytes + (size_t)i], 0xA5);
}

// All rows and columns of one kernel table; the caller frees both results.
static void run_kernels(const XrImageKernels *kernels, const XrImage *in,
                        const XrResampleAxis *across, const XrResampleAxis *down, uint8_t **rows,
                        uint8_t **columns) {
    size_t row_bytes = (size_t)across->out * 3 * (size_t)in->height;
    int64_t stride = 3ll * in->width;
    size_t column_bytes = (size_t)(stride * down->out);
    uint8_t *scratch = xr_alloc_aligned(XR_ROW_BLOCK * (3 * (size_t)in->width + 32));
    *rows = painted(row_bytes);
    *columns = painted(column_bytes);
    for (int y = 0; y < in->height; y += XR_ROW_BLOCK) {
        kernels->rows(*rows + 3ll * y * across->out, in->rgb + y * stride,
                      XR_MIN(in->height - y, XR_ROW_BLOCK), across, scratch);
    }
    for (int i = 0; i < down->out; i++) {
        kernels->column(*columns + i * stride, in->rgb, stride, stride, down, i);
    }
    check_guard(*rows, row_bytes);
    check_guard(*columns, column_bytes);
    free(scratch);
}

#if defined(__x86_64__)
// Sizes around the widths of vectors and blocks.
static void kernels_agree(void **state) {
    (void)state;
    static const int SIDES[] = {1, 5, 15, 16, 17, 21, 22, 31, 33, 43, 63, 64, 65, 127, 130};
    const XrImageKernels *tables[] = {&xr_image_kernels_avx2, &xr_image_kernels_avx512};
    for (int t = 0; t < 2; t++) {
        if ((int)xr_isa() < (int)XR_ISA_AVX2 + t) continue;
        for (size_t i = 0; i < XR_COUNT(SIDES) * XR_COUNT(SIDES); i++) {
            int h = SIDES[i % XR_COUNT(SIDES)], w = SIDES[i / XR_COUNT(SIDES)];
            XrImage in = make_noise(h, w);
            XrResampleAxis across, down;
            assert_true(xr_resample_axis(&across, w, w % 50 + 9, XR_RESAMPLE_PILLOW, &err));
            assert_true(xr_resample_axis(&down, h, h % 40 + 7, XR_RESAMPLE_PILLOW, &err));
            uint8_t *rows[2], *columns[2];
            run_kernels(&xr_image_kernels_baseline, &in, &across, &down, &rows[0], &columns[0]);
            run_kernels(tables[t], &in, &across, &down, &rows[1], &columns[1]);
            assert_memory_equal(rows[0], rows[1], (size_t)(3 * across.out * h));
            assert_memory_equal(columns[0], columns[1], (size_t)(3 * down.out * w));
            for (int k = 0; k < 2; k++) {
                free(rows[k]);
                free(columns[k]);
            }
            xr_resample_axis_free(&across);
            xr_resample_axis_free(&down);
            xr_image_free(&in);
        }
    }
}
#endif

// ---- smart resize ----

static void smart_resize_golden(void **state) {
    (void)state;
    XrJson json;
    const cJSON *row;
    read_json(&json, "golden/images/smart_resize.json");
    assert_true(cJSON_GetArraySize(json.root) > 150);
    cJSON_ArrayForEach(row, json.root) {
        int h = 0, w = 0;
        assert_true(xr_smart_resize((int)int_at(row, 0), (int)int_at(row, 1), (int)int_at(row, 2),
                                    int_at(row, 3), int_at(row, 4), "x", &h, &w, &err));
        if (h != int_at(row, 5) || w != int_at(row, 6)) {
            fail_msg("%d x %d becomes %d x %d", (int)int_at(row, 0), (int)int_at(row, 1), h, w);
        }
    }
    xr_json_free(&json);
}

static void smart_resize_published(void **state) {
    (void)state;
    static const int TABLE[][4] = {{480, 640, 476, 644},     {1080, 1920, 1092, 1932},
                                   {1365, 2048, 1372, 2044}, {448, 448, 448, 448},
                                   {70, 70, 56, 56},         {10, 100, 28, 196}};
    for (size_t i = 0; i < XR_COUNT(TABLE); i++) {
        int h = 0, w = 0;
        assert_true(
            xr_smart_resize(TABLE[i][0], TABLE[i][1], 28, 3136, 12845056, "x", &h, &w, &err));
        assert_int_equal(h, TABLE[i][2]);
        assert_int_equal(w, TABLE[i][3]);
    }
}

static void smart_resize_refuses(void **state) {
    (void)state;
    int h = 0, w = 0;
    assert_true(xr_smart_resize(10, 2000, 28, 3136, 12845056, "thin", &h, &w, &err));
    assert_false(xr_smart_resize(10, 2001, 28, 3136, 12845056, "thin", &h, &w, &err));
    assert_non_null(strstr(err.message, "thin: is 2001 x 10 pixels"));
    assert_false(xr_smart_resize(201, 1, 28, 3136, 12845056, "thin", &h, &w, &err));
    assert_false(xr_smart_resize(1, 1, 28, 1ll << 32, 1ll << 33, "grown", &h, &w, &err));
    assert_non_null(strstr(err.message, "min_pixels"));
}

// ---- patches ----

static void check_pixels(const XrPixels *pixels, const cJSON *row, const char *key) {
    const cJSON *grid = cJSON_GetObjectItemCaseSensitive(row, "grid");
    assert_int_equal(pixels->count, 1);
    assert_int_equal(pixels->columns, 1176);
    assert_int_equal(pixels->grids[0].t, int_at(grid, 0));
    assert_int_equal(pixels->grids[0].h, int_at(grid, 1));
    assert_int_equal(pixels->grids[0].w, int_at(grid, 2));
    assert_int_equal(pixels->rows, xr_grid_rows(&pixels->grids[0]));
    size_t bytes = (size_t)pixels->rows * (size_t)pixels->columns * sizeof(float);
    if (strcmp(xr_test_digest(pixels->values, bytes), text_of(row, key)) != 0) {
        fail_msg("%s: pixel_values differ from the %s processor's", text_of(row, "file"), key);
    }
}

static void patches_of_kinds(void **state) {
    (void)state;
    XrJson json;
    const cJSON *row;
    read_json(&json, "golden/images/kinds.json");
    cJSON_ArrayForEach(row, json.root) {
        char name[256];
        snprintf(name, sizeof name, "golden/images/kinds/%s", text_of(row, "file"));
        for (int fast = 0; fast < 2; fast++) {
            XrImageProcessor p = XR_QWEN25_VL_PROCESSOR;
            XrPixels pixels = {0};
            p.variant = fast ? XR_IMAGE_FAST : XR_IMAGE_SLOW;
            if (!xr_pixels_append_file(&pixels, &p, xr_test_source(name), NULL, NULL, &err)) {
                fail_msg("%s", err.message);
            }
            check_pixels(&pixels, row, fast ? "fast" : "slow");
            xr_pixels_free(&pixels);
        }
    }
    xr_json_free(&json);
}

static void patches_of_real(void **state) {
    (void)state;
    XrJson json;
    const cJSON *row;
    xr_test_data("images");
    xr_test_data("mathvision/images");
    read_json(&json, "golden/images/real.json");
    cJSON_ArrayForEach(row, json.root) {
        XrPixels pixels = {0};
        if (!xr_pixels_append_file(&pixels, &XR_QWEN25_VL_PROCESSOR,
                                   xr_test_data(text_of(row, "file")), NULL, NULL, &err)) {
            fail_msg("%s", err.message);
        }
        check_pixels(&pixels, row, "slow");
        xr_pixels_free(&pixels);
    }
    xr_json_free(&json);
}

// Where each value comes from: pictures whose pixels say their channel, their row, their column.
static void patches_order(void **state) {
    (void)state;
    XrImageProcessor p = XR_QWEN25_VL_PROCESSOR;
    p.do_rescale = p.do_normalize = false;
    enum { H = 84, W = 140 };
    XrImage image = {W, H, xr_malloc((size_t)3 * H * W)};
    XrPixels pixels = {0};
    for (int what = 0; what < 3; what++) {
        for (int i = 0; i < 3 * H * W; i++) {
            image.rgb[i] = (uint8_t)(what == 0 ? i % 3 : what == 1 ? i / 3 / W : i / 3 % W);
        }
        assert_true(xr_pixels_append(&pixels, &p, &image, "x", NULL, &err));
    }
    assert_int_equal(pixels.count, 3);
    int64_t rows = pixels.rows / 3;
    assert_int_equal(rows, (H / 14) * (W / 14));
    for (int64_t i = 0; i < rows * 1176; i++) {
        int64_t r = i / 1176, column = i % 1176, cell = r / 4;
        int64_t py = cell / (W / 28) * 2 + r % 4 / 2, px = cell % (W / 28) * 2 + r % 2;
        int64_t c = column / 392, y = py * 14 + column % 196 / 14, x = px * 14 + column % 14;
        assert_true(pixels.values[i] == (float)c);
        assert_true(pixels.values[i + rows * 1176] == (float)y);
        assert_true(pixels.values[i + 2 * rows * 1176] == (float)x);
    }
    xr_pixels_free(&pixels);
    xr_image_free(&image);
}

// Other sizes of patch, cell and time, against the definition of the order.
static void patches_other_layout(void **state) {
    (void)state;
    XrImageProcessor p = XR_QWEN25_VL_PROCESSOR;
    p.patch_size = 5;
    p.merge_size = 3;
    p.temporal_patch_size = 3;
    p.do_resize = p.do_rescale = p.do_normalize = false;
    XrImage image = make_noise(30, 45);
    XrPixels pixels = {0};
    assert_true(xr_pixels_append(&pixels, &p, &image, "x", NULL, &err));
    assert_int_equal(pixels.columns, 225);
    assert_int_equal(xr_grid_tokens(&pixels.grids[0], &p), 6);
    for (int64_t i = 0; i < pixels.rows * 225; i++) {
        int64_t r = i / 225, column = i % 225, cell = r / 9, c = column / 75;
        int64_t y = (cell / 3 * 3 + r % 9 / 3) * 5 + column % 25 / 5;
        int64_t x = (cell % 3 * 3 + r % 3) * 5 + column % 5;
        assert_true(pixels.values[i] == (float)image.rgb[(y * 45 + x) * 3 + c]);
    }
    xr_pixels_free(&pixels);
    XrImage odd = make_noise(30, 46);
    assert_false(xr_pixels_append(&pixels, &p, &odd, "odd.png", NULL, &err));
    assert_non_null(strstr(err.message, "odd.png: is 46 x 30"));
    assert_null(pixels.values);
    xr_image_free(&image);
    xr_image_free(&odd);
}

// Two pictures are the rows of one and then of the other; threads change nothing.
static void patches_append_and_threads(void **state) {
    (void)state;
    XrThreads *threads = xr_threads_create(3);
    XrImage a = make_noise(150, 333), b = make_noise(61, 40);
    XrPixels one = {0}, two = {0}, both = {0};
    const XrImageProcessor *p = &XR_QWEN25_VL_PROCESSOR;
    assert_true(xr_pixels_append(&one, p, &a, "a", NULL, &err));
    assert_true(xr_pixels_append(&two, p, &b, "b", NULL, &err));
    assert_true(xr_pixels_append(&both, p, &a, "a", threads, &err));
    assert_true(xr_pixels_append(&both, p, &b, "b", threads, &err));
    assert_int_equal(both.rows, one.rows + two.rows);
    assert_int_equal(both.count, 2);
    size_t row = 1176 * sizeof(float);
    assert_memory_equal(both.values, one.values, (size_t)one.rows * row);
    assert_memory_equal(both.values + one.rows * 1176, two.values, (size_t)two.rows * row);
    assert_memory_equal(&both.grids[1], &two.grids[0], sizeof(XrImageGrid));
    xr_pixels_free(&one);
    xr_pixels_free(&two);
    xr_pixels_free(&both);
    xr_image_free(&a);
    xr_image_free(&b);
    xr_threads_free(threads);
}

// ---- configuration ----

static bool load(const char *file, const char *text, XrImageProcessor *out, XrBuffer *notice) {
    static int number;
    char name[32];
    snprintf(name, sizeof name, "model%d", number++);
    char *folder = xr_path_join(xr_test_scratch(), name);
    assert_true(xr_make_folders(folder, &err));
    if (file) {
        char *path = xr_path_join(folder, file);
        assert_true(xr_file_write(path, text, strlen(text), &err));
        free(path);
    }
    xr_buffer_clear(notice);
    bool ok = xr_image_processor_load(out, folder, notice, &err);
    free(folder);
    return ok;
}

static const char CONFIG[] = "preprocessor_config.json";

static void config_forms(void **state) {
    (void)state;
    XrBuffer notice = {0};
    XrImageProcessor p;
    assert_true(load(NULL, NULL, &p, &notice));
    assert_true(p.min_pixels == 3136 && p.max_pixels == 12845056 && xr_patch_columns(&p) == 1176);
    assert_non_null(strstr(notice.data, "missing"));
    assert_true(
        load(CONFIG,
             "{\"min_pixels\": 100, \"max_pixels\": 200000, \"size\": {\"shortest_edge\": 1,"
             " \"longest_edge\": 2}, \"resample\": 3, \"image_processor_type\":"
             " \"Qwen2VLImageProcessor\", \"image_mean\": [0.5, 0.25, 0], \"image_std\": 2,"
             " \"rescale_factor\": 0.5, \"patch_size\": 16, \"do_pad\": null}",
             &p, &notice));
    assert_int_equal(notice.length, 0);
    assert_true(p.min_pixels == 100 && p.max_pixels == 200000 && p.patch_size == 16);
    assert_true(p.mean[1] == 0.25 && p.std[2] == 2 && p.rescale_factor == 0.5);
    assert_true(p.do_resize && p.merge_size == 2 && xr_patch_columns(&p) == 1536);
    assert_true(load("processor_config.json",
                     "{\"image_processor\": {\"size\": {\"longest_edge\": 9000,"
                     " \"shortest_edge\": 4000}, \"do_normalize\": false}}",
                     &p, &notice));
    assert_true(p.min_pixels == 4000 && p.max_pixels == 9000 && !p.do_normalize);
    assert_true(load(CONFIG, "{}", &p, &notice));
    assert_int_equal(p.max_pixels, 1003520);
    assert_non_null(strstr(notice.data, "max_pixels; 1003520 is assumed"));
    xr_buffer_free(&notice);
}

static void config_refused(void **state) {
    (void)state;
    static const char *const CASES[][2] = {
        {"{\"image_processor_type\": \"CLIPImageProcessor\"}", "CLIPImageProcessor"},
        {"{\"resample\": 2}", "resample is 2"},
        {"{\"do_center_crop\": true}", "do_center_crop"},
        {"{\"min_pixels\": 10, \"max_pixels\": 9}", "min_pixels"},
        {"{\"min_pixels\": 0}", "min_pixels"},
        {"{\"max_pixels\": 1e15}", "max_pixels"},
        {"{\"max_pixels\": \"many\"}", "max_pixels"},
        {"{\"patch_size\": 0}", "patch_size"},
        {"{\"patch_size\": 99999999999}", "patch_size"},
        {"{\"merge_size\": -1}", "merge_size"},
        {"{\"image_mean\": [1, 2]}", "image_mean"},
        {"{\"image_std\": [1, 0, 1]}", "image_std"},
        {"{\"image_std\": [1, null, 1]}", "image_std[1]"},
        {"[]", "object"},
        {"{", "preprocessor_config.json"}};
    XrBuffer notice = {0};
    for (size_t i = 0; i < XR_COUNT(CASES); i++) {
        XrImageProcessor p;
        if (load(CONFIG, CASES[i][0], &p, &notice)) fail_msg("%s was accepted", CASES[i][0]);
        if (!strstr(err.message, CASES[i][1]) || !strstr(err.message, CONFIG)) {
            fail_msg("%s: \"%s\" does not name %s", CASES[i][0], err.message, CASES[i][1]);
        }
    }
    xr_buffer_free(&notice);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(resize_pillow),
        cmocka_unit_test(resize_pillow12),
        cmocka_unit_test(resize_torchvision),
        cmocka_unit_test(resize_too_far),
#if defined(__x86_64__)
        cmocka_unit_test(kernels_agree),
#endif
        cmocka_unit_test(smart_resize_golden),
        cmocka_unit_test(smart_resize_published),
        cmocka_unit_test(smart_resize_refuses),
        cmocka_unit_test(patches_of_kinds),
        cmocka_unit_test(patches_of_real),
        cmocka_unit_test(patches_order),
        cmocka_unit_test(patches_other_layout),
        cmocka_unit_test(patches_append_and_threads),
        cmocka_unit_test(config_forms),
        cmocka_unit_test(config_refused),
    };
    xr_test_filter(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
