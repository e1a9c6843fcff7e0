// The one table of a model's parameters: name, shape, part, weight decay. It drives loading,
// saving, initialisation, the optimiser and comparison with golden data.
#ifndef XR_MODEL_PARAMETERS_H
#define XR_MODEL_PARAMETERS_H

#include "shared/model/config.h"

typedef enum XrPart {
    XR_PART_VISION,    // patch embedding and blocks
    XR_PART_MERGER,    // frozen and trained apart from the tower in some recipes
    XR_PART_EMBEDDING, // model.embed_tokens; the head too when tied
    XR_PART_LANGUAGE,  // layers and final norm
    XR_PART_HEAD,      // lm_head, absent when tied
} XrPart;

// What a parameter is. Those of a block or layer stand in the order of the table.
typedef enum XrRole {
    XR_VISION_PATCH,
    // of each vision block
    XR_VISION_NORM1,
    XR_VISION_QKV,
    XR_VISION_QKV_BIAS,
    XR_VISION_PROJ,
    XR_VISION_PROJ_BIAS,
    XR_VISION_NORM2,
    XR_VISION_GATE,
    XR_VISION_GATE_BIAS,
    XR_VISION_UP,
    XR_VISION_UP_BIAS,
    XR_VISION_DOWN,
    XR_VISION_DOWN_BIAS,
    // of the merger
    XR_MERGER_NORM,
    XR_MERGER_FC1,
    XR_MERGER_FC1_BIAS,
    XR_MERGER_FC2,
    XR_MERGER_FC2_BIAS,
    // of the language model
    XR_EMBED,
    XR_LAYER_NORM1,
    XR_LAYER_Q,
    XR_LAYER_Q_BIAS,
    XR_LAYER_K,
    XR_LAYER_K_BIAS,
    XR_LAYER_V,
    XR_LAYER_V_BIAS,
    XR_LAYER_O,
    XR_LAYER_NORM2,
    XR_LAYER_GATE,
    XR_LAYER_UP,
    XR_LAYER_DOWN,
    XR_FINAL_NORM,
    XR_HEAD,
    XR_ROLE_COUNT,
} XrRole;

typedef struct XrParameter {
    char name[64]; // the hub's: visual.*, model.*, lm_head.weight
    XrRole role;
    XrPart part;
    int block; // of the vision tower, or layer of the language model; 0 elsewhere
    int ndim;
    int64_t shape[XR_MAX_DIMS];
    bool decay; // matrices and embeddings decay; biases and norms do not
} XrParameter;

typedef struct XrParameterTable {
    XrParameter *items;
    int count;
    int64_t elements; // of all of them together
    int64_t vision_blocks, layers;
    bool has_vision, tied;
} XrParameterTable;

// Vision tower, merger, embedding, layers, final norm, head. The caller frees it.
XrParameterTable xr_parameters(const XrConfig *config);
void xr_parameters_free(XrParameterTable *table);

// The index of a role's parameter; `block` is the vision block or layer, 0 for the others. -1 when
// the model has none (a vision role of a text-only model, the head of a tied one).
int xr_parameter_index(const XrParameterTable *table, XrRole role, int64_t block);

int64_t xr_parameter_elements(const XrParameter *parameter);

// The name under the prefixes that transformers uses in memory since 4.52 and that some checkpoints
// have on disk: model.visual.*, model.language_model.*. `out` has room for 80 bytes.
void xr_parameter_alternative_name(const XrParameter *parameter, char out[80]);

#endif
