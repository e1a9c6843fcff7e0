#include "shared/model/config.h"

#include "shared/base/file.h"
#include "shared/base/json.h"
#include "shared/base/memory.h"
#include "shared/base/utf8.h"
#include "shared/format/safetensors.h"

#include <stdlib.h>
#include <string.h>

// The part of a configuration that keys are looked up in: an object, and one that stands in for
// keys that it does not have (transformers repeats the text keys at the top level in some
// versions).
typedef struct Section {
    XrJson json; // a copy whose name says which part it is; owns nothing
    const cJSON *object, *fallback;
} Section;

static const cJSON *find(const Section *s, const char *key) {
    const cJSON *value = cJSON_GetObjectItemCaseSensitive(s->object, key);
    if ((!value || cJSON_IsNull(value)) && s->fallback) {
        value = cJSON_GetObjectItemCaseSensitive(s->fallback, key);
    }
    return cJSON_IsNull(value) ? NULL : value;
}

// Where `find` found it, for the getters of shared/base/json.h.
static const cJSON *home(const Section *s, const char *key) {
    const cJSON *value = cJSON_GetObjectItemCaseSensitive(s->object, key);
    return (value && !cJSON_IsNull(value)) || !s->fallback ? s->object : s->fallback;
}

static bool refuse(const Section *s, const char *key, const char *value, const char *why,
                   XrError *err) {
    return xr_fail(err, XR_ERR_UNSUPPORTED, "%s: \"%s\" is %s: %s", s->json.name, key, value, why);
}

static bool missing(const Section *s, const char *key, XrError *err) {
    return xr_fail(err, XR_ERR_INPUT,
                   "%s: \"%s\" is missing, and no default is safe; take it from the model's "
                   "published configuration",
                   s->json.name, key);
}

static bool need_int(const Section *s, const char *key, int64_t least, int64_t most, int64_t *out,
                     XrError *err) {
    if (!find(s, key)) return missing(s, key, err);
    if (!xr_json_get_int(&s->json, home(s, key), key, out, err)) return false;
    if (*out >= least && *out <= most) return true;
    return xr_fail(err, XR_ERR_INPUT, "%s: \"%s\" is %lld, it must be from %lld to %lld",
                   s->json.name, key, (long long)*out, (long long)least, (long long)most);
}

// The same for a key that may be missing: then it is `standard`.
static bool get_int(const Section *s, const char *key, int64_t least, int64_t most,
                    int64_t standard, int64_t *out, XrError *err) {
    *out = standard;
    return !find(s, key) || need_int(s, key, least, most, out, err);
}

static bool need_positive(const Section *s, const char *key, double most, double *out,
                          XrError *err) {
    if (!find(s, key)) return missing(s, key, err);
    if (!xr_json_get_double(&s->json, home(s, key), key, out, err)) return false;
    if (*out > 0 && *out <= most) return true;
    return xr_fail(err, XR_ERR_INPUT, "%s: \"%s\" is %g, it must be positive and at most %g",
                   s->json.name, key, *out, most);
}

// Fails unless a true/false key is missing or has the value `good`.
static bool only_bool(const Section *s, const char *key, bool good, const char *why, XrError *err) {
    bool value = good;
    if (!xr_json_get_bool(&s->json, home(s, key), key, &value, err)) return false;
    return value == good || refuse(s, key, value ? "true" : "false", why, err);
}

static bool only_number(const Section *s, const char *key, double good, const char *why,
                        XrError *err) {
    double value = good;
    if (!xr_json_get_double(&s->json, home(s, key), key, &value, err)) return false;
    if (value == good) return true;
    char text[32];
    snprintf(text, sizeof text, "%g", value);
    return refuse(s, key, text, why, err);
}

static bool only_silu(const Section *s, XrError *err) {
    const char *name = "silu";
    if (!xr_json_get_text(&s->json, home(s, "hidden_act"), "hidden_act", &name, err)) return false;
    return strcmp(name, "silu") == 0 ||
           refuse(s, "hidden_act", xr_utf8_shown(name), "only silu is implemented", err);
}

// ---- which model ----

static bool read_kind(XrConfig *c, const Section *top, const cJSON *text, XrError *err) {
    const cJSON *list = find(top, "architectures");
    if (!list && text) list = cJSON_GetObjectItemCaseSensitive(text, "architectures");
    const char *architecture = NULL, *type = NULL;
    if (cJSON_IsArray(list) && cJSON_IsString(list->child)) architecture = list->child->valuestring;
    if (!xr_json_get_text(&top->json, top->object, "model_type", &type, err)) return false;
    if (!architecture && !type) return missing(top, "architectures", err);
    bool vl = architecture ? strcmp(architecture, "Qwen2_5_VLForConditionalGeneration") == 0
                           : strcmp(type, "qwen2_5_vl") == 0;
    bool plain =
        architecture ? strcmp(architecture, "Qwen2ForCausalLM") == 0 : strcmp(type, "qwen2") == 0;
    const char *wanted_type = vl ? "qwen2_5_vl" : "qwen2";
    if (!vl && !plain) {
        return xr_fail(err, XR_ERR_UNSUPPORTED,
                       "%s: the model is a \"%s\"; Qwen2_5_VLForConditionalGeneration and "
                       "Qwen2ForCausalLM are implemented",
                       top->json.name, xr_utf8_shown(architecture ? architecture : type));
    }
    if (type && strcmp(type, wanted_type) != 0) {
        return xr_fail(err, XR_ERR_INPUT, "%s: \"architectures\" says %s, but \"model_type\" is %s",
                       top->json.name, architecture, xr_utf8_shown(type));
    }
    c->has_vision = vl;
    return true;
}

static bool refuse_variants(const Section *s, XrError *err) {
    static const char *const other = "not implemented, and results would be wrong without it";
    if (find(s, "quantization_config")) {
        return refuse(s, "quantization_config", "given",
                      "quantised weights are not read; take the model in bfloat16", err);
    }
    const cJSON *types = find(s, "layer_types"), *type;
    cJSON_ArrayForEach(type, types) {
        if (cJSON_IsString(type) && strcmp(type->valuestring, "full_attention") == 0) continue;
        return refuse(s, "layer_types",
                      cJSON_IsString(type) ? xr_utf8_shown(type->valuestring) : "no text",
                      "only full_attention is implemented", err);
    }
    return only_bool(s, "use_sliding_window", false, "sliding windows are not implemented", err) &&
           only_bool(s, "attention_bias", true, "q, k and v have biases in these models", err) &&
           only_bool(s, "mlp_bias", false, other, err) &&
           only_bool(s, "use_mrope", false, other, err) &&
           only_bool(s, "use_qk_norm", false, other, err) &&
           only_number(s, "attention_dropout", 0, "dropout is not implemented; set it to 0", err) &&
           only_number(s, "partial_rotary_factor", 1, other, err) && only_silu(s, err);
}

// ---- rotary positions ----

static bool check_rope_type(const Section *s, const cJSON *rope, const char *key, bool vision,
                            XrError *err) {
    const char *name = "default";
    if (!xr_json_get_text(&s->json, rope, key, &name, err)) return false;
    if (strcmp(name, "default") == 0 || (vision && strcmp(name, "mrope") == 0)) return true;
    return xr_fail(
        err, XR_ERR_UNSUPPORTED,
        "%s: rotary positions of the type \"%s\" are not implemented, only \"default\"%s",
        s->json.name, xr_utf8_shown(name), vision ? " and \"mrope\"" : "");
}

static bool read_sections(XrConfig *c, const Section *s, const cJSON *sections, XrError *err) {
    int64_t half = c->head_dim / 2, sum = 0;
    int count = 0;
    const cJSON *item;
    cJSON_ArrayForEach(item, sections) {
        int64_t size;
        if (count == 3 || !xr_json_whole(item, &size) || size < 0 || size > half) break;
        c->mrope_section[count++] = size;
        sum += size;
    }
    if (cJSON_IsArray(sections) && cJSON_GetArraySize(sections) == 3 && count == 3 && sum == half) {
        return true;
    }
    return xr_fail(
        err, XR_ERR_INPUT,
        "%s: \"mrope_section\" must be three whole numbers that sum to %lld, half of the "
        "head's size",
        s->json.name, (long long)half);
}

// One of rope_scaling (to transformers 4) and rope_parameters (from 5 on, holding rope_theta).
static bool read_rope_object(XrConfig *c, const Section *s, const char *key, bool *sections_read,
                             double *theta, XrError *err) {
    const cJSON *rope = find(s, key);
    if (!rope) return true;
    if (!cJSON_IsObject(rope)) {
        return xr_fail(err, XR_ERR_INPUT, "%s: \"%s\" must be an object", s->json.name, key);
    }
    Section inner = {.json = s->json, .object = rope};
    if (!check_rope_type(s, rope, "type", c->has_vision, err) ||
        !check_rope_type(s, rope, "rope_type", c->has_vision, err) ||
        !only_bool(&inner, "mrope_interleaved", false, "only contiguous sections are implemented",
                   err) ||
        !only_number(&inner, "partial_rotary_factor", 1, "partial rotation is not implemented",
                     err) ||
        !xr_json_get_double(&s->json, rope, "rope_theta", theta, err)) {
        return false;
    }
    const cJSON *sections = cJSON_GetObjectItemCaseSensitive(rope, "mrope_section");
    if (!sections || !c->has_vision) return true;
    *sections_read = true;
    return read_sections(c, s, sections, err);
}

static bool read_rope(XrConfig *c, const Section *s, XrError *err) {
    bool sections_read = false;
    double inner_theta = 0, theta = 0;
    c->mrope_section[0] = c->head_dim / 2;
    if (!read_rope_object(c, s, "rope_scaling", &sections_read, &inner_theta, err) ||
        !read_rope_object(c, s, "rope_parameters", &sections_read, &inner_theta, err)) {
        return false;
    }
    if (c->has_vision && !sections_read) return missing(s, "mrope_section", err);
    if (!xr_json_get_double(&s->json, home(s, "rope_theta"), "rope_theta", &theta, err)) {
        return false;
    }
    if (theta != 0 && inner_theta != 0 && theta != inner_theta) {
        return xr_fail(err, XR_ERR_INPUT, "%s: \"rope_theta\" is given twice, as %g and %g",
                       s->json.name, theta, inner_theta);
    }
    c->rope_theta = inner_theta != 0 ? inner_theta : theta;
    if (c->rope_theta == 0) return missing(s, "rope_theta", err);
    if (c->rope_theta >= 1 && c->rope_theta <= 1e12) return true;
    return xr_fail(err, XR_ERR_INPUT, "%s: \"rope_theta\" is %g, it must be from 1 to 1e12",
                   s->json.name, c->rope_theta);
}

// ---- language model ----

static bool read_heads(XrConfig *c, const Section *s, XrError *err) {
    int64_t head_dim = 0;
    if (!get_int(s, "head_dim", 2, 1024, 0, &head_dim, err)) return false;
    if (c->heads % c->kv_heads != 0) {
        return xr_fail(err, XR_ERR_INPUT,
                       "%s: \"num_attention_heads\" %lld is no multiple of \"num_key_value_heads\" "
                       "%lld",
                       s->json.name, (long long)c->heads, (long long)c->kv_heads);
    }
    bool divides = c->hidden % c->heads == 0;
    c->head_dim = head_dim ? head_dim : c->hidden / c->heads;
    if (!head_dim && !divides) {
        return xr_fail(err, XR_ERR_INPUT,
                       "%s: \"hidden_size\" %lld is no multiple of \"num_attention_heads\" %lld",
                       s->json.name, (long long)c->hidden, (long long)c->heads);
    }
    if (c->has_vision && c->head_dim * c->heads != c->hidden) {
        return xr_fail(
            err, XR_ERR_INPUT,
            "%s: \"head_dim\" %lld times %lld heads is not \"hidden_size\" %lld, as it is "
            "in all of these models",
            s->json.name, (long long)c->head_dim, (long long)c->heads, (long long)c->hidden);
    }
    if (c->head_dim % 2 == 0) return true;
    return xr_fail(err, XR_ERR_INPUT, "%s: heads of %lld cannot be rotated in pairs", s->json.name,
                   (long long)c->head_dim);
}

// text_config's word on tied embeddings counts before the top level's, as in transformers 4. A file
// that has it in neither place is refused: the two class defaults that apply contradict each other.
static bool read_tied(XrConfig *c, const Section *s, XrError *err) {
    static const char key[] = "tie_word_embeddings";
    if (!find(s, key)) return missing(s, key, err);
    if (!xr_json_get_bool(&s->json, home(s, key), key, &c->tied, err)) return false;
    bool other = c->tied;
    if (s->fallback && !xr_json_get_bool(&s->json, s->fallback, key, &other, err)) return false;
    c->tied_disputed = other != c->tied;
    return true;
}

static bool read_dtype(XrConfig *c, const Section *s, XrError *err) {
    static const struct {
        const char *name;
        XrDType dtype;
    } types[] = {{"bfloat16", XR_BF16}, {"float16", XR_F16}, {"float32", XR_F32}};
    const char *key = find(s, "dtype") ? "dtype" : "torch_dtype", *name = "bfloat16";
    if (!xr_json_get_text(&s->json, home(s, key), key, &name, err)) return false;
    if (strncmp(name, "torch.", 6) == 0) name += 6;
    for (size_t i = 0; i < XR_COUNT(types); i++) {
        if (strcmp(name, types[i].name) != 0) continue;
        c->dtype = types[i].dtype;
        return true;
    }
    return refuse(s, key, xr_utf8_shown(name), "bfloat16, float16 and float32 are implemented",
                  err);
}

static bool read_language(XrConfig *c, const Section *s, XrError *err) {
    return need_int(s, "vocab_size", 1, 1 << 22, &c->vocab, err) &&
           need_int(s, "hidden_size", 2, 1 << 16, &c->hidden, err) &&
           need_int(s, "num_hidden_layers", 1, XR_MAX_LAYERS, &c->layers, err) &&
           need_int(s, "num_attention_heads", 1, 1024, &c->heads, err) &&
           need_int(s, "num_key_value_heads", 1, 1024, &c->kv_heads, err) &&
           need_int(s, "intermediate_size", 1, 1 << 20, &c->intermediate, err) &&
           need_int(s, "max_position_embeddings", 1, 1 << 30, &c->max_positions, err) &&
           need_positive(s, "rms_norm_eps", 1, &c->rms_eps, err) && read_heads(c, s, err) &&
           read_rope(c, s, err) && read_tied(c, s, err) && read_dtype(c, s, err);
}

// ---- token ids ----

static bool read_token(const Section *s, const char *key, int64_t vocab, int64_t *out,
                       XrError *err) {
    return get_int(s, key, -1, vocab - 1, -1, out, err);
}

static bool read_eos(XrConfig *c, const Section *s, XrError *err) {
    const cJSON *value = find(s, "eos_token_id");
    const cJSON *item = cJSON_IsArray(value) ? value->child : value;
    for (; item; item = cJSON_IsArray(value) ? item->next : NULL) {
        int64_t id;
        if (!xr_json_whole(item, &id) || id < 0 || id >= c->vocab || c->eos_count == XR_MAX_EOS) {
            return xr_fail(err, XR_ERR_INPUT,
                           "%s: \"eos_token_id\" must be a token id below %lld, or at most %d of "
                           "them",
                           s->json.name, (long long)c->vocab, XR_MAX_EOS);
        }
        c->eos[c->eos_count++] = id;
    }
    return true;
}

static bool read_tokens(XrConfig *c, const Section *s, XrError *err) {
    c->image_token = c->video_token = c->vision_start = c->vision_end = -1;
    if (!read_token(s, "bos_token_id", c->vocab, &c->bos, err) ||
        !read_token(s, "pad_token_id", c->vocab, &c->pad, err) || !read_eos(c, s, err)) {
        return false;
    }
    if (!c->has_vision) return true;
    return need_int(s, "image_token_id", 0, c->vocab - 1, &c->image_token, err) &&
           read_token(s, "video_token_id", c->vocab, &c->video_token, err) &&
           need_int(s, "vision_start_token_id", 0, c->vocab - 1, &c->vision_start, err) &&
           need_int(s, "vision_end_token_id", 0, c->vocab - 1, &c->vision_end, err);
}

// ---- vision tower ----

static bool read_full_attention(XrVisionConfig *v, const Section *s, bool published, XrError *err) {
    const cJSON *list = find(s, "fullatt_block_indexes"), *item;
    if (!list && !published) return missing(s, "fullatt_block_indexes", err);
    if (!list) {
        for (int64_t i = 7; i < v->blocks; i += 8) v->full_attention[i] = true;
        return true;
    }
    bool ok = cJSON_IsArray(list);
    cJSON_ArrayForEach(item, list) {
        int64_t block;
        ok = ok && xr_json_whole(item, &block) && block >= 0;
        // Numbers beyond the last block mean nothing, as in transformers: small test models keep
        // the published list.
        if (ok && block < v->blocks) v->full_attention[block] = true;
    }
    if (ok) return true;
    return xr_fail(err, XR_ERR_INPUT, "%s: \"fullatt_block_indexes\" must be a list of blocks",
                   s->json.name);
}

// Published configurations of the large models leave out what all published towers share. That
// stands in only for a tower of the published width.
static bool read_vision_sizes(XrVisionConfig *v, const Section *s, bool published, XrError *err) {
    const struct {
        const char *key;
        int64_t most, standard;
        int64_t *out;
    } sizes[] = {
        {"depth", XR_MAX_VISION_BLOCKS, 32, &v->blocks},
        {"num_heads", 1024, 16, &v->heads},
        {"patch_size", 1024, 14, &v->patch},
        {"temporal_patch_size", 16, 2, &v->temporal_patch},
        {"spatial_merge_size", 16, 2, &v->merge},
        {"window_size", 1 << 20, 112, &v->window},
    };
    for (size_t i = 0; i < XR_COUNT(sizes); i++) {
        if (!published && !find(s, sizes[i].key)) return missing(s, sizes[i].key, err);
        if (!get_int(s, sizes[i].key, 1, sizes[i].most, sizes[i].standard, sizes[i].out, err)) {
            return false;
        }
    }
    const char *channels = find(s, "in_channels") ? "in_channels" : "in_chans";
    return get_int(s, channels, 1, 64, 3, &v->channels, err);
}

static bool check_vision(XrConfig *c, const Section *s, XrError *err) {
    XrVisionConfig *v = &c->vision;
    if (v->channels != 3) {
        return refuse(s, "in_channels", "not 3", "pictures have three channels", err);
    }
    if (v->merge != 2 || v->temporal_patch != 2) {
        return refuse(s, v->merge != 2 ? "spatial_merge_size" : "temporal_patch_size", "not 2",
                      "only 2 is implemented", err);
    }
    if (v->hidden % v->heads != 0 || v->hidden / v->heads % 4 != 0) {
        return xr_fail(err, XR_ERR_INPUT,
                       "%s: \"hidden_size\" %lld must be \"num_heads\" %lld times a multiple of 4",
                       s->json.name, (long long)v->hidden, (long long)v->heads);
    }
    v->head_dim = v->hidden / v->heads;
    v->window_cells = v->window / v->merge / v->patch;
    if (v->window_cells < 1) {
        return xr_fail(err, XR_ERR_INPUT, "%s: \"window_size\" %lld is less than one merged patch",
                       s->json.name, (long long)v->window);
    }
    if (v->out_hidden == c->hidden) return true;
    return xr_fail(
        err, XR_ERR_INPUT,
        "%s: \"out_hidden_size\" is %lld, the language model's \"hidden_size\" %lld; they "
        "must be equal",
        s->json.name, (long long)v->out_hidden, (long long)c->hidden);
}

static bool read_vision(XrConfig *c, const Section *s, XrError *err) {
    XrVisionConfig *v = &c->vision;
    if (!need_int(s, "hidden_size", 4, 1 << 16, &v->hidden, err)) return false;
    bool published = v->hidden == 1280;
    return need_int(s, "intermediate_size", 1, 1 << 20, &v->intermediate, err) &&
           need_int(s, "out_hidden_size", 1, 1 << 16, &v->out_hidden, err) &&
           need_positive(s, "tokens_per_second", 1e6, &v->tokens_per_second, err) &&
           read_vision_sizes(v, s, published, err) && read_full_attention(v, s, published, err) &&
           only_silu(s, err) && check_vision(c, s, err);
}

// ---- all of it ----

static bool read_parts(XrConfig *c, const XrJson *json, XrError *err) {
    Section top = {.json = *json, .object = json->root};
    const cJSON *text = cJSON_GetObjectItemCaseSensitive(json->root, "text_config");
    const cJSON *vision = cJSON_GetObjectItemCaseSensitive(json->root, "vision_config");
    if (!cJSON_IsObject(json->root)) {
        return xr_fail(err, XR_ERR_INPUT, "%s: must be a JSON object", json->name);
    }
    if (!cJSON_IsObject(text)) text = NULL;
    if (!read_kind(c, &top, text, err)) return false;
    Section language = top;
    if (c->has_vision && text) {
        language.object = text;
        language.fallback = json->root;
    }
    if (!refuse_variants(&language, err) || !read_language(c, &language, err) ||
        !read_tokens(c, &language, err)) {
        return false;
    }
    if (!c->has_vision) return true;
    if (!cJSON_IsObject(vision)) return missing(&top, "vision_config", err);
    XrBuffer name = {0};
    xr_buffer_format(&name, "%s: vision_config", json->name);
    Section tower = {.json = *json, .object = vision};
    tower.json.name = name.data;
    bool ok = read_vision(c, &tower, err);
    xr_buffer_free(&name);
    return ok;
}

bool xr_config_parse(XrConfig *out, const char *name, const char *text, size_t bytes,
                     XrError *err) {
    *out = (XrConfig){0};
    XrJson json;
    if (!xr_json_parse(&json, name, text, bytes, &XR_JSON_SMALL, err)) return false;
    bool ok = read_parts(out, &json, err);
    xr_json_free(&json);
    if (!ok) *out = (XrConfig){0};
    return ok;
}

// Lets the weights decide whether the embeddings are tied.
static bool settle_tied(XrConfig *config, const char *folder, XrError *err) {
    XrSafetensors *files;
    if (!xr_safetensors_open(&files, folder, err)) return false;
    config->tied = xr_safetensors_find(files, "lm_head.weight") == NULL;
    xr_safetensors_close(files);
    return true;
}

bool xr_config_read(XrConfig *out, const char *folder, XrError *err) {
    *out = (XrConfig){0};
    char *path = xr_path_join(folder, "config.json");
    XrBuffer text = {0};
    bool ok = xr_file_read(path, XR_JSON_SMALL.bytes, &text, err) &&
              xr_config_parse(out, path, text.data, text.length, err) &&
              (!out->tied_disputed || settle_tied(out, folder, err));
    xr_buffer_free(&text);
    free(path);
    return ok;
}
