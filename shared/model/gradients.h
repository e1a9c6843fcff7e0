// Gradients of a model's parameters, one allocation for all that are trained.
#ifndef XR_MODEL_GRADIENTS_H
#define XR_MODEL_GRADIENTS_H

#include "shared/model/model.h"

typedef struct XrGradients {
    const XrModel *model;
    XrTensor *items; // one a parameter of the model's table, f32; no data where it is frozen
    XrTensor flat;   // f32, all of them one after the other in the order of the table
    bool zero;       // nothing has been added to them; whoever adds clears it
} XrGradients;

// Space for the gradients of the parameters for which trained[i] holds, zeroed.
bool xr_gradients_create(XrGradients *out, const XrModel *model, const bool *trained, XrError *err);
void xr_gradients_zero(XrGradients *gradients);
void xr_gradients_free(XrGradients *gradients);

// While gradients are all zero their memory can serve as scratch: f32 [n], the longer of what lies
// before and behind those of a role's parameter, or no elements where something has been added.
// Whoever writes there zeroes it again before gradients are added.
XrTensor xr_gradients_spare(const XrGradients *gradients, XrRole role, int64_t block);

// The gradient of a role's parameter; its data is NULL when the parameter is frozen or the model
// has none. A tied head's gradient is the embedding's.
XrTensor xr_parameter_gradient(const XrGradients *gradients, XrRole role, int64_t block);

#endif
