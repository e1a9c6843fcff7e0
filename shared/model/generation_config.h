// How a model wants to be sampled: generation_config.json of a Hugging Face folder.
#ifndef XR_MODEL_GENERATION_CONFIG_H
#define XR_MODEL_GENERATION_CONFIG_H

#include "shared/model/config.h"

// Defaults as transformers': greedy, temperature 1, top_k 50, top_p 1, no penalty. temperature,
// top_k and top_p mean something only while `sample` is set.
typedef struct XrGenerationConfig {
    bool sample; // do_sample
    double temperature;
    int64_t top_k; // 0: all
    double top_p;
    double repetition_penalty;
    int64_t max_new_tokens; // -1: not given
    int64_t bos, pad;       // -1: none
    int64_t eos[XR_MAX_EOS];
    int eos_count;
} XrGenerationConfig;

// Reads <folder>/generation_config.json. Without that file, and for token ids that it does not
// name, those of `config` hold. Settings that change what is sampled and are not implemented
// (beams, min_p, typical_p, bad words, ...) are refused by name unless they have no effect.
bool xr_generation_config_read(XrGenerationConfig *out, const char *folder, const XrConfig *config,
                               XrError *err);
bool xr_generation_config_parse(XrGenerationConfig *out, const char *name, const char *text,
                                size_t bytes, const XrConfig *config, XrError *err);

#endif
