#include "shared/model/parameters.h"

#include "shared/base/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// A dimension of a shape, as a name for a number of the configuration.
typedef enum Size {
    END,
    V_HIDDEN,
    V_QKV, // 3 * V_HIDDEN
    V_INNER,
    V_MERGED, // merge^2 * V_HIDDEN
    CHANNELS,
    FRAMES,
    PATCH,
    VOCAB,
    HIDDEN,
    Q,  // heads * head_dim
    KV, // kv_heads * head_dim
    INNER,
} Size;

typedef struct Row {
    const char *name; // within its block or layer
    XrPart part;
    Size shape[XR_MAX_DIMS];
} Row;

static const Row ROWS[XR_ROLE_COUNT] = {
    [XR_VISION_PATCH] = {"visual.patch_embed.proj.weight",
                         XR_PART_VISION,
                         {V_HIDDEN, CHANNELS, FRAMES, PATCH, PATCH}},
    [XR_VISION_NORM1] = {"norm1.weight", XR_PART_VISION, {V_HIDDEN}},
    [XR_VISION_QKV] = {"attn.qkv.weight", XR_PART_VISION, {V_QKV, V_HIDDEN}},
    [XR_VISION_QKV_BIAS] = {"attn.qkv.bias", XR_PART_VISION, {V_QKV}},
    [XR_VISION_PROJ] = {"attn.proj.weight", XR_PART_VISION, {V_HIDDEN, V_HIDDEN}},
    [XR_VISION_PROJ_BIAS] = {"attn.proj.bias", XR_PART_VISION, {V_HIDDEN}},
    [XR_VISION_NORM2] = {"norm2.weight", XR_PART_VISION, {V_HIDDEN}},
    [XR_VISION_GATE] = {"mlp.gate_proj.weight", XR_PART_VISION, {V_INNER, V_HIDDEN}},
    [XR_VISION_GATE_BIAS] = {"mlp.gate_proj.bias", XR_PART_VISION, {V_INNER}},
    [XR_VISION_UP] = {"mlp.up_proj.weight", XR_PART_VISION, {V_INNER, V_HIDDEN}},
    [XR_VISION_UP_BIAS] = {"mlp.up_proj.bias", XR_PART_VISION, {V_INNER}},
    [XR_VISION_DOWN] = {"mlp.down_proj.weight", XR_PART_VISION, {V_HIDDEN, V_INNER}},
    [XR_VISION_DOWN_BIAS] = {"mlp.down_proj.bias", XR_PART_VISION, {V_HIDDEN}},
    [XR_MERGER_NORM] = {"visual.merger.ln_q.weight", XR_PART_MERGER, {V_HIDDEN}},
    [XR_MERGER_FC1] = {"visual.merger.mlp.0.weight", XR_PART_MERGER, {V_MERGED, V_MERGED}},
    [XR_MERGER_FC1_BIAS] = {"visual.merger.mlp.0.bias", XR_PART_MERGER, {V_MERGED}},
    [XR_MERGER_FC2] = {"visual.merger.mlp.2.weight", XR_PART_MERGER, {HIDDEN, V_MERGED}},
    [XR_MERGER_FC2_BIAS] = {"visual.merger.mlp.2.bias", XR_PART_MERGER, {HIDDEN}},
    [XR_EMBED] = {"model.embed_tokens.weight", XR_PART_EMBEDDING, {VOCAB, HIDDEN}},
    [XR_LAYER_NORM1] = {"input_layernorm.weight", XR_PART_LANGUAGE, {HIDDEN}},
    [XR_LAYER_Q] = {"self_attn.q_proj.weight", XR_PART_LANGUAGE, {Q, HIDDEN}},
    [XR_LAYER_Q_BIAS] = {"self_attn.q_proj.bias", XR_PART_LANGUAGE, {Q}},
    [XR_LAYER_K] = {"self_attn.k_proj.weight", XR_PART_LANGUAGE, {KV, HIDDEN}},
    [XR_LAYER_K_BIAS] = {"self_attn.k_proj.bias", XR_PART_LANGUAGE, {KV}},
    [XR_LAYER_V] = {"self_attn.v_proj.weight", XR_PART_LANGUAGE, {KV, HIDDEN}},
    [XR_LAYER_V_BIAS] = {"self_attn.v_proj.bias", XR_PART_LANGUAGE, {KV}},
    [XR_LAYER_O] = {"self_attn.o_proj.weight", XR_PART_LANGUAGE, {HIDDEN, Q}},
    [XR_LAYER_NORM2] = {"post_attention_layernorm.weight", XR_PART_LANGUAGE, {HIDDEN}},
    [XR_LAYER_GATE] = {"mlp.gate_proj.weight", XR_PART_LANGUAGE, {INNER, HIDDEN}},
    [XR_LAYER_UP] = {"mlp.up_proj.weight", XR_PART_LANGUAGE, {INNER, HIDDEN}},
    [XR_LAYER_DOWN] = {"mlp.down_proj.weight", XR_PART_LANGUAGE, {HIDDEN, INNER}},
    [XR_FINAL_NORM] = {"model.norm.weight", XR_PART_LANGUAGE, {HIDDEN}},
    [XR_HEAD] = {"lm_head.weight", XR_PART_HEAD, {VOCAB, HIDDEN}},
};

enum {
    PER_BLOCK = XR_VISION_DOWN_BIAS - XR_VISION_NORM1 + 1,
    PER_LAYER = XR_LAYER_DOWN - XR_LAYER_NORM1 + 1,
    MERGER = XR_MERGER_FC2_BIAS - XR_MERGER_NORM + 1,
};

static bool in_block(XrRole role) {
    return role >= XR_VISION_NORM1 && role <= XR_VISION_DOWN_BIAS;
}

static bool in_layer(XrRole role) {
    return role >= XR_LAYER_NORM1 && role <= XR_LAYER_DOWN;
}

static int64_t size_of(const XrConfig *c, Size size) {
    const XrVisionConfig *v = &c->vision;
    switch (size) {
    case V_HIDDEN:
        return v->hidden;
    case V_QKV:
        return 3 * v->hidden;
    case V_INNER:
        return v->intermediate;
    case V_MERGED:
        return v->merge * v->merge * v->hidden;
    case CHANNELS:
        return v->channels;
    case FRAMES:
        return v->temporal_patch;
    case PATCH:
        return v->patch;
    case VOCAB:
        return c->vocab;
    case HIDDEN:
        return c->hidden;
    case Q:
        return c->heads * c->head_dim;
    case KV:
        return c->kv_heads * c->head_dim;
    case INNER:
        return c->intermediate;
    case END:
        break;
    }
    XR_BUG("no size %d", (int)size);
}

static void add(XrParameterTable *table, const XrConfig *config, XrRole role, int64_t block) {
    const Row *row = &ROWS[role];
    XrParameter *p = &table->items[table->count];
    *p = (XrParameter){.role = role, .part = row->part, .block = (int)block};
    const char *prefix = in_block(role) ? "visual.blocks." : in_layer(role) ? "model.layers." : "";
    if (*prefix) {
        snprintf(p->name, sizeof p->name, "%s%d.%s", prefix, p->block, row->name);
    } else {
        snprintf(p->name, sizeof p->name, "%s", row->name);
    }
    while (p->ndim < XR_MAX_DIMS && row->shape[p->ndim] != END) {
        p->shape[p->ndim] = size_of(config, row->shape[p->ndim]);
        p->ndim++;
    }
    p->decay = p->ndim > 1;
    table->elements += xr_parameter_elements(p);
    XR_REQUIRE(xr_parameter_index(table, role, block) == table->count, "%s stands at place %d",
               p->name, table->count);
    table->count++;
}

XrParameterTable xr_parameters(const XrConfig *config) {
    XrParameterTable table = {.vision_blocks = config->vision.blocks,
                              .layers = config->layers,
                              .has_vision = config->has_vision,
                              .tied = config->tied};
    int64_t most = 1 + config->vision.blocks * PER_BLOCK + MERGER + config->layers * PER_LAYER + 3;
    table.items = xr_calloc((size_t)most, sizeof *table.items);
    if (config->has_vision) {
        add(&table, config, XR_VISION_PATCH, 0);
        for (int64_t block = 0; block < config->vision.blocks; block++) {
            for (int role = XR_VISION_NORM1; role <= XR_VISION_DOWN_BIAS; role++) {
                add(&table, config, (XrRole)role, block);
            }
        }
        for (int role = XR_MERGER_NORM; role <= XR_MERGER_FC2_BIAS; role++) {
            add(&table, config, (XrRole)role, 0);
        }
    }
    add(&table, config, XR_EMBED, 0);
    for (int64_t layer = 0; layer < config->layers; layer++) {
        for (int role = XR_LAYER_NORM1; role <= XR_LAYER_DOWN; role++) {
            add(&table, config, (XrRole)role, layer);
        }
    }
    add(&table, config, XR_FINAL_NORM, 0);
    if (!config->tied) add(&table, config, XR_HEAD, 0);
    return table;
}

void xr_parameters_free(XrParameterTable *table) {
    free(table->items);
    *table = (XrParameterTable){0};
}

int xr_parameter_index(const XrParameterTable *table, XrRole role, int64_t block) {
    int64_t blocks = in_block(role) ? table->vision_blocks : in_layer(role) ? table->layers : 1;
    if (role < XR_EMBED && !table->has_vision) return -1;
    if (role == XR_HEAD && table->tied) return -1;
    XR_REQUIRE(block >= 0 && block < blocks, "%s of block %lld of %lld", ROWS[role].name,
               (long long)block, (long long)blocks);
    int64_t vision = table->has_vision ? 1 + table->vision_blocks * PER_BLOCK : 0;
    int64_t language = vision + (table->has_vision ? MERGER : 0);
    int64_t last = language + 1 + table->layers * PER_LAYER;
    if (role == XR_VISION_PATCH) return 0;
    if (in_block(role)) return (int)(1 + block * PER_BLOCK + (role - XR_VISION_NORM1));
    if (role < XR_EMBED) return (int)(vision + (role - XR_MERGER_NORM));
    if (role == XR_EMBED) return (int)language;
    if (in_layer(role)) return (int)(language + 1 + block * PER_LAYER + (role - XR_LAYER_NORM1));
    return (int)(role == XR_FINAL_NORM ? last : last + 1);
}

int64_t xr_parameter_elements(const XrParameter *parameter) {
    int64_t product = 1;
    for (int i = 0; i < parameter->ndim; i++) product *= parameter->shape[i];
    return product;
}

void xr_parameter_alternative_name(const XrParameter *parameter, char out[80]) {
    const char *name = parameter->name;
    if (strncmp(name, "visual.", 7) == 0) {
        snprintf(out, 80, "model.%s", name);
    } else if (strncmp(name, "model.", 6) == 0) {
        snprintf(out, 80, "model.language_model.%s", name + 6);
    } else {
        snprintf(out, 80, "%s", name);
    }
}
