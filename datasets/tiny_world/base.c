#include "datasets/tiny_world/base.h"

#include "datasets/tiny_world/tokens.h"
#include "shared/base/file.h"
#include "shared/model/init.h"

#include <stdlib.h>

XrConfig xr_world_config(void) {
    XrConfig c = {
        .has_vision = true,
        .vocab = xr_world_token_count(),
        .hidden = 128,
        .layers = 4,
        .heads = 4,
        .kv_heads = 2,
        .head_dim = 32,
        .intermediate = 320,
        .max_positions = 512,
        .rms_eps = 1e-6,
        // Positions stay below 150, and the columns of a picture turn the last six of sixteen
        // frequencies alone: with the usual 10,000 a column's step would be 0.003 rad at most.
        .rope_theta = 5,
        .mrope_section = {4, 6, 6},
        .tied = true,
        .dtype = XR_F32,
        .bos = xr_world_added_token("<|endoftext|>"),
        .pad = xr_world_added_token("<|endoftext|>"),
        .eos = {xr_world_added_token("<|im_end|>")},
        .eos_count = 1,
        .image_token = xr_world_added_token("<|image_pad|>"),
        .video_token = xr_world_added_token("<|video_pad|>"),
        .vision_start = xr_world_added_token("<|vision_start|>"),
        .vision_end = xr_world_added_token("<|vision_end|>"),
    };
    c.vision = (XrVisionConfig){
        .blocks = 2,
        .hidden = 64,
        .heads = 2,
        .head_dim = 32,
        .intermediate = 128,
        .out_hidden = c.hidden,
        .channels = 3,
        .patch = 14,
        .temporal_patch = 2,
        .merge = 2,
        .window = 28,
        .window_cells = 1,
        .tokens_per_second = 2,
    };
    return c;
}

static bool write_file(const char *folder, const char *name, void add(XrBuffer *out),
                       XrError *err) {
    XrBuffer text = {0};
    add(&text);
    char *path = xr_path_join(folder, name);
    bool ok = xr_file_write(path, text.data, text.length, err);
    free(path);
    xr_buffer_free(&text);
    return ok;
}

bool xr_world_write_model(const char *folder, uint64_t seed, XrError *err) {
    XrConfig config = xr_world_config();
    return xr_model_init_write(folder, &config, seed, err) &&
           write_file(folder, "tokenizer.json", xr_world_tokenizer, err) &&
           write_file(folder, "tokenizer_config.json", xr_world_tokenizer_config, err);
}
