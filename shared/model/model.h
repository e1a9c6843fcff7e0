// A model: configuration and parameters in a backend's memory.
#ifndef XR_MODEL_MODEL_H
#define XR_MODEL_MODEL_H

#include "shared/model/config.h"
#include "shared/model/parameters.h"
#include "shared/model/weights.h"
#include "shared/tensor/backend.h"

typedef enum XrWeightType {
    XR_WEIGHTS_AS_STORED, // mapped from the files where the backend can read those
    XR_WEIGHTS_F32,
    XR_WEIGHTS_BF16,
} XrWeightType;

// The type of a --dtype or "dtype": "f32" or "bf16"; every other name means as stored.
XrWeightType xr_weight_type(const char *name);

// Rotary frequencies: inv_freq f32 [head_dim/2] and which axis of the positions each is for.
typedef struct XrRotary {
    XrTensor inv_freq, axis;
} XrRotary;

typedef struct XrModel {
    XrBackend *backend; // not owned
    char *folder;
    XrConfig config;
    // What activations and caches are made in: bf16 where the backend computes in that and the
    // weights are not f32, else f32.
    XrDType activations;
    XrParameterTable table;
    XrTensor *parameters; // table.count, in the backend's memory
    bool *owned;          // which of them are copies of what the files hold
    XrWeights weights;    // the mapped files, or what lies in memory
    XrWeightType type;    // that parameters are placed in
    XrRotary rotary, vision_rotary;
} XrModel;

// Opens a Hugging Face folder. Weights are used as they lie in the files unless `type` asks for
// conversion. `check_finite` reads all of them and refuses NaN and infinities.
bool xr_model_open(XrModel **out, XrBackend *backend, const char *folder, XrWeightType type,
                   bool check_finite, XrError *err);
// The same without parameters, whose data is NULL: xr_train_state_create puts the trained ones
// where they are trained, so that they are copied to the backend once, and places the others.
bool xr_model_open_unplaced(XrModel **out, XrBackend *backend, const char *folder,
                            XrWeightType type, bool check_finite, XrError *err);
bool xr_model_place(XrModel *model, int index, XrError *err);
// One of a configuration and weights that are at hand, without parameters likewise; `folder` is
// what messages call it. Takes the weights, whatever becomes of it.
bool xr_model_of(XrModel **out, XrBackend *backend, const char *folder, const XrConfig *config,
                 XrWeights *weights, XrWeightType type, XrError *err);
void xr_model_close(XrModel *model);

// The parameter of a role (`block`: vision block or layer, else 0); a tied model's head is its
// embedding. The model must have it.
const XrTensor *xr_model_parameter(const XrModel *model, XrRole role, int64_t block);

// Called after each stage of a forward pass with the stage's name ("layers.3"), for tests and
// for finding where two backends part. The tensor is valid during the call.
typedef struct XrObserver {
    void (*see)(void *context, const char *stage, const XrTensor *value);
    void *context;
} XrObserver;

void xr_observe(const XrObserver *observer, const XrTensor *value, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
