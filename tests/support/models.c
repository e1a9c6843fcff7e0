#include "tests/support/models.h"

#include "datasets/tiny_world/base.h"
#include "shared/base/file.h"
#include "shared/base/json.h"
#include "shared/base/memory.h"
#include "shared/model/init.h"
#include "tests/support/test.h"

#include <glob.h>
#include <stdlib.h>

const char *const *xr_golden_request_names(int *count) {
    static const char **names;
    static int found;
    glob_t files;
    if (!names && glob(xr_test_source("golden/reference/*.safetensors"), 0, NULL, &files) == 0) {
        names = xr_calloc(files.gl_pathc, sizeof *names);
        for (size_t i = 0; i < files.gl_pathc; i++) {
            const char *name = strrchr(files.gl_pathv[i], '/') + 1;
            if (strstr(name, ".gradients.")) continue;
            names[found++] = xr_strndup(name, strlen(name) - strlen(".safetensors"));
        }
        globfree(&files);
    }
    *count = found;
    return names;
}

XrModel *xr_golden_model(XrBackend *backend, const char *request) {
    char path[256];
    snprintf(path, sizeof path, "golden/models/%.*s", (int)strcspn(request, "."), request);
    XrError err;
    XrModel *model;
    if (!xr_model_open(&model, backend, xr_test_source(path), XR_WEIGHTS_AS_STORED, true, &err)) {
        fail_msg("%s", err.message);
    }
    return model;
}

// Appends the patches of the picture at `path` ("golden/images/a.png").
static void add_picture(XrGoldenRequest *r, const XrGolden *patches, const char *path) {
    const char *file = strrchr(path, '/') + 1;
    char name[64];
    snprintf(name, sizeof name, "%.*s.pixel_values", (int)strcspn(file, "."), file);
    XrTensor values = xr_golden_tensor(patches, name, XR_F32);
    size_t row = (size_t)xr_row_size(&values);
    r->pixels = xr_realloc(r->pixels, sizeof(float) * row * (size_t)(r->patches + values.shape[0]));
    memcpy(r->pixels + (size_t)r->patches * row, values.data, xr_nbytes(&values));
    r->patches += values.shape[0];
}

static void add_pictures(XrGoldenRequest *r, const char *request) {
    XrGolden patches = xr_golden_open("images/patches.safetensors");
    char path[256];
    snprintf(path, sizeof path, "golden/requests/%s.json", strchr(request, '.') + 1);
    XrJson json;
    XrError err;
    if (!xr_json_read_file(&json, xr_test_source(path), &XR_JSON_SMALL, &err)) {
        fail_msg("%s", err.message);
    }
    const cJSON *message, *part;
    cJSON_ArrayForEach(message, cJSON_GetObjectItem(json.root, "messages")) {
        cJSON_ArrayForEach(part, cJSON_GetObjectItem(message, "content")) {
            const cJSON *image = cJSON_GetObjectItem(part, "image");
            if (image) add_picture(r, &patches, image->valuestring);
        }
    }
    xr_json_free(&json);
    xr_golden_close(&patches);
}

XrGoldenRequest xr_golden_request(const char *name) {
    char file[256];
    snprintf(file, sizeof file, "reference/%s.safetensors", name);
    XrGoldenRequest r = {.golden = xr_golden_open(file)};
    XrTensor ids = xr_golden_tensor(&r.golden, "input_ids", XR_I64);
    r.count = ids.shape[0];
    r.ids = xr_malloc(sizeof *r.ids * (size_t)r.count);
    for (int64_t i = 0; i < r.count; i++) r.ids[i] = (int32_t)((int64_t *)ids.data)[i];
    if (xr_golden_has(&r.golden, "image_grid_thw")) {
        XrTensor grids = xr_golden_tensor(&r.golden, "image_grid_thw", XR_I64);
        const int64_t *thw = grids.data;
        r.grid_count = (int)grids.shape[0];
        r.grids = xr_malloc(sizeof *r.grids * (size_t)r.grid_count);
        for (int i = 0; i < r.grid_count; i++) {
            r.grids[i] = (XrImageGrid){thw[3 * i], thw[3 * i + 1], thw[3 * i + 2]};
        }
        add_pictures(&r, name);
    }
    return r;
}

void xr_golden_request_free(XrGoldenRequest *r) {
    xr_golden_close(&r->golden);
    free(r->ids);
    free(r->grids);
    free(r->pixels);
    *r = (XrGoldenRequest){0};
}

XrPackedSequence xr_golden_sequence(const XrGoldenRequest *r) {
    return (XrPackedSequence){r->ids, r->count, r->grids, r->grid_count};
}

char *xr_test_untrained_model(void) {
    XrBuffer tokenizer = {0};
    XrError err;
    if (!xr_file_read(xr_test_data("qwen2.5-vl/tokenizer.json"), 1 << 26, &tokenizer, &err)) {
        fail_msg("%s", err.message);
    }
    XrConfig c = xr_world_config();
    c.vocab = 151936;
    c.hidden = c.vision.out_hidden = 32;
    c.layers = 1;
    c.heads = 2;
    c.kv_heads = 1;
    c.head_dim = 16;
    c.mrope_section[0] = 2;
    c.mrope_section[1] = c.mrope_section[2] = 3;
    c.intermediate = 64;
    c.max_positions = 2048;
    c.bos = c.pad = 151643;
    c.eos[0] = 151645;
    c.image_token = 151655;
    c.video_token = 151656;
    c.vision_start = 151652;
    c.vision_end = 151653;
    char *folder = xr_path_join(xr_test_scratch(), "base");
    char *path = xr_path_join(folder, "tokenizer.json");
    if (!xr_model_init_write(folder, &c, 1, &err) ||
        !xr_file_write(path, tokenizer.data, tokenizer.length, &err)) {
        fail_msg("%s", err.message);
    }
    free(path);
    xr_buffer_free(&tokenizer);
    return folder;
}
