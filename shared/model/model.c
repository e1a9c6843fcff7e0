#include "shared/model/model.h"

#include "shared/base/memory.h"
#include "shared/tensor/convert.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

XrWeightType xr_weight_type(const char *name) {
    if (strcmp(name, "f32") == 0) return XR_WEIGHTS_F32;
    return strcmp(name, "bf16") == 0 ? XR_WEIGHTS_BF16 : XR_WEIGHTS_AS_STORED;
}

// Puts one parameter into the backend's memory: as it lies in the file, or converted.
bool xr_model_place(XrModel *model, int index, XrError *err) {
    XrBackend *b = model->backend;
    const XrTensor *stored = &model->weights.tensors[index];
    const char *name = model->table.items[index].name;
    XrDType wanted = model->type == XR_WEIGHTS_F32    ? XR_F32
                     : model->type == XR_WEIGHTS_BF16 ? XR_BF16
                                                      : stored->dtype;
    XrTensor *t = &model->parameters[index];
    *t = *stored;
    if (wanted == stored->dtype) {
        t->data = b->import(b, stored->data, xr_nbytes(stored), name, err);
        return t->data != NULL;
    }
    model->owned[index] = true;
    if (!xr_tensor_alloc(b, t, wanted, stored->ndim, stored->shape, name, err)) return false;
    void *converted = xr_try_alloc(xr_nbytes(t), name, err);
    if (!converted) return false;
    xr_convert_parallel(b->threads, converted, wanted, stored->data, stored->dtype, xr_numel(t));
    xr_upload(b, t, converted);
    free(converted);
    return true;
}

static XrDType activations_of(const XrModel *model) {
    bool wide = model->type == XR_WEIGHTS_F32 ||
                (model->type == XR_WEIGHTS_AS_STORED && model->weights.dtype == XR_F32);
    return wide ? XR_F32 : model->backend->activations;
}

// inv_freq[i] = base^(-2i / rotated), restarting at i = 0 wherever `restart` holds (the vision
// tower gives each axis frequencies of its own), axis[i] by the sections.
static bool make_rotary(XrModel *model, XrRotary *out, double base, int64_t rotated, int axes,
                        const int64_t *sections, bool restart, XrError *err) {
    int64_t half = 0;
    for (int a = 0; a < axes; a++) half += sections[a];
    float *frequency = xr_malloc(sizeof *frequency * (size_t)half);
    int32_t *axis = xr_malloc(sizeof *axis * (size_t)half);
    int64_t at = 0;
    for (int a = 0; a < axes; a++) {
        for (int64_t i = 0; i < sections[a]; i++, at++) {
            double exponent = 2.0 * (double)(restart ? i : at) / (double)rotated;
            frequency[at] = (float)(1.0 / pow(base, exponent));
            axis[at] = a;
        }
    }
    bool ok =
        xr_tensor_alloc(model->backend, &out->inv_freq, XR_F32, 1, &half, "frequencies", err) &&
        xr_tensor_alloc(model->backend, &out->axis, XR_I32, 1, &half, "axes", err);
    if (ok) {
        xr_upload(model->backend, &out->inv_freq, frequency);
        xr_upload(model->backend, &out->axis, axis);
    }
    free(frequency);
    free(axis);
    return ok;
}

static bool make_rotaries(XrModel *model, XrError *err) {
    const XrConfig *c = &model->config;
    if (!make_rotary(model, &model->rotary, c->rope_theta, c->head_dim, 3, c->mrope_section, false,
                     err)) {
        return false;
    }
    if (!c->has_vision) return true;
    int64_t quarter = c->vision.head_dim / 4;
    return make_rotary(model, &model->vision_rotary, 10000.0, c->vision.head_dim / 2, 2,
                       (int64_t[]){quarter, quarter}, true, err);
}

bool xr_model_of(XrModel **out, XrBackend *backend, const char *folder, const XrConfig *config,
                 XrWeights *weights, XrWeightType type, XrError *err) {
    XrModel *model = xr_calloc(1, sizeof *model);
    model->backend = backend;
    model->folder = xr_strdup(folder);
    model->config = *config;
    model->weights = *weights;
    model->type = type;
    model->activations = activations_of(model);
    model->table = xr_parameters(&model->config);
    model->parameters = xr_calloc((size_t)model->table.count, sizeof *model->parameters);
    model->owned = xr_calloc((size_t)model->table.count, sizeof *model->owned);
    *weights = (XrWeights){0};
    *out = model;
    if (make_rotaries(model, err)) return true;
    xr_model_close(model);
    *out = NULL;
    return false;
}

bool xr_model_open_unplaced(XrModel **out, XrBackend *backend, const char *folder,
                            XrWeightType type, bool check_finite, XrError *err) {
    XrConfig config;
    XrWeights weights;
    *out = NULL;
    if (!xr_config_read(&config, folder, err) || !xr_weights_open(&weights, folder, &config, err)) {
        return false;
    }
    bool ok = (!check_finite || xr_weights_check_finite(&weights, backend->threads, err)) &&
              xr_model_of(out, backend, folder, &config, &weights, type, err);
    xr_weights_close(&weights);
    return ok;
}

bool xr_model_open(XrModel **out, XrBackend *backend, const char *folder, XrWeightType type,
                   bool check_finite, XrError *err) {
    bool ok = xr_model_open_unplaced(out, backend, folder, type, check_finite, err);
    for (int i = 0; ok && i < (*out)->table.count; i++) ok = xr_model_place(*out, i, err);
    if (!ok) {
        xr_model_close(*out);
        *out = NULL;
    }
    return ok;
}

void xr_model_close(XrModel *model) {
    if (!model) return;
    XrBackend *b = model->backend;
    for (int i = 0; i < model->table.count; i++) {
        void *data = model->parameters[i].data;
        if (!data) continue;
        if (model->owned[i])
            b->free(b, data);
        else
            b->unimport(b, data);
    }
    free(model->parameters);
    free(model->owned);
    xr_tensor_free(b, &model->rotary.inv_freq);
    xr_tensor_free(b, &model->rotary.axis);
    xr_tensor_free(b, &model->vision_rotary.inv_freq);
    xr_tensor_free(b, &model->vision_rotary.axis);
    xr_parameters_free(&model->table);
    xr_weights_close(&model->weights);
    free(model->folder);
    free(model);
}

const XrTensor *xr_model_parameter(const XrModel *model, XrRole role, int64_t block) {
    if (role == XR_HEAD && model->config.tied) role = XR_EMBED;
    int index = xr_parameter_index(&model->table, role, block);
    XR_REQUIRE(index >= 0, "the model has no parameter of role %d in block %lld", (int)role,
               (long long)block);
    return &model->parameters[index];
}

void xr_observe(const XrObserver *observer, const XrTensor *value, const char *format, ...) {
    if (!observer) return;
    char stage[64];
    va_list args;
    va_start(args, format);
    vsnprintf(stage, sizeof stage, format, args);
    va_end(args);
    observer->see(observer->context, stage, value);
}
