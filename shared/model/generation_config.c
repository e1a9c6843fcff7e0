#include "shared/model/generation_config.h"

#include "shared/base/file.h"
#include "shared/base/json.h"
#include "shared/base/memory.h"

#include <stdlib.h>
#include <string.h>

// A setting that is not implemented, and the value at which it has no effect.
typedef struct Neutral {
    const char *key;
    double value;
    bool while_sampling; // has an effect only then
} Neutral;

static const Neutral NEUTRAL[] = {
    {"num_beams", 1, false},
    {"num_beam_groups", 1, false},
    {"penalty_alpha", 0, false},
    {"no_repeat_ngram_size", 0, false},
    {"encoder_no_repeat_ngram_size", 0, false},
    {"encoder_repetition_penalty", 1, false},
    {"min_length", 0, false},
    {"min_new_tokens", 0, false},
    {"guidance_scale", 1, false},
    {"min_p", 0, true},
    {"typical_p", 1, true},
    {"epsilon_cutoff", 0, true},
    {"eta_cutoff", 0, true},
};

// Settings whose mere presence changes results.
static const char *const ABSENT[] = {
    "bad_words_ids",         "force_words_ids",
    "constraints",           "forced_bos_token_id",
    "suppress_tokens",       "forced_eos_token_id",
    "begin_suppress_tokens", "sequence_bias",
    "stop_strings",          "exponential_decay_length_penalty",
    "watermarking_config",
};

static const char *shown_number(const cJSON *value, char text[32]) {
    snprintf(text, 32, "%g", value->valuedouble);
    return text;
}

static bool refuse_others(const XrJson *json, bool sample, XrError *err) {
    for (size_t i = 0; i < XR_COUNT(NEUTRAL); i++) {
        double value = NEUTRAL[i].value;
        if (!xr_json_get_double(json, json->root, NEUTRAL[i].key, &value, err)) return false;
        if (value == NEUTRAL[i].value || (NEUTRAL[i].while_sampling && !sample)) continue;
        return xr_fail(err, XR_ERR_UNSUPPORTED,
                       "%s: \"%s\" is %g, which is not implemented; remove it or set it to %g",
                       json->name, NEUTRAL[i].key, value, NEUTRAL[i].value);
    }
    for (size_t i = 0; i < XR_COUNT(ABSENT); i++) {
        const cJSON *value = cJSON_GetObjectItemCaseSensitive(json->root, ABSENT[i]);
        bool empty = !value || cJSON_IsNull(value) ||
                     ((cJSON_IsArray(value) || cJSON_IsObject(value)) && !value->child);
        if (empty) continue;
        return xr_fail(err, XR_ERR_UNSUPPORTED, "%s: \"%s\" is not implemented; remove it",
                       json->name, ABSENT[i]);
    }
    return true;
}

// A number of the file within [least, most]; a missing one leaves `*out`.
static bool get_number(const XrJson *json, const char *key, double least, double most, double *out,
                       XrError *err) {
    if (!xr_json_get_double(json, json->root, key, out, err)) return false;
    if (*out >= least && *out <= most) return true;
    return xr_fail(err, XR_ERR_INPUT, "%s: \"%s\" is %g, it must be from %g to %g", json->name, key,
                   *out, least, most);
}

static bool get_whole(const XrJson *json, const char *key, int64_t least, int64_t most,
                      int64_t *out, XrError *err) {
    const cJSON *value = cJSON_GetObjectItemCaseSensitive(json->root, key);
    if (!value || cJSON_IsNull(value)) return true;
    if (xr_json_whole(value, out) && *out >= least && *out <= most) return true;
    char text[32];
    return xr_fail(err, XR_ERR_INPUT,
                   "%s: \"%s\" is %s, it must be a whole number from %lld to %lld", json->name, key,
                   cJSON_IsNumber(value) ? shown_number(value, text) : "no number",
                   (long long)least, (long long)most);
}

static bool get_eos(const XrJson *json, XrGenerationConfig *out, int64_t vocab, XrError *err) {
    const cJSON *value = cJSON_GetObjectItemCaseSensitive(json->root, "eos_token_id");
    if (!value || cJSON_IsNull(value)) return true;
    const cJSON *item = cJSON_IsArray(value) ? value->child : value;
    out->eos_count = 0;
    for (; item; item = cJSON_IsArray(value) ? item->next : NULL) {
        int64_t id;
        if (!xr_json_whole(item, &id) || id < 0 || id >= vocab || out->eos_count == XR_MAX_EOS) {
            return xr_fail(err, XR_ERR_INPUT,
                           "%s: \"eos_token_id\" must be a token id below %lld, or at most %d of "
                           "them",
                           json->name, (long long)vocab, XR_MAX_EOS);
        }
        out->eos[out->eos_count++] = id;
    }
    return true;
}

static XrGenerationConfig defaults(const XrConfig *config) {
    XrGenerationConfig g = {.temperature = 1,
                            .top_k = 50,
                            .top_p = 1,
                            .repetition_penalty = 1,
                            .max_new_tokens = -1,
                            .bos = config->bos,
                            .pad = config->pad,
                            .eos_count = config->eos_count};
    memcpy(g.eos, config->eos, sizeof g.eos);
    return g;
}

static bool read_keys(XrGenerationConfig *g, const XrJson *json, const XrConfig *config,
                      XrError *err) {
    if (!cJSON_IsObject(json->root)) {
        return xr_fail(err, XR_ERR_INPUT, "%s: must be a JSON object", json->name);
    }
    bool ok = xr_json_get_bool(json, json->root, "do_sample", &g->sample, err) &&
              get_number(json, "temperature", 0, 1e6, &g->temperature, err) &&
              get_whole(json, "top_k", 0, INT32_MAX, &g->top_k, err) &&
              get_number(json, "top_p", 0, 1, &g->top_p, err) &&
              get_number(json, "repetition_penalty", 1e-3, 1e3, &g->repetition_penalty, err) &&
              get_whole(json, "max_new_tokens", 1, INT32_MAX, &g->max_new_tokens, err) &&
              get_whole(json, "bos_token_id", -1, config->vocab - 1, &g->bos, err) &&
              get_whole(json, "pad_token_id", -1, config->vocab - 1, &g->pad, err) &&
              get_eos(json, g, config->vocab, err) && refuse_others(json, g->sample, err);
    if (ok && g->temperature == 0) g->sample = false;
    return ok;
}

bool xr_generation_config_parse(XrGenerationConfig *out, const char *name, const char *text,
                                size_t bytes, const XrConfig *config, XrError *err) {
    *out = defaults(config);
    XrJson json;
    if (!xr_json_parse(&json, name, text, bytes, &XR_JSON_SMALL, err)) return false;
    bool ok = read_keys(out, &json, config, err);
    xr_json_free(&json);
    return ok;
}

bool xr_generation_config_read(XrGenerationConfig *out, const char *folder, const XrConfig *config,
                               XrError *err) {
    *out = defaults(config);
    char *path = xr_path_join(folder, "generation_config.json");
    bool ok = true;
    if (xr_path_exists(path)) {
        XrBuffer text = {0};
        ok = xr_file_read(path, XR_JSON_SMALL.bytes, &text, err) &&
             xr_generation_config_parse(out, path, text.data, text.length, config, err);
        xr_buffer_free(&text);
    }
    free(path);
    return ok;
}
