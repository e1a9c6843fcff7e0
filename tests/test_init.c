// Untrained models: what is written is what was asked for, and a pure function of the seed.
#include "tests/support/test.h"

#include "datasets/tiny_world/base.h"
#include "shared/base/file.h"
#include "shared/base/memory.h"
#include "shared/model/init.h"
#include "shared/prompt/chat_model.h"

#include <math.h>
#include <stdlib.h>

static XrError err;

static char *write_model(const char *name, uint64_t seed) {
    char *folder = xr_path_join(xr_test_scratch(), name);
    if (!xr_world_write_model(folder, seed, &err)) fail_msg("%s", err.message);
    return folder;
}

// A configuration that is written is read back as it was, whatever its sizes.
static void configuration_round_trip(void **state) {
    (void)state;
    XrConfig c = xr_world_config(), read;
    c.layers = 3;
    c.tied = false;
    c.rope_theta = 1e6;
    c.vision.blocks = 9;
    c.vision.full_attention[4] = c.vision.full_attention[8] = true;
    c.vision.window = 112;
    c.vision.window_cells = 4;
    XrBuffer text = {0};
    xr_config_json(&text, &c);
    if (!xr_config_parse(&read, "config.json", text.data, text.length, &err)) {
        fail_msg("%s", err.message);
    }
    assert_int_equal(read.layers, 3);
    assert_int_equal(read.head_dim, 32);
    assert_false(read.tied);
    assert_true(read.rope_theta == 1e6 && read.rms_eps == c.rms_eps);
    assert_int_equal(read.mrope_section[2], 6);
    assert_int_equal(read.eos[0], c.eos[0]);
    assert_int_equal(read.image_token, c.image_token);
    assert_memory_equal(&read.vision, &c.vision, sizeof c.vision);
    xr_buffer_free(&text);
}

static void mean_and_deviation(const XrTensor *t, double *mean, double *deviation) {
    const float *values = t->data;
    double sum = 0, squares = 0, n = (double)xr_numel(t);
    for (int64_t i = 0; i < xr_numel(t); i++) sum += (double)values[i];
    *mean = sum / n;
    for (int64_t i = 0; i < xr_numel(t); i++) squares += pow((double)values[i] - *mean, 2);
    *deviation = sqrt(squares / n);
}

static void weights_have_their_deviations(void **state) {
    (void)state;
    char *folder = write_model("a", 7);
    XrBackend *backend = xr_cpu_create(1);
    XrChatModel *m;
    XrBuffer notice = {0};
    XrChatModelOptions options = {.check_finite = true};
    if (!xr_chat_model_open(&m, backend, folder, &options, &notice, &err)) {
        fail_msg("%s", err.message);
    }
    assert_int_equal(notice.length, 0);
    const struct {
        XrRole role;
        double deviation;
    } cases[] = {
        {XR_EMBED, 1 / sqrt(3 * 128.0)},
        {XR_LAYER_Q, 1 / sqrt(3 * 128.0)},
        {XR_LAYER_DOWN, 1 / sqrt(3 * 320.0 * 8)},
        {XR_VISION_PATCH, 1 / sqrt(3 * 1176.0)},
        {XR_VISION_PROJ, 1 / sqrt(3 * 64.0 * 4)},
        {XR_LAYER_Q_BIAS, 0},
        {XR_LAYER_NORM1, 0},
    };
    for (size_t i = 0; i < XR_COUNT(cases); i++) {
        double mean, deviation, expected = cases[i].deviation;
        const XrTensor *t = xr_model_parameter(m->model, cases[i].role, 0);
        mean_and_deviation(t, &mean, &deviation);
        double error = sqrt(1 / (double)xr_numel(t)); // of the mean, relative to the deviation
        assert_true(fabs(deviation - expected) <= 3 * error * expected);
        assert_true(fabs(mean - (cases[i].role == XR_LAYER_NORM1)) <= 4 * error * expected);
    }
    xr_chat_model_close(m);
    xr_backend_free(backend);
    free(folder);
}

static void same_seed_same_bytes(void **state) {
    (void)state;
    XrBuffer files[3] = {{0}};
    const uint64_t seeds[] = {7, 7, 8};
    for (int i = 0; i < 3; i++) {
        char name[16];
        snprintf(name, sizeof name, "m%d", i);
        char *folder = write_model(name, seeds[i]);
        char *path = xr_path_join(folder, "model.safetensors");
        assert_true(xr_file_read(path, 1 << 24, &files[i], &err));
        free(path);
        free(folder);
    }
    assert_int_equal(files[0].length, files[1].length);
    assert_memory_equal(files[0].data, files[1].data, files[0].length);
    assert_memory_not_equal(files[0].data, files[2].data, files[0].length);
    for (int i = 0; i < 3; i++) xr_buffer_free(&files[i]);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(configuration_round_trip),
        cmocka_unit_test(weights_have_their_deviations),
        cmocka_unit_test(same_seed_same_bytes),
    };
    xr_test_filter(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
