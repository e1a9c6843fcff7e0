#include "shared/model/init.h"

#include "shared/base/file.h"
#include "shared/base/memory.h"
#include "shared/base/rng.h"
#include "shared/format/safetensors.h"
#include "shared/image/processor.h"
#include "shared/model/parameters.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

static void add_int(XrBuffer *out, const char *indent, const char *key, int64_t value) {
    xr_buffer_format(out, "%s\"%s\": %" PRId64 ",\n", indent, key, value);
}

static void add_language(XrBuffer *out, const XrConfig *c) {
    add_int(out, "  ", "vocab_size", c->vocab);
    add_int(out, "  ", "hidden_size", c->hidden);
    add_int(out, "  ", "num_hidden_layers", c->layers);
    add_int(out, "  ", "num_attention_heads", c->heads);
    add_int(out, "  ", "num_key_value_heads", c->kv_heads);
    add_int(out, "  ", "intermediate_size", c->intermediate);
    add_int(out, "  ", "max_position_embeddings", c->max_positions);
    add_int(out, "  ", "max_window_layers", c->layers);
    xr_buffer_format(out,
                     "  \"hidden_act\": \"silu\",\n  \"rms_norm_eps\": %.17g,\n"
                     "  \"initializer_range\": 0.02,\n  \"attention_dropout\": 0.0,\n"
                     "  \"use_cache\": true,\n  \"use_sliding_window\": false,\n"
                     "  \"sliding_window\": %" PRId64 ",\n  \"tie_word_embeddings\": %s,\n"
                     "  \"rope_theta\": %.17g,\n"
                     "  \"rope_scaling\": {\"type\": \"mrope\", \"mrope_section\": [%" PRId64
                     ", %" PRId64 ", %" PRId64 "]},\n",
                     c->rms_eps, c->max_positions, c->tied ? "true" : "false", c->rope_theta,
                     c->mrope_section[0], c->mrope_section[1], c->mrope_section[2]);
    add_int(out, "  ", "bos_token_id", c->bos);
    add_int(out, "  ", "eos_token_id", c->eos[0]);
    add_int(out, "  ", "image_token_id", c->image_token);
    add_int(out, "  ", "video_token_id", c->video_token);
    add_int(out, "  ", "vision_start_token_id", c->vision_start);
    add_int(out, "  ", "vision_end_token_id", c->vision_end);
}

static void add_vision(XrBuffer *out, const XrVisionConfig *v) {
    xr_buffer_text(out, "  \"vision_config\": {\n    \"hidden_act\": \"silu\",\n");
    add_int(out, "    ", "depth", v->blocks);
    add_int(out, "    ", "hidden_size", v->hidden);
    add_int(out, "    ", "num_heads", v->heads);
    add_int(out, "    ", "intermediate_size", v->intermediate);
    add_int(out, "    ", "out_hidden_size", v->out_hidden);
    add_int(out, "    ", "in_chans", v->channels);
    add_int(out, "    ", "patch_size", v->patch);
    add_int(out, "    ", "spatial_patch_size", v->patch);
    add_int(out, "    ", "spatial_merge_size", v->merge);
    add_int(out, "    ", "temporal_patch_size", v->temporal_patch);
    add_int(out, "    ", "window_size", v->window);
    xr_buffer_text(out, "    \"fullatt_block_indexes\": [");
    const char *comma = "";
    for (int64_t block = 0; block < v->blocks; block++) {
        if (!v->full_attention[block]) continue;
        xr_buffer_format(out, "%s%" PRId64, comma, block);
        comma = ", ";
    }
    xr_buffer_format(out, "],\n    \"tokens_per_second\": %.17g\n  }\n", v->tokens_per_second);
}

void xr_config_json(XrBuffer *out, const XrConfig *config) {
    XR_REQUIRE(config->has_vision, "config.json of a model without vision");
    xr_buffer_text(out, "{\n  \"architectures\": [\"Qwen2_5_VLForConditionalGeneration\"],\n"
                        "  \"model_type\": \"qwen2_5_vl\",\n  \"torch_dtype\": \"float32\",\n");
    add_language(out, config);
    add_vision(out, &config->vision);
    xr_buffer_text(out, "}\n");
}

// ---- weights ----

// A parameter on its way into the file.
typedef struct Drawn {
    uint64_t seed, stream;
    float constant, deviation; // deviation 0: all values are the constant
} Drawn;

// Normal numbers by Box and Muller: two from each draw.
static bool fill_drawn(void *context, size_t offset, void *chunk, size_t bytes, XrError *err) {
    (void)err;
    const Drawn *d = context;
    float *out = chunk;
    size_t first = offset / sizeof *out;
    for (size_t i = 0; i < bytes / sizeof *out; i++) {
        if (d->deviation == 0) {
            out[i] = d->constant;
            continue;
        }
        uint32_t bits[4];
        xr_philox(d->seed, d->stream, (first + i) / 2, bits);
        double radius = sqrt(-2 * log(1 - (double)xr_uniform(bits[0])));
        double angle = 2 * M_PI * (double)xr_uniform(bits[1]);
        double normal = radius * ((first + i) % 2 ? sin(angle) : cos(angle));
        out[i] = d->deviation * (float)normal;
    }
    return true;
}

static bool adds_to_residual(XrRole role) {
    return role == XR_VISION_PROJ || role == XR_VISION_DOWN || role == XR_LAYER_O ||
           role == XR_LAYER_DOWN;
}

static Drawn drawn(const XrConfig *config, const XrParameter *p, uint64_t seed, int index) {
    Drawn d = {.seed = seed, .stream = (uint64_t)index};
    if (!p->decay) {
        bool norm = p->role == XR_VISION_NORM1 || p->role == XR_VISION_NORM2 ||
                    p->role == XR_MERGER_NORM || p->role == XR_LAYER_NORM1 ||
                    p->role == XR_LAYER_NORM2 || p->role == XR_FINAL_NORM;
        d.constant = norm ? 1 : 0;
        return d;
    }
    double columns = (double)xr_parameter_elements(p) / (double)p->shape[0];
    double deviation = 1 / sqrt(3 * columns);
    double layers = (double)(p->part == XR_PART_VISION ? config->vision.blocks : config->layers);
    if (adds_to_residual(p->role)) deviation /= sqrt(2 * layers);
    d.deviation = (float)deviation;
    return d;
}

static bool write_weights(const char *folder, const XrConfig *config, uint64_t seed, XrError *err) {
    XrParameterTable table = xr_parameters(config);
    Drawn *sources = xr_calloc((size_t)table.count, sizeof *sources);
    XrSaveTensor *tensors = xr_calloc((size_t)table.count, sizeof *tensors);
    for (int i = 0; i < table.count; i++) {
        const XrParameter *p = &table.items[i];
        sources[i] = drawn(config, p, seed, i);
        tensors[i] = (XrSaveTensor){.name = p->name, .fill = fill_drawn, .context = &sources[i]};
        tensors[i].tensor = xr_tensor_of(XR_F32, NULL, p->ndim, p->shape);
    }
    bool ok = xr_safetensors_write_folder(folder, tensors, table.count, (size_t)5 << 30, err);
    free(tensors);
    free(sources);
    xr_parameters_free(&table);
    return ok;
}

static bool write_text(const char *folder, const char *name, const XrBuffer *text, XrError *err) {
    char *path = xr_path_join(folder, name);
    bool ok = xr_file_write(path, text->data, text->length, err);
    free(path);
    return ok;
}

static void processor_json(XrBuffer *out, const XrVisionConfig *v) {
    const XrImageProcessor *p = &XR_QWEN25_VL_PROCESSOR;
    int64_t cell = v->patch * v->merge;
    xr_buffer_format(out,
                     "{\n  \"min_pixels\": %" PRId64 ",\n  \"max_pixels\": %" PRId64
                     ",\n  \"patch_size\": %" PRId64 ",\n  \"temporal_patch_size\": %" PRId64
                     ",\n  \"merge_size\": %" PRId64 ",\n  \"image_mean\": [%.17g, %.17g, %.17g],\n"
                     "  \"image_std\": [%.17g, %.17g, %.17g],\n"
                     "  \"image_processor_type\": \"Qwen2VLImageProcessor\",\n"
                     "  \"processor_class\": \"Qwen2_5_VLProcessor\"\n}\n",
                     cell * cell, p->max_pixels, v->patch, v->temporal_patch, v->merge, p->mean[0],
                     p->mean[1], p->mean[2], p->std[0], p->std[1], p->std[2]);
}

bool xr_model_init_write(const char *folder, const XrConfig *config, uint64_t seed, XrError *err) {
    XrBuffer text = {0};
    xr_config_json(&text, config);
    bool ok = xr_make_folders(folder, err) && write_text(folder, "config.json", &text, err);
    xr_buffer_clear(&text);
    processor_json(&text, &config->vision);
    ok = ok && write_text(folder, "preprocessor_config.json", &text, err);
    xr_buffer_clear(&text);
    xr_buffer_format(&text,
                     "{\n  \"bos_token_id\": %" PRId64 ",\n  \"pad_token_id\": %" PRId64
                     ",\n  \"eos_token_id\": [%" PRId64 ", %" PRId64 "],\n"
                     "  \"do_sample\": false\n}\n",
                     config->bos, config->pad, config->eos[0], config->bos);
    ok = ok && write_text(folder, "generation_config.json", &text, err) &&
         write_weights(folder, config, seed, err);
    xr_buffer_free(&text);
    return ok;
}
