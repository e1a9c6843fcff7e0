// The model's configuration, from a Hugging Face folder's config.json: Qwen2.5-VL
// (Qwen2_5_VLForConditionalGeneration) and text-only Qwen2 and Qwen2.5 (Qwen2ForCausalLM).
// docs/model.md explains every field and the traps.
#ifndef XR_MODEL_CONFIG_H
#define XR_MODEL_CONFIG_H

#include "shared/base/error.h"
#include "shared/tensor/tensor.h"

#include <stddef.h>
#include <stdint.h>

enum {
    XR_MAX_VISION_BLOCKS = 256,
    XR_MAX_LAYERS = 1024,
    XR_MAX_EOS = 8,
};

typedef struct XrVisionConfig {
    int64_t blocks;          // depth
    int64_t hidden;          // 1280
    int64_t heads, head_dim; // head_dim = hidden / heads, a multiple of 4
    int64_t intermediate;
    int64_t out_hidden;     // the language model's hidden size
    int64_t channels;       // 3
    int64_t patch;          // pixels of a patch's side, 14
    int64_t temporal_patch; // 2: a still is seen twice
    int64_t merge;          // 2: merge x merge patches become one token
    int64_t window;         // pixels of an attention window's side, 112
    int64_t window_cells;   // window / patch / merge: merged cells of a window's side
    double tokens_per_second;
    bool full_attention[XR_MAX_VISION_BLOCKS]; // of each block; otherwise it attends in windows
} XrVisionConfig;

typedef struct XrConfig {
    bool has_vision;
    // The language model. q has heads * head_dim columns (hidden, unless head_dim is given in the
    // file), k and v kv_heads * head_dim.
    int64_t vocab;  // rows of the embedding, padding rows included
    int64_t hidden; // 3584
    int64_t layers, heads, kv_heads, head_dim;
    int64_t intermediate;
    int64_t max_positions;
    double rms_eps;
    double rope_theta;
    // Frequencies of the three axes (time, height, width); their sum is head_dim / 2. Text-only
    // models have all of them on the first.
    int64_t mrope_section[3];
    bool tied; // lm_head is the embedding
    // text_config and the top level disagree about that; `tied` is text_config's word. Where a
    // folder is read, its weights decide instead: a head of its own means untied.
    bool tied_disputed;
    XrDType dtype; // what the file says the weights were saved as; XR_BF16 when it does not say
    // Token ids; -1 where the file has none.
    int64_t bos, pad;
    int64_t eos[XR_MAX_EOS];
    int eos_count;
    int64_t image_token, video_token, vision_start, vision_end;
    XrVisionConfig vision; // zero without vision
} XrConfig;

// Reads and checks a configuration. Keys whose published values differ from transformers' class
// defaults must be there; kinds of model and settings that are not implemented and would change
// results are refused by name. `name` is what messages call the text.
bool xr_config_parse(XrConfig *out, const char *name, const char *text, size_t bytes, XrError *err);
// <folder>/config.json
bool xr_config_read(XrConfig *out, const char *folder, XrError *err);

#endif
