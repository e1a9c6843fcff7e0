#include "shared/image/processor.h"

#include "shared/base/file.h"
#include "shared/base/json.h"
#include "shared/base/memory.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

// What transformers assumes where a file gives no bounds, which is less than what was published.
enum { CLASS_MIN_PIXELS = 56 * 56, CLASS_MAX_PIXELS = 28 * 28 * 1280 };
enum { BICUBIC = 3, MAX_SIDE = 1024 };
static const int64_t MAX_AREA = 1ll << 31;

const XrImageProcessor XR_QWEN25_VL_PROCESSOR = {
    .min_pixels = 3136,
    .max_pixels = 12845056,
    .patch_size = 14,
    .temporal_patch_size = 2,
    .merge_size = 2,
    .do_resize = true,
    .do_rescale = true,
    .do_normalize = true,
    .rescale_factor = 1.0 / 255.0,
    .mean = {0.48145466, 0.4578275, 0.40821073},
    .std = {0.26862954, 0.26130258, 0.27577711},
    .variant = XR_IMAGE_SLOW,
};

int64_t xr_patch_columns(const XrImageProcessor *p) {
    return 3ll * p->temporal_patch_size * p->patch_size * p->patch_size;
}

bool xr_image_processor_check(const XrImageProcessor *p, const char *name, XrError *err) {
    if (p->min_pixels < 1 || p->max_pixels < p->min_pixels || p->max_pixels > MAX_AREA) {
        return xr_fail(err, XR_ERR_INPUT,
                       "%s: min_pixels %" PRId64 " and max_pixels %" PRId64
                       " must be at least 1, in this order, and at most %" PRId64,
                       name, p->min_pixels, p->max_pixels, MAX_AREA);
    }
    if (p->patch_size < 1 || p->patch_size > MAX_SIDE || p->merge_size < 1 ||
        p->merge_size > MAX_SIDE / p->patch_size || p->temporal_patch_size < 1 ||
        p->temporal_patch_size > 16) {
        return xr_fail(err, XR_ERR_INPUT,
                       "%s: patch_size %d, merge_size %d, temporal_patch_size %d cannot be", name,
                       p->patch_size, p->merge_size, p->temporal_patch_size);
    }
    for (int c = 0; c < 3; c++) {
        if (!isfinite(p->mean[c]) || !isfinite(p->std[c]) || p->std[c] == 0) {
            return xr_fail(err, XR_ERR_INPUT, "%s: image_mean or image_std has %g or %g", name,
                           p->mean[c], p->std[c]);
        }
    }
    return isfinite(p->rescale_factor) ||
           xr_fail(err, XR_ERR_INPUT, "%s: rescale_factor is not a number", name);
}

typedef struct Reader {
    const XrJson *json;
    const cJSON *object;
    XrBuffer *notice;
    XrError *err;
} Reader;

static bool read_int(const Reader *r, const char *key, int *out) {
    int64_t value = *out;
    if (!xr_json_get_int(r->json, r->object, key, &value, r->err)) return false;
    *out = (int)XR_MAX(XR_MIN(value, INT32_MAX), INT32_MIN);
    return true;
}

// A number for all channels or a list of three.
static bool read_channels(const Reader *r, const char *key, double out[3]) {
    const cJSON *value = cJSON_GetObjectItemCaseSensitive(r->object, key);
    if (!value || cJSON_IsNull(value)) return true;
    bool list = cJSON_IsArray(value) && cJSON_GetArraySize(value) == 3;
    if (!list && !cJSON_IsNumber(value)) {
        return xr_fail(r->err, XR_ERR_INPUT, "%s: %s must be a list of three numbers",
                       r->json->name, key);
    }
    for (int c = 0; c < 3; c++) {
        const cJSON *item = list ? cJSON_GetArrayItem(value, c) : value;
        if (!cJSON_IsNumber(item)) {
            return xr_fail(r->err, XR_ERR_INPUT, "%s: %s[%d] is not a number", r->json->name, key,
                           c);
        }
        out[c] = item->valuedouble;
    }
    return true;
}

static bool check_kind(const Reader *r) {
    static const char *const KINDS[] = {"Qwen2VLImageProcessor", "Qwen2VLImageProcessorFast",
                                        "Qwen2_5_VLImageProcessor", "Qwen2VLImageProcessorPil",
                                        "Qwen2_5_VLImageProcessorFast"};
    const char *kind = NULL;
    if (!xr_json_get_text(r->json, r->object, "image_processor_type", &kind, r->err)) return false;
    if (!kind) return true;
    for (size_t i = 0; i < XR_COUNT(KINDS); i++) {
        if (strcmp(kind, KINDS[i]) == 0) return true;
    }
    return xr_fail(r->err, XR_ERR_UNSUPPORTED,
                   "%s: image_processor_type is %s; Qwen2VLImageProcessor is supported",
                   r->json->name, kind);
}

// Steps that the processor can be asked for in other models, and that this one does not have.
static bool check_unsupported(const Reader *r) {
    static const char *const STEPS[] = {"do_center_crop", "do_pad"};
    for (size_t i = 0; i < XR_COUNT(STEPS); i++) {
        bool wanted = false;
        if (!xr_json_get_bool(r->json, r->object, STEPS[i], &wanted, r->err)) return false;
        if (wanted) {
            return xr_fail(r->err, XR_ERR_UNSUPPORTED, "%s: %s is true, which is not supported",
                           r->json->name, STEPS[i]);
        }
    }
    int64_t resample = BICUBIC;
    if (!xr_json_get_int(r->json, r->object, "resample", &resample, r->err)) return false;
    return resample == BICUBIC ||
           xr_fail(r->err, XR_ERR_UNSUPPORTED,
                   "%s: resample is %" PRId64 "; only 3 (bicubic) is supported", r->json->name,
                   resample);
}

// min_pixels and max_pixels, before size.shortest_edge and size.longest_edge, before the class's.
static bool read_bounds(const Reader *r, XrImageProcessor *out) {
    const cJSON *size = cJSON_GetObjectItemCaseSensitive(r->object, "size");
    int64_t low = -1, high = -1;
    if (cJSON_IsObject(size) && (!xr_json_get_int(r->json, size, "shortest_edge", &low, r->err) ||
                                 !xr_json_get_int(r->json, size, "longest_edge", &high, r->err))) {
        return false;
    }
    if (!xr_json_get_int(r->json, r->object, "min_pixels", &low, r->err) ||
        !xr_json_get_int(r->json, r->object, "max_pixels", &high, r->err)) {
        return false;
    }
    if (low == -1) {
        low = CLASS_MIN_PIXELS;
        xr_buffer_format(r->notice, "%s: no min_pixels; %d is assumed\n", r->json->name,
                         (int)CLASS_MIN_PIXELS);
    }
    if (high == -1) {
        high = CLASS_MAX_PIXELS;
        xr_buffer_format(r->notice, "%s: no max_pixels; %d is assumed\n", r->json->name,
                         (int)CLASS_MAX_PIXELS);
    }
    out->min_pixels = low;
    out->max_pixels = high;
    return true;
}

static bool read_values(const Reader *r, XrImageProcessor *out) {
    *out = XR_QWEN25_VL_PROCESSOR;
    const XrJson *json = r->json;
    if (!cJSON_IsObject(r->object)) {
        return xr_fail(r->err, XR_ERR_INPUT, "%s: is not a JSON object", json->name);
    }
    return check_kind(r) && check_unsupported(r) && read_bounds(r, out) &&
           read_int(r, "patch_size", &out->patch_size) &&
           read_int(r, "temporal_patch_size", &out->temporal_patch_size) &&
           read_int(r, "merge_size", &out->merge_size) &&
           xr_json_get_bool(json, r->object, "do_resize", &out->do_resize, r->err) &&
           xr_json_get_bool(json, r->object, "do_rescale", &out->do_rescale, r->err) &&
           xr_json_get_bool(json, r->object, "do_normalize", &out->do_normalize, r->err) &&
           xr_json_get_double(json, r->object, "rescale_factor", &out->rescale_factor, r->err) &&
           read_channels(r, "image_mean", out->mean) && read_channels(r, "image_std", out->std) &&
           xr_image_processor_check(out, json->name, r->err);
}

static bool read_file(XrImageProcessor *out, const char *path, const char *member, XrBuffer *notice,
                      bool *found, XrError *err) {
    *found = xr_path_exists(path);
    if (!*found) return true;
    XrJson json = {0};
    if (!xr_json_read_file(&json, path, &XR_JSON_SMALL, err)) return false;
    Reader r = {&json, json.root, notice, err};
    if (member) {
        r.object = cJSON_GetObjectItemCaseSensitive(json.root, member);
        *found = r.object != NULL;
    }
    bool ok = !*found || read_values(&r, out);
    xr_json_free(&json);
    return ok;
}

bool xr_image_processor_load(XrImageProcessor *out, const char *folder, XrBuffer *notice,
                             XrError *err) {
    char *own = xr_path_join(folder, "preprocessor_config.json");
    char *joint = xr_path_join(folder, "processor_config.json");
    bool found = false;
    bool ok = read_file(out, own, NULL, notice, &found, err) &&
              (found || read_file(out, joint, "image_processor", notice, &found, err));
    if (ok && !found) {
        *out = XR_QWEN25_VL_PROCESSOR;
        xr_buffer_format(notice, "%s: missing; the values of Qwen2.5-VL are assumed\n", own);
    }
    free(own);
    free(joint);
    return ok;
}
